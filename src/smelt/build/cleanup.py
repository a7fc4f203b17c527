"""Work folders are removed beside the builds that go on: unlinking an environment takes a while."""

from __future__ import annotations

import os
import queue
import threading
import time
from pathlib import Path

from smelt.fs import remove_tree

_SUFFIX = ".gone"
_ATTEMPTS = 20


class Cleanup:
    """Removes folders in a thread of its own. ``close`` waits for all of it; then nothing is left.

    What a killed process left is removed too (names end in ``.gone``).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._queue: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._count = 0
        self._failure: OSError | None = None
        if root.is_dir():
            for left in root.glob(f".*{_SUFFIX}"):
                self._put(left)

    def discard(self, folder: Path) -> None:
        """``folder`` is out of the way when this returns, and soon gone. Raises OSError."""
        if not folder.exists():
            return
        with self._lock:
            self._count += 1
            gone = folder.with_name(f".{folder.name}.{os.getpid()}.{self._count}{_SUFFIX}")
        try:
            folder.rename(gone)
        except PermissionError:  # Windows, where a file in it is still open
            remove_tree(folder)
        else:
            self._put(gone)

    def close(self) -> None:
        """Wait until everything is removed; an interrupt does not leave it half done. Raises OSError."""
        thread = self._thread
        if thread is None:
            return
        self._queue.put(None)
        interrupted: KeyboardInterrupt | None = None
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted
        if self._failure is not None:
            raise self._failure

    def _put(self, folder: Path) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cleanup")
                self._thread.start()
        self._queue.put(folder)

    def _run(self) -> None:
        while (folder := self._queue.get()) is not None:
            for attempt in range(_ATTEMPTS):
                try:
                    remove_tree(folder)
                    break
                except OSError as error:
                    # a process that was killed may end just now, or another process removes the same
                    if attempt == _ATTEMPTS - 1:
                        self._failure = error
                    time.sleep(0.05)
