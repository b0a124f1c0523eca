"""The mutator changes one thing at a time, where the compiler's syntax tree says it is."""

from __future__ import annotations

import pytest

from margrave.lab.evidence.mutants import Mutant, mutants
from margrave.lab.evidence.workshop import syntax_tree

SOURCE = b"""// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

contract C {
    error Bad(uint256 got);
    uint256[7] private _fixed; // not 7: a length is a type's
    uint256 private _kept;

    modifier guarded() {
        _;
    }

    function f(uint256 a, uint256 b) external guarded returns (uint256 c) {
        if (a /* not <= here */ < b) revert Bad(a);
        c = a + 3;
        _kept |= c;
        for (uint256 i = 0; i < b; ++i) c = 1;
        assembly ("memory-safe") {
            c := add(c, 1)
        }
        return a > b && a != 0 ? c : ~c;
    }
}
"""


def changed() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for mutant in mutants(SOURCE, syntax_tree(SOURCE, "C.sol")):
        line = mutant.of(SOURCE).splitlines()[mutant.line(SOURCE) - 1].decode().strip()
        found.setdefault(mutant.kind, []).append(line)
    return found


def test_a_guard_can_go_or_turn_round_and_its_operator_change() -> None:
    found = changed()
    assert "{}" in found["guard"]
    assert "if (!(a /* not <= here */ < b)) revert Bad(a);" in found["condition"]
    assert "if (a /* not <= here */ <= b) revert Bad(a);" in found["operator"]


def test_constants_move_by_one_but_not_the_length_of_an_array() -> None:
    constants = changed()["constant"]
    assert "c = a + 4;" in constants
    assert "c = a + 2;" in constants
    assert not [line for line in constants if "_fixed" in line]


def test_statements_modifiers_and_unary_operators_go() -> None:
    found = changed()
    assert found["statement"] == [
        "{}",
        "{}",
        "for (uint256 i = 0; i < b; ) c = 1;",
        "for (uint256 i = 0; i < b; ++i) {}",
        "",
    ]
    assert found["modifier"] == ["function f(uint256 a, uint256 b) external  returns (uint256 c) {"]
    assert "return a > b && a != 0 ? c : c;" in found["unary"]


def test_instructions_of_assembly_change_too() -> None:
    found = changed()
    assert "c := sub(c, 1)" in found["instruction"]
    assert "c := add(c, 2)" in found["constant"]


def test_compound_assignments_and_conditions_have_their_opposites() -> None:
    operators = changed()["operator"]
    assert "_kept &= c;" in operators
    assert "return a > b || a != 0 ? c : ~c;" in operators
    assert "return a > b && a == 0 ? c : ~c;" in operators


def test_no_mutant_is_the_source_itself() -> None:
    assert all(mutant.of(SOURCE) != SOURCE for mutant in mutants(SOURCE, syntax_tree(SOURCE, "C.sol")))


def test_a_mutant_tells_what_it_changes() -> None:
    at = SOURCE.index(b"a + 3")
    assert Mutant("constant", at + 4, 1, "4").shown(SOURCE) == "3  →  4"
    with pytest.raises(UnicodeDecodeError):
        Mutant("operator", 0, 1, "x").shown(b"\xff")
