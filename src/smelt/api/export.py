"""Workspaces in the formats of other tools: conda's environment files and explicit specs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

from smelt.errors import LockError, NotSupportedError
from smelt.lock.model import Lock, LockedPackage, SourcePackage
from smelt.manifest.edit.requirement import requirement_text
from smelt.manifest.pypi import PypiRequirement
from smelt.types import CondaRecord, CondaSpec, spec_name
from smelt.workspace.model import EffectiveEnvironment

_DEFAULT_SERVER = "https://conda.anaconda.org/"


def environment_yaml(
    effective: EffectiveEnvironment, name: str, *, lock: Lock | None = None, pypi: bool = True
) -> tuple[str, tuple[str, ...]]:
    """The text of an ``environment.yml``, and what could not be said in it.

    With ``lock``: the exact packages that are locked, else what the manifest asks for.
    """
    left_out: list[str] = []
    dependencies: list[object] = []
    pip: list[str] = []
    if lock is None:
        for dependency in effective.dependencies:
            if dependency.spec.is_source:
                left_out.append(dependency.name)
            else:
                dependencies.append(conda_spec_text(dependency.name, dependency.spec))
        pip = [_pip_text(requirement) for requirement in effective.pypi_requirements] if pypi else []
    else:
        for package in _packages(effective, lock):
            if isinstance(package, CondaRecord):
                dependencies.append(f"{package.name}=={package.version}={package.build}")
            elif isinstance(package, SourcePackage):
                left_out.append(package.name)
            elif pypi:
                pip.append(f"{package.name}=={package.version}" if package.version is not None else package.location)
    if pip:
        options = effective.pypi_options
        head = [f"--index-url {options.index_url}"] if options.index_url is not None else []
        head += [f"--extra-index-url {url}" for url in options.extra_index_urls]
        head += [f"--find-links {text}" for _, text in options.find_links]
        dependencies += ["pip", {"pip": [*head, *pip]}]
    channels = [_short(url) for url in effective.channels]
    if not {"main", "r", "msys2"} & {channel.lower() for channel in channels}:
        channels.append("nodefaults")
    data: dict[str, object] = {"name": name, "channels": channels, "dependencies": dependencies}
    if effective.activation.env:
        data["variables"] = dict(effective.activation.env)
    return _yaml(data), tuple(left_out)


def conda_spec_text(name: str, spec: CondaSpec) -> str:
    """A requirement as conda's files have it."""
    if spec.url is not None:
        return spec.url
    head = f"{spec.channel}::{name}" if spec.channel is not None else name
    version = spec.version if spec.version not in (None, "*") else None
    if spec.build is not None:
        head += f" {version or '*'} {spec.build}"
    elif version is not None:
        head += f" {version}"
    rest = {"build_number": spec.build_number, "subdir": spec.subdir, "md5": spec.md5, "sha256": spec.sha256}
    more = ", ".join(f'{key}="{value}"' for key, value in rest.items() if value is not None)
    return f"{head}[{more}]" if more else head


def _pip_text(requirement: PypiRequirement) -> str:
    if requirement.path is not None:
        extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
        return f"{'-e ' if requirement.editable else ''}{requirement.path}{extras}"
    return requirement_text(requirement)


def _packages(effective: EffectiveEnvironment, lock: Lock) -> Sequence[LockedPackage]:
    found = lock.packages_of(effective.environment.name, effective.platform.name)
    if found is None:
        raise LockError(
            f"environment `{effective.environment.name}` is not locked for {effective.platform.name}",
            code="lock-missing",
            help="run `smelt lock`",
        )
    return found


def explicit_spec(
    effective: EffectiveEnvironment, lock: Lock, *, ignore_pypi: bool = False, ignore_source: bool = False
) -> tuple[str, tuple[str, ...]]:
    """The text of a conda explicit spec, dependencies before what needs them, and what could not be said in it.

    Raises NotSupportedError for PyPI and source packages unless they are to be left out, LockError.
    """
    left_out: list[str] = []
    records: list[CondaRecord] = []
    for package in _packages(effective, lock):
        if isinstance(package, CondaRecord):
            records.append(package)
            continue
        source = isinstance(package, SourcePackage)
        if not (ignore_source if source else ignore_pypi):
            option = "--ignore-source-errors" if source else "--ignore-pypi-errors"
            kind = "source packages" if source else "PyPI packages"
            raise NotSupportedError(
                f"a conda explicit spec cannot hold {kind}, and `{package.name}` is one",
                code="export",
                help=f"`{option}` leaves them out",
            )
        left_out.append(package.name)
    lines = ["# Generated by `smelt workspace export`", f"# platform: {effective.platform.subdir}", "@EXPLICIT"]
    for record in _sorted(records):
        digest = f"#{record.md5}" if record.md5 is not None else ""
        lines.append(f"{record.url}{digest}")
    return "\n".join(lines) + "\n", tuple(left_out)


def _sorted(records: Sequence[CondaRecord]) -> list[CondaRecord]:
    """``records`` so that each stands behind what it depends on, else by name."""
    by_name = {record.name: record for record in sorted(records, key=lambda record: record.name)}
    found: dict[str, CondaRecord] = {}
    on_the_way: set[str] = set()

    def visit(record: CondaRecord) -> None:
        if record.name in found or record.name in on_the_way:
            return
        on_the_way.add(record.name)
        for depend in record.depends:
            needed = by_name.get(spec_name(depend))
            if needed is not None:
                visit(needed)
        found[record.name] = record

    for record in by_name.values():
        visit(record)
    return list(found.values())


def _short(url: str) -> str:
    return url.removeprefix(_DEFAULT_SERVER).rstrip("/")


def _yaml(data: Mapping[str, object]) -> str:
    lines: list[str] = []
    for key, value in data.items():
        if isinstance(value, list):
            items = cast("list[object]", value)
            lines.append(f"{key}:" if items else f"{key}: []")
            for item in items:
                if isinstance(item, dict):
                    for inner, texts in cast("dict[str, list[str]]", item).items():
                        lines.append(f"- {inner}:")
                        lines += [f"  - {_scalar(text)}" for text in texts]
                else:
                    lines.append(f"- {_scalar(str(item))}")
        elif isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {_scalar(str(name))}: {_scalar(str(text), always=True)}" for name, text in value.items()]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        else:
            lines.append(f"{key}: {_scalar(str(value))}")
    return "\n".join(lines) + "\n"


_PLAIN = re.compile(r"[A-Za-z/.](?:[A-Za-z0-9 _./:@+=<>,|~^*-]*[A-Za-z0-9_./+*-])?")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


def _scalar(text: str, *, always: bool = False) -> str:
    """``text`` as a YAML scalar; in quotes where it would mean something else."""
    if not always and _PLAIN.fullmatch(text) and ": " not in text and text.lower() not in _WORDS:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text)
