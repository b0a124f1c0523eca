"""What the pages on safety say is held by a test is held by a test of that name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from margrave.settings import PROJECT_ROOT

NAME = re.compile(r"function ((?:test|testFuzz|invariant|check)_\w+)|def (test_\w+)")
EXACT = re.compile(r"`((?:test|testFuzz|invariant|check)_\w+)`")
SHORT = re.compile(r"`((?:test|testFuzz|invariant|check)?[\w.]*\.\.\.[\w.]*)`")
FILE = re.compile(r"`((?:contracts/)?test/[\w/]+\.(?:t\.)?sol|tests/[\w/]+\.py)`")
CONTRACTS = PROJECT_ROOT / "contracts"
PAGES = [
    PROJECT_ROOT / "docs" / "threat-model.md",
    PROJECT_ROOT / "docs" / "evidence.md",
    CONTRACTS / "invariants.md",
]


@pytest.fixture(scope="module")
def names() -> set[str]:
    paths = [*(CONTRACTS / "test").rglob("*.sol"), *(PROJECT_ROOT / "tests").rglob("*.py")]
    return {a or b for path in paths for a, b in NAME.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_test_that_a_page_names_exists(page: Path, names: set[str]) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [name for name in EXACT.findall(text) if name not in names]
    for short in SHORT.findall(text):
        pattern = re.compile(".*".join(map(re.escape, short.split("..."))))
        if not any(pattern.fullmatch(name) for name in names):
            missing.append(short)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_test_file_that_a_page_names_exists(page: Path) -> None:
    for name in FILE.findall(page.read_text(encoding="utf-8")):
        at = PROJECT_ROOT / name if name.startswith(("contracts/", "tests/")) else CONTRACTS / name
        assert at.exists(), f"{page.name} names {name}"


def test_the_threat_model_names_a_test_for_every_attempt() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    attempts = 0
    for table in text.split("| who tries |")[1:]:
        for row in table.partition("\n\n")[0].splitlines()[2:]:
            shown_by = row.strip("|").split("|")[2]
            assert EXACT.search(shown_by), f"no test shows: {row[:90]}"
            attempts += 1
    assert attempts > 35
