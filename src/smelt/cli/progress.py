"""Progress on the terminal: lines that stay for what is done, one block that is redrawn for what goes on.

Where standard error is no terminal, only the lines that stay are written.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from smelt.cli.terminal import Terminal

if TYPE_CHECKING:
    from smelt.api.reporter import Reporters
    from smelt.build.model import Artifact, BuildNode
    from smelt.errors import SmeltError
    from smelt.resolve.model import Infeasible


def reporters(terminal: Terminal) -> Reporters:
    """Reporters that draw on ``terminal``."""
    from smelt.api.reporter import Reporters

    board = Board(terminal)
    return Reporters(
        resolve=SolveProgress(board),
        build=BuildProgress(board),
        install=InstallProgress(board),
        ask=board.ask if terminal.err.isatty() and sys.stdin.isatty() else None,
    )


class Board:
    """What is going on now. May be called from several threads."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._lock = threading.Lock()
        self._live: Any = None
        self._running: dict[str, tuple[str, float, str]] = {}
        self._asking = False

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            live = self._live
        if live is None:
            self.terminal.note(text)
        elif self.terminal.verbosity >= 0:
            from rich.text import Text

            live.console.print(Text.from_ansi(text))

    def mark(self, text: str, color: str) -> str:
        """``text`` in colour, for standard error."""
        return self.terminal.style(text, color, "bold", err=True)

    def begin(self, key: str, text: str) -> None:
        """``text`` goes on from now."""
        with self._lock:
            self._running[key] = (text, time.monotonic(), "")
            self._draw()

    def _draw(self) -> None:
        if self._live is not None or self._asking or not self.terminal.live:
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self.terminal.err, highlight=False)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)
        self._live.start()

    def ask(self, question: str) -> bool:
        """Whether the user says yes; nothing is drawn meanwhile. Raises KeyboardInterrupt."""
        with self._lock:
            live, self._live, self._asking = self._live, None, True
        if live is not None:
            live.stop()
        try:
            with _interruptible():
                self.terminal.err.write(f"{question} [y/N] ")
                self.terminal.err.flush()
                return sys.stdin.readline().strip().lower() in ("y", "yes")
        finally:
            with self._lock:
                self._asking = False
                if self._running:
                    self._draw()

    def below(self, key: str, text: str) -> None:
        """The last thing known of what goes on."""
        with self._lock:
            held = self._running.get(key)
            if held is not None:
                self._running[key] = (held[0], held[1], text)

    def end(self, key: str) -> None:
        """It is over."""
        with self._lock:
            self._running.pop(key, None)
            live = self._live if not self._running else None
            if live is not None:
                self._live = None
        if live is not None:
            live.stop()

    def close(self) -> None:
        """Nothing goes on any more."""
        with self._lock:
            self._running.clear()
            live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _render(self) -> Any:
        from rich.text import Text

        lines: list[str] = []
        for text, started, last in list(self._running.values()):
            lines.append(f"  {text}  {time.monotonic() - started:.0f} s")
            if last:
                lines.append(f"      {last}")
        return Text("\n".join(lines), style="dim", no_wrap=True, overflow="ellipsis")


@contextmanager
def _interruptible() -> Generator[None]:
    """An event loop would only note Ctrl-C, and go on waiting for the answer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class SolveProgress:
    """``smelt.resolve.model.ResolveReporter``."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def solving(self, environment: str, platform: str) -> None:
        """A solve begins."""
        self._board.begin(f"solve {environment} {platform}", f"solving {environment} for {platform}")

    def solved(self, environment: str, platform: str, packages: int) -> None:
        """A solve ended."""
        self._board.end(f"solve {environment} {platform}")
        self._board.terminal.detail(f"solved {environment} for {platform}: {packages} packages")

    def failed(self, environment: str, platform: str) -> None:
        """A solve has no answer; the error comes later."""
        self._board.end(f"solve {environment} {platform}")

    def infeasible(self, environment: str, platform: str, variant: Infeasible) -> None:
        """A variant is left out."""
        self._board.terminal.detail(f"{environment} ({platform}): left out {variant}")


class BuildProgress:
    """``smelt.build.reporter.BuildReporter``."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def cached(self, node: BuildNode, artifact: Artifact) -> None:
        """It was in the store."""
        self._board.end(node.key)
        if artifact.fetched:
            self._board.say(f"{self._board.mark('✔', 'green')} {node.label} is from {artifact.origin}")
        else:
            self._board.terminal.detail(f"{node.label} is in the store")

    def waiting(self, node: BuildNode, message: str) -> None:
        """Another process builds it."""
        self._board.say(message)

    def started(self, node: BuildNode) -> None:
        """It begins."""
        text = f"building {node.label}  ({', '.join(node.wanted_by)})"
        self._board.begin(node.key, text)
        if not self._board.terminal.live:
            self._board.say(text)

    def line(self, node: BuildNode, text: str) -> None:
        """A line of its log: all of them with ``-v``, else the last one below what goes on."""
        if self._board.terminal.verbosity > 0:
            self._board.say(f"[{node.variant.name}] {text}")
        elif text.strip():
            self._board.below(node.key, text.strip())

    def finished(self, node: BuildNode, artifact: Artifact, seconds: float) -> None:
        """It is built."""
        self._board.end(node.key)
        word = "repacked" if artifact.repacked else "built"
        self._board.say(f"{self._board.mark('✔', 'green')} {word} {node.label} in {seconds:.1f} s")

    def failed(self, node: BuildNode, error: SmeltError, seconds: float) -> None:
        """It failed."""
        self._board.end(node.key)
        self._board.say(f"{self._board.mark('✘', 'red')} {node.label} failed after {seconds:.1f} s")

    def warning(self, message: str) -> None:
        """Something was healed."""
        self._board.say(f"{self._board.mark('warning', 'yellow')}: {message}")


class InstallProgress:
    """``smelt.install.request.InstallReporter``."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._sizes: dict[str, int] = {}

    def waiting(self, message: str) -> None:
        """Another process holds a lock."""
        self._board.say(message)

    def fetching(self, package: str, size: int | None) -> None:
        """A package is brought into the cache."""
        if size is not None:
            self._sizes[package] = size
        self._board.begin(f"fetch {package}", f"fetching {package}")

    def fetched_bytes(self, package: str, received: int) -> None:
        """So much of it is here."""
        size = self._sizes.get(package)
        if size:
            self._board.below(f"fetch {package}", f"{100 * received // size} % of {size / 1e6:.1f} MB")

    def fetched(self, package: str) -> None:
        """It is in the cache."""
        self._board.end(f"fetch {package}")

    def linking(self, total: int) -> None:
        """So many packages are about to be linked or removed."""
        self._board.terminal.detail(f"linking {total} packages")

    def linked(self, package: str) -> None:
        """One is linked."""

    def warning(self, message: str) -> None:
        """Something was healed."""
        self._board.say(f"{self._board.mark('warning', 'yellow')}: {message}")


class PackProgress:
    """``smelt.pack.model.PackReporter``; a context manager, at whose end nothing goes on any more."""

    def __init__(self, terminal: Terminal) -> None:
        self._board = Board(terminal)
        self._install = InstallProgress(self._board)
        self._total = 0

    def __enter__(self) -> PackProgress:
        return self

    def __exit__(self, *failure: object) -> None:
        self._board.close()

    def fetching(self, package: str, size: int | None) -> None:
        """A file is being brought here."""
        self._install.fetching(package, size)

    def fetched_bytes(self, package: str, received: int) -> None:
        """So much of it is here."""
        self._install.fetched_bytes(package, received)

    def fetched(self, package: str) -> None:
        """It is here."""
        self._install.fetched(package)

    def writing(self, total: int) -> None:
        """So many bytes are about to be written."""
        self._total = total
        self._board.begin("write", f"writing {total / 1e6:.1f} MB")

    def written(self, done: int) -> None:
        """So many are."""
        if self._total:
            self._board.below("write", f"{100 * done // self._total} %")
        if done >= self._total:
            self._board.end("write")

    def warning(self, message: str) -> None:
        """Something that the user should know."""
        self._board.say(f"{self._board.mark('warning', 'yellow')}: {message}")
