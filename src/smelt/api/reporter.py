"""What the façade tells of its work: everything that the rooms report, in one protocol."""

from __future__ import annotations

from typing import Protocol

from smelt.build.execute import BuildReporter
from smelt.build.execute import SilentReporter as SilentBuild
from smelt.install.request import InstallReporter
from smelt.install.request import SilentReporter as SilentInstall
from smelt.resolve.model import ResolveReporter
from smelt.resolve.model import SilentReporter as SilentResolve


class Reporter(ResolveReporter, BuildReporter, InstallReporter, Protocol):
    """Hears of solves, builds, downloads and links."""

    def installing(self, environment: str) -> None:
        """What follows is for this environment."""
        ...


class SilentReporter(SilentResolve, SilentBuild, SilentInstall):
    """Hears nothing."""

    def installing(self, environment: str) -> None:
        """Nothing."""
