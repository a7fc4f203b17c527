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
