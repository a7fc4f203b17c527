"""Bringing one large file here over a connection that breaks: what is here is not fetched again.

rattler's client asks for files as a whole; a client with the header ``Range`` asks for the rest. Whether a server
obeyed is told by what came: its length, or, where it was cut again, its beginning. The hash has the last word, with the
caller.
Source: RFC 9110, 14.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.errors import ChannelError
from smelt.fs import remove_tree
from smelt.install.download import FetchReporter, download

if TYPE_CHECKING:
    from rattler.networking.client import Client

MakeClient = Callable[[Mapping[str, str]], "Client"]
"""A client that sends these headers with every request."""

_ATTEMPTS = 4
"""That bring nothing, one after another."""

_MOST = 60
_COMPARED = 4096
_LEAST = 64


class _Rest:
    """Tells a reporter of the rest of a file as of the whole."""

    def __init__(self, reporter: FetchReporter, before: int) -> None:
        self._reporter, self._before = reporter, before

    def fetched_bytes(self, package: str, received: int) -> None:
        """So much of the rest is here."""
        self._reporter.fetched_bytes(package, self._before + received)


async def transfer(
    url: str, path: Path, size: int | None, client: Client, make_client: MakeClient, reporter: FetchReporter
) -> None:
    """Fetch what is behind ``url`` into ``path``; what is there already is taken for the beginning of it.

    ``size``: how long it is; where that is not known, or it is no ``http`` address, every attempt begins anew. As long
    as attempts bring something they are followed by others. What was fetched is *not* compared with a hash, nor with
    ``size``. Raises ChannelError (``download-failed``), OSError.
    """
    failures = 0
    for _ in range(_MOST):
        before = _length(path)
        if size is None or not 0 < before < size or not url.startswith(("http://", "https://")):
            before = 0
            path.unlink(missing_ok=True)
        try:
            if not before or size is None:
                await download(url, path, client, reporter, attempts=1)
                return
            await _resume(url, path, size, make_client({"Range": f"bytes={before}-"}), _Rest(reporter, before))
            if _length(path) == size:
                return
            path.unlink()  # neither the rest nor the whole
            failures += 1
        except ChannelError as error:
            if isinstance(error.__cause__, RuntimeError):  # an answer that is an error, after the client's own retries
                if not before:
                    raise
                path.unlink(missing_ok=True)  # perhaps it was the question for a part
            failures = 0 if _length(path) > before else failures + 1
            if failures == _ATTEMPTS:
                raise
        await asyncio.sleep(0.5 * failures)
    await download(url, path, client, reporter)


async def _resume(url: str, path: Path, size: int, client: Client, reporter: FetchReporter) -> None:
    """Fetch the rest and put it behind what is there, or the whole in its place. Raises as ``transfer``."""
    folder = path.with_name(f"{path.name}.rest")
    folder.mkdir(exist_ok=True)
    rest = folder / path.name
    try:
        await download(url, rest, client, reporter, attempts=1)
    finally:
        await asyncio.to_thread(_join, path, rest, size)
        remove_tree(folder)


def _join(path: Path, rest: Path, size: int) -> None:
    before, more = _length(path), _length(rest)
    if not more:
        return
    if more == size or (more >= _LEAST and _same_beginning(path, rest)):  # a server that sends all again
        if more > before:
            rest.replace(path)
        return
    if more < _LEAST and before + more != size:
        return  # too little to tell
    with path.open("ab") as target, rest.open("rb") as source:
        shutil.copyfileobj(source, target, 1 << 20)


def _same_beginning(path: Path, rest: Path) -> bool:
    with path.open("rb") as first, rest.open("rb") as second:
        start = second.read(_COMPARED)
        return first.read(len(start)) == start


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
