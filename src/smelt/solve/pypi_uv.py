"""The ``uv`` executable: where it is, and running it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from smelt.config.network import Network
from smelt.errors import SolveError
from smelt.fs import cache_root
from smelt.solve.network import redacted, uv_variables

_FINDING = threading.Lock()
_NOISE = ("warning: The requested Python", "warning: The `--pylock`", "Using Python ", "Using CPython ")


def uv_executable() -> str:
    """The path of the ``uv`` that came with us. Raises SolveError (``missing-tool``). Safe in threads."""
    with _FINDING:  # it asks sysconfig, which fills its tables at the first question
        return _find()


@lru_cache(maxsize=1)
def _find() -> str:
    from uv import find_uv_bin

    try:
        return find_uv_bin()
    except FileNotFoundError as error:
        raise SolveError(
            "the executable `uv` was not found", code="missing-tool", help="reinstall smelt; its package `uv` has it"
        ) from error


class UvFailed(Exception):
    """uv ended with an error; ``text`` is what it said."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def run_uv(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    network: Network | None = None,
    addresses: Iterable[str] = (),
    lock: int | None = None,
) -> str:
    """What uv prints to its standard output, run in ``folder``. Raises UvFailed.

    ``network``: what the settings say; the user's own ``UV_*`` variables go before it. ``addresses``: of the indexes.
    ``lock``: the descriptor of a lock that uv holds as well, so that it stays locked while uv runs, also if this
    process is killed (not on Windows, where uv goes on unguarded).
    The user's configuration of uv (``uv.toml``, ``UV_*``, netrc, keyring) holds; its cache is ``uv-cache`` in ours.
    """
    network = network or Network()
    variables = {
        **uv_variables(network, addresses),
        **os.environ,
        **({"UV_OFFLINE": "1"} if network.offline else {}),
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
        **(environment or {}),
    }
    variables.setdefault("UV_CACHE_DIR", str(cache_root() / "uv-cache"))
    variables.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [uv_executable(), *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        pass_fds=(lock,) if lock is not None and os.name == "posix" else (),
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if not line.startswith(_NOISE)]
        raise UvFailed(redacted("\n".join(lines)))
    return done.stdout


def default_indexes() -> tuple[str, ...]:
    """The addresses that count as the default index: the one that uv is configured for, and uv's own.

    uv says them; nothing is fetched. Raises SolveError where uv cannot be run.
    """
    return tuple(dict.fromkeys((configured_index(), _default_index(plain=True))))


def configured_index() -> str:
    """The index that uv takes where none is named: ``UV_DEFAULT_INDEX``, its configuration, or its own."""
    return _default_index(plain=False)


def configuration_files() -> tuple[Path, ...]:
    """Where the configuration of uv may be, which can name the default index.

    Source: its page "Configuration files".
    """
    environ = os.environ
    if environ.get("UV_CONFIG_FILE"):
        return (Path(environ["UV_CONFIG_FILE"]),)
    if os.name == "nt":
        folders = [environ.get("APPDATA", ""), environ.get("PROGRAMDATA") or "C:/ProgramData"]
    else:
        home = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - may have no home
        folders = [home, *(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"), "/etc"]
    return tuple(Path(folder, "uv", "uv.toml") for folder in folders if folder)


@lru_cache(maxsize=8)
def _asked(variables: tuple[tuple[str, str], ...], plain: bool) -> str:
    return _ask(dict(variables), plain)


def _default_index(*, plain: bool) -> str:
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE", "UV_NO_CONFIG", "XDG_CONFIG_HOME", "HOME")
    if plain:
        return _asked((), plain)
    return _asked(tuple((name, os.environ[name]) for name in names if name in os.environ), plain)


def _ask(variables: Mapping[str, str], plain: bool) -> str:
    import sys

    with tempfile.TemporaryDirectory(prefix="smelt-uv-") as name:
        folder = Path(name)
        (folder / "empty.in").write_bytes(b"")
        command = ["pip", "compile", "--quiet", "--no-header", "--emit-index-url", "--python", sys.executable]
        environment = {"UV_DEFAULT_INDEX": "", "UV_INDEX_URL": ""} if plain else dict(variables)
        try:
            output = run_uv(
                [*command, *(["--no-config"] if plain else []), "empty.in"], folder=folder, environment=environment
            )
        except UvFailed as error:
            raise SolveError("uv does not say which index it uses", code="missing-tool", notes=[error.text]) from error
    found = re.search(r"^--(?:default-index|index-url) (\S+)", output, re.MULTILINE)
    if found is None:
        raise SolveError("uv does not say which index it uses", code="missing-tool", notes=[output])
    return found[1]
