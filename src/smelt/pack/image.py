"""A pack as a container image: an OCI image layout, as a folder that is brought up to date or as one archive.

The image holds the environment ready to run (``smelt.pack.layers``). Source: OCI image specification 1.1; the archive
has the list of ``docker load`` too.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from smelt import __version__
from smelt.errors import PackError, UsageError
from smelt.fs import remove_tree, replace_folder, staging_folder
from smelt.pack.activation import activation
from smelt.pack.condameta import history
from smelt.pack.entry import Entry
from smelt.pack.imagebase import BaseImage, read_base
from smelt.pack.layers import KEY, Layer, WrittenLayer, known_layers, layer, layers, provide
from smelt.pack.layout import CONFIG, LAYER, MANIFEST, REFERENCE, check_ours, finish, images, read_json, store_json
from smelt.pack.linked import Part, link
from smelt.pack.model import PackContent, PackReporter
from smelt.pack.output import alone, output_stream, unwritable
from smelt.pack.tarball import MTIME

PREFIX = "/opt/env"
"""Where the environment is in an image, if nothing else is said."""

MOST_LAYERS = 127
ENTRYPOINT = "share/smelt/entrypoint"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MACHINES: Mapping[str, tuple[str, str | None]] = {
    "linux-64": ("amd64", None),
    "linux-32": ("386", None),
    "linux-aarch64": ("arm64", None),
    "linux-armv6l": ("arm", "v6"),
    "linux-armv7l": ("arm", "v7"),
    "linux-ppc64le": ("ppc64le", None),
    "linux-s390x": ("s390x", None),
    "linux-riscv64": ("riscv64", None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """How the image is made. ``prefix``: where the environment is in it. ``base``: an image beneath it (a layout)."""

    prefix: str = PREFIX
    base: Path | None = None


def write_image(
    content: PackContent, target: Path | IO[bytes], reporter: PackReporter, options: ImageOptions | None = None
) -> int:
    """Bring the layout in the folder ``target`` up to date; the bytes of this environment's image.

    The images of other environments in it stay. Layers that are there are not written again, and blobs that no image
    has are removed. ``index.json`` is replaced last, so that at any time the layout holds whole images. Raises
    PackError (``pack-output``, ``pack-image``, ``pack-image-base``, ``pack-package``), UsageError,
    InstallError (``hash-mismatch``), ChannelError (``bad-wheel``), OSError.
    """
    if not isinstance(target, Path):
        raise UsageError("a folder cannot be written to a stream", help="name a folder, or use `--format oci-archive`")
    options = options or ImageOptions()
    names = {REFERENCE: reference(content.environment)}
    try:
        with alone(target, reporter):
            if not target.exists():
                with staging_folder(target) as staging:
                    size = _fill(content, staging, reporter, options, names)
                    replace_folder(staging, target)
                return size
            check_ours(target)
            return _fill(content, target, reporter, options, names)
    except OSError as error:
        raise unwritable(target, error) from error


def write_image_archive(
    content: PackContent, target: Path | IO[bytes], reporter: PackReporter, options: ImageOptions | None = None
) -> int:
    """Write the layout as one tar, which ``docker load`` and ``podman load`` take; its size. Raises as ``write_image``.

    The layers are put together in the folder of temporary files.
    """
    folder = Path(tempfile.mkdtemp(prefix="smelt-image-"))
    try:
        with output_stream(target) as out:
            name = f"{reference(content.workspace)}:{reference(content.environment)}"
            names = {REFERENCE: name, "io.containerd.image.name": f"docker.io/library/{name}"}
            _fill(content, folder, reporter, options or ImageOptions(), names)
            (folder / "manifest.json").write_bytes(_docker_list(folder, name))
            return _write_archive(folder, out)
    finally:
        remove_tree(folder)


def _docker_list(folder: Path, name: str) -> bytes:
    manifest = read_json(folder, str(images(folder)[0]["digest"]))

    def path(described: Mapping[str, object]) -> str:
        return "blobs/" + str(described["digest"]).replace(":", "/")

    listed = {
        "Config": path(manifest["config"]),
        "RepoTags": [name],
        "Layers": [path(each) for each in manifest["layers"]],
    }
    return json.dumps([listed], sort_keys=True).encode()


def _write_archive(folder: Path, out: IO[bytes]) -> int:
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, bufsize=1 << 18) as tar:
        for path in sorted(folder.rglob("*")):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.mtime = MTIME
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                entry.size, entry.mode = path.stat().st_size, 0o644
                with path.open("rb") as file:
                    tar.addfile(entry, file)
    return -(-tar.offset // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def reference(text: str) -> str:
    """``text`` as a name or tag of an image may be: small letters, digits and single ``.``, ``_``, ``-``."""
    return re.sub(r"[._-]*[^a-z0-9._-]+[._-]*|[._-]{2,}", "-", text.lower())[:100].strip("._-") or "environment"


def _fill(
    content: PackContent, folder: Path, reporter: PackReporter, options: ImageOptions, names: Mapping[str, str]
) -> int:
    machine = _checked(content, options.prefix)
    with tempfile.TemporaryDirectory(prefix="smelt-base-") as scratch:
        base = read_base(options.base, Path(scratch), machine) if options.base is not None else None
        if base is None:
            reporter.warning(
                "the image holds the environment alone, without a C library or a shell: put it onto another image "
                "(`--image-base`, or `COPY --from` in a Dockerfile)"
            )
        parts = link(content)
        _check_lengths(parts, options.prefix)
        wanted = [*layers(parts, content.shared, options.prefix), _top(content, parts, options.prefix)]
        count = len(wanted) + len(base.layers if base is not None else ())
        if count > MOST_LAYERS:
            raise PackError(
                f"the image would have {count} layers, and no runtime takes more than {MOST_LAYERS}",
                code="pack-image-base",
                help="squash the layers of the image beneath",
            )
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        known = known_layers(folder)
        reporter.writing(sum(part.size for part in parts))
        written: list[WrittenLayer] = []
        done = 0
        for each in wanted:
            written.append(provide(folder, each, options.prefix, known))
            done += sum(part.size for part in each.parts)
            reporter.written(done)
        if base is not None:
            base.copy_layers(folder)
        return _finish(content, folder, parts, wanted, written, base, options.prefix, machine, names)


def _checked(content: PackContent, prefix: str) -> tuple[str, str | None]:
    """The machine of the image."""
    parts = PurePosixPath(prefix).parts
    plain = len(parts) > 1 and ".." not in parts and prefix == "/" + "/".join(parts[1:])
    if not plain or not re.fullmatch(r"[A-Za-z0-9_./+-]+", prefix):
        raise UsageError(
            f"`{prefix}` cannot be the place of the environment in an image",
            help="name an absolute path of letters, digits and `._+-`, such as /opt/env",
        )
    machine = _MACHINES.get(content.platform)
    if machine is None:
        raise PackError(
            f"there are no container images for {content.platform}",
            code="pack-image",
            help="pack the environment for Linux (`--platform linux-64`)",
        )
    return machine


def _check_lengths(parts: Sequence[Part], prefix: str) -> None:
    for part in parts:
        if part.shortest is not None and part.shortest < len(prefix):
            raise PackError(
                f"{part.name} cannot be at {prefix}: its binaries have room for {part.shortest} characters",
                code="pack-image",
                help="choose a shorter `--image-prefix`",
            )


def _top(content: PackContent, parts: Sequence[Part], prefix: str) -> Layer:
    """What belongs to the environment as a whole: history, the way in, further files such as a bill of materials."""
    extra = [history(content)]
    extra += [Entry.of(f"share/smelt/{file.name}", file.data) for file in content.extra if file.data is not None]
    scripts = activation(parts).scripts
    if scripts:
        lines = [f"#!{_shell(parts, prefix)}", "# what the packages want to be done before anything runs"]
        lines += [f'. "{prefix}/{name}"' for name in scripts]
        entrypoint = Entry.of(ENTRYPOINT, "\n".join([*lines, 'exec "$@"', ""]).encode())
        entrypoint.executable = True
        extra.append(entrypoint)
    return layer(f"environment {content.environment}", [], prefix, tuple(extra))


def _shell(parts: Sequence[Part], prefix: str, *names: str) -> str:
    """The first of ``bash`` and ``names`` that the environment has, else the system's shell."""
    files = {place for part in parts for place in part.files.values()}
    return next((f"{prefix}/bin/{name}" for name in ("bash", *names) if f"bin/{name}" in files), "/bin/sh")


def _finish(
    content: PackContent,
    folder: Path,
    parts: Sequence[Part],
    wanted: Sequence[Layer],
    written: Sequence[WrittenLayer],
    base: BaseImage | None,
    prefix: str,
    machine: tuple[str, str | None],
    names: Mapping[str, str],
) -> int:
    created = datetime.fromtimestamp(MTIME, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    architecture, variant = machine
    platform = {"architecture": architecture, "os": "linux"} | ({"variant": variant} if variant else {})
    config: dict[str, Any] = {
        **platform,
        "created": created,
        "config": _running(content, parts, wanted[-1], base, prefix),
        "rootfs": {
            "type": "layers",
            "diff_ids": [*(base.diff_ids if base is not None else ()), *(each.diff_id for each in written)],
        },
        "history": [
            *(base.history if base is not None else ()),
            *({"created": created, "created_by": f"smelt pack: {each.title}"} for each in wanted),
        ],
    }
    own = [
        {
            "mediaType": LAYER,
            "digest": done.digest,
            "size": done.size,
            "annotations": {KEY: done.key, "org.opencontainers.image.title": each.title},
        }
        for done, each in zip(written, wanted, strict=True)
    ]
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": store_json(folder, config, CONFIG),
        "layers": [*(base.layers if base is not None else ()), *own],
    }
    described = store_json(folder, manifest, MANIFEST)
    finish(folder, {**described, "platform": platform, "annotations": dict(names)})
    return sum(int(each["size"]) for each in (described, manifest["config"], *manifest["layers"]))


def _running(
    content: PackContent, parts: Sequence[Part], top: Layer, base: BaseImage | None, prefix: str
) -> dict[str, Any]:
    """What a container of the image runs, and with which variables."""
    running: dict[str, Any] = dict(base.config.get("config") or {}) if base is not None else {}
    variables: dict[str, str] = {}
    for each in running.get("Env") or ():
        name, _, value = str(each).partition("=")
        variables[name] = value
    variables |= {
        "PATH": f"{prefix}/bin:{variables.get('PATH', _PATH)}",
        "CONDA_PREFIX": prefix,
        "CONDA_DEFAULT_ENV": content.environment,
        "CONDA_SHLVL": "1",
        **activation(parts).variables,
    }
    running["Env"] = [f"{key}={value}" for key, value in variables.items()]
    running.pop("Entrypoint", None)
    if any(entry.path == ENTRYPOINT for entry in top.extra):
        running["Entrypoint"] = [f"{prefix}/{ENTRYPOINT}"]
    running["Cmd"] = [_shell(parts, prefix, "sh", "python")]
    running.setdefault("WorkingDir", "/")
    running["Labels"] = {
        **(running.get("Labels") or {}),
        "org.opencontainers.image.title": f"{content.workspace}:{content.environment}",
        "io.smelt.platform": content.platform,
        "io.smelt.version": __version__,
    }
    return running
