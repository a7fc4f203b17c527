"""Whole commands, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from smelt import __version__
from smelt.archive import read_conda
from spine_kit import SUBDIR, Channel, partial, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


def ok(root: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The command, which must succeed."""
    result = smelt(root, *arguments, **options)  # type: ignore[arg-type]
    assert result.returncode == 0, result.stderr
    return result


def test_without_a_command(tmp_path: Path) -> None:
    result = smelt(tmp_path)
    assert result.returncode == 2
    assert "usage: smelt" in result.stdout
    assert ok(tmp_path, "--help").stdout == result.stdout
    assert ok(tmp_path, "--version").stdout == f"smelt {__version__}\n"
    assert "--keep-going" in ok(tmp_path, "build", "--help").stdout


def test_lock(workspace: Path) -> None:
    first = ok(workspace, "lock")
    assert first.stdout == ""
    assert [line.split()[:3] for line in first.stderr.splitlines() if line] == [
        ["Environment:", "default"],
        ["+", "greet", "0.1"],
        ["+", "tool", "1.0"],
        ["Environment:", "two"],
        ["+", "library", "2.0"],
        ["✔", "updated", "pixi.lock"],
    ]
    assert ok(workspace, "lock").stderr == "✔ pixi.lock was up to date\n"
    assert ok(workspace, "lock", "--check").stderr == "✔ the lock file fits the manifest\n"
    assert not (workspace / ".pixi" / "envs").exists()


def test_a_dry_run_and_json_write_nothing(workspace: Path) -> None:
    result = ok(workspace, "lock", "--dry-run", "--json")
    data = json.loads(result.stdout)
    assert data["version"] == 1
    changed = data["environment"]["default"][SUBDIR]
    assert [each["name"] for each in changed] == ["greet", "tool"]
    assert changed[1]["before"] is None
    assert "the lock file would change" in result.stderr
    assert not (workspace / "pixi.lock").exists()
    assert json.loads(ok(workspace, "lock", "--json").stdout) == data
    path = workspace / "pixi.toml"
    path.write_text(path.read_text().replace('tool = "1.*"', 'tool = "2.*"'))
    before = (workspace / "pixi.lock").read_bytes()
    data = json.loads(ok(workspace, "lock", "--dry-run", "--json").stdout)
    (change,) = data["environment"]["default"][SUBDIR]
    assert change["name"] == "tool"
    assert change["before"]["conda"].endswith("tool-1.0-0.conda")
    assert change["after"]["conda"].endswith("tool-2.0-0.conda")
    assert (workspace / "pixi.lock").read_bytes() == before


def test_install(workspace: Path) -> None:
    first = ok(workspace, "install")
    assert first.stderr.splitlines()[-1] == "✔ environment default installed"
    prefix = workspace / ".pixi" / "envs" / "default"
    assert os.access(prefix / "bin" / "greet", os.X_OK)
    assert not (workspace / ".pixi" / "envs" / "two").exists()
    assert ok(workspace, "install").stderr == "✔ environment default is up to date\n"
    assert ok(workspace, "install", "--all").stderr.splitlines() == [
        "✔ environment default is up to date",
        "✔ environment two installed",
    ]
    again = ok(workspace, "install", "-e", "two", "-e", "default", "--locked").stderr
    assert again == "✔ environment two is up to date\n✔ environment default is up to date\n"
    assert partial(workspace.parent) == []


def test_verify_repairs(workspace: Path) -> None:
    ok(workspace, "install")
    tool = workspace / ".pixi" / "envs" / "default" / "bin" / "tool"
    text, before = tool.read_text(), tool.stat()
    assert "1.0" in text

    def replace() -> None:
        tool.unlink()
        tool.write_text(text.replace("1.0", "0.1"))
        tool.chmod(before.st_mode)

    replace()
    assert "it was repaired: bin/tool was changed (tool)" in ok(workspace, "install").stderr
    assert tool.read_text() == text
    # a change that neither size nor time tells
    before = tool.stat()
    replace()
    os.utime(tool, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ok(workspace, "install").stderr == "✔ environment default is up to date\n"
    assert "installed" in ok(workspace, "install", "--verify").stderr
    assert tool.read_text() == text


def test_frozen_takes_the_lock_as_it_is(workspace: Path) -> None:
    ok(workspace, "lock")
    path = workspace / "pixi.toml"
    path.write_text(path.read_text().replace('tool = "1.*"', 'tool = "2.*"'))
    before = (workspace / "pixi.lock").read_bytes()
    assert smelt(workspace, "install", "--locked").returncode == 1
    assert not (workspace / ".pixi" / "envs").exists()
    ok(workspace, "install", "--frozen")
    assert (workspace / "pixi.lock").read_bytes() == before
    assert smelt(workspace, "run", "--frozen", "tool").stdout == "tool 1.0\n"
    # what --frozen installed is not taken for what the manifest wants
    assert ok(workspace, "run", "tool").stdout == "tool 2.0\n"


def test_run(workspace: Path) -> None:
    result = ok(workspace, "run", "both")
    assert result.stdout == "greetings\ntool 1.0 spoken\n"
    assert "hello" in result.stderr
    assert "both" in result.stderr
    assert ok(workspace, "run", "where").stdout == f"{(workspace / 'sub').resolve()}\n"
    assert ok(workspace / "sub", "run", "tool", "a", "-e", "b").stdout == "tool 1.0 a -e b\n"
    assert ok(workspace, "run", "--", "tool", "--help").stdout == "tool 1.0 --help\n"
    assert ok(workspace, "run", "-e", "two", "sh", "-c", "echo $PIXI_ENVIRONMENT_NAME").stdout == "two\n"
    assert smelt(workspace, "run", "fail").returncode == 7
    missing = smelt(workspace, "run", "nonsense")
    assert missing.returncode == 127
    assert missing.stderr.startswith("nonsense: command not found\n")
    assert ok(workspace, "run").stderr.split() == ["Available", "tasks:", "both", "fail", "hello", "where"]


def test_list(workspace: Path) -> None:
    text = ok(workspace, "list").stdout.splitlines()
    assert text[0].split() == ["Name", "Version", "Build", "Size", "Kind", "Source"]
    assert [line.split()[0] for line in text[1:]] == ["greet", "tool"]
    assert "source" in text[1]
    rows = json.loads(ok(workspace, "list", "--json").stdout)
    assert [(row["name"], row["version"], row["is_source"], row["is_explicit"]) for row in rows] == [
        ("greet", "0.1", True, True),
        ("tool", "1.0", False, True),
    ]
    assert rows[1]["url"].endswith("/tool-1.0-0.conda")
    assert [row["name"] for row in json.loads(ok(workspace, "list", "--json", "^to").stdout)] == ["tool"]
    assert json.loads(ok(workspace, "list", "--json", "nothing").stdout) == []
    assert "library" in ok(workspace, "list", "-e", "two").stdout
    wrong = smelt(workspace, "list", "(")
    assert wrong.returncode == 2
    assert "not a regular expression" in wrong.stderr
    assert not (workspace / ".pixi" / "envs").exists()


def test_list_explicit(workspace: Path, channel: Channel) -> None:
    channel.add("tool", "1.5", depends=["library"])
    channel.index()
    assert "library" in ok(workspace, "list").stdout
    assert "library" not in ok(workspace, "list", "--explicit").stdout


def test_info(workspace: Path, tmp_path: Path, cache: Path) -> None:
    data = json.loads(ok(workspace, "info", "--json").stdout)
    assert data["platform"] == SUBDIR
    assert data["version"] == __version__
    assert data["cache_dir"] == str(cache)
    assert data["project_info"]["name"] == "test"
    assert [each["name"] for each in data["environments_info"]] == ["default", "two"]
    assert data["environments_info"][0]["dependencies"] == ["tool", "greet"]
    assert sorted(data["environments_info"][0]["tasks"]) == ["both", "fail", "hello", "where"]
    text = ok(workspace, "info").stdout
    assert "Environment: two" in text
    outside = json.loads(ok(tmp_path, "info", "--json").stdout)
    assert outside["project_info"] is None
    assert outside["environments_info"] == []


def test_shell_hook(workspace: Path) -> None:
    script = ok(workspace, "shell-hook", "--shell", "bash").stdout
    result = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\ngreet; tool; echo $CONDA_PREFIX"],
        capture_output=True,
        text=True,
        check=True,
    )
    prefix = workspace / ".pixi" / "envs" / "default"
    assert result.stdout == f"greetings\ntool 1.0\n{prefix}\n"
    variables = json.loads(ok(workspace, "shell-hook", "--json").stdout)["environment_variables"]
    assert variables["CONDA_PREFIX"] == str(prefix)


def test_clean(workspace: Path) -> None:
    ok(workspace, "install", "--all")
    ok(workspace, "clean", "-e", "two")
    assert sorted(path.name for path in (workspace / ".pixi" / "envs").iterdir()) == ["default"]
    before = (workspace / "pixi.lock").read_bytes()
    assert f"removed {workspace / '.pixi' / 'envs' / 'default'}" in ok(workspace, "clean").stderr
    assert not (workspace / ".pixi" / "envs").exists()
    assert (workspace / "pixi.lock").read_bytes() == before
    assert "already clean" in ok(workspace, "clean").stderr
    result = ok(workspace, "install")
    assert "building" not in result.stderr
    assert "installed" in result.stderr


def test_build(workspace: Path, cache: Path) -> None:
    why = ok(workspace, "build", "--why").stdout
    assert "to be built\n  it was not built before" in why
    first = ok(workspace, "build", "--output-dir", "out")
    assert first.stdout.startswith("built  greet 0.1")
    (archive,) = (workspace / "out" / SUBDIR).glob("*.conda")
    assert [member.name for member in read_conda(archive).files] == ["bin/greet"]
    second = ok(workspace, "build")
    assert second.stdout.startswith("cached greet 0.1")
    assert "nothing to build" in ok(workspace, "build", "--why").stdout
    again = ok(workspace, "build", "--rebuild", "greet")
    assert again.stdout.startswith("built  greet 0.1")
    assert again.stdout.split("sha256:")[1] == first.stdout.split("sha256:")[1].split("\n")[0] + "\n"
    assert "reproducible" not in again.stderr
    recipe(workspace, "greet", "0.1", host=["library"], script=["mkdir $PREFIX/x", "touch $PREFIX/x/y"])
    why = ok(workspace, "build", "--why").stdout
    assert "recipe.build.script" in why
    wrong = smelt(workspace, "build", "--package", "gret")
    assert wrong.returncode == 1
    assert "did you mean `greet`?" in wrong.stderr


def test_keep_going(workspace: Path, cache: Path) -> None:
    for name in ("bad", "worse"):
        recipe(workspace, name, script=["exit 3"])
    path = workspace / "pixi.toml"
    more = '[dependencies]\nbad = { path = "bad" }\nworse = { path = "worse" }\n'
    path.write_text(path.read_text().replace("[dependencies]\n", more, 1))
    result = smelt(workspace, "build", "--keep-going")
    assert result.returncode == 1
    assert "✔ built greet 0.1" in result.stderr
    head, _, tail = result.stderr.partition("error: 2 of 3 builds failed\n  note: failed:\n")
    assert head
    assert [line.split()[0] for line in tail.splitlines()] == ["bad", "worse"]
    assert ok(workspace, "build", "--package", "greet").stdout.startswith("cached greet")


def test_channel(tmp_path: Path, channel: Channel) -> None:
    ok(tmp_path, "channel", "create", "mine")
    package = next((channel.folder / "noarch").glob("tool-1.0-0.conda"))
    (tmp_path / "mine" / "noarch" / package.name).write_bytes(package.read_bytes())
    ok(tmp_path, "channel", "index", "mine")
    root = tmp_path / "other"
    root.mkdir()
    (root / "pixi.toml").write_text(
        f'[workspace]\nchannels = ["../mine"]\nplatforms = ["{SUBDIR}"]\n[dependencies]\ntool = "*"\n'
    )
    assert ok(root, "run", "tool", "here").stdout == "tool 1.0 here\n"


def test_from_another_folder(workspace: Path, tmp_path: Path) -> None:
    assert ok(tmp_path, "run", "--manifest-path", "ws/pixi.toml", "tool").stdout == "tool 1.0\n"
    assert "up to date" in ok(tmp_path, "install", "-m", "ws").stderr


def test_quiet_and_verbose(workspace: Path) -> None:
    quiet = ok(workspace, "install", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    verbose = ok(workspace, "--verbose", "build", "--rebuild", "greet")
    assert "[greet] + mkdir -p $PREFIX/bin" in verbose.stderr


def test_color(workspace: Path) -> None:
    assert "\x1b[" in smelt(workspace, "lock", "--color", "always").stderr
    assert "\x1b[" not in ok(workspace, "lock", "--color", "never", env={"FORCE_COLOR": "1", "NO_COLOR": ""}).stderr
