"""Fenced blocks of the pages, and sessions that run them.

What a page wants of its blocks stands where GitHub does not show it:

- ``<!-- session -->`` on a page: its marked blocks are run in order in one empty folder. Words after it, as in
  ``<!-- session: wheels python-3.13 -->``, say what it needs: ``channel`` (a local channel of this machine's Python and
  compiler at ``./channel``), ``wheels`` (the same with pip and setuptools, from PyPI), ``python-3.13`` (that
  interpreter).
- A block whose info string has ``file=NAME``: its text is written there (``append=NAME``: added at the end).
- ``console run``: lines after ``$ `` are run by bash; what follows is what they print, standard error included.
  ``exit=N``: the last command of the block ends so; ``unordered``: lines may come in any order (parallel builds).
  ``python run``: run as a script.

In expected output ``…`` stands for anything. What differs between machines and runs is compared by its kind only:
versions, hashes, sizes, times, the platform.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from smelt.types import current_platform

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md"])
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)(?P=ticks) *$", re.M | re.S
)
_SESSION = re.compile(r"<!-- session:?(?P<words>[^>]*)-->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, the words after it, its text, and where it is."""

    language: str
    words: frozenset[str]
    options: dict[str, str]
    text: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page, its blocks, and what its session needs (None: there is none)."""

    path: Path
    text: str
    blocks: tuple[Block, ...]
    needs: frozenset[str] | None

    def __str__(self) -> str:
        return self.path.relative_to(REPOSITORY).as_posix()


def read_page(path: Path) -> Page:
    """The page in ``path``."""
    text = path.read_text(encoding="utf-8")
    session = _SESSION.search(text)
    needs = frozenset(session["words"].split()) if session else None
    return Page(path=path, text=text, blocks=tuple(_blocks(text, path.name)), needs=needs)


def _blocks(text: str, name: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        language, *words = found["info"].split() or [""]
        options = dict(word.split("=", 1) for word in words if "=" in word)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(
            language=language,
            words=frozenset(word for word in words if "=" not in word),
            options=options,
            text=found["text"],
            place=f"{name}:{line}",
        )


def without_blocks(text: str) -> str:
    """The page without fenced blocks and code spans."""
    return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", text))


@dataclass(slots=True, kw_only=True)
class Session:
    """Runs the blocks of one page in ``folder``."""

    folder: Path
    environment: dict[str, str]
    cwd: Path = field(init=False)

    def __post_init__(self) -> None:
        self.cwd = self.folder

    def run(self, block: Block) -> None:
        """Write or run one block; AssertionError where it does not do what the page says."""
        text = block.text.replace("linux-64", current_platform())
        for option, mode in (("file", "w"), ("append", "a")):
            if option in block.options:
                path = self.cwd / block.options[option]
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open(mode, encoding="utf-8", newline="\n") as file:
                    file.write(text)
        if "run" not in block.words:
            return
        if block.language == "python":
            self._python(text, block.place)
        else:
            self._console(text, block)

    def _python(self, text: str, place: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=self.cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{place}\n{done.stdout}{done.stderr}"

    def _console(self, text: str, block: Block) -> None:
        steps = commands(text)
        for number, (command, expected) in enumerate(steps):
            wanted = int(block.options.get("exit", "0")) if number == len(steps) - 1 else 0
            code, output = self._shell(command)
            where = f"{block.place}: $ {command}\n"
            assert code == wanted, f"{where}ended with {code}, not {wanted}\n{output}"
            assert matches(expected, output, ordered="unordered" not in block.words), (
                f"{where}expected:\n{expected}\nprinted:\n{output}"
            )

    def _shell(self, command: str) -> tuple[int, str]:
        script = f'{command}\ncode=$?\npwd >"$DOC_CWD"\nexit $code\n'
        where = self.folder.parent / "cwd"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.cwd,
            env={**self.environment, "DOC_CWD": str(where)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if where.exists():
            self.cwd = Path(where.read_text(encoding="utf-8").strip())
        return done.returncode, done.stdout


def commands(text: str) -> list[tuple[str, str]]:
    """(command, expected output) of a console block; ``> `` continues a command."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", [])
        elif found:
            found[-1][1].append(line)
        else:
            raise AssertionError(f"output without a command: {line}")
    return [(command, "\n".join(lines)) for command, lines in found]


def matches(expected: str, output: str, *, ordered: bool = True) -> bool:
    """Whether ``output`` is what the page shows; a page that shows nothing takes anything."""
    if not expected.strip():
        return True
    lines = _normal(expected).split("\n")
    if ordered:
        return re.fullmatch("".join(map(_line, lines)), _normal(output) + "\n", re.S) is not None
    left = _normal(output).split("\n")
    for line in lines:
        if line != "…":
            found = next((each for each in left if re.fullmatch(_line(line), each + "\n")), None)
            if found is None:
                return False
            left.remove(found)
    return not left or "…" in lines


def _line(line: str) -> str:
    """A line alone as ``…`` stands for any number of lines, elsewhere for any text."""
    return r"(?:.*\n)?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"


_KINDS = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"(?<=sha256:)[0-9a-f]+", "H"),
    (r"\b\d+(\.\d+)? (ms|s|B|KiB|MiB|GiB)\b", r"N \2"),
    (r"_(cp3\d+t?|cpython)\b", "_CP"),
    (r"h[0-9a-f]{7}(?=_\d)", "H"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", "H"),
    (r"\bpy3\d+(?=H)", "py"),
    (r"\b\d+(\.\d+)+\b", "V"),
    (r"[ \t]+", " "),
    (r" $", ""),
)


def _normal(text: str) -> str:
    for pattern, kind in _KINDS:
        text = re.sub(pattern, kind, text, flags=re.M)
    return text.strip().replace(str(current_platform()), "PLATFORM").replace("linux-64", "PLATFORM")


def session_environment(root: Path) -> dict[str, str]:
    """The variables of a session: smelt on ``PATH``, a home and cache of its own, nothing that is active outside."""
    dropped = ("PIXI_", "CONDA_", "SMELT_", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    tools = str(Path(sys.executable).parent)
    return {
        **environment,
        "PIXI_HOME": str(root / "pixi-home"),
        "PATH": os.pathsep.join([tools, environment.get("PATH", "")]),
        "PIXI_CACHE_DIR": str(root / "cache"),
        "NO_COLOR": "1",
    }
