"""Every key of a ``config.toml``: where it stands and what it holds.

Source: the reference's page "The Configuration of Pixi Itself".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smelt.manifest.location import channel_problem, url_problem
from smelt.text import closest
from smelt.types import KNOWN_PLATFORMS

Kind = Literal["boolean", "count", "string", "path", "url", "channel", "choice", "platform", "detached"]
ANY = "*"
"""A part of a path that may be any name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that holds a value (an array of values with ``array``).

    ``path`` may have ``ANY`` in it. ``absolute``: a path that cannot be relative. ``extends``: the arrays of all
    files are put one after another, instead of the last one winning.
    """

    path: tuple[str, ...]
    kind: Kind
    summary: str
    choices: tuple[str, ...] = ()
    array: bool = False
    absolute: bool = False
    extends: bool = False

    @property
    def name(self) -> str:
        """The path as users write it."""
        return ".".join("<name>" if part == ANY else part for part in self.path)


PINNING_STRATEGIES = ("semver", "minor", "major", "latest-up", "exact-version", "no-pin")


def _key(path: str, kind: Kind, summary: str, **options: object) -> Key:
    return Key(path=tuple(path.split(".")), kind=kind, summary=summary, **options)  # pyright: ignore[reportArgumentType]


KEYS: tuple[Key, ...] = (
    _key("default-channels", "channel", "channels of new workspaces", array=True),
    _key("authentication-override-file", "path", "the file that holds credentials"),
    _key("tls-no-verify", "boolean", "do not verify certificates"),
    _key(
        "tls-root-certs",
        "choice",
        "where root certificates come from",
        choices=("webpki", "system", "native", "all"),
    ),
    _key("offline", "boolean", "use nothing but what is cached"),
    _key("mirrors.*", "url", "addresses to use in the place of one", array=True),
    _key("pinning-strategy", "choice", "what `add` makes of the version it found", choices=PINNING_STRATEGIES),
    _key("repodata-config.disable-bzip2", "boolean", "do not fetch repodata.json.bz2"),
    _key("repodata-config.disable-zstd", "boolean", "do not fetch repodata.json.zst"),
    _key("repodata-config.disable-sharded", "boolean", "do not fetch repodata in shards"),
    _key("repodata-config.*.disable-bzip2", "boolean", "the same for one channel or host"),
    _key("repodata-config.*.disable-zstd", "boolean", "the same for one channel or host"),
    _key("repodata-config.*.disable-sharded", "boolean", "the same for one channel or host"),
    _key("pypi-config.index-url", "url", "the PyPI index of new workspaces"),
    _key("pypi-config.extra-index-urls", "url", "more PyPI indexes of new workspaces", array=True, extends=True),
    _key(
        "pypi-config.keyring-provider",
        "choice",
        "where credentials of PyPI indexes come from",
        choices=("disabled", "subprocess"),
    ),
    _key("pypi-config.allow-insecure-host", "string", "hosts without verification", array=True, extends=True),
    _key("s3-options.*.endpoint-url", "url", "the address of the bucket"),
    _key("s3-options.*.region", "string", "the region of the bucket"),
    _key("s3-options.*.force-path-style", "boolean", "put the bucket into the path of addresses"),
    _key("detached-environments", "detached", "keep environments outside of their workspaces"),
    _key("shell.force-activate", "boolean", "ask activation scripts each time"),
    _key("shell.source-completion-scripts", "boolean", "load the completions of packages"),
    _key("shell.change-ps1", "boolean", "show the environment in the prompt"),
    _key("experimental.use-environment-activation-cache", "boolean", "keep the answers of activation scripts"),
    _key("concurrency.solves", "count", "solves at the same time"),
    _key("concurrency.downloads", "count", "downloads at the same time"),
    _key(
        "run-post-link-scripts",
        "choice",
        "whether packages may run scripts when they are installed",
        choices=("false", "insecure"),
    ),
    _key("allow-symbolic-links", "boolean", "symbolic links in environments"),
    _key("allow-hard-links", "boolean", "hard links from environments to the cache"),
    _key("allow-ref-links", "boolean", "copy-on-write links from environments to the cache"),
    _key("proxy-config.https", "url", "the proxy for https"),
    _key("proxy-config.http", "url", "the proxy for http"),
    _key("proxy-config.non-proxy-hosts", "string", "hosts that are reached directly", array=True),
    _key("tool.smelt.shared-store", "string", "a store of built packages that several machines share (smelt's own)"),
    _key("tool.smelt.shared-store-writes", "boolean", "put what is built here into the shared store (smelt's own)"),
    _key("tool.smelt.compiler-cache", "string", "`ccache`, `sccache`, a path, or `none` (smelt's own)"),
    _key("tool.smelt.sandbox", "boolean", "builds reach no network and no home folder (smelt's own)"),
    _key("tool.smelt.keep-builds", "boolean", "keep in `.pixi` what environments are built of (smelt's own)"),
    _key(
        "tool.smelt.trusted-backend-channels",
        "string",
        "channels whose programs may be run for packages from elsewhere (smelt's own)",
        array=True,
        extends=True,
    ),
    _key("build.package-format", "string", "format and compression of built packages"),
    _key("tool-platform", "platform", "the platform of build backends"),
    _key("cache.root", "path", "the cache folder", absolute=True),
    _key("cache.conda-packages", "path", "the cache of conda packages", absolute=True),
    _key("cache.repodata", "path", "the cache of repodata", absolute=True),
    _key("cache.pypi-wheels", "path", "the cache of wheels", absolute=True),
    _key("cache.pypi-mapping", "path", "the cache of names on PyPI", absolute=True),
    _key("cache.exec-environments", "path", "the environments of `exec`", absolute=True),
    _key("cache.build-tool-environments", "path", "the environments of build backends", absolute=True),
    _key("cache.detached-environments", "path", "the detached environments", absolute=True),
    _key(
        "cache.netfs-redirect",
        "choice",
        "what to do with a cache on a network file system",
        choices=("auto", "always", "never"),
    ),
)

OLD_NAMES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("default_channels",): ("default-channels",),
    ("authentication_override_file",): ("authentication-override-file",),
    ("tls_no_verify",): ("tls-no-verify",),
    ("repodata_config",): ("repodata-config",),
    ("repodata-config", "disable_bzip2"): ("repodata-config", "disable-bzip2"),
    ("repodata-config", "disable_zstd"): ("repodata-config", "disable-zstd"),
    ("repodata-config", "disable_sharded"): ("repodata-config", "disable-sharded"),
    ("repodata-config", ANY, "disable_bzip2"): ("repodata-config", ANY, "disable-bzip2"),
    ("repodata-config", ANY, "disable_zstd"): ("repodata-config", ANY, "disable-zstd"),
}
"""Spellings of older versions that mean the same."""

MOVED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("change-ps1",): ("shell", "change-ps1"),
    ("change_ps1",): ("shell", "change-ps1"),
    ("force-activate",): ("shell", "force-activate"),
}
"""Deprecated keys, and what to write in their place."""

_BY_PATH = {key.path: key for key in KEYS}
TABLES = frozenset(key.path[:length] for key in KEYS for length in range(1, len(key.path)))
BUCKET = ("endpoint-url", "region", "force-path-style")


def key_at(path: tuple[str, ...]) -> Key | None:
    """The key that ``path`` names, wildcards filled in; None if there is none."""
    return next((key for pattern, key in _BY_PATH.items() if _matches(pattern, path)), None)


def is_table(path: tuple[str, ...]) -> bool:
    """Whether ``path`` names a table of settings."""
    return any(_matches(pattern, path) for pattern in TABLES)


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) == len(path) and all(
        part == given or (part == ANY and _fits(pattern[:index], given))
        for index, (part, given) in enumerate(zip(pattern, path, strict=True))
    )


def _fits(table: tuple[str, ...], name: str) -> bool:
    """Whether ``name`` can stand in the place of a wildcard in ``table``."""
    return table == ("s3-options",) or "://" in name


def parse_dotted(text: str) -> tuple[str, ...] | None:
    """The path of a key or table that is written with dots, as on the command line; None if there is none.

    In the place of a wildcard stands an address (``repodata-config.https://a.example/c.disable-zstd``), or the name
    of a bucket without dots.
    """
    plain = tuple(text.split("."))
    if plain in _BY_PATH or plain in TABLES:
        return plain
    for pattern in (*_BY_PATH, *TABLES):
        if ANY not in pattern:
            continue
        at = pattern.index(ANY)
        head = "".join(f"{part}." for part in pattern[:at])
        tail = "".join(f".{part}" for part in pattern[at + 1 :])
        name = text[len(head) : len(text) - len(tail)]
        if name and "." in name and pattern[0] == "s3-options":
            continue
        ends = text.startswith(head) and text.endswith(tail) and len(text) > len(head) + len(tail)
        if ends and name and _fits(pattern[:at], name):
            return (*pattern[:at], name, *pattern[at + 1 :])
    return None


def suggestion(text: str) -> str | None:
    """The name of a key or table that looks like ``text``."""
    return closest(text, [*(key.name for key in KEYS), *(".".join(path) for path in TABLES if ANY not in path)])


def complaint(key: Key, value: object) -> str | None:
    """Why ``value`` cannot be the value (one item, for arrays) of ``key``, or None."""
    if key.kind == "boolean":
        return None if isinstance(value, bool) else "expected a boolean (`true` or `false`)"
    if key.kind == "count":
        fits = isinstance(value, int) and not isinstance(value, bool) and value > 0
        return None if fits else "expected a whole number from 1"
    if key.kind == "detached" and isinstance(value, bool):
        return None
    if not isinstance(value, str):
        return "expected a boolean or a path" if key.kind == "detached" else "expected a string"
    if key.kind == "url":
        return url_problem(value)
    if key.kind == "channel":
        return channel_problem(value)
    if key.kind == "choice" and value not in key.choices:
        return f"`{value}` is none of {', '.join(f'`{choice}`' for choice in key.choices)}"
    if key.kind == "platform" and value not in KNOWN_PLATFORMS:
        return f"`{value}` is not a conda platform"
    if (key.kind == "detached" or key.absolute) and not expand(value).is_absolute():
        return f"`{value}` must be an absolute path"
    return None


def expand(text: str) -> Path:
    """``text`` as a path, a leading ``~`` being the home folder."""
    return Path(text).expanduser() if text.startswith("~") else Path(text)
