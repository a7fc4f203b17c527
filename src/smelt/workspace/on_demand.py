"""Environments on demand: ``py312+cu13`` is composed of these features without being declared.

The name says all there is to know of it, so that an environment that is found in a lock file can be composed again.
Features go before one another in the order in which they are given. smelt's own; no declared environment can have
such a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from smelt.errors import UnknownNameError
from smelt.text import closest
from smelt.workspace.model import DEFAULT, Environment

JOINER = "+"


def is_on_demand(name: str) -> bool:
    """Whether ``name`` is that of an environment on demand."""
    return JOINER in name


def on_demand_name(text: str) -> str:
    """The name of the environment that ``text`` asks for: names that are not on demand as they are.

    Blanks around features and the default feature (which is there anyway) are left out, letters are small.
    """
    if not is_on_demand(text):
        return text
    parts = [part.strip().lower() for part in text.split(JOINER)]
    named = [part for part in parts if part != DEFAULT]
    # of one feature and the default one, the joiner still tells it from a declared environment
    return JOINER.join(named) if len(named) > 1 else JOINER.join(parts)


def compose_on_demand(text: str, features: Iterable[str], *, no_default_feature: bool = False) -> Environment:
    """The environment that ``text`` asks for. ``features``: the names of all features.

    Raises UnknownNameError: ``unknown-feature`` for features that do not exist, ``environment-on-demand`` for a text
    that says nothing sensible (an empty name, a feature twice).
    """
    known = [name for name in features if "(" not in name]
    by_name: dict[str, list[str]] = {}
    for name in known:
        by_name.setdefault(name.lower(), []).append(name)
    name = on_demand_name(text)
    chosen: list[str] = []
    for part in name.split(JOINER):
        if not part:
            raise UnknownNameError(
                f"`{text}` names no features: there is nothing on one side of a `{JOINER}`",
                code="environment-on-demand",
                help="write the names of features, as in `py312+cu13`",
            )
        feature = _feature(part, text, known, by_name)
        if feature in chosen:
            raise UnknownNameError(
                f"`{text}` has the feature `{feature}` twice",
                code="environment-on-demand",
                help="the order of features matters, so one of them has to go",
            )
        chosen.append(feature)
    if DEFAULT not in chosen and not no_default_feature:
        chosen.append(DEFAULT)
    return Environment(
        name=name,
        features=tuple(chosen),
        no_default_feature=DEFAULT not in chosen,
        on_demand=True,
    )


def _feature(part: str, text: str, known: Sequence[str], by_name: dict[str, list[str]]) -> str:
    found = by_name.get(part, [])
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownNameError(
            f"`{part}` in `{text}` may be any of the features {', '.join(f'`{each}`' for each in found)}",
            code="environment-on-demand",
            help="names on demand do not tell small letters from capitals: rename one of them",
        )
    guess = closest(part, known)
    listed = ", ".join(name for name in known if name != DEFAULT) or "none"
    raise UnknownNameError(
        f"there is no feature `{part}` for the environment `{text}`",
        code="unknown-feature",
        help=f"did you mean `{guess}`?" if guess else f"the features are {listed}",
    )
