"""Options that stand for settings of ``config.toml``, declared once.

Source: the reference's headings "Config Options".
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.terminal import Terminal

if TYPE_CHECKING:
    from smelt.config.files import ConfigSource
    from smelt.config.settings import Settings

WITH_VALUE = frozenset(
    (
        *("--config-file", "--auth-file", "--concurrent-downloads", "--concurrent-solves"),
        *("--pinning-strategy", "--pypi-keyring-provider", "--tls-root-certs"),
    )
)
"""The options here that take a value in the next word."""

# Settings that are read and that nothing here obeys yet: to be said, because they promise something.
_WITHOUT_EFFECT = (("cache",),)


def add_config_source(parser: argparse.ArgumentParser) -> None:
    """``--no-config`` and ``--config-file``."""
    group = parser.add_argument_group("config options")
    group.add_argument(
        "--no-config",
        action="store_true",
        help="read no configuration but the workspace's (PIXI_NO_CONFIG)",
    )
    group.add_argument(
        "--config-file",
        type=Path,
        metavar="PATH",
        help="the configuration to read in the place of the system's and the user's (PIXI_CONFIG_FILE)",
    )


def add_settings(parser: argparse.ArgumentParser, *, pinning: bool = True) -> None:
    """The options that stand for one setting each. ``pinning``: ``--pinning-strategy`` too."""
    group = parser.add_argument_group("settings (instead of those of `smelt config`)")
    group.add_argument("--auth-file", type=Path, metavar="PATH", help="the file that holds credentials")
    group.add_argument("--concurrent-downloads", type=int, metavar="N", help="downloads at the same time")
    group.add_argument("--concurrent-solves", type=int, metavar="N", help="solves at the same time")
    if pinning:
        group.add_argument("--pinning-strategy", metavar="STRATEGY", help=argparse.SUPPRESS)
    group.add_argument("--pypi-keyring-provider", choices=("disabled", "subprocess"), help="where to get credentials")
    group.add_argument(
        "--run-post-link-scripts", action="store_true", help="let packages run scripts when they are installed"
    )
    group.add_argument("--no-symbolic-links", action="store_true", help="make no symbolic links in environments")
    group.add_argument("--no-hard-links", action="store_true", help="copy files from the cache instead of linking")
    group.add_argument("--no-ref-links", action="store_true", help="make no copy-on-write links to the cache")
    group.add_argument("--tls-no-verify", action="store_true", help="do not verify certificates")
    group.add_argument("--tls-root-certs", choices=("webpki", "system", "native", "all"), help="root certificates")
    group.add_argument(
        "--offline",
        nargs="?",
        const="true",
        type=_switch,
        metavar="true|false",
        help="use nothing but what is cached (PIXI_OFFLINE; the value after `=`)",
    )
    group.add_argument(
        "--use-environment-activation-cache", action="store_true", help="keep the answers of activation scripts"
    )


def _switch(text: str) -> str:
    """``true`` or ``false``, also where that is written otherwise."""
    lowered = text.lower()
    if lowered in ("1", "true", "t", "yes", "y", "on"):
        return "true"
    if lowered in ("0", "false", "f", "no", "n", "off"):
        return "false"
    raise argparse.ArgumentTypeError(f"`{text}` is neither `true` nor `false`")


def settings_given(arguments: argparse.Namespace) -> bool:
    """Whether the command line says anything of settings, so that what is known of the usual ones says nothing."""
    return arguments.no_config or arguments.config_file is not None or bool(given_settings(arguments))


def given_settings(arguments: argparse.Namespace) -> dict[str, object]:
    """What the command line says of settings, as ``smelt.config.settings.Settings.data`` has it."""

    def option(name: str) -> object:
        value = getattr(arguments, name, None)
        return None if value is False else value

    found: dict[str, object] = {}
    for name, key, value in (
        ("auth_file", "authentication-override-file", None),
        ("pinning_strategy", "pinning-strategy", None),
        ("run_post_link_scripts", "run-post-link-scripts", "insecure"),
        ("no_symbolic_links", "allow-symbolic-links", False),
        ("no_hard_links", "allow-hard-links", False),
        ("no_ref_links", "allow-ref-links", False),
        ("tls_no_verify", "tls-no-verify", True),
        ("tls_root_certs", "tls-root-certs", None),
    ):
        said = option(name)
        if said is not None:
            found[key] = value if value is not None else str(said)
    if option("offline") is not None:
        found["offline"] = arguments.offline == "true"
    if option("pypi_keyring_provider") is not None:
        found["pypi-config"] = {"keyring-provider": arguments.pypi_keyring_provider}
    if option("use_environment_activation_cache") is not None:
        found["experimental"] = {"use-environment-activation-cache": True}
    if option("force_activate") is not None:
        found["shell"] = {"force-activate": True}
    limits = {name: option(f"concurrent_{name}") for name in ("solves", "downloads")}
    if any(value is not None for value in limits.values()):
        found["concurrency"] = {name: value for name, value in limits.items() if value is not None}
    return found


def source_of(arguments: argparse.Namespace) -> ConfigSource:
    """Which configuration files are to be read."""
    from smelt.config.files import config_source

    return config_source(
        os.environ,
        no_config=getattr(arguments, "no_config", False),
        config_file=getattr(arguments, "config_file", None),
    )


def settings_for(arguments: argparse.Namespace, root: Path | None, terminal: Terminal) -> Settings:
    """The settings in force for the workspace in ``root``, or outside of one; what is wrong with them is said."""
    from smelt.config.settings import load_settings

    settings = load_settings(root, os.environ, source_of(arguments), given_settings(arguments))
    show_problems(settings, terminal)
    return settings


def show_problems(settings: Settings, terminal: Terminal) -> None:
    """Say which files are broken, and which keys nobody knows."""
    for warning in settings.warnings:
        terminal.warn(warning)
    for error in settings.broken:
        from smelt.cli.errors import render

        terminal.note(render(error, terminal))
        terminal.warn("the file is ignored: its settings are not in force")


def put_into_force(settings: Settings, terminal: Terminal) -> None:
    """Let the processes that reach the network know what the settings say; say which settings have no effect yet."""
    for name, value in settings.proxies.items():
        if not (os.environ.get(name) or os.environ.get(name.upper())):
            os.environ[name] = value
    credentials = settings.get("authentication-override-file")
    if credentials is not None and not os.environ.get("RATTLER_AUTH_FILE"):
        os.environ["RATTLER_AUTH_FILE"] = str(credentials)
    idle = [path for path in _WITHOUT_EFFECT if settings.get(*path) not in (None, False, {})]
    if idle:
        names = ", ".join(f"`{'.'.join(path)}`" for path in idle)
        terminal.warn(f"{names} of the configuration: smelt knows this setting and cannot obey it yet")
