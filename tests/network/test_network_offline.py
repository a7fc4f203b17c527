"""``--offline``: what is cached, ``file://``, and an error that names what is missing."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from network_kit import Server, config

from spine_kit import OTHER, SUBDIR, Channel, manifest, smelt


def test_nothing_is_cached(workspace: Path, server: Server) -> None:
    done = smelt(workspace, "lock", "--offline")
    assert done.returncode == 1
    assert f"smelt is offline, and the package lists of {server.url}" in done.stderr
    assert "without `--offline`" in done.stderr
    assert server.asked == []
    assert not (workspace / "pixi.lock").exists()


@pytest.mark.parametrize("how", ["option", "variable", "configuration"])
def test_locks_and_installs_what_is_cached(how: str, workspace: Path, server: Server) -> None:
    assert smelt(workspace, "install").returncode == 0
    locked = (workspace / "pixi.lock").read_bytes()
    (workspace / "pixi.lock").unlink()
    smelt(workspace, "clean")
    server.asked.clear()
    option = ["--offline"] if how == "option" else []
    if how == "configuration":
        config(workspace, "offline = true\n")
    done = smelt(workspace, "install", *option, env={"PIXI_OFFLINE": "yes"} if how == "variable" else None)
    assert done.returncode == 0, done.stderr
    assert server.asked == []
    assert (workspace / "pixi.lock").read_bytes() == locked
    assert (workspace / ".pixi/envs/default/share/beta.txt").is_file()


def test_false_goes_before_the_configuration(workspace: Path, server: Server) -> None:
    config(workspace, "offline = true\n")
    assert smelt(workspace, "lock").returncode == 1
    # the workspace's own file goes before the variable, the option before both
    assert smelt(workspace, "lock", "--offline=false").returncode == 0
    assert server.asked


def test_a_package_that_is_not_cached_is_named(workspace: Path, server: Server, cache: Path) -> None:
    assert smelt(workspace, "lock").returncode == 0
    server.asked.clear()
    done = smelt(workspace, "install", "--offline")
    assert done.returncode == 1
    assert "2 packages are not in the package cache" in done.stderr
    assert f"{server.url}/noarch/alpha-2.0-0.conda" in done.stderr
    assert server.asked == []
    assert not (workspace / ".pixi/envs/default/conda-meta").exists()


def test_a_solve_takes_what_is_at_hand(workspace: Path, server: Server) -> None:
    path = workspace / "pixi.toml"
    text = path.read_text()
    path.write_text(text + 'alpha = "1.*"\n')
    assert smelt(workspace, "install").returncode == 0
    (workspace / "pixi.lock").unlink()
    path.write_text(text)  # 2.0 would be better, and was never fetched
    done = smelt(workspace, "install", "--offline")
    assert done.returncode == 0, done.stderr
    assert "alpha-1.0-0.conda" in (workspace / "pixi.lock").read_text()


def test_a_solve_names_what_is_not_at_hand(workspace: Path) -> None:
    assert smelt(workspace, "lock").returncode == 0
    (workspace / "pixi.lock").unlink()
    done = smelt(workspace, "lock", "--offline")
    assert done.returncode == 1
    assert "with what is on this machine" in done.stderr
    assert "alpha 2.0 0 is excluded because not available locally" in done.stderr
    assert "beta 1.0 0 is excluded because not available locally" in done.stderr


def test_another_file_of_the_same_name_is_not_at_hand(workspace: Path, server: Server) -> None:
    assert smelt(workspace, "install").returncode == 0
    Channel(server.folder).add("alpha", "2.0", files={"share/alpha.txt": "rebuilt\n"})
    Channel(server.folder).index()
    later = time.time() + 10
    os.utime(server.folder / "noarch/repodata.json", (later, later))
    assert smelt(workspace, "update", "--dry-run").returncode == 0  # the new list is cached
    (workspace / "pixi.lock").unlink()
    done = smelt(workspace, "lock", "--offline")
    assert done.returncode == 1
    assert "alpha 2.0 0 is excluded because not available locally" in done.stderr


def test_the_value_of_the_option_is_never_the_next_word(workspace: Path) -> None:
    done = smelt(workspace, "add", "--offline", "alpha")
    assert done.returncode == 1
    assert done.stderr.startswith("error[offline]")
    wrong = smelt(workspace, "lock", "--offline=maybe")
    assert wrong.returncode == 2
    assert "`maybe` is neither `true` nor `false`" in wrong.stderr


def test_update_says_what_it_is_worth(workspace: Path) -> None:
    assert smelt(workspace, "install").returncode == 0
    done = smelt(workspace, "update", "--offline")
    assert done.returncode == 0
    assert "the new pixi.lock may pin older versions" in done.stderr


def test_other_platforms_are_not_restricted(tmp_path: Path, server: Server) -> None:
    root = tmp_path / "other"
    manifest(root, [server.url], '[dependencies]\nalpha = "*"\n', platforms=[OTHER])
    assert smelt(root, "lock").returncode == 0
    locked = (root / "pixi.lock").read_bytes()
    (root / "pixi.lock").unlink()
    assert smelt(root, "lock", "--offline").returncode == 0
    assert (root / "pixi.lock").read_bytes() == locked


def test_a_folder_needs_no_network(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "local")
    channel.add("alpha")
    channel.index()
    root = tmp_path / "local-ws"
    manifest(root, [channel.url], '[dependencies]\nalpha = "*"\n')
    done = smelt(root, "install", "--offline")
    assert done.returncode == 0, done.stderr


def test_exec(server: Server, tmp_path: Path) -> None:
    channel = Channel(server.folder)
    channel.add("tool", files={"bin/tool": "#!/bin/sh\necho tool\n"})
    channel.index()
    assert smelt(tmp_path, "exec", "-c", server.url, "--offline", "tool").returncode != 0
    assert smelt(tmp_path, "exec", "-c", server.url, "tool").stdout == "tool\n"
    server.asked.clear()
    done = smelt(tmp_path, "exec", "-c", server.url, "--offline", "tool")
    assert (done.stdout, server.asked) == ("tool\n", []), done.stderr


def test_an_sdist_source(tmp_path: Path) -> None:
    root = tmp_path / "sdist-ws"
    manifest(root, [], '[dependencies]\nthing = { pypi = "thing==1.0" }\n')
    done = smelt(root, "lock", "--offline")
    assert done.returncode == 1
    assert "uv finds no source distribution of thing 1.0" in done.stderr
    assert "may only be read from the cache" in done.stderr


def test_a_git_source(tmp_path: Path) -> None:
    root = tmp_path / "git-ws"
    manifest(root, [], '[dependencies]\nthing = { git = "https://code.example/thing.git" }\n')
    done = smelt(root, "lock", "--offline")
    assert done.returncode == 1
    assert "smelt is offline" in done.stderr and "https://code.example/thing" in done.stderr


def test_an_archive_source(tmp_path: Path) -> None:
    root = tmp_path / "url-ws"
    manifest(root, [], '[dependencies]\nthing = { url = "https://code.example/thing.tar.gz" }\n')
    done = smelt(root, "lock", "--offline")
    assert done.returncode == 1
    assert "smelt is offline, and https://code.example/thing.tar.gz is not in the cache" in done.stderr


def test_a_git_repository_in_a_folder(tmp_path: Path) -> None:
    from spine_kit import recipe

    place = tmp_path / "repository"
    recipe(place.parent, place.name)
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=place, check=True)
    channel = Channel(tmp_path / "local").index()
    root = tmp_path / "git-ws"
    manifest(root, [channel.url], f'[dependencies]\nrepository = {{ git = "{place.as_uri()}" }}\n')
    done = smelt(root, "lock", "--offline")
    assert done.returncode == 0, done.stderr
    assert SUBDIR in (root / "pixi.lock").read_text()
