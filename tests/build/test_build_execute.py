"""Whole builds: real recipes, real worker processes, a real store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from build_kit import Recorder, build, node, render, write_source

from smelt.archive import read_conda
from smelt.build.model import BuildNode, SourceInput
from smelt.build.store import Store
from smelt.errors import BuildError, ChannelError, ErrorGroup, NotSupportedError, SourceError
from smelt.fs import hold
from smelt.types import CondaRecord, RunExports

pytestmark = pytest.mark.build
posix = pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell")

HELLO = """
package: {name: hello, version: 1.2.3}
source: {path: .}
build:
  script:
    - mkdir -p $PREFIX/bin $PREFIX/share
    - cp greeting.txt $PREFIX/share/
    - printf '#!/bin/sh\\ncat %s/share/greeting.txt\\n' "$PREFIX" > $PREFIX/bin/hello
    - chmod +x $PREFIX/bin/hello
"""


def hello(folder: Path, **options: object) -> BuildNode:
    source = write_source(folder, {"greeting.txt": "good morning\n"})
    return node(render(HELLO, source)[0], source, **options)  # pyright: ignore


def script(folder: Path, *lines: str, name: str = "hello", **options: object) -> BuildNode:
    """A package whose build script is these lines."""
    recipe = json.dumps({"package": {"name": name, "version": "1"}, "build": {"script": list(lines)}})
    write_source(folder, {"empty.txt": ""})
    return node(render(recipe, folder)[0], folder, **options)  # pyright: ignore


def left_in(root: Path) -> list[str]:
    """What is left of builds: everything but lock files."""
    return [str(path) for path in root.rglob("*") if not path.name.endswith((".lock", ".holder"))]


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
    (lock,) = (tmp_path / "work").glob("*.lock")
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
def test_metadata_that_differs_from_the_lock(tmp_path: Path) -> None:
    """rattler-build has the last word: here it adds what nobody locked."""
    one = hello(tmp_path / "source")
    recipe = {**one.variant.recipe, "build": {**one.variant.recipe["build"], "noarch": "python"}}  # pyright: ignore
    wrong = replace(one, variant=replace(one.variant, recipe=recipe, version="1.2.4"))
    with pytest.raises(BuildError, match="not those that are locked") as caught:
        build([wrong], tmp_path)
    assert caught.value.kind == "metadata-mismatch"
    assert "version: 1.2.4 is locked, the package has 1.2.3" in "\n".join(caught.value.notes)
    assert Store(tmp_path / "store").lookup(one.key) is None


SAYS = {
    "package": {"name": "app", "version": "1"},
    "build": {"script": ["true"]},
    "requirements": {
        "run": ["zlib >=1.2,<2.0a0", "python_abi 3.12.* *_cp312", "__glibc >=2.17,<3.0a0"],
        "run_constraints": ["cuda-version 12.8.*"],
        "run_exports": {
            "weak": [
                "${{ pin_subpackage('app', lower_bound='x', upper_bound='x') }}",
                "${{ pin_subpackage('app', exact=True) }}",
            ],
            "strong_constraints": ["old <1"],
        },
    },
}


def saying(folder: Path) -> BuildNode:
    folder.mkdir()
    return node(render(json.dumps(SAYS), folder)[0], folder)


@posix
def test_dependencies_reach_the_package_as_they_are_locked(tmp_path: Path) -> None:
    one = saying(tmp_path / "source")
    artifact = build([one], tmp_path)[one.key]
    assert artifact.record.depends == tuple(SAYS["requirements"]["run"])
    assert artifact.record.constrains == ("cuda-version 12.8.*",)
    assert artifact.record.build == one.variant.build
    exports = next(m for m in read_conda(artifact.path).info if m.name == "info/run_exports.json")
    assert RunExports.from_dict(json.loads(exports.data)) == one.metadata.run_exports == artifact.record.run_exports
    assert one.metadata.run_exports.weak == ("app >=1,<2.0a0", f"app ==1 {one.variant.build}")


@posix
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"depends": ("zlib >=1.2,<2.0a0", "extra")}, "depends: extra is locked, the package does not have it"),
        ({"depends": ()}, "depends: the package has zlib >=1.2,<2.0a0, it is not locked"),
        ({"constrains": ("old <2",)}, "constrains: old <2 is locked, the package does not have it"),
        ({"run_exports": RunExports()}, "run_exports.weak: the package has app >=1,<2.0a0, it is not locked"),
        ({"run_exports": RunExports(noarch=("a",))}, "run_exports.noarch: a is locked, the package does not have it"),
    ],
)
def test_a_package_that_says_something_else_than_the_lock(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    one = saying(tmp_path / "source")
    one = replace(one, metadata=replace(one.metadata, **change))  # pyright: ignore
    with pytest.raises(BuildError) as caught:
        build([one], tmp_path)
    assert caught.value.kind == "metadata-mismatch"
    assert problem in "\n".join(caught.value.notes)
    assert Store(tmp_path / "store").lookup(one.key) is None


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
    with pytest.raises(NotSupportedError, match="cross builds"):
        build([replace(one, subdir="linux-s390x")], tmp_path)
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

_SLOW = 'echo "started $$"; sleep 300 & echo "child $!"; sleep 300'

_DRIVER = """
import os
import sys
sys.path.insert(0, {kit!r})
from pathlib import Path
from build_kit import Recorder, build
from test_build_execute import hello, script
from smelt.build.surroundings import Surroundings
root = Path({root!r})

class Printing(Recorder):
    def line(self, node, text):
        print(text, flush=True)

one = {make}
around = Surroundings(sandboxed="SANDBOXED" in os.environ)
artifact = build([one], root, Printing(), surroundings=around)[one.key]
print("built" if artifact.built else "cached", artifact.record.sha256, flush=True)
"""


def drive(root: Path, make: str, **options: object) -> subprocess.Popen[str]:
    """A process of its own that builds."""
    code = _DRIVER.format(kit=str(Path(__file__).parent), root=str(root), make=make)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **options)  # pyright: ignore


def started_processes(driver: subprocess.Popen[str]) -> list[int]:
    """Wait until the build script runs; the processes of it."""
    found: list[int] = []
    assert driver.stdout is not None
    for line in driver.stdout:
        if line.startswith(("started", "child")):
            found.append(int(line.split()[1]))
        if len(found) == 2:
            return found
    raise AssertionError("the build script did not start")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


@posix
@needs_proc
def test_killing_the_parent_leaves_no_process(tmp_path: Path) -> None:
    driver = drive(tmp_path, f"script(root / 'source', {_SLOW!r})")
    processes = started_processes(driver)
    workers = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_worker(path, tmp_path)]
    assert workers
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert wait_until(lambda: not any(alive(pid) for pid in (*processes, *workers)))
    # and the next build works, in what was left
    one = script(tmp_path / "source", "true")
    assert build([one], tmp_path)[one.key].built
    assert left_in(tmp_path / "work") == []


def _is_worker(path: Path, root: Path) -> bool:
    try:
        return (
            str(root).encode() in (path / "cmdline").read_bytes()
            and b"smelt.build.worker" in (path / "cmdline").read_bytes()
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


@posix
@needs_proc
def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    driver = drive(tmp_path, f"script(root / 'source', {_SLOW!r})", stderr=subprocess.PIPE)
    processes = started_processes(driver)
    interrupted = time.monotonic()
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=20)
    assert time.monotonic() - interrupted < 5
    assert "KeyboardInterrupt" in errors
    assert wait_until(lambda: not any(alive(pid) for pid in processes), 1)
    assert left_in(tmp_path / "work") == []
    assert not (tmp_path / "store" / "artifacts").exists()


@posix
def test_two_processes_one_build(tmp_path: Path) -> None:
    hello(tmp_path / "source")
    make = "script(root / 'source', 'sleep 1', 'mkdir -p $PREFIX/share', 'date +%N > $PREFIX/share/now')"
    drivers = [drive(tmp_path, make) for _ in range(2)]
    said = [driver.communicate(timeout=60)[0].splitlines()[-1].split() for driver in drivers]
    assert sorted(words[0] for words in said) == ["built", "cached"]
    assert said[0][1] == said[1][1]


@posix
@needs_proc
def test_an_interrupt_while_another_process_builds(tmp_path: Path) -> None:
    make = f"script(root / 'source', {_SLOW!r})"
    first = drive(tmp_path, make)
    started_processes(first)
    second = drive(tmp_path, make.replace("script(", "print('waits', flush=True) or script("), stderr=subprocess.PIPE)
    try:
        assert second.stdout is not None
        assert second.stdout.readline() == "waits\n"
        time.sleep(0.5)
        second.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in second.communicate(timeout=5)[1]
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGINT)
        first.wait(timeout=10)


@posix
def test_threads_of_one_process_build_once(tmp_path: Path) -> None:
    one = script(tmp_path / "source", "sleep 0.5")
    recorders = [Recorder(), Recorder()]
    threads = [threading.Thread(target=build, args=([one], tmp_path, recorder)) for recorder in recorders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(recorder.events[-1][0] for recorder in recorders) == ["cached", "finished"]
