"""The pages are true: generated parts are current, links lead somewhere, commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from margrave.lab.documents import PARTS, written
from margrave.settings import PROJECT_ROOT

PAGES = [
    PROJECT_ROOT / "README.md",
    *sorted((PROJECT_ROOT / "docs").glob("*.md")),
    *sorted((PROJECT_ROOT / "contracts").glob("*.md")),
    PROJECT_ROOT / "contracts" / "package" / "README.md",
    PROJECT_ROOT / "models" / "train" / "README.md",
]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
VERB = re.compile(r"`(?:\.venv/bin/)?margrave ([a-z]+)")


@pytest.mark.parametrize("page", PARTS, ids=lambda p: p.stem)
def test_what_is_generated_of_a_page_is_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert written(page, text) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROJECT_ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_verb_that_the_pages_name_exists() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "margrave", "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = {verb for page in PAGES for verb in VERB.findall(page.read_text(encoding="utf-8"))}
    assert {"init", "check", "run", "once", "replay"} <= named
    for verb in named:
        assert re.search(rf"^  {verb} ", shown, re.MULTILINE), f"the pages name `margrave {verb}`"
