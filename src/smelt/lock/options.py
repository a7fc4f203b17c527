"""Solve options as ``pixi.lock`` writes them."""

from __future__ import annotations

from smelt.workspace.model import EffectiveEnvironment

_STRATEGIES = {"highest": "highest", "lowest": "lowest-version", "lowest-direct": "lowest-version-direct"}
DEFAULTS = {
    "strategy": "highest",
    "channel-priority": "strict",
    "pypi-prerelease-mode": "if-necessary-or-explicit",
}


def solve_options(effective: EffectiveEnvironment) -> dict[str, str]:
    """The ``options`` of a locked environment: only what differs from the default.

    ``exclude-newer`` is not among them: version 7 has no place for it, the time stamps of the packages tell.
    Source: ``rattler_lock``'s ``SolveOptions``.
    """
    options = {
        "strategy": _STRATEGIES[effective.solve_strategy],
        "channel-priority": effective.channel_priority,
        "pypi-prerelease-mode": effective.pypi_options.prerelease_mode or DEFAULTS["pypi-prerelease-mode"],
    }
    return {key: value for key, value in options.items() if value != DEFAULTS[key]}
