"""Wheels of what is none in an index: sdists, local projects, git repositories; built by uv for this machine.

What is known by its hash or commit is built once and kept with the other archives of the cache; so packing again gives
the same bytes.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from smelt.config.network import Network
from smelt.errors import NotSupportedError, PackError
from smelt.fs import hold, remove_tree, smelt_cache
from smelt.install.download import redacted
from smelt.lock.pypi_source import parse_git
from smelt.manifest.pypi import PypiOptions
from smelt.solve.pypi_distribution import Distribution
from smelt.solve.pypi_input import index_addresses, index_arguments, isolation_arguments
from smelt.solve.pypi_uv import UvFailed, run_uv
from smelt.types import digest_json

_DATE = (1980, 1, 1, 0, 0, 0)
_EPOCH = "315532800"
_LINES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelBuild:
    """How wheels of an environment are built.

    ``prefix``: an environment with the Python that they are for, ``python`` its interpreter, ``identity`` tells it from
    others. ``root``: of the workspace. ``environment``: variables for uv.
    """

    prefix: Path
    python: Path
    identity: str
    options: PypiOptions
    root: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    network: Network = field(default_factory=Network)


def build_wheel(distribution: Distribution, how: WheelBuild) -> Path:
    """The wheel of ``distribution``, built or from the cache.

    Raises PackError (``pack-wheel-build``) with uv's words, SourceError where the source cannot be had,
    NotSupportedError for a folder within an archive.
    """
    archives = smelt_cache() / "archives"
    identity = distribution.sha256 or distribution.git
    if identity is None:  # what lies in a folder may change: built each time
        key = digest_json(["wheel", distribution.location, str(distribution.folder or distribution.path), how.identity])
    else:
        key = digest_json(["wheel", distribution.name, identity, how.identity])
    target = archives / key[:2] / key
    with hold(target.with_name(f"{key}.lock"), f"building a wheel of {distribution.name}"):
        kept = sorted(target.glob("*.whl")) if identity is not None else []
        if len(kept) == 1 and zipfile.is_zipfile(kept[0]):
            return kept[0]
        remove_tree(target)
        folder = Path(tempfile.mkdtemp(prefix="smelt-wheel-"))
        try:
            built = _build(distribution, how, folder)
            target.mkdir(parents=True)
            part = target / f".{built.name}.part"
            normalise_wheel(built, part)
            part.replace(target / built.name)
        finally:
            remove_tree(folder)
        return target / built.name


def _build(distribution: Distribution, how: WheelBuild, folder: Path) -> Path:
    source = _source(distribution, how, folder)
    out = folder / "out"
    command = [
        *("build", "--wheel"),
        *("--out-dir", str(out), "--python", str(how.python)),
        *index_arguments(how.options, how.root),
        *isolation_arguments(how.options),
        str(source),
    ]
    variables = {"SOURCE_DATE_EPOCH": _EPOCH, **how.environment}
    try:
        run_uv(
            command,
            folder=folder,
            environment=variables,
            network=how.network,
            addresses=index_addresses(how.options),
        )
    except UvFailed as error:
        raise PackError(
            f"the PyPI package {distribution.name} cannot be built into a wheel",
            code="pack-wheel-build",
            notes=[redacted(distribution.location), "\n".join(error.text.splitlines()[-_LINES:])],
            help="see what its build says; `--ignore-pypi-non-wheel` leaves such packages out",
        ) from error
    found = sorted(out.glob("*.whl"))
    if len(found) != 1:
        raise PackError(
            f"building the PyPI package {distribution.name} gave {len(found)} wheels", code="pack-wheel-build"
        )
    return found[0]


def _source(distribution: Distribution, how: WheelBuild, folder: Path) -> Path:
    if distribution.folder is not None:
        return distribution.folder
    if distribution.git is not None:
        from smelt.source.git import checkout_commit
        from smelt.source.git_command import repository

        git = parse_git(distribution.git)
        if not git.commit:
            raise PackError(f"the lock names no commit of {distribution.name}", code="pack-wheel-build")
        checkout = checkout_commit(repository(git.git, how.root), git.commit, lfs=git.lfs)
        copy = folder / "source"  # builds write into their folder, the checkout is shared
        shutil.copytree(checkout, copy, symlinks=True)
        return copy / git.subdirectory if git.subdirectory else copy
    if distribution.path is not None:
        return distribution.path
    if "subdirectory=" in urlsplit(distribution.url or "").fragment:
        raise NotSupportedError(
            f"the PyPI package {distribution.name} is a folder within an archive: it cannot be packed yet",
            help="`--ignore-pypi-non-wheel` leaves it out",
        )
    from smelt.source.download import fetch

    path, _ = fetch((distribution.url or "").partition("#")[0], distribution.sha256)
    return path


def normalise_wheel(source: Path, target: Path) -> None:
    """Write ``source`` anew without what differs from build to build: dates and the order of entries."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as new:
        for name in sorted(old.namelist(), key=lambda name: (".dist-info/" in name, name)):
            before = old.getinfo(name)
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3
            executable = before.external_attr >> 16 & stat.S_IXUSR
            entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = before.file_size
            with old.open(before) as content, new.open(entry, "w") as stream:
                shutil.copyfileobj(content, stream)
