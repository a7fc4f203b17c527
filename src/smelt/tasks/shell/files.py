"""The built-in commands that handle files and streams: cat, cp, head, mkdir, mv, rm, xargs."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

from smelt.tasks.shell.builtins import Builtin, BuiltinError, Call, classify, unsupported, values_only
from smelt.tasks.shell.launch import WINDOWS, write

_BLOCK = 65536
_TICK = 0.1


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _blocks(call: Call, name: str) -> Iterator[bytes]:
    """The content of a file, or of standard input for ``-``. Raises OSError."""
    if name == "-":
        while _readable(call) and (block := os.read(call.streams.stdin, _BLOCK)):
            yield block
        return
    with Path(call.state.path(name)).open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _readable(call: Call) -> bool:
    """Wait until standard input has something (or its end); False where a signal asked to stop.

    A pipe from another command is read to its end: that command got the signal too, and may have more to say.
    On Windows nothing can be polled; the console ends the read by itself.
    """
    if WINDOWS or call.streams.stdin != 0:
        return True
    while call.jobs.stopped is None:
        if select.select([call.streams.stdin], [], [], _TICK)[0]:
            return True
    return False


def _cat(call: Call) -> int:
    code = 0
    for name in values_only(call.args) or ["-"]:
        blocks = _blocks(call, name)
        while True:
            try:
                block = next(blocks, None)
            except OSError as error:
                call.complain(f"cat: {name}: {_reason(error)}")
                code = 1
                break
            if block is None:
                break
            write(call.streams.stdout, block)
    return call.jobs.stopped if call.streams.stdin == 0 and call.jobs.stopped is not None else code


def _head(call: Call) -> int:
    name: str | None = None
    count = 10
    kinds = iter(classify(call.args))
    for kind, text in kinds:
        if kind == "value":
            if name is not None:
                raise BuiltinError("only one file is supported for now")
            name = text
        elif (kind, text) == ("short", "n"):
            following, value = next(kinds, ("short", ""))
            if following != "value":
                raise BuiltinError("expected a value following -n")
            count = _line_count(value, "-n")
        elif kind == "long" and text.startswith("lines="):
            count = _line_count(text.removeprefix("lines="), "--lines")
        elif kind == "long" and text == "lines":
            raise BuiltinError("expected a value for --lines")
        else:
            raise unsupported(kind, text)
    name = name or "-"
    try:
        return _first_lines(call, name, count) if count >= 0 else _all_but_last(call, name, -count)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BuiltinError(f"{name}: {_reason(error)}") from error


def _line_count(text: str, flag: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise BuiltinError(f"expected a numeric value following {flag}") from error


def _first_lines(call: Call, name: str, count: int) -> int:
    if count == 0:
        return 0
    for block in _blocks(call, name):
        lines = block.split(b"\n")
        if len(lines) > count:
            write(call.streams.stdout, b"\n".join(lines[:count]) + b"\n")
            return 0
        count -= len(lines) - 1
        write(call.streams.stdout, block)
    return 0


def _all_but_last(call: Call, name: str, skipped: int) -> int:
    lines = b"".join(_blocks(call, name)).splitlines(keepends=True)
    write(call.streams.stdout, b"".join(lines[: max(0, len(lines) - skipped)]))
    return 0


def _mkdir(call: Call) -> int:
    parents = False
    names: list[str] = []
    for kind, text in classify(call.args):
        if kind == "value":
            names.append(text)
        elif (kind, text) in (("short", "p"), ("long", "parents")):
            parents = True
        else:
            raise unsupported(kind, text)
    if not names:
        raise BuiltinError("missing operand")
    for name in names:
        path = Path(call.state.path(name))
        try:
            path.mkdir(parents=parents, exist_ok=parents)
        except OSError as error:
            raise BuiltinError(f"cannot create directory '{name}': {_reason(error)}") from error
    return 0


def _rm(call: Call) -> int:
    flags: set[str] = set()
    names: list[str] = []
    known = {("short", "r"): "r", ("short", "R"): "r", ("long", "recursive"): "r"}
    known |= {("short", "f"): "f", ("long", "force"): "f", ("short", "d"): "d", ("long", "dir"): "d"}
    for kind, text in classify(call.args):
        if kind == "value":
            names.append(text)
        elif (kind, text) in known:
            flags.add(known[kind, text])
        else:
            raise unsupported(kind, text)
    if not names:
        raise BuiltinError("missing operand")
    for name in names:
        try:
            _remove(Path(call.state.path(name)), flags)
        except FileNotFoundError as error:
            if "f" not in flags:
                raise BuiltinError(f"cannot remove '{name}': {_reason(error)}") from error
        except OSError as error:
            # 123: on Windows a name that no file can have, as a glob that matched nothing
            if not ("f" in flags and getattr(error, "winerror", None) == 123):
                raise BuiltinError(f"cannot remove '{name}': {_reason(error)}") from error
    return 0


def _remove(path: Path, flags: set[str]) -> None:
    if path.is_dir() and not path.is_symlink():
        if "r" in flags:
            import shutil  # costs 10 ms: only where it is used

            shutil.rmtree(path)
            return
        if "d" in flags:
            path.rmdir()
            return
        raise IsADirectoryError(None, "Is a directory")
    path.unlink()


def _last_component(name: str) -> str:
    separators = "/\\" if os.sep == "\\" else "/"
    stripped = name.rstrip(separators)
    return stripped[max(stripped.rfind(separator) for separator in separators) + 1 :]


def _operations(call: Call, names: list[str], refused: tuple[str, ...]) -> list[tuple[str, str, Path, Path]]:
    """What goes where: (source, destination) as they were written, then as paths."""
    verb = {"cp": "copy", "mv": "move"}[call.name]
    if not names:
        raise BuiltinError("missing file operand")
    if len(names) == 1:
        raise BuiltinError(f"missing destination file operand after '{names[0]}'")
    *sources, target = names
    for source in sources:
        last = _last_component(source)
        if last in refused:
            raise BuiltinError(f"cannot {verb} '{source}': refusing to {verb} '{last}'")
        if not last:
            raise BuiltinError(f"cannot {verb} '{source}': the source has no final path component")
    destination = Path(call.state.path(target))
    if len(sources) > 1 and not destination.is_dir():
        raise BuiltinError(f"target '{target}' is not a directory")
    operations: list[tuple[str, str, Path, Path]] = []
    for source in sources:
        path = Path(call.state.path(source))
        into = destination
        # a trailing `.` means the content of the folder, as with GNU cp
        if destination.is_dir() and _last_component(source) != ".":
            into = destination / path.name
        operations.append((source, target, path, into))
    return operations


def _cp(call: Call) -> int:
    recursive = False
    names: list[str] = []
    for kind, text in classify(call.args):
        if kind == "value":
            names.append(text)
        elif (kind, text) in (("short", "r"), ("short", "R"), ("long", "recursive")):
            recursive = True
        else:
            raise unsupported(kind, text)
    for source, target, path, into in _operations(call, names, ("..",)):
        try:
            _copy(path, into, recursive=recursive)
        except OSError as error:
            raise BuiltinError(f"could not copy {source} to {target}: {_reason(error)}") from error
        except BuiltinError as error:
            raise BuiltinError(f"could not copy {source} to {target}: {error}") from error
    return 0


def _copy_file(source: str | Path, target: Path) -> None:
    import shutil

    shutil.copy(source, target)


def _copy(source: Path, target: Path, *, recursive: bool) -> None:
    if os.path.normpath(source) == os.path.normpath(target) or (
        target.exists() and source.exists() and target.samefile(source)
    ):
        raise BuiltinError("source and destination are the same")
    if not source.is_dir():
        _copy_file(source, target)
        return
    if not recursive:
        raise BuiltinError("source was a directory; maybe specify -r")
    if target.is_file():
        raise BuiltinError("destination was a file")
    if target.is_symlink():
        raise BuiltinError("no support for copying to symlinks")
    if source.is_symlink():
        raise BuiltinError("no support for copying from symlinks")
    if target.resolve().is_relative_to(source.resolve()):
        raise BuiltinError("cannot copy a directory into itself")
    _copy_folder(source, target)


def _copy_folder(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _copy_folder(Path(entry.path), target / entry.name)
            elif entry.is_file(follow_symlinks=False):
                _copy_file(entry.path, target / entry.name)


def _mv(call: Call) -> int:
    for source, target, path, into in _operations(call, values_only(call.args), (".", "..")):
        try:
            path.replace(into)
        except OSError as error:
            raise BuiltinError(f"could not move {source} to {target}: {_reason(error)}") from error
    return 0


def _xargs(call: Call) -> int:
    initial: list[str] = []
    delimiter: str | None = None
    null = False
    args = list(call.args)
    while args:
        arg = args.pop(0)
        if arg in ("-0", "--null"):
            null = True
        elif arg == "-d":
            if not args:
                raise BuiltinError("expected delimiter argument following -d")
            delimiter = _delimiter(args.pop(0))
        elif arg.startswith("--delimiter="):
            delimiter = _delimiter(arg.removeprefix("--delimiter="))
        elif arg == "--":
            initial = args
            break
        elif arg.startswith("-") and arg != "-":
            raise BuiltinError(f"unsupported flag: {arg}")
        else:
            initial = [arg, *args]
            break
    if null and delimiter is not None:
        raise BuiltinError("cannot specify both null and delimiter flag")
    text = os.fsdecode(b"".join(_blocks(call, "-")))
    if null or delimiter is not None:
        found = text.split(delimiter or "\0")
        if not found[-1]:
            found.pop()
    else:
        found = _blank_separated(text)
    return call.run([*(initial or ["echo"]), *found])


def _delimiter(text: str) -> str:
    escapes = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\", "\\0": "\0"}
    if text in escapes:
        return escapes[text]
    if not text:
        raise BuiltinError("expected non-empty delimiter")
    if text.startswith("\\"):
        raise BuiltinError("unsupported/not implemented escape character")
    if len(text) > 1:
        raise BuiltinError(f"expected a single byte char delimiter. Found: {text}")
    return text


def _blank_separated(text: str) -> list[str]:
    """Words separated by spaces, tabs and line ends, with quotes and backslashes."""
    words: list[str] = []
    current = ""
    index = 0
    while index < len(text):
        char = text[index]
        index += 1
        if char in " \t\n":
            if current:
                words.append(current)
            current = ""
        elif char in "'\"":
            end = text.find(char, index)
            if end < 0 or "\n" in text[index:end]:
                raise BuiltinError(
                    "unmatched quote; by default quotes are special to xargs unless you use the -0 option"
                )
            current += text[index:end]
            index = end + 1
        elif char == "\\" and text[index : index + 1] in tuple(" \t\n'\""):
            current += text[index]
            index += 1
        else:
            current += char
    return [*words, current] if current else words


FILE_BUILTINS: dict[str, Builtin] = {
    "cat": _cat,
    "cp": _cp,
    "head": _head,
    "mkdir": _mkdir,
    "mv": _mv,
    "rm": _rm,
    "xargs": _xargs,
}
