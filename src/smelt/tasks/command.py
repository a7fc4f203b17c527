"""From a task to the text that the task shell runs.

Source: the reference's page "Advanced tasks". Quoting differs from the reference's where that would change an
argument: backslashes and quotes reach the program as they were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_NEEDS_QUOTES = frozenset("\t\r\n []")


def single_quoted(text: str) -> str:
    """``text`` as one word in which nothing has a meaning."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def double_quoted(text: str) -> str:
    """``text`` as one word in which ``$NAME`` and ``$(…)`` keep their meaning, and spaces have none.

    Backslashes that end the text stand in single quotes: before the closing quote they would take its meaning.
    """
    body = text.rstrip("\\")
    ending = text[len(body) :]
    quoted = '"' + body.replace('"', '\\"') + '"'
    return quoted + (single_quoted(ending) if ending else "")


def joined(words: Sequence[str]) -> str:
    """A command that the manifest gives as a list, as text: only words with spaces or brackets are quoted."""
    return " ".join(double_quoted(word) if not word or not _NEEDS_QUOTES.isdisjoint(word) else word for word in words)


def script_text(command: str, environment: Mapping[str, str], arguments: Sequence[str]) -> str:
    """What the shell runs: the task's variables, its command, and arguments that are passed on as they are."""
    exports = "".join(f"export {double_quoted(f'{name}={value}')}\n" for name, value in environment.items())
    extra = "".join(f" {single_quoted(argument)}" for argument in arguments)
    return f"{exports}{command}{extra}".strip()


def split_words(text: str) -> list[str] | None:
    """The words of a command line as a POSIX shell splits it, operators being words; None if a quote is open."""
    words: list[str] = []
    current: str | None = None
    index = 0
    while index < len(text):
        char = text[index]
        if char in " \t\r\n":
            if current is not None:
                words.append(current)
            current = None
        elif char == "#" and current is None:
            while index < len(text) and text[index] != "\n":
                index += 1
            continue
        elif char == "'":
            end = text.find("'", index + 1)
            if end < 0:
                return None
            current = (current or "") + text[index + 1 : end]
            index = end
        elif char == '"':
            piece, end = _in_double_quotes(text, index + 1)
            if end < 0:
                return None
            current = (current or "") + piece
            index = end
        elif char == "\\":
            if index + 1 >= len(text):
                return None
            index += 1
            if text[index] != "\n":
                current = (current or "") + text[index]
        else:
            current = (current or "") + char
        index += 1
    return [*words, current] if current is not None else words


def _in_double_quotes(text: str, index: int) -> tuple[str, int]:
    piece = ""
    while index < len(text):
        char = text[index]
        if char == '"':
            return piece, index
        if char == "\\" and text[index + 1 : index + 2] in ("$", "`", '"', "\\", "\n"):
            index += 1
            char = "" if text[index] == "\n" else text[index]
        piece += char
        index += 1
    return piece, -1
