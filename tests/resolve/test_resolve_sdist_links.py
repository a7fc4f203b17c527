"""Source distributions that uv finds in a folder (``find-links``), without an index."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from spine_kit import Channel, manifest, smelt

FILES = {
    "PKG-INFO": "Metadata-Version: 2.2\nName: foo-bar\nVersion: 1.0\nRequires-Python: >=3.8\n",
    "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    '[project]\nname = "foo-bar"\nversion = "1.0"\n',
    "foo_bar.py": "x = 1\n",
}

DEFINED = """\
[package]
name = "foo-bar"
version = "1.0"
[package.build]
backend = { name = "pixi-build-python", version = "*" }
source = { pypi = "foo-bar==1.0" }
"""


@pytest.mark.parametrize("kind", ["address", "path"])
def test_the_lock_fits_afterwards(tmp_path: Path, kind: str) -> None:
    links = tmp_path / "some links"
    links.mkdir()
    with tarfile.open(links / "foo_bar-1.0.tar.gz", "w:gz") as archive:
        for name, text in FILES.items():
            header = tarfile.TarInfo(f"foo_bar-1.0/{name}")
            header.size = len(text)
            archive.addfile(header, io.BytesIO(text.encode()))
    channel = Channel(tmp_path / "channel")
    for name in ("python", "uv", "setuptools"):
        channel.add(name, "3.12")
    channel.index()
    root = tmp_path / "ws"
    (root / "defined").mkdir(parents=True)
    (root / "defined" / "pixi.toml").write_text(DEFINED)
    variables = {
        "PIXI_CACHE_DIR": str(tmp_path / "cache"),
        "UV_FIND_LINKS": links.as_uri() if kind == "address" else str(links),
        "UV_NO_INDEX": "1",
    }
    for text in ('foo-bar = { pypi = "foo-bar==1.0" }', 'foo-bar = { path = "defined" }'):
        manifest(root, [channel.url], f'[dependencies]\npython = "*"\n{text}\n')
        done = smelt(root, "lock", env=variables)
        assert done.returncode == 0, done.stderr
        written = (root / "pixi.lock").read_text()
        done = smelt(root, "lock", "--check", env=variables)
        assert done.returncode == 0, done.stderr
        assert smelt(root, "lock", env=variables).returncode == 0
        assert (root / "pixi.lock").read_text() == written
