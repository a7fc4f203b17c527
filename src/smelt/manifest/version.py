"""Conda versions and version specs, as far as a manifest needs them: syntax, order, and simple matching.

Pure text work: the solver's own parser has the last word. Source: CEP 33 (version literals and their order),
CEP 29 (version specs), and rattler's strict mode, which the reference's manifests use.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import zip_longest

_VERSION = re.compile(r"(?:\d+!)?[0-9A-Za-z]+(?:[._-]+[0-9A-Za-z]+)*[_-]*(?:\+[0-9A-Za-z]+(?:[._-][0-9A-Za-z]+)*)?")
_DEEPEST = 50
_OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "=", "~=")
_TOKEN = re.compile(r"\s*([(),|]|(?P<operator>[=!<>~]+)?\s*(?P<version>[0-9A-Za-z!._*+^$\\-]+)?)")


def version_problem(text: str) -> str | None:
    """Why ``text`` is not a version, or None."""
    if _is_version(text):
        return None
    return f"`{text}` is not a version" if text else "a version cannot be empty"


def _is_version(text: str) -> bool:
    found = _VERSION.fullmatch(text)
    return found is not None and ".." not in text


@lru_cache(maxsize=1024)
def version_spec_problem(text: str) -> str | None:
    """Why ``text`` is not a version spec, or None. A bare version (``1.2``) is taken as ``==1.2``."""
    stripped = text.strip()
    if not stripped:
        return "a version spec cannot be empty (`*` means any version)"
    if stripped != text:
        return _spec_advice(text, "there is white space around it")
    at = 0
    depth = 0
    wants_term = True
    while at < len(stripped):
        found = _TOKEN.match(stripped, at)
        if found is None or found.end() == at:
            return _spec_advice(text, f"`{stripped[at:]}` is not expected here")
        token = found.group(1).strip()
        at = found.end()
        if not token:
            continue
        if token == "(":
            if not wants_term:
                return _spec_advice(text, "expected `,` or `|` before `(`")
            depth += 1
            if depth > _DEEPEST:
                return "a version spec is nested too deeply"
        elif token == ")":
            depth -= 1
            if wants_term or depth < 0:
                return _spec_advice(text, "`)` is not expected here")
        elif token in ",|":
            if wants_term:
                return _spec_advice(text, f"expected a version before `{token}`")
            wants_term = True
        else:
            if not wants_term:
                return _spec_advice(text, f"expected `,` or `|` before `{token}`")
            if token != "".join(token.split()):
                return _spec_advice(text, "no white space is allowed after an operator")
            complaint = _term_problem(found.group("operator"), found.group("version") or "")
            if complaint is not None:
                return _spec_advice(text, complaint)
            wants_term = False
    if depth:
        return _spec_advice(text, "a `(` is not closed")
    return _spec_advice(text, "expected a version at the end") if wants_term else None


def _term_problem(operator: str | None, version: str) -> str | None:
    if operator is not None and operator not in _OPERATORS:
        return f"`{operator}` is not an operator (there are {' '.join(_OPERATORS)})"
    if not version:
        return f"expected a version after `{operator}`"
    if version.startswith("^") or version.endswith("$"):
        return "regular expressions are not supported"
    if version == "*":
        return None if operator is None else f"`*` cannot follow `{operator}`"
    base = version.removesuffix(".*") if version.endswith(".*") else version.removesuffix("*")
    if "*" in base:
        return f"`*` can only end a version, found `{version}`"
    if base != version and operator not in (None, "!="):
        return f"`{version}` ends in `*`, which `{operator}` does not take"
    return version_problem(base)


def _spec_advice(text: str, complaint: str) -> str:
    """A better complaint where something else than a version spec was meant."""
    stripped = text.strip()
    if stripped.startswith(("/", ".", "\\", "~/")):
        return f'`{text}` is not a version spec; a path is written as `{{ path = "{text}" }}`'
    if "git" in stripped and ("/" in stripped or ":" in stripped):
        return f'`{text}` is not a version spec; a git repository is written as `{{ git = "{text}" }}`'
    if "://" in stripped:
        return f'`{text}` is not a version spec; an address is written as `{{ url = "{text}" }}`'
    if "::" in stripped:
        channel, _, rest = stripped.partition("::")
        return f'`{text}` is not a version spec; write `{{ version = "{rest}", channel = "{channel}" }}`'
    parts = stripped.split()
    if len(parts) == 2 and version_spec_problem(parts[0]) is None:
        return f'`{text}` is not a version spec; write `{{ version = "{parts[0]}", build = "{parts[1]}" }}`'
    return f"`{text}` is not a version spec: {complaint}"


def compare_versions(left: str, right: str) -> int:
    """Negative, zero or positive as ``left`` is older than, equal to or newer than ``right`` (CEP 33)."""
    left_epoch, left_parts, left_local = _parse(left)
    right_epoch, right_parts, right_local = _parse(right)
    if left_epoch != right_epoch:
        return left_epoch - right_epoch
    return _compare_parts(left_parts, right_parts) or _compare_parts(left_local, right_local)


Atom = tuple[int, int, str]
_FILL: Atom = (3, 0, "")  # a missing component counts as the number 0


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[int, tuple[tuple[Atom, ...], ...], tuple[tuple[Atom, ...], ...]]:
    text = text.lower()
    epoch, mark, rest = text.partition("!")
    if not mark:
        epoch, rest = "0", text
    main, _, local = rest.partition("+")
    return int(epoch) if epoch.isdigit() else 0, _components(main), _components(local)


def _components(text: str) -> tuple[tuple[Atom, ...], ...]:
    if not text:
        return ()
    return tuple(_atoms(part) for part in re.split(r"[._-]+", text) if part)


def _atoms(part: str) -> tuple[Atom, ...]:
    pieces = re.findall(r"\d+|[a-z]+", part)
    atoms: list[Atom] = [] if part[:1].isdigit() else [_FILL]
    for piece in pieces:
        if piece.isdigit():
            atoms.append((3, int(piece), ""))
        elif piece == "dev":
            atoms.append((0, 0, ""))
        elif piece == "post":
            atoms.append((4, 0, ""))
        else:
            atoms.append((1, 0, piece))
    return tuple(atoms)


def _compare_parts(left: tuple[tuple[Atom, ...], ...], right: tuple[tuple[Atom, ...], ...]) -> int:
    for left_part, right_part in zip_longest(left, right, fillvalue=()):
        for left_atom, right_atom in zip_longest(left_part, right_part, fillvalue=_FILL):
            if left_atom != right_atom:
                return -1 if left_atom < right_atom else 1
    return 0


def version_matches(spec: str, version: str) -> bool:
    """Whether ``version`` is allowed by ``spec``, which has no ``version_spec_problem``."""
    tokens: list[str] = []
    at = 0
    stripped = spec.strip()
    while at < len(stripped):
        found = _TOKEN.match(stripped, at)
        if found is None or found.end() == at:
            break
        at = found.end()
        if found.group(1).strip():
            tokens.append(re.sub(r"\s", "", found.group(1)))
    return _either(tokens, version)


def _either(tokens: list[str], version: str) -> bool:
    result = _both(tokens, version)
    while tokens and tokens[0] == "|":
        tokens.pop(0)
        other = _both(tokens, version)
        result = result or other
    return result


def _both(tokens: list[str], version: str) -> bool:
    result = _one(tokens, version)
    while tokens and tokens[0] == ",":
        tokens.pop(0)
        other = _one(tokens, version)
        result = result and other
    return result


def _one(tokens: list[str], version: str) -> bool:
    token = tokens.pop(0)
    if token == "(":
        inner = _either(tokens, version)
        tokens.pop(0)
        return inner
    operator = next((each for each in _OPERATORS if token.startswith(each)), "")
    text = token[len(operator) :]
    if text == "*":
        return True
    if text.endswith("*"):
        starts = _starts_with(version, text.removesuffix("*").removesuffix("."))
        return not starts if operator == "!=" else starts
    order = compare_versions(version, text)
    if operator == "~=":
        return order >= 0 and _starts_with(version, text.rpartition(".")[0] or text)
    if operator == "=":
        return _starts_with(version, text)
    return {"": order == 0, "==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0}.get(
        operator, order >= 0
    )


def _starts_with(version: str, prefix: str) -> bool:
    epoch, parts, _ = _parse(version)
    prefix_epoch, prefix_parts, _ = _parse(prefix)
    return epoch == prefix_epoch and _compare_parts(parts[: len(prefix_parts)], prefix_parts) == 0


_DURATION = re.compile(
    r"(?:\s*\d+\s*(?:nsec|ns|usec|us|µs|msec|ms|seconds?|secs?|s|minutes?|mins?|min|months?|M|m|hours?|hrs?|hr|h|"
    r"days?|d|weeks?|wks?|wk|w|years?|yrs?|yr|y))+\s*"
)


def exclude_newer_problem(text: str) -> str | None:
    """Why ``text`` is no cut-off (a duration such as ``7d``, a date, or an RFC 3339 time), or None.

    Source: the reference's manifest page, "exclude-newer".
    """
    import datetime

    if _DURATION.fullmatch(text):
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            datetime.date.fromisoformat(text)
            return None
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and moment.tzinfo is not None:
        return None
    examples = "a duration (`7d`), a date (`2025-01-31`) or a time with zone (`2025-01-31T12:00:00Z`)"
    return f"`{text}` is no cut-off: expected {examples}"
