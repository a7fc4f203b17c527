"""The commands that change manifests, on real channels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli

from smelt.types import current_platform

Run = Callable[..., tuple[int, str, str]]
OTHER = "osx-arm64" if current_platform().startswith("linux") else "linux-64"


def data(path: Path) -> dict[str, dict[str, object]]:
    return tomli.loads(path.read_text(encoding="utf-8"))


def changed_lines(before: str, after: str) -> list[str]:
    """Lines of ``after`` that are not in ``before``; all lines of ``before`` must be in ``after``, in order."""
    rest = iter(after.splitlines())
    new: list[str] = []
    for line in before.splitlines():
        for each in rest:
            if each == line:
                break
            new.append(each)
        else:
            raise AssertionError(f"{line!r} is gone")
    return new + list(rest)


def test_init_makes_a_workspace(run: Run, tmp_path: Path, channel: str) -> None:
    code, _, err = run("init", "sub/made", "-c", channel, "-p", "linux-64", "-p", "linux-64")
    assert (code, err.startswith("✔ Created ")) == (0, True)
    folder = tmp_path / "sub/made"
    manifest = data(folder / "pixi.toml")
    assert manifest["workspace"] == {
        **{key: value for key, value in manifest["workspace"].items() if key == "authors"},
        "channels": [channel],
        "name": "made",
        "platforms": ["linux-64"],
        "version": "0.1.0",
    }
    assert (folder / ".gitignore").read_text(encoding="utf-8") == "# pixi environments\n.pixi/*\n!.pixi/config.toml\n"
    assert "pixi.lock merge=binary" in (folder / ".gitattributes").read_text(encoding="utf-8")
    before = (folder / "pixi.toml").read_bytes()
    code, _, err = run("init", folder)
    assert (code, "already exists" in err) == (1, True)
    assert (folder / "pixi.toml").read_bytes() == before


def test_init_formats(run: Run, tmp_path: Path) -> None:
    assert run("init", "my-Project", "--format", "pyproject", "--scm", "gitlab")[0] == 0
    folder = tmp_path / "my-Project"
    assert data(folder / "pyproject.toml")["tool"]["pixi"]["pypi-dependencies"] == {
        "my_project": {"path": ".", "editable": True}
    }
    assert (folder / "src/my_project/__init__.py").is_file()
    assert "gitlab-language" in (folder / ".gitattributes").read_text(encoding="utf-8")
    assert run("init", "m", "--format", "mojoproject")[0] == 0
    assert (tmp_path / "m/mojoproject.toml").is_file()
    for folder in ("my-Project", "m"):
        code, _, err = run("workspace", "name", "get", "-m", tmp_path / folder)
        assert code == 0, err


def test_init_extends_a_python_project(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    old = '[project]\nname = "old-one"\nversion = "1"\n\n[dependency-groups]\ntest_all = []'
    path.write_text(old, encoding="utf-8")
    code, _, err = run("init")
    assert (code, "--format pyproject" in err) == (2, True)  # nobody to ask
    assert run("init", "--format", "pyproject")[0] == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith(old + "\n\n[tool.pixi.workspace]\n")
    assert data(path)["tool"]["pixi"]["environments"]["test-all"] == {
        "features": ["test_all"],
        "solve-group": "default",
    }
    assert run("workspace", "environment", "list")[0] == 0
    code, _, err = run("init", "--format", "pyproject")
    assert (code, "already has" in err, path.read_text(encoding="utf-8") == text) == (0, True, True)


def test_init_imports_an_environment_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(
        "name: imported\nchannels: [conda-forge, defaults]\ndependencies:\n  - python=3.12\n  - a::tool >=1 *x*\n"
        "  - pip:\n    - requests[s]>=2; python_version < '4'\nvariables:\n  A: 1\n",
        encoding="utf-8",
    )
    assert run("init", "--import", "environment.yml")[0] == 0
    manifest = data(tmp_path / "pixi.toml")
    assert manifest["workspace"]["name"] == "imported"
    assert manifest["workspace"]["channels"] == ["conda-forge", "main", "r", "msys2", "a"]
    assert manifest["dependencies"] == {
        "python": "3.12.*",
        "tool": {"version": ">=1", "build": "*x*", "channel": "a"},
    }
    assert manifest["pypi-dependencies"] == {
        "requests": {"version": ">=2", "extras": ["s"], "env-markers": "python_version < '4'"}
    }
    assert manifest["activation"] == {"env": {"A": "1"}}


def test_add_solves_pins_and_writes_one_line(run: Run, workspace: Path) -> None:
    before = workspace.read_text(encoding="utf-8")
    code, _, err = run("add", "tool", "--no-install")
    assert code == 0, err
    assert "✔ Added tool >=2.0.1,<3" in err
    assert changed_lines(before, workspace.read_text(encoding="utf-8")) == ['tool = ">=2.0.1,<3"']
    assert run("lock", "--check")[0] == 0
    code, _, err = run("add", "tool", "--no-install")
    assert (code, "tool is already a dependency" in err) == (0, True)
    assert run("add", "tool==1.2.3", "--no-install")[0] == 0
    assert data(workspace)["dependencies"]["tool"] == "==1.2.3"
    assert run("lock", "--check")[0] == 0


@pytest.mark.parametrize(
    ("strategy", "pinned"),
    [("exact-version", "==2.0.1"), ("latest-up", ">=2.0.1"), ("minor", ">=2.0.1,<2.1"), ("no-pin", "*")],
)
def test_pinning_strategies(run: Run, workspace: Path, strategy: str, pinned: str) -> None:
    assert run("add", "tool", "--no-install", "--pinning-strategy", strategy)[0] == 0
    assert data(workspace)["dependencies"]["tool"] == pinned


def test_python_is_pinned_to_its_minor_version(run: Run, workspace: Path) -> None:
    assert run("add", "python", "--no-install")[0] == 0
    assert data(workspace)["dependencies"]["python"] == ">=3.12.4,<3.13"


def test_add_installs_the_only_environment(run: Run, workspace: Path, tmp_path: Path) -> None:
    assert run("workspace", "environment", "remove", "extra")[0] == 0
    assert run("workspace", "feature", "remove", "extra")[0] == 0
    assert run("add", "tool")[0] == 0
    assert (tmp_path / ".pixi/envs/default/share/tool.txt").read_text() == "tool 2.0.1\n"
    assert run("remove", "tool")[0] == 0
    assert not (tmp_path / ".pixi/envs/default/share/tool.txt").exists()


def test_an_edit_that_cannot_be_solved_changes_nothing(run: Run, workspace: Path, tmp_path: Path) -> None:
    assert run("lock")[0] == 0
    os.utime(workspace, ns=(1, 1))
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in (workspace, tmp_path / "pixi.lock")]
    for words in (("add", "tool=9"), ("add", "absent"), ("add", "tool[channel=absent]"), ("add", "--pypi", "x")):
        code, _, err = run(*words)
        assert (code, "Traceback" in err, "internal error" in err) == (1, False, False), err
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in (workspace, tmp_path / "pixi.lock")] == before


def test_what_fails_after_the_solve_is_undone(run: Run, workspace: Path, tmp_path: Path) -> None:
    """The installation fails: a file stands where the environments go."""
    assert run("workspace", "environment", "remove", "extra")[0] == 0
    assert run("workspace", "feature", "remove", "extra")[0] == 0
    before = workspace.read_bytes()
    (tmp_path / ".pixi").mkdir(exist_ok=True)
    (tmp_path / ".pixi/envs").write_text("in the way")
    code, _, err = run("add", "tool")
    assert (code, "internal error" in err) == (1, False), err
    assert workspace.read_bytes() == before
    assert not (tmp_path / "pixi.lock").exists()


def test_an_edit_of_somebody_else_in_the_meantime_is_kept(workspace: Path) -> None:
    from smelt.api.editing import EditOptions, ManifestEditor
    from smelt.api.workspace import Workspace
    from smelt.errors import ManifestError
    from smelt.lock.model import Lock
    from smelt.manifest.edit.manifest import ManifestText

    editor = ManifestEditor.open(Workspace.load(workspace))
    changed = editor.manifest.set(("dependencies", "tool"), "*")

    def meanwhile(lock: Lock, manifest: ManifestText) -> ManifestText:
        workspace.write_text(workspace.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
        return manifest

    for options in (EditOptions(pin=meanwhile), EditOptions(lock=False)):
        with pytest.raises(ManifestError, match="in the meantime"):
            editor.commit(changed, options)
    assert workspace.read_text(encoding="utf-8").endswith("# mine\n")
    assert not (workspace.parent / "pixi.lock").exists()


def test_frozen_only_changes_the_manifest(run: Run, workspace: Path, tmp_path: Path) -> None:
    assert run("add", "--frozen", "absent")[0] == 0
    assert data(workspace)["dependencies"]["absent"] == "*"
    assert run("add", "--frozen", "--pypi", "requests")[0] == 0
    assert data(workspace)["pypi-dependencies"] == {"requests": "*"}
    assert not (tmp_path / "pixi.lock").exists()
    code, _, err = run("add", "--no-lockfile-update", "x")
    assert (code, "--frozen" in err) == (2, True)


def test_add_to_features_platforms_and_environments(run: Run, workspace: Path) -> None:
    code, _, err = run("add", "tool", "-f", "extra", "-p", OTHER, "--no-install")
    assert code == 0, err
    assert "only for feature: extra" in err
    manifest = data(workspace)
    assert manifest["workspace"]["platforms"] == [current_platform(), OTHER]
    assert manifest["feature"]["extra"]["target"] == {OTHER: {"dependencies": {"tool": ">=2.0.1,<3"}}}
    code, _, err = run("add", "tool=1", "-e", "own", "--no-install")
    assert code == 0, err
    assert data(workspace)["environments"]["own"] == {"dependencies": {"tool": "1.*"}}
    code, _, err = run("add", "tool", "-f", "lonely", "--no-install")
    assert (code, "is not used in any environment" in err) == (0, True)
    code, _, err = run("add", "tool", "-p", "nowhere")
    assert (code, "does not define a platform named `nowhere`" in err) == (1, True)


def test_add_sources(run: Run, workspace: Path, tmp_path: Path) -> None:
    assert run("workspace", "preview", "add", "pixi-build")[0] == 0
    assert (
        run("add", "--frozen", "--git", "https://git.example/a.git", "--tag", "v1", "--subdirectory", "s", "a")[0] == 0
    )
    assert run("add", "--frozen", "--path", "./b", "b>=1")[0] == 0
    archive = tmp_path / "c-1.0-h1_0.conda"
    archive.write_bytes(b"")
    assert run("add", "--frozen", archive)[0] == 0
    manifest = data(workspace)["dependencies"]
    assert manifest["a"] == {"git": "https://git.example/a.git", "tag": "v1", "subdirectory": "s"}
    assert manifest["b"] == {"version": ">=1", "path": "b"}
    assert manifest["c"] == {"url": archive.as_uri()}
    assert run("add", "--branch", "main", "a")[0] == 2
    assert run("add", "--editable", "a")[0] == 2


def test_remove(run: Run, workspace: Path) -> None:
    before = workspace.read_text(encoding="utf-8")
    code, _, err = run("remove", "tool")
    assert (code, "`tool` is not among the dependencies" in err) == (1, True)
    assert run("remove", "lib", "--no-install")[0] == 0
    assert changed_lines(workspace.read_text(encoding="utf-8"), before) == ['lib = "*"']
    code, _, err = run("remove", "lib")
    assert (code, "remove --feature extra lib`" in err) == (1, True)
    assert run("remove", "-f", "extra", "lib", "--no-install")[0] == 0
    assert "lib" not in workspace.read_text(encoding="utf-8").replace("# what", "")


def test_upgrade(run: Run, workspace: Path) -> None:
    assert run("add", "tool==1.2.3", "--no-install")[0] == 0
    before = workspace.read_bytes()
    code, _, err = run("upgrade", "--dry-run")
    assert (code, "2.0.1" in err, workspace.read_bytes() == before) == (0, True, True)
    code, out, _ = run("upgrade", "tool", "--json", "--no-install")
    assert code == 0
    assert json.loads(out)["environment"]["default"]
    manifest = data(workspace)
    assert manifest["dependencies"] == {"lib": "*", "tool": ">=2.0.1,<3"}
    assert run("upgrade", "--no-install")[0] == 0
    assert data(workspace)["dependencies"]["lib"] == ">=0.3.4,<0.4"
    assert data(workspace)["feature"]["extra"]["dependencies"]["lib"] == ">=0.3.4,<0.4"
    code, _, err = run("upgrade", "too")
    assert (code, "did you mean 'tool'" in err) == (1, True)
    assert run("upgrade", "-f", "none")[0] == 1


def test_tasks(run: Run, workspace: Path) -> None:
    before = workspace.read_text(encoding="utf-8")
    assert run("task", "add", "two", "echo", "a b", "c")[0] == 0
    assert run("task", "alias", "both", "hello", "two", "--description", "all of it")[0] == 0
    new = changed_lines(before, workspace.read_text(encoding="utf-8"))
    assert new == [
        "two = 'echo \"a b\" c'",
        'both = { depends-on = [{ task = "hello" }, { task = "two" }], description = "all of it" }',
    ]
    code, out, _ = run("task", "list")
    assert out.splitlines() == ["Task   Description", "both   all of it", "hello", "two"]
    code, out, _ = run("task", "list", "--json")
    assert [task["name"] for task in json.loads(out)[0]["features"][0]["tasks"]] == ["hello", "two", "both"]
    assert run("task", "add", "two", "x")[0] == 1
    assert run("task", "rm", "two", "both")[0] == 0
    assert workspace.read_text(encoding="utf-8") == before
    code, _, err = run("task", "rm", "none")
    assert (code, "the task 'none' does not exist for the workspace" in err) == (0, True)


def test_a_task_that_breaks_the_manifest_is_not_written(run: Run, workspace: Path) -> None:
    before = workspace.read_bytes()
    code, _, err = run("task", "add", "t", "x", "--arg", "a-b")
    assert (code, "a-b" in err) == (1, True)
    assert workspace.read_bytes() == before


def test_workspace_commands(run: Run, workspace: Path, channel: str) -> None:
    assert run("workspace", "version", "set", "1.2.3")[0] == 0
    assert run("workspace", "version", "minor")[0] == 0
    assert run("workspace", "version", "get")[1] == "1.3.0\n"
    assert run("workspace", "name", "set", "other")[0] == 0
    assert run("workspace", "-m", workspace, "name", "get")[1] == "other\n"
    assert 'name = "other"  # its name' in workspace.read_text(encoding="utf-8")
    assert run("workspace", "description", "set", "a thing")[0] == 0
    assert run("workspace", "requires-pixi", "set", ">=0.40")[0] == 0
    assert run("workspace", "requires-pixi", "verify")[0] == 0
    assert run("workspace", "requires-pixi", "unset")[0] == 0
    code, _, err = run("workspace", "requires-pixi", "set", ">=99")
    assert (code, "requires pixi >=99" in err) == (1, True)
    code, out, _ = run("workspace", "channel", "list")
    assert out == f"Environment: default\n- {channel.rstrip('/')}\nEnvironment: extra\n- {channel.rstrip('/')}\n"
    code, out, _ = run("workspace", "environment", "ls")
    assert out.splitlines()[:3] == ["Environments:", "- default:", "    features: default"]
    code, out, _ = run("workspace", "feature", "list")
    assert out == ("Features:\n- default\n    dependencies: lib\n    tasks: hello\n- extra\n    dependencies: lib\n")
    code, _, err = run("workspace", "feature", "remove", "extra")
    assert (code, "`--yes`" in err) == (2, True)
    assert run("workspace", "feature", "remove", "extra", "--yes")[0] == 0
    assert data(workspace)["environments"] == {"extra": []}


def test_platform_commands(run: Run, workspace: Path) -> None:
    here = current_platform()
    before = workspace.read_text(encoding="utf-8")
    assert run("workspace", "platform", "add", OTHER, f"gpu={here}", "--no-install")[0] == 1  # the same as `here`
    assert workspace.read_text(encoding="utf-8") == before
    assert run("workspace", "platform", "add", OTHER, "--no-install")[0] == 0
    assert changed_lines(before, workspace.read_text(encoding="utf-8")) == [f'  "{OTHER}",']
    assert run("workspace", "platform", "add", f"gpu={here}", "--cuda", "12", "--no-install")[0] == 0
    assert run("workspace", "platform", "mv", "gpu", "--to-top", "--no-install")[0] == 0
    text = workspace.read_text(encoding="utf-8")
    assert (
        f'platforms = [\n  {{ name = "gpu", platform = "{here}", cuda = "12" }},\n  "{here}", # this machine\n' in text
    )
    assert run("lock", "--check")[0] == 0
    _, out, _ = run("workspace", "platform", "list")
    assert f"gpu: platform={here}, cuda=12" in out
    assert f"{here}: platform={here} (supported by current machine)" in out
    _code, out, _ = run("workspace", "platform", "list", "--json")
    assert [row["name"] for row in json.loads(out)["platforms"]] == ["current", "gpu", here, OTHER]
    assert run("workspace", "platform", "rm", OTHER, "gpu", "--no-install")[0] == 0
    assert workspace.read_text(encoding="utf-8") == before
    assert run("workspace", "platform", "move", here)[0] == 2
    assert run("workspace", "platform", "rm", "nowhere")[0] == 1


def test_a_preview_can_be_added_to_a_manifest_that_needs_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pixi.toml"
    path.write_text(
        '[workspace]\nname = "x"\nchannels = []\nplatforms = ["linux-64"]\n\n[dependencies]\na = { path = "a" }\n',
        encoding="utf-8",
    )
    assert run("workspace", "name", "get")[0] == 1
    assert run("workspace", "preview", "add", "pixi-build")[0] == 0
    assert run("workspace", "name", "get") == (0, "x\n", "")
    code, _, err = run("workspace", "preview", "remove", "pixi-build")
    assert (code, "pixi-build" in err) == (1, True)
    assert run("workspace", "preview", "remove", "pixi-build", "--force")[0] == 0


def test_import(run: Run, workspace: Path, tmp_path: Path, channel: str) -> None:
    (tmp_path / "env.yml").write_text(
        f"name: imported\nchannels: ['{channel}']\ndependencies: [tool=1]\n", encoding="utf-8"
    )
    assert run("import", "env.yml")[0] == 0
    assert data(workspace)["environments"]["imported"] == {
        "no-default-feature": True,
        "channels": [channel],
        "dependencies": {"tool": "1.*"},
    }
    (tmp_path / "more.txt").write_text("b==1 --hash=sha256:0\n", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text(
        "a[x]>=1, <2  # why\n-r more.txt\n-c limits.txt\n\n# end\n", encoding="utf-8"
    )
    code, _, err = run("import", "requirements.txt", "-f", "py")
    assert (code, "Constraints detected" in err) == (0, True), err
    manifest = data(workspace)
    assert manifest["feature"]["py"] == {
        "pypi-dependencies": {"a": {"version": ">=1, <2", "extras": ["x"]}, "b": "==1"}
    }
    assert manifest["environments"]["py"] == {"features": ["py"], "no-default-feature": True}
    code, _, err = run("import", "pixi.toml")
    assert (code, "none of the known formats" in err) == (1, True)


def test_export(run: Run, workspace: Path, tmp_path: Path, channel: str) -> None:
    assert run("add", "tool", "--no-install")[0] == 0
    code, out, _ = run("workspace", "export", "conda-environment", "-n", "given")
    assert (code, out) == (
        0,
        f"name: given\nchannels:\n- {channel.rstrip('/')}\n- nodefaults\ndependencies:\n- lib\n- tool >=2.0.1,<3\n",
    )
    code, out, _ = run("workspace", "export", "conda-environment", "--from-lock-file")
    assert "- lib==0.3.4=0\n- tool==2.0.1=0\n" in out
    assert run("workspace", "export", "conda-explicit-spec", "out", "-e", "default")[0] == 0
    text = (tmp_path / f"out/default_{current_platform()}_conda_spec.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[1:3] == [f"# platform: {current_platform()}", "@EXPLICIT"]
    assert [line.rpartition("/")[2].partition("#")[0] for line in lines[3:]] == [
        "lib-0.3.4-0.conda",
        "tool-2.0.1-0.conda",
    ]


def test_activation_commands(run: Run, workspace: Path) -> None:
    before = workspace.read_text(encoding="utf-8")
    assert run("workspace", "activation", "script", "add", "a.sh", "-t", "unix")[0] == 0
    assert run("workspace", "activation", "env", "set", "A=1", "-f", "extra")[0] == 0
    _code, out, _ = run("workspace", "activation", "list")
    assert out == ('Feature: default Target: unix\n  scripts:\n    - a.sh\nFeature: extra\n  env:\n    A = "1"\n')
    assert run("workspace", "activation", "env", "set", "A B=1")[0] == 2
    assert run("workspace", "activation", "script", "rm", "a.sh", "-t", "unix")[0] == 0
    assert run("workspace", "activation", "env", "rm", "A", "-f", "extra")[0] == 0
    assert workspace.read_text(encoding="utf-8") == before
