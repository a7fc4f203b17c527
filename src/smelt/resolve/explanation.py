"""Why an environment cannot be solved, in the words of its manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from smelt.errors import ChannelError, Label, SolveError
from smelt.resolve.model import Context, SourceRequirement
from smelt.resolve.packages import PackageLoader
from smelt.solve.conda import CondaSolver
from smelt.text import closest
from smelt.workspace.channel import channel_url
from smelt.workspace.model import Dependency, EffectiveEnvironment

_NAME = r"([A-Za-z0-9_][A-Za-z0-9_.-]*)"
_MISSING = (
    re.compile(rf"No candidates were found for {_NAME}"),
    re.compile(rf"{_NAME}(?: [^\n]*?)?, for which no candidates were found"),
)
_MOST_VERSIONS = 8
_FRIENDLY = {"__cuda": "cuda", "__glibc": "glibc", "__linux": "linux", "__osx": "macos", "__win": "windows"}
"""How `platforms` calls virtual packages."""


class Explainer:
    """Adds to rattler's explanation what it does not say: what there is instead, and where it was required."""

    def __init__(self, loader: PackageLoader, solver: CondaSolver) -> None:
        self._loader = loader
        self._solver = solver

    async def explain(
        self,
        error: SolveError,
        members: Sequence[EffectiveEnvironment],
        context: Context,
        sources: Sequence[SourceRequirement],
    ) -> SolveError:
        """The same error under a line that says which environment and platform, pointing at what was required.

        ``members``: the environments that were solved together.
        """
        text = "\n".join(error.notes)
        first = members[0]
        dependencies = [each for member in members for each in (*member.dependencies, *member.constraints)]
        # the line about the environment takes the place of "cannot solve", which says nothing more
        notes = [*([error.message] if error.kind != SolveError.code else []), *error.notes]
        help = error.help
        names = list(dict.fromkeys(found for pattern in _MISSING for found in pattern.findall(text)))
        from_source = {source.name: source for source in sources}
        virtual = [name for name in names if name.startswith("__")]
        for name in names:
            if name in from_source:
                notes.append(self._source_versions(from_source[name], context))
            elif name not in virtual and error.kind != "offline":
                try:
                    note, guess = await self._available(name, context)
                except ChannelError as unread:
                    note, guess = unread.message, unread.help
                notes.append(note)
                help = help or guess
        if "__" in text:
            assumed = ", ".join(str(package) for package in first.platform.virtual_packages)
            notes.append(f"virtual packages assumed for {first.platform.name}: {assumed or 'none'}")
        if virtual:
            help = help or _machine_must(virtual[0], text, context.subdir)
        help = help or self._other_channel(dependencies, text, context)
        built_for = _built_for(text, context) if sources else None
        help = help or built_for
        if context.exclude_newer is not None and names:
            notes.append(f"`exclude-newer` leaves out packages newer than {context.exclude_newer}")
        own = [f"`{name}` newer than {text}" for name, text in context.package_cutoffs if name in names]
        own += [f"packages of {url} newer than {text}" for url, text in context.channel_cutoffs if names]
        if own:
            notes.append(f"`exclude-newer` leaves out {', '.join(own)}")
        group = first.environment.solve_group
        what = f"solve group `{group}`" if group else f"environment `{first.environment.name}`"
        return SolveError(
            f"{what} cannot be solved for {first.platform.name}",
            code=error.kind,
            labels=_labels(dependencies, text),
            notes=notes,
            help=help,
        )

    def _other_channel(self, dependencies: Iterable[Dependency], text: str, context: Context) -> str | None:
        """What to do where a requirement names a channel that the environment does not have."""
        if "not in requested channel" not in text:
            return None
        root = self._loader.workspace.root
        for dependency in dependencies:
            channel = dependency.spec.channel
            if channel is not None and channel_url(channel, root) not in context.channels:
                return f"`{dependency.name}` is to come from {channel}, which is not among `channels`: add it there"
        return None

    def _source_versions(self, source: SourceRequirement, context: Context) -> str:
        versions = sorted({variant.version for variant in self._loader.render(source, context)})
        return f"source package `{source.name}` at {source.location} has the version {', '.join(versions)}"

    async def _available(self, name: str, context: Context) -> tuple[str, str | None]:
        """What the channels have under a name; where that is nothing, a help that may name another.

        Raises ChannelError.
        """
        from rattler import Version

        versions = await self._solver.versions(name, context.channels, context.subdir)
        if versions:
            newest = sorted(versions, key=Version, reverse=True)
            shown = ", ".join([*newest[:_MOST_VERSIONS], *(["…"] if len(newest) > _MOST_VERSIONS else [])])
            return f"of {name}, the channels have {shown}: none satisfies all that is required of it", None
        where = ", ".join(context.channels) or "no channel at all"
        note = f"no package is called `{name}` for {context.subdir} in {where}"
        if name.endswith(f"_{context.subdir}"):
            return note, (
                f"`{name}` is a compiler: add a channel that has it to `channels`, or make a package of the one that "
                "this machine has with `smelt channel add-toolchain`"
            )
        elsewhere = [
            platform.name
            for platform in self._loader.workspace.platforms
            if platform.subdir != context.subdir
            and await self._solver.versions(name, context.channels, platform.subdir)
        ]
        if elsewhere:
            return note, (
                f"it is there for {', '.join(elsewhere)}: require it only where it is, "
                f"as in `[target.{elsewhere[0]}.dependencies]`"
            )
        guess = closest(name, await self._solver.names(context.channels, context.subdir))
        return (
            note,
            f"did you mean `{guess}`?" if guess else "check its spelling, or add a channel that has it to `channels`",
        )


def _machine_must(name: str, text: str, subdir: str) -> str:
    """What to do where a virtual package is missing, or another version of it is asked for."""
    asked = re.search(rf"{name} [>=~]*([0-9][0-9.]*)", text)
    version = asked.group(1).rstrip(".") if asked is not None else "…"
    entry = f'{{ platform = "{subdir}", {_FRIENDLY.get(name, name)} = "{version}" }}'
    return f"`{name}` is what the machine must have: if it has it, say so in `platforms` of the workspace: `{entry}`"


def _built_for(text: str, context: Context) -> str | None:
    """What to do where a source package is only built for other values of a variant key than the environment has."""
    for key, values in context.variants:
        name = key.replace("_", "[-_]")
        if re.search(rf"would constrain\n[^\n]*\b{name}\b", text):
            return (
                f"source packages are built for `{key}` {', '.join(values)} and go with no other: "
                "add the value that this environment has to `[workspace.build-variants]`"
            )
    return None


def _labels(dependencies: Iterable[Dependency], text: str) -> list[Label]:
    """The places of requirements that the explanation is about: those it quotes, else those whose name it has."""
    placed = [each for each in dependencies if each.place is not None]
    named = [each for each in placed if re.search(rf"(?<![\w.-]){re.escape(each.name)}(?![\w-])", text)]
    quoted = [each for each in named if each.spec.matchspec(each.name) in text]
    others = [each for each in named if each not in quoted]
    places = dict.fromkeys(each.place for each in (*quoted, *others) if each.place is not None)
    return [Label(place=place, message="required here") for place in places][:5]
