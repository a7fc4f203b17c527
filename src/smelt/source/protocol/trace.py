"""What a backend was told and what it answered, as files for those who write backends.

One folder for each conversation, ``<.pixi>/bld/<package>/<digest of platform and variant>/debug``; it holds the last
one. The names of the files are the reference's: ``project_model.json``, and ``…_params.json``, ``…_response.json`` or
``…_error.json`` of ``conda_outputs`` and ``conda_build_v1``; beside them those of ``initialize``, which it does not
have. Nothing is read from them again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from smelt.fs import remove_tree
from smelt.types import digest_json

FOLDER = "bld"
_DEBUG = "debug"
_STEMS = {"initialize": "initialize", "conda/outputs": "conda_outputs", "conda/build_v1": "conda_build_v1"}


class Trace:
    """Writes a conversation into ``folder``, which is made. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def params(self, method: str, params: Mapping[str, object]) -> None:
        """What was sent."""
        if "projectModel" in params:
            self.write("project_model", params["projectModel"])
        self._step(method, "params", params)

    def response(self, method: str, result: Mapping[str, object]) -> None:
        """What came back."""
        self._step(method, "response", result)

    def error(self, method: str, error: object) -> None:
        """What came back where it failed."""
        self._step(method, "error", error)

    def write(self, name: str, value: object) -> None:
        """``<name>.json``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
        (self._folder / f"{name}.json").write_text(text + "\n", encoding="utf-8", errors="surrogateescape")

    def _step(self, method: str, what: str, value: object) -> None:
        stem = _STEMS.get(method)
        if stem is not None:
            self.write(f"{stem}_{what}", value)


def trace_folder(root: Path, package: str, identity: object) -> Path:
    """Where the last conversation about ``package`` is. ``identity`` (JSON) tells those of one package apart."""
    return root / package / digest_json(identity)[:11] / _DEBUG


def deliver(folder: Path, target: Path) -> None:
    """Put the conversation ``folder`` in the place ``target`` of the one before; nothing if there was none.

    Only a help to people: where it cannot be written nothing is lost.
    """
    if not folder.is_dir():
        return
    with suppress(OSError):
        remove_tree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, target)
