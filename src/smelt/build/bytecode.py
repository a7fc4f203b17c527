"""Python bytecode that is the same wherever and whenever it is compiled.

conda packages for one version of Python hold it. What pip and rattler-build compile names the folder of the build
and the time of the source; here the file is named relative to the prefix (the import system corrects it) and
the bytecode is valid without a time (PEP 552, unchecked hash).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from smelt.archive import Member

# Runs in the interpreter of the package: of any version, hence no annotations.
_PROGRAM = """
import json, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, target, name in json.load(sys.stdin):
    try:
        py_compile.compile(source, target, name, doraise=True, invalidation_mode=mode)
    except (py_compile.PyCompileError, UnicodeError, ValueError) as error:
        print(name + ": " + str(error).strip().splitlines()[-1])
json.dump(sys.implementation.cache_tag, sys.stderr)
"""


def is_bytecode(name: str, names: frozenset[str]) -> bool:
    """Whether the file is bytecode in ``__pycache__`` of a module that is there too."""
    path = PurePosixPath(name)
    if path.suffix != ".pyc" or path.parent.name != "__pycache__":
        return False
    return str(path.parent.parent / f"{path.name.partition('.')[0]}.py") in names


def compile_modules(
    members: Sequence[Member],
    *,
    interpreter: Path,
    scratch: Path,
    environment: Mapping[str, str],
    excluded: Iterable[str] = (),
    unsuited: frozenset[str] = frozenset(),
) -> tuple[list[Member], list[str]]:
    """Bytecode for the modules among ``members``, and a line for each that cannot be compiled.

    Not for scripts in ``bin``, for what matches a glob of ``excluded``, and for the names in ``unsuited`` (their
    text changes when they are installed). ``scratch`` is a folder to be made and filled. Raises OSError, and
    subprocess.CalledProcessError if the interpreter does not run.
    """
    is_excluded = _matcher(tuple(excluded))
    modules = [
        member
        for member in sorted(members, key=lambda member: member.name)
        if member.name.endswith(".py")
        and member.link is None
        and not member.name.startswith(("bin/", "Scripts/", "Library/bin/"))
        and member.name not in unsuited
        and not is_excluded(member.name)
    ]
    if not modules:
        return [], []
    scratch.mkdir(parents=True)
    work: list[tuple[str, str, str]] = []
    for index, member in enumerate(modules):
        source = scratch / f"{index}.py"
        source.write_bytes(member.data)
        work.append((str(source), str(scratch / f"{index}.pyc"), member.name))
    done = subprocess.run(
        [str(interpreter), "-S", "-s", "-c", _PROGRAM],
        input=json.dumps(work).encode(),
        env=dict(environment),
        cwd=scratch,
        capture_output=True,
        check=True,
    )
    tag = str(json.loads(done.stderr.splitlines()[-1]))
    compiled = [
        Member(name=_cached(member.name, tag), data=Path(target).read_bytes())
        for member, (_, target, _) in zip(modules, work, strict=True)
        if Path(target).is_file()
    ]
    return compiled, done.stdout.decode("utf-8", "replace").splitlines()


def _matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    if not globs:
        return lambda _: False
    import pathspec  # seldom needed, and slow to import

    return pathspec.GitIgnoreSpec.from_lines(globs).match_file


def _cached(name: str, tag: str) -> str:
    path = PurePosixPath(name)
    return str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc")
