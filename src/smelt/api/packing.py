"""Packing a locked environment: what ``smelt pack`` does."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from smelt.api.platforms import environment_named, platform_for
from smelt.api.pypi import pypi_install, python_provider
from smelt.build.surroundings import builds_here
from smelt.errors import LockError, PackError
from smelt.fs import remove_tree, smelt_cache
from smelt.lock.model import Lock, PypiPackage, SourcePackage
from smelt.lock.pypi_platform import platform_of
from smelt.pack.fetching import collect
from smelt.pack.formats import Format, executable, format_for, with_image
from smelt.pack.image import ImageOptions
from smelt.pack.model import PackContent, PackReporter, SilentReporter, SourceOrigin
from smelt.pack.request import AT_ONCE, BuildWheel, PackRequest, WantedPackage
from smelt.types import CondaRecord, current_platform, digest_json

if TYPE_CHECKING:
    from rattler.networking.client import Client

    from smelt.api.workspace import LockMode, Workspace
    from smelt.build.model import Artifact, BuildNode
    from smelt.build.store import Store
    from smelt.config.network import Network
    from smelt.install.pypi_plan import PypiInstall
    from smelt.resolve.plan import BuildPlan
    from smelt.solve.pypi_distribution import Distribution
    from smelt.workspace.model import WorkspacePlatform


_MISLEADING = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".ps1", ".exe", ".conda")
"""What names of files end with that are something else than a tar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOptions:
    """What to pack, and how.

    ``platform``: a name of the workspace or a conda subdir (default: this machine's). ``output``: a path, or a stream;
    by default the usual name of ``format`` in the current folder. ``format``: a name of
    ``smelt.pack.formats.FORMATS``; by default told by the name of the output. ``inject``: packages that are added.
    ``cache``: a folder that keeps what is downloaded. ``ignore_non_wheels``: leave out PyPI packages that are no wheels
    (by default they are built, where the platform is this machine's). ``mode``: how the lock is taken. ``jobs``: builds
    at the same time. ``sbom``: a bill of materials goes with it, in a form of ``smelt.pack.sbom.FORMATS``. ``image``:
    how a container image is made (forms ``oci`` and ``oci-archive``). ``executable``: a script that unpacks itself,
    whatever ``format``; with ``unpacker`` (path or URL of a ``pixi-unpack``) in the form of pixi-pack. Its file gets
    the right extension.
    """

    environment: str = "default"
    platform: str | None = None
    output: Path | IO[bytes] | None = None
    format: str | None = None
    inject: Sequence[Path] = ()
    cache: Path | None = None
    ignore_non_wheels: bool = False
    mode: LockMode = "frozen"
    jobs: int | None = None
    sbom: str | None = None
    image: ImageOptions | None = None
    executable: bool = False
    unpacker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A pack that was written. ``output`` is None for a stream; ``size`` in bytes."""

    output: Path | None
    format: Format
    size: int
    content: PackContent


def pack(workspace: Workspace, options: PackOptions | None = None, reporter: PackReporter | None = None) -> Packed:
    """Write a locked environment into one file (or folder), building what of it has to be built.

    The environment is not installed, and nothing is solved. Raises UnknownNameError, LockError, PackError, BuildError,
    InstallError (``hash-mismatch``, ``archive-missing``), ChannelError, SourceError.
    """
    options = options or PackOptions()
    reporter = reporter or SilentReporter()
    target = options.output
    if options.executable:
        form = _executable(workspace, options)
        if isinstance(target, Path):
            target = target.with_suffix(form.suffixes[0])
    else:
        form = format_for(options.format, str(target) if isinstance(target, Path) else None)
        misleading = isinstance(target, Path) and target.name.endswith(_MISLEADING)
        if options.format is None and misleading and not str(target).endswith(form.suffixes):
            reporter.warning(f"{target} will be a {form.name}, whatever its name says: name a form with `--format`")
    if options.image is not None:
        form = with_image(form, options.image)
    if target is None:
        target = Path.cwd() / form.default
    if not isinstance(target, Path) and not form.streams:
        raise PackError(f"a {form.name} cannot be written to a stream", code="pack-output", help="name it with `-o`")
    root = smelt_cache() / "work"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="pack-", dir=root))
    try:
        content = pack_content(workspace, options, folder, reporter)
        if form.exchangeable and content.wheels and all(item.record.name != "pip" for item in content.packages):
            reporter.warning(
                "conda and micromamba cannot install the wheels of this pack: `pip` is not in the environment"
            )
        if options.sbom is not None:
            from smelt.pack.sbom import with_sbom

            content = with_sbom(content, options.sbom)
        size = form.write(content, target, reporter)
    finally:
        remove_tree(folder)
    return Packed(output=target if isinstance(target, Path) else None, format=form, size=size, content=content)


def _executable(workspace: Workspace, options: PackOptions) -> Format:
    name = environment_named(workspace.model, options.environment)
    platform = platform_for(workspace.model, name, options.platform).subdir
    source = options.unpacker
    if source is None:
        return executable(platform, None)
    if "://" in source:
        from smelt.source.download import fetch

        return executable(platform, fetch(source, network=workspace.network)[0])
    return executable(platform, Path(source))


def pack_content(workspace: Workspace, options: PackOptions, folder: Path, reporter: PackReporter) -> PackContent:
    """Everything that goes into the pack, on this machine; ``folder`` takes what is downloaded. Raises as ``pack``."""
    request = pack_request(workspace, options, reporter)
    found: list[PackContent] = []

    async def work() -> None:  # gives nothing: `asyncio.run` makes a text of what its coroutine gives
        found.append(await collect(request, folder, partial(_client, workspace.network), reporter))

    asyncio.run(work())
    return found[0]


def pack_request(workspace: Workspace, options: PackOptions, reporter: PackReporter) -> PackRequest:
    """What is to be packed; its source packages are built. Raises as ``pack``."""
    name = environment_named(workspace.model, options.environment)
    where = platform_for(workspace.model, name, options.platform)
    lock = workspace.ensure_lock(options.mode, where.name)
    locked = lock.packages_of(name, where.name)
    if locked is None:
        missing = "environment" if name not in lock.environments else "platform"
        what = f"environment `{name}`" if missing == "environment" else f"platform `{where.name}` of `{name}`"
        raise LockError(
            f"{what} not found in lockfile {workspace.model.lock_path}",
            code="lock-environment-missing",
            help="run `smelt lock`",
        )
    artifacts, keys = _build(workspace, lock, name, where, options)
    wanted: list[WantedPackage] = []
    pypi: list[PypiPackage] = []
    for package in locked:
        if isinstance(package, CondaRecord):
            wanted.append(WantedPackage(record=package))
        elif isinstance(package, SourcePackage):
            key = keys[package.identifier]
            wanted.append(
                WantedPackage(
                    record=artifacts[key].record,
                    origin="source",
                    source=SourceOrigin(
                        key=key,
                        package=package,
                        locked=lock.sources.get(package.identifier),
                        build=tuple(lock.packages[each] for each in package.build_packages),
                        host=tuple(lock.packages[each] for each in package.host_packages),
                    ),
                )
            )
        else:
            pypi.append(package)
    records = tuple(each.record for each in wanted)
    install = pypi_install(pypi, workspace.model, workspace.model.effective[name, where.name])
    buildable = where.subdir == current_platform() and any(record.name == "python" for record in records)
    return PackRequest(
        workspace=workspace.model.name,
        environment=name,
        platform=where.subdir,
        packages=tuple(wanted),
        distributions=install.distributions if install is not None else (),
        pypi_data={each.name: each.data for each in pypi},
        python=platform_of({record.name: record for record in records}, where.subdir, where.virtual_packages),
        inject=tuple(options.inject),
        cache=options.cache,
        ignore_non_wheels=options.ignore_non_wheels,
        build_wheel=_wheel_builder(workspace, records, where.subdir, install) if install and buildable else None,
        at_once=cast("int | None", workspace.settings.get("concurrency", "downloads")) or AT_ONCE,
        network=workspace.network,
        shared=_shared(lock, where.name),
    )


def _shared(lock: Lock, platform: str) -> frozenset[str]:
    """The channels' packages that all environments of ``platform`` have, where there are several."""
    locked = [found for name in lock.environments if (found := lock.packages_of(name, platform)) is not None]
    if len(locked) < 2:
        return frozenset()
    records = [{p.name: (p.url, p.sha256) for p in packages if isinstance(p, CondaRecord)} for packages in locked]
    return frozenset(name for name, what in records[0].items() if all(other.get(name) == what for other in records[1:]))


def _build(
    workspace: Workspace, lock: Lock, name: str, where: WorkspacePlatform, options: PackOptions
) -> tuple[Mapping[str, Artifact], Mapping[str, str]]:
    """The artifacts of the environment by build key, and the keys of its source packages by identifier."""
    own = [p for p in lock.packages_of(name, where.name) or () if isinstance(p, SourcePackage)]
    if not own:
        return {}, {}
    from smelt.api.build_options import BuildOptions, for_workspace
    from smelt.api.building import run_builds, store

    plan = workspace.plan_of(lock, [name], options.platform)
    wanted = [plan.keys[package.identifier] for package in own]
    artifacts = store(workspace.reporters.build.warning)
    needed = _missing(plan, wanted, artifacts)
    here = current_platform()
    foreign = [node for node in needed if not builds_here(node)]
    if foreign:
        raise PackError(
            f"{foreign[0].label} cannot be built for {where.subdir} on this machine ({here})",
            code="pack-foreign-build",
            notes=[f"{node.label} is not in the store" for node in foreign[1:]],
            help="pack on a machine of that platform, share the cache of one that built it (PIXI_CACHE_DIR), or have "
            f'it built here: `{where.subdir} = "{here}"` in `[tool.smelt.build-platform]`, and `smelt lock`',
        )
    built = dict(
        run_builds(
            replace(plan, nodes=tuple(needed)),
            for_workspace(
                BuildOptions(
                    jobs=options.jobs,
                    workspace=workspace.model.manifest_path if len(needed) == len(plan.nodes) else None,
                ),
                workspace,
            ),
            workspace.reporters,
        )
    )
    for key in wanted:
        if key not in built:
            found = artifacts.lookup(key)
            if found is None:  # removed or found damaged meanwhile
                return _build(workspace, lock, name, where, options)
            artifacts.mark_used(key)
            built[key] = found
    return built, plan.keys


def _missing(plan: BuildPlan, wanted: Sequence[str], artifacts: Store) -> list[BuildNode]:
    """The builds of which something is needed, in the order of the plan; what only stored builds needed is not."""
    nodes = {node.key: node for node in plan.nodes}
    needed: set[str] = set()
    waiting = list(wanted)
    while waiting:
        key = waiting.pop()
        if key in needed or artifacts.lookup(key, tell=False) is not None:
            continue
        needed.add(key)
        waiting += nodes[key].needs
    return [node for node in plan.nodes if node.key in needed]


def _wheel_builder(
    workspace: Workspace, records: Sequence[CondaRecord], subdir: str, install: PypiInstall
) -> BuildWheel:
    """Builds wheels with the conda packages of the environment at hand, which are linked when the first is needed."""
    made: list[Path] = []

    def build(distribution: Distribution) -> Path:
        from smelt.pack.wheels import WheelBuild, build_wheel

        if not made:
            made.append(asyncio.run(_python(workspace, records, subdir)))
        python = made[0]
        prefix = python.parent if os.name == "nt" else python.parent.parent
        how = WheelBuild(
            prefix=prefix,
            python=python,
            identity=digest_json(sorted(record.sha256 or record.url for record in records)),
            options=install.options,
            root=install.root,
            environment=install.environment,
            network=workspace.network,
        )
        return build_wheel(distribution, how)

    return build


async def _python(workspace: Workspace, records: Sequence[CondaRecord], subdir: str) -> Path:
    return await python_provider(workspace.model, workspace.reporters, workspace.network)(records, subdir)


def _client(network: Network, headers: Mapping[str, str]) -> Client:
    from smelt.solve.network import client

    return client(network, headers=headers)
