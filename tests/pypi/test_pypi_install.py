"""PyPI packages in prefixes, with a real Python."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pypi_kit import dynamic_project, project, sdist, served, simple_index, wheel

from smelt.api.installing import InstallOptions
from smelt.api.workspace import Workspace
from smelt.errors import InstallError, NotSupportedError, SmeltError
from smelt.fs import remove_tree
from smelt.install.pypi_prefix import damage, installed_distributions
from smelt.install.verify import verify
from spine_kit import OTHER, Channel, environment, manifest, partial, smelt, tree

SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
Make = Callable[..., Workspace]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the layout of prefixes is that of POSIX here")


@pytest.fixture
def make(tmp_path: Path, bare_channel: Path) -> Make:
    """Writes a manifest and loads it; ``links`` has ``app`` 1 and 2 and ``base`` 1."""
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "ws" / "links", "app", version, ["base"])
    wheel(tmp_path / "ws" / "links", "base")

    def write(
        pypi: str,
        *,
        options: str = 'find-links = [{ path = "links" }]',
        conda: str = "",
        channels: tuple[str, ...] = (),
        head: str = "",
    ) -> Workspace:
        text = (
            f'{head}\n[pypi-options]\n{options}\n[dependencies]\npython = "*"\n{conda}\n[pypi-dependencies]\n{pypi}\n'
        )
        return Workspace.load(manifest(tmp_path / "ws", [*channels, bare_channel.as_uri()], text))

    return write


def prefix(workspace: Workspace) -> Path:
    return workspace.model.prefix("default")


def held(workspace: Workspace) -> dict[str, str]:
    """Name → version of what is ours in the prefix; every file of it is there and right."""
    found = [each for each in installed_distributions(prefix(workspace)) if each.is_ours]
    assert [damage(each, content=True) for each in found] == [None] * len(found)
    assert len({each.name for each in found}) == len(found)
    return {each.name: each.version for each in found}


def python(workspace: Workspace, code: str) -> str:
    done = subprocess.run(
        [prefix(workspace) / "bin" / "python", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    return done.stdout.strip()


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


def test_hostile_record(make: Make, tmp_path: Path) -> None:
    """What a RECORD names outside of the prefix, or of a conda package, stays when its package goes."""
    made = make('app = "*"')
    made.install()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    record = prefix(made) / SITE / "base-1.0.dist-info" / "RECORD"
    outside = os.path.relpath(victim, prefix(made) / SITE)
    record.write_text(record.read_text() + f"{outside},,\n{victim},,\n../../../bin/python,,\n")
    made = make("")
    made.install()
    assert victim.read_text() == "mine"
    assert (prefix(made) / "bin" / "python").exists()
    assert held(made) == {}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds a Python and little more."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk(tmp_path: Path, bare_channel: Path, disk: Path) -> None:
    """What uv left half-installed is cleared away, so that a smaller environment fits."""
    links = tmp_path / "links"
    wheel(links, "big", files={f"big/{number}": "x" * 1_000_000 for number in range(90)})
    wheel(links, "small")
    head = f'[pypi-options]\nfind-links = [{{ path = "{links}" }}]\n[dependencies]\npython = "*"\n'
    path = manifest(disk / "ws", [bare_channel.as_uri()], head + '[pypi-dependencies]\nbig = "*"\n')
    for _ in range(2):
        with pytest.raises(InstallError) as caught:
            Workspace.load(path).install()
        assert caught.value.kind == "disk-full"
    path.write_text(path.read_text().replace("big", "small"))
    made = Workspace.load(path)
    made.install()
    assert held(made) == {"small": "1.0"}
    assert not (prefix(made) / SITE / "big").exists()


HOSTILE_WHEELS: dict[str, tuple[dict[str, str], str]] = {
    "a way out": ({"../../../../../evil": "x"}, ""),
    "data that leads out": ({"base-1.0.data/data/../../../evil": "x"}, ""),
    "a script that leads out": ({"base-1.0.data/scripts/../../../evil": "x"}, ""),
    "a command that leads out": (
        {"base-1.0.dist-info/entry_points.txt": "[console_scripts]\n../../evil = base:main\n"},
        "Script path must resolve to a file",
    ),
    "a command with code": (
        {"base-1.0.dist-info/entry_points.txt": "[console_scripts]\nevil = base:a); import os; os.system('x') #\n"},
        "invalid console script",
    ),
    "the interpreter": (
        {"base-1.0.dist-info/entry_points.txt": "[console_scripts]\npython = base:main\n"},
        "reserved name",
    ),
    "a record of conda's": (
        {"base-1.0.data/data/conda-meta/evil.json": "{}"},
        "the PyPI package base wrote conda-meta/evil.json, which belongs to the environment itself",
    ),
    "the record of another package": (
        {"base-1.0.data/data/conda-meta/tool-1.0-0.json": "{}"},
        "which belongs to the environment itself",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE_WHEELS)
def test_hostile_wheels(make: Make, tmp_path: Path, kind: str) -> None:
    """Refused, or without effect; nothing outside of the environment is touched, and the next installation is right."""
    files, words = HOSTILE_WHEELS[kind]
    channel = Channel(tmp_path / "more")
    channel.add("tool")
    channel.index()
    made = make('base = "*"', conda='tool = "*"', channels=(channel.url,))
    wheel(tmp_path / "ws" / "links", "base", files={"base/__init__.py": "", **files})
    made.lock()
    before = {path for path in tmp_path.rglob("*") if ".pixi" not in path.parts}
    if words:
        with pytest.raises(InstallError) as caught:
            made.install()
        assert words in "\n".join([str(caught.value), *caught.value.notes])
    else:
        made.install()
        assert held(made) == {"base": "1.0"}
    assert {path for path in tmp_path.rglob("*") if ".pixi" not in path.parts} == before
    assert not list(prefix(made).rglob("*evil*"))
    wheel(tmp_path / "ws" / "links", "base", files={"base/__init__.py": "version = 'good'"})
    (tmp_path / "ws" / "pixi.lock").unlink()
    made = Workspace.load(made.model.manifest_path)
    made.install(options=InstallOptions(look=True))
    assert held(made) == {"base": "1.0"}
    assert verify(prefix(made)) == []
    assert not made.install(options=InstallOptions(look=True))[0].changed


def test_a_wheel_that_replaces_a_file_of_a_conda_package(make: Make, tmp_path: Path) -> None:
    """Said once; the wheel's file stays, and nothing is repaired to and fro."""
    channel = Channel(tmp_path / "more")
    channel.add("tool", files={"share/both.txt": "of conda"})
    channel.index()
    wheel(
        tmp_path / "ws" / "links",
        "base",
        files={"base/__init__.py": "", "base-1.0.data/data/share/both.txt": "of the wheel"},
    )
    made = make('base = "*"', conda='tool = "*"', channels=(channel.url,))
    done = smelt(tmp_path / "ws", "install")
    assert "the PyPI package base replaced files of conda packages: share/both.txt" in done.stderr
    for _ in range(2):
        assert "is up to date" in smelt(tmp_path / "ws", "install").stderr
    both = prefix(made) / "share/both.txt"
    assert both.read_text() == "of the wheel"
    both.unlink()
    both.write_text("of nobody...")
    assert "it was repaired: base: " in smelt(tmp_path / "ws", "install").stderr
    assert both.read_text() == "of the wheel"
    make("", conda='tool = "*"', channels=(channel.url,))
    for _ in range(2):
        assert smelt(tmp_path / "ws", "install").returncode == 0
    assert both.read_text() == "of conda"


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


FOREIGN_TAG = "cp312-cp312-macosx_11_0_arm64" if OTHER == "osx-arm64" else "cp312-cp312-manylinux_2_17_x86_64"


def foreign(tmp_path: Path, wanted: str, subdir: str = OTHER) -> Workspace:
    """A workspace for a platform that this machine is not, with a PyPI package; ``links`` holds its wheels."""
    channel = Channel(tmp_path / "foreign")
    channel.add("python", "3.12.1", subdir=subdir)
    channel.index()
    text = (
        '[pypi-options]\nfind-links = [{ path = "links" }]\n[dependencies]\npython = "*"\n'
        f"[pypi-dependencies]\n{wanted}\n"
    )
    made = Workspace.load(manifest(tmp_path / "ws", [channel.url], text, (subdir,)))
    made.lock()
    return made


def foreign_wheels(links: Path, tag: str = FOREIGN_TAG) -> None:
    """``other``: compiled, with a command, a script and data; it needs ``base``."""
    files = {
        "other/__init__.py": "raise SystemExit('run')\n",
        "other/fast.so": "no machine code",
        "other-1.0.dist-info/entry_points.txt": "[console_scripts]\nother = other:main\n",
        "other-1.0.data/scripts/helper": "#!python\nprint(1)\n",
        "other-1.0.data/data/share/other.txt": "data",
    }
    wheel(links, "other", requires=["base"], tag=tag, files=files)
    wheel(links, "base")


def test_foreign_platform(tmp_path: Path) -> None:
    """Wheels are unpacked, nothing of them is run, and the next time nothing is to be done."""
    foreign_wheels(tmp_path / "ws" / "links")
    made = foreign(tmp_path, 'other = "*"')
    options = InstallOptions(platform=OTHER)
    assert made.install(options=options)[0].changed
    assert held(made) == {"other": "1.0", "base": "1.0"}
    home = prefix(made)
    site = home / "lib/python3.12/site-packages"
    assert (site / "other/fast.so").read_text() == "no machine code"
    assert (home / "share/other.txt").read_text() == "data"
    for script in ("bin/other", "bin/helper"):
        assert (home / script).read_text().startswith(f"#!{home}/bin/python\n")
        assert os.access(home / script, os.X_OK)
    assert not list(home.rglob("*.pyc"))
    assert (site / "other-1.0.dist-info/INSTALLER").read_text() == "uv-pixi"
    assert not made.install(options=options)[0].changed
    (site / "other/fast.so").unlink()
    look = InstallOptions(platform=OTHER, look=True)
    repaired = made.install(options=look)[0].repaired
    assert repaired is not None and "other/fast.so is missing" in repaired
    assert not made.install(options=look)[0].changed
    made = foreign(tmp_path, 'base = "*"')
    made.install(options=options)
    assert held(made) == {"base": "1.0"}
    assert not (home / "bin/other").exists()
    assert not (home / "share/other.txt").exists()


def test_foreign_windows_says_what_is_left_out(tmp_path: Path) -> None:
    foreign_wheels(tmp_path / "ws" / "links", "cp312-cp312-win_amd64")
    foreign(tmp_path, 'other = "*"', subdir="win-64")
    done = smelt(tmp_path / "ws", "install", "--platform", "win-64")
    assert done.returncode == 0, done.stderr
    assert "commands of PyPI packages are programs on Windows, which cannot be made here: other" in done.stderr
    home = tmp_path / "ws/.pixi/envs/default"
    assert (home / "Lib/site-packages/other/fast.so").is_file()
    assert (home / "Scripts/helper").is_file()
    assert not (home / "Scripts/other").exists()


def test_what_has_to_be_built_for_a_foreign_platform(tmp_path: Path) -> None:
    wheel(tmp_path / "ws" / "links", "base")
    project(tmp_path / "ws" / "raw", "raw")
    made = foreign(tmp_path, 'raw = { path = "raw" }')
    with pytest.raises(NotSupportedError, match="raw has to be built, which cannot be done for"):
        made.install(options=InstallOptions(platform=OTHER))


HOSTILE: dict[str, tuple[dict[str, str], str]] = {
    "a way out": ({"../../../../../evil": "x"}, "not allowed"),
    "data that leads out": ({"other-1.0.data/data/../../evil": "x"}, "not allowed"),
    "an absolute path": ({"/evil": "x"}, "not allowed"),
    "a record of conda's": ({"other-1.0.data/data/conda-meta/evil.json": "{}"}, "belongs to the environment itself"),
    "an activation script": ({"other-1.0.data/data/etc/conda/activate.d/e.sh": "x"}, "belongs to the environment"),
    "the interpreter": ({"other-1.0.data/scripts/python": "x"}, "belongs to the environment itself"),
    "a command that leads out": (
        {"other-1.0.dist-info/entry_points.txt": "[console_scripts]\n../../evil = other:main\n"},
        "entry point `../../evil = other:main` is not allowed",
    ),
    "a file of a conda package": ({"other-1.0.data/data/share/python.txt": "x"}, "which a conda package brought"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_foreign_hostile_wheels(tmp_path: Path, kind: str) -> None:
    files, words = HOSTILE[kind]
    wheel(tmp_path / "ws" / "links", "other", tag=FOREIGN_TAG, files={"other/__init__.py": "", **files})
    made = foreign(tmp_path, 'other = "*"')
    before = tree(tmp_path)
    with pytest.raises(SmeltError, match=re.escape(words)):
        made.install(options=InstallOptions(platform=OTHER))
    own = ("ws/.pixi/", "cache/")
    assert {k: v for k, v in tree(tmp_path).items() if not k.startswith(own)} == {
        k: v for k, v in before.items() if not k.startswith(own)
    }
    assert not list((tmp_path / "ws/.pixi").rglob("*evil*"))
    assert held(made) == {}


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
