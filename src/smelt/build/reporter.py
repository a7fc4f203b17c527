"""What a run of builds tells while it goes on."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from smelt.build.model import Artifact, BuildNode
from smelt.errors import SmeltError


class BuildReporter(Protocol):
    """Called one call at a time, from the threads that supervise the builds; calls must be quick."""

    def cached(self, node: BuildNode, artifact: Artifact) -> None:
        """The artifact was in the store (or another process has built it while this one waited)."""
        ...

    def waiting(self, node: BuildNode, message: str) -> None:
        """Another process builds it; ``message`` says which."""
        ...

    def started(self, node: BuildNode) -> None:
        """Its build begins."""
        ...

    def line(self, node: BuildNode, text: str) -> None:
        """A line of its log, paths replaced by ``$PREFIX`` and the like."""
        ...

    def finished(self, node: BuildNode, artifact: Artifact, seconds: float) -> None:
        """It is built and stored."""
        ...

    def failed(self, node: BuildNode, error: SmeltError, seconds: float) -> None:
        """It failed; the error is raised later."""
        ...

    def warning(self, message: str) -> None:
        """Something that is healed but should be known."""
        ...


class SilentReporter:
    """Tells nothing."""

    def cached(self, node: BuildNode, artifact: Artifact) -> None:
        """Nothing."""

    def waiting(self, node: BuildNode, message: str) -> None:
        """Nothing."""

    def started(self, node: BuildNode) -> None:
        """Nothing."""

    def line(self, node: BuildNode, text: str) -> None:
        """Nothing."""

    def finished(self, node: BuildNode, artifact: Artifact, seconds: float) -> None:
        """Nothing."""

    def failed(self, node: BuildNode, error: SmeltError, seconds: float) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""


class SerialReporter:
    """A reporter that is called by one thread at a time."""

    def __init__(self, reporter: BuildReporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._reporter, name)

        def call(*arguments: Any) -> None:
            with self._lock:
                method(*arguments)

        return call
