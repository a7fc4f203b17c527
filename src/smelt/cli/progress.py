"""Progress on the terminal: lines that stay for what is done, one block that is redrawn for what goes on.

Where standard error is no terminal, only the lines that stay are written.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from smelt.cli.terminal import Terminal

if TYPE_CHECKING:
    from smelt.build.model import Artifact, BuildNode
    from smelt.errors import SmeltError
    from smelt.resolve.model import Infeasible


class Progress:
    """The reporter of the commands (``smelt.api.reporter.Reporter``). May be called from several threads."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()
        self._live: Any = None
        self._running: dict[str, tuple[str, float, str]] = {}

    # solving

    def solving(self, environment: str, platform: str) -> None:
        """A solve begins."""
        self._begin(f"solve {environment} {platform}", f"solving {environment} for {platform}")

    def solved(self, environment: str, platform: str, packages: int) -> None:
        """A solve ended."""
        self._end(f"solve {environment} {platform}")
        self._terminal.detail(f"solved {environment} for {platform}: {packages} packages")

    def infeasible(self, environment: str, platform: str, variant: Infeasible) -> None:
        """A variant is left out."""
        self._terminal.detail(f"{environment} ({platform}): left out {variant}")

    # building

    def started(self, node: BuildNode) -> None:
        """A build begins."""
        label = f"{node.label}  ({', '.join(node.wanted_by)})"
        self._begin(node.key, f"building {label}")
        if not self._terminal.live:
            self._terminal.note(f"building {label}")

    def log(self, node: BuildNode, line: str) -> None:
        """A line of a build's log."""
        if self._terminal.verbosity > 0:
            self._terminal.note(f"[{node.variant.name}] {line}")
            return
        with self._lock:
            held = self._running.get(node.key)
            if held is not None:
                self._running[node.key] = (held[0], held[1], line.strip())

    def finished(self, node: BuildNode, artifact: Artifact) -> None:
        """A build ended well."""
        seconds = self._end(node.key)
        self._say(f"{self._mark('✔', 'green')} built {node.label} in {seconds:.1f} s")

    def failed(self, node: BuildNode, error: SmeltError) -> None:
        """A build failed."""
        self._end(node.key)
        self._say(f"{self._mark('✘', 'red')} failed {node.label}")

    def cached(self, node: BuildNode, artifact: Artifact) -> None:
        """A build was in the store."""
        self._terminal.detail(f"{node.label} is in the store")

    def warned(self, message: str) -> None:
        """Something is odd, and was dealt with."""
        self._say(f"{self._mark('warning', 'yellow')}: {message}")

    # installing

    def installing(self, environment: str) -> None:
        """What follows is for this environment."""
        self._terminal.detail(f"installing {environment}")

    def waiting(self, message: str) -> None:
        """Another process holds a lock."""
        self._say(message)

    def fetching(self, package: str, size: int | None) -> None:
        """A package is brought into the cache."""
        self._begin(f"fetch {package}", f"fetching {package}")

    def fetched_bytes(self, package: str, received: int) -> None:
        """So much of it is here."""

    def fetched(self, package: str) -> None:
        """It is in the cache."""
        self._end(f"fetch {package}")

    def linking(self, total: int) -> None:
        """So many packages are about to be linked or removed."""
        self._terminal.detail(f"linking {total} packages")

    def linked(self, package: str) -> None:
        """One is linked."""

    # inside

    def _mark(self, text: str, color: str) -> str:
        return self._terminal.style(text, color, "bold", err=True)

    def _say(self, text: str) -> None:
        with self._lock:
            live = self._live
        if live is not None:
            from rich.text import Text

            live.console.print(Text.from_ansi(text))
        else:
            self._terminal.note(text)

    def _begin(self, key: str, text: str) -> None:
        if not self._terminal.live:
            with self._lock:
                self._running[key] = (text, time.monotonic(), "")
            return
        with self._lock:
            self._running[key] = (text, time.monotonic(), "")
            if self._live is None:
                from rich.console import Console
                from rich.live import Live

                console = Console(file=self._terminal.err, highlight=False)
                self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)
                self._live.start()

    def _end(self, key: str) -> float:
        with self._lock:
            _, started, _ = self._running.pop(key, ("", time.monotonic(), ""))
            live = self._live if not self._running else None
            if live is not None:
                self._live = None
        if live is not None:
            live.stop()
        return time.monotonic() - started

    def _render(self) -> Any:
        from rich.text import Text

        lines: list[str] = []
        for text, started, last in list(self._running.values()):
            lines.append(f"  {text}  {time.monotonic() - started:.0f} s")
            if last:
                lines.append(f"      {last}")
        return Text("\n".join(lines), style="dim", no_wrap=True, overflow="ellipsis")
