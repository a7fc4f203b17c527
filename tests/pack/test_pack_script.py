"""Packs that unpack themselves: with several shells, on machines with little, damaged, interrupted, in odd places."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from pack_kit import PREFIX, environment_files, packed

from smelt.api.workspace import Workspace
from smelt.errors import NotSupportedError
from smelt.pack.placeholder import in_binary, in_text
from spine_kit import partial, smelt, tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the script is for Unix")

TOOLS = ["sh", "tar", "gzip", "sed", "dd", "tail", "wc", "mv", "rm", "rmdir", "mkdir", "cat", "uname", "cksum"]
"""All that a machine needs."""


@pytest.fixture(scope="module")
def script(ready: Workspace, shared: Path) -> Path:
    return packed(ready, shared / "ready.sh").output or shared


def call(
    script: Path,
    *arguments: object,
    shell: Sequence[object] = ("sh",),
    variables: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    command = [str(each) for each in (*shell, script, *arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(variables or {})}, cwd=cwd
    )


def expected(name: str, prefix: Path, ready: Workspace) -> bytes:
    """A file of the package ``wakes`` in an environment at ``prefix``, after what Python makes of it."""
    here = str(prefix).encode()
    data = {
        "share/text.cfg": f"root = {PREFIX}\nagain = {PREFIX}/lib\n".encode(),
        "share/binary.dat": f"\x01\x02{PREFIX}/lib\0{PREFIX}/a:{PREFIX}/b\0\xff{PREFIX}\0end".encode("latin1"),
        "bin/wakes": f"#!{PREFIX}/bin/python -s\nprint('wakes runs')\n".encode(),
        "bin/wakes-sh": f"#!/bin/sh\necho from {PREFIX}\n".encode(),
    }[name]
    return (in_binary if name.endswith(".dat") else in_text)(data, PREFIX.encode(), here)


def check(prefix: Path, ready: Workspace) -> None:
    """The environment is whole: its files are right and its commands run."""
    for name in ("share/text.cfg", "share/binary.dat", "bin/wakes", "bin/wakes-sh"):
        assert (prefix / name).read_bytes() == expected(name, prefix, ready), name
    for command, words in (
        ("wakes", "wakes runs"),
        ("wakes-link", f"from {prefix}"),
        ("tool-script", "script runs"),
        ("app-script", "app-script runs"),
        ("mine", str(prefix)),
    ):
        done = subprocess.run([prefix / "bin" / command], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == words
    script = (
        f'. \'{prefix.parent}/activate.sh\'; printf \'%s|\' "$CONDA_PREFIX" "$WAKES" "$WAKES_ROOT"; command -v mine'
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{prefix}|it's $1 & more|{prefix}/share|{prefix}/bin/mine\n"


def test_the_environment_is_the_one_that_is_unpacked(
    ready_python: Workspace, unpacked_ready: tuple[Path, dict[str, tuple[str, int]]], tmp_path: Path
) -> None:
    prefix, files = unpacked_ready
    packed(ready_python, tmp_path / "e.sh")
    done = call(tmp_path / "e.sh", "-o", prefix.parent)
    assert done.returncode == 0, done.stderr
    try:
        assert environment_files(prefix) == files
        code = "import app, base, tool; print(app.version, base.version)"
        run = subprocess.run([prefix / "bin" / "python", "-c", code], check=True, capture_output=True, text=True)
        assert run.stdout == "1.0 2.0\n"
        for command in ("tool-run", "app-run"):
            subprocess.run([prefix / "bin" / command], check=True, capture_output=True)
    finally:
        shutil.rmtree(prefix.parent)


@pytest.mark.parametrize("shell", [("dash",), ("bash", "--posix"), ("zsh", "--emulate", "sh"), ("busybox", "sh")])
def test_shells(shell: tuple[str, ...], script: Path, ready: Workspace, tmp_path: Path) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not on this machine")
    done = call(script, "-o", tmp_path / "out", shell=shell)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    check(tmp_path / "out" / "env", ready)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"env", "activate.sh", "activate.fish"}


@pytest.mark.parametrize("busybox", [False, True])
def test_a_machine_with_nothing_but_small_tools(busybox: bool, script: Path, ready: Workspace, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which("busybox" if busybox else name)
        if found is None:
            pytest.skip("busybox is not on this machine")
        (tools / name).symlink_to(found)
    done = call(script, "-o", tmp_path / "out", "-q", shell=[tools / "sh"], variables={"PATH": str(tools)})
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    check(tmp_path / "out" / "env", ready)


@pytest.mark.parametrize(
    "name", ["with space", "it's", "a&b|c\\d", "ünï", "x" * 60 + "/" + "y" * 60, "-dash", "[star]*", "two  spaces "]
)
def test_odd_places(name: str, script: Path, ready: Workspace, tmp_path: Path) -> None:
    out = tmp_path / name
    done = call(script, f"--output-directory={out}")
    assert done.returncode == 0, done.stderr
    for each in ("share/text.cfg", "share/binary.dat", "bin/wakes", "bin/wakes-sh"):
        assert (out / "env" / each).read_bytes() == expected(each, out / "env", ready), each
    subprocess.run([out / "env" / "bin" / "wakes"], check=True, capture_output=True)
    quoted = str(out).replace("'", "'\\''")
    done = subprocess.run(
        ["sh", "-c", f". '{quoted}/activate.sh'; printf %s \"$CONDA_PREFIX\""],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{out}/env"
    if shutil.which("fish"):
        quoted = str(out).replace("\\", "\\\\").replace("'", "\\'")
        command = f"source '{quoted}/activate.fish'; printf %s $CONDA_PREFIX; printf '|%s' $WAKES"
        done = subprocess.run(["fish", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout == f"{out}/env|it's $1 & more"


def test_relative_and_with_another_name(script: Path, ready: Workspace, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    done = call(script, "-o", "../there/deep", "-e", "mine", cwd=tmp_path / "here")
    assert done.returncode == 0, done.stderr
    check(tmp_path / "there" / "deep" / "mine", ready)
    done = call(script, "-o", "../there/deep", "-e", "mine", cwd=tmp_path / "here")  # an environment is replaced
    assert done.returncode == 0, done.stderr
    check(tmp_path / "there" / "deep" / "mine", ready)
    assert os.access(script, os.X_OK)
    done = subprocess.run([script, "--check"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "is whole" in done.stdout
    assert "usage: sh" in call(script, "--help").stdout


def test_damaged_scripts(script: Path, tmp_path: Path) -> None:
    data = script.read_bytes()
    start = data.index(b'main "$@"; exit\n') + 16
    chance = random.Random(9)
    source = tmp_path / "e.sh"
    changes = [data[: chance.randrange(start, len(data))] for _ in range(15)]
    changes += [data[: len(data) - 1], data + b"x", data[:start]]
    for _ in range(15):
        at = chance.randrange(start, len(data))
        changes.append(data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :])
    for changed in changes:
        source.write_bytes(changed)
        done = call(source, "-o", tmp_path / "out" / "deep")
        assert done.returncode == 1
        assert done.stderr.startswith("error: this file is damaged: ")
        assert "help: " in done.stderr
        assert not (tmp_path / "out").exists()
    for length in (chance.randrange(start) for _ in range(20)):  # within the script: nothing has run
        source.write_bytes(data[:length])
        call(source, "-o", tmp_path / "out" / "deep")
        assert not (tmp_path / "out").exists()


def test_without_a_tool_for_sha256_it_is_still_checked(script: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or "/bin/false")
    data = bytearray(script.read_bytes())
    data[-100] ^= 1
    bad = tmp_path / "bad.sh"
    bad.write_bytes(data)
    done = call(bad, shell=[tools / "sh"], variables={"PATH": str(tools)}, cwd=tmp_path)
    assert "its checksum is wrong" in done.stderr
    (tools / "gzip").unlink()
    done = call(script, shell=[tools / "sh"], variables={"PATH": str(tools)}, cwd=tmp_path)
    assert "`gzip` is not on this machine" in done.stderr
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"system='", b"system='Plan9", "and this machine runs"),
        (b"machines=' ", b"machines=' vax-", "and this machine is"),
        (b"glibc=''", b"glibc='99.0'", "needs glibc 99.0, and this machine has"),
    ],
)
def test_another_machine(old: bytes, new: bytes, words: str, script: Path, tmp_path: Path) -> None:
    data = script.read_bytes()
    assert data.count(old) == 1
    source = tmp_path / "e.sh"
    source.write_bytes(data.replace(old, new))
    if b"glibc" in new and shutil.which("getconf") is None:
        pytest.skip("no getconf")
    done = call(source, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_wrong_ways_to_ask(script: Path, tmp_path: Path) -> None:
    mine = tmp_path / "env"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years", encoding="utf-8")
    before = tree(tmp_path)
    for arguments, words in (
        (["-x"], "`-x` is not known here"),
        (["-o"], "-o needs a folder"),
        (["-e", "../up"], "cannot be the name of an environment"),
        (["-e", ""], "cannot be the name of an environment"),
        (["-o", tmp_path], "holds something that is not an environment"),
        (["-o", tmp_path / "env" / "thesis.txt"], "cannot make the folder"),
        (["-o", tmp_path / ("z" * 150) / ("z" * 150)], "is too long: its packages have room for"),
        (["-o", "/proc/nowhere/deep"], "cannot make the folder"),
    ):
        done = call(script, *arguments, cwd=tmp_path)
        assert done.returncode == 1, arguments
        assert words in done.stderr
        assert tree(tmp_path) == before
    done = call(script, "-o", tmp_path / "a\nb")
    assert "line break" in done.stderr
    assert not (tmp_path / "a\nb").exists()


def test_failures_and_interruptions_leave_everything_as_it_was(script: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or "/bin/false")
    variables = {"PATH": str(tools)}
    out = tmp_path / "out"
    assert call(script, "-o", out).returncode == 0
    (out / "env" / "mine.txt").write_text("kept", encoding="utf-8")
    before = tree(out)
    for broken in ("tar", "sed", "dd", "gzip"):
        (tools / broken).unlink()
        (tools / broken).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (tools / broken).chmod(0o755)
        done = call(script, "-o", out, shell=[tools / "sh"], variables=variables)
        assert done.returncode == 1, broken
        assert tree(out) == before
        done = call(script, "-o", tmp_path / "new" / "deep", shell=[tools / "sh"], variables=variables)
        assert done.returncode == 1
        assert not (tmp_path / "new").exists()
        (tools / broken).unlink()
        (tools / broken).symlink_to(shutil.which(broken) or "/bin/false")
    for sent in (signal.SIGINT, signal.SIGTERM):
        slow = tools / "dd"
        slow.unlink()
        slow.write_text(f"#!/bin/sh\n: >'{tmp_path}/started'\nexec /bin/sleep 60\n", encoding="utf-8")
        slow.chmod(0o755)
        process = subprocess.Popen(
            [tools / "sh", script, "-o", out],
            env={**os.environ, **variables},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(tmp_path / "started")
        os.killpg(process.pid, sent)
        assert process.wait(20) in (130, 143)
        (tmp_path / "started").unlink()
        assert tree(out) == before
    # killed, between the two renames even: the next one puts it right
    process = subprocess.Popen(
        [tools / "sh", script, "-o", out], env={**os.environ, **variables}, start_new_session=True
    )
    wait_for(tmp_path / "started")
    other = call(script, "-o", out)
    assert "another process is unpacking" in other.stderr
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = next(path for path in out.iterdir() if path.name.startswith(".env.unpacking"))
    (out / "env").rename(left / "old")
    (tools / "gzip").unlink()
    (tools / "gzip").symlink_to("/bin/false")
    call(script, "-o", out, shell=[tools / "sh"], variables=variables)
    assert tree(out) == before
    assert call(script, "-o", out).returncode == 0
    assert not (out / "env" / "mine.txt").exists()
    assert partial(out) == []


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_equal_bytes_from_elsewhere(script: Path, ready: Workspace, tmp_path: Path) -> None:
    shutil.copytree(ready.model.root, tmp_path / "ready", symlinks=True)
    packed(Workspace.load(tmp_path / "ready" / "pixi.toml"), tmp_path / "e.sh")
    assert (tmp_path / "e.sh").read_bytes() == script.read_bytes()
    assert str(ready.model.root).encode() not in script.read_bytes()


def test_platforms_and_programs_that_are_not_for_it(
    script: Path, small: Workspace, tmp_path: Path, shared: Path
) -> None:
    refused = smelt(tmp_path, "unpack", script, "-o", tmp_path / "out")
    assert refused.returncode == 1
    assert "is a script that unpacks itself" in refused.stderr
    from dataclasses import replace

    from smelt.api.packing import PackOptions, pack_content
    from smelt.pack.model import SilentReporter
    from smelt.pack.selfextract import write_script

    content = pack_content(small, PackOptions(), tmp_path, SilentReporter())
    with pytest.raises(NotSupportedError, match="cannot be made for win-64"):
        write_script(replace(content, platform="win-64"), tmp_path / "w.sh", SilentReporter())
    assert not (tmp_path / "w.sh").exists()
