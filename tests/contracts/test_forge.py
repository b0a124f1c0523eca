"""The Solidity tests: unit, fuzz, invariants, vectors and replays (contracts/test), run by Foundry."""

from __future__ import annotations

import json

import pytest

from margrave.lab.evidence import gas
from margrave.lab.evidence.workshop import PROJECT, UNREWRITTEN, forge

SETTINGS = {
    "FOUNDRY_OUT": str(PROJECT / "contracts" / "out" / "unrewritten"),
    "FOUNDRY_CACHE_PATH": str(PROJECT / "contracts" / "cache" / "unrewritten"),
    "MARGRAVE_SOLC_OPTIMIZER": json.dumps(UNREWRITTEN),
}
"""Without the optimiser's rewriting all of it compiles in a few minutes. What is deployed is compiled with it, and run
by the devnet tests, the gas test and `scripts/evidence fuzz`."""

LEAST_TESTS = 300
"""So that a run that finds no tests is not taken for a good one."""


def test_the_contracts_are_formatted() -> None:
    done = forge("fmt", "--check", "--root", ".", "contracts/src", "contracts/test")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.devnet
def test_every_solidity_test_passes() -> None:
    options = ("--skip", "contracts/test/gas/**", "--skip", "contracts/test/symbolic/**")
    done = forge("test", "--root", ".", "--json", *options, settings=SETTINGS)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    results = {
        f"{suite}:{name}": result
        for suite, outcome in json.loads(done.stdout).items()
        for name, result in outcome["test_results"].items()
    }
    failed = {name: result.get("reason") for name, result in results.items() if result["status"] != "Success"}
    assert not failed
    assert done.returncode == 0, done.stderr
    assert len(results) >= LEAST_TESTS


@pytest.mark.devnet
def test_gas_is_within_one_per_cent_of_what_is_committed() -> None:
    changes = gas.changes(gas.committed(), gas.measure())
    assert not changes, "\n".join([*changes, "meant? then run scripts/evidence gas --write and commit the change"])
