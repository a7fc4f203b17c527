"""A wheel as a conda package: where its files go and what becomes of its metadata."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.tags import Tag

from smelt.channel.folder import identity_digest
from smelt.channel.model import PLACEHOLDER, Package, PackageFile, PackageHead
from smelt.channel.paths import check_target
from smelt.channel.targets import Target, reach
from smelt.channel.versions import conda_version
from smelt.channel.wheelfile import Metadata, Wheel, read_files
from smelt.errors import ChannelError, NotSupportedError
from smelt.types import NOARCH, platform_family

_REVISION = 0
"""The build number: raise when what is made from an unchanged wheel changes, so that solvers take the new one."""

_RESERVED = frozenset({"python", "python_abi", "python-abi"})
_MACHINES: Mapping[str, tuple[str, ...]] = {
    "linux-64": ("x86_64",),
    "linux-aarch64": ("aarch64",),
    "osx-64": ("x86_64", "universal2", "intel"),
    "osx-arm64": ("arm64", "universal2"),
    "win-64": ("amd64",),
    "win-arm64": ("arm64",),
}
_OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a wheel fits a target.

    ``oldest``: the first minor version of Python that its interface is for (0: any). ``abi``: the interface if it is
    for one version only (``cp312``), else None. ``portable``: for any platform. ``guards``: virtual packages that its
    platform tags ask for.
    """

    oldest: int = 0
    abi: str | None = None
    portable: bool
    guards: tuple[str, ...] = ()


def fit(tags: frozenset[Tag], target: Target) -> Fit | None:
    """How a wheel with these tags fits, the most portable way first; None where it does not (PEP 425)."""
    fits = [found for tag in tags if (found := _fit_tag(tag, target)) is not None]
    if not fits:
        return None
    best = min(fits, key=lambda one: (not one.portable, one.abi is not None, one.oldest))
    # several platform tags name alternatives: the least demanding one counts
    rivals = [one for one in fits if (one.portable, one.abi, one.oldest) == (best.portable, best.abi, best.oldest)]
    return replace(best, guards=min((one.guards for one in rivals), key=_demand))


def _demand(guards: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(number) for guard in guards for number in re.findall(r"\d+", guard.partition(",")[0]))


def _fit_tag(tag: Tag, target: Target) -> Fit | None:
    named = re.fullmatch(r"(py|cp)3(\d*)", tag.interpreter)
    if named is None:
        return None
    minor = int(named[2] or 0)
    guards = _guards(tag.platform, target.platform)
    if guards is None:
        return None
    portable = tag.platform == "any"
    if tag.abi == "abi3" or (tag.abi == "none" and named[1] == "py"):
        return Fit(oldest=minor, portable=portable, guards=guards) if target.minor >= minor else None
    if minor != target.minor or (tag.abi != "none" and tag.abi != f"cp3{minor}"):
        return None
    return Fit(abi=f"cp3{minor}", oldest=minor, portable=portable, guards=guards)


def _guards(tag: str, platform: str) -> tuple[str, ...] | None:
    """The virtual packages for a platform tag; None where it is for another platform."""
    if tag == "any":
        return ()
    family = platform_family(platform)
    if not any(tag.endswith(f"_{machine}") for machine in _MACHINES.get(platform, ())):
        return None
    found = re.match(r"manylinux_(\d+)_(\d+)_", tag)
    old = _OLD_MANYLINUX.get(tag.partition("_")[0])
    if family == "linux" and (found or old):
        major, minor = old or (int(found[1]), int(found[2]))  # type: ignore[index]
        return (f"__glibc >={major}.{minor},<{major + 1}.0.a0",)
    found = re.match(r"macosx_(\d+)_(\d+)_", tag)
    if family == "osx" and found:
        return (f"__osx >={found[1]}.{found[2]}",)
    plain = tag.startswith("linux_") if family == "linux" else tag.startswith("win_") and family == "win"
    return () if plain else None


def platforms_of(tags: frozenset[Tag]) -> tuple[str, ...]:
    """The conda platforms that a wheel is for; none where it is for all."""
    if any(tag.platform == "any" for tag in tags):
        return ()
    return tuple(p for p in _MACHINES if any(_guards(tag.platform, p) is not None for tag in tags))


def describe(
    wheel: Wheel, target: Target, catalog: Mapping[str, Metadata], extras: frozenset[str] = frozenset()
) -> PackageHead:
    """The head of the package that a wheel becomes for a target.

    Wheels without compiled code become ``noarch: python``, once for all Pythons and platforms on which they need the
    same packages (a virtual package or a bound on Python says where they do not). So do those for a stable
    interface (abi3, or none), in the subdir of the platform. Wheels for one version of Python are bound to it with
    ``python_abi``. Raises ChannelError where the wheel is not for the target.
    """
    metadata = wheel.metadata
    fitting = fit(wheel.tags, target)
    if fitting is None:
        raise ChannelError(f"{wheel.path.name} is not for Python {target.python} on {target.platform}")
    if metadata.name in _RESERVED:
        raise ChannelError(f"{wheel.path.name} would take the place of the interpreter", code="hostile-package")
    bound = reach(
        metadata,
        {**catalog, metadata.name: metadata},
        target,
        extras,
        oldest=fitting.oldest,
        exact=not fitting.portable,
    )
    depends = [*bound.depends, *fitting.guards, *([bound.guard] if bound.guard else [])]
    if fitting.abi is not None:
        short = f"3.{target.minor}"
        depends += [f"python >={short},<3.{target.minor + 1}.0a0", f"python_abi {short}.* *_{fitting.abi}"]
    else:
        depends.append(f"python {bound.python}".strip())
    noarch = fitting.abi is None
    head = PackageHead(
        name=metadata.name,
        version=conda_version(str(metadata.version)),
        build="",
        build_number=_REVISION,
        subdir=(bound.subdir or NOARCH) if noarch else target.platform,
        noarch="python" if noarch else None,
        depends=tuple(depends),
        entry_points=_entry_points(wheel) if noarch else (),
        license=metadata.license,
        summary=metadata.summary,
        home=metadata.home,
        purls=(f"pkg:pypi/{metadata.name}@{metadata.version}",),
        identity={"wheel": wheel.path.name, "sha256": wheel.sha256},
    )
    prefix = "pyh" if noarch else f"py3{target.minor}h"
    return replace(head, build=f"{prefix}{identity_digest(head)}_{_REVISION}")


def _entry_points(wheel: Wheel) -> tuple[str, ...]:
    return tuple(f"{name} = {value}" for name, value in sorted(wheel.commands.items()))


def convert(wheel: Wheel, head: PackageHead, target: Target, work: Path) -> Package:
    """The package itself; ``work`` is an empty folder for its files.

    ``*.data`` is put where its scheme says; ``RECORD`` is written anew, ``INSTALLER`` is conda, what pip notes about
    the origin of a file is left out; scripts get the prefix's interpreter.
    Raises ChannelError for a damaged file, or one with a path that is not a wheel's to write.
    """
    layout = _Layout.of(head, target)
    entries: list[PackageFile] = []
    record: list[tuple[str, str, str]] = []
    licenses: dict[str, bytes] = {}
    dropped = {f"{wheel.dist_info}/{name}" for name in ("INSTALLER", "REQUESTED", "direct_url.json")}
    for number, (name, content, runnable) in enumerate(read_files(wheel)):
        if name in dropped:
            continue
        path, script = layout.place(name, wheel)
        check_target(path, wheel.path.name)
        data, marked = _interpreted(content, target) if script else (content, False)
        stored: bytes | Path = data
        if len(data) > 1 << 16:
            stored = work / str(number)
            stored.write_bytes(data)
        entries.append(PackageFile(path=path, content=stored, executable=script or runnable, placeholder=marked))
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        # what is replaced at installation has another digest then
        checksum, size = ("", "") if marked else (f"sha256={digest}", str(len(data)))
        record.append((layout.recorded(path), checksum, size))
        if re.match(rf"{re.escape(wheel.dist_info)}/(licenses/|(LICEN[CS]E|COPYING|NOTICE)[^/]*$)", name):
            licenses[name.split("/", 1)[1].removeprefix("licenses/")] = data
    for command, value in sorted(wheel.commands.items()):
        if head.noarch is None:
            script_path = f"{layout.scripts}{command}"
            check_target(script_path, wheel.path.name)
            text = _script(value, target).encode()
            entries.append(PackageFile(path=script_path, content=text, executable=True, placeholder=True))
        record.append((layout.recorded(f"{layout.scripts}{command}"), "", ""))
    installer = f"{layout.packages}{wheel.dist_info}/INSTALLER"
    entries.append(PackageFile(path=installer, content=b"conda\n"))
    record.append((layout.recorded(installer), "", ""))
    record_path = f"{layout.packages}{wheel.dist_info}/RECORD"
    record.append((layout.recorded(record_path), "", ""))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(sorted(record))
    entries.append(PackageFile(path=record_path, content=text.getvalue().encode()))
    return Package(head=head, entries=tuple(entries), licenses=licenses)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where things are in a prefix: folders with a slash at the end; ``climb`` leads from packages to the prefix."""

    packages: str
    scripts: str
    headers: str
    real_scripts: str
    climb: str

    @classmethod
    def of(cls, head: PackageHead, target: Target) -> _Layout:
        windows = platform_family(target.platform) == "win"
        bin_folder = "Scripts/" if windows else "bin/"
        climb = "../../" if windows else "../../../"
        if head.noarch == "python":
            return cls(
                packages="site-packages/",
                scripts="python-scripts/",
                headers="include/",
                real_scripts=bin_folder,
                climb=climb,
            )
        if windows:
            packages = "Lib/site-packages/"
            return cls(packages=packages, scripts=bin_folder, headers="include/", real_scripts=bin_folder, climb=climb)
        python = f"python3.{target.minor}"
        return cls(
            packages=f"lib/{python}/site-packages/",
            scripts="bin/",
            headers=f"include/{python}/",
            real_scripts="bin/",
            climb=climb,
        )

    def place(self, name: str, wheel: Wheel) -> tuple[str, bool]:
        """The path of a file of the wheel in the package, and whether it is a script."""
        folder, _, rest = name.partition("/")
        if folder != wheel.data:
            return f"{self.packages}{name}", False
        scheme, _, inner = rest.partition("/")
        if scheme in ("purelib", "platlib"):
            return f"{self.packages}{inner}", False
        if scheme == "scripts":
            return f"{self.scripts}{inner}", True
        if scheme == "headers":
            return f"{self.headers}{wheel.metadata.name}/{inner}", False
        if scheme == "data":
            if inner.startswith(("site-packages/", "python-scripts/")):
                raise ChannelError(f"{wheel.path.name} holds `{name}`, which conda would put elsewhere")
            return inner, False
        raise ChannelError(f"{wheel.path.name} holds `{name}`, which belongs nowhere", code="bad-wheel")

    def recorded(self, path: str) -> str:
        """The path as RECORD has it: relative to the folder of the packages."""
        if path.startswith(self.packages):
            return path.removeprefix(self.packages)
        if path.startswith(self.scripts):
            return f"{self.climb}{self.real_scripts}{path.removeprefix(self.scripts)}"
        return f"{self.climb}{path}"


def _interpreted(content: bytes, target: Target) -> tuple[bytes, bool]:
    """A script whose first line is ``#!python`` gets the interpreter of the prefix (PEP 427)."""
    found = re.match(rb"#!pythonw?(?![\w.])", content)
    if found is None:
        return content, False
    return f"#!{_interpreter(target)}".encode() + content[found.end() :], True


def _interpreter(target: Target) -> str:
    windows = platform_family(target.platform) == "win"
    return f"{PLACEHOLDER}/python.exe" if windows else f"{PLACEHOLDER}/bin/python"


def _script(value: str, target: Target) -> str:
    if platform_family(target.platform) == "win":
        raise NotSupportedError("commands of compiled packages cannot be made for Windows yet")
    module, _, attribute = value.partition(":")
    return (
        f"#!{_interpreter(target)}\n"
        "import sys\n"
        f"from {module} import {attribute.split('.')[0]}\n"
        'if __name__ == "__main__":\n'
        f"    sys.exit({attribute}())\n"
    )
