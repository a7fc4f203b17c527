"""The warm path of ``smelt run``: a task of an unchanged workspace, started without importing anything.

A full run that has established everything writes a record (``smelt.tasks.record``) of what it came to: which
processes, with which variables, in which folders, and which tasks had nothing to do. The next call with the same words
in the same folder finds the record, checks that nothing that went into it has changed, starts all processes but the
last one after the other, and becomes the last one.

Checked are, each of them, and any difference means the full way:

- the record is whole, of this layout, and for exactly these words and this folder;
- the version of smelt, of Python and the platform;
- the workspace found from here is the record's (a manifest that appears between here and there counts);
- the size, times, inode and mode of every file that was read: the manifest, the lock, the markers of the prefix,
  ``.pixi/config.toml``, manifests of packages, activation scripts…, or their absence;
- the source trees of packages: the index of each tree (``smelt.source.stats``), and that it is of the same digest;
- the files that the inputs and outputs of skipped tasks name, the folders that were looked through for them, and
  what is remembered of their last run;
- the variables of the environment outside, but for those that change from call to call (``VOLATILE``);
- every program is still what ``PATH`` finds.

Whatever cannot be decided by this goes the full way, as does every option but ``-e``/``--environment`` and ``FLAGS``, a
workspace that is found through ``PIXI_PROJECT_MANIFEST``, and Windows, which cannot replace a process.

Only ``sys``, ``os`` and ``marshal`` are imported, and ``smelt.source.stats`` where source trees are to be checked.
"""

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

LAYOUT: "Final" = "smelt-warm-2"
MANIFESTS: "Final" = ("pixi.toml", "pyproject.toml", "mojoproject.toml")
FLAGS: "Final" = frozenset(
    ("--as-is", "--clean-env", "--executable", "--frozen", "--locked", "--no-install", "--skip-deps", "-x")
)
"""Options of ``run`` that change what is run, or how the environment comes about, and nothing else."""
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
    """The environment (empty: none was given), the flags in one text, and the words of ``run …``.

    None for what only the full way knows.
    """
    if argv[:1] != ["run"]:
        return None
    index = 1
    environment = ""
    flags: list[str] = []
    while index < len(argv) and argv[index].startswith("-"):
        option = argv[index]
        if option in FLAGS:
            flags.append(option)
        elif environment:
            return None
        elif option in ("-e", "--environment"):
            index += 1
            environment = argv[index] if index < len(argv) else ""
            if not environment:
                return None
        elif option.startswith("--environment=") and len(option) > 14:
            environment = option[14:]
        else:
            return None
        index += 1
    if index >= len(argv):
        return None
    return (environment, " ".join(sorted(flags)), *argv[index:])


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
    who, words, root_manifest, files, trees, outer, steps = record
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
    return environ, steps


def _start(environ: "dict[str, str]", steps: "tuple[Any, ...]") -> None:
    """Do what a record says. Returns, or raises OSError, only where nothing has been started yet."""
    ready: list[Any] = []
    for _, _, _, _, process in steps:
        if not process:
            ready.append(None)
            continue
        clean, changed, removed, argv, cwd = process
        environment: dict[str, str] = {} if clean else dict(environ)
        for name in removed:
            environment.pop(name, None)
        environment.update(changed)
        if not which(argv[0], cwd, environment.get("PATH", "")):
            return
        os.stat(cwd)  # noqa: PTH116 - raises here, before anything is printed
        ready.append((argv, cwd, environment))
    color = wants_color()
    last = len(steps) - 1
    runner = _Runner()
    for index, (plain, colored, output, code, _) in enumerate(steps):
        result: int = code
        try:
            _write(2, os.fsencode(colored if color else plain))
            _write(1, output)
            if ready[index] is not None:
                argv, cwd, environment = ready[index]
                # looked up again: what ran before may have made it
                program = which(argv[0], cwd, environment.get("PATH", ""))
                if not program:
                    result = 127
                    _write(2, os.fsencode(f"{argv[0]}: command not found\n"))
                elif index < last:
                    result = runner.run(program, argv, cwd, environment)
                elif not runner.stopped:
                    _become(program, argv, cwd, environment)
        except OSError as error:
            if not runner.ran:
                raise
            os._exit(_failed(error))  # what has run must not run again: there is no way back to the full way
        if result or runner.stopped or index == last:
            os._exit(result or runner.stopped)


def _failed(error: OSError) -> int:
    try:  # noqa: SIM105 - importing contextlib costs the warm path its budget
        _write(2, os.fsencode(f"smelt: {error}\n"))
    except OSError:
        pass  # nobody listens
    return 1


def _become(program: str, argv: "list[str]", cwd: str, environment: "dict[str, str]") -> None:
    """Never returns. Raises OSError, with everything as it was."""
    signal: Any = __import__("_signal")  # built in and loaded; `signal` itself is neither
    before = os.getcwd()  # noqa: PTH109
    ignored = _ignored_by_python(signal)
    try:
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)
        os.chdir(cwd)
        os.execve(program, argv, environment)
    except OSError:
        os.chdir(before)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        raise


class _Runner:
    """Runs processes one after the other and passes signals on to them, as ``smelt.tasks.shell.jobs`` does.

    ``ran``: whether there was one; ``stopped``: 128 + the signal that asked to stop, 0 if none did.
    """

    def __init__(self) -> None:
        self.ran = False
        self.stopped = 0
        self._child = 0
        self._terminal = False
        self._pending = 0

    def run(self, program: str, argv: "list[str]", cwd: str, environment: "dict[str, str]") -> int:
        """The exit code of a process. Raises OSError where it cannot be started."""
        signal: Any = __import__("_signal")
        if not self.ran:
            self._terminal = os.isatty(0)
            for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"):
                number = getattr(signal, name)
                if signal.getsignal(number) != signal.SIG_IGN:
                    signal.signal(number, self._handle)
        folder = os.getcwd()  # noqa: PTH109
        os.chdir(cwd)
        try:
            self._child = os.posix_spawn(program, argv, environment, setsigdef=_ignored_by_python(signal))
        finally:
            os.chdir(folder)
        self.ran = True
        pending, self._pending = self._pending, 0
        if pending:
            os.kill(self._child, pending)
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code

    def _handle(self, number: int, frame: object) -> None:
        if self._child and self._terminal and number in (2, 3):
            return  # SIGINT, SIGQUIT: the terminal has sent it to the child as well, which may use it for something
        if number in (1, 2, 3, 15) and not self.stopped:
            self.stopped = 128 + number
        if self._child:
            try:  # noqa: SIM105 - as above
                os.kill(self._child, number)
            except OSError:
                pass  # it has just ended
        else:
            self._pending = number


def _ignored_by_python(signal: "Any") -> "list[int]":
    """What Python ignores for itself, and what means something to others."""
    numbers = [getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ")]
    return [each for each in numbers if each is not None and signal.getsignal(each) == signal.SIG_IGN]


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


def wants_color() -> bool:
    """As ``smelt.cli.terminal``, for standard error and no option."""
    environ = os.environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR") or environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return environ.get("TERM") != "dumb" and os.isatty(2)
