"""Names of conda packages (CEP 26)."""

from __future__ import annotations

import re

_NAME = re.compile(r"(?!_+$)(__)?[a-z0-9_][a-z0-9_.-]*", re.IGNORECASE)


def normalize_name(name: str) -> str:
    """The form in which conda package names are compared: lower case."""
    return name.lower()


def is_package_name(name: str) -> bool:
    """Whether ``name`` may name a conda package (CEP 26; upper case is accepted and folded)."""
    return _NAME.fullmatch(name) is not None


def spec_name(spec: str) -> str:
    """The package name at the head of a MatchSpec text, normalised (a ``channel::`` before it is passed over)."""
    head = spec.strip().rpartition("::")[2]
    for index, character in enumerate(head):
        if character in " =<>!~[;":
            return normalize_name(head[:index])
    return normalize_name(head)
