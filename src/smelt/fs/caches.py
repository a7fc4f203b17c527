"""Where caches are: the reference's own folder, so that packages are shared with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """The cache folder of conda packages and repodata.

    ``PIXI_CACHE_DIR``, else ``RATTLER_CACHE_DIR``, else ``$XDG_CACHE_HOME/pixi`` if that folder exists, else
    rattler's default (``<user cache>/rattler/cache``).
    Source: the reference's "Configurable Environment Variables".
    """
    for name in ("PIXI_CACHE_DIR", "RATTLER_CACHE_DIR"):
        value = os.environ.get(name)
        if value:
            return Path(value).absolute()
    xdg = os.environ.get("XDG_CACHE_HOME")
    if xdg and (Path(xdg) / "pixi").is_dir():
        return Path(xdg).absolute() / "pixi"
    return _user_cache() / "rattler" / "cache"


def _user_cache() -> Path:
    xdg = os.environ.get("XDG_CACHE_HOME")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(xdg) if xdg else Path.home() / ".cache"


def smelt_cache() -> Path:
    """smelt's own part of the cache: ``<cache root>/smelt``."""
    return cache_root() / "smelt"
