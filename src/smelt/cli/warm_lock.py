"""The warm path of ``smelt lock`` and ``smelt lock --check``: a lock that was found to fit, and nothing has changed.

As ``smelt.tasks.warm`` does it for ``run``: the command, once it has gone the full way, leaves a record of what it
said and of all that this rested on; the same command from the same folder, with the same variables, says it again
after a few stats. Warnings of the manifest are part of what is said. Whatever is not certain goes the full way.

Only ``sys``, ``os`` and ``marshal`` are imported.
"""

import os
import sys

from smelt.tasks import warm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LIMIT = 4 << 20


def try_lock(argv: "list[str]") -> None:
    """End the process if ``smelt <argv>`` is certain to have nothing to do; return otherwise. Never raises."""
    wanted = command_line(argv)
    if wanted is None:
        return
    try:
        manifest = _manifest(wanted[-1])
        record = _read(record_path(os.path.dirname(manifest), wanted)) if manifest else None  # noqa: PTH120
        said = _checked(record, wanted, manifest) if record is not None else None
        if said is not None:
            _say(*said)
    except (OSError, ValueError, TypeError, LookupError, EOFError, AttributeError, ImportError, MemoryError):
        return  # a record that is damaged in whatever way: the full way writes it anew


def command_line(argv: "list[str]") -> "tuple[str, ...] | None":
    """What a record is found by: the program's name, the folder, the command and ``--manifest-path`` (or nothing).

    None for options that only the full way knows, and where a record cannot be relied on.
    """
    environ = os.environ
    if sys.platform == "win32" or argv[:1] != ["lock"] or "PIXI_COLOR" in environ:
        return None
    if "PIXI_PROJECT_MANIFEST" in environ and "PIXI_IN_SHELL" in environ:
        return None
    rest = list(argv[1:])
    command = "lock"
    if "--check" in rest:
        rest.remove("--check")
        command = "lock --check"
    given = ""
    if len(rest) == 2 and rest[0] in ("--manifest-path", "-m"):
        given = rest[1]
    elif len(rest) == 1 and rest[0].startswith("--manifest-path="):
        given = rest[0][16:]
    elif rest:
        return None
    if rest and (not given or given.startswith("-")):
        return None
    return (os.path.basename(sys.argv[0]), os.getcwd(), command, given)  # noqa: PTH109, PTH119


def record_path(root: str, wanted: "tuple[str, ...]") -> str:
    """Where the record for ``wanted`` lies in the workspace ``root``."""
    return warm.record_path(root, wanted)


def write_record(
    argv: "list[str]", manifest: "Path", files: "Mapping[str, tuple[int, ...] | None]", plain: str, colored: str
) -> None:
    """Remember what ``smelt <argv>`` says of the workspace of ``manifest``. Raises OSError.

    ``files``: path → stamp of everything that this rests on, taken before it was read. ``plain``, ``colored``: what is
    said on standard error, without and with colours.
    """
    wanted = command_line(argv)
    if wanted is None or _manifest(wanted[-1]) != str(manifest):
        return
    from pathlib import Path

    from smelt.fs import write_bytes

    record = (warm.identity(), wanted, str(manifest), dict(files), _variables(), plain, colored)
    write_bytes(Path(record_path(str(manifest.parent), wanted)), warm.encode(record))


def _variables() -> "dict[str, str]":
    return {name: value for name, value in os.environ.items() if name not in warm.VOLATILE}


def _manifest(given: str) -> str:
    """The manifest that is meant: what ``given`` names, or the first on the way up; nothing where there is none."""
    path = os.path.abspath(given or ".")  # noqa: PTH100
    folders = [path if os.path.isdir(path) else os.path.dirname(path)]  # noqa: PTH112, PTH120
    while not given and folders[-1] != os.path.dirname(folders[-1]):  # noqa: PTH120
        folders.append(os.path.dirname(folders[-1]))  # noqa: PTH120
    for folder in folders:
        for name in warm.MANIFESTS:
            manifest = os.path.join(folder, name)  # noqa: PTH118
            if warm.stamp(manifest) is not None:
                # which of several it is, or whether it is of another tool, only reading them tells
                return manifest if not given or path in (folder, manifest) else ""
    return ""


def _read(path: str) -> "tuple[object, ...] | None":
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs the warm path its budget
        return warm.decode(file.read(_LIMIT))


def _checked(record: "tuple[object, ...]", wanted: "tuple[str, ...]", manifest: str) -> "tuple[str, str] | None":
    """What to say, if all that the record rests on is as it was."""
    who, words, of, files, variables, plain, colored = record
    if who != warm.identity() or words != wanted or of != manifest or variables != _variables():
        return None
    if not isinstance(files, dict) or not isinstance(plain, str) or not isinstance(colored, str):
        return None
    if any(warm.stamp(path) != expected for path, expected in files.items()):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return None
    return plain, colored


def _say(plain: str, colored: str) -> None:
    """Say it and end the process. Raises OSError where nothing was said."""
    data = os.fsencode(colored if warm.wants_color() else plain)
    while data:
        data = data[os.write(2, data) :]
    os._exit(0)
