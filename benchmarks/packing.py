"""What packing costs against copying the same files, and unpacking against ``rattler.install`` alone.

``python -m benchmarks.packing [PACKAGES [MEGABYTES]]`` makes a local channel of that many packages (300) with so much
in their archives together (100), and takes turns: ``cp`` and each form of ``smelt pack``; ``tar --zstd`` of a folder;
``rattler.install`` and ``smelt unpack``. The peak memory is that of whole processes.

Both make the same environment from packages that are not extracted yet, each in a process of its own whose start
counts. A script that does nothing but ``rattler.install`` reads them from the folder of the channel, extracts them into
an empty cache and links them from there; that cache stays. ``smelt unpack`` reads the one file of the pack, extracts
them into a folder of its own, compares every hash, links, and removes that folder within the measured time. Nothing
else is removed before the end (which takes thirty times MEGABYTES on the disk): for each file that it makes, ext4
passes by what was removed in the last minutes one by one, and that can double the time of whoever comes next. Where
other work makes the disk slow, processor time (of all threads and children, in the kernel too) says more than the
clock.

``python -m benchmarks.packing PACKAGES MEGABYTES unpack`` leaves out what packing costs.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.figure import Figure, against, table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from smelt.api.packing import PackOptions, pack
from smelt.api.workspace import Workspace
from smelt.channel.index import write_index
from spine_kit import SUBDIR, Channel, manifest

ROUNDS = 3
UNPACK_ROUNDS = 5
FILES = 12


def _channel(root: Path, count: int, size: int) -> str:
    """Packages of text that compresses to about a half; half of each is one file."""
    chance = random.Random(1)
    channel = Channel(root / "channel")
    for number in range(count):
        each = 2 * size // count
        lengths = [each // 2, *[each // 2 // FILES] * FILES]
        files = {f"lib/p{number}/{i}.txt": chance.randbytes(length // 2).hex() for i, length in enumerate(lengths)}
        channel.add(f"p{number}", files=files, subdir=SUBDIR)
    write_index(channel.folder)
    return channel.url


def _timed(work: Callable[[], object]) -> float:
    os.sync()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak(root: Path, *arguments: str) -> float:
    """MB of a whole process."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'smelt', *sys.argv[1:]], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e6


def measure(count: int = 300, megabytes: int = 100, part: str = "all") -> Iterator[Figure]:
    """Of that many packages, of so many megabytes. ``part``: ``all`` or ``unpack``."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name:
        root = Path(name)
        os.environ["PIXI_CACHE_DIR"] = str(root / "cache")
        url = _channel(root, count, megabytes * 1_000_000)
        text = "[dependencies]\n" + "".join(f'p{n} = "*"\n' for n in range(count))
        workspace = Workspace.load(manifest(root / "ws", [url], text))
        workspace.lock()
        if part == "all":
            yield from _packing(root, workspace, count, megabytes)
        yield from _unpacking(root, workspace, count)


def _packing(root: Path, workspace: Workspace, count: int, megabytes: int) -> Iterator[Figure]:
    times: dict[str, list[float]] = {}
    folder = root / "channel" / SUBDIR

    def take(what: str, target: Path, work: Callable[[], object]) -> None:
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        times.setdefault(what, []).append(_timed(work))

    copy, plain, packed, theirs = root / "copy", root / "p.tar", root / "p.tar.zst", root / "cp.tar.zst"
    command = ["tar", "--zstd", "-cf", theirs, "-C", root, "copy"]
    for _ in range(ROUNDS):
        take("cp", copy, lambda: subprocess.run(["cp", "-r", folder, copy], check=True))
        take("tar", plain, lambda: pack(workspace, PackOptions(output=plain)))
        take("tar.zst", packed, lambda: pack(workspace, PackOptions(output=packed)))
        take("tar --zstd", theirs, lambda: subprocess.run(command, check=True))
        take("directory", root / "p", lambda: pack(workspace, PackOptions(output=root / "p", format="directory")))
        take("sh", root / "p.sh", lambda: pack(workspace, PackOptions(output=root / "p.sh")))
        take("oci", root / "i", lambda: pack(workspace, PackOptions(output=root / "i", format="oci")))
    again = [_timed(lambda: pack(workspace, PackOptions(output=root / "p", format="directory"))) for _ in range(3)]
    image = [_timed(lambda: pack(workspace, PackOptions(output=root / "i", format="oci"))) for _ in range(3)]
    size = plain.stat().st_size / 1e6
    yield Figure(what=f"cp of {count} packages, {size:.0f} MB", seconds=statistics.median(times["cp"]))
    yield against("smelt pack, tar", times["tar"], "cp", times["cp"], 1.3)
    yield against("smelt pack, directory", times["directory"], "cp", times["cp"], 1.3)
    yield Figure(what="smelt pack, directory, nothing changed", seconds=statistics.median(again))
    yield Figure(
        what=f"tar --zstd ({theirs.stat().st_size / 1e6:.0f} MB)", seconds=statistics.median(times["tar --zstd"])
    )
    speed = size / statistics.median(times["tar.zst"])
    ours = f"smelt pack, tar.zst ({packed.stat().st_size / 1e6:.0f} MB, {speed:.0f} MB/s)"
    yield against(ours, times["tar.zst"], "tar --zstd", times["tar --zstd"], 1.0)
    for form in ("sh", "oci"):
        yield Figure(what=f"smelt pack, {form}", seconds=statistics.median(times[form]))
    yield Figure(what="smelt pack, oci, nothing changed", seconds=statistics.median(image))
    for name, arguments in {
        "pack, tar": ["pack", "-o", str(plain)],
        "pack, tar.zst": ["pack", "-o", str(packed)],
        "pack, sh": ["pack", "-o", str(root / "p.sh")],
        "pack, oci": ["pack", "-o", f"oci:{root / 'j'}"],
        "unpack, tar.zst": ["unpack", str(packed), "-o", str(root / "peak")],
    }.items():
        print(f"peak memory of `{name}`: {_peak(workspace.model.root, *arguments):.0f} MB", flush=True)
    for each in (copy, theirs, root / "p", root / "i", root / "j", root / "peak"):
        shutil.rmtree(each) if each.is_dir() else each.unlink()


_BARE = """
import asyncio, os, sys
from pathlib import Path
import rattler

environment = rattler.LockFile.from_path(Path(sys.argv[1])).default_environment()
records = environment.conda_repodata_records_for_platform(environment.platforms()[0])
where = Path(sys.argv[2])
asyncio.run(rattler.install(records, where / "bare", cache_dir=where / "cache", show_progress=False))
os._exit(0)
"""


def _unpacking(root: Path, workspace: Workspace, count: int) -> Iterator[Figure]:
    for form in ("tar", "tar.zst"):
        if not (root / f"p.{form}").exists():
            pack(workspace, PackOptions(output=root / f"p.{form}"))
    commands = {
        "bare": [sys.executable, "-c", _BARE, str(workspace.model.lock_path)],
        "tar": [sys.executable, "-m", "smelt", "unpack", str(root / "p.tar"), "-o"],
        "tar.zst": [sys.executable, "-m", "smelt", "unpack", str(root / "p.tar.zst"), "-o"],
    }
    inputs = {"bare": root / "channel", "tar": root / "p.tar", "tar.zst": root / "p.tar.zst"}
    times: dict[str, list[float]] = {what: [] for what in commands}
    processor: dict[str, list[float]] = {what: [] for what in commands}
    for number in range(UNPACK_ROUNDS):
        turn = list(commands)[number % 3 :] + list(commands)[: number % 3]
        for what in turn:
            where = root / f"round{number}" / what
            where.mkdir(parents=True)
            run = partial(subprocess.run, [*commands[what], str(where)], check=True, stderr=subprocess.DEVNULL)
            _read(inputs[what])
            before = _processor_of_children()
            times[what].append(_timed(run))
            processor[what].append(_processor_of_children() - before)
            _forget(where)
    yield Figure(what=f"rattler.install, {count} packages, empty cache", seconds=statistics.median(times["bare"]))
    yield against("smelt unpack, tar", times["tar"], "rattler.install", times["bare"], 1.15)
    yield against("smelt unpack, tar.zst", times["tar.zst"], "rattler.install", times["bare"], 1.15)
    yield Figure(what="processor time: rattler.install", seconds=statistics.median(processor["bare"]))
    yield against("processor time: smelt unpack, tar", processor["tar"], "rattler.install", processor["bare"], 1.15)
    yield against(
        "processor time: smelt unpack, tar.zst", processor["tar.zst"], "rattler.install", processor["bare"], 1.15
    )


def _read(place: Path) -> None:
    """So that it lies in memory for everybody, whatever was written since."""
    for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


def _forget(place: Path) -> None:
    """So that whoever comes next finds as much free memory: a virtual machine may pay for memory that is used first."""
    os.sync()
    if hasattr(os, "posix_fadvise"):
        for path in place.rglob("*"):
            if path.is_file() and not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def _processor_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    print(table(measure(*map(int, sys.argv[1:3]), *sys.argv[3:4])), flush=True)
    os._exit(0)  # rattler's runtime may crash while Python shuts down
