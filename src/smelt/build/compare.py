"""How two packages differ."""

from __future__ import annotations

from pathlib import Path

from smelt.archive import Member, read_conda


def differences(first: Path, second: Path) -> tuple[str, ...]:
    """One line for each member that differs; empty if the two ``.conda`` files are the same to the byte.

    Files whose members are all the same and that differ nevertheless (another compression) give one line for that.
    Raises ArchiveError, OSError.
    """
    if first.read_bytes() == second.read_bytes():
        return ()
    one, two = read_conda(first), read_conda(second)
    lines: list[str] = []
    for before, after in ((one.files, two.files), (one.info, two.info)):
        old, new = ({member.name: member for member in members} for members in (before, after))
        lines += [_line(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    return tuple(line for line in lines if line) or ("the same files, packed otherwise",)


def _line(name: str, old: Member | None, new: Member | None) -> str:
    if old is None:
        return f"{name}: only in the second build"
    if new is None:
        return f"{name}: only in the first build"
    if old == new:
        return ""
    if (old.link is None) != (new.link is None):
        return f"{name}: a link in one build, a file in the other"
    if old.link != new.link:
        return f"{name}: leads to {old.link} and to {new.link}"
    if old.data == new.data:
        return f"{name}: executable in one build only"
    if len(old.data) != len(new.data):
        return f"{name}: {len(old.data)} and {len(new.data)} bytes"
    first = next(index for index, (a, b) in enumerate(zip(old.data, new.data, strict=True)) if a != b)
    return f"{name}: differs from byte {first} on"
