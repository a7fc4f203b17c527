"""Archives from the network, kept by content: what is there is never fetched again."""

from __future__ import annotations

import base64
import hashlib
import netrc
import os
import re
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from smelt.config.network import Network
from smelt.errors import SourceError
from smelt.fs import hold, smelt_cache
from smelt.types import sha256_file

_ATTEMPTS = 4
_TIMEOUT = 60
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


def without_credentials(url: str) -> str:
    """``url`` as it may be written down: without user, password, and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


def file_name(url: str) -> str:
    """The name of the file behind ``url``, one that every system can have."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "archive"


def archive_path(sha256: str, url: str) -> Path:
    """Where the archive with this digest is kept."""
    return smelt_cache() / "archives" / sha256[:2] / sha256 / file_name(url)


def fetch(
    url: str, sha256: str | None = None, md5: str | None = None, network: Network | None = None
) -> tuple[Path, str]:
    """The archive behind ``url`` on disk, and its sha256.

    With ``sha256`` it is taken from the cache if it is there and whole, and must have that digest. Honours proxies,
    ``SSL_CERT_FILE``, ``netrc``, and credentials in ``url`` and in uv's index variables.
    ``network``: what the settings say of it. Raises SourceError (``download``, ``hash-mismatch``, ``offline``).
    """
    network = network or Network()
    safe = without_credentials(url)
    if sha256 is None:
        part = smelt_cache() / "archives" / "incoming" / f"{os.getpid()}-{time.monotonic_ns()}.part"
        try:
            found, found_md5 = _download(url, part, network)
            _check_md5(safe, md5, found_md5)
            target = archive_path(found, safe)
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target, found
    sha256 = sha256.lower()
    if re.fullmatch(r"[0-9a-f]{64}", sha256) is None:
        raise SourceError(f"`{sha256}` is no sha256 digest (of {safe})", code="hash-mismatch")
    target = archive_path(sha256, safe)
    if _is_whole(target, sha256):
        return target, sha256
    with hold(target.parent.with_name(f"{sha256}.lock"), f"downloading {safe}"):
        if _is_whole(target, sha256):
            return target, sha256
        part = target.with_name(f"{target.name}.part")
        try:
            found, found_md5 = _download(url, part, network)
            if found != sha256:
                raise SourceError(
                    f"{safe} is not what was expected: its sha256 is {found}, not {sha256}",
                    code="hash-mismatch",
                    help="somebody changed the archive, or the digest in the manifest or lock is wrong",
                )
            _check_md5(safe, md5, found_md5)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return target, sha256


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False


def _check_md5(url: str, expected: str | None, found: str) -> None:
    if expected is not None and expected.lower() != found:
        raise SourceError(f"{url} is not what was expected: its md5 is {found}, not {expected}", code="hash-mismatch")


def _download(url: str, part: Path, network: Network) -> tuple[str, str]:
    """Fetch ``url`` into ``part``; its sha256 and md5."""
    from urllib.error import HTTPError, URLError  # 25 ms that a workspace with all sources at hand need not pay

    safe = without_credentials(url)
    if urlsplit(url).scheme not in ("https", "http", "file"):
        raise SourceError(f"cannot download {safe}: only https, http and file addresses are supported", code="download")
    if network.offline and urlsplit(url).scheme != "file":
        raise SourceError(
            f"smelt is offline, and {safe} is not in the cache",
            code="offline",
            help="run the command once with the network (without `--offline`): what it fetches stays in the cache",
        )
    part.parent.mkdir(parents=True, exist_ok=True)
    validator: str | None = None
    for attempt in range(_ATTEMPTS):
        try:
            return _download_once(url, part, verify=network.verify, validator=validator)
        except HTTPError as error:
            if error.code in (401, 403):
                raise SourceError(
                    f"{safe} needs credentials, or does not take those given (HTTP {error.code})",
                    code="download",
                    help="put them into ~/.netrc, or into uv's index configuration",
                ) from error
            if error.code not in _TEMPORARY or attempt == _ATTEMPTS - 1:
                raise SourceError(
                    f"cannot download {safe}: HTTP {error.code} {error.reason}", code="download"
                ) from error
        except (URLError, OSError, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            local = urlsplit(url).scheme == "file" or isinstance(error, ValueError)
            if local or attempt == _ATTEMPTS - 1:
                raise SourceError(
                    f"cannot download {safe}: {reason}",
                    code="download",
                    help="check the network and the proxy settings, then run the command again",
                ) from error
            validator = error.validator if isinstance(error, _BrokenOff) else validator
        time.sleep(0.5 * 2**attempt)
    raise AssertionError("unreachable")


class _BrokenOff(OSError):
    """The connection broke within a file. ``validator``: what the server says identifies this version of it."""

    def __init__(self, message: str, validator: str | None) -> None:
        super().__init__(message)
        self.validator = validator


def _download_once(url: str, part: Path, *, verify: bool, validator: str | None = None) -> tuple[str, str]:
    """Fetch ``url`` into ``part``; with ``validator`` only what is missing there, if the server still has that version.

    Source: RFC 9110, 13.1.5 (``If-Range``) and 14.
    """
    import ssl
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    request = Request(_without_user(url), headers={"User-Agent": "smelt"})
    authorization = _authorization(url)
    if authorization is not None:
        # Not sent on when the server redirects to another host.
        request.add_unredirected_header("Authorization", authorization)
    before = part.stat().st_size if validator is not None and part.exists() else 0
    if before and validator is not None:
        request.add_header("Range", f"bytes={before}-")
        request.add_header("If-Range", validator)
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with urlopen(request, timeout=_TIMEOUT, context=context) as answer:
        goes_on = before > 0 and str(answer.headers.get("Content-Range", "")).startswith(f"bytes {before}-")
        tag = answer.headers.get("ETag") or ""
        found = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")
        expected = answer.headers.get("Content-Length")
        size = 0
        with part.open("r+b" if goes_on else "wb") as file:
            while goes_on and (chunk := file.read(1 << 18)):
                sha256.update(chunk)
                md5.update(chunk)
            try:
                while chunk := answer.read(1 << 18):
                    sha256.update(chunk)
                    md5.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            except HTTPException as error:
                raise _BrokenOff(f"the connection broke ({error})", found) from error
            except (ConnectionError, TimeoutError) as error:
                raise _BrokenOff(str(error), found) from error
    if expected is not None and expected.isdigit() and size != int(expected):
        raise _BrokenOff(f"the connection broke after {size} of {expected} bytes", found)
    return sha256.hexdigest(), md5.hexdigest()


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _authorization(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return None
    pair = _user_of(url) or _from_indexes(parts.hostname or "") or _from_netrc(parts.hostname or "")
    if pair is None:
        return None
    return "Basic " + base64.b64encode(f"{pair[0]}:{pair[1]}".encode()).decode("ascii")


def _user_of(url: str) -> tuple[str, str] | None:
    parts = urlsplit(url)
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def _from_indexes(host: str) -> tuple[str, str] | None:
    """Credentials in uv's index variables; ``name=`` may be before a URL."""
    for variable in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        for entry in os.environ.get(variable, "").split():
            name, separator, rest = entry.partition("=")
            url = rest if separator and "/" not in name else entry
            if urlsplit(url).hostname == host and (found := _user_of(url)) is not None:
                return found
    return None


def _from_netrc(host: str) -> tuple[str, str] | None:
    try:
        found = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2] or "") if found is not None else None
