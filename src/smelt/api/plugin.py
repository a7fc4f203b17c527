"""What a Python package needs that brings a backend; the page "Write a backend" tells how.

``Backend`` is what the entry point loads, ``BackendRecipe`` what it gives for a ``RenderRequest``. The others read
the package's manifest as smelt's own backends do: ``configuration_of`` checks ``[package.build.config]``,
``PackageTables`` its dependency tables, ``identity_of`` its name and version, ``about_of`` its description.
"""

from __future__ import annotations

from smelt.source.backends.configuration import Configuration, configuration_of
from smelt.source.backends.interface import Backend, BackendRecipe
from smelt.source.backends.tables import PackageTables, about_of, identity_of, uses_v3
from smelt.source.model import MANIFESTS, RenderRequest

__all__ = [
    "MANIFESTS",
    "Backend",
    "BackendRecipe",
    "Configuration",
    "PackageTables",
    "RenderRequest",
    "about_of",
    "configuration_of",
    "identity_of",
    "uses_v3",
]
