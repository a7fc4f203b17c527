"""What is said of the network."""

from __future__ import annotations

import re

import pytest

from smelt.solve.network import without_addresses


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot open file:///tmp/pytest-429/nowhere/noarch (os error 2)", {"os", "error", "cannot", "open"}),
        ("GET https://host.example:443/500/x.json: 404 Not Found", {"404", "Not", "Found"}),
        ("failed to read /srv/503/repodata.json", {"failed", "read"}),
        ("connection to 127.0.0.1:5000 refused", {"connection", "refused"}),
    ],
)
def test_numbers_of_addresses_are_no_answers(text: str, left: set[str]) -> None:
    words = set(re.findall(r"\w+", without_addresses(text)))
    assert left <= words
    assert not words & {"429", "500", "503", "443", "5000", "parse"}
