"""Toolchains: what is found, what activation sets and puts back, and what can be compiled with them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from channel_support import run, states

from smelt.channel.activation import Settings, activate_script, deactivate_script
from smelt.channel.compiler import KINDS, find_compiler
from smelt.channel.folder import create
from smelt.channel.toolchain import add_toolchain
from smelt.errors import ChannelError, UsageError
from smelt.types import current_platform

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="toolchain packages are not made on Windows"),
    pytest.mark.build,
]
COMPILER = "clang" if sys.platform == "darwin" else "gcc"
EXTENSION = """
#include <Python.h>
static PyObject *where(PyObject *self, PyObject *args) { return PyUnicode_FromString(__FILE__); }
static PyMethodDef methods[] = {{"where", where, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "ext", NULL, -1, methods};
PyMODINIT_FUNC PyInit_ext(void) { return PyModule_Create(&module); }
"""


def fake(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_missing_compiler_is_named(channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ChannelError, match="no compiler was found: looked for `gcc`") as caught:
        add_toolchain(channel)
    assert caught.value.kind == "missing-compiler"
    assert "--zig" in str(caught.value.help)
    with pytest.raises(ChannelError, match=r"not found on PATH: `clang`, `clang\+\+`"):
        add_toolchain(channel, ["clangxx"])
    with pytest.raises(UsageError, match="no toolchain `gc`") as wrong:
        add_toolchain(channel, ["gc"])
    assert "gcc" in str(wrong.value.help)


def test_a_broken_compiler_is_told_from_a_missing_one(
    channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path / "bin", "gcc", "echo 'no specs' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ChannelError, match="is broken") as caught:
        add_toolchain(channel, ["gcc"])
    assert caught.value.notes == ("no specs",)


def test_compiler_caches_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(kind for kind in KINDS if kind.name == COMPILER)
    ccache = fake(tmp_path / "bin", "ccache", "exit 9")
    (tmp_path / "bin" / kind.executable).symlink_to(ccache)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    found = find_compiler(kind)
    assert found is not None
    assert found.path.parent != tmp_path / "bin"


def test_the_package_knows_which_compiler_it_is(channel: Path) -> None:
    first = add_toolchain(channel)
    assert {f"{COMPILER}_{current_platform()}"} <= {addition.name for addition in first}
    assert all(states(first).values())
    assert not any(states(add_toolchain(channel)).values())
    data = json.loads((channel / current_platform() / "repodata.json").read_text())
    for record in data["packages.conda"].values():
        if record["name"].startswith(("gxx_", "clangxx_")):
            base = record["name"].replace("gxx_", "gcc_").replace("clangxx_", "clang_")
            assert record["depends"] == [f"{base} =={record['version']}"]
    kind = next(kind for kind in KINDS if kind.name == COMPILER)
    compiler = find_compiler(kind)
    assert compiler is not None
    assert {kind.executable, "ld"} <= set(compiler.digests) | {"ld"}


def test_another_compiler_gives_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which(COMPILER)
    assert real is not None
    names: set[str] = set()
    for text in ("", "# another one"):
        # a wrapper of the real thing: the same version, other bytes
        fake(tmp_path / "bin", COMPILER, f'{text}\nexec {real} "$@"')
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        channel = tmp_path / f"channel{len(names)}"
        create(channel)
        names |= {addition.path.name for addition in add_toolchain(channel, [COMPILER])}
    assert len(names) == 2


def test_deactivation_puts_everything_back(tmp_path: Path) -> None:
    settings = Settings(
        variables={"CC": "/usr/bin/cc", "EMPTY": "x"},
        flags={"CFLAGS": ("-O2", "-isystem $_smelt_prefix/include"), "NEW": ("a",)},
        build_flags={"CFLAGS": ("-map=$SRC_DIR",)},
        build_variables={"HOST": "h"},
    )
    on, off = tmp_path / "on.sh", tmp_path / "off.sh"
    on.write_text(activate_script("cc_linux-64", settings))
    off.write_text(deactivate_script("cc_linux-64", settings))
    show = 'echo "CC=$CC|CFLAGS=$CFLAGS|NEW=${NEW-unset}|EMPTY=${EMPTY-unset}|HOST=${HOST-unset}"'
    environment = {"CC": "mine", "CFLAGS": "-g", "EMPTY": "", "CONDA_PREFIX": "/env"}
    script = f". {on}; {show}; . {off}; {show}; env | grep -c -i _smelt || true"
    lines = run(["sh", "-euc", script], **environment).splitlines()
    assert lines == [
        "CC=/usr/bin/cc|CFLAGS=-O2 -isystem /env/include -g|NEW=a|EMPTY=x|HOST=unset",
        "CC=mine|CFLAGS=-g|NEW=unset|EMPTY=|HOST=unset",
        "0",
    ]
    build = {"CONDA_BUILD": "1", "PREFIX": "/host", "BUILD_PREFIX": "/build", "SRC_DIR": "/src"}
    first = run(["sh", "-euc", f". {on}; {show}"], **environment, **build)
    assert first == "CC=/usr/bin/cc|CFLAGS=-map=/src -O2 -isystem /host/include -g|NEW=a|EMPTY=x|HOST=h"


def test_an_extension_compiles_in_an_environment_made_by_rattler(
    bare_channel: Path, install, long_prefix: Path, tmp_path: Path
) -> None:
    (tmp_path / "ext.c").write_text(EXTENSION)
    (tmp_path / "lib.cpp").write_text('#include <string>\nint f() { return std::string("x").size(); }\n')
    cxx = "clangxx" if COMPILER == "clang" else "gxx"
    platform = current_platform()
    for number, prefix in enumerate((tmp_path / "p", long_prefix)):
        install(bare_channel, ["python", f"{cxx}_{platform}"], prefix)
        out = tmp_path / str(number)
        out.mkdir()
        activate = "".join(f". '{path}'\n" for path in sorted(prefix.glob("etc/conda/activate.d/*.sh")))
        shared = "-bundle -undefined dynamic_lookup" if sys.platform == "darwin" else "-shared"
        script = (
            f"{activate}cd {tmp_path}\n"
            "inc=$(python -c 'import sysconfig; print(sysconfig.get_path(\"include\"))')\n"
            "suffix=$(python -c 'import sysconfig; print(sysconfig.get_config_var(\"EXT_SUFFIX\"))')\n"
            f"$CC $CPPFLAGS $CFLAGS -I$inc {shared} $LDFLAGS ext.c -o {out}/ext$suffix\n"
            f"$CXX $CPPFLAGS $CXXFLAGS {shared} $LDFLAGS lib.cpp -o {out}/lib.so\n"
            f"cd {out} && python -c 'import ext; print(ext.where())'\n"
        )
        path = f"{prefix}/bin:/usr/bin:/bin"
        assert run(["sh", "-euc", script], PATH=path, CONDA_PREFIX=str(prefix)).splitlines()[-1] == "ext.c"


def test_rattler_build_builds_with_both(bare_channel: Path, tmp_path: Path) -> None:
    """Python in the host environment, the compiler in the build environment, twice in different folders."""
    import subprocess

    script = tmp_path / "build.py"
    source = tmp_path / "source"
    source.mkdir()
    (source / "ext.c").write_text(EXTENSION)
    recipe = {
        "package": {"name": "ext", "version": "1.0"},
        "source": {"path": str(source)},
        "build": {
            "script": {
                "content": [
                    "inc=$($PYTHON -c 'import sysconfig; print(sysconfig.get_path(\"include\"))')",
                    "suffix=$($PYTHON -c 'import sysconfig; print(sysconfig.get_config_var(\"EXT_SUFFIX\"))')",
                    "mkdir -p $SP_DIR",
                    '$CC $CPPFLAGS $CFLAGS -g -I$inc -shared $LDFLAGS "$SRC_DIR/ext.c" -o $SP_DIR/ext$suffix',
                ]
            }
        },
        "requirements": {"build": ["${{ compiler('c') }}"], "host": ["python"], "run": ["python"]},
        "tests": [{"python": {"imports": ["ext"], "pip_check": False}}],
    }
    script.write_text(
        "import json, os, sys\n"
        "from rattler_build import RenderConfig, Stage0Recipe, VariantConfig\n"
        f"recipe = json.loads({json.dumps(json.dumps(recipe))})\n"
        f"config = VariantConfig({{'c_compiler': [{COMPILER!r}]}})\n"
        "[one] = Stage0Recipe.from_dict(recipe).render(config, RenderConfig())\n"
        "try:\n"
        f"    done = one.run_build(output_dir=sys.argv[1], channels=[{bare_channel.as_uri()!r}])\n"
        "    print('package:', done.packages[0])\n"
        "except Exception as error:\n"
        "    print(error, *(getattr(error, 'log', None) or []), sep='\\n')\n"
        "sys.stdout.flush(); os._exit(0)\n"
    )
    libraries: list[bytes] = []
    for name in ("one", "another-folder"):
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, script, tmp_path / name], capture_output=True, text=True, check=False, env=environment
        )
        found = [line for line in done.stdout.splitlines() if line.startswith("package: ")]
        assert found, done.stdout + done.stderr
        from rattler.package_streaming import extract

        extract(found[0].removeprefix("package: "), tmp_path / f"{name}-x")
        record = json.loads((tmp_path / f"{name}-x/info/index.json").read_text())
        short = f"{sys.version_info[0]}.{sys.version_info[1]}"
        assert f"python_abi {short}.* *_cp{short.replace('.', '')}" in record["depends"]
        [library] = (tmp_path / f"{name}-x").rglob("ext.*.so")
        libraries.append(library.read_bytes())
    assert str(tmp_path).encode() not in libraries[0]
    assert libraries[0] == libraries[1]
