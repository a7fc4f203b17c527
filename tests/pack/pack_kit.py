"""What the tests of packs share: a small workspace with every kind of package, and looks into archives."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smelt.api.packing import Packed, PackOptions, pack, unpack
from smelt.api.workspace import Workspace
from smelt.pack.unpacking import Unpacked
from spine_kit import SUBDIR, Channel, manifest, package, recipe

DEPENDENCIES = """
[dependencies]
beta = "*"
mine = { path = "mine" }
outer = { path = "outer" }
"""


def small_workspace(folder: Path, platforms: Sequence[str] = (SUBDIR,), text: str = DEPENDENCIES) -> Workspace:
    """A locked workspace: two packages of a channel, and three source packages, one nested in another's host."""
    channel = Channel(folder / "chan")
    channel.add("alpha")
    for subdir in platforms:
        channel.add("beta", "2.0", depends=["alpha >=1"], subdir=subdir)
    channel.index()
    recipe(folder / "ws", "mine", run=["alpha"])
    recipe(folder / "ws", "inner")
    package(folder / "ws", "outer", host=["inner"], sources={"host": {"inner": "../inner"}})
    workspace = Workspace.load(manifest(folder / "ws", [channel.url], text, platforms))
    workspace.lock()
    return workspace


def packed(workspace: Workspace, output: Path, **options: Any) -> Packed:
    """Pack into ``output``."""
    return pack(workspace, PackOptions(output=output, **options))


def unpacked(source: Path, output: Path, **options: Any) -> Unpacked:
    """Unpack into ``output``."""
    return unpack(source, output, **options)


def members(path: Path) -> dict[str, bytes]:
    """The files of a tar by name."""
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def metadata(path: Path) -> dict[str, Any]:
    """``pixi-pack.json`` of a tar."""
    return json.loads(members(path)["pixi-pack.json"])


def write_tar(
    path: Path,
    files: Mapping[str, bytes],
    change: Callable[[tarfile.TarInfo], object] | None = None,
    form: int = tarfile.PAX_FORMAT,
) -> Path:
    """A tar as another program would write it."""
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if change is not None:
                change(info)
            tar.addfile(info, io.BytesIO(data))
    return path


def foreign(source: Path, target: Path, **changes: bytes | None) -> Path:
    """The pack ``source`` as pixi-pack would have written it: without our section; ``changes`` by file name."""
    files = members(source)
    plain = {key: value for key, value in json.loads(files["pixi-pack.json"]).items() if key != "smelt"}
    plain = {"version": plain["version"], "pixi-pack-version": "0.7.10", "platform": plain["platform"]}
    files["pixi-pack.json"] = json.dumps(plain, indent=2).encode()
    for name, data in changes.items():
        if data is None:
            del files[name]
        else:
            files[name] = data
    return write_tar(target, files)


def make_wheel(
    folder: Path, name: str, version: str = "1.0", requires: Sequence[str] = (), tag: str = "py3-none-any"
) -> Path:
    """A wheel with one module that knows its version."""
    base = name.replace("-", "_")
    info = f"{base}-{version}.dist-info"
    requirements = "".join(f"Requires-Dist: {each}\n" for each in requires)
    content = {
        f"{base}/__init__.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    rows = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{base}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in content.items():
            archive.writestr(zipfile.ZipInfo(each, (2020, 1, 1, 0, 0, 0)), text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def make_sdist(folder: Path, name: str, version: str = "1.0", more: str = "") -> Path:
    """An sdist whose build backend lies in it, so that nothing has to be fetched to build it."""
    backend = f"NAME, VERSION = {name!r}, {version!r}\n" + _BACKEND + more
    files = {
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend,
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for each, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{each}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


_BACKEND = """
import os, time, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    path = os.path.join(folder, f"{NAME}-{VERSION}-py3-none-any.whl")
    info = f"{NAME}-{VERSION}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        def write(name, text):
            archive.writestr(zipfile.ZipInfo(name, time.localtime()[:6]), text)
        write(f"{NAME}/__init__.py", f"version = {VERSION!r}\\n")
        write(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {VERSION}\\n")
        write(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        write(f"{info}/RECORD", "")
    return os.path.basename(path)
"""
