"""Whether this machine can run an environment."""

from __future__ import annotations

from collections.abc import Sequence

from smelt.errors import InstallError
from smelt.solve.machine import machine_virtual_packages
from smelt.solve.matching import RattlerMatcher
from smelt.types import CondaRecord, spec_name


def check_machine(environment: str, records: Sequence[CondaRecord]) -> None:
    """Raise InstallError (``machine-unsuitable``) if a package needs a virtual package that is not here.

    ``CONDA_OVERRIDE_*`` counts. Source: the reference's page "System requirements".
    """
    specs: dict[str, list[str]] = {}
    for record in records:
        for spec in record.depends:
            # microarchitectures contain one another, which a spec on a build string does not tell
            if spec.startswith("__") and spec_name(spec) != "__archspec":
                specs.setdefault(spec, []).append(record.name)
    if not specs:
        return
    matcher = RattlerMatcher()
    here = {package.name: package for package in machine_virtual_packages()}
    missing: list[str] = []
    for spec, names in sorted(specs.items()):
        package = here.get(spec_name(spec))
        if package is None or not matcher.matches_virtual(spec, package):
            have = f"this machine has {package.version}" if package is not None else "this machine has none"
            missing.append(f"{', '.join(names)} needs {spec}: {have}")
    if missing:
        raise InstallError(
            f"environment `{environment}` cannot run on this machine",
            code="machine-unsuitable",
            notes=missing,
            help="`CONDA_OVERRIDE_<NAME>=<version>` in the environment says otherwise (CONDA_OVERRIDE_CUDA=12.8)",
        )
