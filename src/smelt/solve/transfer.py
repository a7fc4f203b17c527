"""Small files of indexes, read as a whole: what uv does not hand on to us."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from typing import IO, cast
from urllib.parse import urlsplit


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; to another host, what was meant for the first one is not sent on."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)  # pyright: ignore[reportArgumentType]
        if followed is not None and _origin(followed.full_url) != _origin(req.full_url):
            followed.remove_header("Authorization")
        return followed


def read_address(url: str, *, timeout: float, headers: Mapping[str, str] | None = None) -> bytes:
    """What is behind an address without credentials; ``headers`` are sent along.

    Raises urllib's HTTPError, OSError also where the connection breaks or the address makes no sense.
    """
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "smelt", **(headers or {})})
        with urllib.request.build_opener(_Redirects).open(request, timeout=timeout) as answer:
            return cast("bytes", answer.read())
    except HTTPException as error:
        raise ConnectionError(f"the connection broke ({error})") from error
    except ValueError as error:
        raise OSError(str(error)) from error


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
