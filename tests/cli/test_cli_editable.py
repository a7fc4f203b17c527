"""Working on the packages of a workspace: an edit of a module counts at once, an edit of C is compiled."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from spine_kit import SUBDIR, manifest, smelt

pytestmark = [
    pytest.mark.network,
    pytest.mark.build,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no toolchain for Windows yet"),
]

PACKAGE = """
[package]
name = "NAME"
version = "1.0"
[package.build]
backend = { name = "pixi-build-python", version = "*" }
config = { installer = "pip", compilers = COMPILERS }
[package.host-dependencies]
python = "*"
setuptools = "*"
[package.run-dependencies]
python = "*"
"""

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "NAME"
version = "1.0"
[tool.setuptools]
packages = ["NAME"]
MORE
"""

CORE = """
#include <Python.h>
static PyObject *one(PyObject *self, PyObject *unused) { return PyLong_FromLong(1); }
static PyMethodDef methods[] = {{"one", one, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_core", "", -1, methods};
PyMODINIT_FUNC PyInit__core(void) { return PyModule_Create(&module); }
"""

TASKS = """
[dependencies]
python = "*"
plain = { path = "plain" }
fast = { path = "fast" }
[tasks]
show = "python -c 'import plain, fast; print(plain.value, fast.value, fast._core.one())'"
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.lstrip("\n"), encoding="utf-8")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path, local_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("BUILD_EDITABLE_PYTHON", raising=False)
    root = tmp_path / "workspace"
    manifest(root, [local_channel.as_uri()], TASKS)
    for name, compilers, more in (
        ("plain", "[]", ""),
        ("fast", '["c"]', 'ext-modules = [{ name = "fast._core", sources = ["core.c"] }]'),
    ):
        write(root / name / "pixi.toml", PACKAGE.replace("NAME", name).replace("COMPILERS", compilers))
        write(root / name / "pyproject.toml", PROJECT.replace("NAME", name).replace("MORE", more))
    write(root / "plain" / "plain" / "__init__.py", "value = 1\n")
    write(root / "fast" / "fast" / "__init__.py", "from fast import _core\n\nvalue = 1\n")
    write(root / "fast" / "core.c", CORE)
    return root


def test_edits(root: Path) -> None:
    done = smelt(root, "run", "show", timeout=300)
    assert (done.returncode, done.stdout) == (0, "1 1 1\n"), done.stderr
    assert done.stderr.count("✔ built") == 2
    python = root / ".pixi" / "envs" / "default" / "bin" / "python"
    assert python.exists()

    # modules
    edit(root / "plain" / "plain" / "__init__.py", "value = 1", "value = 2")
    edit(root / "fast" / "fast" / "__init__.py", "value = 1", "value = 22")
    for _ in range(2):
        done = smelt(root, "run", "show")
        assert done.stdout == "2 22 1\n"
        assert "building" not in done.stderr
    assert smelt(root, "install", "--verify").stderr.count("is up to date") == 1
    assert "is up to date" in smelt(root, "install", "--locked").stderr

    # C
    edit(root / "fast" / "core.c", "PyLong_FromLong(1)", "PyLong_FromLong(7)")
    done = smelt(root, "run", "show", timeout=300)
    assert done.stdout == "2 22 7\n", done.stderr
    assert done.stderr.count("✔ built") == 1

    # what is built is no different for all that
    done = smelt(root, "build", "-p", "plain", "--output-dir", str(root / "out"), timeout=300)
    assert done.returncode == 0, done.stderr
    (package,) = (root / "out").rglob("plain-*.conda")
    with zipfile.ZipFile(package) as container:
        assert any(name.startswith("pkg-") for name in container.namelist())
    site = root / ".pixi" / "envs" / "default" / "lib"
    assert list(site.glob("python3*/site-packages/_editable_impl_plain.pth"))

    # the reference's variable
    off = {"BUILD_EDITABLE_PYTHON": "false"}
    assert smelt(root, "install", env=off, timeout=300).returncode == 0
    assert not list(site.glob("python3*/site-packages/_editable_impl_plain.pth"))
    assert not any(path.is_symlink() for path in site.glob("python3*/site-packages/fast/*"))
    edit(root / "plain" / "plain" / "__init__.py", "value = 2", "value = 3")
    done = smelt(root, "run", "show", env=off, timeout=300)
    assert (done.stdout, done.stderr.count("✔ built")) == ("3 22 7\n", 1)
    assert SUBDIR in (root / "pixi.lock").read_text(encoding="utf-8")


def test_mistakes(root: Path) -> None:
    """The source is gone, cannot be built, or is at fault itself."""
    assert smelt(root, "install", timeout=300).returncode == 0
    (root / "fast" / "core.c").write_text("this is no C\n")
    done = smelt(root, "install", timeout=300)
    assert done.returncode != 0
    assert "error[build-failed]: failed to build 'fast' 1.0" in done.stderr
    # the environment stays as it was
    assert smelt(root, "run", "--frozen", "--no-install", "show").stdout == "1 1 1\n"
    (root / "plain").rename(root / "gone")
    done = smelt(root, "install")
    assert done.returncode != 0
    assert "error[source-missing]" in done.stderr
