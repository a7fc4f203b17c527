"""Functions that the tests of the channel room share."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from smelt.channel.model import Addition, Package, PackageFile, PackageHead


def record_row(name: str, data: bytes) -> str:
    """A line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def run(command: Sequence[str | Path], **environment: str) -> str:
    """Run with nothing of our own environment but the system's folders; gives the output, fails loudly."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
        cwd=os.sep,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


def package(name: str = "thing", version: str = "1.0", *, content: bytes = b"hello\n", **fields: object) -> Package:
    """A small package."""
    values: dict[str, object] = {"build": "h0000000_0", "subdir": "noarch", "noarch": "generic", **fields}
    head = PackageHead(name=name, version=version, **values)  # type: ignore[arg-type]
    return Package(head=head, entries=(PackageFile(path="share/thing.txt", content=content),))


def states(additions: Sequence[Addition]) -> dict[str, bool]:
    """File name → whether it was added."""
    return {addition.path.name: addition.added for addition in additions}
