"""Conditions (``if(…)``) on platforms, and what of them can be decided without a build.

The language is that of rattler-build's selectors: names of platform families, ``host_platform``,
``build_platform`` and ``target_platform`` with ``==``, ``!=``, ``in``, and ``and``, ``or``, ``not``. Everything
else (variants, functions) only a backend knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from smelt.types import platform_family

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z_]\w*)|(?P<mark>==|!=|[()\[\],])|(?P<other>\S))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformContext:
    """The platforms that a condition is decided for."""

    host: str
    build: str


class _UnknownError(Exception):
    """The condition says what cannot be decided here."""


def decide(condition: str, context: PlatformContext) -> bool | None:
    """Whether ``condition`` holds, or None if it is about more than platforms."""
    tokens = [(str(found.lastgroup), found.group().strip()) for found in _TOKEN.finditer(condition)]
    reader = _Reader(tokens, context)
    try:
        value = reader.either()
    except (_UnknownError, IndexError, RecursionError):
        return None
    return value if reader.at == len(tokens) else None


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]], context: PlatformContext) -> None:
        self.tokens = tokens
        self.context = context
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def either(self) -> bool | None:
        value = self.both()
        while self.peek() == "or":
            self.at += 1
            other = self.both()
            value = True if value or other else None if value is None or other is None else False
        return value

    def both(self) -> bool | None:
        value = self.negation()
        while self.peek() == "and":
            self.at += 1
            other = self.negation()
            value = False if value is False or other is False else None if value is None or other is None else True
        return value

    def negation(self) -> bool | None:
        if self.peek() == "not":
            self.at += 1
            value = self.negation()
            return None if value is None else not value
        return self.comparison()

    def comparison(self) -> bool | None:
        if self.peek() == "(":
            self.at += 1
            value = self.either()
            if self.take()[1] != ")":
                raise _UnknownError
            return value
        left = self.operand()
        operator = self.peek()
        if operator in ("==", "!="):
            self.at += 1
            right = self.operand()
            if left is None or right is None:
                return None
            return (left == right) == (operator == "==")
        if operator == "in" or (operator == "not" and self.tokens[self.at + 1][1] == "in"):
            self.at += 1 if operator == "in" else 2
            items = self.items()
            if left is None:
                return None
            return (left in items) == (operator == "in")
        if isinstance(left, bool) or left is None:
            return left
        raise _UnknownError

    def items(self) -> list[str]:
        found: list[str] = []
        if self.take()[1] != "[":
            raise _UnknownError
        while self.peek() != "]":
            kind, text = self.take()
            if kind == "text":
                found.append(text[1:-1])
            elif text != ",":
                raise _UnknownError
        self.at += 1
        return found

    def operand(self) -> str | bool | None:
        kind, text = self.take()
        if kind == "text":
            return text[1:-1]
        if kind != "name":
            raise _UnknownError
        if self.peek() == "(":
            return self.call()
        family = platform_family(self.context.host)
        if text in ("linux", "osx", "win", "emscripten", "wasi"):
            return family == text
        if text == "unix":
            return family not in ("win", "noarch", "wasi", "zos")
        if text == "host_platform":
            return self.context.host
        if text == "build_platform":
            return self.context.build
        if text in ("true", "True"):
            return True
        return False if text in ("false", "False") else None

    def call(self) -> None:
        """Pass over the arguments of a function, which only a backend can call."""
        depth = 0
        while True:
            _, text = self.take()
            depth += (text == "(") - (text == ")")
            if depth == 0:
                return
