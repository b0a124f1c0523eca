"""The Solidity tests: unit, fuzz and vectors (contracts/test), run by Foundry."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from margrave.chain.artifacts import CONTRACTS_DIR

PROJECT = CONTRACTS_DIR.parent
LEAST_TESTS = 70
"""So that a run that finds no tests is not taken for a good one."""


def forge(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROJECT / "node_modules" / ".bin" / "forge", *arguments],
        cwd=PROJECT,
        env={**os.environ, "FOUNDRY_CONFIG": str(CONTRACTS_DIR / "foundry.toml")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_formatted() -> None:
    done = forge("fmt", "--check", "--root", ".", "contracts/src", "contracts/test")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.devnet
def test_every_solidity_test_passes() -> None:
    done = forge("test", "--root", ".", "--json")
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
