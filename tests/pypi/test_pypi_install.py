"""PyPI packages in prefixes, with a real Python."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from install_pypi_kit import SITE, Make, held, prefix, python
from pypi_kit import dynamic_project, project, sdist, served, simple_index, wheel

from smelt.api.installing import InstallOptions
from smelt.api.workspace import Workspace
from smelt.errors import InstallError, SmeltError
from smelt.fs import remove_tree
from spine_kit import Channel, environment, manifest, partial

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the layout of prefixes is that of POSIX here")


def test_install_change_remove(make: Make) -> None:
    made = make('app = "<2"')
    (first,) = made.install()
    assert first.changed
    assert held(made) == {"app": "1.0", "base": "1.0"}
    assert python(made, "import app, base; print(app.version)") == "1.0"
    assert (prefix(made) / SITE / "app-1.0.dist-info" / "INSTALLER").read_text() == "uv-pixi"
    assert not (prefix(made) / SITE / "app-1.0.dist-info" / "direct_url.json").exists()
    state = json.loads((prefix(made) / "conda-meta" / "smelt").read_text())
    assert set(state["pypi"]) == {"app", "base"}
    assert not Workspace.load(made.model.manifest_path).install()[0].changed

    made = make('app = "*"')  # stays
    assert not made.install()[0].changed
    made = make('app = ">=2"')
    assert made.install()[0].changed
    assert held(made) == {"app": "2.0", "base": "1.0"}
    made = make('base = "*"')
    made.install()
    assert held(made) == {"base": "1.0"}
    assert not (prefix(made) / SITE / "app").exists()
    made = make("")
    made.install()
    assert held(made) == {}
    assert not list((prefix(made) / SITE).glob("base*"))


def test_damage_is_repaired(make: Make) -> None:
    made = make('app = "*"')
    made.install()
    module = prefix(made) / SITE / "app" / "__init__.py"
    module.unlink()
    module.write_text("version = 'changed'\n")
    assert not made.install()[0].changed
    (repaired,) = made.install(options=InstallOptions(verify=True))
    assert repaired.repaired == "app: app/__init__.py was changed"
    assert python(made, "import app; print(app.version)") == "2.0"
    assert not made.install(options=InstallOptions(verify=True))[0].changed
    assert made.install(options=InstallOptions(reinstall=frozenset({"app"})))[0].changed
    assert held(made) == {"app": "2.0", "base": "1.0"}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "module gone": lambda site: (site / "app" / "__init__.py").unlink(),
    "package gone": lambda site: remove_tree(site / "app"),
    "RECORD gone": lambda site: (site / "app-2.0.dist-info" / "RECORD").unlink(),
    "dist-info gone": lambda site: remove_tree(site / "app-2.0.dist-info"),
    "module is a folder": lambda site: ((site / "app/__init__.py").unlink(), (site / "app/__init__.py").mkdir()),
    "module is empty": lambda site: ((site / "app/__init__.py").unlink(), (site / "app/__init__.py").touch()),
    "all gone": lambda site: remove_tree(site),
}


@pytest.mark.parametrize("looked_at", [False, True])
def test_a_look_finds_damage(make: Make, looked_at: bool) -> None:
    """``looked_at``: also where the state before the damage was written down."""
    look = InstallOptions(look=True)
    made = make('app = "*"')
    for _ in range(2 + looked_at):
        made.install(options=look)
    for kind, damaging in DAMAGES.items():
        if looked_at:
            assert not made.install(options=look)[0].changed
        damaging(prefix(made) / SITE)
        (repaired,) = made.install(options=look)
        assert repaired.changed and repaired.repaired, kind
        assert held(made) == {"app": "2.0", "base": "1.0"}
        assert python(made, "import app; print(app.version)") == "2.0"
    assert not made.install(options=look)[0].changed


def test_another_tool_was_at_work(make: Make) -> None:
    """What the reference installed is recognised by its mark; what a person installed stays."""
    made = make('app = "*"')
    made.install()
    fingerprint = prefix(made) / "conda-meta" / ".pixi-environment-fingerprint"
    fingerprint.write_text("0123456789abcdef")
    by_hand = prefix(made) / SITE / "hand-1.0.dist-info"
    by_hand.mkdir()
    (by_hand / "INSTALLER").write_text("pip\n")
    (prefix(made) / SITE / "base" / "__init__.py").unlink()
    made.install()
    assert held(made) == {"app": "2.0", "base": "1.0"}
    assert by_hand.exists()


def test_projects(make: Make, tmp_path: Path) -> None:
    """Editable, local, sdist and git; built by the Python of the environment."""
    root = tmp_path / "ws"
    project(root / "near", "near", "1.0", ["base"])
    dynamic_project(root / "far", "far", "0.3")
    sdist(root / "links", dynamic_project(tmp_path / "source", "built", "1.0"), "built")
    made = make('near = { path = "near", editable = true }\nfar = { path = "far" }\nbuilt = "*"')
    made.install()
    assert held(made) == {"near": "1.0", "far": "0.3", "built": "1.0", "base": "1.0"}
    assert python(made, "import near; print(near.__file__)") == str(root / "near" / "near" / "__init__.py")
    assert python(made, "import built.built_with as b; print(b.python)") == str(sys.version_info[:2])
    assert not Workspace.load(made.model.manifest_path).install()[0].changed
    made = make('near = { path = "near" }\nfar = { path = "far" }\nbuilt = "*"')
    assert made.install()[0].changed
    assert python(made, "import near; print(near.__file__)").startswith(str(prefix(made)))
    project(root / "near", "near", "1.1", ["base"])
    made = Workspace.load(made.model.manifest_path)
    assert made.install()[0].changed
    assert held(made)["near"] == "1.1"


def test_a_workspace_in_a_folder_with_a_strange_name(tmp_path: Path, bare_channel: Path) -> None:
    root = tmp_path / "my own é😀 $HOME"
    wheel(root / "links 😀", "app", "1.0", ["base"])
    wheel(root / "links 😀", "base")
    project(root / "near 😀", "near", "1.0")
    text = (
        '[pypi-options]\nfind-links = [{ path = "links 😀" }]\n[dependencies]\npython = "*"\n'
        '[pypi-dependencies]\napp = "*"\nnear = { path = "near 😀", editable = true }\n'
    )
    made = Workspace.load(manifest(root, [bare_channel.as_uri()], text))
    made.install()
    assert held(made) == {"app": "1.0", "base": "1.0", "near": "1.0"}
    assert python(made, "import near; print(ascii(near.__file__))") == ascii(
        str(root / "near 😀" / "near" / "__init__.py")
    )
    again = Workspace.load(made.model.manifest_path)
    assert again.check(again.read_lock()) == () and not again.install()[0].changed


def test_a_wheel_that_says_another_version_than_its_name(make: Make, tmp_path: Path) -> None:
    links = tmp_path / "ws" / "links"
    wheel(links, "odd", "1.0").rename(links / "odd-1.1-py3-none-any.whl")
    with pytest.raises(SmeltError):
        make('odd = "*"').install()
    head = 'find-links = [{ path = "links" }]\nskip-wheel-filename-check = '
    made = make('odd = "*"', options=f"{head}true")
    made.install()
    assert "odd" in held(made)


def test_wrong_hash(make: Make, tmp_path: Path, cache: Path) -> None:
    """Refused; the conda packages stay, and the next installation goes on."""
    made = make('app = "*"')
    made.install()
    folder = simple_index(tmp_path / "index", wheel(tmp_path / "w", "other", "1.0"))
    with served(folder) as (url, _):
        made = make(
            'app = "*"\nother = "*"', options=f'find-links = [{{ path = "links" }}]\nindex-url = "{url}/simple"'
        )
        made.lock()
        good = next(folder.rglob("other-1.0*.whl"))
        data = good.read_bytes()
        wheel(good.parent, "other", "1.0", ["hostile"])
        remove_tree(cache / "uv-cache")
        with pytest.raises(InstallError) as caught:
            made.install(mode="locked")
        assert caught.value.kind == "hash-mismatch"
        assert held(made) == {"app": "2.0", "base": "1.0"}
        assert (prefix(made) / "bin" / "python").exists()
        good.write_bytes(data)
        assert made.install(mode="locked")[0].changed
        assert held(made) == {"app": "2.0", "base": "1.0", "other": "1.0"}


def test_conda_takes_a_name_over(make: Make, tmp_path: Path) -> None:
    made = make('app = "*"')
    made.install()
    channel = Channel(tmp_path / "more")
    info = f"{SITE}/base-1.0.dist-info"
    files = {
        f"{SITE}/base/__init__.py": "version = 'of conda'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: base\nVersion: 1.0\n",
        f"{info}/INSTALLER": "conda",
        f"{info}/RECORD": "",
    }
    channel.add("base", "1.0", depends=["python"], files=files)
    channel.index()
    head = f'conda-pypi-map = {{ "{channel.url}" = {{ mapping = {{ base = "base" }} }} }}'
    made = make('app = "*"', conda='base = "*"', channels=(channel.url,), head=head)
    made.install()
    assert held(made) == {"app": "2.0"}
    assert python(made, "import base; print(base.version)") == "of conda"
    made = make('app = "*"')
    made.install()
    assert held(made) == {"app": "2.0", "base": "1.0"}
    assert python(made, "import base; print(base.version)") == "1.0"


def test_killed(make: Make, tmp_path: Path) -> None:
    made = make('app = "*"')
    made.install()
    chance = random.Random(3)
    for turn in range(4):
        make('app = "<2"' if turn % 2 else 'app = ">=2"').lock()
        child = subprocess.Popen(
            [sys.executable, "-m", "smelt", "install"],
            cwd=tmp_path / "ws",
            env=environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.15 + chance.random() * 0.5)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        made = Workspace.load(tmp_path / "ws")
        made.install()
        assert held(made) == {"app": "1.0" if turn % 2 else "2.0", "base": "1.0"}
        assert python(made, "import app; print(app.version)") == ("1.0" if turn % 2 else "2.0")
    assert partial(tmp_path / "ws" / ".pixi" / "envs") == []


@pytest.mark.network
def test_real_packages(make: Make) -> None:
    made = make('requests = { version = ">=2.31", extras = ["socks"] }\nattrs = "*"', options="")
    made.install()
    names = held(made)
    assert {"requests", "pysocks", "urllib3", "idna", "certifi", "charset-normalizer", "attrs"} == set(names)
    assert python(made, "import requests, socks, attr; print(requests.__version__)") == names["requests"]
    again = Workspace.load(made.model.manifest_path)
    assert again.check(again.read_lock()) == ()
    assert not again.lock().written
    text = again.model.lock_path.read_text(encoding="utf-8")
    again.model.lock_path.unlink()
    again.lock()
    assert again.model.lock_path.read_text(encoding="utf-8") == text
