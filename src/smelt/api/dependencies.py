"""What depends on what in a locked environment.

Source: the reference's page ``pixi tree``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from smelt.api.listing import locked_packages, requested_specs
from smelt.lock.model import Lock, LockedPackage, PypiPackage, SourcePackage
from smelt.lock.pypi import requires_dist
from smelt.lock.pypi_platform import platform_of
from smelt.manifest.pypi import normalize_pypi_name
from smelt.types import spec_name
from smelt.workspace.model import EffectiveEnvironment

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A dependency on ``name``; ``extras``: those of the dependent package that it is for (empty: always).

    ``spec``: the requirement as the package says it.
    """

    name: str
    extras: tuple[str, ...] = ()
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A package. ``direct``: the manifest asks for it."""

    name: str
    version: str
    kind: Literal["conda", "pypi"]
    direct: bool = False
    needs: tuple[Edge, ...] = ()
    needed_by: tuple[str, ...] = field(default=(), compare=False)


def dependency_graph(lock: Lock, effective: EffectiveEnvironment) -> dict[str, Node]:
    """The locked packages of an environment by name, sorted. Raises LockError where it is not locked."""
    packages = sorted(locked_packages(lock, effective), key=lambda package: _name(package))
    requested = requested_specs(effective)
    pypi = _Extras(packages, effective)
    nodes: dict[str, Node] = {}
    for package in packages:
        name = _name(package)
        version, edges = package.version, ()
        kind: Literal["conda", "pypi"] = "conda"
        if isinstance(package, PypiPackage):
            kind, edges = "pypi", pypi.edges(name)
        else:
            edges = _conda_edges(package.depends)
            locked = lock.sources.get(package.identifier) if isinstance(package, SourcePackage) else None
            version = locked.version if locked is not None else version
        nodes[name] = Node(
            name=name, version=version or "", kind=kind, direct=(kind, name) in requested, needs=_joined(edges)
        )
    needed: dict[str, list[str]] = {}
    for node in nodes.values():
        for edge in node.needs:
            needed.setdefault(edge.name, []).append(node.name)
    return {
        name: Node(
            name=name,
            version=node.version,
            kind=node.kind,
            direct=node.direct,
            needs=node.needs,
            needed_by=tuple(needed.get(name, ())),
        )
        for name, node in nodes.items()
    }


def _name(package: LockedPackage) -> str:
    return normalize_pypi_name(package.name) if isinstance(package, PypiPackage) else package.name


def _conda_edges(depends: Sequence[str]) -> list[Edge]:
    return [Edge(name=name, spec=spec) for spec in depends if not (name := spec_name(spec)).startswith("__")]


def _joined(edges: Sequence[Edge]) -> tuple[Edge, ...]:
    """Each name once; what always holds goes before what an extra wants."""
    found: dict[str, Edge] = {}
    for edge in edges:
        old = found.get(edge.name)
        if old is None:
            found[edge.name] = edge
        elif not (old.extras and edge.extras):
            found[edge.name] = Edge(name=edge.name, spec=_both(old, edge))
        else:
            extras = tuple(dict.fromkeys((*old.extras, *edge.extras)))
            found[edge.name] = Edge(name=edge.name, extras=extras, spec=_both(old, edge))
    return tuple(found.values())


def _both(first: Edge, second: Edge) -> str:
    return first.spec if first.spec == second.spec else f"{first.spec}; {second.spec}"


class _Extras:
    """The PyPI packages of an environment, and which of their extras are wanted there."""

    def __init__(self, packages: Sequence[LockedPackage], effective: EffectiveEnvironment) -> None:
        self.requires = {
            _name(package): _requirements(package) for package in packages if isinstance(package, PypiPackage)
        }
        conda = {package.name: package for package in packages if not isinstance(package, PypiPackage)}
        platform = effective.platform
        self.python = platform_of(conda, platform.subdir, platform.virtual_packages)
        self.wanted: dict[str, dict[str, None]] = {name: {} for name in self.requires}
        for requirement in effective.pypi_requirements:
            if requirement.name in self.wanted:
                self.wanted[requirement.name].update(dict.fromkeys(requirement.extras))
        changed = True
        while changed:
            changed = False
            for name, requirements in self.requires.items():
                for requirement in requirements:
                    target = self.wanted.get(normalize_pypi_name(requirement.name))
                    new = [extra for extra in sorted(requirement.extras) if target is not None and extra not in target]
                    if target is not None and new and self._holds(requirement, tuple(self.wanted[name])):
                        target.update(dict.fromkeys(new))
                        changed = True

    def edges(self, name: str) -> list[Edge]:
        """What ``name`` needs in this environment."""
        extras = tuple(self.wanted[name])
        found: list[Edge] = []
        for requirement in self.requires[name]:
            if not self._holds(requirement, extras):
                continue
            always = self._holds(requirement, ())
            causes = () if always else tuple(extra for extra in extras if self._holds(requirement, (extra,)))
            found.append(Edge(name=normalize_pypi_name(requirement.name), extras=causes, spec=str(requirement)))
        return found

    def _holds(self, requirement: Requirement, extras: tuple[str, ...]) -> bool:
        if self.python is None:  # nothing to evaluate a marker with
            return requirement.marker is None
        return self.python.holds(requirement.marker, extras)


def _requirements(package: PypiPackage) -> list[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    found: list[Requirement] = []
    for text in requires_dist(package):
        try:
            found.append(Requirement(text))
        except InvalidRequirement:
            continue  # a lock may hold what was published with mistakes: there is no edge to draw
    return found
