"""Servers that take uploads: the adapter to rattler-build's clients, which know their protocols."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from smelt.api.publish_target import Delivered, Existing, Say
from smelt.build.model import Artifact
from smelt.errors import ChannelError, NotSupportedError, UsageError
from smelt.solve.network import redacted

_SCHEMES = ("file", "s3", "quetz", "artifactory", "prefix", "cloudsmith", "http", "https")
_HOSTS = {"prefix.dev": "prefix", "anaconda.org": "anaconda", "quetz": "quetz"}
"""What in the name of a host tells which protocol it speaks, as in the reference."""

_VARIABLES = {
    "prefix": "PREFIX_API_KEY",
    "anaconda": "ANACONDA_API_KEY",
    "cloudsmith": "CLOUDSMITH_API_KEY",
    "quetz": "QUETZ_API_KEY",
    "artifactory": "ARTIFACTORY_TOKEN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of a known ``protocol``. ``url`` as it was given."""

    url: str
    protocol: str
    attestation: bool = False
    kind: Literal["channel", "directory"] = "channel"

    @property
    def label(self) -> str:
        """The address, without credentials."""
        return redacted(self.url)

    def check(self) -> None:
        """Raise UsageError for an address without a channel, NotSupportedError for an attestation nobody takes."""
        _upload_of(self, "skip")
        if self.attestation and self.protocol != "prefix":
            raise NotSupportedError(
                f"attestations are generated for prefix.dev only, not for {self.label}",
                help="leave out --generate-attestation",
            )

    def deliver(self, artifacts: Sequence[Artifact], existing: Existing, say: Say) -> tuple[Delivered, ...]:
        """Upload the packages, one after another."""
        import rattler_build

        engine: Any = rattler_build
        done: list[Delivered] = []
        upload = _upload_of(self, existing)
        for each in artifacts:
            try:
                upload([str(each.path)])
            except (engine.RattlerBuildError, RuntimeError, ValueError, OSError) as error:
                raise ChannelError(
                    f"{each.path.name} cannot be published to {self.label}: {redacted(str(error))}",
                    code="upload-failed",
                    notes=[f"published before it: {', '.join(d.artifact.path.name for d in done)}"] if done else [],
                    help=f"see the address and the credentials ({_VARIABLES[self.protocol]}, or those stored for it)",
                ) from error
            done.append(Delivered(artifact=each))
        return tuple(done)


def server_of(text: str, *, attestation: bool = False) -> Server:
    """The server that an address names. Raises UsageError (``publish-target``) where its protocol is not known."""
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES:
        raise UsageError(
            f"unsupported URL scheme `{parts.scheme}`",
            code="publish-target",
            help=f"supported are {', '.join(f'{scheme}://' for scheme in _SCHEMES)}, and paths",
        )
    protocol = parts.scheme
    if protocol in ("http", "https"):
        host = parts.hostname or ""
        found = next((name for part, name in _HOSTS.items() if part in host), None)
        if found is None:
            raise UsageError(
                f"`{redacted(text)}` does not tell which upload protocol its server speaks",
                code="publish-target",
                help="write quetz://, artifactory://, prefix:// or cloudsmith:// in the place of https://",
            )
        protocol = found
    return Server(url=text, protocol=protocol, attestation=attestation)


def _upload_of(server: Server, existing: Existing) -> Callable[[list[str]], None]:
    """The call that uploads files. Raises UsageError for an address that lacks what the protocol needs."""
    parts = urlsplit(server.url)
    segments = [segment for segment in parts.path.split("/") if segment]
    key = os.environ.get(_VARIABLES[server.protocol]) or None
    force = existing == "replace"
    if server.protocol == "cloudsmith":
        if not parts.hostname or len(segments) != 1:
            raise _incomplete(server.url, "cloudsmith://OWNER/REPOSITORY")
        owner, api = parts.hostname, os.environ.get("CLOUDSMITH_API_URL") or None
        return _caller("cloudsmith", {"owner": owner, "repo": segments[0], "api_key": key, "url": api})
    if server.protocol == "anaconda":
        if len(segments) not in (1, 2):
            raise _incomplete(server.url, "an owner and at most a label")
        label = segments[1] if len(segments) == 2 else "main"
        return _caller("anaconda", {"owner": segments[0], "channel": [label], "api_key": key, "force": force})
    if not segments:
        raise _incomplete(server.url, "the name of a channel")
    base: Mapping[str, Any] = {"url": _host(parts), "channels": segments[-1]}
    if server.protocol == "artifactory":
        return _caller("artifactory", {**base, "token": key})
    if server.protocol == "quetz":
        return _caller("quetz", {**base, "api_key": key})
    more = {"skip_existing": existing == "skip", "force": force, "generate_attestation": server.attestation}
    return _caller("prefix", {**base, "api_key": key, **more})


def _caller(protocol: str, options: Mapping[str, Any]) -> Callable[[list[str]], None]:
    def call(files: list[str]) -> None:
        from rattler_build import upload

        # credentials that the settings name are known to the process by RATTLER_AUTH_FILE
        auth = os.environ.get("RATTLER_AUTH_FILE") or None
        name = "upload_package_to_" + protocol
        getattr(upload, name)(files, **options, **({"auth_file": auth} if auth else {}))

    return call


def _host(parts: SplitResult) -> str:
    scheme = parts.scheme if parts.scheme in ("http", "https") else "https"
    return urlunsplit((scheme, parts.netloc, "", "", ""))


def _incomplete(url: str, wanted: str) -> UsageError:
    return UsageError(f"`{redacted(url)}` names no place to publish to: it lacks {wanted}", code="publish-target")
