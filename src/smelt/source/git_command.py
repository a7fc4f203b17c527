"""The ``git`` executable: run so that nothing of a stranger's repository runs, and nobody is asked anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from smelt.errors import SourceError
from smelt.fs import smelt_cache

_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCP = re.compile(r"(?P<host>[\w.][\w.-]*@[\w.][\w.-]*):(?P<path>[^\s:]+)")
_SAFE = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.longPaths": "true",
    "core.quotePath": "false",
    # The same files on every machine, whatever its user prefers.
    "core.autocrlf": "false",
    "core.eol": "lf",
    "protocol.ext.allow": "never",
    # Commits that locks name may be reachable from no branch any more: nothing is ever collected.
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    # A transfer that stands still for a minute is dead.
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "60",
}
_NO_LFS = {"filter.lfs.smudge": "", "filter.lfs.process": "", "filter.lfs.required": "false"}
_LFS = {
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
    "filter.lfs.required": "true",
}
_PLACES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository by its address.

    ``address`` has no credentials; ``secret`` is the part before ``@`` that the user wrote there, if there was one:
    it is given to git and never written down. ``offline``: git is allowed to follow ``file://`` only.
    """

    address: str
    secret: str | None = field(default=None, repr=False, compare=False)
    offline: bool = field(default=False, repr=False, compare=False)


def repository(text: str, base: Path, *, offline: bool = False) -> Repository:
    """The repository behind an address, or behind a path relative to ``base``.

    Raises SourceError (``git-address``) for what git would take as an option or a command, and for addresses of
    other kinds.
    """
    text = text.strip().removeprefix("git+")
    if not text or text.startswith("-") or any(not character.isprintable() for character in text):
        raise _address_error(text, "it could be taken for something else")
    if re.match(r"[A-Za-z0-9+.-]+::", text):
        raise _address_error(text, "addresses that name a program are not followed")
    scp = _SCP.fullmatch(text)
    if scp is not None:
        text = f"ssh://{scp['host']}/{scp['path'].lstrip('/')}"
    if "://" not in text:
        text = Path(os.path.normpath(base / Path(text).expanduser())).absolute().as_uri()
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _address_error(text, str(error)) from error
    scheme = parts.scheme.lower()
    if scheme not in _SCHEMES:
        raise _address_error(text, f"accepted are {', '.join(f'{each}://' for each in _SCHEMES)}, and paths")
    user, _, host = parts.netloc.rpartition("@")
    if host.startswith("-") or user.startswith("-") or (not host and scheme != "file"):
        raise _address_error(text, "it could be taken for something else")
    # Without the name of the user, ssh means another account; a password has no place there.
    kept = user.partition(":")[0] if scheme == "ssh" else ""
    netloc = f"{kept}@{host.lower()}" if kept else host.lower()
    address = urlunsplit((scheme, netloc, parts.path, "", ""))
    secret = user if user and scheme in ("https", "http") else None
    return Repository(address=address, secret=secret, offline=offline)


def run_git(
    *arguments: str,
    repository: Repository | None = None,
    git_dir: Path | None = None,
    work_tree: Path | None = None,
    index: Path | None = None,
    lfs: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run git and wait; the caller looks at the return code.

    No hooks, no prompts, no configuration of the current folder; the user's own configuration holds (credential
    helpers, proxies, ``insteadOf``). Raises SourceError (``git-missing``).
    """
    executable = shutil.which("git")
    if executable is None:
        raise SourceError(
            "a source is in a git repository, and there is no `git` on this machine",
            code="git-missing",
            help="install git and see that it is on PATH",
        )
    command = [executable]
    for key, value in {**_SAFE, **(_LFS if lfs else _NO_LFS)}.items():
        command += ["-c", f"{key}={value}"]
    if git_dir is not None:
        command.append(f"--git-dir={git_dir}")
    if work_tree is not None:
        command.append(f"--work-tree={work_tree}")
    folder = work_tree or smelt_cache()
    folder.mkdir(parents=True, exist_ok=True)
    environment = _environment(repository, lfs=lfs)
    environment["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def _environment(repository: Repository | None, *, lfs: bool) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key not in _PLACES}
    environment |= {
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": ":".join(_SCHEMES),
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
    environment.pop("GIT_LFS_SKIP_SMUDGE", None)
    if repository is not None and repository.offline:
        environment["GIT_ALLOW_PROTOCOL"] = "file"
    if not lfs:
        environment["GIT_LFS_SKIP_SMUDGE"] = "1"
    if repository is not None and repository.secret is not None:
        # In the environment, where other users cannot read it as they can read arguments.
        parts = urlsplit(repository.address)
        count = _count(environment.get("GIT_CONFIG_COUNT"))
        environment[f"GIT_CONFIG_KEY_{count}"] = f"url.{parts.scheme}://{repository.secret}@{parts.netloc}/.insteadOf"
        environment[f"GIT_CONFIG_VALUE_{count}"] = f"{parts.scheme}://{parts.netloc}/"
        environment["GIT_CONFIG_COUNT"] = str(count + 1)
    return environment


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


_SIGNS: Mapping[str, tuple[str, ...]] = {
    "git-access": (
        "could not read username",
        "could not read password",
        "authentication failed",
        "permission denied",
        "terminal prompts disabled",
        "access denied",
        "host key verification failed",
        "returned error: 401",
        "returned error: 403",
        "dubious ownership",
    ),
    "git-network": (
        "could not resolve",
        "couldn't resolve",
        "failed to connect",
        "couldn't connect",
        "connection refused",
        "connection timed out",
        "connection reset",
        "network is unreachable",
        "operation too slow",
        "operation timed out",
        "early eof",
        "unexpected disconnect",
        "returned error: 5",
        "proxy connect",
        "proxy tunnel",
        "ssl_",
        "ssl connect",
        "ssl certificate",
        "certificate verif",
        "certificate problem",
        "unable to look up",
    ),
    "git-repository": (
        "not found",
        "does not exist",
        "does not appear to be a git repository",
        "not a git repository",
        "no such file",
        "could not read from remote repository",
    ),
}


def failure(repository: Repository, done: subprocess.CompletedProcess[bytes]) -> SourceError:
    """What a git command that talked to ``repository`` failed of, with git's own words."""
    said = done.stderr.decode("utf-8", "replace").strip()
    if repository.secret is not None:
        for part in (repository.secret, repository.secret.partition(":")[2]):
            said = said.replace(part, "…") if part else said
    # a repository may be called as an error is
    lower = said.lower()
    path = urlsplit(repository.address).path
    for name in (repository.address, unquote(path).removesuffix("/"), path.removesuffix("/")):
        lower = lower.replace(name.lower(), "") if name else lower
    kind = next((kind for kind, signs in _SIGNS.items() if any(sign in lower for sign in signs)), None)
    notes = [said] if said else []
    address = repository.address
    if repository.offline and not address.startswith("file:"):
        return SourceError(
            f"smelt is offline, and what is needed of the git repository {address} is not in the cache",
            code="offline",
            help="run the command once with the network (without `--offline`): what it fetches stays in the cache",
        )
    if kind == "git-access":
        return SourceError(
            f"no access to the git repository {address}, or there is none",
            code="git-access",
            notes=notes,
            help="git's own helpers give credentials: see that `git ls-remote` works for this address without a prompt",
        )
    if kind == "git-network":
        return SourceError(
            f"cannot reach the git repository {address}",
            code="git-network",
            notes=notes,
            help="check the network and proxies; commits that are locked and in the cache need neither",
        )
    if kind == "git-repository":
        return SourceError(
            f"there is no git repository at {address}, or it is not for you to see",
            code="git-repository",
            notes=notes,
            help="correct the address, or see that git has credentials for it",
        )
    return SourceError(f"git failed on the repository {address}", code="git-failed", notes=notes)


def _address_error(text: str, why: str) -> SourceError:
    shown = re.sub(r"//[^/@]*@", "//", text).encode("unicode_escape").decode()
    return SourceError(
        f"`{shown}` is not an address of a git repository that smelt follows: {why}",
        code="git-address",
        help="write it as `https://…`, `ssh://…` or `file://…`",
    )
