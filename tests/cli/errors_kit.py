"""Commands that must fail, and explain it."""

from __future__ import annotations

import re
from pathlib import Path

from spine_kit import partial, smelt


def fails(root: Path, *arguments: str, code: int = 1, **env: str) -> str:
    """What the command says on standard error; it must fail with ``code``, and explain instead of crashing."""
    result = smelt(root, *arguments, env=env)
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    assert root.name == "ws"  # what lies beside it is the test's own
    assert partial(root.parent) == []
    return result.stderr


def golden(text: str, expected: str) -> None:
    """``text`` is ``expected``, in which ``{…}`` stands for anything on one line."""
    pattern = r"[^\n]*".join(re.escape(part) for part in expected.split("{…}"))
    assert re.fullmatch(pattern, text), f"\n{text}\n--- is not ---\n{expected}"
