"""``[package.build.config]``: read once, checked strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from smelt.errors import Label, SourceError
from smelt.manifest.document import LazyPlace
from smelt.source.model import RenderRequest
from smelt.text import closest
from smelt.workspace.requirements import config_for

_WORDS = ("config", "configuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The configuration of a backend for one request, with the profile's laid over the package's.

    The readers raise SourceError for a value of the wrong type.
    """

    request: RenderRequest
    backend: str
    values: Mapping[str, object]

    def boolean(self, key: str) -> bool | None:
        """True, False, or None where nothing is said."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def text(self, key: str) -> str | None:
        """Text, or None where nothing is said."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.error(key, "must be text")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, or None where nothing is said."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self.error(key, "must be a list of texts")
        items = cast("Sequence[object]", value)
        if not all(isinstance(item, str) for item in items):
            raise self.error(key, "must be a list of texts")
        return tuple(cast("Sequence[str]", items))

    def mapping(self, key: str) -> dict[str, str]:
        """A table of texts; empty where nothing is said."""
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            raise self.error(key, "must be a table of texts")
        items = cast("Mapping[object, object]", value)
        if not all(isinstance(k, str) and isinstance(v, str) for k, v in items.items()):
            raise self.error(key, "must be a table of texts")
        return dict(cast("Mapping[str, str]", items))

    def error(self, key: str, problem: str, help: str | None = None) -> SourceError:
        """That the value of ``key`` will not do, with its place."""
        return self._error(key, f"`{key}` {problem}", help)

    def unknown(self, key: str, known: Sequence[str]) -> SourceError:
        """That the backend has no ``key``, but those that are ``known``."""
        guess = closest(key, known)
        return self._error(
            key,
            f"unknown field `{key}`",
            f"did you mean `{guess}`?" if guess else f"known keys: {', '.join(sorted(known))}",
        )

    def _error(self, key: str, problem: str, help: str | None) -> SourceError:
        package, profile = self.request.package, self.request.profile
        names = (key, key.replace("-", "_"))
        targets = [
            selector for selector, table in package.target_config.items() if any(each in table for each in names)
        ]
        place = package.backend.place
        if profile is not None and not profile.config.get(self.backend, {}).keys().isdisjoint(names):
            kind, place = f"what profile `{profile.name}` lays over the configuration", None
        elif targets:
            kind = "target configuration"
        else:
            kind = "configuration"
        if isinstance(place, LazyPlace):
            tables = [("target", each) for each in targets] or [()]
            place = place.nearby(*((*table, word, name) for table in tables for word in _WORDS for name in names))
        return SourceError(
            f"failed to parse {kind} of {self.backend} for package `{package.name or package.root.name}`: {problem}",
            code="backend-config",
            labels=[Label(place=place)] if place is not None else [],
            help=help,
        )


def configuration_of(request: RenderRequest, backend: str, known: Sequence[str]) -> Configuration:
    """The merged configuration of ``request`` for ``backend``, whose keys are ``known``.

    The profile's keys replace the package's, but for ``env``, whose names are merged. Raises SourceError for an
    unknown key.
    """
    values = dict(config_for(request.package, request.subdir))
    overlay: Mapping[str, object] = request.profile.config.get(backend, {}) if request.profile is not None else {}
    for key, value in overlay.items():
        old = values.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            values[key] = {**cast("Mapping[str, object]", old), **cast("Mapping[str, object]", value)}
        else:
            values[key] = value
    values = {key.replace("_", "-") if key == "debug_dir" else key: value for key, value in values.items()}
    configuration = Configuration(request=request, backend=backend, values=values)
    for key in values:
        if key not in known:
            raise configuration.unknown(key, known)
    return configuration
