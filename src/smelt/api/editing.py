"""Changing the manifest of a workspace, with its lock and its environment.

An edit is decided in memory: the new manifest must mean something and must be solvable before a file is touched.
So what ends in an unsolvable workspace leaves manifest and lock as they are, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.api.on_demand import model_of
from smelt.api.workspace import Workspace
from smelt.errors import ErrorGroup, ManifestError
from smelt.fs import hold, write_bytes
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.scope import Scope
from smelt.manifest.manifest import manifest_kind
from smelt.manifest.platform import selects
from smelt.manifest.script import require_script
from smelt.text import shown_path
from smelt.types import CondaRecord, current_platform, normalize_name
from smelt.workspace.discovery import FoundManifest, find_workspace
from smelt.workspace.load import workspace_of
from smelt.workspace.model import Workspace as Model
from smelt.workspace.script import changed_text, script_file

if TYPE_CHECKING:
    from smelt.lock.diff import LockDiff
    from smelt.lock.model import Lock

Pair = tuple[str, str]
Pin = Callable[["Lock", ManifestText], ManifestText]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditOptions:
    """What is to follow an edit.

    ``lock``: solve what it changed; ``install``: then install the environment ``default``, if it is the only one and
    supports this machine. ``unlock``: names of packages that need not stay at their locked version in ``only`` these
    environment × platform pairs. ``pin``: changes the manifest once more, when the solution is known. ``dry_run``:
    solve, and write nothing.
    """

    lock: bool = True
    install: bool = True
    unlock: Collection[str] = ()
    only: Collection[Pair] | None = None
    pin: Pin | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A workspace after an edit. ``difference``: of the lock; None if nothing was solved."""

    workspace: Workspace
    manifest: ManifestText
    difference: LockDiff | None = None
    changed: bool = True


@dataclass(slots=True, kw_only=True)
class ManifestEditor:
    """Edits of one workspace's manifest. ``manifest``: as it is in the file."""

    workspace: Workspace
    manifest: ManifestText
    _raw: bytes = field(repr=False)

    @classmethod
    def open(cls, workspace: Workspace) -> ManifestEditor:
        """The manifest of ``workspace``. Raises ManifestError."""
        path = workspace.model.manifest_path
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise ManifestError(
                f"could not read {path}: {error.strerror or error}", code="manifest-unreadable"
            ) from error
        if workspace.model.state is not None:
            script = require_script(raw.decode("utf-8"), shown_path(path))
            manifest = ManifestText.parse(script.pyproject, "pyproject", shown_path(path))
        else:
            manifest = ManifestText.parse(raw.decode("utf-8"), manifest_kind(path), shown_path(path))
        return cls(workspace=workspace, manifest=manifest, _raw=raw)

    def model(self, manifest: ManifestText) -> Model:
        """What ``manifest`` means. Raises ManifestError or ErrorGroup for one that means nothing."""
        model = self.workspace.model
        path = model.manifest_path
        if model.state is not None:
            channels = self.workspace.settings.default_channels
            changed = replace(script_file(path), text=self._bytes(manifest).decode("utf-8"))
            return workspace_of(changed.found(channels, lock=model.lock_file == changed.lock_path))
        return model_of(FoundManifest(path=path, kind=manifest.kind, document=manifest.document))

    def _bytes(self, manifest: ManifestText) -> bytes:
        """What the file holds where ``manifest`` is what it means."""
        if self.workspace.model.state is None:
            return manifest.text.encode("utf-8")
        return changed_text(self._raw.decode("utf-8"), manifest.text, manifest.shown).encode("utf-8")

    def write(self, manifest: ManifestText) -> Edited:
        """Put ``manifest`` in the place of the file, if it means something; the lock is not looked at.

        Raises ManifestError.
        """
        workspace = self._workspace(manifest)
        if manifest.text == self.manifest.text:
            return Edited(workspace=workspace, manifest=manifest, changed=False)
        self._check_unchanged()
        self._replace(self._bytes(manifest))
        return Edited(workspace=workspace, manifest=manifest)

    def commit(self, manifest: ManifestText, options: EditOptions) -> Edited:
        """Solve ``manifest``, then write it and its lock, then install.

        If any of this fails, manifest and lock are as they were. Raises what locking and installing raise.
        """
        if not options.lock:
            return self.write(manifest)
        solved = self._workspace(manifest)
        only = options.only if options.unlock else None
        result = solved.lock(dry_run=True, unlock=options.unlock, only=only, platforms="locked")
        if options.pin is not None:
            manifest = options.pin(result.lock, manifest)
        workspace = self._workspace(manifest)
        changed = manifest.text != self.manifest.text
        if options.dry_run:
            return Edited(workspace=workspace, manifest=manifest, difference=result.difference, changed=changed)
        old_lock = self._write_both(manifest, workspace, result.lock)
        if options.install and _installable(workspace.model):
            try:
                workspace.install(mode="update")
            except BaseException:
                self._restore(manifest, old_lock)
                raise
        return Edited(
            workspace=workspace,
            manifest=manifest,
            difference=result.difference,
            changed=changed,
        )

    def _workspace(self, manifest: ManifestText) -> Workspace:
        return Workspace(self.model(manifest), self.workspace.reporters, settings=self.workspace.settings)

    def _write_both(self, manifest: ManifestText, workspace: Workspace, lock: Lock) -> bytes | None:
        """Write manifest and lock, or neither; the lock file as it was."""
        from smelt.lock.platforms import shorten
        from smelt.lock.writer import write

        model = workspace.model
        waiting = workspace.reporters.install.waiting
        with hold(model.state_folder / "smelt" / "workspace.lock", "writing the manifest", waiting):
            self._check_unchanged()
            old_lock = _read(model.lock_path)
            try:
                self._replace(self._bytes(manifest))
                write(shorten(lock, model), model.lock_path)
            except BaseException:
                self._restore(manifest, old_lock)
                raise
        return old_lock

    def _restore(self, manifest: ManifestText, old_lock: bytes | None) -> None:
        """Put manifest and lock back, unless something else was written since."""
        if _read(self.workspace.model.manifest_path) != self._bytes(manifest):
            return
        self._replace(self._raw)
        lock_path = self.workspace.model.lock_path
        if old_lock is None:
            lock_path.unlink(missing_ok=True)
        elif _read(lock_path) != old_lock:
            write_bytes(lock_path, old_lock)

    def _check_unchanged(self) -> None:
        """What was written since the manifest was read must not get lost."""
        if _read(self.workspace.model.manifest_path) != self._raw:
            raise ManifestError(
                f"{self.manifest.shown} was changed by something else in the meantime",
                code="manifest-changed",
                help="nothing was written: do it again",
            )

    def _replace(self, raw: bytes) -> None:
        path = self.workspace.model.manifest_path
        if _read(path) == raw:
            return
        try:
            write_bytes(path.resolve(), raw)
        except OSError as error:
            raise ManifestError(
                f"{shown_path(path)} cannot be written: {error.strerror or error}",
                code="manifest-unwritable",
                help="check the permissions of the file and its folder",
            ) from error


def open_manifest(path: Path | None) -> tuple[Path, ManifestText]:
    """The manifest of a workspace, also of one that means nothing yet. Raises ManifestError as ``find_workspace``."""
    found = find_workspace(path)
    text = found.path.read_bytes().decode("utf-8")
    return found.path, ManifestText.parse(text, found.kind, shown_path(found.path))


def write_unchecked(
    path: Path, old: ManifestText, new: ManifestText, *, force: bool = True
) -> ManifestError | ErrorGroup | None:
    """Write ``new``, and give the reason why it does not load, if it does not.

    Without ``force`` that reason is raised instead, if ``old`` did load.
    """
    problem = _problem(path, new)
    if problem is not None and not force and _problem(path, old) is None:
        raise problem
    if new.text != old.text:
        write_bytes(path.resolve(), new.text.encode("utf-8"))
    return problem


def _problem(path: Path, manifest: ManifestText) -> ManifestError | ErrorGroup | None:
    try:
        workspace_of(FoundManifest(path=path, kind=manifest.kind, document=manifest.document))
    except (ManifestError, ErrorGroup) as error:
        return error
    return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _installable(model: Model) -> bool:
    subdir = current_platform()
    return len(model.declared) == 1 and any(p.subdir == subdir for p in model.platforms_of("default"))


def affected_pairs(model: Model, scopes: Iterable[Scope]) -> tuple[Pair, ...]:
    """The environment × platform pairs that an edit of ``scopes`` can change: those that use them, solved together."""
    found: dict[Pair, None] = {}
    for scope in scopes:
        names = _environments(model, scope)
        groups = {model.environments[name].solve_group for name in names} - {None}
        for name, environment in model.environments.items():
            if name not in names and environment.solve_group not in groups:
                continue
            for platform in model.platforms_of(name):
                if scope.selector is None or selects(scope.selector, platform.name, platform.subdir):
                    found[name, platform.name] = None
    return tuple(found)


def _environments(model: Model, scope: Scope) -> frozenset[str]:
    if scope.environment is not None:
        return frozenset({scope.environment} & model.environments.keys())
    feature = scope.feature or "default"
    return frozenset(name for name, each in model.environments.items() if feature in each.features)


def locked_versions(lock: Lock, pairs: Iterable[Pair], name: str, *, pypi: bool = False) -> tuple[str, ...]:
    """The versions of the binary conda package (or PyPI package) ``name`` that ``pairs`` are locked with."""
    from smelt.lock.model import PypiPackage
    from smelt.manifest.pypi import normalize_pypi_name

    found: dict[str, None] = {}
    for environment, platform in pairs:
        for package in lock.packages_of(environment, platform) or ():
            if pypi:
                if isinstance(package, PypiPackage) and normalize_pypi_name(package.name) == name and package.version:
                    found[package.version] = None
            elif isinstance(package, CondaRecord) and normalize_name(package.name) == normalize_name(name):
                found[package.version] = None
    return tuple(found)
