"""The PyPI indexes of a locked environment.

Source: ``rattler_lock`` (``pypi_indexes``); the reference's manifest page, "The pypi-options table".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from smelt.lock.model import LockedEnvironment
from smelt.lock.pypi_source import plain_index, same_index
from smelt.manifest.pypi import PypiOptions


def to_indexes(options: PypiOptions, default: str) -> dict[str, object]:
    """``indexes`` and ``find-links`` as the lock file has them; ``default`` where the options name no index."""
    indexes = [plain_index(url) for url in (options.index_url or default, *options.extra_index_urls)]
    links = [{kind: plain_index(text) if kind == "url" else text} for kind, text in options.find_links]
    return {"indexes": indexes, **({"find-links": links} if links else {})}


def locked_indexes(locked: LockedEnvironment) -> tuple[str, ...]:
    """The addresses that packages of an environment may be from, the default index first."""
    data = locked.indexes or {}
    return (*_texts(data.get("indexes")), *(text for kind, text in _links(locked) if kind == "url"))


def indexes_problem(
    locked: LockedEnvironment, options: PypiOptions, defaults: Callable[[], Sequence[str]] | None
) -> str | None:
    """Why the indexes of a lock are not those that are wanted, or None.

    ``defaults``: what counts as the default index; it is asked only where the manifest names none.
    """
    have = _texts((locked.indexes or {}).get("indexes"))
    if options.index_url is not None:
        firsts: Sequence[str] = (options.index_url,)
    else:
        firsts = defaults() if defaults is not None else have[:1]
    same_first = bool(have) and any(same_index(have[0], first) for first in firsts)
    extra = options.extra_index_urls
    same = same_first and len(have) == len(extra) + 1 and all(map(same_index, have[1:], extra))
    if not same:
        wanted = ", ".join(plain_index(url) for url in (*firsts[:1], *extra))
        return f"the lock file was solved with the PyPI indexes {', '.join(have) or '(none)'}, wanted are {wanted}"
    links = [(kind, plain_index(text) if kind == "url" else text) for kind, text in options.find_links]
    if links != _links(locked):
        shown = ", ".join(text for _, text in links) or "(none)"
        return f"the lock file was solved with other `find-links` than {shown}"
    return None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in cast("Sequence[object]", value or ()))


def _links(locked: LockedEnvironment) -> list[tuple[str, str]]:
    value = (locked.indexes or {}).get("find-links")
    entries = cast("Sequence[Mapping[str, str]]", value or ())
    return [(kind, text) for entry in entries for kind, text in entry.items()]
