"""``kill -9`` at any moment of the commands that change an environment; then plain ``smelt install`` makes it right."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pypi_kit import wheel

from smelt.api.workspace import Workspace
from smelt.install.pypi_prefix import damage, installed_distributions
from smelt.install.verify import verify
from spine_kit import Channel, environment, manifest, partial, smelt

KILLS = int(os.environ.get("SMELT_TEST_KILLS", "5"))
PIECES = 120

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no SIGKILL")


@dataclass
class Place:
    """A workspace with packages of both kinds, and a lock of older versions of them that fits as well."""

    root: Path
    text: str = ""
    new: bytes = b""
    old: bytes = b""
    durations: dict[str, float] = field(default_factory=dict)

    @property
    def prefix(self) -> Path:
        return self.root / ".pixi" / "envs" / "default"

    def put(self, locked: bytes) -> None:
        """The manifest with everything in it."""
        (self.root / "pixi.toml").write_text(self.text)
        (self.root / "pixi.lock").write_bytes(locked)

    def begin(self, locked: bytes) -> None:
        """Start with an installed environment."""
        self.put(locked)
        done = smelt(self.root, "install")
        assert done.returncode == 0, done.stderr


def _fresh(place: Place, chance: random.Random) -> list[str]:
    place.put(place.new)
    shutil.rmtree(place.root / ".pixi", ignore_errors=True)
    if chance.random() < 0.5:  # a uv that outlived us may still write there
        shutil.rmtree(place.root.parent / "cache", ignore_errors=True)
    return ["install"]


def _other_versions(place: Place, chance: random.Random) -> list[str]:
    first, second = chance.sample([place.old, place.new], 2)
    place.begin(first)
    (place.root / "pixi.lock").write_bytes(second)
    return ["install"]


def _reinstall(place: Place, chance: random.Random) -> list[str]:
    place.begin(place.new)
    return ["reinstall", *chance.choice([[], ["many"], ["big", "app"]])]


def _remove(place: Place, chance: random.Random) -> list[str]:
    place.begin(place.new)
    return ["remove", *chance.choice([["many"], ["--pypi", "big"], ["tool"]])]


def _update(place: Place, chance: random.Random) -> list[str]:
    place.begin(place.old)
    return ["update"]


OPERATIONS: dict[str, Callable[[Place, random.Random], list[str]]] = {
    "install": _fresh,
    "install other versions": _other_versions,
    "reinstall": _reinstall,
    "remove": _remove,
    "update": _update,
}


@pytest.fixture
def place(tmp_path: Path, bare_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    channel = Channel(tmp_path / "channel")
    links = tmp_path / "ws" / "links"
    for version in ("1.0", "2.0"):
        channel.add("tool", version, files={"bin/tool": f"#!/bin/sh\necho tool {version} $*\n"})
        channel.add("many", version, files={f"share/many/{n}-{version}": f"{version} {n}" for n in range(PIECES)})
        wheel(links, "app", version, ["big"])
        wheel(links, "big", version, files={f"big/m{n}.py": f"version = {version!r}\n" for n in range(PIECES)})
    channel.index()
    text = '[pypi-options]\nfind-links = [{{ path = "links" }}]\n'
    text += '[dependencies]\npython = "*"\ntool = "{0}"\nmany = "{0}"\n'
    text += '[pypi-dependencies]\napp = "{0}"\nbig = "{0}"\n'
    place = Place(tmp_path / "ws")
    for requirement in ("<2", "*"):
        path = manifest(place.root, [channel.url, bare_channel.as_uri()], text.format(requirement))
        (place.root / "pixi.lock").unlink(missing_ok=True)
        assert smelt(place.root, "lock").returncode == 0
        place.text = path.read_text()
        place.old, place.new = place.new, (place.root / "pixi.lock").read_bytes()
    assert smelt(place.root, "lock", "--check").returncode == 0
    assert place.old != place.new
    return place


def wrong(place: Place) -> list[str]:
    """What is not as the packages' records say, and what is not as the lock says."""
    found = [str(each) for each in verify(place.prefix)]
    ours = [each for each in installed_distributions(place.prefix) if each.is_ours]
    found += [f"{each.name}: {problem}" for each in ours if (problem := damage(each, content=True))]
    locked = Workspace.load(place.root).packages(mode="locked")
    for kind, held in (
        ("pypi", sorted((each.name, each.version) for each in ours)),
        ("conda", sorted(path.name.rsplit("-", 2)[0] for path in (place.prefix / "conda-meta").glob("*.json"))),
    ):
        wanted = [row for row in locked if row["kind"] == kind]
        expected = sorted((row["name"], row["version"]) if kind == "pypi" else row["name"] for row in wanted)
        if held != expected:
            found.append(f"{held} instead of {expected}")
    return found + partial(place.root / ".pixi" / "envs")


def killed(place: Place, command: list[str], chance: random.Random) -> str | None:
    """Start a command and kill it after a while; when that was, None if it had ended by then."""
    key = " ".join(command)
    whole = place.durations.get(key, 2.0)
    delay = chance.uniform(0.1, 1.2) * whole
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "smelt", *command],
        cwd=place.root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        # uv is a process of its own: it dies as well, or it goes on
        os.killpg(process.pid, signal.SIGKILL) if chance.random() < 0.5 else process.kill()
        process.wait()
        return f"{delay:.3f} of {whole:.3f} s"
    place.durations[key] = time.monotonic() - begin
    return None


def test_killed_at_any_moment(place: Place) -> None:
    chance = random.Random(int(os.environ.get("SMELT_TEST_SEED", "20200101")))
    names = list(OPERATIONS)
    in_time, repaired = 0, 0
    failures: list[str] = []
    for number in range(KILLS):
        name = names[number % len(names)]
        command = OPERATIONS[name](place, chance)
        moment = killed(place, command, chance)
        in_time += moment is not None
        again = smelt(place.root, "install")
        repaired += "it was repaired" in again.stderr
        problems = wrong(place) if again.returncode == 0 else [again.stderr]
        if not problems:
            done = smelt(place.root, "run", "--frozen", "python", "-c", "print(1)")
            problems = [] if done.stdout == "1\n" else [done.stderr]
        if problems:
            failures.append(f"{number}: {name} ({' '.join(command)}), killed after {moment}: {problems[:5]}")
            shutil.rmtree(place.root / ".pixi", ignore_errors=True)
    print(f"{in_time} of {KILLS} killed in time, {repaired} environments were repaired")
    assert failures == []
