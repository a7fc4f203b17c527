"""Packages of the workspace as an environment has them: their Python modules are those of the source, not copies.

A build is made as any other, for its build key, and what is installed is derived from it: modules that the build took
as they are from the source stand in the folder of the source. Where all of a package is such modules, the folder is
put on the path (a ``.pth`` file); where it also holds what was compiled or generated, each module becomes a link. So
an edit of a module counts at once, and after an edit of anything else a build is made anew.

Such a package is kept under a key of its own, in which the folder stands, and in the place of the digest of the source
the files that it does not show. It is for the environments of workspaces alone: what is published, packed or built with
is the build itself. Source: the reference's page "pixi-build-python" (editable installations), PEP 610, PEP 376.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from smelt.archive import CondaArchive, Member, read_conda, write_conda
from smelt.build.bytecode import is_bytecode
from smelt.build.job import SOURCE_DATE_EPOCH
from smelt.build.model import Artifact, BuildNode
from smelt.build.normalise import described_paths, json_of, path_entries
from smelt.build.plain import mapping, texts
from smelt.build.store import Store
from smelt.fs import write_text
from smelt.types import digest_json

BACKEND = "pixi-build-python"
SWITCH = "BUILD_EDITABLE_PYTHON"
"""The reference's variable: any other value than ``true`` turns all this off."""

SCHEMA = 1
_SUFFIXES = (".py", ".pyi")
_DIGEST = 64


def is_editable(node: BuildNode, environment: Mapping[str, str] | None = None) -> bool:
    """Whether environments of the workspace show the modules of this package's source."""
    switch = (os.environ if environment is None else environment).get(SWITCH)
    folder = node.checkout.folder
    mutable = node.checkout.digest is None and node.variant.backend == BACKEND and folder.is_dir()
    # a name that a line of a .pth file cannot hold
    return mutable and switch in (None, "true") and "\n" not in str(folder)


def find(store: Store, node: BuildNode) -> Artifact | None:
    """The package that shows the source of ``node``; None where it has to be derived from a build as it is today."""
    shown = _read(store, node)
    artifact = store.lookup(_key(node, shown)) if shown is not None else None
    if artifact is not None:
        store.mark_used(artifact.key)
    return artifact


def derive(store: Store, node: BuildNode, built: Artifact) -> Artifact:
    """The package that shows the source of ``node``, made of its build and kept.

    It is the build itself where the source has no module that is in it. Raises ArchiveError, CacheError.
    """
    archive = read_conda(built.path)
    shown = _shown(archive, node)
    if not shown.links and not shown.roots:
        return built
    derived = replace(
        node, key=_key(node, shown), content="", inputs={**node.inputs, "editable": str(node.checkout.folder)}
    )
    with store.building(derived.key, derived.label), tempfile.TemporaryDirectory(prefix="smelt-") as folder:
        found = store.lookup(derived.key)
        if found is None:
            target = Path(folder) / built.path.name
            write_conda(target, _with_source(archive, node, shown), mtime=SOURCE_DATE_EPOCH, level=1)
            log = Path(folder) / "build.log"
            shutil.copyfile(built.log, log)
            index = json_of({member.name: member for member in archive.info}, "info/index.json")
            found = store.put(derived, target, index, log, undeclared=built.undeclared)
        write_text(_entry(store, node), json.dumps({"key": derived.key, **shown.to_dict()}), durable=False)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What of a package is in the source, by paths relative to it.

    ``links``: module in the package → file. ``roots``: folders (``""``: the source itself) that go on the path →
    the folders and modules in them that this is done for.
    """

    links: Mapping[str, str]
    roots: Mapping[str, tuple[str, ...]]

    def to_dict(self) -> dict[str, object]:
        return {"links": dict(self.links), "roots": {root: list(names) for root, names in self.roots.items()}}

    def shows(self, path: str) -> bool:
        """Whether a file of the source is seen in the environment as it is."""
        if not path.endswith(_SUFFIXES):
            return False
        tops = [_joined(root, name) for root, names in self.roots.items() for name in names]
        return path in self.links.values() or any(path == top or path.startswith(f"{top}/") for top in tops)


def _entry(store: Store, node: BuildNode) -> Path:
    base = _base(node)
    return store.folder(base).parents[1] / "editable" / base[:2] / f"{base}.json"


def _read(store: Store, node: BuildNode) -> _Shown | None:
    try:
        data = mapping(json.loads(_entry(store, node).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    links = {name: path for name, path in mapping(data.get("links")).items() if isinstance(path, str)}
    return _Shown(links=links, roots={root: texts(names) for root, names in mapping(data.get("roots")).items()})


def _base(node: BuildNode) -> str:
    """What decides about the package, but for the files of the source."""
    inputs = {key: value for key, value in node.inputs.items() if key not in ("source", "files")}
    return digest_json(["editable", SCHEMA, str(node.checkout.folder), inputs])


def _key(node: BuildNode, shown: _Shown) -> str:
    files = mapping(node.inputs.get("files"))
    rest = {path: digest for path, digest in files.items() if not shown.shows(path)}
    return digest_json([_base(node), shown.to_dict(), rest])


# --- what of the package is in the source ----------------------------------------------------------------------------


def _shown(archive: CondaArchive, node: BuildNode) -> _Shown:
    # a link in the source is left alone
    files = {
        path: entry[-_DIGEST:]
        for path, entry in mapping(node.inputs.get("files")).items()
        if isinstance(entry, str) and not entry.startswith("l")
    }
    names = frozenset(member.name for member in archive.files)
    tops: dict[str, list[tuple[str, Member]]] = {}
    for member in archive.files:
        inside = _module_name(member.name)
        if inside is not None and not is_bytecode(member.name, names):
            tops.setdefault(inside.partition("/")[0], []).append((inside, member))
    links: dict[str, str] = {}
    roots: dict[str, list[str]] = {}
    for top, members in tops.items():
        if top.endswith((".dist-info", ".pth")):
            continue
        root = _root(members, files)
        if root is not None:
            roots.setdefault(root, []).append(top)
        elif os.name != "nt":  # links need rights there that users do not have
            links |= _links(members, files)
    return _Shown(links=links, roots={root: tuple(names) for root, names in roots.items()})


def _module_name(name: str) -> str | None:
    """The path in ``site-packages``; None for what is elsewhere."""
    before, found, inside = name.partition("site-packages/")
    return inside if found and (not before or before.endswith("/")) else None


def _root(members: Sequence[tuple[str, Member]], files: Mapping[str, str]) -> str | None:
    """The folder of the source in which all of ``members`` are as they are in the package, the nearest one."""
    first = next((name for name, _ in members if name.endswith(".py")), None)
    if first is None:
        return None
    roots = {path.removesuffix(first).rstrip("/") for path in files if f"/{path}".endswith(f"/{first}")}
    for root in sorted(roots, key=lambda root: (root.count("/") + bool(root), root)):
        if all(m.link is None and files.get(_joined(root, name)) == _sha256(m) for name, m in members):
            return root
    return None


def _links(members: Iterable[tuple[str, Member]], files: Mapping[str, str]) -> dict[str, str]:
    """The modules that are somewhere in the source as they are: at the path that ends as theirs, or of that name."""
    found: dict[str, str] = {}
    for name, member in members:
        if member.link is not None or not name.endswith(".py"):
            continue
        digest, last = _sha256(member), PurePosixPath(name).name
        same = [path for path, other in files.items() if other == digest and PurePosixPath(path).name == last]
        closest = [path for path in same if f"/{path}".endswith(f"/{name}")] or same
        if len(closest) == 1:
            found[member.name] = closest[0]
    return found


def _sha256(member: Member) -> str:
    return hashlib.sha256(member.data).hexdigest()


def _joined(root: str, name: str) -> str:
    return f"{root}/{name}" if root else name


# --- the package that shows it ---------------------------------------------------------------------------------------


def _with_source(archive: CondaArchive, node: BuildNode, shown: _Shown) -> CondaArchive:
    folder = node.checkout.folder.resolve()
    info = {member.name: member for member in archive.info}
    gone = {top for names in shown.roots.values() for top in names}
    modules = {str(PurePosixPath(name).with_suffix("")) for name in shown.links}
    files: dict[str, Member] = {}
    for member in archive.files:
        inside = _module_name(member.name)
        if inside is not None and (inside.partition("/")[0] in gone or _is_bytecode_of(member.name, modules)):
            continue
        source = shown.links.get(member.name)
        files[member.name] = member if source is None else Member(name=member.name, link=str(folder / source))
    records = [name for name in files if name.endswith(".dist-info/RECORD")]
    for name in records:
        files |= _described(name, files, folder, shown)
    entries = {name: entry for name, entry in path_entries(info, ()).items() if name in files}
    info["info/paths.json"] = info["info/paths.json"].with_data(described_paths(entries, files))
    return CondaArchive(files=tuple(files.values()), info=tuple(info.values()))


def _is_bytecode_of(name: str, modules: set[str]) -> bool:
    path = PurePosixPath(name)
    if path.suffix != ".pyc" or path.parent.name != "__pycache__":
        return False
    return str(path.parent.parent / path.name.partition(".")[0]) in modules


def _described(record: str, files: Mapping[str, Member], folder: Path, shown: _Shown) -> dict[str, Member]:
    """What says of a distribution where it is: ``direct_url.json``, the ``.pth`` file, ``RECORD``."""
    info = PurePosixPath(record).parent
    site = info.parent
    name = info.name.removesuffix(".dist-info").partition("-")[0]
    address = {"dir_info": {"editable": True}, "url": folder.as_uri()}
    more = {f"{info}/direct_url.json": json.dumps(address, sort_keys=True).encode()}
    if shown.roots:
        lines = "".join(f"{folder / root}\n" for root in shown.roots)
        # hatchling's name for it, which the reference's own projects look for
        more[f"{site}/_editable_impl_{name}.pth"] = lines.encode()
    rows: list[list[str]] = []
    for row in csv.reader(io.StringIO(files[record].data.decode("utf-8"))):
        path = f"{site}/{row[0]}" if row else ""
        if not row or (path not in files and not row[0].startswith("..")) or path in more:
            continue
        rows.append([row[0], "", ""] if path in shown.links else row)
    for path, data in more.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append([str(PurePosixPath(path).relative_to(site)), f"sha256={digest}", str(len(data))])
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(sorted(rows))
    written = {record: files[record].with_data(target.getvalue().encode())}
    return written | {path: Member(name=path, data=data) for path, data in more.items()}
