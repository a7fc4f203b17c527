"""Dependency specifications as the manifest states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class GitReference:
    """At most one of the three is given; none means the default branch."""

    branch: str | None = None
    tag: str | None = None
    rev: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLocation:
    """Where the source of a package is: exactly one of ``path``, ``git``, ``url`` and ``pypi`` is given.

    ``path`` is as written in the manifest (relative to the folder of the manifest that says it, POSIX
    separators); ``subdirectory`` goes with git and url; ``sha256``/``md5`` with url; ``pypi`` is
    ``name==version``, the sdist of that release (smelt's own).
    """

    path: str | None = None
    git: str | None = None
    reference: GitReference | None = None
    url: str | None = None
    md5: str | None = None
    sha256: str | None = None
    subdirectory: str | None = None
    lfs: bool | None = None
    pypi: str | None = None

    def __str__(self) -> str:
        """Where it is, for people: without user and password."""
        text = self.path or self.git or self.url or f"pypi:{self.pypi}"
        scheme, mark, rest = text.partition("://")
        if not mark:
            return text
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaSpec:
    """One entry of a dependency table: a binary requirement, or a source with ``location``.

    ``version`` is a conda version spec (``None`` or ``*``: any); the other fields restrict further
    (MatchSpec, CEP 29). ``inline_package`` is the raw inline definition table, if there is one.
    """

    version: str | None = None
    build: str | None = None
    build_number: str | None = None
    file_name: str | None = None
    channel: str | None = None
    subdir: str | None = None
    license: str | None = None
    license_family: str | None = None
    md5: str | None = None
    sha256: str | None = None
    url: str | None = None
    track_features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    when: str | None = None
    location: SourceLocation | None = None
    inline_package: Mapping[str, object] | None = field(default=None, hash=False)

    @property
    def is_source(self) -> bool:
        """Whether the package is built from source."""
        return self.location is not None

    def matchspec(self, name: str) -> str:
        """The requirement as MatchSpec text for package ``name``.

        A source dependency gives the constraint on its metadata only (its version, if one is given).
        """
        if self.url is not None and not self.is_source:
            return self.url
        head = name
        simple: dict[str, str | None] = {
            "version": self.version if self.version not in (None, "", "*") else None,
            "build": self.build,
            "build_number": self.build_number,
            "fn": self.file_name,
            "channel": self.channel,
            "subdir": self.subdir,
            "license": self.license,
            "license_family": self.license_family,
            "md5": self.md5,
            "sha256": self.sha256,
        }
        parts = [f'{key}="{value}"' for key, value in simple.items() if value is not None]
        if self.track_features:
            parts.append(f"track_features=[{','.join(self.track_features)}]")
        if self.flags:
            parts.append(f"flags=[{','.join(self.flags)}]")
        if self.extras:
            parts.append(f"extras=[{','.join(self.extras)}]")
        if self.when is not None:
            parts.append(f'when="{self.when}"')
        return f"{head}[{', '.join(parts)}]" if parts else head
