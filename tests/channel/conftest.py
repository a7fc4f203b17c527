"""What the tests of the channel room share: wheels made on the spot, environments made by plain rattler."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from channel_support import record_row

from smelt.channel.folder import create
from smelt.types import current_platform

MakeWheel = Callable[..., Path]
Install = Callable[..., Path]


@pytest.fixture
def make_wheel(tmp_path: Path) -> MakeWheel:
    """Make a wheel file: ``files`` are put in as they are, the dist-info is added."""

    def make(
        name: str = "demo",
        version: str = "1.0",
        *,
        tag: str = "py3-none-any",
        files: Mapping[str, bytes] | None = None,
        metadata: str = "",
        entry_points: str = "",
        folder: Path | None = None,
        unrecorded: Sequence[str] = (),
    ) -> Path:
        info = f"{name}-{version}.dist-info"
        content = dict(files if files is not None else {f"{name}/__init__.py": b"VALUE = 42\n"})
        content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}".encode()
        pure = str(tag.endswith("any")).lower()
        content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
        if entry_points:
            content[f"{info}/entry_points.txt"] = entry_points.encode()
        rows = "".join(record_row(path, data) for path, data in content.items() if path not in unrecorded)
        content[f"{info}/RECORD"] = (rows + f"{info}/RECORD,,\n").encode()
        place = folder or tmp_path / "wheels"
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{name}-{version}-{tag}.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in content.items():
                archive.writestr(zipfile.ZipInfo(member, (2020, 2, 2, 0, 0, 0)), data)
        return path

    return make


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """An empty channel."""
    folder = tmp_path / "channel"
    create(folder)
    return folder


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Solve and install with nothing but rattler; gives the prefix."""
    cache = tmp_path_factory.mktemp("packages")

    def run(channel: Path, specs: Sequence[str], prefix: Path, platform: str | None = None) -> Path:
        import rattler

        async def go() -> None:
            records = await rattler.solve(
                [channel.as_uri()],
                list(specs),
                gateway=rattler.Gateway(),
                platforms=[platform or current_platform(), "noarch"],
                virtual_packages=[found.into_generic() for found in rattler.VirtualPackage.detect()],
            )
            await rattler.install(records, target_prefix=prefix, cache_dir=cache, show_progress=False)

        asyncio.run(go())
        return prefix

    return run


@pytest.fixture
def long_prefix(tmp_path: Path) -> Path:
    """A prefix longer than 127 characters, which neither a shebang nor an old placeholder could hold."""
    prefix = tmp_path / ("long-" * 14) / ("longer-" * 10) / "prefix"
    assert len(str(prefix)) > 160
    return prefix
