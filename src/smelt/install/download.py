"""Bringing one file here: tried again where the connection breaks, given up where nothing comes any more."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from smelt.config.network import TIMEOUT
from smelt.errors import ChannelError
from smelt.solve.network import redacted as _without_credentials

if TYPE_CHECKING:
    from rattler.networking.client import Client

_ATTEMPTS = 3


class FetchReporter(Protocol):
    """Hears how much of a file is here; ``InstallReporter`` is one."""

    def fetched_bytes(self, package: str, received: int) -> None:
        """``received`` bytes of ``package`` are here so far."""
        ...


async def download(
    url: str,
    path: Path,
    client: Client,
    reporter: FetchReporter,
    *,
    patience: float = TIMEOUT,
    attempts: int = _ATTEMPTS,
) -> Path:
    """Fetch what is behind ``url`` into the file ``path``, trying again where the connection breaks.

    Given up when nothing came for ``patience`` seconds. What was fetched is *not* compared with a hash. Raises
    ChannelError (``download-failed``), OSError.
    """
    from rattler.package_streaming import download_to_path

    for attempt in range(1, attempts + 1):
        transfer = asyncio.ensure_future(download_to_path(client, url, path))
        try:
            if await _watch(transfer, path, reporter, patience):
                return path
            raise download_error(url, path.name, f"nothing came for {patience:g} seconds")
        except RuntimeError as error:  # no connection, or an answer that is an error: the client has retried
            raise download_error(url, path.name, str(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            if attempt == attempts:  # the connection broke in the middle
                raise download_error(url, path.name, str(error)) from error
            await asyncio.sleep(attempt)
        finally:
            transfer.cancel()
    raise AssertionError("unreachable")


async def _watch(transfer: asyncio.Future[None], path: Path, reporter: FetchReporter, patience: float) -> bool:
    """Tell how ``transfer`` gets on until it ends, True then, or until nothing came for ``patience`` seconds."""
    size, moved = 0, time.monotonic()
    while not (await asyncio.wait({transfer}, timeout=0.1))[0]:
        now = path.stat().st_size if path.exists() else 0
        if now != size:
            size, moved = now, time.monotonic()
            reporter.fetched_bytes(path.name, size)
        elif time.monotonic() - moved > patience:
            return False
    transfer.result()
    return True


def download_error(url: str, name: str, text: str) -> ChannelError:
    """The error that ``name`` cannot be had from ``url``; ``text`` says why."""
    return ChannelError(
        f"cannot download {name}",
        code="download-failed",
        notes=[redacted(url), _without_credentials(text)],
        help="check the connection and that the channel still has this file; if it is gone, solve again (`smelt lock`)",
    )


def redacted(url: str) -> str:
    """``url`` without user, password and token."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path
    if path.startswith("/t/"):
        path = "/t/*****" + path[3:].partition("/")[1] + path[3:].partition("/")[2]
    return parts._replace(netloc=host, path=path).geturl()
