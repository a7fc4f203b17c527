"""Objects in a bucket that speaks S3, as files: whole objects are read and written, nothing is listed or locked.

The adapter to ``obstore`` (the extra ``smelt[s3]``), imported when a bucket is used. What it reads of the environment:
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, and the
credentials of the machine (containers, instances) where there are none.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

_RETRIES = 3


class BucketError(OSError):
    """The bucket does not answer, or refuses; the text says which. Without secrets."""


class ExtraMissingError(ImportError):
    """``obstore`` is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketOptions:
    """Where a bucket is and who asks. ``prefix``: before every key, without slashes at its ends.

    What is None is left to the environment. ``path_style``: the bucket is in the path of addresses, not in the host.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    path_style: bool = False
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    timeout: int = 300

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


class Bucket:
    """The objects below one prefix. Every method raises BucketError, the first one used also ExtraMissingError."""

    def __init__(self, options: BucketOptions) -> None:
        self.options = options
        self._opened: Any = None

    def read(self, key: str) -> bytes | None:
        """An object; None if there is none."""
        with self._explained(key) as engine:
            try:
                return bytes(engine.get(self._store(), key).bytes())
            except (FileNotFoundError, engine.exceptions.NotFoundError):
                return None

    def fetch(self, key: str, target: Path) -> bool:
        """Write an object into the file ``target``; False if there is none. Also raises OSError."""
        with self._explained(key) as engine:
            try:
                found = engine.get(self._store(), key)
            except (FileNotFoundError, engine.exceptions.NotFoundError):
                return False
            with target.open("wb") as file:
                for chunk in found.stream(min_chunk_size=1 << 20):
                    file.write(chunk)
            return True

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        with self._explained(key) as engine:
            try:
                engine.head(self._store(), key)
            except (FileNotFoundError, engine.exceptions.NotFoundError):
                return False
            return True

    def write(self, key: str, content: bytes | Path, *, replace: bool = True) -> bool:
        """Write an object as a whole; without ``replace``, False if there is one, which stays (also in a race)."""
        with self._explained(key) as engine:
            try:
                # Not in parts: only then can the server refuse to replace.
                options: dict[str, Any] = {} if replace else {"mode": "create", "use_multipart": False}
                engine.put(self._store(), key, content, **options)
            except (FileExistsError, engine.exceptions.AlreadyExistsError):
                return False
            return True

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        with self._explained(key) as engine:
            try:
                engine.delete(self._store(), key)
            except (FileNotFoundError, engine.exceptions.NotFoundError):
                return

    def _store(self) -> Any:
        if self._opened is None:
            from obstore.store import S3Store

            options = self.options
            given: dict[str, Any] = {
                "endpoint": options.endpoint,
                "region": options.region,
                "access_key_id": options.access_key,
                "secret_access_key": options.secret_key,
                "session_token": options.session_token,
            }
            self._opened = S3Store(
                options.bucket,
                prefix=options.prefix or None,
                virtual_hosted_style_request=not options.path_style,
                client_options={"allow_http": True, "timeout": f"{options.timeout}s", "connect_timeout": "20s"},
                retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=options.timeout)},
                **{key: value for key, value in given.items() if value is not None},
            )
        return self._opened

    @contextmanager
    def _explained(self, key: str) -> Generator[Any]:
        try:
            import obstore
        except ImportError as error:
            raise ExtraMissingError(str(error)) from error
        engine: Any = obstore
        try:
            yield engine
        except (engine.exceptions.BaseError, FileNotFoundError, ValueError) as error:
            raise BucketError(f"{self.options.url}/{key}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    """What went wrong, without obstore's debug output of the whole exchange."""
    text = str(error).strip().partition("\n")[0]
    return text if len(text) <= 400 else f"{text[:400]}…"
