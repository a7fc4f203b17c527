"""What ``Cargo.toml`` says of a crate, without running Cargo.

Source: the Cargo book, "The Manifest Format".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.errors import Label, NotSupportedError, SourceError
from smelt.source.backends.pyproject import conda_version
from smelt.text import SourceText


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """The metadata of a crate; None for what it does not say. ``version`` as conda writes it."""

    name: str | None = None
    version: str | None = None
    description: str | None = None
    license: str | None = None
    license_file: str | None = None
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None


def read_crate(folder: Path) -> Crate:
    """The crate in ``folder``.

    Raises SourceError (``cargo-manifest``: missing, not TOML, a workspace without a crate, a version that conda cannot
    have), NotSupportedError for values that are inherited from a workspace in another folder.
    """
    path = folder / "Cargo.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SourceError(
            f"there is no Cargo.toml in {folder}",
            code="cargo-manifest",
            help="the backend `pixi-build-rust` builds the crate in the folder of the package",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read `{path}`: {error}", code="cargo-manifest") from error
    data = _parse(path, text)
    package = _table(data, "package")
    if not package:
        members = _table(data, "workspace").get("members")
        example = f", for example `{members[0]}`" if isinstance(members, list) and members else ""  # pyright: ignore[reportUnknownVariableType]
        raise SourceError(
            f"`{path}` has no `[package]`: it is no crate",
            code="cargo-manifest",
            help=f"let the source dependency point at a crate{example}",
        )
    inherited = _table(_table(data, "workspace"), "package")

    def field(key: str) -> str | None:
        value = package.get(key)
        if isinstance(value, Mapping) and cast("Mapping[str, object]", value).get("workspace") is True:
            if "workspace" not in data:
                raise NotSupportedError(
                    f"`{path}` inherits `{key}` from a workspace in another folder, which is not supported yet",
                    help="a build sees the folder of its package alone: write the value into `Cargo.toml`",
                )
            value = inherited.get(key)
        return value if isinstance(value, str) else None

    version = field("version")
    normal = conda_version(version) if version is not None else None
    if version is not None and normal is None:
        raise SourceError(
            f"`{version}` in `{path}` is no version that a conda package can have",
            code="cargo-manifest",
            help="set `version` in `[package]` of the manifest, and `ignore-cargo-manifest = true`",
        )
    return Crate(
        name=field("name"),
        version=normal,
        description=field("description"),
        license=field("license"),
        license_file=field("license-file"),
        homepage=field("homepage"),
        repository=field("repository"),
        documentation=field("documentation"),
    )


def _parse(path: Path, text: str) -> Mapping[str, object]:
    import tomli

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        source = SourceText(path=str(path), text=text)
        lines = text.splitlines(keepends=True)
        offset = min(sum(map(len, lines[: error.lineno - 1])) + error.colno - 1, len(text))
        raise SourceError(
            f"`{path}` is not valid TOML: {error.msg}",
            code="cargo-manifest",
            labels=[Label(place=source.place(offset))],
        ) from error


def _table(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = data.get(key)
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
