"""What the conda half of a solve obeys, by ``smelt lock``: strategies, dates, virtual packages, extras, conditions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spine_kit import OTHER, SUBDIR, Channel, manifest, smelt

DAY = 86_400_000


def index(folder: Path, *records: Mapping[str, object], v3: bool = False) -> str:
    """A channel that is nothing but an index; ``v3``: in the section that conditions and extras need."""
    found: dict[str, dict[str, object]] = {}
    for record in records:
        name, version = str(record["name"]), str(record["version"])
        whole = {"build": "0", "build_number": 0, "depends": [], "subdir": "noarch", "noarch": "generic", **record}
        whole["sha256"] = f"{len(found) + 1:064x}"
        found[f"{name}-{version}-{whole['build']}"] = whole
    (folder / "noarch").mkdir(parents=True, exist_ok=True)
    data: dict[str, object] = {"info": {"subdir": "noarch"}, "packages": {}, "packages.conda": {}}
    if v3:
        data |= {"v3": {"conda": found}, "repodata_version": 3}
    else:
        data["packages.conda"] = {f"{key}.conda": value for key, value in found.items()}
    (folder / "noarch/repodata.json").write_text(json.dumps(data))
    return folder.as_uri()


def locked(root: Path) -> dict[str, str]:
    """Name → version of what is in the lock file."""
    found: dict[str, str] = {}
    for line in (root / "pixi.lock").read_text().splitlines():
        if line.startswith("- conda: "):
            name, version, _ = line.rpartition("/")[2].rsplit("-", 2)
            found[name] = version
    return found


def solved(root: Path, channels: list[str], text: str, **variables: str) -> dict[str, str]:
    """What a manifest is locked to."""
    manifest(root, channels, text)
    done = smelt(root, "lock", env=variables)
    assert done.returncode == 0, done.stderr
    return locked(root)


@pytest.fixture
def steps(tmp_path: Path) -> str:
    """``a`` 1–3 needs any ``b``, of which there are 1–3."""
    versions = ("1", "2", "3")
    return index(
        tmp_path / "steps",
        *({"name": "a", "version": each, "depends": ["b"]} for each in versions),
        *({"name": "b", "version": each} for each in versions),
    )


@pytest.mark.parametrize(
    ("strategy", "a", "b"), [("highest", "3", "3"), ("lowest", "1", "1"), ("lowest-direct", "1", "3")]
)
def test_strategies(strategy: str, a: str, b: str, steps: str, tmp_path: Path) -> None:
    text = f'solve-strategy = "{strategy}"\n[dependencies]\na = "*"\n'
    assert solved(tmp_path / "ws", [steps], text) == {"a": a, "b": b}


@pytest.fixture
def dated(tmp_path: Path) -> list[str]:
    """Two channels: ``x`` and ``y`` of 10, 5 and 1 days ago in the first, ``z`` in the second."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    ages = {"1": 10, "2": 5, "3": 1}

    def each(name: str) -> list[dict[str, object]]:
        return [{"name": name, "version": v, "timestamp": now - age * DAY} for v, age in ages.items()]

    first = index(tmp_path / "first", *each("x"), *each("y"), {"name": "undated", "version": "1"})
    return [first, index(tmp_path / "second", *each("z"))]


WANTED = '[dependencies]\nx = "*"\ny = "*"\nz = "*"\nundated = "*"\n'


def test_a_duration(dated: list[str], tmp_path: Path) -> None:
    found = solved(tmp_path / "ws", dated, f'exclude-newer = "3d"\n{WANTED}')
    assert found == {"x": "2", "y": "2", "z": "2", "undated": "1"}


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
def test_a_moment(form: str, dated: list[str], tmp_path: Path) -> None:
    moment = (datetime.now(UTC) - timedelta(days=7)).strftime(form)
    found = solved(tmp_path / "ws", dated, f'exclude-newer = "{moment}"\n{WANTED}')
    assert found == {"x": "1", "y": "1", "z": "1", "undated": "1"}


def test_a_package_of_its_own_date(dated: list[str], tmp_path: Path) -> None:
    text = f'exclude-newer = "7d"\n{WANTED}[exclude-newer]\ny = "0d"\nz = "3d"\n'
    assert solved(tmp_path / "ws", dated, text) == {"x": "1", "y": "3", "z": "2", "undated": "1"}
    assert smelt(tmp_path / "ws", "lock", "--check").returncode == 0


def test_a_package_of_its_own_date_alone(dated: list[str], tmp_path: Path) -> None:
    text = f'{WANTED}[exclude-newer]\ny = "7d"\n'
    assert solved(tmp_path / "ws", dated, text) == {"x": "3", "y": "1", "z": "3", "undated": "1"}


def test_a_channel_of_its_own_date(dated: list[str], tmp_path: Path) -> None:
    root = tmp_path / "ws"
    path = manifest(root, [], f'exclude-newer = "7d"\n{WANTED}')
    first, second = dated
    channels = f'channels = ["{first}", {{ channel = "{second}", exclude-newer = "3d" }}]'
    path.write_text(path.read_text().replace("channels = []", channels))
    done = smelt(root, "lock")
    assert done.returncode == 0, done.stderr
    assert locked(root) == {"x": "1", "y": "1", "z": "2", "undated": "1"}
    assert smelt(root, "lock", "--check").returncode == 0


def test_priority_of_channels_holds_where_they_have_dates(tmp_path: Path) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    first = index(tmp_path / "first", {"name": "x", "version": "1", "timestamp": now - 9 * DAY})
    second = index(tmp_path / "second", {"name": "x", "version": "2", "timestamp": now - 9 * DAY})
    text = '[dependencies]\nx = "*"\n[exclude-newer]\nother = "0d"\n'
    assert solved(tmp_path / "ws", [first, second], text) == {"x": "1"}
    assert solved(tmp_path / "ws2", [first, second], f'channel-priority = "disabled"\n{text}') == {"x": "2"}


def test_nothing_is_old_enough(dated: list[str], tmp_path: Path) -> None:
    manifest(tmp_path / "ws", dated, f'exclude-newer = "20d"\n{WANTED}')
    done = smelt(tmp_path / "ws", "lock")
    assert done.returncode == 1
    assert "is uploaded after the cutoff date" in done.stderr
    (tmp_path / "ws/pixi.toml").write_text((tmp_path / "ws/pixi.toml").read_text() + '[exclude-newer]\nx = "30d"\n')
    done = smelt(tmp_path / "ws", "lock")
    assert done.returncode == 1
    assert "`exclude-newer` leaves out packages newer than 20d" in done.stderr
    assert "`x` newer than 30d" in done.stderr


def test_a_date_that_is_none(dated: list[str], tmp_path: Path) -> None:
    manifest(tmp_path / "ws", dated, f'{WANTED}[exclude-newer]\nx = "recently"\n')
    done = smelt(tmp_path / "ws", "lock")
    assert done.returncode == 1
    assert "recently" in done.stderr and "pixi.toml" in done.stderr


def test_virtual_packages_of_the_platform(tmp_path: Path) -> None:
    channel = index(
        tmp_path / "c",
        {"name": "fast", "version": "2", "depends": ["__cuda >=12"]},
        {"name": "fast", "version": "1"},
    )
    text = '[dependencies]\nfast = "*"\n'
    assert solved(tmp_path / "plain", [channel], text) == {"fast": "1"}
    assert solved(tmp_path / "said", [channel], f'{text}[system-requirements]\ncuda = "12.4"\n') == {"fast": "2"}
    # a lock is the same on every machine: what this one has is no matter
    assert solved(tmp_path / "machine", [channel], text, CONDA_OVERRIDE_CUDA="12.8") == {"fast": "1"}


def test_virtual_packages_of_this_machine(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "c")
    channel.add("gpu-tool", depends=["__cuda >=12"], files={"bin/gpu-tool": "#!/bin/sh\necho on the GPU\n"})
    channel.index()
    words = ("exec", "-c", channel.url, "gpu-tool")
    without = smelt(tmp_path, *words, env={"CONDA_OVERRIDE_CUDA": ""})
    assert without.returncode == 1
    assert "__cuda" in without.stderr
    assert smelt(tmp_path, *words, env={"CONDA_OVERRIDE_CUDA": "12.8"}).stdout == "on the GPU\n"


def test_installing_asks_this_machine(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "c")
    channel.add("fast", depends=["__cuda >=12"])
    channel.index()
    text = '[dependencies]\nfast = "*"\n[system-requirements]\ncuda = "12"\n'
    manifest(tmp_path / "ws", [channel.url], text)
    refused = smelt(tmp_path / "ws", "install", env={"CONDA_OVERRIDE_CUDA": "11.8"})
    assert refused.returncode == 1
    assert "cuda" in refused.stderr.lower()
    assert smelt(tmp_path / "ws", "install", env={"CONDA_OVERRIDE_CUDA": "12.1"}).returncode == 0


def test_extras(tmp_path: Path) -> None:
    channel = index(
        tmp_path / "c",
        {"name": "app", "version": "1", "depends": ["base"], "extra_depends": {"plot": ["drawing"], "web": ["server"]}},
        *({"name": each, "version": "1"} for each in ("base", "drawing", "server")),
        v3=True,
    )
    assert solved(tmp_path / "plain", [channel], '[dependencies]\napp = "*"\n') == {"app": "1", "base": "1"}
    text = '[dependencies]\napp = { version = "*", extras = ["plot"] }\n'
    assert solved(tmp_path / "extra", [channel], text) == {"app": "1", "base": "1", "drawing": "1"}
    assert smelt(tmp_path / "extra", "lock", "--check").returncode == 0


def test_conditions(tmp_path: Path) -> None:
    needs = ["python", 'old-typing[when="python <3.11"]', 'unix-thing[when="__unix"]']
    channel = index(
        tmp_path / "c",
        {"name": "app", "version": "1", "depends": needs},
        {"name": "python", "version": "3.10"},
        {"name": "python", "version": "3.13"},
        {"name": "old-typing", "version": "1"},
        {"name": "unix-thing", "version": "1"},
        v3=True,
    )
    newest = solved(tmp_path / "new", [channel], '[dependencies]\napp = "*"\n')
    assert newest.items() >= {"python": "3.13", "app": "1"}.items()
    assert "old-typing" not in newest
    assert ("unix-thing" in newest) is not SUBDIR.startswith("win")
    older = solved(tmp_path / "old", [channel], '[dependencies]\napp = "*"\npython = "3.10.*"\n')
    assert older["old-typing"] == "1"
    assert smelt(tmp_path / "old", "lock", "--check").returncode == 0


def test_pairs_are_solved_for_their_platforms(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "c")
    channel.add("here", subdir=SUBDIR)
    channel.add("there", subdir=OTHER)
    channel.index()
    text = f'[target.{SUBDIR}.dependencies]\nhere = "*"\n[target.{OTHER}.dependencies]\nthere = "*"\n'
    manifest(tmp_path / "ws", [channel.url], text, platforms=[SUBDIR, OTHER])
    assert smelt(tmp_path / "ws", "lock", "--concurrent-solves", "1").returncode == 0
    assert locked(tmp_path / "ws").keys() == {"here", "there"}
