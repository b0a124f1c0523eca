"""A compiler for coverage only: it says in its source maps which opcode begins each statement of an assembly block.

Through the IR the compiler maps every opcode of an assembly block to the block as a whole, and forge, which finds a
line by the first opcode on it, counts all the lines inside as never reached. So before each statement in an assembly
block of `contracts/src` a number is pushed and dropped (`if 0x6d6172670007 {}`, which the coverage build's optimiser
leaves alone); the code is compiled; each push of a number is mapped to its statement, every other opcode to where it
was before the numbers went in; and forge sees the sources as they are on disk. A statement is then counted as reached
exactly if its number was pushed.

`scripts/solc-numbered`, which forge is told to use, answers the two options that scripts/solc answers.
"""

from __future__ import annotations

import bisect
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

COMPILER: Final = Path(__file__).parents[4] / "scripts" / "solc"
SOURCES: Final = "contracts/src/"
TAG: Final = 0x6D61_7267_0000
"""Six bytes, "marg" and a number: no constant of the contracts looks like it."""
MOST: Final = 1 << 16
PUSH1: Final = 0x60
PUSH6: Final = 0x65
PUSH32: Final = 0x7F
UNLINKED: Final = re.compile(r"__\$[0-9a-f]{34}\$__")
PLACE: Final = re.compile(r"(\d+):(\d+):(\d+)")
PLACES: Final = frozenset({"src", "nativeSrc", "nameLocation"})


@dataclass(frozen=True, slots=True)
class Statement:
    """Of an assembly block: `length` bytes of `file` from `start`; of an if, a loop or a switch, what it asks.

    forge knows a line by the first part of it that it has a name for, and it has none for these but for their question.
    """

    file: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """A file with numbers in it, and where in the file's own bytes they went, ascending."""

    text: str
    starts: Sequence[int]

    def old(self, offset: int) -> int:
        """Where a byte of the text was; of a number itself, where it went."""
        width = len(_push(0))
        i = bisect.bisect_right(range(len(self.starts)), offset, key=lambda i: self.starts[i] + i * width)
        return offset if i == 0 else max(self.starts[i - 1], offset - i * width)


def number(file: str, source: str, tree: Json, first: int) -> tuple[Numbered, list[Statement]]:
    """Put a number before each statement of each assembly block, `first` and onwards.

    Args:
        tree: The compiler's syntax tree of the file.
    """
    places = {start: place for block in _blocks(tree) for start, place in _statements(block)}
    if first + len(places) > MOST:
        raise ValueError(f"more than {MOST} statements to number")
    old = source.encode()
    starts = sorted(places)
    parts: list[bytes] = []
    at = 0
    for i, start in enumerate(starts):
        parts += [old[at:start], _push(first + i)]
        at = start
    text = b"".join([*parts, old[at:]]).decode()
    return Numbered(text, starts), [Statement(file, *places[start]) for start in starts]


def mapped_back(
    source_map: str, code: str, files: Mapping[int, Numbered], numbers: Sequence[tuple[int, Statement]]
) -> str:
    """The source map of numbered code as if of the old files, but for the pushes of numbers: each is its statement's.

    Args:
        source_map: `start:length:file:jump:depth;…`, what is left out being as in the entry before.
        code: In hexadecimal, perhaps with libraries still to be linked.
        files: The numbered files by the compiler's index.
        numbers: By number, the compiler's index of its file and the statement.
    """
    if not source_map or not code:
        return source_map
    entry = ["0", "0", "-1", "-", "0"]
    mapped: list[str] = []
    for row, number_ in zip(source_map.split(";"), _pushed(bytes.fromhex(UNLINKED.sub("00" * 20, code))), strict=False):
        for i, field in enumerate(row.split(":")):
            entry[i] = field or entry[i]
        start, length, file = map(int, entry[:3])
        if number_ is not None and number_ < len(numbers):
            file, statement = numbers[number_]
            start, length = statement.start, statement.length
        elif file in files:
            was = files[file].old(start)
            start, length = was, files[file].old(start + length) - was
        mapped.append(f"{start}:{length}:{file}:{entry[3]}:{entry[4]}")
    return ";".join(mapped)


def compile_numbered(asked: Json) -> Json:
    """The compiler's answer for what forge asked, numbered on the way in and mapped back on the way out."""
    ours = {name: source for name, source in asked["sources"].items() if name.startswith(SOURCES)}
    trees = _compiled(
        {
            "language": "Solidity",
            "sources": ours,
            "settings": {"stopAfter": "parsing", "outputSelection": {"*": {"": ["ast"]}}},
        }
    )
    texts: dict[str, Numbered] = {}
    statements: list[Statement] = []
    for name, source in ours.items():
        text, more = number(name, source["content"], trees["sources"][name]["ast"], len(statements))
        if more:
            texts[name] = text
            statements += more
    sources = {name: {"content": texts[name].text} if name in texts else it for name, it in asked["sources"].items()}
    answer = _compiled({**asked, "sources": sources})
    index = {name: it["id"] for name, it in answer.get("sources", {}).items()}
    files = {index[name]: text for name, text in texts.items() if name in index}
    numbers = [(index.get(statement.file, -1), statement) for statement in statements]
    for contracts in answer.get("contracts", {}).values():
        for contract in contracts.values():
            for kind in ("bytecode", "deployedBytecode"):
                code = contract.get("evm", {}).get(kind, {})
                if "sourceMap" in code and "object" in code:
                    code["sourceMap"] = mapped_back(code["sourceMap"], code["object"], files, numbers)
    for it in answer.get("sources", {}).values():
        _move_back(it.get("ast"), files)
    return answer


def main(arguments: Sequence[str]) -> int:
    """Answer forge as scripts/solc does."""
    if "--standard-json" not in arguments:
        return subprocess.run([COMPILER, *arguments], check=False).returncode  # noqa: S603 - our own compiler
    json.dump(compile_numbered(json.load(sys.stdin)), sys.stdout)
    return 0


def _push(number_: int) -> bytes:
    return b"if 0x%x {} " % (TAG + number_)


def _blocks(node: Any) -> Iterator[Json]:
    """Every block of assembly below a node, nested ones too."""
    if isinstance(node, dict):
        if node.get("nodeType") == "YulBlock":
            yield node
        for below in node.values():
            yield from _blocks(below)
    elif isinstance(node, list):
        for below in node:
            yield from _blocks(below)


def _statements(block: Json) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where each statement begins, and which bytes are told of it."""
    for statement in block["statements"]:
        if statement["nodeType"] not in ("YulFunctionDefinition", "YulBlock"):
            asked = statement.get("condition") or (statement["nodeType"] == "YulSwitch" and statement["expression"])
            yield _place(statement)[0], _place(asked or statement)


def _place(node: Json) -> tuple[int, int]:
    start, length, _ = map(int, node["src"].split(":"))
    return start, length


def _pushed(code: bytes) -> Iterator[int | None]:
    """Of each opcode in turn, the number that it pushes, if it pushes one."""
    at = 0
    while at < len(code):
        opcode = code[at]
        size = opcode - PUSH1 + 1 if PUSH1 <= opcode <= PUSH32 else 0
        value = int.from_bytes(code[at + 1 : at + 1 + size])
        yield value - TAG if opcode == PUSH6 and 0 <= value - TAG < MOST else None
        at += 1 + size


def _move_back(node: Any, files: Mapping[int, Numbered]) -> None:
    """Every place in a syntax tree, in situ."""
    if isinstance(node, list):
        for below in node:
            _move_back(below, files)
    elif isinstance(node, dict):
        for key, value in node.items():
            place = PLACE.fullmatch(value) if key in PLACES and isinstance(value, str) else None
            if place is None:
                _move_back(value, files)
                continue
            start, length, file = map(int, place.groups())
            if file in files:
                was = files[file].old(start)
                node[key] = f"{was}:{files[file].old(start + length) - was}:{file}"


def _compiled(asked: Json) -> Json:
    done = subprocess.run(  # noqa: S603 - our own compiler
        [COMPILER, "--standard-json"], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    answer: Json = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
