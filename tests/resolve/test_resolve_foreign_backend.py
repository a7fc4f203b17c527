"""Packages whose backend is a program that speaks the pixi-build protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spine_kit import Channel, manifest, partial, posix, smelt

pytestmark = [pytest.mark.build, posix]

PROGRAM = Path(__file__).resolve().parents[1] / "backend_program.py"
DEMO = "pixi-build-demo"


def program(note: str = "") -> str:
    return f"#!{sys.executable}\n{note}{PROGRAM.read_text(encoding='utf-8')}"


def add_backend(channel: Channel, version: str = "1.0", api: str = "7", name: str = DEMO) -> None:
    channel.add("pixi-build-api-version", api)
    channel.add(name, version, depends=[f"pixi-build-api-version {api}.*"], files={f"bin/{name}": program()})


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Channel:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    channel = Channel(tmp_path / "channel")
    add_backend(channel)
    channel.add("tool", "2.0", files={"bin/tool": "#!/bin/sh\necho made by tool\n"})
    for version in ("1.2", "2.3"):
        channel.add("lib", version, run_exports={"weak": [f"lib >={version},<{int(version[0]) + 1}"]})
    return channel.index()


MINE = """\
[package]
name = "mine"
version = "1.5"
license = "MIT"
[package.build]
backend = {{ name = "pixi-build-demo", version = "*"{more} }}
[package.build.config]
script = [
  "test -d $PREFIX/conda-meta",
  "mkdir -p $PREFIX/share",
  "$BUILD_PREFIX/bin/tool > $PREFIX/share/mine.txt",
  "cat $PREFIX/share/lib.txt data.txt >> $PREFIX/share/mine.txt",
  "echo $PREFIX/share > $PREFIX/share/where.txt",
]
{config}
[package.build-dependencies]
tool = "*"
[package.host-dependencies]
lib = "*"
[package.run-dependencies]
helper = {{ path = "../helper" }}
[package.run-exports.weak]
mine = ">=1.5"
"""

HELPER = """\
[package]
name = "helper"
version = "0.1"
[package.build]
backend = { name = "pixi-build-demo", version = "*" }
[package.build.config]
noarch = true
script = ["mkdir -p $PREFIX/share", "echo helper > $PREFIX/share/helper.txt"]
"""


def workspace(root: Path, channel: Channel, *, config: str = "", more: str = "", text: str | None = None) -> Path:
    manifest(root, [channel.url], text or '[dependencies]\nmine = { path = "mine" }\nlib = "2.*"\n')
    (root / "mine").mkdir(exist_ok=True)
    (root / "helper").mkdir(exist_ok=True)
    (root / "mine" / "pixi.toml").write_text(MINE.format(config=config, more=more))
    (root / "mine" / "data.txt").write_text("some data\n")
    (root / "helper" / "pixi.toml").write_text(HELPER)
    return root


def prefix(root: Path, environment: str = "default") -> Path:
    return root / ".pixi" / "envs" / environment


def test_locked_built_and_installed(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel)
    done = smelt(root, "install", env={"SECRET_OF_THE_USER": "1"})
    assert done.returncode == 0, done.stderr
    share = prefix(root) / "share"
    assert (share / "mine.txt").read_text() == "made by tool\nlib 2.3\nsome data\n"
    assert (share / "helper.txt").read_text() == "helper\n"
    # the placeholder was replaced by the place where it is
    assert (share / "where.txt").read_text() == f"{share}\n"
    record = json.loads(next((prefix(root) / "conda-meta").glob("mine-*.json")).read_text())
    assert set(record["depends"]) == {"helper", "lib >=2.3,<3"}
    lock = (root / "pixi.lock").read_text()
    assert "backend: pixi-build-demo" in lock
    assert "backend_version: '1.0 0'" in lock
    assert smelt(root, "lock", "--check").returncode == 0
    again = smelt(root, "install")
    assert again.returncode == 0
    assert "build" not in again.stderr
    assert not partial(root)


def test_variants(tmp_path: Path, channel: Channel) -> None:
    text = """
[workspace.build-variants]
lib = ["1.*", "2.*"]
[dependencies]
mine = { path = "mine" }
[feature.one.dependencies]
lib = "1.*"
[feature.two.dependencies]
lib = "2.*"
[environments]
one = ["one"]
two = ["two"]
"""
    root = workspace(tmp_path / "ws", channel, text=text)
    done = smelt(root, "install", "--all")
    assert done.returncode == 0, done.stderr
    assert "lib 1.2" in (prefix(root, "one") / "share" / "mine.txt").read_text()
    assert "lib 2.3" in (prefix(root, "two") / "share" / "mine.txt").read_text()


def test_stays_as_locked(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel)
    assert smelt(root, "lock").returncode == 0
    before = (root / "pixi.lock").read_text()
    add_backend(channel, "1.1")
    channel.index()
    assert smelt(root, "lock").returncode == 0
    assert (root / "pixi.lock").read_text() == before
    # it is still there, although its environment is gone
    environments = tmp_path / "cache" / "smelt" / "backends"
    assert len([path for path in environments.iterdir() if path.is_dir()]) == 1
    assert smelt(root, "cache", "info").returncode == 0
    shutil.rmtree(environments)
    assert smelt(root, "lock", "--check").returncode == 0
    assert (root / "pixi.lock").read_text() == before
    assert smelt(root, "update").returncode == 0
    assert (root / "pixi.lock").read_text().count("backend_version: '1.1 0'") == 2
    # another requirement
    text = (
        (root / "mine" / "pixi.toml")
        .read_text()
        .replace('"pixi-build-demo", version = "*"', '"pixi-build-demo", version = "<1.1"')
    )
    (root / "mine" / "pixi.toml").write_text(text)
    done = smelt(root, "lock", "--check")
    assert done.returncode != 0
    assert smelt(root, "lock").returncode == 0
    lock = (root / "pixi.lock").read_text()
    assert lock.count("backend_version: '1.1 0'") == 1
    assert lock.count("backend_version: '1.0 0'") == 1


def test_builds_again_what_changed(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel)
    assert smelt(root, "build").returncode == 0
    (root / "mine" / "data.txt").write_text("other data\n")
    done = smelt(root, "build")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["cached", "helper"], ["built", "mine"]]
    text = (root / "helper" / "pixi.toml").read_text().replace("echo helper", "echo new helper")
    (root / "helper" / "pixi.toml").write_text(text)
    done = smelt(root, "build")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["built", "helper"], ["cached", "mine"]]


def test_equal_bytes(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel)
    done = smelt(root, "build", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr


OVERRIDDEN = """\
[package]
name = "mine"
version = "1.0"
[package.build]
backend = { name = "pixi-build-python", version = "*" }
[package.build.config]
script = ["mkdir -p $PREFIX/share", "echo by hand > $PREFIX/share/mine.txt"]
"""


def test_override(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel, text='[dependencies]\nmine = { path = "mine" }\n')
    (root / "mine" / "pixi.toml").write_text(OVERRIDDEN)
    mine = tmp_path / "bin" / "pixi-build-python"
    mine.parent.mkdir()
    mine.write_text(program())
    mine.chmod(0o755)
    variables = {"PIXI_BUILD_BACKEND_OVERRIDE": f"other=/nowhere,pixi-build-python={mine}"}
    done = smelt(root, "install", env=variables)
    assert done.returncode == 0, done.stderr
    assert f"the backend `pixi-build-python` is replaced by {mine}" in done.stderr
    assert (prefix(root) / "share" / "mine.txt").read_text() == "by hand\n"
    lock = (root / "pixi.lock").read_text()
    assert "backend_version: override " in lock
    assert smelt(root, "lock", "--check", env=variables).returncode == 0
    # a changed program is another backend
    mine.write_text(program("# changed\n"))
    assert smelt(root, "lock", "--check", env=variables).returncode != 0
    on_path = {"PIXI_BUILD_BACKEND_OVERRIDE_ALL": "1", "PATH": f"{mine.parent}{os.pathsep}{os.environ['PATH']}"}
    done = smelt(root, "lock", env=on_path)
    assert done.returncode == 0, done.stderr
    assert (root / "pixi.lock").read_text() != lock
    for value, code in (
        (f"pixi-build-python={tmp_path}/none", "backend-missing"),
        ("pixi-build-python=a=b", "usage"),
        ("=a", "usage"),
    ):
        done = smelt(root, "lock", env={"PIXI_BUILD_BACKEND_OVERRIDE": value})
        assert done.returncode != 0
        assert code in done.stderr
        assert "PIXI_BUILD_BACKEND_OVERRIDE" in done.stderr


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("crash", "backend-crashed", ["ended with exit code 7 before it answered conda/outputs", "about to crash"]),
        ("signal", "backend-crashed", ["was killed by signal 9"]),
        ("hang-up", "backend-crashed", ["closed its standard output"]),
        ("garbage", "backend-protocol", ["something else than JSON", "it wrote: Hello, I am a friendly backend"]),
        ("complain", "backend-failed", ["the project has no heart", "found only a kidney", "transplant one"]),
        ("list", "backend-output", ["`outputs` must be a list"]),
        ("empty", "backend-output", ["it offers no output"]),
        ("platform", "backend-output", ["is for win-64"]),
        ("name", "backend-output", ["has no `name`"]),
    ],
)
def test_faults_of_metadata(tmp_path: Path, channel: Channel, fault: str, code: str, words: list[str]) -> None:
    root = workspace(tmp_path / "ws", channel, config=f'fault = "{fault}"')
    done = smelt(root, "lock")
    assert done.returncode not in (0, 70), done.stderr
    assert code in done.stderr
    assert all(each in done.stderr for each in words), done.stderr
    assert "mine/pixi.toml:6" in done.stderr
    assert not (root / "pixi.lock").exists()


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (
            "build-crash",
            "backend-crashed",
            ["ended with exit code 3 before it answered conda/build_v1", "the last words"],
        ),
        ("other", "backend-output", ["version: 1.5 was asked for, it built 2.0"]),
        ("elsewhere", "backend-output", ["nowhere.conda, which is no `.conda` file"]),
        ("index", "metadata-mismatch", ["version: 1.5 is locked, the package has 9.9"]),
        ("depends", "metadata-mismatch", ["depends: the package has surprise >=3, it is not locked"]),
        ("exports", "metadata-mismatch", ["run_exports.weak: the package has surprise >=3, it is not locked"]),
    ],
)
def test_faults_of_builds(tmp_path: Path, channel: Channel, fault: str, code: str, words: list[str]) -> None:
    root = workspace(tmp_path / "ws", channel, config=f'fault = "{fault}"')
    done = smelt(root, "build", "--package", "mine")
    assert done.returncode not in (0, 70), done.stderr
    assert code in done.stderr
    assert all(each in done.stderr for each in words), done.stderr


def test_a_long_log_is_no_problem(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel, config='fault = "long-log"')
    done = smelt(root, "lock")
    assert done.returncode == 0, done.stderr


def test_backends_that_cannot_be_had(tmp_path: Path, channel: Channel) -> None:
    add_backend(channel, "2.0", api="6", name="pixi-build-old")
    channel.add("pixi-build-mute", files={"bin/pixi-build-mute": program()})
    channel.add("pixi-build-bare", depends=["pixi-build-api-version 7.*"])
    channel.add(
        "pixi-build-broken", depends=["pixi-build-api-version 7.*"], files={"bin/pixi-build-broken": "#!/nowhere\n"}
    )
    channel.index()
    root = workspace(tmp_path / "ws", channel)
    path = root / "mine" / "pixi.toml"
    text = path.read_text()
    for name, code, words in (
        ("pixi-build-old", "backend-api-version", "speaks version 6 of the protocol, smelt speaks version 7"),
        ("pixi-build-mute", "backend-api-version", "does not say which version of the protocol it speaks"),
        ("pixi-build-bare", "backend-missing", "brings no executable `pixi-build-bare`"),
        ("pixi-build-broken", "backend-missing", "cannot be started"),
        ("pixi-build-pyton", "backend-unsolvable", "did you mean `pixi-build-python`?"),
        ("pixi-build-r", "backend-unsolvable", "name channels that have it"),
    ):
        path.write_text(text.replace(DEMO, name))
        done = smelt(root, "lock")
        assert done.returncode not in (0, 70), done.stderr
        assert code in done.stderr
        assert words in done.stderr
        assert "mine/pixi.toml:6" in done.stderr


def test_from_git(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel)
    repository = tmp_path / "repository"
    repository.mkdir()
    shutil.move(root / "mine", repository / "mine")
    shutil.move(root / "helper", repository / "helper")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *command], cwd=repository, check=True)
    text = f'[dependencies]\nmine = {{ git = "{repository.as_uri()}", subdirectory = "mine" }}\nlib = "2.*"\n'
    manifest(root, [channel.url], text)
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert (prefix(root) / "share" / "mine.txt").read_text() == "made by tool\nlib 2.3\nsome data\n"
    assert smelt(root, "lock", "--check").returncode == 0


def test_in_a_sandbox(tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend builds cut off like everything else: one of a channel, and one that the user puts in its place."""
    monkeypatch.setenv("HOME", str(tmp_path))
    root = workspace(tmp_path / "ws", channel)
    (tmp_path / ".secret").write_text("s3cret")
    done = smelt(root, "build", "--sandbox")
    if "error[sandbox]" in done.stderr or "error[not-supported]" in done.stderr:
        pytest.skip("this machine makes no sandboxes")
    assert done.returncode == 0, done.stderr
    mine = tmp_path / "own" / "backend"
    mine.parent.mkdir()
    mine.write_text(program())
    mine.chmod(0o755)
    replaced = {"PIXI_BUILD_BACKEND_OVERRIDE": f"{DEMO}={mine}"}
    assert smelt(root, "lock", env=replaced).returncode == 0
    again = smelt(root, "build", "--sandbox", "--clean", env=replaced)
    assert again.returncode == 0, again.stderr


def test_source_packages_and_siblings(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel, config='outputs = ["mine-more"]')
    path = root / "mine" / "pixi.toml"
    text = path.read_text().replace('lib = "*"\n', 'lib = "*"\nhelper = { path = "../helper" }\n')
    path.write_text(text.replace("cat $PREFIX/share/lib.txt", "cat $PREFIX/share/helper.txt"))
    both = '[dependencies]\nmine = { path = "mine" }\nmine-more = { path = "mine" }\nlib = "2.*"\n'
    manifest(root, [channel.url], both)
    done = smelt(root, "build")
    assert done.returncode == 0, done.stderr
    assert sorted(line.split()[1] for line in done.stdout.splitlines()) == ["helper", "mine", "mine-more"]
    # what a package is built with counts for it
    helper = root / "helper" / "pixi.toml"
    helper.write_text(helper.read_text().replace("echo helper", "echo changed"))
    done = smelt(root, "build")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["built"] * 3


def test_conditions_and_targets(tmp_path: Path, channel: Channel) -> None:
    channel.add("only-linux")
    channel.add("only-osx")
    channel.index()
    family = "linux" if sys.platform.startswith("linux") else "osx"
    root = workspace(tmp_path / "ws", channel)
    more = """
[package.run-dependencies."if(linux)"]
only-linux = "*"
[package.run-dependencies."if(osx)"]
only-osx = "*"
[package.build.target.unix.config]
script = ["mkdir -p $PREFIX/share", "echo unix > $PREFIX/share/mine.txt"]
"""
    path = root / "mine" / "pixi.toml"
    path.write_text(path.read_text() + more)
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert (prefix(root) / "share" / "mine.txt").read_text() == "unix\n"
    installed = {record.name.rsplit("-", 2)[0] for record in (prefix(root) / "conda-meta").glob("only-*.json")}
    assert installed == {f"only-{family}"}


def test_values_that_go_together(tmp_path: Path, channel: Channel) -> None:
    for version in ("3.1", "4.2"):
        channel.add("other", version)
    channel.index()
    text = """
[workspace.build-variants]
lib = ["1.*", "2.*"]
other = ["3.*", "4.*"]
[dependencies]
mine = { path = "mine" }
other = "4.*"
"""
    root = workspace(tmp_path / "ws", channel)
    files = 'build-variants-files = ["variants.yaml"]\n'
    manifest(root, [channel.url], files + text)
    (root / "variants.yaml").write_text("zip_keys: [[lib, other]]\nlib: [1.*, 2.*]\nother: [3.*, 4.*]\n")
    path = root / "mine" / "pixi.toml"
    path.write_text(path.read_text().replace('lib = "*"\n', 'lib = "*"\nother = "*"\n'))
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    # nothing but `other` asks for it
    assert "lib 2.3" in (prefix(root) / "share" / "mine.txt").read_text()
    manifest(root, [channel.url], files + text.replace('other = "4.*"', 'other = "4.*"\nlib = "1.*"'))
    done = smelt(root, "lock")
    assert done.returncode != 0
