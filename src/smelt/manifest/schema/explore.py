"""From answers of the readers to a JSON schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from smelt.manifest.positions import KeyPath
from smelt.manifest.schema.descriptions import describe
from smelt.manifest.schema.hints import (
    CHECKS,
    CONDITIONAL_KEYS,
    CONTEXTS,
    EXCLUDED,
    MIXED,
    NAME_PATTERNS,
    NAMES,
    REFINED,
    SOURCE_CONTEXTS,
    TITLES,
    WHOLE,
    Pattern,
    Schema,
    ending,
)
from smelt.manifest.schema.probe import SAMPLES, UNKNOWN, Answer, ask

Contexts = Mapping[KeyPath, Mapping[str, object]]
_NOT_OF_KEY = frozenset(("type", "missing-key"))
_ODD = "\x00 ?!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place in a manifest: its path with example names, the same as a pattern, and what stands beside it."""

    path: KeyPath = ()
    pattern: Pattern = ()
    contexts: Contexts = field(default_factory=dict[KeyPath, Mapping[str, object]])

    def key(self, name: str, beside: Mapping[str, object], shown: str | None = None) -> Spot:
        """The place of a key of the table here; ``beside``: what else the table holds."""
        return Spot(
            path=(*self.path, name),
            pattern=(*self.pattern, shown or name),
            contexts={**self.contexts, self.path: beside},
        )

    def item(self) -> Spot:
        """The place of an item of the array here."""
        return Spot(path=(*self.path, 0), pattern=(*self.pattern, "[]"), contexts=self.contexts)

    def ask(self, value: object) -> Answer:
        """What the readers say of ``value`` here."""
        return ask(self.path, value, self.contexts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A key of a table: where it can be asked about, the types that it takes, and whether it is deprecated."""

    spot: Spot
    types: tuple[str, ...]
    deprecated: bool


class Explorer:
    """Explores the language of manifests; tables that turn up again become definitions."""

    def __init__(self) -> None:
        self.definitions: dict[str, object] = {}
        self._known: dict[object, str] = {}

    def schema(self) -> Schema:
        """The whole schema of ``pixi.toml``."""
        root = self._table(Spot())
        root["anyOf"] = [{"required": [key]} for key in ("workspace", "project", "package")]
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A manifest of smelt (pixi.toml)",
            **root,
            "$defs": dict(sorted(self.definitions.items())),
        }

    def _value(self, spot: Spot, types: Sequence[str]) -> object:
        """What may stand at ``spot``, of which ``types`` are known to be accepted."""
        if len(types) == len(SAMPLES):
            return True
        found: list[object] = []
        if "string" in types:
            found.append(self._text(spot))
        if "true" in types and "false" in types:
            found.append({"type": "boolean"})
        elif "true" in types or "false" in types:
            found.append({"const": "true" in types})
        if "integer" in types:
            found.append(self._number(spot))
        if "array" in types:
            found.append(self._array(spot))
        if "table" in types:
            found.append(self._definition(spot))
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _text(self, spot: Spot) -> Schema:
        answer = spot.ask(_ODD)
        if spot.path in answer.choices:
            return {"enum": list(answer.choices[spot.path])}
        refined = ending(spot.pattern, REFINED)
        if refined is not None:
            return {"type": "string", **REFINED[refined]}
        check = answer.checks.get(spot.path)
        return {"type": "string", **(CHECKS.get(check, {}) if check is not None else {})}

    def _number(self, spot: Spot) -> Schema:
        least = next((number for number in (-1, 0) if not spot.ask(number).about(spot.path)), 1)
        return {"type": "integer"} if least < 0 else {"type": "integer", "minimum": least}

    def _array(self, spot: Spot) -> Schema:
        item = spot.item()
        array: Schema = {"type": "array", "items": self._value(item, accepted_types(item))}
        if spot.ask([]).about(spot.path):
            array["minItems"] = 1
        return array

    def _definition(self, spot: Spot) -> Schema:
        """The table at ``spot``, by reference if tables of its kind turn up more than once."""
        whole = ending(spot.pattern, WHOLE)
        if whole is not None:
            return WHOLE[whole]
        keys = self._keys(spot)
        if not keys:
            return self._named_table(spot, keys)
        signature = (
            tuple((name, found.types, found.deprecated) for name, found in keys.items()),
            self._required(spot, keys),
            spot.pattern[-1] if len(keys) < 4 and list(keys) != ["workspace"] else None,
        )
        name = self._known.get(signature)
        if name is None:
            name = self._title(spot)
            self._known[signature] = name
            self.definitions[name] = {}  # a table may hold itself
            self.definitions[name] = self._named_table(spot, keys)
        return {"$ref": f"#/$defs/{name}"}

    def _title(self, spot: Spot) -> str:
        known = ending(spot.pattern, TITLES)
        words = [part for part in spot.pattern if part not in ("*", "[]")]
        title = TITLES[known] if known is not None else _camel(words[-1])
        while title in self.definitions:
            words = words[:-1]
            title = f"{_camel(words[-1])}{title}" if words else f"{title}Again"
        return title

    def _table(self, spot: Spot) -> Schema:
        return self._named_table(spot, self._keys(spot))

    def _named_table(self, spot: Spot, keys: Mapping[str, Found]) -> Schema:
        table: Schema = {"type": "object"}
        properties: Schema = {}
        for name, found in keys.items():
            properties[name] = self._property(found, name)
        if properties:
            table["properties"] = properties
        open_to = self._names(spot, keys)
        table.update(open_to if open_to else {"additionalProperties": False})
        required = self._required(spot, keys)
        if required:
            table["required"] = list(required)
        complaints = [each for each in spot.ask({}).about(spot.path) if each.kind not in _NOT_OF_KEY]
        if (complaints or self._needs_anything(spot)) and spot.path and not required:
            table["minProperties"] = 1
        return table

    def _property(self, found: Found, name: str) -> object:
        value = self._value(found.spot, found.types)
        text = describe(found.spot.pattern)
        extra: Schema = {"description": text} if text else {}
        if found.deprecated:
            extra["deprecated"] = True
        if not extra:
            return value
        return {**extra, **cast("Schema", value)} if isinstance(value, dict) else {**extra}

    def _keys(self, spot: Spot) -> dict[str, Found]:
        """The keys that have a meaning of their own in the table at ``spot``."""
        found: dict[str, Found] = {}
        for beside in self._contexts(spot):
            answer = spot.key(UNKNOWN, beside).ask(1)
            allowed = answer.allowed.get(spot.path)
            mixed = ending(spot.pattern, MIXED)
            names = [*(allowed or ()), *(MIXED[mixed] if mixed is not None and len(mixed) == len(spot.pattern) else ())]
            if allowed is not None:
                names += [name for name in CONDITIONAL_KEYS if name not in names]
            for name in names:
                here = spot.key(name, {key: value for key, value in beside.items() if key != name})
                if name in found or ending(here.pattern, dict.fromkeys(EXCLUDED)) is not None:
                    continue
                types = accepted_types(here)
                if types:
                    found[name] = Found(spot=here, types=types, deprecated=is_deprecated(here, types))
        return found

    def _contexts(self, spot: Spot) -> tuple[Mapping[str, object], ...]:
        known = ending(spot.pattern, CONTEXTS)
        if known is not None:
            return CONTEXTS[known]
        answer = spot.key(UNKNOWN, {}).ask(1)
        return SOURCE_CONTEXTS if "git" in answer.allowed.get(spot.path, ()) else ({},)

    def _names(self, spot: Spot, keys: Mapping[str, Found]) -> Schema:
        """What names that are not among ``keys`` may stand for; empty if there can be none."""
        any_name = spot.key(UNKNOWN, {})
        complaints = any_name.ask(1)
        closed = any(spot.path in spot.key(UNKNOWN, beside).ask(1).allowed for beside in self._contexts(spot))
        patterns: Schema = {}
        for pattern, example in NAME_PATTERNS.items():
            named = spot.key(example, {}, "*")
            if example.startswith("if("):  # holds what its table holds
                named = replace(named, pattern=spot.pattern)
            types = accepted_types(named)
            other = accepted_types(spot.key("x", {}, "*"))
            if types and types != other:
                patterns[pattern] = self._value(named, types)
        found: Schema = {"patternProperties": patterns} if patterns else {}
        if closed:
            return {**found, "additionalProperties": False} if found else {}
        inner = spot.key("x", {}, "*")
        types = accepted_types(inner)
        found["additionalProperties"] = self._value(inner, types)
        kinds = [each.kind for each in complaints.about(any_name.path) if each.of_key and each.kind in NAMES]
        if kinds and not patterns:
            found["propertyNames"] = NAMES[kinds[0]]
        return found

    def _required(self, spot: Spot, keys: Mapping[str, Found]) -> tuple[str, ...]:
        """The keys that must be there, whatever else is."""
        missing = spot.ask({}).required.get(spot.path, [])
        needed = list(missing)
        for name, found in keys.items():
            sample = next(value for kind, value in SAMPLES if kind == found.types[0])
            still = spot.ask({name: sample}).required.get(spot.path, [])
            needed = [each for each in needed if each in still or each == name]
        return tuple(needed)

    def _needs_anything(self, spot: Spot) -> bool:
        return bool(spot.ask({}).required.get(spot.path))


def accepted_types(spot: Spot) -> tuple[str, ...]:
    """The types of which a value may stand at ``spot``; none if its key is not allowed there."""
    found: list[str] = []
    for kind, value in SAMPLES:
        complaints = spot.ask(value).about(spot.path)
        blocking = [
            each
            for each in complaints
            if (each.of_key and each.kind not in _NOT_OF_KEY)
            or each.kind == "type"
            or (kind in ("true", "false") and each.kind != "missing-key")
        ]
        if not blocking:
            found.append(kind)
    return tuple(found)


def is_deprecated(spot: Spot, types: Sequence[str]) -> bool:
    """Whether the readers warn of the key at ``spot``."""
    return any(spot.path in spot.ask(value).deprecated for kind, value in SAMPLES if kind in types)


def _camel(text: str) -> str:
    return "".join(part.capitalize() for part in text.replace("$", "").split("-"))
