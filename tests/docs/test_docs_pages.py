"""The pages: links, TOML, Python, generated pages, and every session run for real."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import tomli
from doc_blocks import PAGES, REPOSITORY, Page, Session, matches, read_page, session_environment, without_blocks

from smelt.errors import ChannelError
from smelt.manifest.document import parse_document
from smelt.manifest.manifest import parse_manifest

PARSED = [read_page(path) for path in PAGES]
SESSIONS = [page for page in PARSED if page.needs is not None]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PARSED, ids=str)
def test_links_lead_somewhere(page: Page) -> None:
    for target in _LINK.findall(without_blocks(page.text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        assert path.exists(), f"{page}: {target}"
        assert path.is_relative_to(REPOSITORY), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{page}: {target}"


def test_every_page_is_linked() -> None:
    linked: set[Path] = set()
    for page in PARSED:
        for target in _LINK.findall(without_blocks(page.text)):
            linked.add((page.path.parent / target.partition("#")[0]).resolve())
    for page in PARSED:
        if page.path.parent != REPOSITORY:  # nothing has to lead to README and CHANGELOG
            assert page.path in linked, f"no page links to {page}"


@pytest.mark.parametrize("page", PARSED, ids=str)
def test_no_page_names_this_machine(page: Page) -> None:
    assert not re.search(r"/(root|tmp)/", page.text)


@pytest.mark.parametrize("page", [p for p in PARSED if any(b.language == "toml" for b in p.blocks)], ids=str)
def test_toml_is_read(page: Page) -> None:
    for block in page.blocks:
        if block.language == "toml" and not block.options.get("file", "").endswith("pyproject.toml"):
            text = complete(block.text)
            parse_manifest(parse_document(text, block.place), "pixi")


def complete(text: str) -> str:
    """A fragment of a manifest, with the tables that every manifest must have."""
    data = tomli.loads(text)
    if "workspace" in data:
        missing = [line for key, line in _WORKSPACE.items() if key not in data["workspace"]]
        if re.search(r"^\[workspace\]$", text, re.M):
            return re.sub(r"^\[workspace\]$", "\n".join(["[workspace]", *missing]), text, count=1, flags=re.M)
        return "\n".join([text, "[workspace]", *missing])
    if "package" in data:
        return text
    return "\n".join([text, "[workspace]", *_WORKSPACE.values()])


_WORKSPACE = {
    "channels": "channels = []",
    "platforms": 'platforms = ["linux-64"]',
    "preview": 'preview = ["pixi-build"]',
}


@pytest.mark.parametrize("page", [p for p in PARSED if any(b.language == "python" for b in p.blocks)], ids=str)
def test_python_is_python(page: Page) -> None:
    for block in page.blocks:
        if block.language == "python":
            compile(block.text, block.place, "exec")


def test_generated_pages_are_current() -> None:
    made = runpy.run_path(str(REPOSITORY / "docs" / "_generate.py"), run_name="generate")["pages"]()
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `python docs/_generate.py`"


def test_marked_blocks_are_in_sessions() -> None:
    for page in PARSED:
        for block in page.blocks:
            if block.words or block.options:
                assert page.needs is not None, f"{block.place} is marked, but the page has no session"


@pytest.mark.parametrize(
    ("expected", "output", "fits"),
    [
        ("built 3 packages", "built 3 packages\n", True),
        ("built 3 packages", "built 4 packages\n", False),
        ("python  3.11.7  h4de6c14_0", "python 3.12.1 habcdef0_0", True),
        ("a\n…\nz", "a\nb\nc\nz\n", True),
        ("a\n…\nz\n…", "a\nz\n", True),
        ("a\n…\nz", "a\nb\n", False),
        ("took 0.3 s", "took 12 s", True),
        ("", "whatever", True),
    ],
)
def test_comparing(expected: str, output: str, fits: bool) -> None:
    assert matches(expected, output) is fits


def test_comparing_lines_in_any_order() -> None:
    assert matches("a\nb", "b\na\n", ordered=False)
    assert not matches("a\nb", "b\na\nc\n", ordered=False)
    assert matches("a\n…\nb", "b\nc\na\n", ordered=False)
    assert not matches("a\na", "a\nb\n", ordered=False)


def parameters() -> list[object]:
    """Each page with a session, marked by what it needs."""
    return [
        pytest.param(page, id=str(page), marks=[pytest.mark.network] if "wheels" in (page.needs or ()) else [])
        for page in SESSIONS
    ]


@pytest.mark.build
@pytest.mark.skipif(sys.platform == "win32", reason="the sessions are written for bash")
@pytest.mark.parametrize("page", parameters())
def test_session(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    needs = page.needs or frozenset()
    for need in needs:
        if need.startswith("python-"):
            _require_python(need.partition("-")[2])
    session = Session(folder=tmp_path / "session", environment=session_environment(tmp_path))
    session.folder.mkdir()
    for need, fixture in (("channel", "bare_channel"), ("wheels", "local_channel")):
        if need in needs:
            shutil.copytree(request.getfixturevalue(fixture), session.folder / "channel")
    for block in page.blocks:
        session.run(block)


def _require_python(version: str) -> None:
    from smelt.channel.interpreter import find

    try:
        find(version)
    except ChannelError:
        pytest.skip(f"no Python {version} on this machine")
