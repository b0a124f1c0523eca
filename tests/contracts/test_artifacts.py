"""What is committed under contracts/ is what its sources give, with the compiler and settings that it names."""

from __future__ import annotations

import subprocess

import pytest

from margrave.chain import artifacts
from margrave.chain.artifacts import ARTIFACTS_DIR, CONTRACTS_DIR
from margrave.errors import Fatal
from margrave.lab.contracts import COMPILER_SETTINGS, DEPLOYED, LANES_FILE, lanes_source

CODE_SIZE_LIMIT = 24_576
"""EIP-170."""


def test_the_artifacts_recompile_to_themselves() -> None:
    done = subprocess.run(
        [CONTRACTS_DIR.parent / "scripts" / "contracts", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_solidity_wire_table_is_generated_from_the_python_one() -> None:
    assert LANES_FILE.read_text(encoding="utf-8") == lanes_source()


def test_only_what_is_deployed_has_an_artifact() -> None:
    assert {path.stem for path in ARTIFACTS_DIR.glob("*.json")} == set(DEPLOYED)


@pytest.mark.parametrize("name", sorted(DEPLOYED))
def test_an_artifact_says_what_compiled_it_and_fits_a_chain(name: str) -> None:
    artifact = artifacts.load(name)
    assert artifact.compiler.startswith("0.8.37+commit.")
    assert artifact.settings == COMPILER_SETTINGS
    assert len(artifact.deployed_bytecode) // 2 - 1 <= CODE_SIZE_LIMIT


def test_a_missing_artifact_says_what_to_do() -> None:
    with pytest.raises(Fatal, match="run scripts/contracts"):
        artifacts.load("NoSuchContract")
