"""Whether a program of a channel may be run to find out what a package is.

A workspace says itself which channels it uses: those of its manifest and of packages in folders count as trusted, as
everything that it installs comes from them. A package of somewhere else (git, an archive) that brings a channel of its
own makes programs run which nobody here has chosen; for those somebody is asked once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from smelt.config.files import local_file
from smelt.config.settings import Settings
from smelt.errors import SourceError
from smelt.fs import write_text
from smelt.source.protocol.tool import ToolRequest
from smelt.workspace.channel import channel_url

SETTING = "tool.smelt.trusted-backend-channels"
VARIABLE = "SMELT_TRUSTED_BACKEND_CHANNELS"
_EVERY = "*"
_REFERENCE = (
    "https://conda.anaconda.org/conda-forge/",
    "https://prefix.dev/conda-forge/",
    "https://prefix.dev/pixi-build-backends/",
)
"""Where the reference's own backends are, which its documentation has everybody name."""


class BackendTrust:
    """What the settings trust, and what somebody said who was asked.

    ``root``: the workspace that keeps a yes in its own configuration; None where there is none. ``ask`` puts a question
    to the user; None where there is nobody to ask.
    """

    def __init__(self, settings: Settings, root: Path | None, ask: Callable[[str], bool] | None) -> None:
        self._root = root
        self._ask = ask
        said = settings.trusted_backend_channels
        self._every = _EVERY in said
        base = root or Path.cwd()
        self._trusted = {*_REFERENCE, *(channel_url(each, base) for each in (*said, *settings.default_channels))}

    def require(self, request: ToolRequest) -> None:
        """Raise SourceError (``backend-untrusted``) unless the backend may be installed and run."""
        others = [channel for channel in request.untrusted if channel not in self._trusted]
        if self._every or not others:
            return
        where = ", ".join(others)
        problem = (
            f"package `{request.package}` ({request.origin}) is built by the program `{request.name}` of "
            f"{'a channel' if len(others) == 1 else 'channels'} that this workspace does not use: {where}"
        )
        if self._ask is not None and self._ask(f"{problem}\nInstall it and run it?"):
            self._trusted.update(others)
            self._remember(others)
            return
        raise SourceError(
            problem,
            code="backend-untrusted",
            notes=["a backend is run to find out what a package needs, also where nothing is built"],
            help=f"if you trust {'it' if len(others) == 1 else 'them'}: "
            + "; ".join(f"`smelt config append --local {SETTING} {each}`" for each in others)
            + f" (or {VARIABLE})",
        )

    def _remember(self, channels: list[str]) -> None:
        if self._root is None:
            return
        from smelt.config.editing import extend_setting  # what edits TOML, for one who is asked

        path = local_file(self._root)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for channel in channels:
            text = extend_setting(text, path, SETTING, channel, front=False)
        write_text(path, text)
