"""``Lock`` → text, and old lock files → version 7: the only module of this room that knows rattler.

rattler writes the file, so that it is byte for byte what the reference would write: our data as JSON (which is
YAML) through its reader and back out; the binary packages, which are most of it, as ``smelt.lock.lines`` lays them out.
smelt's own section follows as plain YAML.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from smelt.errors import LockError
from smelt.lock import section
from smelt.lock.entry import full_entry, name_entry, plain
from smelt.lock.identity import referenced
from smelt.lock.lines import Entries, put_in
from smelt.lock.location import to_location
from smelt.lock.model import Lock, Reference
from smelt.text import SourceText
from smelt.types import CondaRecord

# JSON leaves these as they are, YAML does not accept them unescaped.
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\ufeff\ufffe\uffff]")


def to_text(lock: Lock) -> str:
    """The text of ``lock`` in version 7, with smelt's section at the end; packages that nothing uses are left out.

    Equal locks give equal text. Raises LockError (``lock-value``) for values that no lock file can hold.
    """
    used = referenced(lock)
    text = _laid_out(lock, used) or _through_rattler(_as_json(lock, used))
    sources = {identifier: lock.sources[identifier] for identifier in _used_sources(lock, used)}
    return text + section.to_text(sources, partial=lock.partial)


def _laid_out(lock: Lock, used: frozenset[Reference]) -> str | None:
    """What rattler would write, which is asked for all but the binary packages whose lines are certain.

    None where the two do not fit together. Raises LockError (``lock-value``).
    """
    maker = Entries()
    entries: dict[str, str] = {}
    made: dict[Reference, str] = {}
    for reference in used:
        package = lock.packages.get(reference)
        if reference.kind != "conda" or not isinstance(package, CondaRecord):
            continue
        location = to_location(reference.value)
        entry = maker.entry(location, package)
        if location in entries:
            return None  # two names of one address
        if entry is not None:
            entries[location] = entry
            made[reference] = location
    rows = {
        name: {
            platform: [made[reference] for reference in references if reference in made]
            for platform, references in environment.packages.items()
        }
        for name, environment in lock.environments.items()
    }
    environments = {
        name: replace(
            environment,
            packages={
                platform: tuple(reference for reference in references if reference not in made)
                for platform, references in environment.packages.items()
            },
        )
        for name, environment in lock.environments.items()
    }
    rest = replace(lock, environments=environments)
    return put_in(_through_rattler(_as_json(rest, referenced(rest))), rows, entries)


def upgrade(source: SourceText, version: int) -> str:
    """The version 7 text of a lock file of an older version. Raises LockError (``lock-syntax``)."""
    try:
        return _through_rattler(source.text)
    except LockError as error:
        raise LockError(
            f"{source.path} cannot be read as a lock file of version {version}: {error.message}",
            code="lock-syntax",
            help="remove the file and run `smelt lock` to make a new one, or restore it from version control",
        ) from None


def _through_rattler(text: str) -> str:
    from rattler import LockFile

    with tempfile.TemporaryDirectory(prefix="smelt-lock-") as folder:
        path = Path(folder) / "pixi.lock"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            LockFile.from_path(path).to_path(path)
        except (OSError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 (rattler's errors and panics have no common class)
            message = str(error).replace(str(path), "the lock file").replace(folder + os.sep, "")
            raise LockError(f"not a valid lock: {message}", code="lock-value") from None
        return path.read_text(encoding="utf-8")


def _used_sources(lock: Lock, used: frozenset[Reference]) -> list[str]:
    return [
        reference.value for reference in used if reference.kind == "conda_source" and reference.value in lock.sources
    ]


def _as_json(lock: Lock, used: frozenset[Reference]) -> str:
    data = {
        "version": 7,
        "platforms": [
            {"name": p.name, "subdir": p.subdir, "virtual-packages": list(p.virtual_packages)} for p in lock.platforms
        ],
        "environments": {
            name: {
                "channels": [
                    {"url": url, "used_env_vars": list(environment.channel_env_vars.get(url, ()))}
                    for url in environment.channels
                ],
                **({"indexes": [], **plain(environment.indexes)} if environment.indexes is not None else {}),
                "options": plain(environment.options),
                "packages": {
                    platform: [name_entry(reference) for reference in references]
                    for platform, references in environment.packages.items()
                },
            }
            for name, environment in lock.environments.items()
        },
        # What an address tells is given all the same: rattler compares and leaves it out.
        "packages": [
            full_entry(reference, package) for reference, package in lock.packages.items() if reference in used
        ],
    }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
