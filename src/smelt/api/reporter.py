"""What the façade tells of its work.

An unchanged workspace has nothing to tell: the rooms' own reporters are imported where they are first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smelt.build.reporter import BuildReporter
    from smelt.install.request import InstallReporter
    from smelt.resolve.model import ResolveReporter


def _silent_resolve() -> ResolveReporter:
    from smelt.resolve.model import SilentReporter

    return SilentReporter()


def _silent_build() -> BuildReporter:
    from smelt.build.reporter import SilentReporter

    return SilentReporter()


def _silent_install() -> InstallReporter:
    from smelt.install.request import SilentReporter

    return SilentReporter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporters:
    """Who hears of solves, of builds, and of downloads and links; by default nobody.

    ``ask`` puts a question to the user and gives whether it was answered with yes; None: there is nobody to ask.
    """

    resolve: ResolveReporter = field(default_factory=_silent_resolve)
    build: BuildReporter = field(default_factory=_silent_build)
    install: InstallReporter = field(default_factory=_silent_install)
    ask: Callable[[str], bool] | None = None
