"""Whether this machine can run an environment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from smelt.errors import InstallError, SolveError
from smelt.lock.model import SourcePackage
from smelt.solve.machine import machine_virtual_packages
from smelt.solve.matching import RattlerMatcher
from smelt.types import CondaRecord, VirtualPackage, current_platform, platform_family, runnable_subdirs, spec_name
from smelt.workspace.model import WorkspacePlatform


def requirements(records: Iterable[CondaRecord | SourcePackage]) -> dict[str, tuple[str, ...]]:
    """The specs of virtual packages that ``records`` depend on, each with the names of those that do; sorted."""
    specs: dict[str, list[str]] = {}
    for record in records:
        for spec in record.depends:
            if spec.startswith("__"):
                specs.setdefault(spec, []).append(record.name)
    return {spec: tuple(names) for spec, names in sorted(specs.items())}


def check_machine(
    environment: str, records: Sequence[CondaRecord | SourcePackage], platform: WorkspacePlatform
) -> None:
    """Raise InstallError (``machine-unsuitable``) if a package needs a virtual package that is not here.

    ``CONDA_OVERRIDE_*`` counts. ``platform``: what the environment was solved for; the error tells what it promises.
    Source: the reference's page "System requirements".
    """
    declared = {package.name: package for package in platform.virtual_packages}
    _check(environment, requirements(records), declared, f"the workspace's platform `{platform.name}`")


def check_installed(environment: str, prefix: Path, subdir: str) -> None:
    """Raise InstallError (``machine-unsuitable``) if what the prefix was installed for does not run here.

    This asks what smelt or the reference wrote into the prefix (``conda-meta/pixi``); a requirement that cannot be
    read is passed over, and a prefix that says nothing passes.
    """
    try:
        data: object = json.loads((prefix / "conda-meta" / "pixi").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    minimum = cast("dict[str, object]", data).get("minimum_supported_platform") if isinstance(data, dict) else None
    if not isinstance(minimum, dict):
        return
    marker = cast("dict[str, object]", minimum)
    wanted = str(marker.get("subdir", subdir))
    foreign = wanted not in (*runnable_subdirs(subdir), "noarch")
    if foreign and any((prefix / "conda-meta").glob("*.json")):
        raise InstallError(
            f"environment `{environment}` was installed for {wanted}, which this machine cannot run",
            code="machine-unsuitable",
            help="`smelt install` installs it for this machine",
        )
    texts = marker.get("requirements")
    specs = [str(text) for text in cast("list[object]", texts)] if isinstance(texts, list) else []
    _check(environment, dict.fromkeys(specs, ("what is installed",)), {}, "")


def _check(
    environment: str,
    specs: Mapping[str, tuple[str, ...]],
    declared: Mapping[str, VirtualPackage],
    origin: str,
) -> None:
    # microarchitectures contain one another, which a spec on a build string does not tell
    asked = {spec: names for spec, names in specs.items() if spec_name(spec) != "__archspec"}
    if not asked:
        return
    matcher = RattlerMatcher()
    here = {package.name: package for package in machine_virtual_packages()}
    missing: list[str] = []
    overrides: dict[str, str] = {}
    for spec, names in asked.items():
        name = spec_name(spec)
        package = here.get(name)
        try:
            if matcher.matches_virtual(spec, package or VirtualPackage(name=name)) and package is not None:
                continue
        except SolveError:
            continue  # written by another tool, or a version beyond what versions can be
        have = f"this machine has {package.version}" if package is not None else "this machine has none"
        missing.append(f"{', '.join(names)} needs {spec}: {have}")
        promised = declared.get(name)
        if promised is not None:
            missing.append(f"{origin} promises {name} >= {promised.version}")
        value = _override(spec, name, matcher)
        if value is not None:
            overrides[f"CONDA_OVERRIDE_{name.lstrip('_').upper()}"] = value
    if missing:
        lines = "".join(f"\n  {variable}={value}" for variable, value in overrides.items())
        raise InstallError(
            f"environment `{environment}` cannot run on this machine",
            code="machine-unsuitable",
            notes=list(dict.fromkeys(missing)),
            help=f"if it can after all, say so in the environment:{lines}" if lines else "use a machine that has it",
        )


_OVERRIDES = {
    "__cuda": (("linux", "win"), "12.8"),
    "__glibc": (("linux",), "2.28"),
    "__linux": (("linux",), "5.10"),
    "__osx": (("osx",), "13.0"),
    "__win": (("win",), "10.0"),
}


def _override(spec: str, name: str, matcher: RattlerMatcher) -> str | None:
    """What ``CONDA_OVERRIDE_*`` has to be for ``spec``; None where this system does not heed it (CEP 30)."""
    families, usual = _OVERRIDES.get(name, ((), ""))
    if platform_family(current_platform()) not in families:
        return None
    tried = [*re.findall(r"\d[\d.]*\d|\d", spec.removeprefix(name)), usual]
    return next((v for v in tried if matcher.matches_virtual(spec, VirtualPackage(name=name, version=v))), None)
