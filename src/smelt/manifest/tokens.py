"""The smallest parts of TOML 1.1 (https://toml.io/en/v1.1.0), for texts that are already known to be valid."""

from __future__ import annotations

import re

SPACE = re.compile(r"[ \t]*")
FILLER = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
LITERAL = re.compile(r"'[^'\n]*'")
MULTILINE_BASIC = re.compile(r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}')
MULTILINE_LITERAL = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}")
SCALAR = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d[^\s,\]}#]*|[^\s,\]}#]+")
STRING = re.compile(f"{MULTILINE_BASIC.pattern}|{MULTILINE_LITERAL.pattern}|{BASIC.pattern}|{LITERAL.pattern}")
INSIDE = re.compile(r"(?:[^\[\]{}\"'#]|#[^\n]*)+")


def unescape_key(token: str) -> str:
    """The name that a quoted key stands for."""
    import tomli

    return next(iter(tomli.loads(f"{token} = 0")))
