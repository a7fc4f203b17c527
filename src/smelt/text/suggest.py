"""Did-you-mean suggestions."""

from __future__ import annotations

from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` is most likely a misspelling of, or None.

    Case, ``-``/``_``/``.`` differences count as nothing.
    """
    import difflib

    def fold(text: str) -> str:
        return text.lower().replace("_", "-").replace(".", "-")

    candidates = sorted(known)
    folded = {fold(candidate): candidate for candidate in reversed(candidates)}
    if fold(name) in folded:
        return folded[fold(name)]
    found = difflib.get_close_matches(fold(name), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None
