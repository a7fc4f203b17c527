"""What a prefix says about itself: our marker, and the reference's.

``conda-meta/smelt`` is written first, as "installing", and last, as "installed"; so a prefix whose installation
was cut off at any moment says so. ``conda-meta/.pixi-environment-fingerprint`` does the same for the reference
(which waits for that file's lock and writes ``pixi:installing!`` or 16 hexadecimal digits into it), so that each of
the two sees what the other did. Nothing here imports rattler: a prefix that is as it must be costs a few system
calls.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from smelt.types import CondaRecord, digest_json

FORMAT = 1
MARKER = "smelt"
FINGERPRINT = ".pixi-environment-fingerprint"
_FINGERPRINT_WIDTH = 16
_IN_PROGRESS = b"pixi:installing!"


def environment_digest(records: Iterable[CondaRecord], pypi: Mapping[str, str] | None = None) -> str:
    """The identity of an environment's contents: sha256 over the sorted URLs and hashes of its packages.

    ``pypi``: names of its PyPI packages and what tells one content of each from another.
    """
    conda = sorted([record.url, record.sha256 or record.md5 or ""] for record in records)
    return digest_json([conda, sorted(pypi.items())] if pypi else conda)


def content_key(record: CondaRecord) -> str:
    """What tells one build of a package from another: its hash, or its URL where it has none."""
    return record.sha256 or record.md5 or record.url


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixState:
    """The marker of a prefix.

    ``packages`` maps names to ``content_key``; ``records`` are the names of the files in ``conda-meta`` that
    describe them; ``pypi`` maps names of PyPI packages to what tells their contents; ``fingerprint`` is what the
    reference's marker held when ours was written.
    """

    status: Literal["installing", "installed"]
    digest: str
    prefix: str
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    records: frozenset[str] = frozenset()
    fingerprint: str = ""
    pypi: Mapping[str, str] = field(default_factory=dict[str, str])


def conda_meta(prefix: Path) -> Path:
    """``conda-meta`` of a prefix."""
    return prefix / "conda-meta"


def marker_path(prefix: Path) -> Path:
    """The marker of a prefix, whose (mtime_ns, size, inode) change with every installation."""
    return conda_meta(prefix) / MARKER


def watched_paths(prefix: Path) -> tuple[Path, ...]:
    """The files whose (mtime_ns, size, inode) tell that smelt or the reference changed the prefix."""
    return (marker_path(prefix), conda_meta(prefix) / FINGERPRINT)


def read_state(prefix: Path) -> PrefixState | None:
    """The marker of ``prefix``; None where there is none, or one that this version cannot read."""
    try:
        data: object = json.loads(marker_path(prefix).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    values = cast("dict[str, object]", data)
    if values.get("format") != FORMAT or values.get("status") not in ("installing", "installed"):
        return None
    packages = cast("dict[str, str]", values.get("packages") or {})
    records = cast("list[str]", values.get("records") or [])
    pypi = cast("dict[str, str]", values.get("pypi") or {})
    if not (_are_texts(packages, dict) and _are_texts(records, list) and _are_texts(pypi, dict)):
        return None
    return PrefixState(
        status=cast("Literal['installing', 'installed']", values["status"]),
        digest=str(values.get("digest")),
        prefix=str(values.get("prefix")),
        packages=packages,
        records=frozenset(records),
        fingerprint=str(values.get("fingerprint")),
        pypi=pypi,
    )


def _are_texts(found: object, kind: type[dict[str, str]] | type[list[str]]) -> bool:
    """Whether ``found`` is a ``kind`` of nothing but texts."""
    if not isinstance(found, kind):
        return False
    values = cast("dict[object, object]", found).values() if isinstance(found, dict) else cast("list[object]", found)
    return all(isinstance(each, str) for each in values)


def write_state(prefix: Path, state: PrefixState) -> None:
    """Replace the marker in one step. Raises OSError."""
    from smelt.fs import write_text  # imports filelock: too dear for those who only read

    data = {
        "format": FORMAT,
        "status": state.status,
        "digest": state.digest,
        "prefix": state.prefix,
        "fingerprint": state.fingerprint,
        "packages": dict(sorted(state.packages.items())),
        "records": sorted(state.records),
        **({"pypi": dict(sorted(state.pypi.items()))} if state.pypi else {}),
    }
    # the files of an environment are not waited for either; a marker that is lost has them looked at
    write_text(marker_path(prefix), json.dumps(data) + "\n", durable=False)


def record_files(prefix: Path) -> frozenset[str]:
    """Names of the package records in ``conda-meta``."""
    try:
        names = os.listdir(conda_meta(prefix))  # noqa: PTH208 - on the path that must cost nothing
    except OSError:
        return frozenset()
    return frozenset(name for name in names if name.endswith(".json"))


def is_own_file(path: str) -> bool:
    """Whether a file of a prefix (POSIX, relative) says what is installed there: no package may bring it."""
    folder, _, name = path.lower().partition("/")
    return folder == "conda-meta" and (
        name.endswith(".json") or name in (MARKER, FINGERPRINT, "pixi", "pixi_env_prefix", "history")
    )


def read_fingerprint(prefix: Path) -> str:
    """What the reference's marker holds, empty where there is none."""
    try:
        with (conda_meta(prefix) / FINGERPRINT).open("rb") as file:
            return file.read(_FINGERPRINT_WIDTH).decode("ascii", "replace")
    except OSError:
        return ""


def is_complete_fingerprint(text: str) -> bool:
    """Whether the reference's marker says that an installation was completed."""
    return len(text) == _FINGERPRINT_WIDTH and all(c in "0123456789abcdefABCDEF" for c in text)


def write_fingerprint(descriptor: int, digest: str | None) -> None:
    """Write the reference's marker through the descriptor that holds its lock: ``digest``, or "in progress".

    The reference's own value is a hash that only it can compute; any other 16 digits make it look once, find
    nothing to do, and write its own, which we then keep.
    """
    text = _IN_PROGRESS if digest is None else digest[:_FINGERPRINT_WIDTH].encode("ascii")
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text)


def is_unfinished(prefix: Path, state: PrefixState | None) -> bool:
    """Whether an installation into ``prefix`` was begun and cut off, by us or by the reference."""
    if state is not None and state.status == "installing":
        return True
    fingerprint = read_fingerprint(prefix)
    return fingerprint != "" and not is_complete_fingerprint(fingerprint)


def is_current(prefix: Path, digest: str, state: PrefixState | None = None) -> bool:
    """Whether ``prefix`` holds what ``digest`` names, as far as its markers tell.

    True only if our marker says so, it was written for this very path, nobody else installed since, and every
    package's record is still there. Files of packages are not looked at (``smelt.install.verify`` does).
    """
    state = state or read_state(prefix)
    return (
        state is not None
        and state.status == "installed"
        and state.digest == digest
        and state.prefix == str(prefix)
        and state.fingerprint == read_fingerprint(prefix)
        and state.records == record_files(prefix)
    )
