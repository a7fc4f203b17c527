"""The kinds of errors, one class per room that can fail."""

from __future__ import annotations

from smelt.errors.base import ExitCode, SmeltError


class UsageError(SmeltError):
    """The command line does not make sense."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ManifestError(SmeltError):
    """The manifest cannot be read or does not mean anything."""

    code = "manifest"


class ConfigError(SmeltError):
    """A ``config.toml`` cannot be read, or a setting cannot be what it is to be."""

    code = "config"


class UnknownNameError(SmeltError):
    """An environment, platform or task that is asked for does not exist in the workspace."""

    code = "unknown-name"


class SolveError(SmeltError):
    """No set of packages satisfies what is required."""

    code = "unsatisfiable"


class ChannelError(SmeltError):
    """A channel cannot be reached, or holds what it must not."""

    code = "channel"


class LockError(SmeltError):
    """A lock file that cannot be read."""

    code = "lock"


class LockOutdatedError(LockError):
    """The lock file does not fit the manifest (``--locked``, ``lock --check``)."""

    code = "lock-outdated"


class SourceError(SmeltError):
    """A source cannot be had, or a package cannot be turned into a recipe."""

    code = "source"


class BuildError(SmeltError):
    """A source package failed to build."""

    code = "build-failed"


class InstallError(SmeltError):
    """A prefix could not be made or changed."""

    code = "install"


class CacheError(SmeltError):
    """A cache entry is damaged and cannot be healed, or a cache folder cannot be used."""

    code = "cache"


class PackError(SmeltError):
    """An environment cannot be packed, or a pack cannot be unpacked."""

    code = "pack"


class TaskError(SmeltError):
    """A task cannot be run as it is defined or called."""

    code = "task"


class CommandNotFoundError(TaskError):
    """Neither a task nor an executable of that name exists."""

    code = "command-not-found"
    exit_code = ExitCode.COMMAND_NOT_FOUND


class NotSupportedError(SmeltError):
    """Something that the file formats know and this version of smelt cannot do yet."""

    code = "not-supported"
