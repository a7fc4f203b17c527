"""What ``pyproject.toml`` (and the ``PKG-INFO`` of an sdist) say of a Python project without running it.

Source: the "pyproject.toml specification" and "Core metadata" of the Python Packaging User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.errors import Label, SourceError
from smelt.text import SourceText

_NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The static metadata of a Python project; None for what it does not say, or leaves to its build.

    ``version`` as conda writes it; ``license`` a valid SPDX expression; ``license_files`` names of existing files;
    ``build_requires`` and ``scripts`` as written; ``build_backend`` the import path of the PEP 517 backend;
    ``dynamic``: the fields that the build fills in. ``warnings``: what was passed over.
    """

    exists: bool
    name: str | None = None
    version: str | None = None
    requires_python: str | None = None
    description: str | None = None
    license: str | None = None
    license_files: tuple[str, ...] = ()
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None
    build_requires: tuple[str, ...] = ()
    build_backend: str = "setuptools.build_meta:__legacy__"
    scripts: tuple[tuple[str, str], ...] = ()
    dynamic: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def read_project(folder: Path) -> Project:
    """The project in ``folder``. Raises SourceError for a ``pyproject.toml`` that cannot be read."""
    path = folder / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Project(exists=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read `{path}`: {error}", code="pyproject") from error
    return _Reader(path, text).project()


def read_pkg_info(folder: Path) -> Mapping[str, str]:
    """The single-valued fields of ``PKG-INFO`` at the root of an sdist, keys in lower case; empty without one."""
    try:
        text = (folder / "PKG-INFO").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return dict[str, str]()
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, separator, value = line.partition(":")
        if separator and not line[0].isspace():
            fields.setdefault(key.strip().lower(), value.strip())
    return fields


def conda_version(text: str) -> str | None:
    """A PEP 440 version in normal form, which is a conda version too; None if it is none."""
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(text))
    except InvalidVersion:
        return None


def python_spec(requires_python: str) -> str:
    """``Requires-Python`` as a conda version spec; empty where it asks for nothing."""
    parts = [re.sub(r"\s+", "", part) for part in requires_python.split(",")]
    # PEP 440's `==3.*` is conda's `3.*`; `===` compares text, which `==` of plain versions does too.
    return ",".join(re.sub(r"^={2,3}(.*\*)$", r"\1", part).replace("===", "==") for part in parts if part)


def lower_bound(requires_python: str | None) -> str | None:
    """The version of the first ``>=`` in ``Requires-Python``."""
    for part in (requires_python or "").split(","):
        found = re.fullmatch(r"\s*>=\s*([0-9][^\s*]*)\s*", part)
        if found:
            return found[1]
    return None


def distribution_name(requirement: str) -> str:
    """The normalised (PEP 503) name of the distribution that a PEP 508 requirement is about."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


class _Reader:
    """Reads one ``pyproject.toml``, remembering what it is for messages."""

    def __init__(self, path: Path, text: str) -> None:
        import tomli

        self.path = path
        self.source = SourceText(path=str(path), text=text)
        self.warnings: list[str] = []
        try:
            self.data: Mapping[str, object] = tomli.loads(text)
        except tomli.TOMLDecodeError as error:
            place = self.source.place(_offset(text, error.lineno, error.colno))
            raise SourceError(
                f"`{path}` is not valid TOML: {error.msg}", code="pyproject", labels=[Label(place=place)]
            ) from error

    def project(self) -> Project:
        project = self._table(self.data, "project")
        system = self._table(self.data, "build-system")
        urls = {re.sub(r"[\W_]", "", key).lower(): value for key, value in self._texts(project, "urls").items()}
        version = self._text(project, "version")
        normal = conda_version(version) if version is not None else None
        if version is not None and normal is None:
            raise self._error("version", f"`{version}` is not a version", "see the version specifiers of PEP 440")
        scripts = self._texts(project, "scripts")
        return Project(
            exists=True,
            name=self._text(project, "name"),
            version=normal,
            requires_python=self._text(project, "requires-python"),
            description=self._text(project, "description"),
            license=self._license(project),
            license_files=self._license_files(project),
            homepage=urls.get("homepage"),
            repository=urls.get("repository") or urls.get("source") or urls.get("sourcecode"),
            documentation=urls.get("documentation") or urls.get("docs"),
            build_requires=self._list(system, "requires"),
            build_backend=self._text(system, "build-backend") or "setuptools.build_meta:__legacy__",
            scripts=tuple(scripts.items()),
            dynamic=frozenset(self._list(project, "dynamic")),
            warnings=tuple(self.warnings),
        )

    def _license(self, project: Mapping[str, object]) -> str | None:
        value = project.get("license")
        if isinstance(value, Mapping):
            value = cast("Mapping[str, object]", value).get("text")
        if not isinstance(value, str):
            return None
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

        try:
            return str(canonicalize_license_expression(value))
        except InvalidLicenseExpression:
            first = value.strip().partition("\n")[0]
            self.warnings.append(f"{self.path}: license `{first}` is no SPDX expression and is left out")
            return None

    def _license_files(self, project: Mapping[str, object]) -> tuple[str, ...]:
        """Existing files only: a pattern that matches nothing would fail the build long after."""
        patterns = list(self._list(project, "license-files"))
        value = project.get("license")
        if isinstance(value, Mapping):
            file = cast("Mapping[str, object]", value).get("file")
            if isinstance(file, str):
                patterns.append(file)
        found: dict[str, None] = {}
        for pattern in patterns:
            if pattern.startswith("/") or ".." in pattern.split("/") or "\\" in pattern:
                raise self._error("license-files", f"`{pattern}` leaves the project", None)
            try:
                matches = sorted(
                    path.relative_to(self.path.parent).as_posix()
                    for path in self.path.parent.glob(pattern)
                    if path.is_file()
                )
            except (ValueError, NotImplementedError) as error:
                raise self._error("license-files", f"`{pattern}` is not a valid pattern: {error}", None) from error
            if not matches:
                self.warnings.append(f"{self.path}: no license file matches `{pattern}`")
            found.update(dict.fromkeys(matches))
        return tuple(found)

    def _table(self, data: Mapping[str, object], key: str) -> Mapping[str, object]:
        value = data.get(key, _NOTHING)
        if not isinstance(value, Mapping):
            raise self._error(key, f"`{key}` must be a table", None)
        return cast("Mapping[str, object]", value)

    def _text(self, data: Mapping[str, object], key: str) -> str | None:
        value = data.get(key)
        if value is not None and not isinstance(value, str):
            raise self._error(key, f"`{key}` must be text", None)
        return value

    def _texts(self, data: Mapping[str, object], key: str) -> dict[str, str]:
        table = self._table(data, key)
        for name, value in table.items():
            if not isinstance(value, str):
                raise self._error(name, f"`{key}.{name}` must be text", None)
        return cast("dict[str, str]", dict(table))

    def _list(self, data: Mapping[str, object], key: str) -> tuple[str, ...]:
        value = data.get(key, ())
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._error(key, f"`{key}` must be a list of texts", None)
        items = cast("Sequence[object]", value)
        if not all(isinstance(item, str) for item in items):
            raise self._error(key, f"`{key}` must be a list of texts", None)
        return tuple(cast("Sequence[str]", items))

    def _error(self, key: str, problem: str, help: str | None) -> SourceError:
        found = re.search(rf'^\s*"?{re.escape(key)}"?\s*=|^\s*\[.*{re.escape(key)}\]', self.source.text, re.MULTILINE)
        labels: list[Label] = []
        if found is not None:
            start = found.start() + len(found[0]) - len(found[0].lstrip())
            labels.append(Label(place=self.source.place(start, len(found[0].strip(" =\t\n")))))
        return SourceError(f"{self.path}: {problem}", code="pyproject", labels=labels, help=help)


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
