"""The conda solver: rattler's, with source packages as candidates of an in-memory channel."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.config.network import Network
from smelt.errors import ChannelError, SolveError
from smelt.fs import cache_root
from smelt.solve.cutoff import parse_cutoff
from smelt.solve.dated import Cutoffs, DatedChannel
from smelt.solve.network import gateway, redacted, without_addresses
from smelt.solve.offline import AtHand, ChannelView, LocalPart, local_parts
from smelt.solve.records import from_rattler, to_rattler
from smelt.solve.request import SOURCE_CHANNEL, SolveRequest
from smelt.types import NOARCH, CondaRecord, VirtualPackage, current_platform, spec_name

if TYPE_CHECKING:
    from rattler import Gateway, GenericVirtualPackage, MatchSpec, PackageName, RepoDataRecord, Subdir


class Candidates:
    """Source packages as a repodata source (rattler's ``RepoDataSource`` protocol)."""

    def __init__(self, records: Sequence[CondaRecord]) -> None:
        self._by_name: dict[str, list[CondaRecord]] = {}
        for record in records:
            self._by_name.setdefault(record.name, []).append(record)

    async def fetch_package_records(self, platform: Subdir, name: PackageName) -> list[RepoDataRecord]:
        """The candidates called ``name`` for ``platform``."""
        found = self._by_name.get(name.normalized, ())
        return [to_rattler(record) for record in found if record.subdir == str(platform)]

    def package_names(self, platform: Subdir) -> list[str]:
        """All names with candidates for ``platform``."""
        return sorted(n for n, records in self._by_name.items() if any(r.subdir == str(platform) for r in records))


_ONLINE = "smelt is offline: remove the `--offline` flag once, and what is fetched stays in the cache"
_NO_PACKAGE = "_"
"""Who asks for it has the list of packages read, and gets nothing of it."""
_LONGEST = 200  # with name, version and build a folder is called
_name = attrgetter("name")
_HARMLESS = re.compile(rf"(?!\.\.?\Z)[A-Za-z0-9_.+!~=-]{{1,{_LONGEST}}}")
"""The words of nearly all packages; of others each letter is looked at."""

View = ChannelView | DatedChannel | str
"""A channel; the string is one as rattler reads it by itself."""

Source = Candidates | LocalPart | View
"""Where records come from; a string is a channel."""


class CondaSolver:
    """Solves share one gateway (repodata is read once) and remember their answers.

    Make one for each command: a gateway keeps what it has read in memory and does not see later changes.
    """

    def __init__(self, cache: Path | None = None, network: Network | None = None) -> None:
        self._cache = cache or cache_root()
        self._network = network or Network()
        self._gateway: Gateway | None = None
        self._gate = asyncio.Semaphore(self._network.solves or os.cpu_count() or 1)
        self._now = datetime.now(UTC)
        self._records: dict[str, CondaRecord] = {}
        self._answers: dict[SolveRequest, asyncio.Task[tuple[CondaRecord, ...]]] = {}
        self._lists: dict[tuple[str, str], asyncio.Task[None]] = {}

    def gateway(self) -> Gateway:
        """The shared gateway, made at the first use."""
        if self._gateway is None:
            self._gateway = gateway(self._network, self._cache)
        return self._gateway

    async def versions(self, name: str, channels: Sequence[str], subdir: str) -> set[str]:
        """The versions that ``channels`` have of a package. Raises ChannelError."""
        from rattler import exceptions

        try:
            found = await self.gateway().query(channels, [subdir, NOARCH], [name], recursive=False)  # pyright: ignore[reportArgumentType]
        except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
            raise channel_error(error, channels) from error
        return {str(record.version) for records in found for record in records}

    async def names(self, channels: Sequence[str], subdir: str) -> tuple[str, ...]:
        """The names of all packages of ``channels``. Raises ChannelError."""
        from rattler import exceptions

        try:
            found = await self.gateway().names(channels, [subdir, NOARCH])  # pyright: ignore[reportArgumentType]
        except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
            raise channel_error(error, channels) from error
        return tuple(name.normalized for name in found)

    def begin(self, channels: Sequence[str], subdir: str) -> list[asyncio.Task[None]]:
        """Begin to read the package lists of ``channels``, as solves for ``subdir`` do that are not offline.

        What fails raises ChannelError in every solve that needs it.
        """
        for key in ((channel, part) for channel in channels for part in (subdir, NOARCH)):
            if key not in self._lists:
                self._lists[key] = asyncio.ensure_future(self._read(*key))
                self._lists[key].add_done_callback(_look)
        return [self._lists[channel, part] for channel in channels for part in (subdir, NOARCH)]

    async def _read(self, channel: str, subdir: str) -> None:
        from rattler import exceptions

        try:
            await self.gateway().query([channel], [subdir], [_NO_PACKAGE], recursive=False)  # pyright: ignore[reportArgumentType]
        except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
            raise channel_error(error, [channel]) from error

    async def solve(self, request: SolveRequest) -> tuple[CondaRecord, ...]:
        """The records that satisfy ``request``, sorted by name.

        Raises SolveError with rattler's explanation as its note, ChannelError where repodata cannot be had,
        and SolveError (``invalid-spec``) for a spec that is not a MatchSpec.
        """
        task = self._answers.get(request)
        if task is None:
            task = asyncio.ensure_future(self._solve(request))
            self._answers[request] = task
        return await asyncio.shield(task)

    async def _solve(self, request: SolveRequest) -> tuple[CondaRecord, ...]:
        candidates = tuple(
            replace(record, channel=SOURCE_CHANNEL, timestamp=len(request.candidates) - index)
            for index, record in enumerate(request.candidates)
        )
        own = [Candidates(candidates)] if candidates else []
        if not _reaches_channels(request):
            return self._finished(await self._ask(own, request) if own else [], request)
        channels = await self._channels(request)
        try:
            solved = await self._ask([*own, *channels], request)
        except SolveError as error:
            unknown = sorted({name for each in channels for name in _unknown(each)})
            if unknown:
                error.notes = (*error.notes, f"smelt is offline, and the lists of {', '.join(unknown)} are not cached")
                error.help = (
                    error.help
                    or "smelt is offline: remove the `--offline` flag once, and what is fetched stays in the cache"
                )
            raise
        if self._restricts(request):
            at_hand = AtHand(self._cache)
            missing = at_hand.missing([each for each in solved if each.channel != SOURCE_CHANNEL])
            if missing:
                solved = await self._ask_local([*own], channels, request, at_hand, missing)
        return self._finished(solved, request)

    def _finished(self, solved: Sequence[CondaRecord], request: SolveRequest) -> tuple[CondaRecord, ...]:
        """The answer with the candidates as they were given."""
        if not request.candidates:
            return tuple(sorted(solved, key=_name))
        by_build = {(record.name, record.version, record.build): record for record in request.candidates}
        records: list[CondaRecord] = []
        for record in solved:
            candidate = by_build.get((record.name, record.version, record.build))
            records.append(candidate if candidate is not None and record.channel == SOURCE_CHANNEL else record)
        return tuple(sorted(records, key=_name))

    async def _channels(self, request: SolveRequest) -> list[View]:
        """The channels of ``request``; offline, as far as they are cached. Raises ChannelError, ManifestError."""
        dated = bool(request.channel_cutoffs or request.package_cutoffs)
        if not self._network.offline and not dated:
            # each once, whatever becomes of it: a server that is silent is waited for once
            await asyncio.gather(*map(asyncio.shield, self.begin(request.channels, request.subdir)))
            return list(request.channels)
        from rattler import exceptions

        cutoffs = Cutoffs.of(request, self._now)
        sources: list[View] = []
        for channel in request.channels:
            local = channel.startswith("file:")
            if local and not dated:
                sources.append(channel)
                continue
            view = ChannelView(self.gateway(), channel, tolerant=self._network.offline and not local)
            try:
                await view.open([request.subdir, NOARCH])
            except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
                raise channel_error(error, [channel]) from error
            sources.append(DatedChannel(view, cutoffs) if dated else view)
        return sources

    def _restricts(self, request: SolveRequest) -> bool:
        """What is solved for other platforms is not going to be installed here."""
        return self._network.offline and request.subdir == current_platform()

    async def _ask_local(
        self,
        own: Sequence[Candidates],
        channels: Sequence[View],
        request: SolveRequest,
        at_hand: AtHand,
        missing: Sequence[str],
    ) -> list[CondaRecord]:
        """The best of what is at hand, where the best of all (of which ``missing`` is not cached) is not."""
        from rattler import exceptions

        reach = [*request.specs, *(spec for each in request.candidates for spec in each.depends)]
        try:
            parts = await local_parts(
                self.gateway(),
                await self._channels(request),
                request,
                [match_spec(spec) for spec in dict.fromkeys(reach)],
                at_hand,
            )
            return await self._ask([*own, *parts], request)
        except SolveError as error:
            raise SolveError(
                f"cannot solve the requirements for {request.subdir} with what is on this machine",
                code="offline",
                notes=[*error.notes, *(f"{each} is excluded because not available locally" for each in missing)],
                help=_ONLINE,
            ) from error
        except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
            raise channel_error(error, request.channels) from error

    async def _ask(self, sources: Sequence[Source], request: SolveRequest) -> list[CondaRecord]:
        """rattler's answer. Raises SolveError, ChannelError."""
        import rattler
        from rattler import exceptions

        from_source = sorted({record.name for record in request.candidates})
        constraints = [*request.constraints, *(f'{name}[channel="{SOURCE_CHANNEL}"]' for name in from_source)]
        priority = (
            rattler.ChannelPriority.Disabled
            if request.channel_priority == "disabled"
            else rattler.ChannelPriority.Strict
        )
        try:
            dated = request.channel_cutoffs or request.package_cutoffs
            cutoff = parse_cutoff(request.exclude_newer) if request.exclude_newer and not dated else None
            async with self._gate:
                solved = await rattler.solve(
                    sources=sources,
                    specs=[match_spec(spec) for spec in request.specs],
                    constraints=[match_spec(spec) for spec in constraints],
                    gateway=self.gateway(),
                    platforms=[request.subdir, NOARCH],  # pyright: ignore[reportArgumentType]
                    locked_packages=[to_rattler(record) for record in request.locked],
                    virtual_packages=[to_generic(package) for package in request.virtual_packages],
                    channel_priority=priority,
                    strategy=request.strategy,  # pyright: ignore[reportArgumentType]
                    exclude_newer=cutoff,
                    # candidates and local channels may have no time stamps
                    timestamp_policy="allow-missing",
                )
        except exceptions.SolverError as error:
            raise SolveError(
                f"cannot solve the requirements for {request.subdir}", notes=[explanation(str(error))]
            ) from error
        except (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError) as error:
            raise channel_error(error, request.channels) from error
        await asyncio.sleep(0)  # the solve that waits at the gate begins before these answers are looked at
        return self._converted(solved)

    def _converted(self, found: Sequence[RepoDataRecord]) -> list[CondaRecord]:
        """Our form of records, made once of each: most are in the answers of many solves. Raises ChannelError."""
        urls = [record.url for record in found]
        known = self._records
        new = from_rattler(record for url, record in zip(urls, found, strict=True) if url not in known)
        for record in new:
            _check_harmless(record)
        own = {record.url: record for record in new}
        records = [known.get(url) or own[url] for url in urls]
        known.update((url, record) for url, record in own.items() if record.channel != SOURCE_CHANNEL)
        return records


def _look(task: asyncio.Task[None]) -> None:
    """Nobody may need what failed, and then asyncio would complain that nobody looked."""
    if not task.cancelled():
        task.exception()


def _reaches_channels(request: SolveRequest) -> bool:
    """Whether anything is asked for that is no source package: otherwise channels have no say, and are not read."""
    own = {record.name for record in request.candidates}
    names = map(spec_name, chain(request.specs, (spec for record in request.candidates for spec in record.depends)))
    return any(name not in own and not name.startswith("__") for name in names)


def _unknown(source: View) -> set[str]:
    """The names whose lists were asked for and are not cached."""
    view = source.view if isinstance(source, DatedChannel) else source
    return view.unknown if isinstance(view, ChannelView) else set()


def _check_harmless(record: CondaRecord) -> None:
    """Raise ChannelError (``hostile-package``) for a record whose words would lead somewhere else as a path."""
    if all(map(_HARMLESS.fullmatch, (record.name, record.version, record.build, record.subdir))):
        return
    words = {"name": record.name, "version": record.version, "build": record.build, "subdir": record.subdir}
    for field, word in words.items():
        if word in (".", "..") or len(word) > _LONGEST or any(c in "/\\:" or ord(c) < 32 for c in word):
            shown = ascii(word if len(word) <= _LONGEST else f"{word[:40]}…")
            raise ChannelError(
                f"the channel describes a package with the impossible {field} {shown}",
                code="hostile-package",
                notes=[redacted(record.url)],
                help="do not install from this channel, and tell whoever keeps it",
            )


@lru_cache(maxsize=8192)  # a requirement is asked for in many environments, and looked at before it is
def match_spec(text: str) -> MatchSpec:
    """``text`` as rattler's MatchSpec. Raises SolveError (``invalid-spec``)."""
    from rattler import MatchSpec, exceptions

    try:
        return MatchSpec(text)
    except (
        exceptions.InvalidMatchSpecError,
        exceptions.InvalidVersionSpecError,
        exceptions.InvalidPackageNameError,
    ) as error:
        raise SolveError(f"`{text}` is not a valid requirement: {error}", code="invalid-spec") from error


def to_generic(package: VirtualPackage) -> GenericVirtualPackage:
    """A virtual package as rattler's type. Raises SolveError (``invalid-spec``).

    ``__archspec`` is declared and locked with version 0 and solved with version 1, as the reference does it.
    """
    from rattler import GenericVirtualPackage, PackageName, Version, exceptions
    from rattler.package.build_string import BuildString

    version = "1" if package.name == "__archspec" and package.version == "0" else package.version
    try:
        return GenericVirtualPackage(
            PackageName(package.name), Version(version), BuildString.new_unchecked(package.build)
        )
    except (exceptions.InvalidVersionError, exceptions.InvalidPackageNameError) as error:
        raise SolveError(f"`{package}` is not a valid virtual package: {error}", code="invalid-spec") from error


def explanation(text: str) -> str:
    """rattler's explanation of a conflict without its first words."""
    text = text.strip().removeprefix("Cannot solve the request because of: ")
    text = text.replace(f' [channel="{SOURCE_CHANNEL}"]', " (from source)").strip()
    # a constraint is told once for each package that it leaves out
    lines = text.split("\n")
    told = [re.sub(r"^[\s│├└─]+", "", line) for line in lines]
    kept = [line for line, own, after in zip(lines, told, [*told[1:], ""], strict=True) if own != after or not own]
    return "\n".join(kept)


def channel_error(error: Exception, channels: Sequence[str]) -> ChannelError:
    """What went wrong with a channel, naming it, without credentials."""
    text = redacted(str(error).strip())
    named = [shown for channel in channels if (shown := redacted(channel)).rstrip("/") in text]
    where = ", ".join(named or map(redacted, channels))
    if "no usable repodata cache" in text:
        return ChannelError(
            f"smelt is offline, and the package lists of {where} are not in the cache",
            code="offline",
            notes=[text],
            help="run the command once with the network (without `--offline`): what it fetches stays in the cache",
        )
    return ChannelError(
        f"cannot read the package lists of {where}",
        code="channel-unreachable",
        notes=[text],
        help=_advice(without_addresses(text)),
    )


def _advice(text: str) -> str:
    """What to do about an answer of a channel, as far as its words tell."""
    if re.search(r"\b40[13]\b", text):
        return "it wants credentials, or others: see `authentication-override-file` and RATTLER_AUTH_FILE"
    if "certificate" in text:
        return "see `tls-root-certs`, SSL_CERT_FILE, and the certificate of the channel"
    if re.search(r"\b(5\d\d|429)\b", text) or "timed out" in text:
        return "the server has trouble: try again later, or use a mirror (`mirrors` of the configuration)"
    if re.search(r"parse|malformed|invalid (type|value|digit)|expected|deserial|decod|repodata records", text):
        return "what it answered is no index of a channel: look at it, have it indexed again, or tell whoever keeps it"
    return "check that the channel exists and can be reached, and its spelling in `channels`"
