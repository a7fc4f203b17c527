"""Why a package is in an environment: which requirement of the manifest brings it, through which packages."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from smelt.api.dependencies import Node, dependency_graph
from smelt.errors import UnknownNameError
from smelt.lock.model import Lock, LockedPackage, PypiPackage, SourcePackage
from smelt.lock.requirement import describe
from smelt.manifest.document import read_document
from smelt.manifest.pypi import normalize_pypi_name
from smelt.text import Place, closest
from smelt.types import CondaRecord, spec_name
from smelt.workspace.model import EffectiveEnvironment, Workspace

Scope = Literal["build", "host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A package of a chain. ``spec``: what it requires of the next one; empty for the last."""

    name: str
    version: str
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A way from the manifest to the package.

    ``requirement``: what the manifest says of the first package, ``place``: where; None where it says nothing of it
    (packages that are in the environment for no reason that can be seen). ``scope``: the package is in the build or
    host environment of the last but one package, a source package, and not beside it.
    """

    requirement: str | None
    place: Place | None
    steps: tuple[Step, ...]
    scope: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The shortest chain from each requirement of the manifest that leads to the package, shortest first."""

    name: str
    version: str
    kind: str
    environment: str
    platform: str
    chains: tuple[Chain, ...]


def explain(
    workspace: Workspace, lock: Lock, effective: EffectiveEnvironment, name: str, *, builds: bool = False
) -> Explanation:
    """Why the package ``name`` is in a locked environment; with ``builds`` also why source packages are built with it.

    Raises UnknownNameError (``unknown-package``) where it is not there, LockError where nothing is locked.
    """
    nodes = dependency_graph(lock, effective)
    requested = _Requested(workspace, effective)
    found = _named(nodes, name)
    environment, platform = effective.environment.name, effective.platform.name
    chains: list[Chain] = []
    if found is not None:
        chains = _chains(nodes, found, requested)
    node = nodes[found] if found is not None else None
    version, kind = (node.version, node.kind) if node is not None else ("", "conda")
    if builds:
        for inner, record, scope, root in _build_uses(lock, effective, name):
            version = version or inner.version
            for chain in _chains(nodes, root.name, requested):
                last = Step(name=chain.steps[-1].name, version=chain.steps[-1].version, spec=record)
                chains.append(
                    Chain(
                        requirement=chain.requirement,
                        place=chain.place,
                        steps=(*chain.steps[:-1], last, inner),
                        scope=scope,
                    )
                )
    if found is None and not chains:
        uses = _build_uses(lock, effective, name)
        raise _absent(lock, nodes, name, environment, platform, uses)
    shown = nodes[found].name if found is not None else chains[0].steps[-1].name
    return Explanation(
        name=shown,
        version=version,
        kind=kind,
        environment=environment,
        platform=platform,
        chains=tuple(sorted(chains, key=lambda chain: (chain.scope is not None, len(chain.steps)))),
    )


class _Requested:
    """What the manifest asks for, and where."""

    def __init__(self, workspace: Workspace, effective: EffectiveEnvironment) -> None:
        self._workspace = workspace
        self._effective = effective

    def of(self, node: Node) -> list[tuple[str, Place | None]]:
        """The requirements for a package."""
        if node.kind == "conda":
            return [
                (
                    describe(each.name, each.spec) + (f" @ {each.spec.location}" if each.spec.is_source else ""),
                    each.place,
                )
                for each in self._effective.dependencies
                if each.name == node.name
            ]
        asked = [each for each in self._effective.pypi_requirements if each.name == node.name]
        document = read_document(self._workspace.manifest_path) if asked and self._workspace.state is None else None
        return [
            (
                f"{each.name} {each.path or each.git or each.url or each.version or '*'}",
                document.value(each.place) if document is not None and each.place else None,
            )
            for each in asked
        ]


def _named(nodes: Mapping[str, Node], name: str) -> str | None:
    if name in nodes:
        return name
    wanted = normalize_pypi_name(name)
    return next((each for each in nodes if normalize_pypi_name(each) == wanted), None)


def _chains(nodes: Mapping[str, Node], target: str, requested: _Requested) -> list[Chain]:
    """The shortest way up from ``target`` to every package that the manifest asks for."""
    toward: dict[str, str | None] = {target: None}
    waiting = deque([target])
    found: list[Chain] = []
    while waiting:
        name = waiting.popleft()
        node = nodes[name]
        if node.direct:
            steps = _steps(nodes, name, toward)
            found += [Chain(requirement=text, place=place, steps=steps) for text, place in requested.of(node)]
        for above in node.needed_by:
            if above in nodes and above not in toward:
                toward[above] = name
                waiting.append(above)
    return found or [Chain(requirement=None, place=None, steps=_steps(nodes, target, toward))]


def _steps(nodes: Mapping[str, Node], start: str, toward: Mapping[str, str | None]) -> tuple[Step, ...]:
    steps: list[Step] = []
    name: str | None = start
    while name is not None:
        below = toward[name]
        spec = next((edge.spec for edge in nodes[name].needs if edge.name == below), "")
        steps.append(Step(name=name, version=nodes[name].version, spec=spec))
        name = below
    return tuple(steps)


def _build_uses(lock: Lock, effective: EffectiveEnvironment, name: str) -> list[tuple[Step, str, Scope, SourcePackage]]:
    """Where ``name`` is in the build or host environment of a source package of the environment."""
    found: list[tuple[Step, str, Scope, SourcePackage]] = []
    packages = lock.packages_of(effective.environment.name, effective.platform.name) or ()
    for package in packages:
        if not isinstance(package, SourcePackage):
            continue
        scopes: Sequence[tuple[Scope, Sequence[LockedPackage]]] = (
            ("build", [lock.packages[each] for each in package.build_packages]),
            ("host", [lock.packages[each] for each in package.host_packages]),
        )
        for scope, inner in scopes:
            for each in inner:
                if normalize_pypi_name(each.name) == normalize_pypi_name(name):
                    causes = [
                        other.name
                        for other in inner
                        if not isinstance(other, PypiPackage) and any(spec_name(s) == each.name for s in other.depends)
                    ]
                    text = f"{scope} environment" + (f", for {', '.join(causes)}" if causes else "")
                    version = each.version if isinstance(each, CondaRecord) else each.version or ""
                    found.append((Step(name=each.name, version=version), text, scope, package))
    return found


def _absent(
    lock: Lock,
    nodes: Mapping[str, Node],
    name: str,
    environment: str,
    platform: str,
    uses: Sequence[tuple[Step, str, Scope, SourcePackage]],
) -> UnknownNameError:
    wanted = normalize_pypi_name(name)
    elsewhere = [
        f"{other} ({where})"
        for other, locked in lock.environments.items()
        for where, references in locked.packages.items()
        if any(normalize_pypi_name(lock.packages[each].name) == wanted for each in references)
    ]
    guess = closest(name, nodes)
    if uses:
        text = f"{uses[0][3].name} is built with it: `--build` shows that"
    elif elsewhere:
        text = f"it is in {', '.join(elsewhere[:8])}{', …' if len(elsewhere) > 8 else ''}"
    elif guess is not None:
        text = f"did you mean `{guess}`?"
    else:
        text = "`smelt list` shows what is there"
    return UnknownNameError(
        f"there is no package `{name}` in environment `{environment}` on {platform}", code="unknown-package", help=text
    )
