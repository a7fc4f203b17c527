"""Python scripts that say themselves what they need: a block of comments that is TOML.

The block means what a ``pyproject.toml`` with the same tables means, but for ``requires-python`` and ``dependencies``,
which stand at its top instead of in ``[project]``. So it is read, and changed, as that.
Source: PEP 723 (inline script metadata), and the reference's page "Standalone Python scripts".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from smelt.errors import Label, ManifestError
from smelt.manifest.document import Document, parse_document
from smelt.manifest.positions import find_positions
from smelt.text import SourceText

_BLOCK = re.compile(
    r"^# /// (?P<type>[a-zA-Z0-9-]+)[ \t]*$\n(?P<content>(?:^#(?:| .*)$\n)*?)^# ///[ \t]*$", re.MULTILINE
)
_HEADER = "[project]"
_INIT = "`smelt init --script` adds one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script around its block. ``before`` ends with the line that opens the block, ``after`` begins with its end.

    ``metadata``: the TOML in between. ``newline``: how its lines end.
    """

    before: str
    metadata: str
    after: str
    newline: str

    @classmethod
    def parse(cls, text: str, shown: str) -> Script | None:
        """The script with content ``text``; None where it has no block.

        Raises ManifestError (``script-metadata``) for two blocks.
        """
        newline = "\r\n" if "\r\n" in text else "\n"
        plain = text.replace("\r\n", "\n")
        found = [match for match in _BLOCK.finditer(plain) if match["type"] == "script"]
        if not found:
            return None
        source = SourceText(path=shown, text=plain)
        if len(found) > 1:
            raise ManifestError(
                f"{shown} has {len(found)} blocks of script metadata",
                code="script-metadata",
                labels=[Label(place=source.place(match.start(), len("# /// script"))) for match in found],
                help="a script has one: put them together",
            )
        start, end = found[0].span("content")
        lines = found[0]["content"].splitlines()
        metadata = "".join(f"{line[2:]}\n" for line in lines)
        return cls(before=plain[:start], metadata=metadata, after=plain[end:], newline=newline)

    @property
    def text(self) -> str:
        """The whole script."""
        block = "".join("#\n" if not line else f"# {line}\n" for line in self.metadata.splitlines())
        return f"{self.before}{block}{self.after}".replace("\n", self.newline)

    @property
    def pyproject(self) -> str:
        """The block as a ``pyproject.toml``."""
        return f"{_HEADER}\n{self.metadata}"

    def with_pyproject(self, text: str) -> Script:
        """The script with the block that ``text``, a changed ``pyproject``, stands for."""
        header, _, metadata = text.replace("\r\n", "\n").partition("\n")
        assert header == _HEADER
        return Script(before=self.before, metadata=metadata, after=self.after, newline=self.newline)

    def document(self, shown: str, name: str, channels: Sequence[str], platforms: Sequence[str]) -> Document:
        """The block as the data of a ``pyproject.toml``, with its places in the script.

        ``channels`` and ``platforms`` hold where the block says nothing of them. Raises ManifestError as
        ``parse_document``.
        """
        data = parse_document(self._layout(), shown).data
        project = cast("dict[str, object]", data.setdefault("project", {}))
        project.setdefault("name", name)
        project.setdefault("requires-python", ">=3")
        tool = data.setdefault("tool", {})
        pixi = cast("dict[str, object]", tool).setdefault("pixi", {}) if isinstance(tool, dict) else None
        workspace = cast("dict[str, object]", pixi).setdefault("workspace", {}) if isinstance(pixi, dict) else None
        if isinstance(workspace, dict):
            table = cast("dict[str, object]", workspace)
            table.setdefault("channels", list(channels))
            if not table.get("platforms"):
                table["platforms"] = list(platforms)
        source = SourceText(path=shown, text=self.text.replace("\r\n", "\n"))
        return _ScriptDocument(source, data, self._layout())

    def _layout(self) -> str:
        """TOML in which everything of the block stands where it stands in the script."""
        lines = self.before.count("\n") - 1
        block = "".join(f"  {line}\n" if line else "\n" for line in self.metadata.splitlines())
        return "\n" * lines + f"{_HEADER}\n{block}"


def require_script(text: str, shown: str) -> Script:
    """The script with content ``text``. Raises ManifestError (``script-metadata``) where it has no block."""
    script = Script.parse(text, shown)
    if script is None:
        raise ManifestError(
            f"{shown} does not contain a PEP 723 metadata block",
            code="script-metadata",
            help=f"{_INIT} to a file (`smelt init --script PATH`)",
        )
    return script


def initialized(text: str, shown: str, channels: Sequence[str]) -> str:
    """``text`` with a new block at its top, after a ``#!`` line and a line that tells the encoding.

    Raises ManifestError (``script-metadata``) where it has one.
    """
    if Script.parse(text, shown) is not None:
        raise ManifestError(
            f"{shown} is already a PEP 723 script", code="script-metadata", help="`smelt add --script` changes it"
        )
    newline = "\r\n" if "\r\n" in text else "\n"
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = plain.splitlines(keepends=True)
    head: list[str] = []
    if lines and lines[0].startswith("#!"):
        head.append(lines.pop(0))
    if lines and re.match(r"#.*?coding[:=]", lines[0]):
        head.append(lines.pop(0))
    if head:
        head.append("#\n")
    block = ['requires-python = ">=3.11"', "dependencies = []"]
    if channels:
        listed = ", ".join(f'"{channel}"' for channel in channels)
        block += ["", "[tool.pixi.workspace]", f"channels = [{listed}]"]
    text = "".join(f"# {line}\n" if line else "#\n" for line in block)
    body = "".join(lines)
    whole = f"{''.join(head)}# /// script\n{text}# ///\n" + (f"\n{body.lstrip(chr(10))}" if body else "")
    return bom + whole.replace("\n", newline)


class _ScriptDocument(Document):
    """A document whose places are told by a layout that is not the text which is shown."""

    __slots__ = ("_layout",)

    def __init__(self, source: SourceText, data: dict[str, object], layout: str) -> None:
        super().__init__(source, data)
        self._layout = layout

    def find(self, path: tuple[str | int, ...], *, of_key: bool) -> tuple[int, int]:
        """Offsets in the script: the layout has the same lines and columns, but other characters before them."""
        if self._spans is None:
            self._spans = find_positions(self._layout)
        start, end = super().find(path, of_key=of_key)
        return self._offset(start), self._offset(end)

    def _offset(self, offset: int) -> int:
        line = self._layout.count("\n", 0, offset)
        column = offset - (self._layout.rfind("\n", 0, offset) + 1)
        position = 0
        for _ in range(line):
            position = self.source.text.find("\n", position) + 1
        return position + column
