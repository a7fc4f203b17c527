"""The warm path of ``smelt run``: a task of an unchanged workspace, started without importing anything.

A full run that has established everything writes a record (``smelt.tasks.record``) of what it came to: which
process, with which variables, in which folder. The next call with the same words in the same folder finds the
record, checks that nothing that went into it has changed, and becomes that process.

Checked are, each of them, and any difference means the full way:

- the record is whole, of this layout, and for exactly these words and this folder;
- the version of smelt, of Python and the platform;
- the workspace found from here is the record's (a manifest that appears between here and there counts);
- the size, times, inode and mode of every file that was read: the manifest, the lock, the markers of the prefix,
  ``.pixi/config.toml``, manifests of packages, activation scripts…, or their absence;
- the source trees of packages: the index of each tree (``smelt.source.stats``), and that it is of the same digest;
- the variables of the environment outside, but for those that change from call to call (``VOLATILE``);
- the program is still what ``PATH`` finds.

Whatever cannot be decided by this goes the full way, as does every option but ``-e``/``--environment``, a workspace
that is found through ``PIXI_PROJECT_MANIFEST``, and Windows, which cannot replace a process.

Only ``sys``, ``os`` and ``marshal`` are imported, and ``smelt.source.stats`` where source trees are to be checked.
"""

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

LAYOUT: "Final" = "smelt-warm-1"
MANIFESTS: "Final" = ("pixi.toml", "pyproject.toml", "mojoproject.toml")
VOLATILE: "Final" = frozenset(("_", "SHLVL", "PWD", "OLDPWD", "COLUMNS", "LINES"))
"""Variables that differ from call to call; a command that names one of them is not recorded."""

_FOLDER: "Final" = ".pixi/smelt/warm"
_PRIME: "Final" = 18446744073709551557
_LIMIT: "Final" = 4 << 20


def try_warm(argv: "list[str]") -> None:
    """Become the process that ``smelt <argv>`` stands for, if that is certain; return otherwise.

    Never raises, but for KeyboardInterrupt.
    """
    if sys.platform == "win32":
        return
    parsed = command_line(argv)
    if parsed is None:
        return
    try:
        cwd = os.getcwd()  # noqa: PTH109
        found = _find(cwd, key(parsed, cwd))
        if found is not None:
            _start(*found)
    except (OSError, ValueError, TypeError, LookupError, EOFError, AttributeError, ImportError, MemoryError):
        return  # a record that is damaged in whatever way: the full way writes it anew


def command_line(argv: "list[str]") -> "tuple[str, ...] | None":
    """The environment (empty: none was given) and the words of ``run …``; None for what only the full way knows."""
    if len(argv) < 2 or argv[0] != "run":
        return None
    index = 1
    environment = ""
    if argv[1] in ("-e", "--environment"):
        if len(argv) < 4:
            return None
        environment = argv[2]
        index = 3
    elif argv[1].startswith("--environment="):
        environment = argv[1][14:]
        index = 2
    if index >= len(argv) or argv[index].startswith("-") or (index > 1 and not environment):
        return None
    return (environment, *argv[index:])


def key(parsed: "tuple[str, ...]", cwd: str) -> "tuple[str, ...]":
    """What a record is found by."""
    return (cwd, *parsed)


def record_path(root: str, wanted: "tuple[str, ...]") -> str:
    """Where the record for ``wanted`` lies in the workspace ``root``."""
    return f"{root}/{_FOLDER}/{checksum(os.fsencode(chr(0).join(wanted))):016x}"


def checksum(data: bytes) -> int:
    """A number that tells data apart from damaged data (not from data that somebody makes on purpose)."""
    return int.from_bytes(b"\1" + data, "big") % _PRIME


def encode(record: "tuple[Any, ...]") -> bytes:
    """A record as the content of its file."""
    body = marshal.dumps(record)
    return b"%016x\n" % checksum(body) + body


def decode(data: bytes) -> "tuple[Any, ...] | None":
    """The record in a file's content; None where it is not whole."""
    if data[16:17] != b"\n" or int(data[:16], 16) != checksum(data[17:]):
        return None
    record: Any = marshal.loads(data[17:])
    return record if isinstance(record, tuple) else None  # pyright: ignore[reportUnknownVariableType]


def stamp(path: str) -> "tuple[int, ...] | None":
    """As ``smelt.source.stats.stamp``, without importing it."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode


def identity() -> "tuple[Any, ...]":
    """Who may use a record: this smelt on this Python."""
    from smelt import __version__

    return LAYOUT, __version__, sys.hexversion, sys.platform, sys.prefix


def _find(cwd: str, wanted: "tuple[str, ...]") -> "tuple[Any, ...] | None":
    """Look upward for the workspace and its record, as the discovery of workspaces does."""
    environ = os.environ
    if "PIXI_PROJECT_MANIFEST" in environ and "PIXI_IN_SHELL" in environ:
        return None
    passed: list[str] = []
    root = cwd
    while True:
        for name in MANIFESTS:
            manifest = f"{root}/{name}" if root != "/" else f"/{name}"
            if stamp(manifest) is not None:
                record = _read(record_path(root, wanted))
                if record is not None:
                    return _checked(record, wanted, manifest, passed)
                passed.append(manifest)  # perhaps of a package, or of another tool: the record has to know it
                break
        parent = root[: root.rfind("/")] or "/"
        if parent == root:
            return None
        root = parent


def _read(path: str) -> "tuple[Any, ...] | None":
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        size = os.fstat(file).st_size
        data = os.read(file, size) if size <= _LIMIT else b""
    finally:
        os.close(file)
    return decode(data)


def _checked(
    record: "tuple[Any, ...]", wanted: "tuple[str, ...]", manifest: str, passed: "list[str]"
) -> "tuple[Any, ...] | None":
    """The part of a record that says what to do, if all that it rests on is as it was."""
    who, words, root_manifest, files, trees, outer, action = record
    if who != identity() or words != wanted or root_manifest != manifest:
        return None
    if any(path not in files for path in passed):
        return None
    for path, expected in files.items():
        if stamp(path) != expected:
            return None
    if trees:
        from smelt.source import stats

        for path, digest in trees:
            index = stats.read(path)
            if index is None or index[stats.DIGEST] != digest:
                return None
            if not (stats.unchanged(index) and stats.git_index_unchanged(index)):
                return None
    environ = dict(os.environ)
    kept = {name: value for name, value in environ.items() if name not in VOLATILE}
    if kept != outer:
        return None
    return environ, action


def _start(environ: "dict[str, str]", action: "tuple[Any, ...]") -> None:
    clean, changed, removed, steps, argv, cwd, code = action
    environment: dict[str, str] = {} if clean else environ
    for name in removed:
        environment.pop(name, None)
    environment.update(changed)
    program = ""
    if argv:
        program = which(argv[0], cwd, environment.get("PATH", ""))
        if not program:
            return
        os.stat(cwd)  # noqa: PTH116 - raises here, before anything is printed
    color = _wants_color()
    for plain, colored, output in steps:
        _write(2, os.fsencode(colored if color else plain))
        _write(1, output)
    if not argv:
        os._exit(code)
    signal: Any = __import__("_signal")  # built in and loaded; `signal` itself is neither
    before = os.getcwd()  # noqa: PTH109
    ignored: list[int] = []
    try:
        # what Python ignores for itself means something to others
        for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
                ignored.append(number)
        os.chdir(cwd)
        os.execve(program, argv, environment)
    except OSError:
        os.chdir(before)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        raise


def which(name: str, cwd: str, path: str) -> str:
    """The executable that ``name`` means, or nothing."""
    if "/" in name:
        candidates = [name if name.startswith("/") else f"{cwd}/{name}"]
    else:
        candidates = [f"{cwd}/{f}/{name}" if f[0] != "/" else f"{f}/{name}" for f in path.split(":") if f]
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            mode = os.stat(candidate).st_mode  # noqa: PTH116
            if mode & 0o170000 == 0o100000:
                return candidate
    return ""


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _wants_color() -> bool:
    """As ``smelt.cli.terminal``, for standard error and no option."""
    environ = os.environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR") or environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return environ.get("TERM") != "dumb" and os.isatty(2)
