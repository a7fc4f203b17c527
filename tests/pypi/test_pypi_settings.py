"""Which settings a lock is seen to have been solved with, once they change in the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pypi_kit import Make, project, sdist, wheel

from smelt.api.workspace import Workspace
from spine_kit import Channel

LINKS = 'find-links = [{ path = "links" }]'
MAPPED = 'conda-pypi-map = {{ "{channel}" = {{ mapping = {{ tool = "tool" }} }} }}'


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of the manifest: lines of the workspace and of ``pypi-options``, before and after.

    ``code``: of the reason why the lock does not fit any more; None where no lock can tell.
    """

    before: str = ""
    after: str = ""
    options: tuple[str, str] = ("", "")
    code: str | None = None


CASES = {
    "channel-priority": Case(after='channel-priority = "disabled"', code="channel-priority"),
    "channel-priority back": Case(before='channel-priority = "disabled"', code="channel-priority"),
    "channel-priority as it is anyway": Case(after='channel-priority = "strict"'),
    "solve-strategy": Case(after='solve-strategy = "lowest"', code="solve-strategy"),
    "solve-strategy of what is asked for": Case(after='solve-strategy = "lowest-direct"', code="solve-strategy"),
    "prerelease-mode": Case(options=("", 'prerelease-mode = "allow"'), code="pypi-prerelease-mode"),
    "prerelease-mode as it is anyway": Case(options=("", 'prerelease-mode = "if-necessary-or-explicit"')),
    "exclude-newer before the packages": Case(after='exclude-newer = "2020-01-01"', code="exclude-newer"),
    "exclude-newer after the packages": Case(after='exclude-newer = "2025-01-01"'),
    "exclude-newer taken away": Case(before='exclude-newer = "2025-01-01"'),
    "no-binary": Case(options=("", "no-binary = true"), code="pypi-no-binary"),
    "no-binary of one": Case(options=("", 'no-binary = ["app"]'), code="pypi-no-binary"),
    "no-binary of another": Case(options=("", 'no-binary = ["other"]')),
    "no-binary taken away": Case(options=("no-binary = true", "")),
    "no-build": Case(options=("no-binary = true", "no-build = true"), code="pypi-no-build"),
    "no-build of one": Case(options=('no-binary = ["app"]', 'no-build = ["app"]'), code="pypi-no-build"),
    "no-build of what is a wheel": Case(options=("", "no-build = true")),
    "extra index": Case(options=("", 'extra-index-urls = ["https://index.example/simple"]'), code="pypi-indexes"),
    # what version 7 of the format has no place for
    "index-strategy": Case(options=("", 'index-strategy = "unsafe-best-match"')),
    "conda-pypi-map": Case(after=MAPPED),
    "no-build-isolation": Case(options=("", "no-build-isolation = true")),
}


@pytest.fixture
def served(channel: Channel, tmp_path: Path) -> Channel:
    """A channel with two versions of ``tool``, and ``app`` as a wheel and as an sdist."""
    channel.add("tool", "2.0")
    wheel(tmp_path / "ws" / "links", "app", "1.0")
    sdist(tmp_path / "ws" / "links", project(tmp_path / "app", "app", "1.0"), "app", "1.0")
    return channel.index()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_changed_setting(case: Case, workspace: Make, served: Channel) -> None:
    def made(head: str, options: str) -> Workspace:
        return workspace(
            'app = "*"',
            head=head.format(channel=served.url),
            options=f"{LINKS}\n{options}",
            conda='python = "*"\ntool = "*"',
        )

    old, new = case.options
    first = made(case.before, old)
    first.lock()
    assert first.check(first.read_lock()) == ()
    changed = made(case.after, new)
    assert [mismatch.code for mismatch in changed.check(changed.read_lock())] == ([case.code] if case.code else [])
    if case.code not in (None, "pypi-indexes", "exclude-newer"):  # the index and packages that old are not there
        assert changed.lock().changed
        again = made(case.after, new)
        assert again.check(again.read_lock()) == ()
        assert not again.lock().written
