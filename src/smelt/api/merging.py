"""The lock file of a merge that git could not finish.

While it is not finished git keeps both files whole, which the conflict markers need not: what merged without a conflict
is in the file once, also where one side alone is no lock then. Source: git's pages "git-merge" and "gitrevisions".
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.errors import LockError
from smelt.lock.merge import sides, unite
from smelt.lock.model import Lock
from smelt.lock.platforms import align
from smelt.lock.reader import parse
from smelt.lock.satisfiability import outdated
from smelt.text import shown_path

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace


def merged(workspace: Workspace) -> tuple[Lock, Lock]:
    """What fits of both sides of the conflicts in the lock file, and the lock of our side.

    Raises LockError: ``lock-conflict`` where the markers, or what is between them, make no two lock files.
    """
    path = workspace.model.lock_path
    found = _stages(path) or sides(path.read_text(encoding="utf-8").replace("\r\n", "\n"))
    try:
        if found is None:
            raise LockError("the markers do not belong together", code="lock-conflict")
        ours, theirs = (align(parse(text, shown_path(path)), workspace.model) for text in found)
    except LockError as error:
        raise LockError(
            f"{shown_path(path)} has merge conflicts that do not separate two lock files",
            code="lock-conflict",
            notes=[error.message],
            help="take either side whole (`git checkout --ours` or `--theirs`) and run `smelt lock`",
        ) from error
    misfits = tuple(outdated(workspace.model, workspace.check(each, remember=False)) for each in (ours, theirs))
    return unite(ours, theirs, (misfits[0], misfits[1])), ours


def _stages(path: Path) -> tuple[str, str] | None:
    """Our file and theirs as git has them; None where it has not (no repository, or the file was added already)."""
    git = shutil.which("git")
    if git is None:
        return None
    found: list[str] = []
    for stage in (2, 3):
        command = [git, "-c", "core.fsmonitor=false", "cat-file", "blob", f":{stage}:./{path.name}"]
        done = subprocess.run(command, cwd=path.parent, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            return None
        try:
            found.append(done.stdout.decode("utf-8").replace("\r\n", "\n"))
        except UnicodeDecodeError:
            return None
    return found[0], found[1]
