"""Wheels, sdists and indexes, small enough to make by hand."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from smelt.api.workspace import Workspace

Make = Callable[..., Workspace]
PYTHON = ".".join(map(str, sys.version_info[:3]))
"""The version of the Python that runs this."""


def metadata(
    name: str, version: str, requires: Sequence[str], extras: Sequence[str], python: str | None, form: str = "2.1"
) -> str:
    """Core metadata."""
    lines = [f"Metadata-Version: {form}", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    lines += [f"Provides-Extra: {each}" for each in extras]
    lines += [f"Requires-Python: {python}"] if python is not None else []
    return "\n".join(lines) + "\n"


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    requires: Sequence[str] = (),
    *,
    extras: Sequence[str] = (),
    python: str | None = None,
    tag: str = "py3-none-any",
    files: Mapping[str, str] | None = None,
) -> Path:
    """A wheel with one module that knows its version (or ``files``)."""
    base = name.replace("-", "_")
    info = f"{base}-{version}.dist-info"
    content = {f"{base}/__init__.py": f"version = {version!r}\n"} if files is None else dict(files)
    content[f"{info}/METADATA"] = metadata(name, version, requires, extras, python)
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    rows = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{base}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in content.items():
            archive.writestr(zipfile.ZipInfo(each, (2020, 1, 1, 0, 0, 0)), text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def project(folder: Path, name: str, version: str = "1.0", requires: Sequence[str] = (), extra: str = "") -> Path:
    """A local project whose build backend lies in it, so that nothing has to be fetched to build it.

    The backend writes the Python that runs it into the wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    required = ", ".join(f"{each!r}" for each in requires)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = [{required}]\n{extra}\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        encoding="utf-8",
    )
    _backend(folder, name, version, requires)
    return folder


def dynamic_project(folder: Path, name: str, version: str = "1.0", requires: Sequence[str] = ()) -> Path:
    """A local project that says nothing of itself: it has to be built."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n', encoding="utf-8"
    )
    _backend(folder, name, version, requires)
    return folder


def sdist(folder: Path, project_folder: Path, name: str, version: str = "1.0") -> Path:
    """The sdist of a project, with metadata so old that they count as dynamic."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file in sorted(project_folder.rglob("*")):
            if file.is_file():
                archive.add(file, f"{name}-{version}/{file.relative_to(project_folder)}")
        text = metadata(name, version, (), (), None).encode()
        member = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return path


def _backend(folder: Path, name: str, version: str, requires: Sequence[str]) -> None:
    # Python would take an older bytecode of it: same size, same second
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    base = name.replace("-", "_")
    (folder / base).mkdir(exist_ok=True)
    (folder / base / "__init__.py").write_text(f"version = {version!r}\n", encoding="utf-8")
    (folder / "backend.py").write_text(
        f"NAME, BASE, VERSION, REQUIRES = {name!r}, {base!r}, {version!r}, {list(requires)!r}\n" + _BACKEND,
        encoding="utf-8",
    )


_BACKEND = """
import os, sys, zipfile

def _write(folder, editable):
    path = os.path.join(folder, f"{BASE}-{VERSION}-py3-none-any.whl")
    info = f"{BASE}-{VERSION}.dist-info"
    here = os.path.dirname(os.path.abspath(__file__))
    with zipfile.ZipFile(path, "w") as archive:
        if editable:
            archive.writestr(f"{BASE}.pth", here + "\\n")
        else:
            archive.write(os.path.join(here, BASE, "__init__.py"), f"{BASE}/__init__.py")
            archive.writestr(f"{BASE}/built_with.py", f"python = {sys.version_info[:2]!r}\\n")
        requires = "".join(f"Requires-Dist: {each}\\n" for each in REQUIRES)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {VERSION}\\n{requires}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{info}/RECORD", "")
    return os.path.basename(path)

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _write(folder, False)

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _write(folder, True)
"""


def simple_index(folder: Path, *files: Path) -> Path:
    """A PEP 503 index in ``folder`` that holds ``files``."""
    for file in files:
        name = file.name.split("-")[0].replace("_", "-").lower()
        place = folder / "simple" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / file.name).write_bytes(file.read_bytes())
        links = "".join(
            f'<a href="{each.name}#sha256={hashlib.sha256(each.read_bytes()).hexdigest()}">{each.name}</a>\n'
            for each in sorted(place.iterdir())
            if each.name != "index.html"
        )
        (place / "index.html").write_text(links, encoding="utf-8")
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def __init__(self, asked: list[str], *arguments: object, **more: object) -> None:
        self.asked = asked
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Generator[tuple[str, list[str]]]:
    """``folder`` on a loopback port: its address, and the paths that were asked for."""
    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, asked, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()
