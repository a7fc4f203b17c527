"""What the user sees: results on standard output, all else on standard error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


def _wants_color(stream: TextIO, choice: str) -> bool:
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


@dataclass(slots=True, kw_only=True)
class Terminal:
    """The two output streams, whether they take colour, and how much is to be said.

    ``verbosity``: -1 quiet (errors only), 0 normal, 1 and more verbose. ``kept``: what lives as long as the process,
    because freeing it takes a while and helps nobody.
    """

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    color: str = "auto"
    verbosity: int = 0
    progress: bool = True
    kept: list[object] = field(default_factory=list[object])

    def print(self, text: str = "") -> None:
        """A line of the result (standard output)."""
        self.out.write(text + "\n")

    def note(self, text: str) -> None:
        """A line about what is going on (standard error), unless quiet."""
        if self.verbosity >= 0:
            with suppress(BrokenPipeError):  # told at the end
                self.out.flush()  # what was printed before comes before, where both go to one file
            self.err.write(text + "\n")
            self.err.flush()

    def detail(self, text: str) -> None:
        """A line that only ``-v`` shows."""
        if self.verbosity > 0:
            self.note(text)

    def warn(self, text: str) -> None:
        """A warning."""
        self.note(f"{self.style('warning', 'yellow', 'bold', err=True)}: {text}")

    @property
    def live(self) -> bool:
        """Whether progress may be drawn over itself."""
        return self.progress and self.verbosity >= 0 and self.err.isatty() and os.environ.get("TERM") != "dumb"

    def colored(self, *, err: bool = False) -> bool:
        """Whether the stream takes colours."""
        return _wants_color(self.err if err else self.out, self.color)

    def style(self, text: str, *styles: str, err: bool = False) -> str:
        """``text`` in colours, where the stream takes them."""
        if not styles or not self.colored(err=err):
            return text
        return f"\x1b[{';'.join(_CODES[s] for s in styles)}m{text}\x1b[0m"


def human_size(size: int) -> str:
    """A number of bytes in binary units."""
    number = float(size)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def program() -> str:
    """What smelt was called by on this command line: hints name a command that works."""
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]  # noqa: PTH119, PTH122 - pathlib takes 4 ms
    return name if name and not name.startswith("__") else "smelt"
