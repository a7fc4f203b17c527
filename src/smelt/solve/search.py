"""What channels have: packages that fit a MatchSpec, whose name may be a pattern."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smelt.config.network import Network
from smelt.errors import ChannelError, SolveError, UnknownNameError
from smelt.solve.conda import channel_error
from smelt.solve.network import gateway as make_gateway
from smelt.text import closest

if TYPE_CHECKING:
    from rattler import Gateway, MatchSpec, RepoDataRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What is looked for.

    ``spec``: a MatchSpec; its name may have ``*`` in it. ``channels``: base URLs. ``subdirs``: platforms, ``noarch``
    being one. ``most``: of packages that only have the name in theirs, so many are read (None: all).
    """

    spec: str
    channels: tuple[str, ...]
    subdirs: tuple[str, ...]
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Repodata records (with ``fn``, ``url`` and ``channel``), by name, the oldest of each first.

    ``matches``: how many names had the one that was asked for in them, where none was it; else None.
    """

    records: tuple[dict[str, Any], ...]
    matches: int | None = None


async def search(request: SearchRequest, cache: Path, network: Network) -> SearchResult:
    """The packages that fit.

    A name that no package has is looked for in other names, those that begin with it first. Offline, platforms whose
    lists are not cached are left out. Raises SolveError (``invalid-spec``), UnknownNameError (``package-not-found``),
    ChannelError. Source: the reference's page ``pixi search``.
    """
    spec = search_spec(request.spec)
    channels = await _Channels.open(request, make_gateway(network, cache), network)
    found = await channels.query([spec])
    if found:
        return SearchResult(records=_sorted(found))
    name = _bare_name(request.spec)
    names = await channels.names()
    if name is None:
        raise _nothing(request.spec, None)
    fitting = sorted((each for each in names if name in each), key=lambda each: (not each.startswith(name), each))
    if not fitting:
        raise _nothing(request.spec, closest(name, names))
    read = fitting if request.most is None else fitting[: request.most]
    records = _sorted(await channels.query(list(read)))
    order = {each: index for index, each in enumerate(read)}
    return SearchResult(
        records=tuple(sorted(records, key=lambda each: order.get(each["name"], len(order)))), matches=len(fitting)
    )


def search_spec(text: str) -> MatchSpec:
    """``text`` as a MatchSpec whose name may be a pattern. Raises SolveError (``invalid-spec``)."""
    from rattler import MatchSpec, exceptions

    try:
        return MatchSpec(text, strict=False, exact_names_only=False)
    except (
        exceptions.InvalidMatchSpecError,
        exceptions.InvalidVersionSpecError,
        exceptions.InvalidPackageNameError,
    ) as error:
        raise SolveError(
            f"`{text}` is not something to search for: {error}",
            code="invalid-spec",
            help="write a name, a pattern such as `*numpy*`, or a requirement such as `numpy >=2`",
        ) from error


def _bare_name(text: str) -> str | None:
    """The name, where ``text`` is nothing but one: only then another name may be meant."""
    text = text.strip()
    return text.lower() if re.fullmatch(r"[A-Za-z0-9_.-]+", text) else None


def _nothing(text: str, guess: str | None) -> UnknownNameError:
    return UnknownNameError(
        f"No packages found matching '{text}'",
        code="package-not-found",
        help=f"did you mean `{guess}`?" if guess else "try patterns such as `python*` or `*numpy*`, or other channels",
    )


class _Channels:
    """The channels of one search, platform by platform, since of some there may be nothing."""

    def __init__(self, gateway: Gateway, places: Sequence[tuple[str, str]]) -> None:
        self._gateway = gateway
        self._places = places

    @classmethod
    async def open(cls, request: SearchRequest, gateway: Gateway, network: Network) -> _Channels:
        """See which lists are there; online all of them are. Raises ChannelError."""
        places = [(channel, subdir) for channel in request.channels for subdir in request.subdirs]
        if not network.offline:
            return cls(gateway, places)
        there: list[tuple[str, str]] = []
        failures: list[ChannelError] = []
        for place in places:
            try:
                await cls(gateway, [place]).names()
                there.append(place)
            except ChannelError as error:
                failures.append(error)
        if not there and failures:
            raise failures[0]
        return cls(gateway, there)

    async def query(self, specs: Sequence[MatchSpec | str]) -> list[RepoDataRecord]:
        """All records that fit one of ``specs``."""
        from rattler import exceptions

        found: list[RepoDataRecord] = []
        for channel, subdirs in self._by_channel():
            try:
                answer = await self._gateway.query([channel], subdirs, specs, recursive=False)  # pyright: ignore[reportArgumentType]
            except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
                raise channel_error(error, [channel]) from error
            found += [record for records in answer for record in records]
        wanted = [search_spec(spec) if isinstance(spec, str) else spec for spec in specs]
        return [record for record in found if any(spec.matches(record) for spec in wanted)]

    async def names(self) -> set[str]:
        """The names of all packages."""
        from rattler import exceptions

        found: set[str] = set()
        for channel, subdirs in self._by_channel():
            try:
                answer = await self._gateway.names([channel], subdirs)  # pyright: ignore[reportArgumentType]
            except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
                raise channel_error(error, [channel]) from error
            found |= {name.normalized for name in answer}
        return found

    def _by_channel(self) -> list[tuple[str, list[str]]]:
        found: dict[str, list[str]] = {}
        for channel, subdir in self._places:
            found.setdefault(channel, []).append(subdir)
        return list(found.items())


def _sorted(records: Sequence[RepoDataRecord]) -> tuple[dict[str, Any], ...]:
    def age(record: RepoDataRecord) -> tuple[Any, ...]:
        moment = record.timestamp
        return (record.name.normalized, record.version, record.build_number, moment.timestamp() if moment else 0.0)

    ordered = sorted(records, key=age)
    return tuple(json.loads(record.to_json()) for record in ordered)
