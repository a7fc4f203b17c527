"""What an extracted package says of itself, looked at before anything of it is linked.

An archive with the right hash is what its author packed. That may still be another package than the one that its
channel describes, or one that would write where no package has to write.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from smelt.errors import InstallError
from smelt.install.state import is_own_file
from smelt.types import CondaRecord

_UP = re.compile(r"(?:^|[/\\])[ .]*\.\.[ .]*(?:[/\\]|$)")  # Windows does not see spaces and dots at the end
_LEADS_OUT = re.compile(r"^(?:[/\\]|.:)", re.MULTILINE)


class Identity(NamedTuple):
    """Which package a folder says it is; the name is in lower case."""

    name: str
    version: str
    build: str


def inspect(package: Path, file_name: str, origin: str) -> Identity:
    """Which package the folder ``package`` is; ``file_name`` and ``origin`` are what errors call it.

    Raises InstallError: ``bad-archive`` for a folder that is no package, ``hostile-package`` for one that would be
    linked to places outside of a prefix, or to one that belongs to the environment itself.
    """
    root = str(package)  # as a text: pathlib would take a third of the time
    try:
        index = _data(f"{root}/info/index.json")
    except (OSError, ValueError) as error:
        raise InstallError(
            f"{file_name} is not a conda package: it has no readable info/index.json",
            code="bad-archive",
            notes=[origin, str(error)],
        ) from error
    _check_entry_points(root, file_name, origin)
    _check_reserved(root, file_name, origin)
    check_names(_listed(root), root)
    found = cast("dict[str, object]", index if isinstance(index, dict) else {})
    return Identity(str(found.get("name", "")).lower(), str(found.get("version")), str(found.get("build")))


def check_identity(record: CondaRecord, found: Identity, origin: str) -> None:
    """Raise InstallError (``bad-archive``) if the package is not the one that ``record`` describes."""
    if found != (record.name, record.version, record.build):
        raise InstallError(
            f"{record.file_name} holds another package: {' '.join(found)}",
            code="bad-archive",
            notes=[origin],
            help="the channel's index does not fit its files: index the channel again",
        )


def check_names(names: Sequence[str], package: str) -> None:
    """Raise InstallError (``hostile-package``) for a path that leads out of a prefix."""
    joined = "\n".join(names)  # all at once, and one by one only where that may be
    if ".." in joined or "\0" in joined or _LEADS_OUT.search(joined) is not None:
        for name in names:
            if _UP.search(name) is not None or "\0" in name or name.startswith(("/", "\\")) or name[1:2] == ":":
                raise InstallError(
                    f"a package would write outside the environment: {name!r}",
                    code="hostile-package",
                    notes=[package],
                    help="do not install from its channel, and tell whoever keeps it",
                )


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def _data(path: str) -> object:
    """What a file of JSON says. Raises OSError, ValueError."""
    try:
        return json.loads(_read(path))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _listed(root: str) -> Sequence[str]:
    """The paths that would be linked. What cannot be read is left to rattler, which links nothing of it."""
    try:
        data = _data(f"{root}/info/paths.json")
        listed = cast("list[dict[str, object]]", cast("dict[str, object]", data)["paths"])
        return [str(path["_path"]) for path in listed]
    except FileNotFoundError:  # a package from before there was a paths.json
        try:
            return _read(f"{root}/info/files").decode("utf-8").splitlines()
        except (OSError, ValueError):
            return ()
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _check_entry_points(root: str, file_name: str, origin: str) -> None:
    """Entry points become files in ``bin``: their names must be plain ones."""
    try:
        link = cast("dict[str, object]", _data(f"{root}/info/link.json"))
        noarch = link.get("noarch", {})
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError) as error:
        raise InstallError(
            f"{file_name} has an unreadable info/link.json", code="bad-archive", notes=[str(error)]
        ) from error
    table = cast("dict[str, object]", noarch if isinstance(noarch, dict) else {})
    for point in cast("list[object]", table.get("entry_points") or []):
        command = str(point).partition("=")[0].strip()
        if command in ("", ".", "..") or any(c in "/\\:" or ord(c) < 32 for c in command):
            raise InstallError(
                f"{file_name} has the hostile entry point {str(point)!r}",
                code="hostile-package",
                notes=[origin],
                help="do not install from its channel, and tell whoever keeps it",
            )


def _check_reserved(root: str, file_name: str, origin: str) -> None:
    """The records of what is installed are not a package's to write."""
    folder = f"{root}/conda-meta"
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) and not os.path.islink(folder) else ()  # noqa: PTH208, PTH112, PTH114
    for name in names:
        if is_own_file(f"conda-meta/{name}"):
            raise InstallError(
                f"{file_name} holds conda-meta/{name}, which belongs to the environment itself",
                code="hostile-package",
                notes=[origin],
                help="do not install from its channel, and tell whoever keeps it",
            )
