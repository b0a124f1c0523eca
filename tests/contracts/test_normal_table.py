"""The table of the normal distribution in the contract is the one that the mirror computes with."""

from __future__ import annotations

from margrave.lab.contracts import NORMAL_FILE, normal_source


def test_the_solidity_table_is_generated_from_the_python_one() -> None:
    assert NORMAL_FILE.read_text(encoding="utf-8") == normal_source()
