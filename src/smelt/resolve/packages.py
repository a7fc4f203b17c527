"""Source packages of a workspace: found, loaded, checked out and rendered once each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import cast

from smelt.config.network import Network
from smelt.errors import SourceError
from smelt.lock.model import BuildSource, Lock, Reference, SourcePackage
from smelt.manifest.document import read_document
from smelt.resolve.model import Context, SourceRequirement
from smelt.resolve.pins import SourcePins, address_text, inner_location, location_text
from smelt.source import stats
from smelt.source.backends.registry import NATIVE, plugin_file
from smelt.source.fetch import checkout, pin
from smelt.source.model import Checkout, ForeignContext, RenderedVariant, RenderRequest
from smelt.source.protocol.tool import BackendTools, override_of
from smelt.source.protocol.trace import FOLDER as TRACES
from smelt.types import SourceLocation
from smelt.workspace.discovery import manifest_in
from smelt.workspace.load import load_package, load_workspace
from smelt.workspace.model import Workspace
from smelt.workspace.package import Backend, Package

DEFINITIONS = ("pixi.toml", "pyproject.toml", "mojoproject.toml", "recipe.yaml", "recipe.yml", "recipe/recipe.yaml")
"""Files of a package's folder that may say what the package is."""


Amend = Callable[[SourceRequirement, Package], Package]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPackage:
    """A package with its definition read and its source at hand.

    ``location`` is the lock's word for where the definition is; ``source`` the lock's word for where the code
    is, None where the code is beside the definition.
    """

    requirement: SourceRequirement
    package: Package
    location: str
    source: BuildSource | None
    checkout: Checkout


class PackageLoader:
    """Loads and renders the source packages of one workspace; every package and rendering is done once.

    What ``lock`` pins a source to is not looked up again, but for packages called ``unlock`` (None: for all).
    ``files``: path → stamp of the definitions that were read. ``tools`` provides backends that are programs; without it
    packages that are built by one cannot be rendered.
    ``amend`` may change a definition that was read.
    """

    def __init__(
        self,
        workspace: Workspace,
        lock: Lock | None = None,
        unlock: Collection[str] | None = (),
        network: Network | None = None,
        tools: BackendTools | None = None,
        amend: Amend | None = None,
    ) -> None:
        self.workspace = workspace
        self._network = network
        self._tools = tools
        self._amend = amend
        self._backends = _locked_backends(lock, unlock)
        packages = lock.packages.values() if lock is not None else ()
        self._locked = {(each.name, each.location) for each in packages if isinstance(each, SourcePackage)}
        self.files: dict[str, tuple[int, ...] | None] = {}
        self._pins = SourcePins.of_lock(lock, unlock)
        # environments are solved at the same time, and what they render is mostly the same
        self._busy = threading.RLock()
        self._loaded: dict[tuple[str, str, BuildSource | None], LoadedPackage] = {}
        self._places: dict[SourceLocation, BuildSource] = {}
        self._rendered: dict[object, tuple[RenderedVariant, ...]] = {}
        self._needs: dict[object, tuple[SourceRequirement, ...]] = {}

    def load(self, requirement: SourceRequirement) -> LoadedPackage:
        """The package behind a requirement.

        Raises SourceError, ManifestError (its manifest).
        """
        key = (requirement.name, requirement.identity, requirement.pinned)
        with self._busy:
            found = self._loaded.get(key)
            if found is None:
                found = self._load(requirement)
                self._loaded[key] = found
        return found

    def render(self, requirement: SourceRequirement, context: Context) -> tuple[RenderedVariant, ...]:
        """All variants of a package for a context, those that its recipe skips left out."""
        found = self.outputs(requirement, context)
        matching = tuple(variant for variant in found if variant.name == requirement.name)
        if not matching:
            raise _no_output(requirement, self.load(requirement), found, context.subdir)
        return matching

    def render_anywhere(
        self, requirement: SourceRequirement, context: Context
    ) -> list[tuple[RenderedVariant, Context]]:
        """As ``render``, for the environment itself and for build environments, each variant with its context.

        Where both are for one platform, that is once. Raises as ``render``, where there is a variant for neither.
        """
        found: list[tuple[RenderedVariant, Context]] = []
        missing: SourceError | None = None
        for each in (context, context.of_build) if context.build_subdir is not None else (context,):
            try:
                found += [(variant, each) for variant in self.render(requirement, each)]
            except SourceError as error:
                if error.kind != "source-no-variant" or context.build_subdir is None:
                    raise
                missing = error
        if missing is not None and not found:
            raise missing
        return found

    def outputs(self, requirement: SourceRequirement, context: Context) -> tuple[RenderedVariant, ...]:
        """All variants of all packages that the source of a requirement builds, whatever they are called."""
        loaded = self.load(requirement)
        profile = context.profile
        applies = profile is not None and profile.applies_to(requirement.name)
        inline = requirement.name if requirement.inline is not None else None
        origin = (requirement.identity, requirement.pinned, inline)
        asks = loaded.package.backend.name not in NATIVE or override_of(loaded.package.backend.name) is not None
        platforms = (context.subdir, context.builds_on)
        where = (*platforms, context.channels, context.exclude_newer) if asks else platforms
        key = (origin, where, context.variants, context.zip_keys, profile if applies else None)
        with self._busy:
            found = self._rendered.get(key)
            if found is None:
                from smelt.source.render import render  # a workspace without source packages does without

                variants = render(
                    RenderRequest(
                        package=loaded.package,
                        checkout=loaded.checkout,
                        subdir=context.subdir,
                        build_subdir=context.builds_on,
                        variants=dict(context.variants),
                        zip_keys=context.zip_keys,
                        profile=profile if applies else None,
                        channels=context.channels,
                        foreign=self._foreign(requirement, loaded, context),
                    )
                )
                found = tuple(v for v in variants if not v.skip)
                self._rendered[key] = found
                # a program of this machine that stands for a backend may change at any time
                programs = {each.foreign.tool.command for each in found if each.foreign and each.foreign.tool.override}
                plugin = plugin_file(loaded.package.backend.name) if asks and not programs else None
                self.files |= {path: stats.stamp(path) for path in {*programs, *([plugin] if plugin else [])}}
        return found

    def _foreign(
        self, requirement: SourceRequirement, loaded: LoadedPackage, context: Context
    ) -> ForeignContext | None:
        if self._tools is None:
            return None
        return ForeignContext(
            tools=self._tools,
            channels=self.workspace.channels,
            locked=self._backends.get((requirement.name, loaded.location, loaded.package.backend.name)),
            exclude_newer=context.exclude_newer,
            traces=self.workspace.state_folder / TRACES,
            trusted=self._trusted(requirement, loaded),
            origin=loaded.location,
        )

    def _trusted(self, requirement: SourceRequirement, loaded: LoadedPackage) -> frozenset[str] | None:
        """The channels that the workspace itself uses; None for its own packages, and those that are locked as they
        are: whoever locked them has run their backends.
        """
        location = requirement.location
        own = requirement.inline is not None or (location.git is None and location.url is None)
        if own or (requirement.name, loaded.location) in self._locked:
            return None
        effective = self.workspace.effective.values()
        return frozenset(channel for each in effective for channel in each.channels) | {*self.workspace.channels}

    def requirements_of(
        self, requirement: SourceRequirement, variant: RenderedVariant
    ) -> tuple[SourceRequirement, ...]:
        """What a variant requires of other source packages, in build, host and run."""
        wanted = tuple(sorted(variant.source_requirements.items()))
        key = (requirement, requirement.pinned, requirement.inline is not None, wanted)
        known = self._needs.get(key)
        if known is not None:
            return known
        package = self.load(requirement).package
        found: list[SourceRequirement] = []
        for name, location in wanted:
            inner = inner_location(requirement.location, location, name)
            same = inner is not location
            base, pinned = (requirement.base, requirement.pinned) if same else (package.root, None)
            found.append(SourceRequirement(name=name, location=inner, base=base, pinned=pinned))
        self._needs[key] = tuple(found)
        return self._needs[key]

    def _load(self, requirement: SourceRequirement) -> LoadedPackage:
        location = requirement.location
        before = self._stamps(requirement)
        at = self._definition_checkout(requirement)
        package = self._definition(requirement, at)
        if self._amend is not None:
            package = self._amend(requirement, package)
        self.files.update(before)
        root = self.workspace.root
        if at is not None:
            text = location_text(location, at.pinned)
            pinned, code = self._code_in(requirement, package, at, text)
        elif location.pypi is not None:
            pinned, code = self._code(requirement.name, package, package.source or location, str(location))
            text = address_text(pinned.url) if pinned.url is not None else str(location)
            pinned = None
        else:
            assert requirement.folder is not None
            text = _path_text(requirement.folder, root)
            pinned, code = None, None
            if package.source is not None:
                pinned, code = self._code(requirement.name, package, package.source, text)
        if code is None:
            code = checkout(BuildSource(path="."), package.root)
        return LoadedPackage(requirement=requirement, package=package, location=text, source=pinned, checkout=code)

    def _definition_checkout(self, requirement: SourceRequirement) -> Checkout | None:
        """The commit or archive that holds the definition; None for other kinds of sources."""
        location = requirement.location
        if location.git is None and location.url is None:
            return None
        pinned = requirement.pinned
        if pinned is None:
            origin = replace(location, subdirectory=None, lfs=None)
            pinned = self._places.get(origin)
            if pinned is None:
                pinned = self._pins.place(location, requirement.base) or pin(location, requirement.base, self._network)
                # two packages of one repository come from one commit, also where its branch moves meanwhile
                self._places[origin] = pinned
        pinned = replace(pinned, subdir=location.subdirectory)
        return checkout(pinned, requirement.base, location, self._network)

    def _code_in(
        self, requirement: SourceRequirement, package: Package, at: Checkout, text: str
    ) -> tuple[BuildSource | None, Checkout]:
        """The code of a package whose definition is in a checkout."""
        code = package.source
        if code is None:
            return None, at
        if code.path is None:
            return self._code(requirement.name, package, code, text)
        inner = inner_location(requirement.location, code, "source")
        pinned = replace(at.pinned, subdir=inner.subdirectory)
        return BuildSource(path=code.path), checkout(pinned, requirement.base, requirement.location, self._network)

    def _code(self, name: str, package: Package, code: SourceLocation, defined: str) -> tuple[BuildSource, Checkout]:
        """The code of a package that is not where its definition is."""
        pinned = self._pins.code(name, defined, code, package.root) or pin(code, package.root, self._network)
        return pinned, checkout(pinned, package.root, code, self._network)

    def _stamps(self, requirement: SourceRequirement) -> dict[str, tuple[int, ...] | None]:
        """The stamps of the files that may define the package, taken before they are read."""
        folder = requirement.folder
        if folder is None:
            return {}
        paths = [folder / name for name in DEFINITIONS] if folder.is_dir() else [folder]
        return {str(path): stats.stamp(str(path)) for path in paths}

    def _definition(self, requirement: SourceRequirement, at: Checkout | None) -> Package:
        location = requirement.location
        if at is not None:
            if requirement.inline is not None:
                return replace(requirement.inline, root=at.folder, manifest_path=at.folder / "pixi.toml", source=None)
            top = at.folder
            for _ in PurePosixPath(at.pinned.subdir or ".").parts:
                top = top.parent
            return load_package(at.folder, _workspace_in(at.folder, top))
        if requirement.inline is not None:
            return requirement.inline
        folder = requirement.folder
        if folder is not None:
            if not folder.exists():
                raise SourceError(
                    f"the source of package `{requirement.name}` is not there: {folder}",
                    code="source-missing",
                    help=f'`path = "{location.path}"` is relative to {requirement.base}',
                )
            return load_package(folder, self.workspace)
        return _package_of_release(requirement)


def _locked_backends(lock: Lock | None, unlock: Collection[str] | None) -> dict[tuple[str, str, str], str]:
    """Version of the backend by name and location of the package and name of the backend, where neither is to move."""
    found: dict[tuple[str, str, str], str] = {}
    if lock is None or unlock is None:
        return found
    for identifier, own in sorted(lock.sources.items()):
        package = lock.packages.get(Reference(kind="conda_source", value=identifier))
        if isinstance(package, SourcePackage) and package.name not in unlock and own.backend not in unlock:
            found.setdefault((package.name, package.location, own.backend), own.backend_version)
    return found


def _package_of_release(requirement: SourceRequirement) -> Package:
    """The implicit definition of ``name = { pypi = "name==version" }``: a Python package, nothing said."""
    release = requirement.location.pypi or ""
    _, _, version = release.partition("==")
    return Package(
        name=requirement.name,
        version=version.strip() or None,
        root=requirement.base,
        manifest_path=requirement.base / "pixi.toml",
        backend=Backend(name="pixi-build-python"),
        source=requirement.location,
    )


def _path_text(folder: Path, root: Path) -> str:
    """Path relative to the workspace, POSIX."""
    try:
        return Path(os.path.relpath(folder, root)).as_posix()
    except ValueError:  # another drive
        return folder.as_posix()


def _workspace_in(folder: Path, top: Path) -> Workspace | None:
    """The workspace of the checkout ``top`` that ``folder`` is in: what packages there may inherit from."""
    for each in (folder, *folder.parents):
        manifest = manifest_in(each)
        if manifest is not None:
            data: object = read_document(manifest).data
            for key in ("tool", "pixi") if manifest.name == "pyproject.toml" else ():
                data = cast("Mapping[str, object]", data).get(key) if isinstance(data, Mapping) else None
            if isinstance(data, Mapping) and ("workspace" in data or "project" in data):
                return load_workspace(manifest)
        if each == top:
            break
    return None


def _no_output(
    requirement: SourceRequirement,
    loaded: LoadedPackage,
    found: tuple[RenderedVariant, ...],
    subdir: str,
) -> SourceError:
    names = sorted({variant.name for variant in found})
    if names:
        return SourceError(
            f"the source at {loaded.location} builds no package `{requirement.name}`",
            code="source-no-output",
            help=f"it builds {', '.join(names)}",
        )
    return SourceError(
        f"package `{requirement.name}` has no variant for {subdir}: its recipe skips all of them",
        code="source-no-variant",
    )
