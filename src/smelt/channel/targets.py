"""What wheels are made into packages for: a Python and a platform, and how far a package reaches beyond them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from smelt.channel.versions import conda_dependency, conda_name, conda_spec
from smelt.channel.wheelfile import Metadata
from smelt.errors import ChannelError, NotSupportedError
from smelt.types import platform_family

_PLATFORMS: Mapping[str, tuple[str, str, str, str, str]] = {
    # conda platform: sys_platform, os_name, platform_system, platform_machine, uv's name
    "linux-64": ("linux", "posix", "Linux", "x86_64", "x86_64-manylinux_2_28"),
    "linux-aarch64": ("linux", "posix", "Linux", "aarch64", "aarch64-manylinux_2_28"),
    "osx-64": ("darwin", "posix", "Darwin", "x86_64", "x86_64-apple-darwin"),
    "osx-arm64": ("darwin", "posix", "Darwin", "arm64", "aarch64-apple-darwin"),
    "win-64": ("win32", "nt", "Windows", "AMD64", "x86_64-pc-windows-msvc"),
    "win-arm64": ("win32", "nt", "Windows", "ARM64", "aarch64-pc-windows-msvc"),
}
_MINORS = range(7, 31)
"""The minor versions of Python 3 that conditions are tried with: more than there are, so upper bounds show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A Python (``3.12.1``) on a conda platform."""

    python: str
    platform: str

    @property
    def minor(self) -> int:
        """The 12 of 3.12."""
        return int(self.python.split(".")[1])

    @property
    def uv_platform(self) -> str:
        """What uv calls the platform."""
        return _PLATFORMS[self.platform][4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far the dependencies of a package hold.

    ``depends``: conda specs, without Python. ``python``: the spec of Python for which they hold. ``subdir``: None if
    any platform, else the one; ``guard``: the virtual package of the family of platforms, if any.
    """

    depends: tuple[str, ...]
    python: str
    subdir: str | None = None
    guard: str | None = None


def check_platform(platform: str) -> None:
    """Raise NotSupportedError where wheels for ``platform`` cannot be resolved."""
    if platform not in _PLATFORMS:
        raise NotSupportedError(
            f"wheels cannot be made into packages for {platform} yet", help=f"the platforms are {', '.join(_PLATFORMS)}"
        )


def environment(python: str, platform: str) -> dict[str, str]:
    """The values of environment markers (PEP 508) on a target; a kernel's release is unknown, thus empty."""
    sys_platform, os_name, system, machine, _ = _PLATFORMS[platform]
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": os_name,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": sys_platform,
    }


def dependencies(
    metadata: Metadata,
    catalog: Mapping[str, Metadata],
    values: Mapping[str, str],
    extras: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """What a distribution needs where markers have ``values``, as conda specs, sorted.

    conda packages have no extras: what an extra of a dependency brings (``httpx[http2]``) is named beside it.
    ``catalog``: metadata of the distributions that may be named with extras.
    """
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()

    def applies(requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({**values, "extra": extra})

    def visit(owner: Metadata, chosen: frozenset[str], *, base: bool) -> None:
        for requirement in owner.requires:
            plain = applies(requirement, "")
            extra = any(applies(requirement, name) for name in chosen)
            # what a dependency needs without its extras is its own package's to say
            if not (plain or extra) or (plain and not base):
                continue
            name = conda_name(requirement.name)
            if name != metadata.name:
                found.add(conda_dependency(name, conda_spec(requirement.specifier)))
            new = frozenset(requirement.extras) - {extra for known, extra in seen if known == name}
            seen.update((name, extra) for extra in new)
            if new and name in catalog:
                visit(catalog[name], new, base=False)

    visit(metadata, extras, base=True)
    return tuple(sorted(found))


def reach(
    metadata: Metadata,
    catalog: Mapping[str, Metadata],
    target: Target,
    extras: frozenset[str] = frozenset(),
    *,
    oldest: int = 0,
    exact: bool = False,
) -> Reach:
    """The dependencies of a distribution on ``target``, and the Pythons and platforms that they are the same for.

    ``oldest``: the first minor version whose interface the files fit. ``exact``: the files are for this platform
    only, so others are not asked about. The answer is the same for every target inside of what it tells, whatever
    was asked first. Raises ChannelError where the target's Python is not admitted.
    """
    if not metadata.requires_python.contains(target.python, prereleases=True):
        raise ChannelError(
            f"{metadata.name} {metadata.version} needs Python {metadata.requires_python}, not {target.python}"
        )

    def at(python: str, platform: str) -> tuple[str, ...]:
        return dependencies(metadata, catalog, environment(python, platform), extras)

    wanted = at(target.python, target.platform)
    minors = [m for m in _MINORS if m >= oldest and _admits(metadata.requires_python, m)]
    span = _span(minors, target.minor, lambda m: _same(m, wanted, lambda python: at(python, target.platform)))
    python = _python_spec(metadata.requires_python, minors, span, oldest)
    if exact:
        return Reach(depends=wanted, python=python, subdir=target.platform)
    middle = [f"3.{m}.0" for m in range(span[0], span[1] + 1)] or [target.python]
    same = {platform for platform in _PLATFORMS if all(at(python, platform) == wanted for python in middle)} | {
        target.platform
    }
    guard, subdir = _guard(same, target.platform)
    return Reach(depends=wanted, python=python, guard=guard, subdir=subdir)


def _admits(specifiers: SpecifierSet, minor: int) -> bool:
    return any(specifiers.contains(f"3.{minor}.{patch}") for patch in (0, 99))


def _same(minor: int, wanted: tuple[str, ...], at: Callable[[str], tuple[str, ...]]) -> bool:
    return at(f"3.{minor}.0") == wanted == at(f"3.{minor}.99")


def _span(minors: list[int], minor: int, same: Callable[[int], bool]) -> tuple[int, int]:
    """The longest run of minor versions around ``minor`` that are the same; only itself where patches differ."""
    low = high = minor
    if minor in minors and same(minor):
        while low - 1 in minors and same(low - 1):
            low -= 1
        while high + 1 in minors and same(high + 1):
            high += 1
    return low, high


def _python_spec(required: SpecifierSet, minors: list[int], span: tuple[int, int], oldest: int) -> str:
    parts = [conda_spec(required)] if conda_spec(required) else []
    low, high = span
    first_minor = minors[0] if minors else low
    if low > first_minor or (oldest and low == oldest and not _bounded_below(required, oldest)):
        parts = [part for part in ",".join(parts).split(",") if part and not part.startswith(">=")]
        parts.insert(0, f">=3.{low}")
    if minors and high < minors[-1]:
        parts.append(f"<3.{high + 1}.0a0")
    return ",".join(parts)


def _bounded_below(required: SpecifierSet, oldest: int) -> bool:
    return not any(required.contains(f"3.{minor}.0") for minor in range(oldest))


def _guard(same: set[str], platform: str) -> tuple[str | None, str | None]:
    """The virtual package or the subdir that narrows a package to the platforms ``same``."""
    if same == set(_PLATFORMS):
        return None, None
    unix = {p for p in _PLATFORMS if platform_family(p) != "win"}
    if platform in unix and unix <= same:
        return "__unix", None
    family = platform_family(platform)
    if {p for p in _PLATFORMS if platform_family(p) == family} <= same:
        return f"__{family}", None
    return None, platform
