"""The process that carries out one build job: ``python -m smelt.build.worker JOB.json [DESCRIPTOR]``.

It leads a process group of its own and dies, with all that it started, when the process that started it is gone.
Standard output holds one JSON object a line: ``{"log": text}`` while the build runs, at the end ``{"result": …}`` or
``{"error": …}``. The whole log is a file beside the job. What rattler-build and its children write to their own output
goes to that log too.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from smelt.build.engine import BuildFailed, run_engine
from smelt.build.environment import (
    build_prefix,
    canonical_paths,
    host_prefix,
    provide_customization,
    provide_tools,
    python_of,
)
from smelt.build.job import JobSpec, Placement, read_job
from smelt.build.unpacked import unpacked_exports
from smelt.errors import BuildError, SmeltError
from smelt.scheduler.guard import keep_lifeline

if TYPE_CHECKING:
    from smelt.archive import Member
    from smelt.build.tree import Resumed


def main(arguments: Sequence[str]) -> int:
    """Carry out the job of the file given; exit code 0 with a result, 1 with an error.

    A descriptor may be given with it: a lock that is ours as long as we are, and nobody's that we start.
    """
    for descriptor in arguments[1:]:
        os.set_inheritable(int(descriptor), False)
    keep_lifeline()
    os.umask(0o022)
    spec, placement = read_job(Path(arguments[0]))
    with placement.log.open("w", encoding="utf-8", errors="replace") as log:
        events = Events(_divert_output(log), log)
        try:
            events.send({"result": run_job(spec, placement, events)})
            return 0
        except BuildFailed as error:
            events.fail("build-failed", str(error))
        except SmeltError as error:
            events.fail(error.kind, error.message, error.notes, error.help)
        except Exception as error:  # noqa: BLE001 - told to the parent, which raises it as an error of the build
            import traceback

            events.line("".join(traceback.format_exception(error)))
            events.fail("worker", f"{type(error).__name__}: {error}")
    return 1


def _divert_output(log: IO[str]) -> int:
    """Keep standard output for events, where no child can write; give its number to the log."""
    events = os.dup(1)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    # the interpreter of rattler-build's children must not see the environment of ours
    os.environ.pop("PYTHONPATH", None)
    return events


class Events:
    """What the parent is told, and rattler-build's progress callback (``on_log``)."""

    def __init__(self, descriptor: int, log: IO[str]) -> None:
        self._descriptor = descriptor
        self._log = log

    def send(self, event: Mapping[str, Any]) -> None:
        """One event. The process ends where nobody listens any more."""
        data = json.dumps(event).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]

    def fail(self, kind: str, message: str, notes: Sequence[str] = (), help: str | None = None) -> None:
        """The last event of a job that failed."""
        self.send({"error": {"kind": kind, "message": message, "notes": list(notes), "help": help}})

    def line(self, text: str) -> None:
        """Lines of the log."""
        text = text.rstrip("\n")
        self._log.write(text + "\n")
        self._log.flush()
        for line in text.split("\n"):
            self.send({"log": line})

    def on_log(self, event: Any) -> None:
        """A line from rattler-build or from the build script."""
        # advice to run the script again, in a folder that will be gone
        if not event.message.lstrip().startswith("Script execution failed."):
            self.line(event.message)


def run_job(spec: JobSpec, placement: Placement, events: Events) -> dict[str, Any]:
    """Stage the source, run rattler-build, check what it did to shared files, and write the artifact.

    Gives ``{"archive": path, "index": index.json, "run_exports": run_exports.json, "undeclared": lines}``.
    Raises BuildFailed, SmeltError, OSError.
    """
    folder, output = placement.folder, placement.output
    output.mkdir()
    for path in (output / "home", output / "t", folder / "artifact"):
        path.mkdir()
    provide_tools(output / "tools")
    provide_customization(output / "python")
    source = output / "source"
    _stage_source(spec, placement, source)
    started = time.time_ns()
    prefix = host_prefix(output, spec.name)
    target = folder / "artifact" / f"{spec.name}-{spec.version}-{spec.build}.conda"
    if placement.sandboxed:
        _enter_sandbox(placement)
    if spec.foreign is not None:
        from smelt.build.foreign import build_by_backend

        archive = build_by_backend(spec, placement, source, events.line)
        _check_shared_files((build_prefix(output, spec.name), prefix), started)
        return _normalise(spec, placement, archive, target, prefix, events)
    channels = _write_channels(spec, folder / "channels", placement.package_cache)
    recipe = _with_folders(spec.recipe, {"@source@": str(source), "@output@": str(output)})
    recipe_folder = source / spec.recipe_folder if spec.recipe_folder is not None else output / "recipe"
    recipe_folder.mkdir(parents=True, exist_ok=True)
    if placement.compiler_cache is not None:
        from smelt.build.compiler_cache import CompilerCache, with_compiler_cache

        recipe = with_compiler_cache(recipe, CompilerCache.from_dict(placement.compiler_cache), output / "tools")
    started = time.time_ns()
    resumed = _resume(spec, placement, source, events)
    seeding = None
    if placement.staged is not None:
        from smelt.build.staged import Seeding

        seeding = Seeding(placement.staged, output, folder, spec.name, events)
    try:
        archive = run_engine(
            recipe,
            recipe_folder=recipe_folder,
            variant=spec.variant,
            subdir=spec.host_subdir,
            build_subdir=spec.build_subdir,
            revision3=spec.revision3,
            channels=channels,
            output=output,
            progress=events if seeding is None else seeding,
        )
    except BuildFailed:
        if resumed is not None and placement.kept is not None:
            from smelt.build.tree import keep

            # rattler-build worked on a copy: this is the tree as it was
            keep(placement.kept, placement.kept_key, resumed.place, resumed.files)
        raise
    if seeding is not None and seeding.failure is not None:
        raise seeding.failure
    if seeding is not None and not seeding.used:
        raise BuildError("rattler-build did not ask for the staging output", code="staging-lost")
    _check_shared_files((build_prefix(output, spec.name), prefix), started)
    if spec.stages:
        from smelt.build.staged import pack_staged

        staged = target.with_suffix(".tar.zst")
        pack_staged(output, folder, spec.name, staged, spec.timestamp)
        return {"archive": str(staged), "index": {}, "run_exports": {}, "undeclared": []}
    result = _normalise(spec, placement, archive, target, prefix, events)
    if placement.kept is not None and spec.build_tree is not None and spec.source is not None:
        from smelt.build.tree import keep, seen

        work = output / "bld" / f"rattler-build_{spec.name}" / "work"
        keep(placement.kept, placement.kept_key, work / spec.build_tree, seen(spec.source))
    return result


def _resume(spec: JobSpec, placement: Placement, source: Path, events: Events) -> Resumed | None:
    """Go on with what the last build left, where that is wanted. The log says so."""
    if placement.kept is None or not placement.resume or spec.build_tree is None or spec.source is None:
        return None
    from smelt.build.tree import resume

    resumed = resume(placement.kept, placement.kept_key, spec.build_tree, source, spec.source)
    if resumed is not None:
        changed = ", ".join(resumed.changed[:5]) + (" …" if len(resumed.changed) > 5 else "")
        events.line(f"goes on with the tree of the last build; changed since: {changed or 'nothing'}")
    return resumed


def _enter_sandbox(placement: Placement) -> None:
    """From here on there is no network, and of the user's home folder nothing but what builds need."""
    from smelt.build.sandbox import enter, refused

    ours = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parent.parent]
    needed = [placement.folder, placement.package_cache, *ours, *placement.visible]
    if placement.tool is not None:
        # one that the user puts in the place of a backend may be anywhere
        needed.append(Path(placement.tool["command"]).parent)
    if placement.compiler_cache is not None:
        needed += [Path(placement.compiler_cache[key]) for key in ("folder", "program")]
    try:
        enter([] if placement.home is None else [placement.home], needed)
    except OSError as error:
        raise refused(str(error.strerror or error)) from error


def _stage_source(spec: JobSpec, placement: Placement, target: Path) -> None:
    """Exactly the files that the key covers, with plain modes and one time: what is newer must not matter."""
    if spec.source is None:
        shutil.copytree(placement.checkout, target, symlinks=True)
    else:
        from smelt.source.tree import TreeDigest, TreeFile, export_tree

        files = tuple(TreeFile(path=file.path, kind=file.kind, sha256=file.sha256) for file in spec.source)
        target.mkdir()
        export_tree(placement.checkout, TreeDigest(digest="", index_path=Path(), files=files), target)
    times = (spec.timestamp, spec.timestamp)
    for folder, folders, files in os.walk(target, topdown=False):
        for name in (*files, *folders):
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
                os.utime(path, times)
            elif os.utime in os.supports_follow_symlinks:
                os.utime(path, times, follow_symlinks=False)
    os.utime(target, times)


def _write_channels(spec: JobSpec, folder: Path, cache: Path) -> list[str]:
    """The pinned channels as folders.

    A lock does not hold run-exports: those that count and are not known are read from the unpacked packages, or else
    rattler-build would ask the channel for them.
    """
    urls: list[str] = []
    for index, subdirs in enumerate(spec.channels):
        channel = folder / f"c{index}"
        for subdir, repodata in subdirs.items():
            for kind in ("packages", "packages.conda"):
                for entry in repodata[kind].values():
                    if "run_exports" not in entry:
                        exports = unpacked_exports(cache, entry["name"], entry["version"], entry["build"])
                        if exports is not None:
                            entry["run_exports"] = exports
            (channel / subdir).mkdir(parents=True)
            (channel / subdir / "repodata.json").write_text(json.dumps(repodata), encoding="utf-8")
        urls.append(channel.as_uri())
    return urls


def _with_folders(value: Any, folders: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for token, folder in folders.items():
            value = value.replace(token, folder)
        return value
    if isinstance(value, dict):
        return {key: _with_folders(item, folders) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_with_folders(item, folders) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _check_shared_files(prefixes: Sequence[Path], started: int) -> None:
    """No build may write into its dependencies: their files are links into the cache that all environments share.

    A shared file that changed is taken out of the cache with its whole package. Raises BuildError
    (``shared-file-changed``).
    """
    changed: list[tuple[Path, Path]] = []
    for prefix in prefixes:
        pending = [str(prefix)] if prefix.is_dir() else []
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        stat = entry.stat(follow_symlinks=False)
                        if stat.st_nlink > 1 and stat.st_mtime_ns >= started:
                            changed.append((prefix, Path(entry.path)))
    if not changed:
        return
    names: list[str] = []
    for prefix, path in changed:
        name = path.relative_to(prefix).as_posix()
        names.append(f"{name} ({_evict(prefix, name) or 'of no package'})")
    raise BuildError(
        "the build script changed files of its own dependencies",
        code="shared-file-changed",
        notes=[
            "\n".join(names),
            "they are shared with other environments through the package cache; the packages are taken out of the "
            "cache, environments that hold them may have to be installed anew",
        ],
        help="copy a file before changing it, and put the copy in its place",
    )


def _evict(prefix: Path, name: str) -> str | None:
    """Take the package that owns a file out of the package cache; its name."""
    for record in sorted((prefix / "conda-meta").glob("*.json")):
        data: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        if name in data.get("files", ()):
            cached: str | None = data.get("extracted_package_dir") or data.get("link", {}).get("source")
            if cached:
                shutil.rmtree(cached, ignore_errors=True)
            return f"{data.get('name')} {data.get('version')}"
    return None


def _normalise(
    spec: JobSpec, placement: Placement, archive: Path, target: Path, prefix: Path, events: Events
) -> dict[str, Any]:
    from smelt.build.normalise import NormalRequest, normalise
    from smelt.build.undeclared import surroundings, undeclared

    output = placement.output
    lines: list[str] = []

    def inspect(members: Sequence[Member]) -> None:
        foreign = {placement.checkout: "the folder of the source code", Path(sys.prefix): "the folder of smelt"}
        if placement.home is not None:
            foreign[placement.home] = "the home folder"
        prefixes = (prefix, build_prefix(output, spec.name))
        placeholder = canonical_paths(output, prefix)[0].in_text
        lines.extend(undeclared(members, surroundings(prefixes, placeholder, foreign)))
        for line in lines:
            events.line(f"undeclared: {line}")

    def compile_modules(members: Sequence[Member], unsuited: frozenset[str]) -> Sequence[Member]:
        from smelt.build.bytecode import compile_modules as compiled

        found, complaints = compiled(
            members,
            interpreter=interpreter or python_of(prefix),
            scratch=output / "bytecode",
            environment={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
            excluded=spec.uncompiled,
            unsuited=unsuited,
        )
        for line in complaints:
            events.line(f"not compiled: {line}")
        return found

    interpreter = _interpreter(spec, build_prefix(output, spec.name), prefix)
    index, run_exports = normalise(
        NormalRequest(
            archive=archive,
            target=target,
            paths=canonical_paths(output, prefix),
            timestamp=spec.timestamp,
            depends=spec.depends,
            constrains=spec.constrains,
            compile_modules=compile_modules if spec.compiles_python and interpreter is not None else None,
            inspect=inspect,
        )
    )
    return {"archive": str(target), "index": index, "run_exports": run_exports, "undeclared": lines}


def _interpreter(spec: JobSpec, build: Path, host: Path) -> Path | None:
    """The Python that compiles modules: that of the host environment, or one of the same version that runs here."""
    if spec.host_subdir == spec.build_subdir:
        return python_of(host) if python_of(host).is_file() else None
    wanted, found = _python_version(host), _python_version(build)
    return python_of(build) if wanted is not None and wanted == found and python_of(build).is_file() else None


def _python_version(prefix: Path) -> str | None:
    """Major and minor version of the Python of an environment."""
    for path in (prefix / "conda-meta").glob("python-*.json"):
        name, _, version = path.name.rpartition("-")[0].rpartition("-")
        if name == "python":
            return ".".join(version.split(".")[:2])
    return None


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # the runtimes of the libraries may crash in their teardown
    os._exit(code)
