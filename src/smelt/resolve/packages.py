"""Source packages of a workspace: found, loaded, checked out and rendered once each."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import NotSupportedError, SourceError
from smelt.lock.model import BuildSource, Lock, Reference, SourcePackage
from smelt.resolve.model import Context, SourceRequirement
from smelt.source import stats
from smelt.source.fetch import checkout, pin
from smelt.source.model import Checkout, RenderedVariant, RenderRequest
from smelt.source.render import render
from smelt.types import SourceLocation
from smelt.workspace.load import load_package
from smelt.workspace.model import Workspace
from smelt.workspace.package import Backend, Package

DEFINITIONS = ("pixi.toml", "pyproject.toml", "mojoproject.toml", "recipe.yaml", "recipe.yml", "recipe/recipe.yaml")
"""Files of a package's folder that may say what the package is."""


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

    What ``lock`` pins a source to is not looked up again. ``files``: path → stamp of the definitions that were read.
    """

    def __init__(self, workspace: Workspace, lock: Lock | None = None) -> None:
        self.workspace = workspace
        self.files: dict[str, tuple[int, ...] | None] = {}
        self._pins = _pins(lock)
        # environments are solved at the same time, and what they render is mostly the same
        self._busy = threading.RLock()
        self._loaded: dict[tuple[str, str], LoadedPackage] = {}
        self._rendered: dict[object, tuple[RenderedVariant, ...]] = {}

    def load(self, requirement: SourceRequirement) -> LoadedPackage:
        """The package behind a requirement.

        Raises SourceError, ManifestError (its manifest), NotSupportedError for sources that smelt cannot read yet.
        """
        key = (requirement.name, requirement.identity)
        with self._busy:
            found = self._loaded.get(key)
            if found is None:
                found = self._load(requirement)
                self._loaded[key] = found
        return found

    def render(self, requirement: SourceRequirement, context: Context) -> tuple[RenderedVariant, ...]:
        """All variants of a package for a context, those that its recipe skips left out."""
        loaded = self.load(requirement)
        profile = context.profile
        applies = profile is not None and profile.applies_to(requirement.name)
        key = (requirement.identity, context.subdir, context.variants, profile if applies else None)
        with self._busy:
            found = self._rendered.get(key)
            if found is None:
                variants = render(
                    RenderRequest(
                        package=loaded.package,
                        checkout=loaded.checkout,
                        subdir=context.subdir,
                        build_subdir=context.subdir,
                        variants=dict(context.variants),
                        profile=profile if applies else None,
                    )
                )
                found = tuple(v for v in variants if not v.skip)
                self._rendered[key] = found
        matching = tuple(variant for variant in found if variant.name == requirement.name)
        if not matching:
            raise _no_output(requirement, loaded, found, context.subdir)
        return matching

    def requirements_of(
        self, requirement: SourceRequirement, variant: RenderedVariant
    ) -> tuple[SourceRequirement, ...]:
        """What a variant requires of other source packages, in build, host and run."""
        package = self.load(requirement).package
        return tuple(
            SourceRequirement(name=name, location=location, base=package.root)
            for name, location in sorted(variant.source_requirements.items())
        )

    def _load(self, requirement: SourceRequirement) -> LoadedPackage:
        location = requirement.location
        before = self._stamps(requirement)
        package = self._definition(requirement)
        self.files.update(before)
        code = package.source
        if location.pypi is not None and code is None:
            code = location
        old = self._pins.get((requirement.name, _location_text(requirement, self.workspace.root, None)))
        if code is None:
            assert requirement.folder is not None
            pinned: BuildSource | None = None
            at = checkout(BuildSource(path="."), package.root)
        else:
            if old is None or not _same_source(old, code):
                old = None
            pinned = old or pin(code, package.root)
            at = checkout(pinned, package.root)
        text = _location_text(requirement, self.workspace.root, pinned)
        source = None if location.pypi is not None else pinned
        return LoadedPackage(requirement=requirement, package=package, location=text, source=source, checkout=at)

    def _stamps(self, requirement: SourceRequirement) -> dict[str, tuple[int, ...] | None]:
        """The stamps of the files that may define the package, taken before they are read."""
        folder = requirement.folder
        if folder is None:
            return {}
        paths = [folder / name for name in DEFINITIONS] if folder.is_dir() else [folder]
        return {str(path): stats.stamp(str(path)) for path in paths}

    def _definition(self, requirement: SourceRequirement) -> Package:
        location = requirement.location
        if location.git is not None or location.url is not None:
            raise NotSupportedError(
                f"source package `{requirement.name}` comes from {location}: git and url sources are not supported yet",
                help="check it out beside the workspace and name it by `path`",
            )
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


def _pins(lock: Lock | None) -> dict[tuple[str, str], BuildSource]:
    """What the sources of packages are locked to, by name and location of the package."""
    if lock is None:
        return {}
    pins = {
        (package.name, package.location): package.source
        for package in lock.packages.values()
        if isinstance(package, SourcePackage) and package.source is not None
    }
    for identifier, own in lock.sources.items():
        package = lock.packages.get(Reference(kind="conda_source", value=identifier))
        if own.pypi is not None and own.source_digest is not None and isinstance(package, SourcePackage):
            pin = BuildSource(url=package.location, sha256=own.source_digest)
            if package.source is None:
                pins[package.name, f"pypi:{own.pypi}"] = pin
    return pins


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


def _location_text(requirement: SourceRequirement, root: Path, pinned: BuildSource | None) -> str:
    """Path relative to the workspace, POSIX; or the URL that the source is pinned to."""
    folder = requirement.folder
    if folder is None:
        return (pinned.url if pinned is not None else None) or str(requirement.location)
    try:
        return Path(os.path.relpath(folder, root)).as_posix()
    except ValueError:  # another drive
        return folder.as_posix()


def _same_source(pinned: BuildSource, location: SourceLocation) -> bool:
    """Whether what is locked still answers what is asked (an sdist: the name and version in its file name)."""
    if location.path is not None:
        return pinned.path == location.path
    if location.url is not None:
        return pinned.url == location.url and location.sha256 in (None, pinned.sha256)
    if location.pypi is not None and pinned.url is not None:
        from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename

        name, _, version = location.pypi.partition("==")
        try:
            found_name, found_version = parse_sdist_filename(pinned.url.rpartition("/")[2])
        except InvalidSdistFilename:
            return False
        return found_name == canonicalize_name(name.strip()) and str(found_version) == version.strip()
    return False


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
