"""What activation sets, in which order, and what shells make of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from install_kit import SUBDIR, make_package, request_for

from smelt.errors import InstallError, UsageError
from smelt.install.activation import (
    ActivationRequest,
    activate,
    activation_plan,
    clean_environment,
    native_shell,
    package_variables,
)
from smelt.install.hook import hook_json, shell_hook
from smelt.install.prefix import install
from smelt.install.shells import SHELLS, find_shell, guess_shell
from smelt.workspace.model import Activation

posix = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
OUTER = {"PATH": "/usr/bin:/bin", "HOME": "/home/somebody", "KEEP": "outer"}


@pytest.fixture
def request_(tmp_path: Path) -> ActivationRequest:
    (tmp_path / ".pixi/envs/default/conda-meta").mkdir(parents=True)
    return ActivationRequest(
        prefix=tmp_path / ".pixi/envs/default",
        root=tmp_path,
        manifest_path=tmp_path / "pixi.toml",
        workspace_name="demo",
        workspace_version="0.3.0",
        environment="default",
        platforms=("linux-64", "osx-arm64"),
        subdir=SUBDIR,
        executable="/opt/smelt/bin/smelt",
    )


def script(request: ActivationRequest, name: str, text: str, folder: str = "activate.d") -> None:
    path = request.prefix / "etc/conda" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_scripts_nothing_is_run(request_: ActivationRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", no_process)
    assert activate(request_, OUTER) == {
        "PATH": f"{request_.prefix}/bin:/usr/bin:/bin",
        "CONDA_SHLVL": "1",
        "CONDA_PREFIX": str(request_.prefix),
        "PIXI_PROJECT_ROOT": str(request_.root),
        "PIXI_PROJECT_NAME": "demo",
        "PIXI_PROJECT_MANIFEST": str(request_.manifest_path),
        "PIXI_PROJECT_VERSION": "0.3.0",
        "PIXI_IN_SHELL": "1",
        "PIXI_EXE": "/opt/smelt/bin/smelt",
        "CONDA_DEFAULT_ENV": "demo",
        "PIXI_ENVIRONMENT_NAME": "default",
        "PIXI_ENVIRONMENT_PLATFORMS": "linux-64,osx-arm64",
        "PIXI_PROMPT": "(demo) ",
    }


def test_named_environment(request_: ActivationRequest) -> None:
    found = activate(replace(request_, environment="test", workspace_version=None), OUTER)
    assert found["CONDA_DEFAULT_ENV"] == "demo:test" and found["PIXI_PROMPT"] == "(demo:test) "
    assert found["PIXI_PROJECT_VERSION"] == "NO_VERSION_SPECIFIED"


def test_an_active_environment_is_remembered(request_: ActivationRequest) -> None:
    request_ = replace(request_, activation=Activation(env={"KEEP": "mine"}))
    found = activate(request_, {**OUTER, "CONDA_PREFIX": "/opt/$conda", "CONDA_SHLVL": "2"})
    assert found["CONDA_SHLVL"] == "3"
    assert found["CONDA_ENV_SHLVL_3_CONDA_PREFIX"] == "/opt/$conda"
    assert found["CONDA_ENV_SHLVL_3_KEEP"] == "outer" and found["KEEP"] == "mine"


@posix
def test_precedence(request_: ActivationRequest) -> None:
    """activation.env > profile > scripts of the workspace > scripts of packages > variables of packages > outside"""
    names = ("A", "B", "C", "D", "E", "F")
    outer = {**OUTER, **dict.fromkeys(names, "outside")}
    variables = request_.prefix / "etc/conda/env_vars.d/p.json"
    variables.parent.mkdir(parents=True)
    variables.write_text(json.dumps(dict.fromkeys(names[1:], "variables") | {"NUMBER": 1}))
    script(request_, "p.sh", "".join(f"export {n}=package\n" for n in names[2:]))
    (request_.root / "s.sh").write_text("".join(f"export {n}=workspace\n" for n in names[3:]))
    activation = Activation(scripts=("s.sh",), env={"F": "env"})
    found = activate(replace(request_, activation=activation, profile_env={"E": "profile", "F": "profile"}), outer)
    values = {**outer, **found}
    assert [values[n] for n in names] == ["outside", "variables", "package", "workspace", "profile", "env"]
    assert "NUMBER" not in values


@posix
def test_scripts_see_what_was_set_before(request_: ActivationRequest) -> None:
    script(request_, "b.sh", 'export SECOND="$FIRST and $PIXI_PROJECT_NAME"\n')
    script(request_, "a.sh", 'export FIRST="$CONDA_PREFIX"\nexport LINES_="one\ntwo"\necho chatter\n')
    script(request_, "ignored.fish", "exit 1\n")
    found = activate(request_, OUTER)
    assert found["SECOND"] == f"{request_.prefix} and demo"
    assert found["LINES_"] == "one\ntwo"
    assert "_" not in found


@posix
def test_references_in_values(request_: ActivationRequest) -> None:
    env = {"X": "$CONDA_PREFIX/x:${KEEP}", "Y": "$X!", "Z": "$UNSET.", "W": "${UNSET:-else} $(echo sub)"}
    simple = activate(replace(request_, activation=Activation(env={k: env[k] for k in "XYZ"})), OUTER)
    assert simple["X"] == f"{request_.prefix}/x:outer" and simple["Y"] == simple["X"] + "!" and simple["Z"] == "."
    shell = activate(replace(request_, activation=Activation(env=env)), OUTER)
    assert shell["W"] == "else sub"
    assert {k: v for k, v in shell.items() if k != "W"} == dict(simple)


@posix
@given(
    values=st.dictionaries(
        st.from_regex(r"V[A-Z0-9_]{0,4}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
        max_size=4,
    )
)
def test_what_is_computed_is_what_bash_says(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    folder = tmp_path_factory.getbasetemp() / "bash"
    (folder / "p").mkdir(parents=True, exist_ok=True)
    request = ActivationRequest(
        prefix=folder / "p",
        root=folder,
        manifest_path=folder / "pixi.toml",
        workspace_name="it's $HOME",
        workspace_version=None,
        environment="default",
        platforms=(),
        subdir=SUBDIR,
        activation=Activation(env={k: v for k, v in values.items() if "$" not in v or v.replace("$", "").isalnum()}),
    )
    (folder / "nothing.sh").write_text("")
    computed = activate(request, OUTER)
    run = activate(
        replace(request, activation=replace(request.activation, scripts=("nothing.sh",))),
        OUTER,
    )
    assert dict(computed) == dict(run)


@posix
def test_clean(request_: ActivationRequest) -> None:
    assert activate(replace(request_, clean=True), OUTER)["PATH"] == f"{request_.prefix}/bin"
    assert clean_environment({**OUTER, "TERM": "x"}) == {"HOME": "/home/somebody"}
    script(request_, "a.sh", "export A=1\n")
    assert activate(replace(request_, clean=True), OUTER)["PATH"] == f"{request_.prefix}/bin"


@posix
def test_the_answer_of_scripts_is_kept(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    package = make_package(
        tmp_path / "channel",
        "tool",
        files={"etc/conda/activate.d/t.sh": f"echo x >> {counter}\nexport TOOL=$HOME\n".encode()},
    )
    installation = request_for(tmp_path, package)
    asyncio.run(install(installation))
    (tmp_path / "s.sh").write_text("export MINE=1\n")
    request = ActivationRequest(
        prefix=installation.prefix,
        root=tmp_path,
        manifest_path=tmp_path / "pixi.toml",
        workspace_name="demo",
        workspace_version=None,
        environment="default",
        platforms=(SUBDIR,),
        subdir=SUBDIR,
        activation=Activation(scripts=("s.sh",)),
    )
    cache = tmp_path / ".pixi/smelt/activation"

    def runs(request: ActivationRequest = request, **outer: str) -> int:
        before = len(counter.read_text().split()) if counter.exists() else 0
        found = activate(request, {**OUTER, **outer}, cache_folder=cache)
        assert found["TOOL"] == {**OUTER, **outer}["HOME"] and found["MINE"]
        return len(counter.read_text().split()) - before

    assert runs() == 1
    assert runs() == 0
    assert runs(SHLVL="7", OLDPWD="/") == 0
    assert runs(HOME="/elsewhere") == 1
    assert runs() == 1
    (tmp_path / "s.sh").write_text("export MINE=22\n")
    assert runs() == 1
    assert runs(replace(request, activation=Activation(scripts=("s.sh",), env={"A": "b"}))) == 1
    assert runs() == 1
    asyncio.run(install(request_for(tmp_path, package, make_package(tmp_path / "channel", "more"))))
    assert runs() == 1
    (cache / "default.json").write_text("{")
    assert runs() == 1 and runs() == 0


def test_state_file_and_broken_variables(request_: ActivationRequest) -> None:
    state = request_.prefix / "conda-meta/state"
    state.write_text(json.dumps({"env_vars": {"lower": "1", "list": []}}))
    assert package_variables(request_.prefix) == {"LOWER": "1"}
    for text in ("{", "[]", '{"env_vars": 1}'):
        state.write_text(text)
        with pytest.raises(InstallError) as caught:
            activate(request_, OUTER)
        assert caught.value.kind == "activation-failed" and str(state) in caught.value.message


@posix
def test_scripts_in_a_folder_with_a_strange_name(
    request_: ActivationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / """it's "$HOME" $(touch pwned) `touch pwned` \\ é😀"""
    prefix = root / ".pixi/envs/default"
    request_ = replace(request_, prefix=prefix, root=root)
    script(request_, "x.sh", "export SCRIPT=yes\n")
    found = activate(request_, OUTER)
    assert found["SCRIPT"] == "yes" and found["PATH"] == f"{prefix}/bin:{OUTER['PATH']}"
    assert not (tmp_path / "pwned").exists()


@posix
def test_a_script_that_exits(request_: ActivationRequest) -> None:
    script(request_, "bad.sh", "echo about to fail >&2\nexit 3\n")
    with pytest.raises(InstallError) as caught:
        activate(request_, OUTER)
    assert "exit code 3" in caught.value.message and "about to fail" in caught.value.notes[1]
    script(request_, "bad.sh", "exit 0\n")
    with pytest.raises(InstallError):
        activate(request_, OUTER)


@pytest.mark.parametrize("name", ["", "A=B", "A B", "$(touch x)", "A\nB", "A;B", "`x`"])
def test_names_that_are_none(request_: ActivationRequest, name: str) -> None:
    with pytest.raises(InstallError, match="no name"):
        activate(replace(request_, activation=Activation(env={name: "1"})), OUTER)


def test_missing_scripts_are_told(request_: ActivationRequest) -> None:
    request_ = replace(request_, activation=Activation(scripts=("nowhere.sh",)))
    plan = activation_plan(request_, OUTER, native_shell())
    assert plan.scripts == () and plan.missing == (request_.root / "nowhere.sh",)


class TestHook:
    @posix
    @pytest.mark.parametrize("program", ["bash", "dash", "zsh", "fish", "xonsh", "nu", "pwsh"])
    def test_evaluated_it_gives_what_activate_gives(self, request_: ActivationRequest, program: str) -> None:
        executable = shutil.which(program)
        if executable is None:
            pytest.skip(f"no {program} here")
        shell = SHELLS[{"dash": "bash", "nu": "nushell", "pwsh": "powershell"}.get(program, program)]
        nasty = """it's "$KEEP" & \\ (x) 100% ;"""
        outer = {"PATH": OUTER["PATH"], "KEEP": nasty, "CONDA_PREFIX": str(request_.root / "old")}
        outer["HOME"] = str(request_.root)
        env = {"KEEP": "new", "PLAIN": "a b"}
        if shell.name == "bash":
            env["REFERENCE"] = "$CONDA_PREFIX/x"
        request_ = replace(request_, activation=Activation(env=env))
        text = shell_hook(request_, outer, shell, prompt=False)
        file = request_.root / f"hook.{shell.extensions[0]}"
        file.write_text(text + "/usr/bin/env -0\n")
        done = subprocess.run([executable, str(file)], env=outer, capture_output=True, check=True)
        values = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if "=" in line)
        expected = activate(request_, outer)
        assert {name: values.get(name) for name in expected} == dict(expected)

    @posix
    @pytest.mark.parametrize("program", ["bash", "dash", "zsh", "fish", "xonsh", "nu", "pwsh"])
    def test_nothing_in_a_path_is_expanded(self, request_: ActivationRequest, program: str, tmp_path: Path) -> None:
        executable = shutil.which(program)
        if executable is None:
            pytest.skip(f"no {program} here")
        shell = SHELLS[{"dash": "bash", "nu": "nushell", "pwsh": "powershell"}.get(program, program)]
        root = tmp_path / """it's "$HOME" $(touch pwned) `touch pwned` \\ é😀"""
        prefix = root / ".pixi/envs/default"
        (prefix / "etc/conda/activate.d").mkdir(parents=True)
        line = "set -gx SCRIPT yes\n" if program == "fish" else "export SCRIPT=yes\n"
        (prefix / f"etc/conda/activate.d/x.{shell.extensions[0]}").write_text(line)
        request_ = replace(request_, prefix=prefix, root=root, manifest_path=root / "pixi.toml")
        request_ = replace(request_, workspace_name="$(touch pwned)", activation=Activation(env={"A": "b"}))
        outer = {**OUTER, "PATH": "/usr/bin:/bin:/x $(touch pwned)`touch pwned`/bin", "HOME": str(tmp_path)}
        text = shell_hook(request_, outer, shell)
        file = tmp_path / f"hook.{shell.extensions[0]}"
        file.write_text(text + "/usr/bin/env -0\n")
        done = subprocess.run([executable, str(file)], cwd=tmp_path, env=outer, capture_output=True, check=True)
        values = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if "=" in line)
        assert values["PATH"] == f"{prefix}/bin:{outer['PATH']}"
        assert values["SCRIPT"] == "yes" and values["CONDA_PREFIX"] == str(prefix)
        assert not (tmp_path / "pwned").exists()

    @pytest.mark.parametrize("shell", SHELLS.values(), ids=lambda shell: shell.name)
    def test_every_shell_names_the_prefix(self, request_: ActivationRequest, shell: object) -> None:
        text = shell_hook(request_, OUTER, shell)  # type: ignore[arg-type]
        assert "CONDA_PREFIX" in text and str(request_.prefix) in text.replace("\\\\", "\\")
        assert "PIXI_PROJECT_NAME" in text

    @posix
    def test_the_active_environment_is_left(self, request_: ActivationRequest, tmp_path: Path) -> None:
        old = tmp_path / "old"
        (old / "etc/conda/env_vars.d").mkdir(parents=True)
        (old / "etc/conda/deactivate.d").mkdir(parents=True)
        (old / "etc/conda/env_vars.d/x.json").write_text('{"OLD": "1"}')
        (old / "etc/conda/deactivate.d/x.sh").write_text("export LEFT=yes\n")
        outer = {"PATH": f"{old}/bin:/usr/bin:/bin", "CONDA_PREFIX": str(old), "OLD": "1"}
        text = shell_hook(request_, outer, SHELLS["bash"], prompt=False)
        command = text + 'echo "$PATH|${OLD-gone}|$LEFT"'
        done = subprocess.run(["bash", "-c", command], env=outer, capture_output=True, text=True, check=True)
        assert done.stdout == f"{request_.prefix}/bin:/usr/bin:/bin|gone|yes\n"

    @posix
    def test_completions_are_sourced(self, request_: ActivationRequest) -> None:
        folder = request_.prefix / "share/bash-completion/completions"
        folder.mkdir(parents=True)
        (folder / "tool").write_text("COMPLETED=yes\n")
        text = shell_hook(request_, OUTER, SHELLS["bash"])
        done = subprocess.run(["bash", "-c", text + "echo $COMPLETED"], capture_output=True, text=True, check=True)
        assert done.stdout == "yes\n"
        assert "share/bash-completion" not in shell_hook(request_, OUTER, SHELLS["bash"], completions=False)

    def test_prompt_can_be_left_alone(self, request_: ActivationRequest) -> None:
        assert "PS1" in shell_hook(request_, OUTER, SHELLS["bash"])
        assert "PS1" not in shell_hook(request_, OUTER, SHELLS["bash"], prompt=False)

    def test_json(self, request_: ActivationRequest) -> None:
        request_ = replace(request_, activation=Activation(scripts=("s.sh", "nowhere.sh")))
        (request_.root / "s.sh").write_text("export S=1\n")
        found = json.loads(hook_json(request_, OUTER))
        assert found["activation_scripts"] == [str(request_.root / "s.sh")]
        if os.name != "nt":
            assert found["environment_variables"]["S"] == "1"

    def test_names_of_shells(self) -> None:
        assert find_shell("nushell").name == "nushell"
        with pytest.raises(UsageError) as caught:
            find_shell("bsh")
        assert "`bash`" in (caught.value.help or "")
        assert guess_shell({"SHELL": "/usr/bin/fish"}).name in SHELLS
