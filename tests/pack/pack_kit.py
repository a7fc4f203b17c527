"""What the tests of packs share: a small workspace with every kind of package, and looks into archives."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smelt.api.packing import Packed, PackOptions, pack
from smelt.api.unpacking import unpack
from smelt.api.workspace import Workspace
from smelt.archive import CondaArchive, Member, write_conda
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


PREFIX = ("/opt/placehold" + "_placehold" * 30)[:255]

READY = """
[pypi-options]
find-links = [{ path = "links" }]
[dependencies]
python = "*"
mine = { path = "mine" }
tool = "*"
wakes = "*"
[pypi-dependencies]
app = "*"
[feature.lint.dependencies]
beta = "*"
[environments]
lint = ["lint"]
"""


def ready_workspace(root: Path, python_channel: Path | None = None) -> Workspace:
    """A locked workspace with whatever a prefix can be in: scripts, binaries, commands, variables, links, wheels.

    Without a channel for it, the Python in it only starts that of the tests: it is small.
    """
    channel = Channel(root / "chan")
    channel.add("beta", "2.0")
    if python_channel is None:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        starter = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'.encode()
        raw_package(
            channel.folder,
            "python",
            {f"bin/python{here}": starter},
            version=f"{here}.0",
            links={"bin/python": f"python{here}"},
        )
    raw_package(
        channel.folder,
        "tool",
        {
            "site-packages/tool.py": b"def main():\n    print('tool runs')\n",
            "python-scripts/tool-script": f"#!{PREFIX}/bin/python\nprint('script runs')\n".encode(),
        },
        noarch="python",
        entry_points=["tool-run = tool:main"],
        depends=["python"],
    )
    raw_package(
        channel.folder,
        "wakes",
        {
            "etc/conda/activate.d/wakes.sh": b'export WAKES_ROOT="$CONDA_PREFIX/share"\n',
            "etc/conda/env_vars.d/wakes.json": b'{"WAKES": "it\'s $1 & more"}',
            "share/text.cfg": f"root = {PREFIX}\nagain = {PREFIX}/lib\n".encode(),
            "share/binary.dat": f"\x01\x02{PREFIX}/lib\0{PREFIX}/a:{PREFIX}/b\0\xff{PREFIX}\0end".encode("latin1"),
            "bin/wakes": f"#!{PREFIX}/bin/python -s\nprint('wakes runs')\n".encode(),
            "bin/wakes-sh": f"#!/bin/sh\necho from {PREFIX}\n".encode(),
        },
        links={"bin/wakes-link": "wakes-sh"},
        depends=["python"],
    )
    channel.index()
    script = "#!python\nprint('app-script runs')\n"
    data = {"app-1.0.data/scripts/app-script": script, "app-1.0.data/data/share/app.txt": "data\n"}
    points = {"app-1.0.dist-info/entry_points.txt": "[console_scripts]\napp-run = base.more:show\n"}
    make_wheel(root / "links", "app", "1.0", ["base"], more=data | points)
    make_wheel(root / "links", "base", "2.0", more={"base/more.py": "def show():\n    print('app runs')\n"})
    lines = ["mkdir -p $PREFIX/bin", "echo '#!/bin/sh' > $PREFIX/bin/mine", "echo echo $PREFIX >> $PREFIX/bin/mine"]
    recipe(root, "mine", script=[*lines, "chmod +x $PREFIX/bin/mine"])
    made = Workspace.load(manifest(root, [channel.url, *([python_channel.as_uri()] if python_channel else [])], READY))
    made.lock()
    return made


def raw_package(
    folder: Path,
    name: str,
    files: Mapping[str, bytes],
    *,
    links: Mapping[str, str] | None = None,
    noarch: str | None = None,
    entry_points: Sequence[str] = (),
    depends: Sequence[str] = (),
    version: str = "1.0",
    folders: Sequence[str] = (),
) -> Path:
    """A package in the channel ``folder`` that says of its files where they have ``PREFIX``."""
    paths: list[dict[str, object]] = []
    found: list[Member] = []
    for path, data in files.items():
        described: dict[str, object] = {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
        }
        if PREFIX.encode() in data:
            described |= {"prefix_placeholder": PREFIX, "file_mode": "binary" if b"\0" in data else "text"}
        paths.append(described)
        found.append(Member(name=path, data=data, executable=path.startswith(("bin/", "python-scripts/"))))
    paths += [{"_path": path, "path_type": "directory"} for path in folders]
    for path, target in (links or {}).items():
        paths.append({"_path": path, "path_type": "softlink"})
        found.append(Member(name=path, link=target))
    subdir = "noarch" if noarch else SUBDIR
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "subdir": subdir}
    info: dict[str, object] = {
        "info/index.json": {**index, "depends": list(depends), **({"noarch": noarch} if noarch else {})},
        "info/paths.json": {"paths_version": 1, "paths": paths},
        "info/about.json": {},
    }
    if noarch == "python":
        noarch_info = {"type": "python", "entry_points": list(entry_points)}
        info["info/link.json"] = {"noarch": noarch_info, "package_metadata_version": 1}
    path = folder / subdir / f"{name}-{version}-0.conda"
    path.parent.mkdir(parents=True, exist_ok=True)
    described_members = tuple(Member(name=each, data=json.dumps(data).encode()) for each, data in info.items())
    write_conda(path, CondaArchive(files=tuple(found), info=described_members), mtime=1_700_000_000, level=1)
    return path


def packed(workspace: Workspace, output: Path, **options: Any) -> Packed:
    """Pack into ``output``."""
    return pack(workspace, PackOptions(output=output, **options))


def unpacked(source: Path, output: Path, **options: Any) -> Unpacked:
    """Unpack into ``output``."""
    return unpack(source, output, **options)


COMMANDS = ("bin/tool-run", "bin/app-run", "bin/app-script")
"""What rattler and uv write each in their own words."""


def environment_files(prefix: Path) -> dict[str, tuple[str, int]]:
    """What an environment holds, without what each way of installing says in its own words."""
    found: dict[str, tuple[str, int]] = {}
    for path in prefix.rglob("*"):
        name = path.relative_to(prefix).as_posix()
        if (
            name.startswith(("conda-meta/", "share/smelt/"))
            or name == "CACHEDIR.TAG"
            or "__pycache__" in name
            or path.is_dir()
        ):
            continue
        if name.endswith(("dist-info/RECORD", "dist-info/INSTALLER", "dist-info/REQUESTED", "direct_url.json")):
            continue
        if name.endswith(("uv_cache.json", "/uv_build.json")) or name in COMMANDS:
            continue
        content = str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = (content, 0 if path.is_symlink() else path.stat().st_mode & 0o111)
    return found


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
    folder: Path,
    name: str,
    version: str = "1.0",
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
    more: Mapping[str, str] | None = None,
) -> Path:
    """A wheel with one module that knows its version. ``more``: further files."""
    base = name.replace("-", "_")
    info = f"{base}-{version}.dist-info"
    requirements = "".join(f"Requires-Dist: {each}\n" for each in requires)
    content = {
        f"{base}/__init__.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        **(more or {}),
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
