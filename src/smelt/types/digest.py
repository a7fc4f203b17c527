"""Digests: sha256 over canonical text."""

from __future__ import annotations

import json
from pathlib import Path


def canonical_json(data: object) -> str:
    """``data`` as JSON with sorted keys and no white space: equal data give equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_text(text: str) -> str:
    """Hexadecimal sha256 of ``text`` in UTF-8."""
    import hashlib  # it loads OpenSSL, and many commands need no digest

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def digest_json(data: object) -> str:
    """Hexadecimal sha256 of the canonical JSON of ``data``."""
    return sha256_text(canonical_json(data))


def sha256_file(path: Path) -> str:
    """Hexadecimal sha256 of the content of a file. Raises OSError."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
