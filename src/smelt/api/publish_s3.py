"""A channel in a bucket: packages are uploaded, then rattler writes the index."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from smelt.api.publish_target import Delivered, Existing, Say, exists, skipped
from smelt.build.model import Artifact
from smelt.config.buckets import bucket_options
from smelt.config.network import Network
from smelt.errors import ChannelError, NotSupportedError
from smelt.fs.bucket import Bucket, BucketError, BucketOptions, ExtraMissingError
from smelt.types import NOARCH


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketChannel:
    """``s3://bucket/channel``; needs the extra ``smelt[s3]``."""

    url: str
    network: Network
    kind: Literal["channel", "directory"] = "channel"

    @property
    def label(self) -> str:
        """The address as it was given."""
        return self.url

    def check(self) -> None:
        """Raise NotSupportedError without the extra, ConfigError for a wrong address, ChannelError if it is refused."""
        bucket = Bucket(bucket_options(self.url, self.network))
        with _explained(self.url):
            bucket.exists(f"{NOARCH}/repodata.json")

    def deliver(self, artifacts: Sequence[Artifact], existing: Existing, say: Say) -> tuple[Delivered, ...]:
        """Upload the packages and have the index written, also of those that came before one that failed."""
        options = bucket_options(self.url, self.network)
        bucket = Bucket(options)
        done: list[Delivered] = []
        with _explained(self.url):
            if not bucket.exists(f"{NOARCH}/repodata.json"):
                bucket.write(f"{NOARCH}/repodata.json", _EMPTY, replace=False)
            try:
                for each in artifacts:
                    done.append(_upload(bucket, each, existing, say))
            finally:
                new = [each.artifact for each in done if not each.skipped]
                if new:
                    asyncio.run(self._index(options, sorted({a.record.subdir for a in new}), existing == "replace"))
        return tuple(done)

    async def _index(self, options: BucketOptions, subdirs: Sequence[str], replaced: bool) -> None:
        from rattler import exceptions
        from rattler.config import Config
        from rattler.index.index import S3Credentials, index_s3
        from rattler.platform import Platform

        credentials: Any = None
        if options.endpoint is not None or options.access_key is not None:
            credentials = S3Credentials(
                endpoint_url=options.endpoint or f"https://s3.{options.region or 'us-east-1'}.amazonaws.com",
                region=options.region or "us-east-1",
                access_key_id=options.access_key or _environment("AWS_ACCESS_KEY_ID"),
                secret_access_key=options.secret_key or _environment("AWS_SECRET_ACCESS_KEY"),
                session_token=options.session_token or _environment("AWS_SESSION_TOKEN"),
                addressing_style="path" if options.path_style else "virtual-host",
            )
        failures: Any = (exceptions.IoError, RuntimeError, ValueError)
        config: Any = Config.from_toml(self.network.rattler) if self.network.rattler else None
        for subdir in subdirs:
            try:
                await index_s3(
                    options.url,
                    credentials,
                    target_platform=Platform(subdir),  # pyright: ignore[reportArgumentType]
                    force=replaced,  # what was replaced under its old name must be read anew
                    config=config,
                )
            except failures as error:
                raise ChannelError(
                    f"the packages are in {self.url}, and its index cannot be written: {error}",
                    code="target-unusable",
                    help="publish again with --force: that writes the index anew",
                ) from error


_EMPTY = b'{"info": {"subdir": "noarch"}, "packages": {}, "packages.conda": {}, "removed": [], "repodata_version": 1}\n'


def _environment(name: str) -> str | None:
    import os

    return os.environ.get(name) or None


def _upload(bucket: Bucket, artifact: Artifact, existing: Existing, say: Say) -> Delivered:
    key = f"{artifact.record.subdir}/{artifact.path.name}"
    if bucket.write(key, artifact.path, replace=existing == "replace"):
        return Delivered(artifact=artifact)
    there = bucket.read(key)
    same = there is not None and hashlib.sha256(there).hexdigest() == artifact.record.sha256
    if existing == "fail":
        raise exists(f"{bucket.options.url}/{key}", same=same)
    say(skipped(artifact.path.name, same=same))
    return Delivered(artifact=artifact, skipped=True)


@contextmanager
def _explained(url: str) -> Generator[None]:
    try:
        yield
    except ExtraMissingError as error:
        raise NotSupportedError(
            f"{url} is in a bucket, and smelt was installed without what it needs for that",
            help="install the extra `s3` (`pip install 'smelt[s3]'`)",
        ) from error
    except BucketError as error:
        raise ChannelError(
            f"the bucket cannot be used: {error}",
            code="target-unusable",
            help="see `[s3-options]` (endpoint-url, region, force-path-style), and the credentials: AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, or those stored for the bucket",
        ) from error
