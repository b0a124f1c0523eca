"""Statements of assembly blocks are numbered, and everything else is where it was."""

from __future__ import annotations

from typing import Any, Final

import pytest

from margrave.lab.evidence import numbered
from margrave.lab.evidence.workshop import syntax_tree

SOURCE: Final = """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// Größer als ein Byte: ö.
contract Sums {
    uint256 internal constant STEP = 2;

    function sum(uint256 n) external pure returns (uint256 s) {
        assembly ("memory-safe") {
            function twice(x) -> y {
                y := mul(x, STEP)
            }
            for { let i := 0 } lt(i, n) { i := add(i, 1) } {
                if gt(i, 9) { break }
                s := add(s, twice(i))
            }
        }
        if (s > 100) revert();
    }
}
"""
STATEMENTS: Final = [
    "y := mul(x, STEP)",
    "lt(i, n)",
    "let i := 0",
    "i := add(i, 1)",
    "gt(i, 9)",
    "break",
    "s := add(s, twice(i))",
]


def of_bytes(start: int, length: int) -> str:
    return SOURCE.encode()[start : start + length].decode()


def numbered_source(first: int = 0) -> tuple[numbered.Numbered, list[numbered.Statement]]:
    return numbered.number("a.sol", SOURCE, syntax_tree(SOURCE.encode(), "a.sol"), first)


def test_each_statement_of_an_assembly_block_gets_a_number_and_no_line_moves() -> None:
    text, statements = numbered_source(7)
    assert [of_bytes(statement.start, statement.length) for statement in statements] == STATEMENTS
    assert "if 0x6d6172670007 {} y := mul(x, STEP)" in text.text
    assert "if 0x6d6172670008 {} for { if 0x6d6172670009 {} let i := 0 } lt(i, n)" in text.text
    assert "if 0x6d617267000b {} if gt(i, 9) { if 0x6d617267000c {} break }" in text.text
    assert text.text.count("\n") == SOURCE.count("\n")
    assert text.text.count("if 0x6d61726700") == len(STATEMENTS)


def test_every_byte_finds_its_way_back() -> None:
    text, statements = numbered_source()
    new, old = text.text.encode(), SOURCE.encode()
    back = [text.old(offset) for offset in range(len(new) + 1)]
    assert back == sorted(back)
    assert back[-1] == len(old)
    kept = new
    for i in range(len(statements)):
        kept = kept.replace(b"if 0x%x {} " % (numbered.TAG + i), b"")
    assert kept == old
    for statement in statements:
        text_of_it = of_bytes(statement.start, statement.length).partition("{")[0].encode()
        assert text.old(new.index(text_of_it, statement.start)) == old.index(text_of_it, statement.start)


def test_only_the_push_of_a_number_is_mapped_to_its_statement() -> None:
    text, statements = numbered_source()
    tag = numbered.TAG.to_bytes(6)
    # push 1; push number 0; stop; push of a library's address; a number among the data, which is no opcode
    code = "6001" + "65" + tag.hex() + "00" + "73" + "__$" + "ab" * 17 + "$__" + "65" + tag.hex()
    start = statements[0].start
    after = start + len("if 0x6d6172670000 {} ")
    source_map = f"{start}:5:3:i:1;;{after}:4;0:9:4;"
    mapped = numbered.mapped_back(source_map[:-1], code, {3: text}, [(3, statements[0])])
    length = statements[0].length
    assert mapped == f"{start}:0:3:i:1;{start}:{length}:3:i:1;{start}:4:3:i:1;0:9:4:i:1"


def test_a_contract_without_code_has_no_map() -> None:
    assert numbered.mapped_back("", "", {}, []) == ""


def compiled(asked: dict[str, Any]) -> dict[str, Any]:
    answer = numbered.compile_numbered(asked)
    assert not [error for error in answer.get("errors", []) if error["severity"] == "error"]
    return answer


def test_the_compiler_s_source_map_reaches_the_statements_of_assembly() -> None:
    file = "contracts/src/Sums.sol"
    answer = compiled(
        {
            "language": "Solidity",
            "sources": {file: {"content": SOURCE}, "contracts/test/A.sol": {"content": SOURCE.replace("Sums", "A")}},
            "settings": {
                "viaIR": True,
                "optimizer": {"enabled": False},
                "outputSelection": {"*": {"": ["ast"], "*": ["evm.deployedBytecode"]}},
            },
        }
    )
    wanted = {(s.start, s.length) for s in numbered_source()[1]}
    code = answer["contracts"][file]["Sums"]["evm"]["deployedBytecode"]
    places = {tuple(map(int, row.split(":")[:2])) for row in code["sourceMap"].split(";")}
    assert wanted <= places
    assert all(start + length <= len(SOURCE.encode()) for start, length in places)
    other = answer["contracts"]["contracts/test/A.sol"]["A"]["evm"]["deployedBytecode"]["object"]
    assert numbered.TAG.to_bytes(6).hex()[:8] not in other, "only what is deployed is numbered"
    tree = answer["sources"][file]["ast"]
    contract = next(node for node in tree["nodes"] if node["nodeType"] == "ContractDefinition")
    assert of_bytes(*map(int, contract["src"].split(":")[:2])).startswith("contract Sums")
    assert tree["src"].split(":")[:2] == syntax_tree(SOURCE.encode(), file)["src"].split(":")[:2]


def test_more_statements_than_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="65536"):
        numbered_source(numbered.MOST - 1)
