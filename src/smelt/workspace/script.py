"""The workspace that a script is: one environment, kept in the cache, locked beside the script on request.

Source: the reference's page "Standalone Python scripts".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import ManifestError
from smelt.fs import smelt_cache
from smelt.manifest.script import Script, require_script
from smelt.text import shown_path
from smelt.types import current_platform, digest_json
from smelt.workspace.discovery import FoundManifest

FOLDER = "scripts"
LOCK_SUFFIX = ".pixi.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSource:
    """A script and where it comes from.

    ``path``: what it is called in messages and in ``PIXI_PROJECT_MANIFEST``; ``root``: what relative paths in it are
    relative to. ``transient``: it is no file of the user's, and can have no lock file.
    """

    text: str
    path: Path
    root: Path
    name: str
    transient: bool = False

    @property
    def shown(self) -> str:
        """What messages call it."""
        return str(self.path) if self.transient else shown_path(self.path)

    @property
    def lock_path(self) -> Path:
        """The lock file beside the script."""
        return self.path.with_name(f"{self.path.name}{LOCK_SUFFIX}")

    @property
    def state_folder(self) -> Path:
        """Where its environment is. A transient script has the one of all scripts that say the same of themselves."""
        script = require_script(self.text, self.shown)
        key = [script.metadata, str(self.root)] if self.transient else [str(self.path)]
        return smelt_cache() / FOLDER / f"{self.name}-{digest_json(key)[:16]}"

    def found(self, channels: Sequence[str], *, lock: bool = False) -> FoundManifest:
        """The script as the manifest of a workspace. ``channels``: those of a block that names none.

        Without ``lock`` a script that has no lock file yet is locked in the cache. Raises ManifestError.
        """
        script = require_script(self.text, self.shown)
        state = self.state_folder
        beside = not self.transient and (lock or self.lock_path.exists())
        return FoundManifest(
            path=self.path,
            kind="pyproject",
            document=script.document(self.shown, self.name, channels, [current_platform()]),
            root=self.root,
            state=state,
            lock_file=self.lock_path if beside else state / "pixi.lock",
        )


def script_file(path: Path) -> ScriptSource:
    """The script in a file. Raises ManifestError."""
    absolute = path.expanduser().absolute()
    shown = shown_path(absolute)
    if absolute.suffix != ".py":
        raise ManifestError(f"{shown} is no Python script: its name does not end in `.py`", code="script-name")
    try:
        text = absolute.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ManifestError(f"could not find the script {shown}", code="manifest-missing") from None
    except OSError as error:
        raise ManifestError(f"could not read {shown}: {error.strerror or error}", code="manifest-unreadable") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{shown} is not text in UTF-8: {error}", code="manifest-encoding") from None
    return ScriptSource(text=text, path=absolute, root=absolute.parent, name=script_name(absolute.stem))


def script_name(text: str) -> str:
    """A name that a project can have, like ``text``."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "script"


def changed_text(old: str, pyproject: str, shown: str) -> str:
    """The script ``old`` with its block changed to what ``pyproject`` says."""
    script = Script.parse(old, shown)
    assert script is not None
    return script.with_pyproject(pyproject).text
