"""An installed environment as data: every file that its prefix would hold, without a prefix.

For forms of a pack that hold an environment ready to run. Each package gives one ``Part``; parts share no path, so they
can be written in any order and kept on their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from smelt.errors import NotSupportedError, PackError
from smelt.pack.condameta import prefix_record
from smelt.pack.copying import mismatch
from smelt.pack.entry import Entry
from smelt.pack.model import CondaItem, Origin, PackContent, WheelItem, WheelOrigin
from smelt.pack.packagefile import PackageInfo, PackagePath, check_path, members, read_info, read_members, unreadable
from smelt.types import digest_json, sha256_file, spec_name

LINK_VERSION = 1
"""Counts up when the same packages give other files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLayout:
    """Where the environment's Python has things: ``bin/python3.12`` and its ``site-packages``."""

    version: str
    executable: str
    site_packages: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one package puts into the prefix. ``key`` says all that its files depend on, but the prefix.

    ``files``: the paths in the prefix by the path in the package (for wheels: by themselves). ``python``: of packages
    whose files go where the environment's Python has them. ``generated``: files that are made here. ``shortest``: the
    length of the shortest placeholder in a binary: no prefix can be longer.
    """

    name: str
    label: str
    origin: Origin | WheelOrigin
    item: CondaItem | WheelItem
    key: str
    size: int
    paths: Mapping[str, PackagePath] = field(default_factory=dict[str, PackagePath], repr=False, hash=False)
    files: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, hash=False)
    generated: tuple[Entry, ...] = field(default=(), repr=False, hash=False)
    shortest: int | None = None
    python: PythonLayout | None = None

    def entries(self) -> Iterator[Entry]:
        """The files, in a fixed order; a stream must be read before the next.

        Raises PackError, InstallError, ChannelError, OSError.
        """
        file = self.item.file
        assert file.path is not None
        if sha256_file(file.path) != file.sha256:
            raise mismatch(file, f"expected sha256 {file.sha256}")
        if isinstance(self.item, CondaItem):
            yield from self._conda()
        else:
            from smelt.pack.linkedwheel import wheel_entries

            assert self.python is not None
            for entry in wheel_entries(file.path, self.python):
                if entry.path in self.files:
                    yield entry
        yield from self.generated

    def _conda(self) -> Iterator[Entry]:
        file = self.item.file
        assert file.path is not None
        wanted = dict(self.files)
        with members(file.path, info=False) as found:
            for member, stream in found:
                name = str(PurePosixPath(member.name))
                place = wanted.pop(name, None)
                if place is None:
                    continue
                described = self.paths[name]
                entry = Entry(path=place, executable=bool(member.mode & 0o100), mtime=int(member.mtime))
                if described.folder:
                    entry.folder = True
                elif member.issym():
                    entry.link = member.linkname
                elif stream is None:
                    # a hard link within the archive cannot be read from a stream a second time
                    data = read_members(file.path, (member.linkname,), info=False).get(member.linkname)
                    if data is None:
                        raise unreadable(file.path, f"{name} is a link to nothing, or a special file")
                    entry.data, entry.size = data, len(data)
                elif described.placeholder is not None:
                    entry.data = stream.read()
                    entry.size = len(entry.data)
                else:
                    entry.stream, entry.size = stream, member.size
                if described.placeholder is not None and entry.data is not None:
                    entry.placeholder, entry.binary = described.placeholder.encode(), described.binary
                yield entry
        for name, place in wanted.items():
            if not self.paths[name].folder:
                raise unreadable(file.path, f"{name} is missing")
            yield Entry(path=place, folder=True)


def link(content: PackContent) -> tuple[Part, ...]:
    """The parts of the environment: conda packages after those they depend on, then wheels.

    Where two packages have the same path, the one that comes later has it, as when they are installed. Raises
    NotSupportedError for Windows, PackError (``pack-package``, ``pack-no-python``), ChannelError for a wheel that is
    not sound, OSError.
    """
    if content.platform.startswith("win-"):
        raise NotSupportedError(
            f"an environment for {content.platform} cannot be packed ready to run", help="pack it as a tar"
        )
    python = _python(content)
    if content.wheels and python is None:
        raise PackError(
            "there are wheels, but no python to install them with", code="pack-no-python", help="require `python`"
        )
    packages = [_Unlinked.of(item, python) for item in _ordered(content.packages)]
    owners = {place: package.name for package in packages for place in package.all_places()}
    wheels: list[tuple[WheelItem, tuple[str, ...], int]] = []
    for wheel in content.wheels:
        assert python is not None
        wheels.append((wheel, *_wheel_paths(wheel, python)))
        owners.update((place, wheel.name + _WHEEL) for place in wheels[-1][1])
    parts = [package.part(owners, python) for package in packages]
    parts += [_wheel_part(wheel, places, size, python, owners) for wheel, places, size in wheels if python is not None]
    return tuple(parts)


def _python(content: PackContent) -> PythonLayout | None:
    for item in content.packages:
        if item.record.name == "python":
            version = ".".join(item.record.version.split(".")[:2])
            return PythonLayout(
                version=version,
                executable=f"bin/python{version}",
                site_packages=item.record.python_site_packages_path or f"lib/python{version}/site-packages",
            )
    return None


def _ordered(items: Iterable[CondaItem]) -> tuple[CondaItem, ...]:
    """Each after those that it depends on, else by name; circles are cut where they are met."""
    by_name = {item.record.name: item for item in sorted(items, key=lambda item: item.record.name)}
    done: dict[str, CondaItem] = {}
    open_: set[str] = set()

    def visit(start: str) -> None:
        stack: list[tuple[str, Iterator[str]]] = [(start, _needs(by_name[start]))]
        open_.add(start)
        while stack:
            name, needs = stack[-1]
            following = next((n for n in needs if n in by_name and n not in done and n not in open_), None)
            if following is None:
                done[name] = by_name[name]
                stack.pop()
            else:
                open_.add(following)
                stack.append((following, _needs(by_name[following])))

    for name in by_name:
        if name not in done:
            visit(name)
    return tuple(done.values())


def _needs(item: CondaItem) -> Iterator[str]:
    return iter(sorted({spec_name(spec) for spec in item.record.depends}))


def _places(info: PackageInfo, item: CondaItem, python: PythonLayout | None) -> dict[str, str]:
    """Where the files of a package are in the prefix, by where they are in the package."""
    if item.record.noarch != "python":
        return {path.path: path.path for path in info.paths}
    if python is None:
        raise PackError(
            f"{item.record.name} is a Python package, but there is no python",
            code="pack-no-python",
            help="require `python`, and lock again",
        )
    found: dict[str, str] = {}
    for path in info.paths:
        folder, _, rest = path.path.partition("/")
        if folder == "site-packages":
            found[path.path] = f"{python.site_packages}/{rest}"
        elif folder == "python-scripts":
            found[path.path] = f"bin/{rest}"
        else:
            found[path.path] = path.path
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unlinked:
    """A conda package that was looked into, before it is known which of its files it keeps."""

    item: CondaItem
    paths: Mapping[str, PackagePath]
    places: Mapping[str, str]
    commands: tuple[Entry, ...]

    @classmethod
    def of(cls, item: CondaItem, python: PythonLayout | None) -> _Unlinked:
        assert item.file.path is not None
        info = read_info(item.file.path)
        places = _places(info, item, python)
        for place in places.values():
            check_path(place, item.file.path)
        commands: tuple[Entry, ...] = ()
        if item.record.noarch == "python" and python is not None:
            commands = tuple(_command(point, python, item) for point in info.entry_points)
        return cls(item=item, paths={path.path: path for path in info.paths}, places=places, commands=commands)

    @property
    def name(self) -> str:
        return self.item.record.name

    def all_places(self) -> tuple[str, ...]:
        return (*self.places.values(), *(entry.path for entry in self.commands))

    def part(self, owners: Mapping[str, str], python: PythonLayout | None) -> Part:
        item = self.item
        kept = {old: new for old, new in self.places.items() if owners[new] == self.name}
        commands = [entry for entry in self.commands if owners[entry.path] == self.name]
        places = {old: new for old, new in kept.items() if all(new != entry.path for entry in commands)}
        record = prefix_record(item, places, self.paths, commands)
        lengths = [len(path.placeholder) for old in places if (path := self.paths[old]).binary and path.placeholder]
        noarch = python if item.record.noarch == "python" else None
        return Part(
            name=self.name,
            label=f"{self.name} {item.record.version} {item.record.build}",
            origin=item.origin,
            item=item,
            key=digest_json(
                [
                    LINK_VERSION,
                    item.file.sha256,
                    [noarch.executable, noarch.site_packages] if noarch is not None else None,
                    sorted(set(self.places) - set(places)),
                    (record.data or b"").decode(),
                ]
            ),
            size=sum(self.paths[old].size or 0 for old in places),
            paths=self.paths,
            files=places,
            generated=(*commands, record),
            shortest=min(lengths, default=None),
            python=noarch,
        )


_WHEEL = " (wheel)"


def _wheel_paths(item: WheelItem, python: PythonLayout) -> tuple[tuple[str, ...], int]:
    from smelt.pack.linkedwheel import wheel_paths

    assert item.file.path is not None
    places, size = wheel_paths(item.file.path, python)
    for place in places:
        check_path(place, item.file.path)
    return places, size


def _wheel_part(
    item: WheelItem, places: tuple[str, ...], size: int, python: PythonLayout, owners: Mapping[str, str]
) -> Part:
    kept = {place: place for place in places if owners[place] == item.name + _WHEEL}
    return Part(
        name=item.name,
        label=f"{item.name} {item.version}",
        origin=item.origin,
        item=item,
        key=digest_json(
            [LINK_VERSION, item.file.sha256, [python.executable, python.site_packages], sorted(set(places) - set(kept))]
        ),
        size=size,
        files=kept,
        python=python,
    )


def _command(point: str, python: PythonLayout, item: CondaItem) -> Entry:
    name, _, value = point.partition("=")
    module, _, attribute = value.strip().partition(":")
    assert item.file.path is not None
    path = f"bin/{name.strip()}"
    check_path(path, item.file.path)
    data = command_text(module.strip(), attribute.strip(), python)
    return Entry(path=path, data=data, size=len(data), executable=True, placeholder=TOKEN)


TOKEN = b"@@smelt-prefix-7b1d9e@@"
"""What stands for the prefix in files that are made here."""


def command_text(module: str, attribute: str, python: PythonLayout) -> bytes:
    """The script of an entry point; its first line has ``TOKEN``."""
    lines = [
        f"#!{TOKEN.decode()}/{python.executable}",
        "import sys",
        "",
        f"from {module} import {attribute.partition('.')[0]}",
        "",
        'if __name__ == "__main__":',
        f"    sys.exit({attribute}())",
        "",
    ]
    return "\n".join(lines).encode()
