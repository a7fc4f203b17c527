"""Many processes install environments of one workspace at the same time, with an empty cache and over a network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from network_kit import Server

from smelt.install.verify import verify
from spine_kit import Channel, environment, manifest, partial, smelt

PROCESSES = int(os.environ.get("SMELT_TEST_PROCESSES", "8"))
ENVIRONMENTS = ("default", "one", "two", "three")
COMMON = [f"common{n}" for n in range(6)]


def test_nothing_is_fetched_twice(tmp_path: Path, server: Server) -> None:
    channel = Channel(server.folder)
    for name in (*COMMON, *ENVIRONMENTS):
        channel.add(name, files={f"share/{name}/{n}.txt": f"{name} {n}\n" * 50 for n in range(20)})
    channel.index()
    root = tmp_path / "many"
    text = "[dependencies]\n" + "".join(f'{name} = "*"\n' for name in (*COMMON, "default"))
    for name in ENVIRONMENTS[1:]:
        text += f'[feature.{name}.dependencies]\n{name} = "*"\n'
    text += "[environments]\n" + "".join(f'{name} = ["{name}"]\n' for name in ENVIRONMENTS[1:])
    manifest(root, [server.url], text)
    assert smelt(root, "lock").returncode == 0
    server.asked.clear()

    running = [
        subprocess.Popen(
            [sys.executable, "-m", "smelt", "install", "-e", ENVIRONMENTS[number % len(ENVIRONMENTS)]],
            cwd=root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES, said

    fetched = Counter(path.rpartition("/")[2] for path in server.asked if path.endswith(".conda"))
    assert fetched == dict.fromkeys([f"{name}-1.0-0.conda" for name in (*COMMON, *ENVIRONMENTS)], 1)
    for name in ENVIRONMENTS:
        prefix = root / ".pixi" / "envs" / name
        held = {"default", *COMMON, name}
        assert {path.name for path in (prefix / "conda-meta").glob("*.json")} == {f"{n}-1.0-0.json" for n in held}
        assert verify(prefix) == []
    assert partial(tmp_path) == []
    again = smelt(root, "install", "--all")
    assert again.stderr.count("is up to date") == len(ENVIRONMENTS), again.stderr
