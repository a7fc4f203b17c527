"""Sources in git repositories: a reference becomes a commit, a commit becomes a folder without ``.git``.

Each repository has one bare mirror, ``<smelt cache>/git``, which holds the commits that were asked for, most of them
without their history; a commit has one checkout, ``<smelt cache>/checkouts``, with its submodules. What is there needs
no network. Source: git's own pages (``git-ls-remote``, ``gitmodules``); the reference's page "Package source".
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from smelt.errors import SourceError
from smelt.fs import hold, replace_folder, smelt_cache, staging_folder
from smelt.source.census import CODE, is_intact, seal
from smelt.source.git_command import Repository, failure, repository, run_git
from smelt.text import closest
from smelt.types import GitReference, digest_json

_FULL = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT = re.compile(r"[0-9a-f]{4,63}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|/$|\.$|^[-./]|^@$")
_MAX_DEPTH = 16


def resolve_commit(place: Repository, reference: GitReference | None) -> str:
    """The commit that ``reference`` (None: the default branch) is now.

    A full commit needs the network only where it is not in the cache. Raises SourceError (``git-reference`` for what
    is not there, with what is meant perhaps; ``git-repository``, ``git-access``, ``git-network``, ``git-missing``).
    """
    reference = reference or GitReference()
    if reference.branch is not None:
        return _named(place, "branch", reference.branch, [f"refs/heads/{_checked(reference.branch, 'branch')}"])
    if reference.tag is not None:
        return _named(place, "tag", reference.tag, [f"refs/tags/{_checked(reference.tag, 'tag')}"])
    if reference.rev is not None:
        return _revision(place, reference.rev)
    found = _remote(place, "HEAD").get("HEAD")
    if found is None:
        raise SourceError(
            f"the git repository {place.address} has no default branch",
            code="git-reference",
            help="it is empty, or its HEAD leads nowhere: name a `branch`, `tag` or `rev`",
        )
    return found


def checkout_commit(place: Repository, commit: str, *, lfs: bool = False) -> Path:
    """The folder that holds the files of ``commit`` and its submodules, and nothing of git.

    Made once, and again where somebody changed it. ``lfs``: files of Git LFS are there, and not pointers to them.
    Raises SourceError: as ``resolve_commit``, ``git-lfs``.
    """
    _check_commit(commit)
    name = digest_json([place.address, commit, lfs])[:40]
    target = smelt_cache() / "checkouts" / name[:2] / name
    if is_intact(target):
        return target / CODE
    with hold(target.with_name(f"{name}.lock"), f"checking out {place.address}"):
        if not is_intact(target):
            with staging_folder(target) as staging:
                _write_files(place, commit, staging / CODE, staging / "index", lfs=lfs)
                (staging / "index").unlink(missing_ok=True)
                seal(staging)
                replace_folder(staging, target)
    return target / CODE


def ensure_commit(place: Repository, commit: str) -> Path:
    """The mirror of ``place``, with ``commit`` in it. Raises as ``resolve_commit``."""
    _check_commit(commit)
    mirror = _mirror(place)
    if _has(mirror, commit):
        return mirror
    with hold(mirror.with_name(f"{mirror.name}.lock"), f"fetching {place.address}"):
        _prepare(mirror, "sha256" if len(commit) == 64 else "sha1")
        if _has(mirror, commit):
            return mirror
        done = _fetch(place, mirror, [f"+{commit}:refs/smelt/{commit}"], "--depth=1")
        if done.returncode != 0:
            # Old servers give no commit by its name, and some give no part of a history.
            error = failure(place, done)
            if error.kind in ("git-access", "git-network", "offline"):
                raise error
            _fetch_all(place, mirror)
        if not _has(mirror, commit):
            raise SourceError(
                f"the git repository {place.address} has no commit {commit}",
                code="git-reference",
                help="if it is locked, its branch was rewritten: `smelt update` takes what the branch is now",
            )
    return mirror


def _named(place: Repository, kind: str, name: str, references: list[str]) -> str:
    found = _remote(place, *references, *(f"{reference}^{{}}" for reference in references))
    for reference in references:
        # A tag with a message is an object of its own; what it is put on is listed with this ending.
        commit = found.get(f"{reference}^{{}}") or found.get(reference)
        if commit is not None:
            return commit
    raise _not_found(place, kind, name)


def _revision(place: Repository, rev: str) -> str:
    if _FULL.fullmatch(rev.lower()):
        commit = rev.lower()
        ensure_commit(place, commit)
        return commit
    name = _checked(rev, "rev")
    references = [name] if name.startswith("refs/") else [f"refs/tags/{name}", f"refs/heads/{name}"]
    found = _remote(place, *references, *(f"{reference}^{{}}" for reference in references))
    for reference in references:
        commit = found.get(f"{reference}^{{}}") or found.get(reference)
        if commit is not None:
            return commit
    if not _SHORT.fullmatch(rev.lower()):
        raise _not_found(place, "rev", rev)
    mirror = _mirror(place)
    with hold(mirror.with_name(f"{mirror.name}.lock"), f"fetching {place.address}"):
        _prepare(mirror, "sha1")
        _fetch_all(place, mirror)
    done = run_git("rev-parse", "--verify", "--quiet", f"{rev.lower()}^{{commit}}", git_dir=mirror)
    if done.returncode != 0:
        raise SourceError(
            f"the git repository {place.address} has no commit, tag or branch `{rev}`, or several commits begin so",
            code="git-reference",
            help="write the commit in full",
        )
    return done.stdout.decode("ascii").strip()


def _remote(place: Repository, *patterns: str) -> dict[str, str]:
    """References of the remote repository: name → object."""
    done = run_git("ls-remote", "--quiet", "--", place.address, *patterns, repository=place)
    if done.returncode != 0:
        raise failure(place, done)
    found: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        value, _, name = line.partition("\t")
        if _FULL.fullmatch(value):
            found[name] = value
    return found


def _not_found(place: Repository, kind: str, name: str) -> SourceError:
    prefixes = {"branch": ("refs/heads/",), "tag": ("refs/tags/",)}.get(kind, ("refs/tags/", "refs/heads/"))
    known = {
        reference.removeprefix(prefix)
        for reference in _remote(place)
        for prefix in prefixes
        if reference.startswith(prefix) and not reference.endswith("^{}")
    }
    near = closest(name, known)
    if near is not None:
        help = f"did you mean `{near}`?"
    elif known:
        help = (
            f"there are {', '.join(f'`{each}`' for each in sorted(known)[:8])}{' and more' if len(known) > 8 else ''}"
        )
    else:
        help = "the repository has none"
    return SourceError(
        f"the git repository {place.address} has no {kind} `{name}`",
        code="git-reference",
        help=help,
    )


def _checked(name: str, kind: str) -> str:
    """``name``, which can be nothing but the name of a reference (``git check-ref-format``)."""
    if not name or _FORBIDDEN.search(name):
        shown = name.encode("unicode_escape").decode()
        raise SourceError(f"`{shown}` cannot be the name of a git {kind}", code="git-reference")
    return name


def _check_commit(commit: str) -> None:
    if not _FULL.fullmatch(commit):
        raise SourceError(
            f"`{commit}` is not a full git commit",
            code="git-reference",
            help="`smelt lock` writes the lock file again",
        )


def _mirror(place: Repository) -> Path:
    name = digest_json([place.address])[:40]
    return smelt_cache() / "git" / name[:2] / name


def _has(mirror: Path, commit: str) -> bool:
    if not (mirror / "HEAD").is_file():
        return False
    return run_git("cat-file", "-e", f"{commit}^{{commit}}", git_dir=mirror).returncode == 0


def _prepare(mirror: Path, object_format: str) -> None:
    """Make the mirror if there is none. Its lock is held: what looks locked was left by a killed process."""
    if (mirror / "HEAD").is_file():
        for left in [*mirror.glob("*.lock"), *(mirror / "refs").rglob("*.lock")]:
            left.unlink(missing_ok=True)
        return
    with staging_folder(mirror) as staging:
        done = run_git(
            "init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", "--", str(staging)
        )
        if done.returncode != 0:
            raise failure(Repository(address=str(mirror)), done)
        replace_folder(staging, mirror)


def _fetch(
    place: Repository, mirror: Path, refspecs: Sequence[str], *options: str
) -> subprocess.CompletedProcess[bytes]:
    arguments = ("fetch", "--quiet", "--no-tags", *options, "--", place.address, *refspecs)
    return run_git(*arguments, repository=place, git_dir=mirror)


def _fetch_all(place: Repository, mirror: Path) -> None:
    """Everything that branches and tags lead to."""
    options = ["--unshallow"] if (mirror / "shallow").is_file() else []
    done = _fetch(place, mirror, ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], *options)
    if done.returncode != 0:
        raise failure(place, done)


def _write_files(place: Repository, commit: str, folder: Path, index: Path, *, lfs: bool, depth: int = 0) -> None:
    mirror = ensure_commit(place, commit)
    if lfs:
        _fetch_lfs(place, mirror, commit)
    folder.mkdir(exist_ok=True)
    index.unlink(missing_ok=True)
    write = ("read-tree", "--reset", "-u", commit)
    done = run_git(*write, repository=place, git_dir=mirror, work_tree=folder, index=index, lfs=lfs)
    if done.returncode != 0:
        raise failure(place, done)
    for path, address, inner in _submodules(place, mirror, commit):
        if depth >= _MAX_DEPTH:
            raise SourceError(f"submodules of {place.address} are nested too deeply", code="git-submodule")
        target = folder / path
        if target.is_symlink() or not target.resolve().is_relative_to(folder.resolve()):
            raise SourceError(f"the submodule `{path}` of {place.address} lies outside of it", code="git-submodule")
        try:
            _write_files(_submodule(place, address), inner, target, index, lfs=lfs, depth=depth + 1)
        except SourceError as error:
            raise SourceError(
                f"the submodule `{path}` of {place.address} cannot be had: {error.message}",
                code=error.kind,
                help=error.help,
                notes=error.notes,
            ) from error


def _submodules(place: Repository, mirror: Path, commit: str) -> list[tuple[str, str, str]]:
    """Path, address and commit of each submodule."""
    done = run_git("ls-tree", "-r", "-z", "--full-tree", commit, git_dir=mirror)
    if done.returncode != 0:
        raise failure(place, done)
    commits: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
        head, _, path = line.partition("\t")
        if head.startswith("160000 "):
            commits[path] = head.split()[2]
    if not commits:
        return []
    wanted = ("--get-regexp", r"^submodule\..*\.(path|url|update)$")
    done = run_git("config", "-z", "--blob", f"{commit}:.gitmodules", *wanted, git_dir=mirror)
    tables: dict[str, dict[str, str]] = {}
    for entry in done.stdout.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        name, _, field = key.removeprefix("submodule.").rpartition(".")
        tables.setdefault(name, {})[field] = value
    by_path = {table["path"]: table for table in tables.values() if "path" in table}
    found: list[tuple[str, str, str]] = []
    for path, inner in sorted(commits.items()):
        table = by_path.get(path, {})
        if table.get("update") == "none":
            continue
        if not table.get("url"):
            raise SourceError(
                f"the git repository {place.address} does not say where its submodule `{path}` is",
                code="git-submodule",
                help="its file `.gitmodules` has no entry for it",
            )
        found.append((path, table["url"], inner))
    return found


def _submodule(parent: Repository, address: str) -> Repository:
    """The repository of a submodule; ``./`` and ``../`` are relative to the address of its parent."""
    if address.startswith(("./", "../")):
        scheme, _, rest = parent.address.partition("://")
        host, _, path = rest.partition("/")
        joined = posixpath.normpath(posixpath.join("/", path, address))
        address = f"{scheme}://{host}{joined}"
    elif "://" not in address and re.match(r"[\w.-]+@[\w.-]+:", address) is None:
        raise SourceError(f"`{address}` is no address of a submodule", code="git-address")
    found = repository(address, Path("/"), offline=parent.offline)
    is_file = found.address.startswith("file:")
    if is_file and not parent.address.startswith("file:"):
        raise SourceError(
            f"{parent.address} has a submodule in a folder of this machine: {found.address}", code="git-address"
        )
    # As git does: what opens the repository opens its submodules on the same host.
    same = found.secret is None and _origin(found.address) == _origin(parent.address)
    return Repository(address=found.address, secret=parent.secret if same else found.secret, offline=parent.offline)


def _origin(address: str) -> str:
    return "/".join(address.split("/", 3)[:3])


def _fetch_lfs(place: Repository, mirror: Path, commit: str) -> None:
    if place.offline and not place.address.startswith("file:"):
        return  # what is in the mirror is written, or git says what is not
    if shutil.which("git-lfs") is None:
        raise SourceError(
            f"the source {place.address} needs Git LFS (`lfs = true`), and there is no `git-lfs` on this machine",
            code="git-lfs",
            help="install git-lfs and see that it is on PATH",
        )
    with hold(mirror.with_name(f"{mirror.name}.lock"), f"fetching {place.address}"):
        for arguments in (
            ("config", "remote.origin.url", place.address),
            ("lfs", "fetch", "origin", commit),
        ):
            done = run_git(*arguments, repository=place, git_dir=mirror, lfs=True)
            if done.returncode != 0:
                said = failure(place, done)
                raise SourceError(
                    f"the files of Git LFS of {place.address} cannot be fetched", code="git-lfs", notes=said.notes
                )
