"""Every Solidity test in foundry.toml's long profile, and what it amounted to."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from margrave.errors import Fatal
from margrave.lab.evidence.workshop import forge


class Outcome(msgspec.Struct, frozen=True):
    """Of one run: tests that passed, failed ones with their reasons, and how much was tried."""

    passed: int
    failed: tuple[tuple[str, str], ...]
    fuzz_runs: int
    invariant_calls: int


def run(match: str) -> Outcome:
    """Run those in files that match a glob: the whole takes hours, a folder of it less.

    Raises:
        Fatal: forge gave no results.
    """
    done = forge("test", "--root", ".", "--json", "--match-path", match, settings={"FOUNDRY_PROFILE": "long"})
    if not done.stdout.startswith("{"):
        raise Fatal(f"forge gave no results: {(done.stdout + done.stderr)[-600:]}", advice="run scripts/test first")
    return parse(json.loads(done.stdout))


def parse(answer: dict[str, Any]) -> Outcome:
    """forge's JSON."""
    results = {
        f"{suite}:{name}": result
        for suite, outcome in answer.items()
        for name, result in outcome["test_results"].items()
    }
    failed = tuple((name, str(x.get("reason"))) for name, x in results.items() if x["status"] != "Success")
    kinds = [result["kind"] for result in results.values()]
    return Outcome(
        len(results) - len(failed),
        failed,
        sum(kind["Fuzz"]["runs"] for kind in kinds if "Fuzz" in kind),
        sum(kind["Invariant"]["calls"] for kind in kinds if "Invariant" in kind),
    )
