"""A part of a locked environment: what ``install --only``, ``--skip`` and ``--skip-with-deps`` leave.

Source: the reference's page ``pixi install``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smelt.errors import UnknownNameError
from smelt.manifest.pypi import normalize_pypi_name
from smelt.text import closest

if TYPE_CHECKING:
    from smelt.api.dependencies import Node
    from smelt.lock.model import Lock
    from smelt.workspace.model import EffectiveEnvironment


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """Which packages are wanted, by names of packages.

    ``only``: these and what they need (empty: all). ``skip``: not these, but what they need. ``skip_with_deps``: not
    these, nor what only they need.
    """

    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    skip_with_deps: frozenset[str] = frozenset()

    @classmethod
    def of(cls, only: Iterable[str], skip: Iterable[str], skip_with_deps: Iterable[str]) -> Subset:
        """From names as they are typed."""
        return cls(only=_names(only), skip=_names(skip), skip_with_deps=_names(skip_with_deps))

    def __bool__(self) -> bool:
        return bool(self.only or self.skip or self.skip_with_deps)

    def names(self, lock: Lock, effective: EffectiveEnvironment) -> frozenset[str]:
        """The names of the packages that are left of a locked environment.

        Raises UnknownNameError for one of ``only`` that is not locked there; what is to be skipped need not be there.
        """
        from smelt.api.dependencies import dependency_graph

        nodes = dependency_graph(lock, effective)
        by_name = {normalize_pypi_name(name): name for name in nodes}
        missing = sorted(name for name in self.only if name not in by_name)
        if missing:
            guess = closest(missing[0], by_name)
            listed = ", ".join(f"'{name}'" for name in missing)
            raise UnknownNameError(
                f"the following `--only` packages do not exist: {listed}",
                code="unknown-package",
                help=f"did you mean `{guess}`?" if guess else "`smelt list` shows the packages of the environment",
            )
        hard = {by_name[name] for name in self.skip_with_deps if name in by_name}
        soft = {by_name[name] for name in self.skip if name in by_name}
        roots = {by_name[name] for name in self.only} or _roots(nodes)
        return frozenset(_reached(nodes, roots, hard) - soft)


def unknown_packages(names: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """Those of ``names`` that no package is called."""
    normal = _names(known)
    return tuple(name for name in names if normalize_pypi_name(name) not in normal)


def _names(texts: Iterable[str]) -> frozenset[str]:
    # conda's names and PyPI's are compared in one form: `my_package` and `my-package` are one, as for the reference
    return frozenset(map(normalize_pypi_name, texts))


def _roots(nodes: Mapping[str, Node]) -> set[str]:
    """What the manifest asks for, and whatever hangs on none of it."""
    roots = {name for name, node in nodes.items() if node.direct}
    while rest := set(nodes) - _reached(nodes, roots, set()):
        free = {name for name in rest if not any(other in rest for other in nodes[name].needed_by if other != name)}
        roots |= free or {min(rest)}
    return roots


def _reached(nodes: Mapping[str, Node], roots: Collection[str], stop: Collection[str]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in roots if name not in stop]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [edge.name for edge in nodes[name].needs if edge.name in nodes and edge.name not in stop]
    return found
