"""The error for a lock that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from smelt.errors import Label, LockOutdatedError

if TYPE_CHECKING:
    from smelt.lock.satisfiability import Mismatch


def outdated(mismatches: Sequence[Mismatch]) -> LockOutdatedError:
    """The error that says which environments do not fit the lock, and why: each reason once, with its place."""
    first, *others = mismatches
    reasons: dict[tuple[str, str], dict[str, list[str]]] = {}
    for each in others:
        place = str(each.place) if each.place is not None else ""
        reasons.setdefault((each.reason, place), {}).setdefault(each.environment, []).append(each.platform or "")
    notes: list[str] = []
    for (reason, place), where in reasons.items():
        listed = "; ".join(f"environment '{name}'" + _on(platforms) for name, platforms in where.items())
        same = reason == first.reason and place == (str(first.place) if first.place is not None else "")
        notes.append(f"{listed}: the same" if same else f"{listed}: {reason}" + (f" ({place})" if place else ""))
    return LockOutdatedError(
        f"the lock file does not fit: {first}",
        labels=[Label(place=first.place)] if first.place is not None else [],
        notes=notes,
        help="run `smelt lock` to update it",
    )


def _on(platforms: Sequence[str]) -> str:
    named = ", ".join(filter(None, platforms))
    return f" on {named}" if named else ""
