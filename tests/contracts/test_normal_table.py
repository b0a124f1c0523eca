"""The generated sources of the margin engine: the table is the mirror's, and the map of memory is one."""

from __future__ import annotations

import re

from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.lab import scenarios
from margrave.lab.contracts import BLACK76_FILE, NORMAL_FILE
from margrave.mirror import normal

SHEET = (CONTRACTS_DIR / "src" / "margin" / "Sheet.sol").read_text(encoding="utf-8")


def test_the_margin_engine_s_inner_code_is_generated() -> None:
    assert NORMAL_FILE.read_text(encoding="utf-8") == scenarios.normal_source()
    assert BLACK76_FILE.read_text(encoding="utf-8") == scenarios.black76_source()


def test_the_table_in_solidity_is_the_mirror_s() -> None:
    memory = bytearray(scenarios.END)
    for place, word in re.findall(r"mstore\(0x([0-9a-f]+), 0x([0-9a-f]{64})\)", scenarios.normal_source()):
        memory[int(place, 16) : int(place, 16) + 32] = bytes.fromhex(word)
    assert bytes(memory[scenarios.NODES : scenarios.NODES + 4 * (normal.CELLS + 2)]) == normal.packed()
    assert not any(memory[: scenarios.NODES])


def test_generator_and_solidity_have_one_map_of_memory() -> None:
    assert f"START = {scenarios.SHEET:#x};" in SHEET
    assert f"ROW = {scenarios.ROW:#x};" in SHEET
    assert f"mstore(0x40, {scenarios.END:#x})" in SHEET
    assert f"ROWS_END = START + {scenarios.ROWS} * ROW;" in SHEET
    assert f"EXTREMES = START + {scenarios.MOVES} * ROW;" in SHEET
