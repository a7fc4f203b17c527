"""Errors as text: the one place where they are rendered."""

from __future__ import annotations

from smelt.cli.terminal import Terminal, program
from smelt.errors import ErrorGroup, Label, SmeltError


def render(error: SmeltError, terminal: Terminal) -> str:
    """The whole text of an error: what happened, where (with the quoted line), what else, what to do."""

    def paint(text: str, *styles: str) -> str:
        return terminal.style(text, *styles, err=True)

    if isinstance(error, ErrorGroup):
        parts = [render(each, terminal) for each in error.errors]
        summary = f"{paint('error', 'red', 'bold')}: {paint(error.message, 'bold')}"
        notes = [line for note in error.notes for line in _block("note", note, terminal, "blue")]
        return "\n\n".join([*parts, "\n".join([summary, *notes])])
    lines = [f"{paint(f'error[{error.kind}]', 'red', 'bold')}: {paint(error.message, 'bold')}"]
    for label in error.labels:
        lines.extend(_quote(label, terminal))
    for note in error.notes:
        lines.extend(_block("note", note, terminal, "blue"))
    if error.help:
        lines.extend(_block("help", error.help, terminal, "cyan"))
    return "\n".join(lines)


def render_warning(warning: str, terminal: Terminal) -> str:
    """A warning, with its first place and what to do where it knows them (``ManifestWarning``)."""
    lines = [f"{terminal.style('warning', 'yellow', 'bold', err=True)}: {warning}"]
    labels: tuple[Label, ...] = getattr(warning, "labels", ())
    help: str | None = getattr(warning, "help", None)
    for label in labels[:1]:
        words = f": {label.message}" if label.message else ""
        lines.append(f"  {terminal.style('-->', 'blue', err=True)} {label.place}{words}")
    if help:
        lines.extend(_block("help", help, terminal, "cyan"))
    return "\n".join(lines)


def _block(head: str, text: str, terminal: Terminal, color: str) -> list[str]:
    name = program()
    if name != "smelt":  # a hint names a command that works
        text = text.replace("`smelt ", f"`{name} ")
    first, *rest = text.rstrip("\n").split("\n")
    indent = " " * (len(head) + 4)
    return [
        f"  {terminal.style(head, color, 'bold', err=True)}: {first}",
        *(f"{indent}{line}".rstrip() for line in rest),
    ]


def _quote(label: Label, terminal: Terminal) -> list[str]:
    place = label.place
    number = str(place.line)
    gutter = " " * len(number)
    bar = terminal.style("|", "blue", err=True)
    text = place.source.line(place.line)
    before = text[: place.column - 1]
    shown = text.replace("\t", "    ")
    offset = len(before.replace("\t", "    "))
    length = max(1, min(place.length, len(text) - place.column + 1))
    caret = terminal.style("^" * length, "red", "bold", err=True)
    message = f" {label.message}" if label.message else ""
    return [
        f" {gutter}{terminal.style('-->', 'blue', err=True)} {place}",
        f" {gutter} {bar}",
        f" {terminal.style(number, 'blue', err=True)} {bar} {shown}",
        f" {gutter} {bar} {' ' * offset}{caret}{message}",
    ]
