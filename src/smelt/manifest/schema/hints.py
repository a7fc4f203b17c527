"""What the readers cannot be asked: which keys depend on others, patterns of texts, names and words for people.

Paths are patterns: ``*`` stands for any name and ``[]`` for an item of an array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from smelt.manifest.location import channel_problem, url_problem
from smelt.manifest.platform import FAMILIES, platform_name_problem
from smelt.manifest.task import environment_name_problem
from smelt.manifest.version import exclude_newer_problem, version_problem, version_spec_problem
from smelt.types import KNOWN_PLATFORMS, NOARCH

Pattern = tuple[str, ...]
Schema = dict[str, object]

CONDITIONAL_KEYS = ("workspace", "package", "pin-compatible", "pin-subpackage")
"""Keys that a reader only looks for where they are: they are tried on every table."""

NAME_PATTERNS = {"^__": "__x", r"^if\(.*\)$": "if(unix)"}
"""Names that stand for something else than the other names of their table, each with an example."""

SOURCE_CONTEXTS: tuple[Mapping[str, object], ...] = (
    {},
    {"git": "https://git.example/x"},
    {"url": "https://files.example/x.tar.gz"},
    {"path": "x"},
)
"""What must be beside a key of a source so that the key makes sense."""

CONTEXTS: dict[Pattern, tuple[Mapping[str, object], ...]] = {
    ("tasks", "*"): ({}, {"cmd": "x"}),
    ("when",): ({"package": "x"}, {"all": []}, {"any": []}),
    ("all", "[]"): ({"package": "x"}, {"all": []}, {"any": []}),
    ("any", "[]"): ({"package": "x"}, {"all": []}, {"any": []}),
}
"""By the end of a pattern: what else may be in the table, for readers that look at that first."""

MIXED: dict[Pattern, tuple[str, ...]] = {
    ("tool",): ("smelt",),
    ("tool", "smelt", "matrix", "*"): ("no-default-feature", "solve-group", "exclude"),
}
"""Keys with a meaning of their own in tables that take any name."""

EXCLUDED: frozenset[Pattern] = frozenset({("package", "target")})
"""Deprecated keys, by the end of a pattern, that are read and that editors should not accept."""

_SUBDIRS = list(KNOWN_PLATFORMS)
_URL = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:\S+\s*$"

CHECKS: dict[Callable[[str], str | None], Schema] = {
    url_problem: {"pattern": _URL},
    channel_problem: {"pattern": r"\S"},
    platform_name_problem: {
        "pattern": "^[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?$",
        "maxLength": 64,
        "not": {"enum": list(FAMILIES)},
    },
    environment_name_problem: {"pattern": "^[a-z0-9-]+$"},
    version_problem: {"minLength": 1},
    version_spec_problem: {},
    exclude_newer_problem: {"minLength": 1},
}
"""What is known of texts that a check of the readers lets pass."""

NAMES: dict[str, Schema] = {
    "package-name": {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"},
    "environment-name": {"pattern": "^[a-z0-9-]+$"},
    "selector": {"pattern": r"^[A-Za-z0-9*-]+$"},
}
"""What is known of names, by the kind of the complaint of a wrong one."""

REFINED: dict[Pattern, Schema] = {
    ("workspace", "platforms", "[]"): {"enum": _SUBDIRS},
    ("platforms", "[]", "platform"): {"enum": _SUBDIRS},
    ("build-platform", "*"): {"enum": [each for each in _SUBDIRS if each != NOARCH]},
    ("feature", "*", "platforms", "[]"): {
        "anyOf": [{"enum": _SUBDIRS}, {"pattern": "^[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?$"}]
    },
    ("tasks", "*", "args", "[]"): {"pattern": "^[^-]+$", "not": {"const": "pixi"}},
    ("args", "[]", "arg"): {"pattern": "^[^-]+$", "not": {"const": "pixi"}},
    ("md5",): {"pattern": "^[0-9a-fA-F]{32}$"},
    ("sha256",): {"pattern": "^[0-9a-fA-F]{64}$"},
    ("pypi",): {"pattern": r"^\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*==\s*\S+\s*$"},
}
"""What is known of texts, by the end of a pattern, where no check can be asked."""

WHOLE: dict[Pattern, Schema] = {
    ("matrix", "*", "exclude", "[]"): {"type": "object", "additionalProperties": {"type": "string"}},
}
"""Tables whose keys other keys of the manifest decide, by the end of a pattern."""

TITLES: dict[Pattern, str] = {
    ("workspace",): "Workspace",
    ("workspace", "target", "*"): "WorkspaceTarget",
    ("workspace", "dependencies", "*"): "SharedDependency",
    ("conda-pypi-map", "*"): "CondaPypiMapping",
    ("s3-options", "*"): "S3Bucket",
    ("package",): "Package",
    ("package", "name"): "Inherited",
    ("package", "build"): "Build",
    ("package", "build", "backend"): "Backend",
    ("package", "build", "source"): "PackageSource",
    ("package", "build", "target", "*"): "BuildTarget",
    ("host-dependencies", "*"): "PinnableDependency",
    ("build-dependencies", "*"): "PlainDependency",
    ("constraints", "*"): "PlainDependency",
    ("pin-compatible",): "Pin",
    ("dependencies", "*"): "Dependency",
    ("dependencies", "*", "package"): "InlinePackage",
    ("dependencies", "*", "package", "build"): "InlineBuild",
    ("when",): "Condition",
    ("dependency-overrides", "*"): "PypiDependency",
    ("pypi-options",): "PypiOptions",
    ("system-requirements",): "SystemRequirements",
    ("platforms", "[]"): "Platform",
    ("channels", "[]"): "Channel",
    ("feature", "*"): "Feature",
    ("target", "*"): "Target",
    ("environments", "*"): "Environment",
    ("tasks", "*"): "Task",
    ("tasks", "*", "[]"): "TaskDependency",
    ("args", "[]"): "TaskArgument",
    ("dev", "*"): "Source",
    ("tool", "smelt"): "Smelt",
    ("tool", "smelt", "profile", "*"): "Profile",
    ("tool", "smelt", "matrix", "*"): "Matrix",
}
"""What the parts of the schema are called, by the end of the pattern where they are first found."""


def ending(pattern: Pattern, table: Mapping[Pattern, object]) -> Pattern | None:
    """The longest key of ``table`` that ``pattern`` ends in."""
    return next((pattern[at:] for at in range(len(pattern)) if pattern[at:] in table), None)
