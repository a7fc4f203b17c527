"""Strings of TOML on one line."""

from __future__ import annotations

import json


def toml_basic(value: object) -> str:
    """A text, a truth value, a number or a list of them as TOML.

    They are written alike in JSON and TOML, but for the delete character, and the pairs of surrogates by which JSON may
    write what is beyond the first 65,536 characters.
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
