"""Errors as values: what happened, where, and what to do next."""

from smelt.errors.base import ErrorGroup, ExitCode, Label, SmeltError
from smelt.errors.kinds import (
    BuildError,
    CacheError,
    ChannelError,
    CommandNotFoundError,
    ConfigError,
    InstallError,
    LockError,
    LockOutdatedError,
    ManifestError,
    NotSupportedError,
    PackError,
    SolveError,
    SourceError,
    TaskError,
    UnknownNameError,
    UsageError,
)

__all__ = [
    "BuildError",
    "CacheError",
    "ChannelError",
    "CommandNotFoundError",
    "ConfigError",
    "ErrorGroup",
    "ExitCode",
    "InstallError",
    "Label",
    "LockError",
    "LockOutdatedError",
    "ManifestError",
    "NotSupportedError",
    "PackError",
    "SmeltError",
    "SolveError",
    "SourceError",
    "TaskError",
    "UnknownNameError",
    "UsageError",
]
