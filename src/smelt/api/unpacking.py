"""Unpacking: what ``smelt unpack`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from smelt.pack.extractor_process import ExtractorProcess

if TYPE_CHECKING:
    from smelt.install.request import InstallReporter
    from smelt.pack.unpacking import Unpacked


def unpack(
    source: Path | IO[bytes],
    output: Path,
    *,
    name: str = "env",
    shells: Sequence[str] | None = None,
    reporter: InstallReporter | None = None,
) -> Unpacked:
    """Make the environment of a pack (a file, a folder, a stream) in ``output/name``, and its activation scripts.

    Needs no network and no workspace, and writes nowhere but to ``output``; if it fails, everything is as before.
    Raises PackError, UsageError for an unknown shell, and what installing raises.
    """
    if shells:
        from smelt.pack.scripts import check_shell

        for shell in shells:
            check_shell(shell)
    first = ExtractorProcess()  # it loads what it needs while we do
    try:
        from smelt.config.settings import load_settings
        from smelt.pack.unpacking import UnpackRequest
        from smelt.pack.unpacking import unpack as run

        settings = load_settings(None)
        request = UnpackRequest(
            pack=source,
            output=output,
            name=name,
            shells=shells,
            link_scripts=settings.run_post_link_scripts,
            refused_links=settings.refused_links,
        )
        return run(request, reporter, first)
    finally:
        first.close()
