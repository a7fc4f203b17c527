"""Texts and edits that tests of editing share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus"


def corpus_manifests() -> list[Path]:
    """Every manifest of the corpus; skips the test where the corpus is not at hand."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of manifests is not beside this repository")
    names = ("pixi.toml", "pyproject.toml", "mojoproject.toml")
    found = sorted(path for path in CORPUS.rglob("*.toml") if path.name in names or path.name.endswith(names))
    assert found
    return found


def is_subsequence(small: str, big: str) -> bool:
    """Whether ``big`` is ``small`` with characters added; white space does not count."""
    rest: Iterator[str] = iter("".join(big.split()))
    return all(character in rest for character in "".join(small.split()))


def canonical(data: object) -> str:
    """Data in a form that is equal for equal data (order of keys aside)."""
    return json.dumps(data, sort_keys=True, default=repr)
