"""Packages for Python, built with a Python, compilers and wheels of this machine."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import subprocess
import sys
import textwrap
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from build_kit import SUBDIR, build, channel_records, node, render, write_source

from smelt.archive import CondaArchive, read_conda
from smelt.build.model import BuildNode
from smelt.types import CondaRecord, spec_name

pytestmark = [
    pytest.mark.build,
    pytest.mark.network,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no toolchain for Windows yet"),
]

PROJECT = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "fastmath"
        version = "1.0"
        [project.scripts]
        fastmath = "fastmath:main"
        """,
    "setup.py": """
        from setuptools import Extension, setup
        setup(packages=["fastmath"], ext_modules=[Extension("fastmath._core", ["core.c"])])
        """,
    "core.c": """
        #include <Python.h>
        static PyObject *add(PyObject *self, PyObject *args) {
            long a, b;
            if (!PyArg_ParseTuple(args, "ll", &a, &b)) return NULL;
            return PyLong_FromLong(a + b);
        }
        static PyMethodDef methods[] = {{"add", add, METH_VARARGS, ""}, {NULL, NULL, 0, NULL}};
        static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_core", __FILE__, -1, methods};
        PyMODINIT_FUNC PyInit__core(void) { return PyModule_Create(&module); }
        """,
    "fastmath/__init__.py": """
        from fastmath._core import add

        def main():
            print(add(40, 2))
        """,
    "fastmath/broken.py": "this is no python!\n",
}

ARCH = """
package: {name: fastmath, version: "1.0"}
source: {path: .}
build:
  script: $PYTHON -m pip install . -v --no-deps --no-build-isolation
requirements:
  build: ["${{ compiler('c') }}"]
  host: [python, pip, setuptools]
  run: [python]
"""

NOARCH = """
package: {name: fastmath, version: "1.0"}
source: {path: .}
build:
  noarch: python
  python: {entry_points: ["fastmath = fastmath:main"]}
  script: $PYTHON -m pip install . -v --no-deps --no-build-isolation
requirements: {host: [python, pip, setuptools], run: [python]}
"""


@pytest.fixture(scope="module")
def records(local_channel: Path) -> dict[str, CondaRecord]:
    return channel_records(local_channel / SUBDIR, local_channel / "noarch")


def closure(records: dict[str, CondaRecord], *names: str) -> list[CondaRecord]:
    found = list(names)
    for name in found:
        found += [
            need
            for spec in records[name].depends
            if not (need := spec_name(spec)).startswith("__") and need not in found and need in records
        ]
    return [records[name] for name in sorted(set(found))]


def project(folder: Path, recipe: str, records: dict[str, CondaRecord]) -> BuildNode:
    write_source(folder, {name: textwrap.dedent(text).lstrip("\n") for name, text in PROJECT.items()})
    compiler = next((name for name in records if name.startswith(("gcc_", "clang_"))), None)
    variants = {"c_compiler": [compiler.partition("_")[0]]} if compiler else {}
    if "compiler(" in recipe and compiler is None:
        pytest.skip("there is no C compiler")
    variant = render(recipe, folder, variants)[0]
    tools = closure(records, compiler) if compiler is not None and "compiler(" in recipe else []
    return node(variant, folder, build=tools, host=closure(records, "python", "pip", "setuptools"))


@pytest.mark.parametrize("kind", ["arch", "noarch"])
def test_repacked_is_built(kind: str, records: dict[str, CondaRecord], tmp_path: Path) -> None:
    """Bytecode, entry points and compiled modules come from the first build, and are what a whole one makes."""
    recipe = ARCH if kind == "arch" else NOARCH
    after = recipe.replace("run: [python]", "run: [python, other >=1]") + "about: {summary: fast, license: MIT}\n"
    source = tmp_path / "source"
    first = project(source, recipe, records)
    second = project(source, after, records)
    assert first.content == second.content
    build([first], tmp_path)
    repacked = build([second], tmp_path)[second.key]
    assert repacked.repacked
    whole = build([second], tmp_path, rebuild=frozenset({"fastmath"}))[second.key]
    assert not whole.repacked
    assert repacked.record == whole.record


def installed(artifact: CondaRecord, records: dict[str, CondaRecord], prefix: Path, cache: Path) -> Path:
    from rattler import install

    from smelt.solve.records import to_rattler

    packages = [to_rattler(record) for record in (*closure(records, "python"), artifact)]
    asyncio.run(install(packages, prefix, cache_dir=cache, show_progress=False))
    return prefix


def test_an_extension_module(records: dict[str, CondaRecord], tmp_path: Path) -> None:
    """Built twice in different folders: equal bytes; installed, it runs and has valid bytecode."""
    artifacts = []
    for place in ("one", "another/longer/folder"):
        root = tmp_path / place
        one = project(root / "source", ARCH, records)
        artifacts.append(build([one], root, package_cache=tmp_path / "cache")[one.key])
    first, second = artifacts
    assert first.key == second.key
    assert first.record.sha256 == second.record.sha256
    assert any(spec.startswith("python_abi") for spec in first.record.depends)
    archive = read_conda(first.path)
    names = {member.name for member in archive.files}
    site = next(name for name in names if name.endswith("fastmath/__init__.py")).removesuffix("fastmath/__init__.py")
    assert not any(name.endswith("direct_url.json") for name in names)
    assert {name for name in names if name.endswith(".pyc")} == {
        f"{site}fastmath/__pycache__/__init__.cpython-{sys.version_info.major}{sys.version_info.minor}.pyc"
    }
    assert "not compiled" in first.log.read_text()
    check_record(archive)
    prefix = installed(first.record, records, tmp_path / "environment", tmp_path / "cache")
    said = subprocess.run([prefix / "bin/fastmath"], capture_output=True, text=True, check=True)
    assert said.stdout == "42\n"
    code = "import fastmath, fastmath._core as c; print(fastmath.main.__code__.co_filename, c.__doc__, sep='\\n')"
    told = subprocess.run([prefix / "bin/python", "-v", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[0] == str(prefix / site / "fastmath/__init__.py")
    assert f"matches {prefix / site}/fastmath/__init__.py" in told.stderr
    assert str(tmp_path) not in told.stdout.splitlines()[1]


def test_a_noarch_package(records: dict[str, CondaRecord], tmp_path: Path) -> None:
    files = {**PROJECT, "setup.py": "from setuptools import setup\nsetup(packages=['fastmath'])\n"}
    source = tmp_path / "source"
    one = project(source, NOARCH, records)
    write_source(source, {"setup.py": files["setup.py"], "fastmath/__init__.py": "def main():\n    print(42)\n"})
    one = node(one.variant, source, host=one.host_inputs)
    artifact = build([one], tmp_path)[one.key]
    assert artifact.record.subdir == "noarch"
    assert artifact.record.noarch == "python"
    archive = read_conda(artifact.path)
    assert not [member.name for member in archive.files if member.name.endswith(".pyc")]
    check_record(archive)
    prefix = installed(artifact.record, records, tmp_path / "environment", tmp_path / "cache")
    said = subprocess.run([prefix / "bin/fastmath"], capture_output=True, text=True, check=True)
    assert said.stdout == "42\n"


def check_record(archive: CondaArchive) -> None:
    """Every file in RECORD that is in the package has the hash and the size that RECORD says."""
    files = {member.name: member for member in archive.files}
    name = next(name for name in files if name.endswith(".dist-info/RECORD"))
    site = Path(name).parent.parent
    checked = 0
    for path, digest, size in csv.reader(files[name].data.decode().splitlines()):
        member = files.get(str(site / path))
        assert not path.endswith((".pyc", "direct_url.json"))
        if member is None or not digest:
            continue
        expected = urlsafe_b64encode(hashlib.sha256(member.data).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={expected}", str(len(member.data)))
        checked += 1
    assert checked >= 4
    entries = json.loads(next(m for m in archive.info if m.name == "info/paths.json").data)["paths"]
    assert {entry["_path"] for entry in entries} == set(files)
    for entry in entries:
        assert entry["sha256"] == hashlib.sha256(files[entry["_path"]].data).hexdigest()
        assert entry["size_in_bytes"] == len(files[entry["_path"]].data)
