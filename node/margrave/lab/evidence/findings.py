"""slither over the deployed contracts: every finding is answered in contracts/slither.toml, or it is news.

An answer names slither's detector, a pattern of where, and why it is no fault (or where it was mended). An answer that
no finding needs any more is stale, and said to be: so the file stays what slither says today.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.errors import Fatal
from margrave.lab.evidence.workshop import PROJECT, analyser, forge

ANSWERS: Final = CONTRACTS_DIR / "slither.toml"


class Finding(msgspec.Struct, frozen=True):
    """One result of slither."""

    detector: str
    impact: str
    where: str
    """Contract.function(signature), or what slither points at first."""
    text: str


class Answer(msgspec.Struct, frozen=True):
    detector: str
    where: str
    """A regular expression that the whole place must match."""
    why: str

    def settles(self, finding: Finding) -> bool:
        return self.detector == finding.detector and re.fullmatch(self.where, finding.where) is not None


class Verdict(msgspec.Struct, frozen=True):
    answered: tuple[tuple[Finding, Answer], ...]
    news: tuple[Finding, ...]
    stale: tuple[Answer, ...]


def find(folder: Path) -> list[Finding]:
    """Compile what is deployed and run every detector of slither on it.

    Raises:
        Fatal: It did not compile, or slither gave no answer.
    """
    for name in ("contracts", "node_modules", "scripts"):
        (folder / name).symlink_to(PROJECT / name)
    shutil.copy(CONTRACTS_DIR / "foundry.toml", folder / "foundry.toml")
    settings = {"FOUNDRY_CONFIG": "foundry.toml", "FOUNDRY_OUT": "out", "FOUNDRY_CACHE_PATH": "cache"}
    settings["FOUNDRY_TEST"] = "contracts/src/none"  # no tests: they are no one's to analyse
    done = forge("build", "--root", ".", "--build-info", root=folder, settings=settings)
    if done.returncode != 0:
        raise Fatal(f"forge build failed: {(done.stdout + done.stderr)[-600:]}", advice="run scripts/test first")
    answer = folder / "slither.json"
    options = [".", "--ignore-compile", "--foundry-out-directory", "out", "--filter-paths", "node_modules"]
    said = analyser("slither", [*options, "--json", str(answer)], folder, settings)
    if not answer.exists():
        raise Fatal(f"slither gave no answer: {said[-600:]}", advice="run it by hand")
    found = json.loads(answer.read_text(encoding="utf-8"))["results"].get("detectors", [])
    return sorted((_finding(one) for one in found), key=lambda x: (x.detector, x.where, x.text))


def answers(path: Path = ANSWERS) -> list[Answer]:
    """What was said about the findings."""
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8"))["answer"], list[Answer])


def judge(findings: Sequence[Finding], said: Sequence[Answer]) -> Verdict:
    """Match findings with answers; the first answer that fits settles a finding."""
    answered: list[tuple[Finding, Answer]] = []
    news: list[Finding] = []
    for finding in findings:
        fit = next((answer for answer in said if answer.settles(finding)), None)
        if fit is None:
            news.append(finding)
        else:
            answered.append((finding, fit))
    used = {answer for _, answer in answered}
    return Verdict(tuple(answered), tuple(news), tuple(answer for answer in said if answer not in used))


def _finding(one: dict[str, Any]) -> Finding:
    return Finding(one["check"], one["impact"], _place(one["elements"]), " ".join(one["description"].split()))


def _place(elements: list[dict[str, Any]]) -> str:
    if not elements:
        return ""
    first = elements[0]
    fields = first.get("type_specific_fields", {})
    parent = fields.get("parent", {})
    name = first["name"] if first["type"] != "node" else ""
    while parent and parent.get("type") in {"function", "contract", "struct"}:
        name = f"{parent['name']}.{name}".rstrip(".")
        parent = parent.get("type_specific_fields", {}).get("parent", {})
    return name or first["name"]
