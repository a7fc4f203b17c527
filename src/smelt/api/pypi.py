"""PyPI packages of a workspace: from its lock to what is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.api.state import stamps

if TYPE_CHECKING:
    from smelt.api.reporter import Reporters
    from smelt.config.network import Network
    from smelt.install.pypi_plan import PypiInstall
    from smelt.lock.model import Lock, PypiPackage
    from smelt.resolve.pypi import ProvidePython
    from smelt.types import CondaRecord
    from smelt.workspace.model import EffectiveEnvironment, Workspace


def project_stamps(lock: Lock | None, root: Path) -> dict[str, tuple[int, ...] | None]:
    """The stamps of what the PyPI part of a check is read from: local Python projects, and uv's configuration."""
    if lock is None or not any(reference.kind == "pypi" for reference in lock.packages):
        return {}
    from smelt.solve.pypi_project import project_files
    from smelt.solve.pypi_uv import configuration_files

    files = [path for folder in _local_folders(lock, root) for path in project_files(folder)]
    return stamps([*files, *configuration_files()])


def _local_folders(lock: Lock | None, root: Path) -> list[Path]:
    from smelt.lock.model import PypiPackage

    packages = lock.packages.values() if lock is not None else ()
    local = [each for each in packages if isinstance(each, PypiPackage) and each.version is None]
    if not local:
        return []
    from smelt.solve.pypi_distribution import from_locked

    return [folder for each in local if (folder := from_locked(each, root).folder) is not None]


def pypi_install(
    packages: Sequence[PypiPackage],
    workspace: Workspace,
    effective: EffectiveEnvironment,
    network: Network | None = None,
) -> PypiInstall | None:
    """What an environment holds of PyPI; None if that is nothing. Whether a project is editable the manifest tells."""
    if not packages:
        return None
    from smelt.config.network import Network
    from smelt.install.pypi_plan import PypiInstall
    from smelt.solve.pypi_distribution import from_locked
    from smelt.workspace.pypi import group_options

    editable = {each.name for each in effective.pypi_requirements if each.path is not None and each.editable}
    return PypiInstall(
        distributions=tuple(from_locked(each, workspace.root, editable=each.name in editable) for each in packages),
        options=group_options(workspace, effective.environment.name),
        root=workspace.root,
        environment=_variables(effective),
        network=network or Network(),
    )


def _variables(effective: EffectiveEnvironment) -> Mapping[str, str]:
    from smelt.lock.pypi_platform import PypiPlatform
    from smelt.solve.pypi_input import platform_environment

    where = effective.platform
    return platform_environment(PypiPlatform(python="3", subdir=where.subdir, virtual_packages=where.virtual_packages))


def python_provider(workspace: Workspace, reporters: Reporters, network: Network | None = None) -> ProvidePython:
    """Installs a Python below ``.pixi/smelt`` where a lock needs one to build with; it is found there the next time."""

    async def provide(records: Sequence[CondaRecord], subdir: str) -> Path:
        from smelt.config.network import Network
        from smelt.install.prefix import install
        from smelt.install.pypi import python_of
        from smelt.install.request import InstallRequest
        from smelt.install.state import environment_digest

        digest = environment_digest(records)
        prefix = workspace.state_folder / "smelt" / "pypi-build" / digest[:16]
        request = InstallRequest(
            prefix=prefix,
            environment="build of PyPI packages",
            records=tuple(records),
            subdir=subdir,
            digest=digest,
            network=network or Network(),
        )
        await install(request, reporters.install)
        return python_of(prefix)

    return provide
