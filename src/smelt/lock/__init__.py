"""The lock file: model, reading, writing, satisfiability, differences.

``smelt.lock.read(path)`` and ``smelt.lock.write(lock, path)`` are what most callers need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smelt.lock.model import Lock
    from smelt.lock.reader import parse, read
    from smelt.lock.writer import write

__all__ = ["Lock", "parse", "read", "write"]
_HOMES = {"Lock": "model", "parse": "reader", "read": "reader", "write": "writer"}


def __getattr__(name: str) -> object:
    # Modules are loaded when they are asked for: importing the model must not cost the writer.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"smelt.lock.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
