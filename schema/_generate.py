"""Write the JSON schema of manifests: ``python schema/_generate.py``. It is what the readers answer."""

from __future__ import annotations

import json
from pathlib import Path

from smelt.manifest.schema.explore import Explorer

SCHEMA = Path(__file__).parent / "smelt-pixi.schema.json"


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(Explorer().schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8", newline="\n")
