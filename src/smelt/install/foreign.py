"""Wheels into a prefix for a platform that this machine is not: unpacked, and nothing of them is run.

Source: PEP 427 (where the files of a wheel go).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from smelt.channel.conversion import convert
from smelt.channel.model import PLACEHOLDER, PackageFile, PackageHead
from smelt.channel.targets import Target
from smelt.channel.wheelfile import Wheel, read_wheel
from smelt.config.network import Network
from smelt.errors import InstallError, NotSupportedError
from smelt.fs import remove_tree
from smelt.install.pypi_prefix import conda_files
from smelt.solve.pypi_distribution import Distribution
from smelt.types import CondaRecord, platform_family, sha256_file


def unpack_wheels(
    prefix: Path,
    distributions: Sequence[Distribution],
    python: CondaRecord,
    subdir: str,
    network: Network,
    warn: Callable[[str], None],
) -> None:
    """Put the files of wheels where they belong in a prefix for ``subdir``; scripts name the interpreter in it.

    For Windows, commands of entry points are left out (they are programs there), of which ``warn`` is told.
    Raises NotSupportedError (``pypi-platform``) for what would have to be built, InstallError (``hash-mismatch``,
    ``hostile-package``, ``archive-missing``), ChannelError for a wheel that is not sound, SourceError for one that
    cannot be had, OSError.
    """
    for each in distributions:
        if not each.is_wheel:
            raise NotSupportedError(
                f"the PyPI package {each.name} has to be built, which cannot be done for {subdir} here",
                code="pypi-platform",
                notes=[each.location],
                help="install on that platform, ask for wheels (`no-build`), or leave it out (`--skip`)",
            )
    target = Target(python=python.version, platform=subdir)
    owned = set(conda_files(prefix))
    without: list[str] = []
    for each in distributions:
        wheel = read_wheel(_file(each, network))
        if platform_family(subdir) == "win" and wheel.commands:
            without += sorted(wheel.commands)
            wheel = replace(wheel, commands={})
        _unpack(prefix, wheel, target, owned)
    if without:
        warn(f"commands of PyPI packages are programs on Windows, which cannot be made here: {', '.join(without)}")


def _file(distribution: Distribution, network: Network) -> Path:
    if distribution.path is None:
        from smelt.source.download import fetch

        return fetch(distribution.url or "", distribution.sha256, network=network)[0]
    if not distribution.path.is_file():
        raise InstallError(
            f"the wheel {distribution.path.name} is no longer there",
            code="archive-missing",
            notes=[str(distribution.path)],
            help="solve again (`smelt lock`), or put the file back",
        )
    if distribution.sha256 is not None and sha256_file(distribution.path) != distribution.sha256:
        raise InstallError(
            f"{distribution.path.name} is not the wheel that was locked",
            code="hash-mismatch",
            notes=[str(distribution.path)],
            help=f"the file was replaced: `smelt update {distribution.name}` accepts the new one",
        )
    return distribution.path


def _unpack(prefix: Path, wheel: Wheel, target: Target, owned: set[str]) -> None:
    head = PackageHead(
        name=wheel.metadata.name,
        version=str(wheel.metadata.version),
        build="",
        build_number=0,
        subdir=target.platform,
        depends=(),
    )
    work = Path(tempfile.mkdtemp(prefix="smelt-wheel-"))
    try:
        entries = convert(wheel, head, target, work).entries
        for entry in entries:
            if entry.path in owned:
                raise InstallError(
                    f"{wheel.path.name} would replace {entry.path}, which a conda package brought",
                    code="hostile-package",
                    help="take one of the two out of the dependencies",
                )
        for entry in entries:
            if isinstance(entry, PackageFile):
                _write(prefix, entry, wheel)
    finally:
        remove_tree(work)


def _write(prefix: Path, entry: PackageFile, wheel: Wheel) -> None:
    path = prefix / entry.path
    if not path.parent.resolve().is_relative_to(prefix.resolve()):
        raise InstallError(
            f"{wheel.path.name} would write {entry.path}, and a link leads from there out of the environment",
            code="hostile-package",
            help="see which package brought that link, and do not use it",
        )
    data = entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()
    if entry.placeholder:
        data = data.replace(PLACEHOLDER.encode(), str(prefix).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        path.unlink()  # never written through: it may be a link
    path.write_bytes(data)
    if entry.executable:
        path.chmod(path.stat().st_mode | 0o111)
