"""What source distributions say of themselves without being built.

Source: Core metadata 2.2 (PEP 643): from there on ``PKG-INFO`` of an sdist is right, but for what it calls dynamic.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from email.parser import HeaderParser

from smelt.archive import DAMAGE

_NEEDED = frozenset(("version", "requires-dist", "requires-python", "provides-extra"))
_NAME = re.compile(r"[^/]+/PKG-INFO")
_LARGEST = 4 << 20


def sdist_metadata(data: bytes) -> str | None:
    """The core metadata in an sdist, if they are sure to be those of a wheel built of it; None if not, or not found."""
    text = _pkg_info(data)
    return text if text is not None and _is_static(text) else None


def _pkg_info(data: bytes) -> str | None:
    try:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = [name for name in archive.namelist() if _NAME.fullmatch(name)]
                if len(names) != 1 or archive.getinfo(names[0]).file_size > _LARGEST:
                    return None
                return archive.read(names[0]).decode("utf-8", "replace")
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:  # it is among the first
                if member.isfile() and _NAME.fullmatch(member.name) and member.size <= _LARGEST:
                    file = archive.extractfile(member)
                    return file.read().decode("utf-8", "replace") if file is not None else None
    except (*DAMAGE, OSError):
        return None  # uv will say what is wrong with it
    return None


def _is_static(text: str) -> bool:
    headers = HeaderParser().parsestr(text)
    form = re.fullmatch(r"\s*(\d+)\.(\d+)\s*", str(headers["Metadata-Version"]))
    if form is None or (int(form.group(1)), int(form.group(2))) < (2, 2):
        return False
    return not _NEEDED & {str(each).strip().lower() for each in headers.get_all("Dynamic", [])}
