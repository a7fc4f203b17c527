"""What the native backends read from a package table in one way: identity, requirements, ``about``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from smelt.errors import Label, NotSupportedError, SourceError
from smelt.source.model import RenderRequest
from smelt.source.requirement import needs_v3, requirement_text
from smelt.types import CondaSpec, SourceLocation
from smelt.workspace.package import PackageRequirements, Requirement
from smelt.workspace.requirements import requirements_for


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageTables:
    """The dependency tables of one request, those under conditions on variants beside the others."""

    request: RenderRequest
    requirements: PackageRequirements

    @classmethod
    def of(cls, request: RenderRequest) -> PackageTables:
        """The tables for the platform of ``request``."""
        return cls(
            request=request,
            requirements=requirements_for(
                request.package, request.subdir, build_subdir=request.build_subdir, keep_conditions=True
            ),
        )

    def recipe(
        self,
        *,
        build: Sequence[str] = (),
        host: Sequence[str] = (),
        run: Sequence[str] = (),
        compilers: Sequence[str] = (),
        ignored_from: Sequence[str] = (),
    ) -> dict[str, object]:
        """``requirements`` of the recipe: what the tables say, and what the backend adds to it.

        Raises NotSupportedError for extra dependency groups, and for channels beside conditions on variants.
        """
        tables = self.requirements
        in_build: list[object] = [*self._items("build"), *build, *compiler_requirements(compilers, self.request)]
        in_host: list[object] = [*self._items("host"), *host]
        in_run: list[object] = [*self._items("run"), *run]
        if any(each.extra for each in self._all()):
            raise NotSupportedError(
                f"package `{self.request.package.name}` has extra dependency groups, which are not supported yet",
                labels=labels_of(self.request),
                help="remove `[package.extra-dependencies]`, or put them into `[package.run-dependencies]`",
            )
        if tables.conditional and any("channel=" in str(item) for item in (*in_build, *in_host, *in_run)):
            # Which entries are left is known only to rattler-build, whose text of them loses the channel.
            raise NotSupportedError(
                f"package `{self.request.package.name}` has requirements with a channel beside conditions on variants",
                labels=labels_of(self.request),
                help="name the channel in `[workspace] channels`, or drop the conditions",
            )
        kinds = dict.fromkeys(kind for each in self._all() for kind in each.run_exports)
        ignored = list(dict.fromkeys((*tables.ignore_run_exports_from, *ignored_from)))
        return {
            "build": in_build,
            "host": in_host,
            "run": in_run,
            "run_constraints": self._items("run_constraints"),
            "run_exports": {kind.replace("-", "_"): self._items("run_exports", kind) for kind in kinds},
            "ignore_run_exports": {"by_name": list(tables.ignore_run_exports_by_name), "from_package": ignored},
        }

    def sources(self) -> dict[str, SourceLocation]:
        """The requirements that are source packages themselves."""
        found: list[Mapping[str, Requirement]] = [
            table for each in self._all() for table in (each.build, each.host, each.run)
        ]
        return {
            name.lower(): spec.location
            for table in found
            for name, spec in table.items()
            if isinstance(spec, CondaSpec) and spec.location is not None
        }

    def _all(self) -> tuple[PackageRequirements, ...]:
        return (self.requirements, *self.requirements.conditional.values())

    def _items(self, table: str, kind: str | None = None) -> list[object]:
        """The entries of a table, those under a condition on variants as conditional entries of the recipe."""

        def texts(requirements: PackageRequirements) -> list[str]:
            found = getattr(requirements, table)
            entries = found.get(kind, {}) if kind is not None else found
            return [requirement_text(name, spec) for name, spec in entries.items()]

        items: list[object] = list(texts(self.requirements))
        for condition, requirements in self.requirements.conditional.items():
            items += [{"if": condition, "then": text} for text in texts(requirements)]
        return items


def compiler_requirements(compilers: Sequence[str], request: RenderRequest) -> list[str]:
    """The compilers, and the standard library where the variants say which."""
    found = [f"${{{{ compiler('{language}') }}}}" for language in compilers]
    if "c_stdlib" in request.variants and any(each != "go-nocgo" for each in compilers):
        found.append("${{ stdlib('c') }}")
    return found


def identity_of(
    request: RenderRequest, name: str | None = None, version: str | None = None, computed: Collection[str] = ()
) -> tuple[str, str]:
    """Name and version: the package table's, else those that the project's own files give.

    ``computed``: which of them the project computes when it is built.
    Raises SourceError (``package-name-missing``, ``package-version-missing``).
    """
    package = request.package
    found = (package.name or name or "", package.version or version or "")
    for key, value in zip(("name", "version"), found, strict=True):
        if not value.strip():
            raise SourceError(
                f"package `{package.name or package.root.name}` has no {key}",
                code=f"package-{key}-missing",
                labels=labels_of(request),
                help=f"set `{key}` in `[package]`"
                + (f": the project computes its {key} when it is built" if key in computed else ""),
            )
    return found[0].lower(), found[1]


def about_of(request: RenderRequest, **project: object | None) -> dict[str, object]:
    """``about`` of the recipe. ``project``: what the project's own files say, where the table says nothing."""
    package = request.package
    about: dict[str, object | None] = {
        "homepage": package.homepage or project.get("homepage"),
        "license": package.license or project.get("license"),
        "license_file": [package.license_file] if package.license_file else project.get("license_file") or None,
        "summary": project.get("summary"),
        "description": package.description or project.get("description"),
        "documentation": package.documentation or project.get("documentation"),
        "repository": package.repository or project.get("repository"),
    }
    return {key: value for key, value in about.items() if value is not None}


def uses_v3(request: RenderRequest, requirements: Mapping[str, object]) -> bool:
    """Whether the package says what only version 3 of repodata can."""
    texts = [str(text) for items in requirements.values() if isinstance(items, list) for text in items]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return bool(request.package.flags) or any(needs_v3(text) for text in texts)


def labels_of(request: RenderRequest) -> list[Label]:
    """Where the package says how it is built."""
    place = request.package.backend.place or request.package.place
    return [Label(place=place)] if place is not None else []
