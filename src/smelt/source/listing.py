"""Which files belong to a source tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pathspec

from smelt.errors import SourceError

EXCLUDED_FOLDERS = frozenset({".git", ".pixi", "__pycache__"})
"""Never part of a tree, whatever globs say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of a tree and what decides about them.

    ``root`` ends with ``/`` (it is the file itself where the tree is one file); ``files`` and ``folders`` are
    relative to it, POSIX, sorted: ``root + path`` is a path. ``folders``: every folder in which a new file could
    belong to the tree. ``watched``: files elsewhere that decide what is ignored, there or not. ``git_index``:
    git's lists of tracked files.
    """

    root: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    watched: tuple[str, ...] = ()
    git_index: tuple[str, ...] = ()


def list_tree(root: Path, globs: Sequence[str] = ()) -> Listing:
    """The tree at ``root``, an absolute path without symbolic links. Raises SourceError if there is nothing."""
    if root.is_file():
        return Listing(root=str(root), files=("",), folders=())
    if not root.is_dir():
        raise SourceError(
            f"there is no source folder `{root}`",
            code="source-missing",
            help="correct the path in the manifest, or create the folder",
        )
    git = _git_listing(root)
    base = git if git is not None else _plain_listing(root)
    files = set(base.files)
    folders = set(base.folders)
    if globs:
        patterns = Patterns.of(globs)
        if patterns.adds:
            # Only now does it matter what is inside ignored folders.
            everything, every_folder = _walk(root, lambda path, is_folder: False)
            folders.update(every_folder)
        else:
            everything = base.files
        files = {path for path in everything if patterns.takes(path, path in files)}
    return Listing(
        root=f"{root}/" if not str(root).endswith("/") else str(root),
        files=tuple(sorted(files)),
        folders=tuple(sorted(folders)),
        watched=base.watched,
        git_index=base.git_index,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """Globs that add files to a tree and take files away; the last that matches decides.

    ``pattern`` adds files even if they are ignored, ``!pattern`` takes files away, ``&pattern`` takes them back unless
    they are ignored. Patterns are gitignore's (a folder stands for all in it), with braces as in the reference.
    """

    rules: tuple[tuple[str, pathspec.GitIgnoreSpec], ...]

    @classmethod
    def of(cls, globs: Sequence[str]) -> Patterns:
        """From texts, the last one first."""
        rules: list[tuple[str, pathspec.GitIgnoreSpec]] = []
        for glob in reversed(globs):
            kind = glob[:1] if glob[:1] in ("!", "&") else ""
            lines = expand_braces(glob[len(kind) :])
            rules.append((kind, pathspec.GitIgnoreSpec.from_lines(lines)))
        return cls(rules=tuple(rules))

    @property
    def adds(self) -> bool:
        """Whether ignored files may come in."""
        return any(kind == "" for kind, _ in self.rules)

    def takes(self, path: str, known: bool) -> bool:
        """Whether ``path`` belongs to the tree; ``known``: whether it does where no glob matches."""
        for kind, spec in self.rules:
            if spec.match_file(path):
                return known if kind == "&" else kind == ""
        return known


def expand_braces(glob: str) -> tuple[str, ...]:
    """``**/*.{c,h}`` as ``**/*.c`` and ``**/*.h``: the reference's globs know braces, gitignore's do not."""
    found = _BRACES.search(glob)
    if found is None:
        return (glob,)
    head, tail = glob[: found.start()], glob[found.end() :]
    parts = (f"{head}{part}{tail}" for part in found[1].split(","))
    return tuple(dict.fromkeys(each for part in parts for each in expand_braces(part)))


_BRACES = re.compile(r"(?<!\\)\{([^{}]*,[^{}]*)\}")


def _is_excluded(name: str, is_folder: bool) -> bool:
    return name in EXCLUDED_FOLDERS if is_folder else name.endswith(".pyc") or name == ".git"


def _walk(root: Path, ignored: Callable[[str, bool], bool]) -> tuple[list[str], list[str]]:
    """Files and folders below ``root`` that neither we nor ``ignored(path, is_folder)`` exclude."""
    files: list[str] = []
    folders: list[str] = [""]
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = list(os.scandir(root / prefix if prefix else root))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SourceError(
                f"cannot read `{root / prefix}`: {error.strerror or error}", code="source-unreadable"
            ) from error
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            path = f"{prefix}{entry.name}"
            if _is_excluded(entry.name, is_folder) or ignored(path, is_folder):
                continue
            if is_folder:
                folders.append(path)
                pending.append(f"{path}/")
            else:
                files.append(path)
    return files, folders


# --- git ---------------------------------------------------------------------------------------------------------


def _git_listing(root: Path) -> Listing | None:
    """What git says; None where there is no git or ``root`` is not inside a work tree."""
    executable = shutil.which("git")
    if executable is None or not any((parent / ".git").exists() for parent in (root, *root.parents)):
        return None
    paths = _git(
        executable,
        root,
        "rev-parse",
        "--path-format=absolute",
        "--show-toplevel",
        "--git-path",
        "index",
        "--git-path",
        "info/exclude",
    )
    said = paths.decode("utf-8", "surrogateescape").split("\n") if paths is not None else []
    if len(said) != 4:  # the last one is empty; more of them where a name holds a line break
        return None
    top, index, exclude, _ = said
    listed = _git(executable, root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    ignored = _git(executable, root, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    if listed is None or ignored is None:
        return None
    inside = root != Path(top) and not listed
    if inside and _git(executable, Path(top), "check-ignore", "--quiet", str(root)) is not None:
        # A tree that lies in a folder which its repository ignores as a whole (`build/`, a scratch folder) is
        # not part of that repository: what git would list of it is nothing at all.
        own = _plain_listing(root)
        watched = [exclude, *_parent_ignores(root, Path(top)), *_global_excludes(executable, root)]
        return replace(own, watched=tuple(dict.fromkeys([*own.watched, *watched])))
    names = set(_split(listed))
    ignored_folders = {name.rstrip("/") for name in _split(ignored) if name.endswith("/")}
    # A tracked file inside an ignored folder belongs to the tree, so that folder must be entered.
    entered = {parent for name in names for parent in _parents(name)}
    closed = ignored_folders - entered
    found, folders = _walk(root, lambda path, is_folder: is_folder and path in closed)
    files = {path for path in found if path in names}
    watched = [exclude, *_parent_ignores(root, Path(top)), *_global_excludes(executable, root)]
    git_index = [index]
    # Submodules and repositories inside this one appear as one name: they are trees of their own.
    for name in sorted(names):
        nested = root / name.rstrip("/")
        if nested == root or not nested.is_dir() or nested.is_symlink():
            continue
        prefix = name.rstrip("/")
        inner = _git_listing(nested) if (nested / ".git").exists() else _plain_listing(nested)
        if inner is None:
            inner = _plain_listing(nested)
        files.update(f"{prefix}/{path}" for path in inner.files)
        folders.extend(f"{prefix}/{path}".rstrip("/") for path in inner.folders)
        watched.extend(inner.watched)
        git_index.extend(inner.git_index)
    return Listing(
        root=str(root),
        files=tuple(files),
        folders=tuple(folders),
        watched=tuple(dict.fromkeys(watched)),
        git_index=tuple(git_index),
    )


def _git(executable: str, folder: Path, *arguments: str) -> bytes | None:
    """The output of a git command that only reads; None where it fails (for example: not a repository)."""
    command = [
        executable,
        # Reading a list of names is safe in a folder that somebody else owns (a container's volume)…
        "-c",
        "safe.directory=*",
        # …because nothing that the repository configures is run.
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.quotePath=false",
        "--no-optional-locks",
        *arguments,
    ]
    environment = {key: value for key, value in os.environ.items() if key not in _GIT_VARIABLES}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None


# Set while git runs a hook: they would make git look at another repository than the one of the folder.
_GIT_VARIABLES = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"})


def _split(output: bytes) -> Iterator[str]:
    return (name.decode("utf-8", "surrogateescape") for name in output.split(b"\0") if name)


def _parents(name: str) -> Iterator[str]:
    position = name.rstrip("/").rfind("/")
    while position > 0:
        name = name[:position]
        yield name
        position = name.rfind("/")


def _parent_ignores(root: Path, top: Path) -> Iterator[str]:
    """The ``.gitignore`` files above ``root``, up to the top of its repository."""
    folder = root
    while folder != top and folder.parent != folder:
        folder = folder.parent
        yield str(folder / ".gitignore")


def _global_excludes(executable: str, root: Path) -> Iterator[str]:
    configured = _git(executable, root, "config", "--type=path", "--get", "core.excludesFile")
    if configured is not None and configured.strip():
        yield configured.decode("utf-8", "surrogateescape").strip()
        return
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    yield str(Path(base) / "git" / "ignore")


# --- without git -------------------------------------------------------------------------------------------------


def _plain_listing(root: Path) -> Listing:
    """What the ``.gitignore`` files from the top of the repository (or from ``root``) down say."""
    top = next((parent for parent in (root, *root.parents) if (parent / ".git").exists()), root)
    above = [Path(path) for path in reversed(list(_parent_ignores(root, top)))]
    rules: dict[str, list[tuple[Path, pathspec.GitIgnoreSpec]]] = {}
    inherited = [(path.parent, spec) for path in above if (spec := _read_ignore(path)) is not None]
    if _ignored_as_a_whole(root, top, inherited):
        inherited = []

    def rules_of(folder: str) -> list[tuple[Path, pathspec.GitIgnoreSpec]]:
        if folder not in rules:
            before = inherited if folder == "" else rules_of(folder.rpartition("/")[0])
            own = _read_ignore(root / folder / ".gitignore")
            rules[folder] = before if own is None else [*before, (root / folder, own)]
        return rules[folder]

    def ignored(path: str, is_folder: bool) -> bool:
        full = root / path
        # The deepest file that says anything decides.
        for folder, spec in reversed(rules_of(path.rpartition("/")[0])):
            name = full.relative_to(folder).as_posix()
            verdict = spec.check_file(f"{name}/" if is_folder else name).include
            if verdict is not None:
                return verdict
        return False

    files, folders = _walk(root, ignored)
    return Listing(root=str(root), files=tuple(files), folders=tuple(folders), watched=tuple(map(str, above)))


def _ignored_as_a_whole(root: Path, top: Path, rules: Sequence[tuple[Path, pathspec.GitIgnoreSpec]]) -> bool:
    """Whether ``root`` or a folder between it and ``top`` is ignored: then the repository says nothing of the tree."""
    for inner in (root, *root.parents):
        if inner == top or top not in inner.parents:
            return False
        for folder, spec in reversed(rules):
            if folder in inner.parents:
                verdict = spec.check_file(f"{inner.relative_to(folder).as_posix()}/").include
                if verdict is not None:
                    if verdict:
                        return True
                    break
    return False


def _read_ignore(path: Path) -> pathspec.GitIgnoreSpec | None:
    try:
        lines: Iterable[str] = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"cannot read `{path}`: {error.strerror or error}", code="source-unreadable") from error
    return pathspec.GitIgnoreSpec.from_lines(lines)
