"""Where published packages go: a folder, a local channel, a bucket, or a server that takes uploads."""

from __future__ import annotations

import glob
import os
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from smelt.build.model import Artifact
from smelt.channel.folder import create, index, is_channel
from smelt.config.network import Network
from smelt.errors import ChannelError, UsageError
from smelt.solve.network import redacted
from smelt.types import sha256_file

Existing = Literal["skip", "fail", "replace"]
"""What is done about packages that are there already."""

_ABANDONED = 3600

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A package at its target; ``skipped``: it was there already and was left as it is."""

    artifact: Artifact
    skipped: bool = False


class Target(Protocol):
    """A place that takes packages. ``label`` is how messages call it, ``kind`` what it is."""

    @property
    def label(self) -> str:
        """The place, without credentials."""
        ...

    @property
    def kind(self) -> Literal["channel", "directory"]:
        """Whether there is an index."""
        ...

    def check(self) -> None:
        """Raise where it can be told, before anything is built, that nothing can be delivered."""
        ...

    def deliver(self, artifacts: Sequence[Artifact], existing: Existing, say: Say) -> tuple[Delivered, ...]:
        """Bring ``artifacts`` there, one after another; ``say`` is told of those that are left as they are.

        Raises ChannelError (``package-exists``) where one is there and ``existing`` is ``fail``.
        """
        ...


def target_of(text: str, network: Network, *, attestation: bool = False) -> Target:
    """The target that ``--target-channel`` names. Raises UsageError for one that is none."""
    parts = urlsplit(text)
    if len(parts.scheme) <= 1:
        return LocalChannel(folder=Path(text).absolute(), label=text)
    if parts.scheme == "file":
        return LocalChannel(folder=Path(url2pathname(unquote(parts.path))), label=text)
    if network.offline:
        raise UsageError(
            f"publishing to {redacted(text)} needs the network, and smelt is offline",
            code="offline",
            help="publish to a folder (`--target-dir`) or a local channel, or leave out `--offline`",
        )
    if parts.scheme == "s3":
        from smelt.api.publish_s3 import BucketChannel

        return BucketChannel(url=text, network=network)
    from smelt.api.publish_upload import server_of

    return server_of(text, attestation=attestation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A plain folder: no index, no folders of platforms."""

    folder: Path
    label: str
    kind: Literal["channel", "directory"] = "directory"

    def check(self) -> None:
        """Raise ChannelError where the folder cannot be made or is a file."""
        _check_folder(self.folder)

    def deliver(self, artifacts: Sequence[Artifact], existing: Existing, say: Say) -> tuple[Delivered, ...]:
        """Copy the packages there."""
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            return tuple(_copy(each, self.folder / each.path.name, existing, say) for each in artifacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalChannel:
    """A channel in a folder, made where it is not there, indexed afterwards."""

    folder: Path
    label: str
    kind: Literal["channel", "directory"] = "channel"

    def check(self) -> None:
        """Raise ChannelError where the folder cannot be made, is a file, or holds something else than a channel."""
        _check_folder(self.folder)
        if self.folder.is_dir() and any(self.folder.iterdir()) and not is_channel(self.folder):
            create(self.folder)

    def deliver(self, artifacts: Sequence[Artifact], existing: Existing, say: Say) -> tuple[Delivered, ...]:
        """Copy the packages there and write the index anew, also of those that came before one that failed."""
        create(self.folder, waiting=say)
        done: list[Delivered] = []
        with _explained(self.folder):
            try:
                for each in artifacts:
                    target = self.folder / each.record.subdir / each.path.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    done.append(_copy(each, target, existing, say))
            finally:
                if any(not each.skipped for each in done):
                    index(self.folder, waiting=say)
        return tuple(done)


def _copy(artifact: Artifact, target: Path, existing: Existing, say: Say) -> Delivered:
    """Copy one package beside its target and rename it: nobody ever sees half of it."""
    name = target.name
    if target.exists():
        same = target.is_file() and sha256_file(target) == artifact.record.sha256
        if existing == "fail":
            raise exists(str(target), same=same)
        if existing == "skip":
            say(skipped(name, same=same))
            return Delivered(artifact=artifact, skipped=True)
    for left in target.parent.glob(f".{glob.escape(name)}.*.part"):
        # of a process that was killed, unless somebody is at it right now
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    part = target.with_name(f".{name}.{os.getpid()}.part")
    try:
        shutil.copyfile(artifact.path, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Delivered(artifact=artifact)


def exists(where: str, *, same: bool) -> ChannelError:
    """The error for a package that is there and must not be."""
    what = "it has the same content" if same else "it has another content"
    return ChannelError(
        f"Package already exists at {where} ({what})",
        code="package-exists",
        help="--force overwrites it; without --no-skip-existing it is left as it is",
    )


def skipped(name: str, *, same: bool) -> str:
    """What is said of a package that is left as it is."""
    return f"Skipping '{name}' (already exists{'' if same else ' with another content; --force replaces it'})"


def _check_folder(folder: Path) -> None:
    existing = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if not existing.is_dir():
        raise ChannelError(f"{existing} is a file: packages cannot be published into it", code="target-unusable")
    if not os.access(existing, os.W_OK):
        raise ChannelError(
            f"{existing} cannot be written: packages cannot be published into {folder}", code="target-unusable"
        )


@contextmanager
def _explained(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ChannelError(
            f"{folder} cannot be written: {error.strerror or error}",
            code="target-unusable",
            notes=[str(error.filename or folder)],
            help="free some space, or correct the permissions; what was published before stays",
        ) from error
