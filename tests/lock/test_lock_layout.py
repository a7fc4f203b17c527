"""What is read by layout is what the YAML parser gives, or is left to it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import ryaml
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import LockError
from smelt.lock.layout import plain_data
from smelt.lock.reader import parse

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus"
TEXT = """version: 7
platforms:
- name: linux-64
  virtual-packages:
  - __glibc=2.28
- name: win-64
environments:
  default:
    channels:
    - url: https://channel.example/forge/
    indexes:
    - https://index.example/simple
    options:
      pypi-prerelease-mode: if-necessary-or-explicit
    packages:
      linux-64:
      - conda: https://channel.example/forge/linux-64/a-1.0-0.conda
      - conda: https://channel.example/forge/noarch/b-2.0-py_0.conda
      - conda_source: c[1a2b3c4d] @ ./c
      - pypi: https://files.example/d-1.0-py3-none-any.whl
      win-64:
      - conda: https://channel.example/forge/noarch/b-2.0-py_0.conda
packages:
- conda: https://channel.example/forge/linux-64/a-1.0-0.conda
  sha256: 0b3a0f05dbbe937142b73485e9ef13065fd5f3b4e8922c4ade79d233b7cc3493
  md5: ddfdef1d16d0c1ed4985c36ca06031b8
  depends:
  - __glibc >=2.17,<3.0.a0
  - b
  - python_abi 3.12.* *_cp312
  constrains:
  - other !=1.0
  license: GPL-2.0-only OR FTL
  license_family: GPL
  purls: []
  run_exports:
    weak:
    - a >=1.0,<2.0a0
    strong:
    - b
  size: 43021553
  timestamp: 1747515976805
- conda: https://channel.example/forge/noarch/b-2.0-py_0.conda
  sha256: 1111111111111111111111111111111111111111111111111111111111111111
  build_number: 0
  noarch: python
  purls:
  - pkg:pypi/b?source=hash-mapping
  run_exports: {}
  license: 0BSD
- conda_source: c[1a2b3c4d] @ ./c
  variants:
    target_platform: linux-64
  depends:
  - a
  source_depends:
    a:
      path: ./a
- pypi: https://files.example/d-1.0-py3-none-any.whl
  name: d
  version: '1.0'
  requires_dist:
  - e>=1 ; extra == 'x'
  requires_python: '>=3.8'
smelt:
  version: 1
  sources:
    'c[1a2b3c4d] @ ./c':
      version: 1.4.8
"""
HASHES = TEXT.replace("1" * 64, "a" * 64)


def same(one: object, other: object) -> bool:
    """Equal, and of the same types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (isinstance(one, float) and math.isnan(one))


def check(text: str) -> bool:
    """Whether ``text`` was read by its layout; then it must be what the parser gives."""
    data = plain_data(text, ryaml.loads)
    if data is None:
        return False
    assert same(data, ryaml.loads(text))
    return True


def test_a_lock_as_it_is_written() -> None:
    pieces: list[str] = []

    def parser(text: str) -> object:
        pieces.append(text)
        return ryaml.loads(text)

    data = plain_data(HASHES, parser)
    assert data is not None and same(data, ryaml.loads(HASHES))
    # the source package, and how it is named; the head; the section
    assert [piece.split("\n")[0] for piece in pieces] == [
        "- conda_source: c[1a2b3c4d] @ ./c",
        "- conda_source: c[1a2b3c4d] @ ./c",
        "version: 7",
        "smelt:",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("license: 0BSD", "license: 'it''s'"),
        ("license: 0BSD", "license: yes"),
        ("license: 0BSD", "license: 0x1F"),
        ("license: 0BSD", "license: 0b11"),
        ("license: 0BSD", "license: 12e45"),
        ("license: 0BSD", "license: 1.0"),
        ("license: 0BSD", "license: 1.0.0"),
        ("license: 0BSD", "license: 007"),
        ("license: 0BSD", "license: a # not a part of it"),
        ("license: 0BSD", "license: a#b"),
        ("license: 0BSD", "license: a  "),
        ("license: 0BSD", "license: |\n    more\n    lines"),
        ("license: 0BSD", "license: more\n    lines"),
        ("license: 0BSD", "license: ä"),
        ("license: 0BSD", "license: ~"),
        ("license: 0BSD", "license:"),
        ("license: 0BSD", 'license: "a\\tb"'),
        ("license: 0BSD", "license: a\tb"),
        ("license: 0BSD", "license: 123456789012345678"),
        ("license: 0BSD", "unheard: of"),
        ("  - b\n", "  - b:\n"),
        ("  - b\n", "  - b: c\n"),
        ("  - b\n", "    - b\n"),
        ("  - b\n", "  - - b\n"),
        ("  - b\n", "\n  - b\n"),
        ("  depends:\n  - a\n", "  depends:\n    - a\n"),
        ("  depends:\n", "  depends: &again\n"),
        ("  - name: win-64\n", "  - {name: win-64}\n"),
        ("      win-64:\n", "      win-64: >-\n"),
        ("      win-64:\n", "      win-64:  # comment\n"),
        ("- name: win-64", "- name: smelt-rows-0"),
    ],
)
def test_other_layouts(old: str, new: str) -> None:
    assert old in HASHES or "  - name" in old
    text = HASHES.replace(old, new)
    try:
        ryaml.loads(text)
    except ValueError:
        assert plain_data(text, ryaml.loads) is None
    else:
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: 7\n",
        HASHES.replace("version: 7\n", "version: 7\npackages: []\n", 1),
        HASHES.replace("    weak:\n", "    strong:\n"),
        HASHES.replace("  md5: ", "  sha256: "),
        HASHES.replace("packages:\n- conda", "packages:\n - conda"),
        HASHES + "---\n",
        HASHES + "packages: []\n",
        HASHES.replace("a-1.0", "a\x01b"),
        HASHES.replace("  size: 43021553", '  license: "x\n- conda: y"\n  size: 1'),
        HASHES.replace(
            "      - conda: https://channel.example/forge/linux-64/a-1.0-0.conda\n", "      - conda: nowhere\n"
        ),
    ],
)
def test_what_is_left_to_the_parser(text: str) -> None:
    assert plain_data(text, ryaml.loads) is None


def test_errors_are_those_of_the_whole_text() -> None:
    with pytest.raises(LockError) as caught:
        parse(HASHES.replace("  size: 43021553", "  size: [43021553"), "pixi.lock")
    assert caught.value.kind == "lock-syntax"
    assert caught.value.labels[0].place.line >= HASHES.split("\n").index("  size: 43021553")


LINES = HASHES.split("\n")
ODD = st.sampled_from(
    (
        *("", "  ", "- ", "  - x", "    - x", "  - x: y", "  depends:", "  depends: []", "  run_exports:", "    weak:"),
        *("# comment", "  # comment", "    more", "'", '  license: "', "  license: '", "  size: 1e5", "  name: null"),
        *(
            "packages:",
            "smelt:",
            "---",
            "...",
            "  name: *a",
            "  name: &a b",
            "\t",
            "  license: a: b",
            "      - conda: x",
        ),
        *(
            "  license: |",
            "  license: >-",
            "      linux-64:",
            "        linux-64: x",
            "\u2028",
            "  md5: \x7f",
            "- x",
            "-",
        ),
    )
)


@given(st.data())
def test_any_change_of_lines(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(("drop", "twice", "insert", "indent", "outdent", "swap", "letter")))
        if how == "drop" and len(lines) > 1:
            del lines[at]
        elif how == "twice":
            lines.insert(at, lines[at])
        elif how == "insert":
            lines.insert(at, data.draw(ODD))
        elif how == "indent":
            lines[at] = data.draw(st.sampled_from((" ", "  ", "    "))) + lines[at]
        elif how == "outdent":
            lines[at] = lines[at].removeprefix(data.draw(st.sampled_from((" ", "  "))))
        elif how == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif lines[at]:
            where = data.draw(st.integers(0, len(lines[at])))
            letter = data.draw(st.sampled_from(" :#-'\"[]{}&*!|>%@`~?,\\\t\x85\ufeff0e.x") | st.characters())
            lines[at] = lines[at][:where] + letter + lines[at][where:]
    text = "\n".join(lines)
    try:
        ryaml.loads(text)
    except (ValueError, TypeError, RecursionError, OverflowError):
        assert plain_data(text, ryaml.loads) is None
    else:
        check(text)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the repository")
def test_corpus() -> None:
    read = left = 0
    for path in sorted(CORPUS.rglob("pixi.lock")):
        try:
            text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
            whole = ryaml.loads(text)
            newest = whole["version"] == 7
        except (ValueError, TypeError, KeyError, UnicodeDecodeError):
            continue
        data = plain_data(text, ryaml.loads)
        assert data is None or same(data, whole), path
        read += newest and data is not None
        left += newest and data is None
    assert read > 3 * left
