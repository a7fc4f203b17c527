"""Damaged and foreign lock files: a LockError that says what and where, never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from smelt.errors import LockError
from smelt.lock.codec import to_text
from smelt.lock.reader import parse, read


def failure(text: str) -> LockError:
    with pytest.raises(LockError) as caught:
        parse(text, "pixi.lock")
    assert caught.value.message
    assert caught.value.help
    return caught.value


def at(error: LockError) -> tuple[int, str]:
    place = error.labels[0].place
    return place.line, place.source.line(place.line).strip()


@pytest.mark.parametrize("text", ["", "\n", "   \n\n", "\ufeff", "\x00\x00"])
def test_empty(text: str) -> None:
    assert failure(text).kind == "lock-empty"


def test_git_lfs_pointer() -> None:
    error = failure("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert error.kind == "lock-git-lfs"
    assert "git lfs pull" in (error.help or "")


def test_merge_conflict(v7: str) -> None:
    lines = v7.splitlines(keepends=True)
    text = "".join([*lines[:8], "<<<<<<< HEAD\n", lines[8], "=======\n", lines[8], ">>>>>>> feature\n", *lines[9:]])
    error = failure(text)
    assert error.kind == "lock-conflict"
    assert "HEAD and feature" in error.message
    assert at(error) == (9, "<<<<<<< HEAD")


@pytest.mark.parametrize(
    ("version", "words"), [("8", "newest that is known here is 7"), ("1000", "1000"), ("0", "is not one")]
)
def test_versions_that_are_not_known(v7: str, version: str, words: str) -> None:
    error = failure(v7.replace("version: 7", f"version: {version}", 1))
    assert error.kind == "lock-version"
    assert words in error.message
    assert at(error)[0] == 1


@pytest.mark.parametrize("version", ["", "seven", "7.0", "[7]", "true", "-1"])
def test_versions_that_are_no_number(v7: str, version: str) -> None:
    assert failure(v7.replace("version: 7", f"version: {version}", 1)).kind == "lock-version"


def test_no_version(v7: str) -> None:
    assert failure(v7.replace("version: 7\n", "", 1)).kind == "lock-version"


@pytest.mark.parametrize(
    "text", ["a: b: c", "- 1\n", "just text", "a: [", "a: 'x", "? [a]\n: b", "a: 1\na: 2", "\tx: 1"]
)
def test_not_a_lock(text: str) -> None:
    assert failure(text).kind in ("lock-syntax", "lock-version")


def test_syntax_error_has_a_place(v7: str) -> None:
    error = failure(v7.replace("  depends:\n", "  depends: [\n", 1))
    assert error.kind == "lock-syntax"
    assert error.labels[0].place.line > 20


def test_bombs_are_bounded() -> None:
    bomb = "version: 7\na0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 30):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n"
    assert failure(bomb).kind == "lock-syntax"
    assert failure("version: 7\npackages: " + "[" * 100_000).kind == "lock-syntax"


CHANGES = {
    "wrong type": ("  size: 12\n", "  size: large\n", "size must be a whole number, not the text 'large'"),
    "wrong item": ("  - __glibc >=2.17\n", "  - 5\n", "depends[0] must be text, not the number 5"),
    "wrong list": ("  depends:\n  - zlib >=1.3,<2\n", "  depends: zlib\n", "depends must be a list"),
    "wrong boolean": ("    release: true\n", "    release: 1.5\n", "variants.release must be text"),
    "wrong noarch": ("  noarch: generic\n", "  noarch: both\n", "noarch cannot be 'both'"),
    "negative": ("  size: 12\n", "  size: -1\n", "size must be a whole number"),
    "no location": ("- conda: ../local/linux-64/odd-1.0-0.conda\n  subdir", "- name: a\n  subdir", "must have `conda`"),
    "bad identifier": ("own[1a2b3c4d] @ .\n  v", "own @ .\n  v", "name[hash] @ location"),
    "unknown platform": ("- name: linux-64\n", "- name: linux-65\n", "'linux-65' is not a platform"),
    "bad platform name": ("- name: gpu\n", "- name: a b\n", "not a name of a platform"),
    "platform twice": ("- name: linux-64\n", "- name: gpu\n  subdir: linux-64\n", "is there twice"),
    "two sources": ("      path: ../inner\n", "      path: ../inner\n      git: https://x.example\n", "exactly one of"),
    "no commit": ("    rev: 0123456789abcdef0123456789abcdef01234567\n", "", "rev is missing"),
    "not an archive": ("linux-64/odd-1.0-0.conda\n  s", "odd\n  name: odd\n  s", "not the address of a package"),
    "no subdir": ("  subdir: linux-64\n  channel: https", "  channel: https", "subdir is missing, and the address"),
    "no channels": ("    channels:\n", "    canals:\n", "channels is missing"),
    "no packages": ("packages:\n- conda", "parcels:\n- conda", "packages is missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_wrong_values(v7: str, case: str) -> None:
    old, new, words = CHANGES[case]
    assert old in v7
    error = failure(v7.replace(old, new, 1))
    assert error.kind == "lock-value", error
    assert words in error.message


def test_wrong_value_has_a_place(v7: str) -> None:
    error = failure(v7.replace("  size: 12\n", "  size: large\n"))
    assert at(error)[1] == "- conda: https://channel.example/forge/linux-64/zlib-1.3-h0_2.conda"
    assert at(error)[0] > 25


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("zlib-1.3-h0_2.conda\n  sha", "zlib-1.4-h0_2.conda\n  sha", "zlib-1.3"),
        ("gcc-13-0.tar.bz2\n  build_n", "gcc-14-0.tar.bz2\n  build_n", "own is built with"),
        ("      gpu:\n", "      cpu:\n", "platform 'cpu', which is not in `platforms`"),
    ],
)
def test_references_to_what_is_missing(v7: str, old: str, new: str, words: str) -> None:
    assert old in v7
    error = failure(v7.replace(old, new, 1))
    assert error.kind == "lock-reference"
    assert words in error.message
    assert error.labels


def test_own_section_of_a_newer_version(v7: str) -> None:
    error = failure(v7 + "smelt:\n  version: 2\n")
    assert error.kind == "lock-value"
    assert "update smelt" in error.message


def test_own_section_with_a_hole(v7: str, own_section: str) -> None:
    error = failure(v7 + own_section.replace("      backend: pixi-build-python\n", ""))
    assert "backend is missing" in error.message


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="no lock file") as missing:
        read(tmp_path / "pixi.lock")
    assert missing.value.kind == "lock-missing"
    with pytest.raises(LockError, match="cannot be read"):
        read(tmp_path)
    binary = tmp_path / "binary.lock"
    binary.write_bytes(b"version: 7\n\xff\xfe")
    with pytest.raises(LockError, match="line 2"):
        read(binary)


def test_windows_line_endings(v7: str, tmp_path: Path) -> None:
    path = tmp_path / "pixi.lock"
    path.write_bytes(v7.replace("\n", "\r\n").encode())
    assert read(path) == parse(v7, "pixi.lock")


def test_byte_order_mark(v7: str, tmp_path: Path) -> None:
    path = tmp_path / "pixi.lock"
    path.write_text(v7, encoding="utf-8-sig")
    assert read(path) == parse(v7, "pixi.lock")


@pytest.mark.parametrize("version", [1, 3, 5, 6])
def test_old_versions_with_nonsense(version: int) -> None:
    for rest in ("", "environments: 5\npackages: []\n", "metadata: {}\npackage: 5\n", "environments: {}\n"):
        error = failure(f"version: {version}\n{rest}")
        assert error.kind == "lock-syntax"
        assert f"version {version}" in error.message


def test_truncation_and_noise(v7: str, own_section: str) -> None:
    """Whatever is cut off or turned around: a lock or a LockError."""
    text = v7 + own_section
    for end in range(0, len(text), 7):
        survive(text[:end])
    lines = text.splitlines(keepends=True)
    generator = random.Random(20260401)
    for _ in range(200):
        mixed = list(lines)
        one, two = generator.randrange(len(lines)), generator.randrange(len(lines))
        mixed[one], mixed[two] = mixed[two], mixed[one]
        survive("".join(mixed))
        position = generator.randrange(len(text))
        survive(text[:position] + chr(generator.randrange(1, 0x3000)) + text[position + 1 :])


def survive(text: str) -> None:
    try:
        lock = parse(text, "pixi.lock")
    except LockError:
        return
    assert lock.version in range(1, 8)


def test_damaged_locks_of_the_corpus(corpus: Path) -> None:
    paths = sorted(path for path in corpus.rglob("pixi.lock") if 1_000 < path.stat().st_size < 60_000)
    generator = random.Random(7)
    for path in paths[::4]:
        text = path.read_text(encoding="utf-8")
        for _ in range(6):
            position = generator.randrange(len(text))
            survive(text[:position])
            survive(text[:position] + text[position + generator.randrange(1, 40) :])


def test_lock_files_that_rattler_refuses(corpus: Path) -> None:
    folder = corpus / "conformance" / "conda__rattler" / "test-data" / "lock_parse_fails"
    paths = sorted(folder.rglob("*.yml"))
    assert paths
    for path in paths:
        with pytest.raises(LockError):
            read(path)
    old = sorted((folder.parent / "conda-lock" / "v0").glob("*.yml"))
    assert old
    for path in old:  # conda-lock's own files, which are version 1
        assert read(path).version == 1


def test_written_text_is_never_damaged_by_odd_values(v7: str) -> None:
    """Control characters, emoji and YAML's special words survive in every text."""
    odd = "\x7f\x85\u2028\ufeff é 😀 'q' \"d\" # : - true"
    text = v7.replace("license: Zlib", "license: PLACEHOLDER")
    lock = parse(text, "pixi.lock")
    from dataclasses import replace

    packages = {
        reference: replace(package, license=odd) if getattr(package, "license", None) == "PLACEHOLDER" else package
        for reference, package in lock.packages.items()
    }
    changed = replace(lock, packages=packages)  # type: ignore[arg-type]
    assert parse(to_text(changed), "pixi.lock") == changed
