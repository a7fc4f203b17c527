"""What all files together say: the settings in force."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from smelt.config.files import ConfigSource, boolish, local_file, pixi_home, shared_files, system_file
from smelt.config.keys import key_at
from smelt.config.reading import Data, Layer, read_layer
from smelt.errors import ConfigError, ErrorGroup, SmeltError

_VARIABLES = (
    ("PIXI_OFFLINE", ("offline",), True),
    ("PIXI_NO_SYMBOLIC_LINKS", ("allow-symbolic-links",), False),
    ("PIXI_NO_HARD_LINKS", ("allow-hard-links",), False),
    ("PIXI_NO_REF_LINKS", ("allow-ref-links",), False),
)
"""Variable, key, and the value that it stands for when it is on."""

_TEXTS = (("SMELT_SHARED_STORE", "shared-store"), ("SMELT_COMPILER_CACHE", "compiler-cache"))
_LISTS = (("SMELT_TRUSTED_BACKEND_CHANNELS", "trusted-backend-channels"),)
_SWITCHES = (
    ("SMELT_SHARED_STORE_WRITES", "shared-store-writes"),
    ("SMELT_SANDBOX", "sandbox"),
    ("SMELT_KEEP_BUILDS", "keep-builds"),
)
"""Variable, and the key of ``tool.smelt`` that it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force, and where they come from.

    ``data``: nested tables under the names of ``smelt.config.keys``. ``files``: those that were read, highest
    priority first; ``places``: all that were looked for. ``warnings``: unknown and deprecated keys. ``broken``: files
    that could not be read; what they say is not in force.
    """

    data: Mapping[str, object] = field(default_factory=dict[str, object])
    files: tuple[Path, ...] = ()
    places: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    broken: tuple[SmeltError, ...] = ()

    def get(self, *path: str) -> object | None:
        """The value at ``path``, or None."""
        found: object = self.data
        for part in path:
            if not isinstance(found, Mapping):
                return None
            found = found.get(part)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return found  # pyright: ignore[reportUnknownVariableType]

    def _strings(self, *path: str) -> tuple[str, ...]:
        return tuple(cast("Sequence[str]", self.get(*path) or ()))

    @property
    def default_channels(self) -> tuple[str, ...]:
        """The channels of what is not a workspace yet; never empty."""
        return self._strings("default-channels") or ("conda-forge",)

    @property
    def pinning_strategy(self) -> str:
        """What ``add`` makes of a version: one of ``smelt.config.keys.PINNING_STRATEGIES``."""
        return str(self.get("pinning-strategy") or "semver")

    @property
    def run_post_link_scripts(self) -> bool:
        """Whether packages may run scripts when they are installed."""
        return self.get("run-post-link-scripts") == "insecure"

    @property
    def refused_links(self) -> frozenset[str]:
        """Which kinds of links must not be used in environments, of ``symbolic``, ``hard`` and ``ref``."""
        return frozenset(kind for kind in ("symbolic", "hard", "ref") if self.get(f"allow-{kind}-links") is False)

    @property
    def change_ps1(self) -> bool:
        """Whether the prompt of a shell shows the environment."""
        return self.get("shell", "change-ps1") is not False

    @property
    def source_completion_scripts(self) -> bool:
        """Whether a shell loads the completions of packages."""
        return self.get("shell", "source-completion-scripts") is not False

    @property
    def force_activate(self) -> bool:
        """Whether activation scripts are asked each time."""
        return self.get("shell", "force-activate") is True

    def detached_environments(self, cache: Path) -> Path | None:
        """The folder that holds the environments of all workspaces; None where they are in their workspaces.

        ``cache``: the cache root, in which they are if the setting names no folder.
        """
        found = self.get("detached-environments")
        if isinstance(found, str):
            return Path(found)
        if found is not True:
            return None
        own = self.get("cache", "detached-environments")
        return Path(str(own)) if own is not None else cache / "envs"

    @property
    def offline(self) -> bool:
        """Whether nothing but what is cached may be used."""
        return self.get("offline") is True

    @property
    def shared_store(self) -> str | None:
        """The store of built packages that several machines share: a folder, or an ``s3://`` address."""
        found = self.get("tool", "smelt", "shared-store")
        return str(found) if found else None

    @property
    def shared_store_writes(self) -> bool:
        """Whether what is built here is put into the shared store."""
        return self.get("tool", "smelt", "shared-store-writes") is not False

    @property
    def compiler_cache(self) -> str | None:
        """The compiler cache that builds use: ``ccache``, ``sccache``, a path, or ``none``."""
        found = self.get("tool", "smelt", "compiler-cache")
        return str(found) if found else None

    @property
    def sandbox(self) -> bool:
        """Whether builds reach no network and do not see the home folder."""
        return self.get("tool", "smelt", "sandbox") is True

    @property
    def trusted_backend_channels(self) -> tuple[str, ...]:
        """Channels whose programs may be run for packages that come from elsewhere; ``*`` stands for all."""
        return self._strings("tool", "smelt", "trusted-backend-channels")

    @property
    def keeps_builds(self) -> bool:
        """Whether a workspace keeps in ``.pixi`` what its environments are built of."""
        return self.get("tool", "smelt", "keep-builds") is not False

    @property
    def pypi_index_url(self) -> str | None:
        """The PyPI index that ``init`` writes into a manifest."""
        found = self.get("pypi-config", "index-url")
        return str(found) if found is not None else None

    @property
    def pypi_extra_index_urls(self) -> tuple[str, ...]:
        """The further PyPI indexes that ``init`` writes into a manifest."""
        return self._strings("pypi-config", "extra-index-urls")

    @property
    def proxies(self) -> Mapping[str, str]:
        """The variables that make the proxies of the settings known to everything that reaches the network."""
        found = {f"{kind}_proxy": self.get("proxy-config", kind) for kind in ("https", "http")}
        variables = {name: str(value) for name, value in found.items() if value is not None}
        hosts = self._strings("proxy-config", "non-proxy-hosts")
        return {**variables, "no_proxy": ",".join(hosts)} if variables and hosts else variables


def load_settings(
    root: Path | None,
    environment: Mapping[str, str] | None = None,
    source: ConfigSource | None = None,
    given: Mapping[str, object] | None = None,
) -> Settings:
    """The settings for the workspace in ``root`` (None: outside of one).

    ``given``: what the command line says, which goes before everything. A file that cannot be read does not end the
    command that wants the settings: its error is in ``broken``, to be shown.
    Source: the reference's page "The Configuration of Pixi Itself".
    """
    environment = os.environ if environment is None else environment
    source = source or ConfigSource()
    paths = list(shared_files(environment, source))
    if root is not None:
        paths.append(local_file(root))
    found = read_layers(paths, required=source.file)
    layers = list(found.layers)
    variables = Layer(data=_from_environment(environment))
    # Variables stand for options of the command line, but a workspace goes before them: as in the reference.
    at = len(layers) - 1 if root is not None and layers and layers[-1].path == local_file(root) else len(layers)
    layers.insert(at, variables)
    return replace(merge([*layers, Layer(data=given or {})], found.broken), places=tuple(paths))


def system_settings() -> Settings:
    """Only what the file for all users says."""
    found = read_layers([system_file()])
    return merge(found.layers, found.broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The files that were read, lowest priority first, and the errors of those that could not be read."""

    layers: tuple[Layer, ...]
    broken: tuple[SmeltError, ...]


def read_layers(paths: Sequence[Path], required: Path | None = None) -> Layers:
    """Read the files of ``paths`` that are there; that ``required`` is missing is an error."""
    layers: list[Layer] = []
    broken: list[SmeltError] = []
    for path in paths:
        try:
            layer = read_layer(path)
        except (ConfigError, ErrorGroup) as error:
            broken.append(error)
            continue
        if layer is not None:
            layers.append(layer)
        elif path == required:
            broken.append(ConfigError(f"there is no configuration file {path}", code="config-missing"))
    return Layers(layers=tuple(layers), broken=tuple(broken))


def merge(layers: Sequence[Layer], broken: Sequence[SmeltError] = ()) -> Settings:
    """What ``layers`` (lowest priority first) mean together."""
    data: Data = {}
    for layer in layers:
        _lay_over(data, layer.data, ())
    return Settings(
        data=data,
        files=tuple(layer.path for layer in reversed(layers) if layer.path is not None),
        warnings=tuple(dict.fromkeys(warning for layer in layers for warning in layer.warnings)),
        broken=tuple(broken),
    )


def _lay_over(below: Data, above: Mapping[str, object], path: tuple[str, ...]) -> None:
    for name, value in above.items():
        at = (*path, name)
        if isinstance(value, Mapping):
            _lay_over(cast("Data", below.setdefault(name, {})), cast("Mapping[str, object]", value), at)
            continue
        key = key_at(at)
        if key is not None and key.extends:
            value = [*cast("list[object]", below.get(name, [])), *cast("list[object]", value)]
        if at == ("default-channels",) and not value:
            continue
        below[name] = value


def _from_environment(environment: Mapping[str, str]) -> Data:
    found: Data = {}
    for variable, path, value in _VARIABLES:
        switched = boolish(environment.get(variable, ""))
        if path == ("offline",) and switched is not None:
            found["offline"] = switched
        elif switched:
            found[path[0]] = value
    own: Data = {}
    for variable, name in _TEXTS:
        if environment.get(variable):
            own[name] = environment[variable]
    for variable, name in _LISTS:
        items = [each.strip() for each in environment.get(variable, "").split(",") if each.strip()]
        if items:
            own[name] = cast("list[object]", items)
    for variable, name in _SWITCHES:
        switched = boolish(environment.get(variable, ""))
        if switched is not None:
            own[name] = switched
    if own:
        found["tool"] = {"smelt": own}
    roots = environment.get("PIXI_TLS_ROOT_CERTS")
    if roots:
        found["tls-root-certs"] = roots
    return found


def credentials_file(settings: Settings, environment: Mapping[str, str]) -> Path:
    """The file where credentials are looked for if there is no keyring."""
    named = environment.get("RATTLER_AUTH_FILE") or settings.get("authentication-override-file")
    if named is not None:
        return Path(str(named))
    home = pixi_home({**environment, "PIXI_HOME": ""}).parent
    return home / ".rattler" / "credentials.json"
