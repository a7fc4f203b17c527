"""What the façade tells of its work."""

from __future__ import annotations

from dataclasses import dataclass, field

from smelt.build.reporter import BuildReporter
from smelt.build.reporter import SilentReporter as SilentBuild
from smelt.install.request import InstallReporter
from smelt.install.request import SilentReporter as SilentInstall
from smelt.resolve.model import ResolveReporter
from smelt.resolve.model import SilentReporter as SilentResolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporters:
    """Who hears of solves, of builds, and of downloads and links; by default nobody."""

    resolve: ResolveReporter = field(default_factory=SilentResolve)
    build: BuildReporter = field(default_factory=SilentBuild)
    install: InstallReporter = field(default_factory=SilentInstall)
