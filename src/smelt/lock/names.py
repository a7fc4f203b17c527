"""The names of the locked environments, without reading the whole lock file."""

from __future__ import annotations

import re
from pathlib import Path

_SECTION = re.compile(rb"^environments:[ \t]*\r?\n((?:(?:[ \t#].*)?\r?\n)*)", re.MULTILINE)
_NAME = re.compile(rb"^  (?! )[\"']?([^\"'\r\n:]+?)[\"']?:[ \t]*\r?$", re.MULTILINE)


def locked_environment_names(path: Path) -> tuple[str, ...]:
    """The environments that the lock file ``path`` has, told from its layout, as rattler writes it.

    Empty where there is no such file, where it cannot be read, or where it is laid out otherwise: who reads all of it
    says what is wrong with it.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return ()
    section = _SECTION.search(data)
    if section is None:
        return ()
    return tuple(name.decode("utf-8", "replace") for name in _NAME.findall(section[1]))
