"""Conda packages as data, before they are written, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from smelt.types import RunExports

_NOTHING: Mapping[str, object] = MappingProxyType({})

PLACEHOLDER = "/opt/" + "smelt_placehold_" * 15 + "prefix"
"""The prefix that packages are made for; installers replace it in text files by the real one.

Text replacement takes a prefix of any length. Nothing binary ever holds it: a binary placeholder would limit
the length of the prefix.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """One file of a package.

    ``path``: POSIX, relative to the prefix (``site-packages/…`` and ``python-scripts/…`` in ``noarch: python``).
    ``content``: the bytes, or the file that holds them. ``placeholder``: the text holds ``PLACEHOLDER``.
    """

    path: str
    content: bytes | Path = field(repr=False)
    executable: bool = False
    placeholder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageLink:
    """A symbolic link inside a package: ``target`` is relative to the folder of ``path``."""

    path: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageHead:
    """What a package says of itself (``info/index.json``, ``info/about.json``).

    ``build`` holds a digest of ``identity``, so packages of one file name have one content. ``noarch`` is None,
    ``python`` or ``generic``; ``subdir`` may be a platform also for ``noarch: python`` (the files do not depend on
    the version of Python, but on the platform). ``entry_points`` are ``name = module:function``, for
    ``noarch: python`` only. ``identity``: what the package was made from (``info/hash_input.json``).
    """

    name: str
    version: str
    build: str
    build_number: int = 0
    subdir: str
    noarch: str | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    run_exports: RunExports = field(default_factory=RunExports)
    entry_points: tuple[str, ...] = ()
    license: str | None = None
    summary: str | None = None
    home: str | None = None
    purls: tuple[str, ...] = ()
    python_site_packages_path: str | None = None
    identity: Mapping[str, object] = field(default_factory=lambda: _NOTHING, hash=False)

    @property
    def stem(self) -> str:
        """``name-version-build``."""
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def file_name(self) -> str:
        """The name of the archive."""
        return f"{self.stem}.conda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A whole package: its head, its files, and the texts of its licences (name → text)."""

    head: PackageHead
    entries: tuple[PackageFile | PackageLink, ...] = field(repr=False)
    licenses: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A package that a command wanted in a channel: where it is, and whether it had to be written.

    ``notes``: what the user should know of it (system libraries that it needs, for example).
    """

    name: str
    version: str
    build: str
    subdir: str
    path: Path
    added: bool
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.build} ({self.subdir})"
