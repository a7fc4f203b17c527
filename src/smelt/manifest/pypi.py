"""PyPI requirements and options.

Source: the reference's manifest page, "pypi-dependencies" and "The pypi-options table"; PEP 440 and PEP 508.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, cast

from smelt.manifest.location import normalize_subdirectory, subdirectory_problem, url_problem
from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Problems, Table, type_name
from smelt.types import GitReference


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiRequirement:
    """One requirement on a PyPI package.

    ``name`` is normalised (PEP 503). ``version``: PEP 440 specifiers, None for any. At most one of ``path`` (as
    written, relative to the manifest), ``git`` and ``url`` is given. ``place`` tells where it stands.
    """

    name: str
    version: str | None = None
    extras: tuple[str, ...] = ()
    markers: str | None = None
    path: str | None = None
    editable: bool | None = None
    git: str | None = None
    reference: GitReference | None = None
    lfs: bool | None = None
    url: str | None = None
    subdirectory: str | None = None
    index: str | None = None
    place: KeyPath = field(default=(), compare=False)

    @property
    def is_source(self) -> bool:
        """Whether it names a place instead of a release."""
        return self.path is not None or self.git is not None or self.url is not None


Selection = Literal["all"] | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiOptions:
    """``pypi-options``. ``no_build``, ``no_binary`` and ``no_build_isolation``: ``all``, or names of packages.

    ``find_links``: (``url`` or ``path``, text) pairs.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[tuple[Literal["url", "path"], str], ...] = ()
    no_build_isolation: Selection = ()
    index_strategy: str | None = None
    prerelease_mode: str | None = None
    no_build: Selection = ()
    no_binary: Selection = ()
    dependency_overrides: Mapping[str, PypiRequirement] = field(default_factory=lambda: MappingProxyType({}))
    skip_wheel_filename_check: bool | None = None


INDEX_STRATEGIES = ("first-index", "unsafe-first-match", "unsafe-best-match")
PRERELEASE_MODES = ("disallow", "allow", "if-necessary", "explicit", "if-necessary-or-explicit")

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = (
    r"v?(?:\d+!)?\d+(?:\.\d+)*(?:[-_.]?(?:alpha|a|beta|b|preview|pre|c|rc)[-_.]?\d*)?"
    r"(?:-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?(?:[-_.]?dev[-_.]?\d*)?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?"
)
_SPECIFIER = re.compile(rf"\s*(?:===\s*\S+|(?:==|!=)\s*{_VERSION}(?:\.\*)?|(?:~=|<=|>=|<|>)\s*{_VERSION})\s*", re.I)
_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*"
    r"(?:@\s*(?P<url>[^\s;]+(?:\s(?!;)[^\s;]*)*)|\(?(?P<version>[^;@()]*)\)?)\s*(?:;\s*(?P<marker>.+))?\s*",
    re.DOTALL,
)


def normalize_pypi_name(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pypi_name_problem(name: str) -> str | None:
    """Why ``name`` is not the name of a PyPI package or extra, or None."""
    return None if _NAME.fullmatch(name) else f"`{name}` is not the name of a PyPI package"


def specifier_problem(text: str) -> str | None:
    """Why ``text`` is not a set of PEP 440 specifiers (or ``*``), or None."""
    stripped = text.strip()
    if stripped == "*" or (stripped and all(_SPECIFIER.fullmatch(part) for part in stripped.rstrip(",").split(","))):
        return None
    if stripped.startswith(("/", ".", "\\", "~/")):
        return f'`{text}` is not a version; a path is written as `{{ path = "{text}" }}`'
    if "git" in stripped:
        return f'`{text}` is not a version; a git repository is written as `{{ git = "{text}" }}`'
    if "://" in stripped:
        return f'`{text}` is not a version; an address is written as `{{ url = "{text}" }}`'
    if not stripped:
        return "a version cannot be empty (`*` means any version)"
    if re.fullmatch(_VERSION, stripped, re.I):
        return f"`{text}` has no operator: write `=={stripped}`, `>={stripped}` or `~={stripped}`"
    return f"`{text}` is not a Python version specifier (`>=1.2,<2`, `==1.2.*`, `~=1.2`)"


def read_pypi_requirements(outer: Table, key: str) -> dict[str, PypiRequirement] | None:
    """The table of PyPI requirements at ``key``, by normalised name, or None."""
    table = outer.table(key, "a table of PyPI requirements")
    if table is None:
        return None
    problems = table.problems
    found: dict[str, PypiRequirement] = {}
    for written in table.data:
        value = table.take(written)
        path = table.at(written)
        complaint = pypi_name_problem(written)
        if complaint is not None:
            problems.error("package-name", complaint, problems.key(path))
            continue
        name = normalize_pypi_name(written)
        if name in found:
            problems.error(
                "duplicate",
                f"`{written}` is given twice: `-`, `_`, `.` and upper case make no difference",
                problems.key(path),
                also=[(problems.key(found[name].place), "first given here")],
            )
            continue
        requirement = _read_requirement(name, value, path, problems)
        if requirement is not None:
            found[name] = requirement
    return found


def _read_requirement(name: str, value: object, path: KeyPath, problems: Problems) -> PypiRequirement | None:
    if isinstance(value, str):
        complaint = specifier_problem(value)
        if complaint is not None:
            problems.error("version", complaint, problems.value(path))
            return None
        return PypiRequirement(name=name, version=_any_as_none(value), place=path)
    if not isinstance(value, dict):
        problems.error("type", f"expected a version or a table, found {type_name(value)}", problems.value(path))
        return None
    table = Table(cast("dict[str, object]", value), path, problems)
    before = len(problems.errors)
    version = table.parsed("version", specifier_problem)
    extras = table.strings("extras", pypi_name_problem)
    local = table.string("path")
    editable = table.boolean("editable")
    git = table.parsed("git", url_problem)
    branch, tag, rev = table.string("branch"), table.string("tag"), table.string("rev")
    lfs = table.boolean("lfs")
    url = table.parsed("url", url_problem)
    subdirectory = table.parsed("subdirectory", subdirectory_problem)
    index = table.parsed("index", url_problem)
    markers = table.string("env-markers")
    table.finish()
    places = [key for key in table.data if key in ("url", "path", "git")]
    refs = [key for key in table.data if key in ("branch", "tag", "rev")]
    if not git and "git" not in table:
        for key in (*refs, *(["lfs"] if "lfs" in table else [])):
            problems.error("conflict", f"`{key}` only goes with `git`", problems.key(table.at(key)))
    if len(refs) > 1:
        problems.error(
            "conflict",
            f"only one of {', '.join(f'`{key}`' for key in refs)} can be given",
            problems.key(table.at(refs[1])),
        )
    if places and "version" in table:
        problems.error("conflict", f"`version` cannot be used with `{places[0]}`", problems.key(table.at("version")))
    if len(places) + ("index" in table) > 1:
        kinds = [*places, *(["index"] if "index" in table else [])]
        problems.error(
            "conflict",
            f"only one of {', '.join(f'`{key}`' for key in kinds)} can be given",
            problems.key(table.at(kinds[1])),
        )
    if len(problems.errors) > before:
        return None
    return PypiRequirement(
        name=name,
        version=_any_as_none(version),
        extras=extras or (),
        markers=markers,
        path=local,
        editable=editable,
        git=git,
        reference=GitReference(branch=branch, tag=tag, rev=rev) if refs else None,
        lfs=lfs,
        url=url,
        subdirectory=normalize_subdirectory(subdirectory) if subdirectory else None,
        index=index,
        place=path,
    )


def _any_as_none(version: str | None) -> str | None:
    return None if version is None or version.strip() == "*" else version


def parse_requirement(text: str, path: KeyPath) -> PypiRequirement | str:
    """A PEP 508 requirement, or why ``text`` is none."""
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        return f"`{text}` is not a requirement (PEP 508)"
    extras = tuple(part.strip() for part in (found["extras"] or "").split(",") if part.strip())
    for extra in extras:
        if pypi_name_problem(extra) is not None:
            return f"`{extra}` is not the name of an extra"
    version = (found["version"] or "").strip() or None
    if version is not None and (complaint := specifier_problem(version)) is not None:
        return complaint
    marker = (found["marker"] or "").strip() or None
    name = normalize_pypi_name(found["name"])
    url = (found["url"] or "").strip() or None
    if url is None:
        return PypiRequirement(name=name, version=_any_as_none(version), extras=extras, markers=marker, place=path)
    if url.startswith("git+"):
        return _git_requirement(name, url[4:], extras, marker, path)
    if url_problem(url) is not None or url.startswith("file:"):
        local = url.removeprefix("file://").removeprefix("file:")
        return PypiRequirement(name=name, path=local, extras=extras, markers=marker, place=path)
    address, _, fragment = url.partition("#")
    folder = re.search(r"(?:^|&)subdirectory=([^&]+)", fragment)
    return PypiRequirement(
        name=name,
        url=address,
        subdirectory=folder.group(1) if folder else None,
        extras=extras,
        markers=marker,
        place=path,
    )


def _git_requirement(
    name: str, url: str, extras: tuple[str, ...], marker: str | None, path: KeyPath
) -> PypiRequirement:
    address, _, fragment = url.partition("#")
    folder = re.search(r"(?:^|&)subdirectory=([^&]+)", fragment)
    scheme, _, rest = address.partition("://")
    base, mark, revision = rest.rpartition("@")
    if not mark or "/" not in base:
        base, revision = rest, ""
    return PypiRequirement(
        name=name,
        git=f"{scheme}://{base}",
        reference=GitReference(rev=revision) if revision else None,
        subdirectory=folder.group(1) if folder else None,
        extras=extras,
        markers=marker,
        place=path,
    )


def read_pypi_options(outer: Table) -> PypiOptions | None:
    """The table ``pypi-options`` of ``outer``, or None."""
    table = outer.table("pypi-options")
    if table is None:
        return None
    options = PypiOptions(
        index_url=table.parsed("index-url", url_problem),
        extra_index_urls=table.strings("extra-index-urls", url_problem) or (),
        find_links=_read_find_links(table),
        no_build_isolation=_read_selection(table, "no-build-isolation"),
        index_strategy=table.choice("index-strategy", INDEX_STRATEGIES),
        prerelease_mode=table.choice("prerelease-mode", PRERELEASE_MODES),
        no_build=_read_selection(table, "no-build"),
        no_binary=_read_selection(table, "no-binary"),
        dependency_overrides=MappingProxyType(read_pypi_requirements(table, "dependency-overrides") or {}),
        skip_wheel_filename_check=table.boolean("skip-wheel-filename-check"),
    )
    table.finish()
    return options


def _read_selection(table: Table, key: str) -> Selection:
    value = table.take(key)
    if value is None or value is False:
        return ()
    if value is True:
        return "all"
    if isinstance(value, list):
        return tuple(normalize_pypi_name(name) for name in table.strings(key, pypi_name_problem) or ())
    table.wrong_type(table.at(key), "a boolean or an array of names of packages", value)
    return ()


def _read_find_links(table: Table) -> tuple[tuple[Literal["url", "path"], str], ...]:
    problems = table.problems
    found: list[tuple[Literal["url", "path"], str]] = []
    for index, value in enumerate(table.array("find-links", "an array of tables") or ()):
        at = (*table.path, "find-links", index)
        if not isinstance(value, dict):
            problems.error(
                "type",
                f"expected a table, found {type_name(value)}",
                problems.value(at),
                help='write `{ path = "…" }` or `{ url = "…" }`',
            )
            continue
        entry = Table(cast("dict[str, object]", value), at, problems)
        path = entry.string("path")
        url = entry.parsed("url", url_problem)
        entry.finish()
        if ("path" in entry) == ("url" in entry):
            problems.error("value", "give one of `url` and `path`", problems.value(at))
        elif path is not None:
            found.append(("path", path))
        elif url is not None:
            found.append(("url", url))
    return tuple(found)
