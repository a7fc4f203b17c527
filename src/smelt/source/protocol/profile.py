"""Profiles for packages that are built by programs.

The protocol knows no profiles, but three things that one is made of: configuration, which is laid over the package's;
the prefix of build strings, which tells the builds apart; and a build environment that is activated, which is where the
variables go (``smelt.build.foreign``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from smelt.errors import Label, NotSupportedError
from smelt.source.model import RenderRequest
from smelt.workspace.model import Profile
from smelt.workspace.package import Package


def applied(request: RenderRequest) -> Profile | None:
    """The profile, if it says anything about how this package is built."""
    profile = request.profile
    if profile is None or not (profile.env or profile.config.get(request.package.backend.name)):
        return None
    return profile


def with_profile(package: Package, profile: Profile) -> Package:
    """``package`` with the profile's configuration, and its name in front of build strings."""
    overlay: Mapping[str, object] = profile.config.get(package.backend.name, {})
    return replace(
        package,
        build_string_prefix="_".join(filter(None, [package.build_string_prefix, _mark(profile)])),
        config={**package.config, **overlay},
        # what a target says would go before it
        target_config={
            target: {**config, **{key: overlay[key] for key in config if key in overlay}}
            for target, config in package.target_config.items()
        },
    )


def check_marked(request: RenderRequest, name: str, build: str) -> None:
    """Raise NotSupportedError where the build of output ``name`` is called as it is without the profile."""
    profile = applied(request)
    if profile is None or _mark(profile) in build:
        return
    place = request.package.backend.place or request.package.place
    raise NotSupportedError(
        f"profile `{profile.name}` cannot be applied to package `{name}`: the backend `{request.package.backend.name}` "
        f"calls the build `{build}`, as it does without the profile",
        labels=[Label(place=place)] if place is not None else [],
        notes=["it would have to heed `buildStringPrefix` of the project model"],
        help="leave the package out with `packages` of the profile",
    )


def _mark(profile: Profile) -> str:
    """What build strings begin with."""
    return re.sub(r"[^A-Za-z0-9.]", "_", profile.name)
