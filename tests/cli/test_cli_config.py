"""``smelt config``: files, places, what is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spine_kit import SUBDIR, Channel, manifest, posix, smelt

HEAD = f'[workspace]\nname = "w"\nchannels = []\nplatforms = ["{SUBDIR}"]\n'


class Machine:
    """A user with a home of its own, and a workspace."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "pixi-home"
        self.root = folder / "w"
        self.root.mkdir()
        (self.root / "pixi.toml").write_text(HEAD, encoding="utf-8")
        self.user = self.home / "config.toml"
        self.local = self.root / ".pixi" / "config.toml"
        home = str(folder / "home")
        self.env = {"PIXI_HOME": str(self.home), "HOME": home, "XDG_CONFIG_HOME": home, "APPDATA": home}

    def run(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        result = smelt(self.root, *arguments, env={**self.env, **env})
        assert result.returncode == code, result.stderr
        return result


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_set_list_and_unset(machine: Machine) -> None:
    machine.run("config", "set", "allow-ref-links", "false", "--local")
    assert machine.local.read_text(encoding="utf-8") == "allow-ref-links = false\n"
    machine.run("config", "set", "default-channels", '["a", "b"]', "--global")
    assert machine.user.read_text(encoding="utf-8") == 'default-channels = ["a", "b"]\n'
    listed = machine.run("config", "list").stdout
    assert listed == 'default-channels = [\n    "a",\n    "b",\n]\nallow-ref-links = false\n'
    assert machine.run("config", "list", "--global").stdout == 'default-channels = [\n    "a",\n    "b",\n]\n'
    assert json.loads(machine.run("config", "ls", "--json").stdout) == {
        "default-channels": ["a", "b"],
        "allow-ref-links": False,
    }
    machine.run("config", "unset", "allow-ref-links")
    assert machine.local.read_text(encoding="utf-8") == ""


def test_only_what_is_asked_for_is_written(machine: Machine) -> None:
    machine.user.parent.mkdir()
    machine.user.write_text('# mine\npinning-strategy = "minor"\n', encoding="utf-8")
    machine.run("config", "set", "shell.change-ps1", "false")
    assert machine.local.read_text(encoding="utf-8") == "[shell]\nchange-ps1 = false\n"
    machine.run("config", "set", "offline", "false", "-g")
    assert machine.user.read_text(encoding="utf-8") == '# mine\npinning-strategy = "minor"\noffline = false\n'


def test_append_and_prepend(machine: Machine) -> None:
    machine.run("config", "set", "default-channels", '["conda-forge"]', "--global")
    machine.run("config", "append", "default-channels", "bioconda")
    machine.run("config", "prepend", "default-channels", "first")
    assert machine.run("config", "get", "default-channels").stdout == '["first", "conda-forge", "bioconda"]\n'


def test_get(machine: Machine) -> None:
    machine.run("config", "set", "pinning-strategy", "no-pin", "-g")
    assert machine.run("config", "get", "pinning-strategy").stdout == "no-pin\n"
    assert "config-unset" in machine.run("config", "get", "offline", code=1).stderr
    assert machine.run("config", "list", "offline").stderr == "Configuration not set\n"


def test_a_key_that_nobody_knows(machine: Machine) -> None:
    result = machine.run("config", "set", "defalt-channels", "[]", code=1)
    assert "there is no setting `defalt-channels`" in result.stderr
    assert "did you mean `default-channels`?" in result.stderr
    assert not machine.local.exists()


def test_local_needs_a_workspace(machine: Machine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    result = smelt(outside, "config", "set", "offline", "true", "--local", env=machine.env)
    assert result.returncode == 2
    assert "`--local` needs a workspace" in result.stderr
    assert smelt(outside, "config", "set", "offline", "false", env=machine.env).returncode == 0
    assert machine.user.exists()


def test_a_workspace_with_mistakes_can_be_configured(machine: Machine) -> None:
    (machine.root / "pixi.toml").write_text("[workspace]\nunknown = 1\n", encoding="utf-8")
    machine.run("config", "set", "offline", "false", "--local")
    assert machine.local.exists()


def test_broken_and_unknown(machine: Machine) -> None:
    machine.user.parent.mkdir()
    machine.user.write_text("offline = false\ninvalid", encoding="utf-8")
    result = machine.run("info")
    assert f"parse error in {machine.user}" in result.stderr
    assert "the file is ignored" in result.stderr
    machine.user.write_text("invalid-key = true\n", encoding="utf-8")
    assert "Ignoring 'invalid-key'" in machine.run("info").stderr
    machine.user.write_text("offline = 1\n", encoding="utf-8")
    assert "`offline`: expected a boolean" in machine.run("config", "set", "offline", "true", "-g", code=1).stderr
    assert machine.user.read_text(encoding="utf-8") == "offline = 1\n"


def test_sources(machine: Machine, tmp_path: Path) -> None:
    machine.run("config", "set", "pinning-strategy", "minor", "-g")
    other = tmp_path / "other.toml"
    other.write_text('pinning-strategy = "major"\n', encoding="utf-8")
    assert machine.run("config", "list", "--no-config").stdout == "\n"
    assert machine.run("config", "list", PIXI_NO_CONFIG="1").stdout == "\n"
    assert "major" in machine.run("config", "list", "--config-file", str(other)).stdout
    assert "major" in machine.run("config", "list", PIXI_CONFIG_FILE=str(other)).stdout
    assert "minor" in machine.run("config", "list").stdout


@posix
def test_edit(machine: Machine, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "offline = false\\nnew-key = 1\\n" > "$1"\n', encoding="utf-8")
    editor.chmod(0o755)
    result = machine.run("config", "edit", "--global", EDITOR=str(editor))
    assert machine.user.read_text(encoding="utf-8") == "offline = false\nnew-key = 1\n"
    assert "Ignoring 'new-key'" in result.stderr
    assert "cannot start the editor" in machine.run("config", "edit", "/no/such/editor", code=2).stderr


@posix
def test_settings_are_obeyed(machine: Machine, channel: Channel) -> None:
    script = '#!/bin/sh\necho ran > "$PREFIX/ran.txt"\n'
    channel.add("scripted", files={"share/scripted.txt": "x", "bin/.scripted-post-link.sh": script})
    channel.index()
    manifest(machine.root, [channel.url], '[dependencies]\nscripted = "*"\n')
    prefix = machine.root / ".pixi" / "envs" / "default"
    machine.run("install")
    assert not (prefix / "ran.txt").exists()
    machine.run("clean")
    machine.run("install", "--run-post-link-scripts")
    assert (prefix / "ran.txt").exists()
    machine.run("clean")
    machine.run("config", "set", "run-post-link-scripts", "insecure", "--local")
    machine.run("config", "set", "allow-hard-links", "false", "--local")
    machine.run("config", "set", "allow-ref-links", "false", "--local")
    machine.run("config", "set", "shell.change-ps1", "false", "--local")
    machine.run("install")
    assert (prefix / "ran.txt").exists()
    assert (prefix / "share" / "scripted.txt").stat().st_nlink == 1
    assert "PS1" not in machine.run("shell-hook", "--shell", "bash").stdout
    assert "PS1" in machine.run("shell-hook", "--shell", "bash", "--change-ps1", "true").stdout


def test_proxies_reach_tasks(machine: Machine) -> None:
    machine.run("config", "set", "proxy-config.https", "http://proxy.example:8080/", "--local")
    code = "import os; print(os.environ.get('https_proxy'))"
    shown = machine.run("run", "--", sys.executable, "-c", code, https_proxy="", HTTPS_PROXY="").stdout
    assert shown.strip() == "http://proxy.example:8080/"
    kept = machine.run("run", "--", sys.executable, "-c", code, https_proxy="http://mine.example").stdout
    assert kept.strip() == "http://mine.example"


def test_what_cannot_be_obeyed_is_told(machine: Machine) -> None:
    machine.run("config", "set", "cache.root", str(machine.home), "--local")
    assert "`cache` of the configuration: smelt knows this setting" in machine.run("install").stderr


def test_permissions(machine: Machine) -> None:
    if os.name != "posix" or os.geteuid() == 0:
        pytest.skip("everything may be written")
    machine.local.parent.mkdir(mode=0o500)
    assert "error[file-system]" in machine.run("config", "set", "offline", "true", "--local", code=1).stderr
