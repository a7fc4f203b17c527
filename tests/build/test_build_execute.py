"""Whole builds: real recipes, real worker processes, a real store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from build_kit import HELLO, Recorder, build, hello, left_in, node, render, script, write_source

from smelt.archive import read_conda
from smelt.build.model import BuildNode, SourceInput
from smelt.build.store import Store
from smelt.errors import BuildError, ChannelError, ErrorGroup, NotSupportedError, SourceError
from smelt.fs import hold
from smelt.types import CondaRecord, RunExports, sha256_file

pytestmark = pytest.mark.build
posix = pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell")


@posix
def test_a_build_is_stored_and_found_again(tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    recorder = Recorder()
    artifact = build([one], tmp_path, recorder)[one.key]
    assert artifact.built
    assert recorder.events == [("started", "hello"), ("finished", "hello")]
    assert artifact.record.url == artifact.path.as_uri()
    assert artifact.record.run_exports == RunExports()
    assert "+ mkdir -p" in artifact.log.read_text()
    files = {member.name: member for member in read_conda(artifact.path).files}
    assert files["bin/hello"].executable
    assert str(tmp_path).encode() not in files["bin/hello"].data
    again = build([one], tmp_path, recorder)[one.key]
    assert not again.built
    assert again.record == artifact.record
    assert recorder.events[2:] == [("cached", "hello")]
    assert left_in(tmp_path / "work") == []


@posix
def test_what_was_killed_after_storing_is_cleared_up(tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    build([one], tmp_path, Recorder())
    (lock,) = (path for path in (tmp_path / "work").glob("*.lock") if not path.name.endswith(".worker.lock"))
    left = lock.with_suffix("")
    (left / "deep").mkdir(parents=True)
    with hold(lock, "another build"):
        build([one], tmp_path, Recorder())
    assert left.is_dir()
    build([one], tmp_path, Recorder())
    assert left_in(tmp_path / "work") == []


@posix
def test_an_artifact_works_where_it_is_installed(tmp_path: Path) -> None:
    import asyncio

    from rattler import install

    from smelt.solve.records import to_rattler

    one = hello(tmp_path / "source")
    artifact = build([one], tmp_path)[one.key]
    prefix = tmp_path / "environment"
    asyncio.run(install([to_rattler(artifact.record)], prefix, cache_dir=tmp_path / "pkgs", show_progress=False))
    done = subprocess.run([prefix / "bin/hello"], capture_output=True, text=True, check=True)
    assert done.stdout == "good morning\n"


@posix
def test_only_files_of_the_tree_are_seen(tmp_path: Path) -> None:
    source = write_source(
        tmp_path / "source",
        {".gitignore": "secret.txt\n", "secret.txt": "x", "seen.txt": "y", ".pixi/envs/x": "z", ".hidden": "h"},
    )
    one = node(render(HELLO.replace("cp greeting.txt", "cp -r ."), source)[0], source)
    artifact = build([one], tmp_path)[one.key]
    names = {member.name for member in read_conda(artifact.path).files}
    assert {"share/seen.txt", "share/.hidden", "share/.gitignore"} <= names
    assert not {"share/secret.txt", "share/.pixi/envs/x"} & names


@posix
def test_a_build_sees_nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cr3t")
    monkeypatch.setenv("PATH", f"{tmp_path}/tools:{os.environ['PATH']}")
    monkeypatch.setenv("CFLAGS", "-march=native")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/python")
    one = script(tmp_path / "source", "mkdir -p $PREFIX/share", "env > $PREFIX/share/env", "umask >> $PREFIX/share/env")
    artifact = build([one], tmp_path)[one.key]
    seen = next(m for m in read_conda(artifact.path).files if m.name == "share/env").data.decode()
    variables = dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)
    assert not {"SECRET_TOKEN", "CFLAGS"} & set(variables)
    assert variables["PYTHONPATH"].endswith("/python")
    assert str(tmp_path) not in seen
    assert os.environ.get("HOME", "?") not in variables["HOME"]
    assert variables["PATH"].endswith("/usr/bin:/bin:/usr/sbin:/sbin")
    assert variables["SOURCE_DATE_EPOCH"] == "1577836800"
    assert seen.splitlines()[-1] == "0022"


@posix
def test_variables_that_are_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their values reach the script, and neither the log nor the key; HOME and the like cannot be had that way."""
    folder = write_source(tmp_path / "source", {"x": ""})
    text = {
        "package": {"name": "asks", "version": "1"},
        "build": {
            "script": {
                "content": [
                    "mkdir -p $PREFIX/share",
                    "echo $TOKEN",
                    "echo $HOME > $PREFIX/share/home",
                    "test $(expr length $TOKEN) = 12",
                ],
                "secrets": ["TOKEN", "HOME", "NOT_SET"],
            }
        },
    }
    monkeypatch.setenv("TOKEN", "s3cr3t-value")
    monkeypatch.delenv("NOT_SET", raising=False)
    one = node(render(json.dumps(text), folder)[0], folder)
    artifact = build([one], tmp_path)[one.key]
    assert "s3cr3t" not in artifact.log.read_text() + json.dumps(dict(one.inputs))
    home = next(m for m in read_conda(artifact.path).files if m.name == "share/home").data.decode()
    assert os.environ.get("HOME", "?") not in home
    monkeypatch.delenv("TOKEN")
    with pytest.raises(BuildError):
        build([one], tmp_path, rebuild=frozenset(["asks"]))


@posix
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_equal_keys_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other folder, HOME, umask, clock, file times; what knows the prefix, the time and the build folder in it."""
    files = {
        "main.c": "#include <stdio.h>\nint main(void) { puts(ROOT); puts(__FILE__); return 0; }\n",
        "part.c": "int part = 1;\n",
    }
    recipe = textwrap.dedent("""
        package: {name: native, version: "1"}
        source: {path: .}
        build:
          script:
            - mkdir -p $PREFIX/bin $PREFIX/lib $PREFIX/share
            - gcc -Wl,--build-id -DROOT="\\"$PREFIX\\"" -o $PREFIX/bin/native $SRC_DIR/main.c -Wl,-rpath,$PREFIX/lib
            - gcc -g -ffile-prefix-map=$SRC_DIR=/src -c $SRC_DIR/part.c -o part.o
            - touch part.o && ar rcU $PREFIX/lib/libpart.a part.o
            - gzip -c $SRC_DIR/part.c > $PREFIX/share/part.c.gz
            - echo "$SRC_DIR $BUILD_PREFIX" > $PREFIX/share/where.txt
            - cp -p part.c $PREFIX/share/
            - umask 077 && touch $PREFIX/share/private
        """)
    shas: list[str] = []
    keys: set[str] = set()
    for index, umask in enumerate((0o022, 0o077)):
        root = tmp_path / ("somewhere" if index == 0 else "some/where")
        source = write_source(root / "source", files)
        if index == 1:
            os.utime(source / "part.c", (1, 1))
            _fake_clock(tmp_path, monkeypatch)
        monkeypatch.setenv("HOME", str(root))
        before = os.umask(umask)
        try:
            one = node(render(recipe, source)[0], source)
            artifact = build([one], root)[one.key]
        finally:
            os.umask(before)
        shas.append(artifact.record.sha256 or "")
        data = {member.name: member.data for member in read_conda(artifact.path).files}
        assert str(tmp_path).encode() not in b"".join(data.values())
        assert b"/smelt/host_env_placehold" in data["bin/native"]
        entries = json.loads(next(m for m in read_conda(artifact.path).info if m.name == "info/paths.json").data)
        native = next(entry for entry in entries["paths"] if entry["_path"] == "bin/native")
        assert native["file_mode"] == "binary"
        assert len(native["prefix_placeholder"]) == 255
        keys.add(one.key)
    assert len(keys) == 1
    assert shas[0] == shas[1]


def _fake_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run an hour ahead: their interpreter is started with a library that says so."""
    code = textwrap.dedent("""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <time.h>
        int clock_gettime(clockid_t id, struct timespec *t) {
            static int (*real)(clockid_t, struct timespec *);
            if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
            int done = real(id, t);
            if (id == CLOCK_REALTIME) t->tv_sec += 3600;
            return done;
        }
        """)
    (folder / "clock.c").write_text(code)
    library = folder / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, folder / "clock.c", "-ldl"], check=True)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    told = subprocess.run([python, "-c", "import time; print(time.time())"], capture_output=True, check=True)
    assert float(told.stdout) > time.time() + 3000
    monkeypatch.setattr(sys, "executable", str(python))


@posix
def test_a_failing_script(tmp_path: Path) -> None:
    lines = [f"echo line {index}" for index in range(50)]
    one = script(tmp_path / "source", *lines, "gcc-nowhere x.c || { echo 'cc: command not found' >&2; exit 3; }")
    recorder = Recorder()
    with pytest.raises(BuildError) as caught:
        build([one], tmp_path, recorder)
    error = caught.value
    assert error.kind == "build-failed"
    assert error.message == f"failed to build 'hello' 1 {one.variant.build}"
    text = "\n".join(error.notes)
    assert "for the environment default" in text
    assert "target_platform=" in text
    assert "line 49" in text
    assert "line 1\n" not in text
    assert error.help is not None
    assert "smelt channel add-toolchain" in error.help
    log = Path(error.notes[-1].removeprefix("the whole log: "))
    assert log.parent == tmp_path / "store" / "logs"
    assert "line 1\n" in log.read_text()
    assert recorder.events == [("started", "hello"), ("failed", "hello")]
    assert Store(tmp_path / "store").lookup(one.key) is None
    assert left_in(tmp_path / "work") == []
    assert not (tmp_path / "store" / "artifacts").exists()


@posix
def test_builds_on_builds(tmp_path: Path) -> None:
    """A source package in a host environment: found through a pinned channel, with what it exports."""
    library = json.dumps(
        {
            "package": {"name": "lib", "version": "1.5"},
            "build": {"script": ["mkdir -p $PREFIX/share", "echo one > $PREFIX/share/lib"]},
            "requirements": {"run_exports": {"weak": ["${{ pin_subpackage('lib', upper_bound='x') }}"]}},
        }
    )
    application = json.dumps(
        {
            "package": {"name": "app", "version": "1"},
            "build": {"script": ["cat $PREFIX/share/lib > $PREFIX/share/app"]},
            "requirements": {"host": ["lib"]},
        }
    )

    def nodes(text: str) -> tuple[BuildNode, BuildNode]:
        first = node(render(library.replace("one", text), source)[0], source)
        record = build([first], tmp_path)[first.key].record
        item = SourceInput(name="lib", key=first.key)
        return first, node(render(application, source)[0], source, host=[item], records={first.key: record})

    source = write_source(tmp_path / "source", {"x": ""})
    for text in ("one", "two"):  # the second time a package of the same name and build string, not the cached one
        first, second = nodes(text)
        assert second.metadata.depends == ("lib >=1.5,<2.0a0",)
        built = build([second, first], tmp_path)
        assert [built[first.key].built, built[second.key].built] == [False, True]
        files = {m.name: m.data for m in read_conda(built[second.key].path).files}
        assert files == {"share/app": f"{text}\n".encode()}


@posix
def test_a_missing_input_is_said(tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    lost = replace(one, host_inputs=(SourceInput(name="lib", key="0" * 64),))
    with pytest.raises(BuildError, match="needs lib, which is not built"):
        build([lost], tmp_path)


@posix
def test_keep_going_builds_what_can_be_built(tmp_path: Path) -> None:
    good = [script(tmp_path / f"good{n}", f"echo {n}", name=f"good{n}") for n in range(2)]
    bad = [script(tmp_path / f"bad{n}", "exit 1", name=f"bad{n}") for n in range(2)]
    needs_bad = replace(
        script(tmp_path / "after", "true", name="after"), host_inputs=(SourceInput(name="bad0", key=bad[0].key),)
    )
    recorder = Recorder()
    with pytest.raises(ErrorGroup, match="2 of 5 builds failed, 1 not tried") as caught:
        build([*bad, needs_bad, *good], tmp_path, recorder, keep_going=True)
    assert sorted(error.message.split()[3].strip("'") for error in caught.value.errors) == ["bad0", "bad1"]
    assert {name for kind, name in recorder.events if kind == "finished"} == {"good0", "good1"}


@posix
def test_a_failure_stops_the_others(tmp_path: Path) -> None:
    slow = script(tmp_path / "slow", "echo $$ > /proc/self/fd/1; sleep 60", name="slow")
    bad = script(tmp_path / "bad", "sleep 0.3; exit 1", name="bad")
    started = time.monotonic()
    with pytest.raises(BuildError, match=r"failed to build 'bad' 1"):
        build([slow, bad], tmp_path)
    assert time.monotonic() - started < 20
    assert left_in(tmp_path / "work") == []


@posix
def test_rebuild_says_what_is_not_reproducible(tmp_path: Path) -> None:
    steady = hello(tmp_path / "source")
    random = script(tmp_path / "random", "mkdir -p $PREFIX/share; date +%s%N > $PREFIX/share/now", name="random")
    recorder = Recorder()
    first = build([steady, random], tmp_path, recorder)
    second = build([steady, random], tmp_path, recorder, rebuild=frozenset({"hello", "random"}))
    assert second[steady.key].record.sha256 == first[steady.key].record.sha256
    assert second[random.key].record.sha256 != first[random.key].record.sha256
    assert len(recorder.warnings) == 1
    assert "random 1" in recorder.warnings[0]
    assert build([random], tmp_path)[random.key].record == second[random.key].record


@posix
def test_a_script_that_edits_its_dependencies(tmp_path: Path) -> None:
    """Host files are links into the package cache: changing one in place would change every environment."""
    library = script(tmp_path / "lib", "mkdir -p $PREFIX/share", "echo clean > $PREFIX/share/lib", name="lib")
    record = build([library], tmp_path)[library.key].record
    item = SourceInput(name="lib", key=library.key)
    recipe = {
        "package": {"name": "app", "version": "1"},
        "build": {"script": ["echo dirty >> $PREFIX/share/lib"]},
        "requirements": {"host": ["lib"]},
    }

    def application(line: str) -> BuildNode:
        text = json.dumps({**recipe, "build": {"script": [line]}})
        return node(render(text, tmp_path / "lib")[0], tmp_path / "lib", host=[item], records={library.key: record})

    with pytest.raises(BuildError, match="changed files of its own dependencies") as caught:
        build([application("echo dirty >> $PREFIX/share/lib")], tmp_path)
    assert caught.value.kind == "shared-file-changed"
    assert "share/lib (lib 1)" in "\n".join(caught.value.notes)
    healed = application("cat $PREFIX/share/lib > $PREFIX/share/app")
    artifact = build([healed], tmp_path)[healed.key]
    assert read_conda(artifact.path).files[0].data == b"clean\n"


@posix
def test_packages_are_provided_before_they_are_needed(tmp_path: Path) -> None:
    library = script(tmp_path / "lib", "mkdir -p $PREFIX/share", "echo clean > $PREFIX/share/lib", name="lib")
    record = build([library], tmp_path)[library.key].record
    recipe = {
        "package": {"name": "app", "version": "1"},
        "build": {"script": ["cat $PREFIX/share/lib > $PREFIX/share/app"]},
        "requirements": {"host": ["lib"]},
    }
    item = SourceInput(name="lib", key=library.key)
    variant = render(json.dumps(recipe), tmp_path / "lib")[0]
    one = node(variant, tmp_path / "lib", host=[item], records={library.key: record})
    asked: list[CondaRecord] = []

    def refuse(records: Sequence[CondaRecord]) -> None:
        asked.extend(records)
        raise ChannelError("cannot fetch lib")

    with pytest.raises(ChannelError, match="cannot fetch lib"):
        build([one], tmp_path, provide=refuse)
    assert asked == [record]
    assert build([one], tmp_path, provide=asked.extend)[one.key].built
    assert asked == [record, record]


@posix
def test_an_interrupt_while_packages_are_provided(tmp_path: Path) -> None:
    one = script(tmp_path / "source", "true")

    def hang(records: Sequence[CondaRecord]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        build([one], tmp_path, provide=hang)
    assert time.monotonic() - started < 10


@posix
def test_sources_that_change_meanwhile(tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    (tmp_path / "source" / "greeting.txt").write_text("good evening\n")
    with pytest.raises(SourceError, match="changed since its build was planned"):
        build([one], tmp_path)


@posix
def test_what_is_not_supported_is_said(tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    with pytest.raises(BuildError, match="is locked to be built on linux-s390x, and this machine is") as caught:
        build([replace(one, build_subdir="linux-s390x")], tmp_path)
    assert caught.value.kind == "build-platform"
    outside = {**one.variant.recipe, "source": [{"path": "../elsewhere"}]}
    with pytest.raises(NotSupportedError, match="outside of the folder of the package"):
        build([replace(one, variant=replace(one.variant, recipe=outside))], tmp_path)


@posix
def test_a_work_folder_whose_path_is_too_long(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 150)
    with pytest.raises(BuildError, match="characters too long") as caught:
        build([hello(tmp_path / "source")], tmp_path, work_root=deep)
    assert caught.value.kind == "path-too-long"


# --- processes -------------------------------------------------------------------------------------------------------


@posix
def test_how_deep_the_cache_lies_leaves_no_trace(tmp_path: Path) -> None:
    """Also of a package that keeps paths of its build in binary files, where nothing can become longer or shorter."""
    lines = (
        r"""digits=$(printf %s "$SRC_DIR" | od -v -An -tx1 | tr -d ' \n')""",
        r"""printf '\000%s %s %s\000' "$SRC_DIR" "$PREFIX" "$digits" > "$PREFIX/w" """,
    )
    made: list[tuple[dict[str, bytes], str]] = []
    for root in (tmp_path, tmp_path / "deep" / ("x" * 40)):
        one = script(tmp_path / "source", *lines)
        artifact = build([one], root)[one.key]
        found = read_conda(artifact.path)
        members = {member.name: member.data for member in (*found.files, *found.info)}
        assert str(root).encode() not in members["w"]
        made.append((members, sha256_file(artifact.path)))
    assert made[0] == made[1]
