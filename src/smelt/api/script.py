"""Scripts that are run: a file, an address, or what comes on standard input.

Source: the reference's page "Standalone Python scripts".
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from smelt.errors import ChannelError, ManifestError, SourceError
from smelt.manifest.script import Script, initialized
from smelt.text import shown_path
from smelt.workspace.script import ScriptSource, script_file, script_name

if TYPE_CHECKING:
    from smelt.config.network import Network

_STATUS = re.compile(r"\b([45]\d\d)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableScript:
    """A script, and the arguments with which Python runs it. ``shown``: how to write that where it is told."""

    source: ScriptSource
    arguments: tuple[str, ...]
    shown: str


def is_transient(text: str) -> bool:
    """Whether ``--script text`` names no file."""
    return text == "-" or text.startswith(("http://", "https://"))


@contextmanager
def opened_script(text: str, network: Network) -> Generator[RunnableScript]:
    """The script that ``--script text`` means; what had to be fetched is removed afterwards.

    Raises ManifestError for one without metadata, SourceError for an address that cannot be had.
    """
    if text == "-":
        yield _from_stdin()
    elif is_transient(text):
        with tempfile.TemporaryDirectory(prefix="smelt-script-") as folder:
            yield asyncio.run(_fetched(text, Path(folder), network))
    else:
        source = script_file(Path(text))
        yield RunnableScript(source=source, arguments=(str(source.path),), shown=shown_path(source.path))


def initialize_script(path: Path, channels: Sequence[str]) -> Path:
    """Give the script at ``path`` (made if it is not there) a block of metadata. Raises ManifestError."""
    from smelt.fs import write_bytes

    absolute = path.expanduser().absolute()
    shown = shown_path(absolute)
    if absolute.suffix != ".py":
        raise ManifestError(f"{shown} is no Python script: its name does not end in `.py`", code="script-name")
    try:
        text = absolute.read_bytes().decode("utf-8") if absolute.exists() else ""
    except UnicodeDecodeError as error:
        raise ManifestError(f"{shown} is not text in UTF-8: {error}", code="manifest-encoding") from None
    new = initialized(text, shown, channels)
    absolute.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(absolute, new.encode("utf-8"))
    return absolute


def _from_stdin() -> RunnableScript:
    shown = "<stdin>"
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    if Script.parse(text, shown) is None:
        raise ManifestError(
            "stdin does not contain a PEP 723 metadata block",
            code="script-metadata",
            help="a script begins with `# /// script`; `smelt init --script PATH` writes that into a file",
        )
    source = ScriptSource(text=text, path=Path(shown), root=Path.cwd(), name="stdin", transient=True)
    return RunnableScript(source=source, arguments=("-c", text), shown="-c <stdin>")


async def _fetched(url: str, folder: Path, network: Network) -> RunnableScript:
    from smelt.api.gist import gist_file, is_gist
    from smelt.install.download import download
    from smelt.install.request import SilentReporter
    from smelt.solve.network import client, without_addresses

    safe = _without_password(url)
    parts = urlsplit(url)
    if is_gist(url):
        url = await gist_file(safe, network, os.environ)
        parts = urlsplit(url)
    name = script_name(parts.path.rstrip("/").rpartition("/")[2].removesuffix(".py"))
    path = folder / f"{name}.py"
    try:
        await download(url, path, client(network), SilentReporter())
    except ChannelError as error:
        status = _STATUS.search(without_addresses(" ".join(error.notes)))
        what = f": server returned {status[1]}" if status is not None else ""
        raise SourceError(
            f"failed to download the remote script {safe}{what}", code="script-download", notes=error.notes
        ) from error
    text = path.read_bytes().decode("utf-8", "replace")
    if Script.parse(text, safe) is None:
        raise ManifestError(
            f"the remote script at {safe} does not contain a PEP 723 metadata block",
            code="script-metadata",
            help="download it, and `smelt init --script PATH`",
        )
    source = ScriptSource(text=text, path=Path(safe), root=Path.cwd(), name=name, transient=True)
    return RunnableScript(source=source, arguments=(str(path),), shown=safe)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, mark, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"***@{host}")) if mark and user else url
