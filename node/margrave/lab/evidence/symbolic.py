"""Proofs by halmos: each `check_` function of contracts/test/symbolic holds for every input, or a counterexample."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from margrave.errors import Fatal
from margrave.lab.evidence.workshop import PROJECT, analyser

FOLDER: Final = PROJECT / "contracts" / "test" / "symbolic"
LOOPS: Final = 400
"""Loops are unrolled this often; halmos says so when it was not enough, and that counts as not proven."""
OUTCOMES: Final = {0: "proven", 1: "counterexample", 2: "timeout", 3: "stuck", 4: "all paths revert", 5: "exception"}


class Proof(msgspec.Struct, frozen=True):
    """What halmos said of one property."""

    contract: str
    name: str
    outcome: str
    paths: int
    seconds: float


def prove(match: str, limit_s: int, folder: Path) -> list[Proof]:
    """Run halmos on the properties whose contract matches a regular expression.

    Raises:
        Fatal: It gave no answer.
    """
    answer = folder / "halmos.json"
    out = folder / "out"
    settings = {
        "FOUNDRY_CONFIG": "contracts/foundry.toml",
        "FOUNDRY_PROFILE": "symbolic",
        "FOUNDRY_OUT": str(out),
        "FOUNDRY_CACHE_PATH": str(folder / "cache"),
    }
    options = ["--root", ".", "--forge-build-out", str(out), "--loop", str(LOOPS), "--json-output", str(answer)]
    options += ["--solver-timeout-assertion", f"{limit_s}s", "--match-contract", match, "--statistics"]
    said = analyser("halmos", options, PROJECT, settings)
    if not answer.exists():
        raise Fatal(f"halmos gave no answer: {said[-900:]}", advice="run it by hand")
    return parse(json.loads(answer.read_text(encoding="utf-8")))


def parse(answer: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> list[Proof]:
    """Halmos' JSON; a property whose loops were cut short is not proven, whatever its exit code."""
    proofs: list[Proof] = []
    for contract, tests in answer["test_results"].items():
        for test in tests:
            outcome = OUTCOMES.get(test["exitcode"], "unknown")
            proofs.append(
                Proof(
                    contract.rpartition(":")[2],
                    test["name"].split("(")[0],
                    "loops cut short" if test["num_bounded_loops"] else outcome,
                    test["num_paths"][0] if test["num_paths"] else 0,
                    round(test["time"][0], 1) if test["time"] else 0.0,
                )
            )
    return sorted(proofs, key=lambda proof: (proof.contract, proof.name))


def written(folder: Path = FOLDER) -> set[str]:
    """Every property there is, by its source."""
    return {
        name
        for path in folder.glob("*.t.sol")
        for name in re.findall(r"function (check_\w+)\(", path.read_text(encoding="utf-8"))
    }
