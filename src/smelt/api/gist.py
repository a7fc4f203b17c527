"""A gist that is named by its page: which of its files is meant, and where that is.

Source: the reference's page "Standalone Python scripts".
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from smelt.errors import ChannelError, SourceError
from smelt.solve.network import client, without_addresses

if TYPE_CHECKING:
    from smelt.config.network import Network

API = "https://api.github.com"
HOST = "gist.github.com"
TOKEN = "PIXI_GITHUB_TOKEN"
_STATUS = re.compile(r"\b([45]\d\d)\b")


def is_gist(url: str) -> bool:
    """Whether ``url`` is the page of a gist (not a file of it)."""
    return urlsplit(url).hostname == HOST


def gist_path(url: str) -> str:
    """The gist in the words of the API: its number, and its revision if the page has one. Raises SourceError."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    found = parts[1:3] if len(parts) > 1 else parts[:1]
    if not found or not re.fullmatch(r"[0-9a-zA-Z]+", found[0]):
        raise SourceError(
            f"{url} is not the page of a gist",
            code="script-download",
            help=f"an address is like https://{HOST}/USER/NUMBER; the address of a raw file will do, too",
        )
    revision = found[1:] if len(found) > 1 and re.fullmatch(r"[0-9a-f]{40}", found[1]) else []
    return "/".join([found[0], *revision])


async def gist_file(url: str, network: Network, environ: Mapping[str, str], *, api: str = API) -> str:
    """The address of the file that the gist at ``url`` is about: the first Python file, else the first one.

    ``PIXI_GITHUB_TOKEN`` of ``environ`` goes to ``api`` and nowhere else. Raises SourceError (``script-download``).
    """
    from smelt.install.download import download
    from smelt.install.request import SilentReporter

    path = gist_path(url)
    headers = {"Accept": "application/vnd.github+json", "User-Agent": "smelt"}
    token = environ.get(TOKEN)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with tempfile.TemporaryDirectory(prefix="smelt-gist-") as folder:
        answer = Path(folder, "answer.json")
        try:
            await download(f"{api}/gists/{path}", answer, client(network, headers=headers), SilentReporter())
        except ChannelError as error:
            status = _STATUS.search(without_addresses(" ".join(error.notes)))
            told = f": server returned {status[1]}" if status is not None else ""
            raise SourceError(
                f"failed to resolve the gist {url}{told}",
                code="script-download",
                notes=error.notes,
                help=f"a private gist, and many requests from one address, need a token in {TOKEN}",
            ) from error
        files = _files(answer.read_bytes(), url)
    chosen = next((name for name in files if name.lower().endswith(".py")), None) or next(iter(files), None)
    if chosen is None:
        raise SourceError(f"the gist {url} has no files", code="script-download")
    return files[chosen]


def _files(answer: bytes, url: str) -> dict[str, str]:
    """Address by name of file, in the order of the gist."""
    try:
        data: object = json.loads(answer)
        files = cast("dict[str, dict[str, dict[str, object]]]", data)["files"]
        found = {str(file["filename"]): str(file["raw_url"]) for file in files.values()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"the answer about the gist {url} makes no sense", code="script-download") from error
    if not all(address.startswith(("https://", "http://")) for address in found.values()):
        raise SourceError(f"the answer about the gist {url} names files that are no addresses", code="script-download")
    return found
