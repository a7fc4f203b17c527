"""From a ``[package]`` table to a ``Package``: inheritance, defaults of ``pyproject.toml``, rules for pins.

Source: ``pixi_manifest`` (``toml/package.rs``, ``utils/inheritable_package_map.rs``) for the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, cast

from smelt.manifest.build import TomlBackend
from smelt.manifest.package import Inheritable, TomlPackage, TomlPackageTarget, read_package
from smelt.manifest.positions import KeyPath
from smelt.manifest.project import TomlProject
from smelt.manifest.reading import Problems, Table
from smelt.manifest.requirement import Requirements, TomlRequirement, layer
from smelt.manifest.version import version_problem
from smelt.types import CondaSpec, normalize_name
from smelt.workspace.channel import channel_url
from smelt.workspace.package import Backend, Package, PackageRequirements, Pin, Requirement
from smelt.workspace.properties import WorkspaceProperties

T = TypeVar("T")
_BUILD = "pixi-build"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDefinition:
    """A ``[package]`` table with all that its meaning depends on.

    ``folder`` is that of the manifest (absolute). ``workspace``: what can be inherited. ``name`` is given for an
    inline package, which is called as its dependency is.
    """

    table: TomlPackage
    problems: Problems
    folder: Path
    manifest_path: Path
    workspace: WorkspaceProperties
    project: TomlProject | None = None
    name: str | None = None

    def package(self) -> Package:
        """The package. Mistakes are added to ``problems``."""
        table = self.table
        project = self.project
        name = self._field("name", table.name, self.workspace.name, project.name if project else None)
        own = self.name or name
        resolver = Resolver(
            problems=self.problems,
            folder=self.folder,
            workspace=self.workspace,
            package=normalize_name(own) if own else None,
        )
        version = self._field("version", table.version, self.workspace.version, _conda_version(project))
        authors = self._field("authors", table.authors, self.workspace.authors, project.authors if project else None)
        root = self._source_folder()
        return Package(
            name=own,
            version=version,
            root=self.folder,
            manifest_path=self.manifest_path,
            backend=self._backend(table.backend, resolver),
            source=table.source,
            build_string_prefix=table.build_string_prefix,
            build_number=table.build_number,
            description=self._field(
                "description",
                table.description,
                self.workspace.description,
                project.description if project else None,
            ),
            license=self._field("license", table.license, self.workspace.license),
            license_file=self._file("license-file", table.license_file, self.workspace.license_file, root),
            homepage=self._field("homepage", table.homepage, self.workspace.homepage),
            repository=self._field("repository", table.repository, self.workspace.repository),
            documentation=self._field("documentation", table.documentation, self.workspace.documentation),
            readme=self._file("readme", table.readme, self.workspace.readme, root),
            flags=table.flags,
            base=resolver.requirements(table.base),
            target_requirements=MappingProxyType(
                {condition: resolver.requirements(target) for condition, target in table.conditional.items()}
            ),
            config=table.config,
            target_config=table.target_config,
            authors=authors or (),
            secrets=table.secrets,
            publish=table.publish,
            place=self.problems.value(table.path),
        )

    def _field(self, key: str, given: Inheritable[T] | None, inherited: T | None, default: T | None = None) -> T | None:
        if given is None:
            return default
        if not given.inherited:
            return given.value
        if inherited is None:
            self.problems.error(
                "inheritance",
                f"the workspace has no `{key}` to inherit",
                self.problems.value(given.path),
                help=f"add `{key}` to `[workspace]`",
            )
        return inherited

    def _file(self, key: str, given: Inheritable[str] | None, inherited: Path | None, root: Path | None) -> str | None:
        """A file of the package, relative to the manifest's folder."""
        if given is None:
            return None
        if given.inherited:
            path = self._field(key, cast("Inheritable[Path]", given), inherited)
            return _relative(path, self.folder) if path is not None else None
        if given.value is not None and root is not None and not (root / given.value).is_file():
            self.problems.warn(
                "missing-file",
                f"the file `{given.value}` does not exist",
                self.problems.value(given.path),
            )
        return given.value

    def _source_folder(self) -> Path | None:
        """Where the package's files are, or None if they are not on this machine."""
        source = self.table.source
        if source is None:
            return self.folder
        return self.folder / source.path if source.path is not None else None

    def _backend(self, backend: TomlBackend | None, resolver: Resolver) -> Backend:
        if backend is None:
            return Backend(name="")  # its absence was reported already
        entry = TomlRequirement(name=backend.name, path=backend.path, spec=backend.spec, inherited=backend.inherited)
        spec = resolver.spec(entry) or CondaSpec()
        if spec.is_source:
            self.problems.error(
                "source", "a build backend cannot be built from source", self.problems.value(backend.path)
            )
        additional = {
            name: found
            for name, requirement in backend.additional_dependencies.items()
            if (found := resolver.spec(requirement)) is not None
        }
        for name, found in additional.items():
            if found.is_source:
                self.problems.error(
                    "source",
                    f"`{name}` cannot be built from source here",
                    self.problems.value(backend.additional_dependencies[name].path),
                )
        return Backend(
            name=backend.name,
            spec=spec,
            channels=tuple(channel_url(channel, self.folder) for channel in backend.channels or ()),
            additional_dependencies=MappingProxyType(additional),
            place=self.problems.value(backend.path),
        )


def _conda_version(project: TomlProject | None) -> str | None:
    """The version of ``pyproject.toml``, if it is one that conda understands too."""
    if project is None or project.version is None or version_problem(project.version) is not None:
        return None
    return project.version


def _relative(path: Path, folder: Path) -> str:
    import os

    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Turns entries of dependency tables into requirements: what is inherited is put in, what is wrong reported.

    ``package``: the name of the package whose tables they are. ``sources``: whether sources are allowed (the
    preview ``pixi-build``).
    """

    problems: Problems
    folder: Path
    workspace: WorkspaceProperties
    package: str | None = None
    sources: bool = True

    def spec(self, requirement: TomlRequirement) -> CondaSpec | None:
        """What an entry without pin requires, or None after a mistake."""
        if not requirement.inherited:
            spec = _local_archive(requirement.spec, self.folder)
        else:
            base = self.workspace.dependency(requirement.name, self.folder)
            if base is None:
                self.problems.error(
                    "inheritance",
                    f"the workspace does not define `{requirement.name}` in `[workspace.dependencies]`",
                    self.problems.value((*requirement.path, "workspace")),
                    help=f'add `{requirement.name} = "*"` to `[workspace.dependencies]`',
                )
                return None
            spec = layer(base, requirement.spec)
            complaint = _layer_problem(base, requirement.spec)
            if complaint is not None:
                self.problems.error("inheritance", complaint, self.problems.value((*requirement.path, "workspace")))
                return None
            spec = _local_archive(spec, self.workspace.root)
            if requirement.spec.inline_package is not None and not spec.is_source:
                self.problems.error(
                    "inline-package",
                    "an inline package needs a source",
                    self.problems.value(requirement.path),
                )
                return None
        if spec.is_source and not self.sources:
            self.problems.error(
                "preview",
                f"`{requirement.name}` is a source dependency, which needs the preview `{_BUILD}`",
                self.problems.value(requirement.path),
                "built from source",
                help=f'add `preview = ["{_BUILD}"]` to `[workspace]`',
            )
            return None
        return spec

    def requirements(self, target: TomlPackageTarget) -> PackageRequirements:
        """The dependency tables of a package."""
        return PackageRequirements(
            build=self.table(target.build),
            host=self.table(target.host),
            run=self.table(target.run),
            run_constraints=self.table(target.run_constraints),
            extra=MappingProxyType({group: self.table(table) for group, table in target.extra.items()}),
            run_exports=MappingProxyType(
                {bucket: self.exports(bucket, table) for bucket, table in target.run_exports.items()}
            ),
        )

    def table(self, table: Requirements, *, exports: bool = False) -> Mapping[str, Requirement]:
        """One dependency table of a package."""
        found: dict[str, Requirement] = {}
        for name, requirement in table.items():
            if requirement.pin is not None:
                pin = self._pin(requirement, exports=exports)
                if pin is not None:
                    found[name] = pin
                continue
            spec = self.spec(requirement)
            if spec is not None:
                found[name] = spec
        return MappingProxyType(found)

    def exports(self, bucket: str, table: Requirements) -> Mapping[str, Requirement]:
        """One table of run-exports: they are written into the built package, where an address means nothing."""
        found = self.table(table, exports=True)
        for name, requirement in found.items():
            if not isinstance(requirement, CondaSpec):
                continue
            complaint = None
            if requirement.url is not None or (requirement.location and requirement.location.url):
                complaint = "an address or an archive cannot be exported"
            elif requirement.is_source and bucket.endswith("constraints"):
                complaint = "a source cannot be a constraint"
            if complaint is not None:
                self.problems.error(
                    "run-exports",
                    complaint,
                    self.problems.value(table[name].path),
                    help="write a version instead",
                )
        return found

    def _pin(self, requirement: TomlRequirement, *, exports: bool) -> Pin | None:
        pin = requirement.pin
        assert pin is not None
        own = self.package == requirement.name
        place = self.problems.value(requirement.path)
        if pin.kind == "subpackage" and not exports:
            self.problems.error(
                "pin",
                "`pin-subpackage` belongs to `[package.run-exports]`",
                place,
                help="it pins the package itself for those who build with it",
            )
            return None
        if pin.kind == "subpackage" and self.package is not None and not own:
            self.problems.error(
                "pin",
                f"`pin-subpackage` is for the package itself (`{self.package}`), not for `{requirement.name}`",
                place,
                help="`pin-compatible` pins a dependency",
            )
            return None
        if pin.kind == "compatible" and own:
            self.problems.error(
                "pin",
                f"`pin-compatible` cannot pin the package itself (`{requirement.name}`)",
                place,
                help="`pin-subpackage` in `[package.run-exports]` does",
            )
            return None
        return Pin(
            kind=pin.kind,
            name=requirement.name,
            lower_bound=None if pin.exact else pin.lower_bound,
            upper_bound=None if pin.exact else pin.upper_bound,
            exact=pin.exact,
            build=pin.build,
        )

    def inline(self, name: str, path: KeyPath, spec: CondaSpec) -> Package | None:
        """The package that is defined beside the source dependency ``name``, or None if there is none.

        Its root is where the source is (the workspace's folder if that is not on this machine yet).
        """
        if spec.inline_package is None or spec.location is None:
            return None
        # The table was read once already, with its mistakes; this time only what it means is wanted.
        quiet = Problems(self.problems.document)
        table = read_package(Table(dict(spec.inline_package), (*path, "package"), quiet), inline=True)
        if quiet.errors:
            return None
        root = self.folder / Path(spec.location.path).expanduser() if spec.location.path else self.folder
        definition = PackageDefinition(
            table=table,
            problems=self.problems,
            folder=root,
            manifest_path=root / "pixi.toml",
            workspace=self.workspace,
            name=name,
        )
        package = definition.package()
        return package if spec.location.path else replace(package, source=spec.location)


def _local_archive(spec: CondaSpec, folder: Path) -> CondaSpec:
    """A package archive that is named by path as the address that the rest of smelt knows."""
    if spec.url is None or "://" in spec.url or spec.is_source:
        return spec
    import os

    path = Path(spec.url).expanduser()
    return replace(spec, url=Path(os.path.normpath(path if path.is_absolute() else folder / path)).as_uri())


def _layer_problem(base: CondaSpec, overrides: CondaSpec) -> str | None:
    """Why ``overrides`` cannot be laid over the workspace's entry, or None."""
    if base.location is not None:
        for key, value in (
            ("channel", overrides.channel),
            ("file-name", overrides.file_name),
            ("license-family", overrides.license_family),
        ):
            if value is not None:
                return f"`{key}` cannot be used with the source that the workspace gives"
        given = overrides.location
        if given is not None and base.location.git is None and (given.reference is not None or given.lfs is not None):
            return "`branch`, `tag`, `rev` and `lfs` only go with `git`, and the workspace gives another source"
    elif overrides.location is not None and (overrides.location.reference is not None or overrides.location.lfs):
        return "`branch`, `tag`, `rev` and `lfs` only go with `git`, and the workspace gives no source"
    return None
