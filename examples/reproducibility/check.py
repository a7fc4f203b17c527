"""Real releases from PyPI, each built twice under conditions that have nothing in common, and compared byte for byte.

The second build runs in a folder with a longer name and with an empty cache, as another user on a machine of another
name (a user namespace), in the next year (a library that moves the clock is preloaded into every process), with
another HOME, umask, locale and time zone, and on one core. What of that this machine does not allow is told in the
closing table.

``python check.py [FOLDER] [--only NAME …]`` needs PyPI, a compiler and ``make``. Exit code 1 where bytes differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DAYS = 400
"""How far the second build's clock is ahead."""

CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#define AHEAD (DAYS * 86400L + 12345)
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += AHEAD;
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec time;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *target) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    if (target) *target = time.tv_sec;
    return time.tv_sec;
}
int timespec_get(struct timespec *now, int base) {
    return clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}
"""

PROBE = """
import datetime, json, os, socket, time
mask = os.umask(0)
cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
print(json.dumps({
    "folder": os.getcwd(), "home": os.path.expanduser("~"), "user": os.getuid(), "machine": socket.gethostname(),
    "umask": f"{mask:03o}", "locale": os.environ.get("LC_ALL", ""), "time zone": time.tzname[0],
    "clock": datetime.date.today().isoformat(), "cores": cores,
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """``release``: what is built. ``host``: what its build needs. No ``compilers``: a package for every Python."""

    release: str
    what: str
    host: tuple[str, ...]
    compilers: tuple[str, ...] = ()
    run: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name alone."""
        return self.release.partition("==")[0]

    def manifest(self) -> str:
        """The package's ``pixi.toml``."""
        name, _, version = self.release.partition("==")
        return "\n".join(
            [
                "[package]",
                f'name = "{name}"',
                f'version = "{version}"',
                "[package.build]",
                'backend = { name = "pixi-build-python", version = "*" }',
                f'source = {{ pypi = "{self.release}" }}',
                "[package.build.config]",
                'installer = "pip"',
                f"compilers = {json.dumps(self.compilers)}",
                f"noarch = {json.dumps(not self.compilers)}",
                "[package.host-dependencies]",
                'python = "*"',
                *(f'{each} = "*"' for each in self.host),
                "[package.run-dependencies]",
                'python = "*"',
                *(f'{each} = "*"' for each in self.run),
                "",
            ]
        )


RELEASES = (
    Release(release="idna==3.20", what="pure, flit", host=("flit-core",)),
    Release(
        release="attrs==26.1.0",
        what="pure, hatchling with plugins, version from git",
        host=("hatchling", "hatch-vcs", "hatch-fancy-pypi-readme"),
    ),
    Release(release="pygments==2.21.0", what="pure, hatchling, entry points", host=("hatchling",)),
    Release(release="tomlkit==0.15.2", what="pure, poetry-core", host=("poetry-core",)),
    Release(
        release="jsonschema-specifications==2025.9.1", what="data files, hatchling", host=("hatchling", "hatch-vcs")
    ),
    Release(release="tzdata==2026.6", what="600 data files, setuptools", host=("setuptools",)),
    Release(release="markupsafe==3.0.4", what="C, setuptools", host=("setuptools",), compilers=("c",)),
    Release(release="psutil==7.2.2", what="C, setuptools, stable ABI", host=("setuptools",), compilers=("c",)),
    Release(
        release="pynacl==1.6.2",
        what="C, configure and make, cffi",
        host=("setuptools", "cffi"),
        compilers=("c",),
        run=("cffi",),
    ),
    Release(
        release="pyuwsgi==2.0.30.post1",
        what="C, setup.py, writes time and compiler flags into itself",
        host=("setuptools",),
        compilers=("c",),
    ),
    Release(
        release="cytoolz==1.2.0",
        what="Cython, setuptools",
        host=("setuptools", "cython", "setuptools-git-versioning", "toolz"),
        compilers=("c",),
    ),
    Release(
        release="frozenlist==1.8.0",
        what="Cython to C++, build backend of its own",
        host=("setuptools", "cython", "expandvars"),
        compilers=("c", "cxx"),
    ),
    Release(
        release="kiwisolver==1.5.1",
        what="C++, setuptools",
        host=("setuptools", "setuptools-scm", "cppy"),
        compilers=("cxx",),
    ),
    Release(
        release="contourpy==1.3.3",
        what="C++, meson-python, pybind11",
        host=("meson-python", "meson", "ninja", "pybind11", "numpy"),
        compilers=("c", "cxx"),
    ),
    Release(
        release="spglib==2.8.0",
        what="C, scikit-build-core, CMake",
        host=("scikit-build-core", "setuptools-scm", "cmake", "ninja", "numpy", "pybind11"),
        compilers=("c", "cxx"),
    ),
)


def main() -> None:
    """Build twice, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".smelt-twice"), help="where it all goes")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these releases")
    given = parser.parse_args()
    folder: Path = given.folder.absolute()
    only: list[str] = given.only or [each.name for each in RELEASES]
    unknown = sorted(set(only) - {each.name for each in RELEASES})
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(each.name for each in RELEASES)}")
    releases = [each for each in RELEASES if each.name in only]
    folder.mkdir(parents=True, exist_ok=True)
    first, second = Place.first(folder), Place.second(folder)
    make_channel(folder / "channel", releases, first)
    make_workspace(first.folder, folder / "channel", releases)
    started = time.monotonic()
    first.smelt("lock")
    first.smelt("build", "--keep-going", "--output-dir", str(first.packages))
    between = time.monotonic()
    shutil.copytree(first.folder, second.folder, ignore=shutil.ignore_patterns(".pixi"))
    # the sources come before the clock is changed, or certificates would have expired
    second.smelt("build", "--why", "--locked")
    other = second.elsewhere(folder / "elsewhere")
    other.smelt("build", "--keep-going", "--locked", "--output-dir", str(other.packages))
    ended = time.monotonic()
    print()
    show_conditions(first, other)
    same = compare(releases, first.packages, other.packages)
    print(f"\nbuilt in {between - started:.0f} s, and again in {ended - between:.0f} s")
    if not same:
        raise SystemExit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A workspace with all that is around it. ``wrapper``: what every command is run by."""

    folder: Path
    packages: Path
    environment: Mapping[str, str]
    umask: int
    wrapper: tuple[str, ...] = ()

    @classmethod
    def first(cls, folder: Path) -> Place:
        """As it is here."""
        cache = folder / "cache-a"
        clean(folder / "a", folder / "packages-a", cache)
        return cls(
            folder=folder / "a",
            packages=folder / "packages-a",
            environment=variables(PIXI_CACHE_DIR=str(cache), TZ="UTC", LC_ALL="C.UTF-8"),
            umask=0o022,
        )

    @classmethod
    def second(cls, folder: Path) -> Place:
        """Another folder, cache, HOME, umask, locale and time zone."""
        root = folder / "somewhere else" / "with-a-longer-name"
        clean(root.parent, folder / "packages-b")
        (root / "home").mkdir(parents=True)
        # a path without blanks: the first line of a script cannot hold them
        cache = folder / "cache-of-the-second-build"
        clean(cache)
        return cls(
            folder=root / "workspace",
            packages=folder / "packages-b",
            environment=variables(
                PIXI_CACHE_DIR=str(cache), HOME=str(root / "home"), TZ="Asia/Kathmandu", LC_ALL="POSIX", CFLAGS="-O0"
            ),
            umask=0o077,
        )

    def elsewhere(self, folder: Path) -> Place:
        """The same as another user on another machine, in the next year, on one core, as far as this machine allows."""
        clean(folder)
        folder.mkdir()
        wrappers = (next_year(folder), other_user(folder), ())
        wrapper = next(each for each in wrappers if each is not None and runs(each))
        core = ("taskset", "-c", "0") if shutil.which("taskset") else ()
        return Place(
            folder=self.folder,
            packages=self.packages,
            environment=self.environment,
            umask=self.umask,
            wrapper=(*wrapper, *core),
        )

    def smelt(self, *arguments: str) -> None:
        """Run a command of smelt. What it prints goes to the terminal."""
        print(f"\n$ smelt {' '.join(arguments)}    ({self.folder})", flush=True)
        command = [*self.wrapper, sys.executable, "-m", "smelt", *arguments]
        # what failed is missing in the closing table, which says so
        subprocess.run(command, cwd=self.folder, env=self.environment, umask=self.umask, check=False)

    def conditions(self) -> dict[str, object]:
        """What a process sees here."""
        command = [*self.wrapper, sys.executable, "-c", PROBE]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, umask=self.umask, check=True, stdout=subprocess.PIPE
        )
        return json.loads(done.stdout)


def variables(**more: str) -> dict[str, str]:
    """Our environment with others in it; what uv downloads is shared, as HOME is not."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIXI_", "CONDA_"))}
    done = subprocess.run([sys.executable, "-m", "uv", "cache", "dir"], capture_output=True, text=True, check=True)
    return {**kept, "UV_CACHE_DIR": done.stdout.strip(), **more}


def clean(*folders: Path) -> None:
    """Away with what an earlier run left."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def next_year(folder: Path) -> tuple[str, ...] | None:
    """A command that runs others as another user, on a machine of another name, with the clock ahead.

    Builds see no variables, LD_PRELOAD included, so the library is named by a file of the system that only these
    processes see. None where that cannot be had.
    """
    compiler = next((each for each in ("cc", "gcc", "clang") if shutil.which(each)), None)
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    (folder / "clock.c").write_text(CLOCK, encoding="utf-8")
    library = folder / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O", f"-DDAYS={DAYS}", "-o", str(library), str(folder / "clock.c")]
    if subprocess.run(command, check=False).returncode != 0:
        return None
    (folder / "etc").mkdir()
    (folder / "work").mkdir()
    (folder / "etc" / "ld.so.preload").write_text(f"{library}\n", encoding="utf-8")
    script = (
        'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$0/etc,workdir=$0/work" /etc'
        ' && hostname elsewhere && exec unshare --user --map-user=4242 --map-group=4242 "$@"'
    )
    return ("unshare", "--user", "--map-root-user", "--mount", "--uts", "sh", "-c", script, str(folder))


def other_user(folder: Path) -> tuple[str, ...] | None:
    """A command that runs others as another user."""
    del folder
    return ("unshare", "--user", "--map-user=4242", "--map-group=4242")


def runs(wrapper: Sequence[str]) -> bool:
    """Whether this machine allows it."""
    try:
        return subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def make_channel(channel: Path, releases: Sequence[Release], place: Place) -> None:
    """Python, the compiler of this machine, and what the builds need, as packages."""
    place.folder.mkdir(parents=True, exist_ok=True)
    place.smelt("channel", "create", str(channel))
    if not list(channel.glob("*/python-3*.conda")):
        place.smelt("channel", "add-python", str(channel))
        place.smelt("channel", "add-toolchain", str(channel))
    names = sorted({"pip", *(name for each in releases for name in each.host)})
    there = {path.name.rsplit("-", 2)[0] for path in channel.glob("*/*.conda")}
    missing = [name for name in names if name not in there]
    if missing:
        place.smelt("channel", "add-wheel", str(channel), *missing)


def make_workspace(folder: Path, channel: Path, releases: Sequence[Release]) -> None:
    """The manifests."""
    done = subprocess.run([sys.executable, "-m", "smelt", "info", "--json"], stdout=subprocess.PIPE, check=True)
    lines = [
        "[workspace]",
        'name = "reproducibility"',
        f'channels = ["{channel.as_uri()}"]',
        f'platforms = ["{json.loads(done.stdout)["platform"]}"]',
        'preview = ["pixi-build"]',
        "[dependencies]",
        *(f'{each.name} = {{ path = "packages/{each.name}" }}' for each in releases),
        "",
    ]
    (folder / "pixi.toml").write_text("\n".join(lines), encoding="utf-8")
    for each in releases:
        path = folder / "packages" / each.name / "pixi.toml"
        path.parent.mkdir(parents=True)
        path.write_text(each.manifest(), encoding="utf-8")


def show_conditions(first: Place, second: Place) -> None:
    """What was different."""
    before, after = first.conditions(), second.conditions()
    width = max(map(len, before))
    for key, value in before.items():
        print(f"{key:<{width}}  {value}  →  {after[key]}{'' if after[key] != value else '   (the same)'}")


def compare(releases: Sequence[Release], first: Path, second: Path) -> bool:
    """Show a row for each release; whether all are the same."""
    from smelt.build.compare import differences

    print("\n| release | what it is | sha256 of both builds |\n| --- | --- | --- |")
    notes: list[str] = []
    for each in releases:
        found = [next(iter(sorted(folder.rglob(f"{each.name}-*.conda"))), None) for folder in (first, second)]
        if found[0] is None or found[1] is None:
            result = "not built"
            notes.append(f"{each.release} was not built")
        elif digest(found[0]) == digest(found[1]):
            result = f"`{digest(found[0])[:16]}…`"
        else:
            result = f"`{digest(found[0])[:16]}…` and `{digest(found[1])[:16]}…`"
            notes += [f"{each.release}: {line}" for line in differences(found[0], found[1])]
        print(f"| {each.release.replace('==', ' ')} | {each.what} | {result} |")
    print("\n" + "\n".join(notes) if notes else "\nthe same bytes, all of them")
    return not notes


def digest(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
