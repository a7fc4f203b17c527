"""What packages that are unpacked in the package cache say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast


def unpacked_exports(cache: Path, name: str, version: str, build: str) -> dict[str, Any] | None:
    """The run-exports of a package, as in ``run_exports.json``; None where it is not unpacked in ``cache``.

    Raises OSError, ValueError.
    """
    unpacked = cache / "pkgs" / f"{name}-{version}-{build}"
    if not (unpacked / "info" / "index.json").is_file():
        return None
    exports = unpacked / "info" / "run_exports.json"
    return cast("dict[str, Any]", json.loads(exports.read_text("utf-8"))) if exports.is_file() else {}
