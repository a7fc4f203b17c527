"""A workspace of 20 environments with a lock of 30,000 lines and 5 source packages: commands that have nothing to do.

``python -m benchmarks.large`` also prints what a warm ``smelt run`` imports.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figure import Figure, against, processes, table
from benchmarks.workspaces import command, environment, source_package

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from smelt.types import current_platform
from spine_kit import Channel

ROUNDS = 25
ENVIRONMENTS = 20
PACKAGES = 330
SOURCES = 5
BARE = "python -c pass"


def _write(folder: Path) -> None:
    channel = Channel(folder / "channel")
    for number in range(PACKAGES + ENVIRONMENTS):
        channel.add(f"p{number:03}", files={f"share/p{number:03}/{n}.txt": f"{number} {n}\n" for n in range(10)})
    for number in range(ENVIRONMENTS):
        channel.add(f"all{number:02}", depends=[f"p{number + n:03}" for n in range(PACKAGES)])
    channel.index()
    platforms = sorted({current_platform(), "linux-64", "osx-arm64", "win-64"})
    names = [source_package(folder, number, 50) for number in range(SOURCES)]
    lines = [
        f'[workspace]\nname = "bench"\nchannels = ["{channel.url}"]\nplatforms = {platforms}\npreview = ["pixi-build"]',
        "[tasks]",
        'nothing = "env true"',
        "[dependencies]",
        *(f'{name} = {{ path = "packages/{name}" }}' for name in names),
        "[environments]",
        *(f'{_name(n)} = {{ features = ["f{n:02}"], solve-group = "g{n}" }}' for n in range(ENVIRONMENTS)),
        *(f'[feature.f{n:02}.dependencies]\nall{n:02} = "*"' for n in range(ENVIRONMENTS)),
    ]
    (folder / "pixi.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _name(number: int) -> str:
    return "default" if number == 0 else f"e{number:02}"


@contextmanager
def workspace() -> Iterator[tuple[Path, Mapping[str, str]]]:
    """The workspace with its default environment installed, and the variables to use it with."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name:
        root = Path(name).resolve()
        with environment(root) as variables:
            folder = root / "workspace"
            folder.mkdir()
            _write(folder)
            for words in (("install", "-q"), ("run", "nothing"), ("run", "true")):
                subprocess.run(command(*words), cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
            yield folder, variables


def measure() -> Iterator[Figure]:
    """All commands take turns."""
    with workspace() as (folder, variables):
        lines = (folder / "pixi.lock").read_bytes().count(b"\n")
        commands = {
            BARE: [sys.executable, "-c", "pass"],
            "smelt run true": command("run", "true"),
            "smelt run nothing": command("run", "nothing"),
            "smelt install": command("install"),
            "smelt lock --check": command("lock", "--check"),
        }
        times = processes(commands, folder, variables, ROUNDS)
    bare = times[BARE]
    yield Figure(what=f"{BARE} ({lines} lines in the lock)", seconds=statistics.median(bare))
    for name in ("smelt run true", "smelt run nothing"):
        yield against(f"{name} (warm)", times[name], BARE, bare, 3)
    for name in ("smelt install", "smelt lock --check"):
        seconds = statistics.median(times[name])
        yield Figure(what=name, seconds=seconds, ratio=seconds / statistics.median(bare), reference=BARE, goal=0.150)


def imports() -> str:
    """The last lines of ``-X importtime`` of a warm run."""
    with workspace() as (folder, variables):
        script = command("run", "nothing")
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *script], cwd=folder, env=variables, capture_output=True, text=True
        )
    return done.stderr


if __name__ == "__main__":
    print(imports() if sys.argv[1:] == ["imports"] else table(measure()))
