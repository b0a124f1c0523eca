"""Small wrong changes to a Solidity file, found on the compiler's syntax tree: a test suite should notice each.

The kinds follow the usual mutation testers for Solidity: an operator for its neighbour, a constant off by one, a
condition turned round, a guard or a statement or a modifier left out; in assembly an instruction for its neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Node = dict[str, Any]

OPERATORS: Final[Mapping[str, str]] = {
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "%": "*",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "&&": "||",
    "||": "&&",
    "&": "|",
    "|": "&",
    "^": "|",
    "<<": ">>",
    ">>": "<<",
    "+=": "-=",
    "-=": "+=",
    "*=": "/=",
    "/=": "*=",
    "|=": "&=",
    "&=": "|=",
    "<<=": ">>=",
    ">>=": "<<=",
    "++": "--",
    "--": "++",
}
INSTRUCTIONS: Final[Mapping[str, str]] = {
    "add": "sub",
    "sub": "add",
    "mul": "div",
    "div": "mul",
    "sdiv": "mul",
    "mod": "div",
    "and": "or",
    "or": "and",
    "xor": "or",
    "shl": "shr",
    "shr": "shl",
    "sar": "shr",
    "lt": "gt",
    "gt": "lt",
    "slt": "sgt",
    "sgt": "slt",
}
REVERT: Final = re.compile(rb"^\{?\s*revert\b", re.DOTALL)
COMMENT: Final = re.compile(rb"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: `length` bytes from `start` of the file become `new`."""

    kind: str
    start: int
    length: int
    new: str

    def of(self, source: bytes) -> bytes:
        """The file with the change."""
        return source[: self.start] + self.new.encode() + source[self.start + self.length :]

    def line(self, source: bytes) -> int:
        """The line it begins on, from one."""
        return source.count(b"\n", 0, self.start) + 1

    def shown(self, source: bytes) -> str:
        """Old and new text on one line."""
        old = " ".join(source[self.start : self.start + self.length].decode().split())
        return f"{old[:100]}  →  {self.new or '(nothing)'}"[:220]


def mutants(source: bytes, tree: Node) -> list[Mutant]:
    """Every mutant of a file, in the order of its text."""
    found = {(m.start, m.length, m.new): m for m in _walk(source, tree)}
    return sorted(found.values(), key=lambda m: (m.start, m.length, m.new))


def _walk(source: bytes, node: Any) -> Iterator[Mutant]:
    if isinstance(node, list):
        for child in node:
            yield from _walk(source, child)
        return
    if not isinstance(node, dict):
        return
    kind = node.get("nodeType")
    if kind in {"ArrayTypeName", "PragmaDirective", "ImportDirective", "StructuredDocumentation"}:
        return
    if isinstance(kind, str):
        yield from _here(source, kind, node)
    for value in node.values():
        yield from _walk(source, value)


def _here(source: bytes, kind: str, node: Node) -> Iterator[Mutant]:
    start, length = _span(node)
    match kind:
        case "BinaryOperation":
            yield from _operator(source, node, node["leftExpression"], node["rightExpression"])
        case "Assignment" if node["operator"] != "=":
            yield from _operator(source, node, node["leftHandSide"], node["rightHandSide"])
        case "UnaryOperation" if node["operator"] in {"!", "~", "-"}:
            yield Mutant("unary", start, 1, "")
        case "UnaryOperation" if node["operator"] in OPERATORS:
            at = start if node["prefix"] else start + length - 2
            yield Mutant("unary", at, 2, OPERATORS[node["operator"]])
        case "Literal" | "YulLiteral" if node.get("kind") == "number" and not node.get("subdenomination"):
            yield from _constant(source, start, length)
        case "Literal" if node.get("kind") == "bool":
            yield Mutant("constant", start, length, "false" if node["value"] == "true" else "true")
        case "IfStatement":
            yield from _branch(source, node)
        case "Conditional" | "WhileStatement":
            at, n = _span(node["condition"])
            yield Mutant("condition", at, n, f"!({source[at : at + n].decode()})")
        case "ExpressionStatement" | "EmitStatement":
            yield _left_out("statement", source, start, length)
        case "ModifierInvocation" if not node.get("arguments"):
            yield Mutant("modifier", start, length, "")
        case "YulFunctionCall":
            yield from _instruction(node)
        case "YulIf":
            at, n = _span(node["condition"])
            yield Mutant("condition", at, n, f"iszero({source[at : at + n].decode()})")
        case "YulAssignment" | "YulExpressionStatement":
            yield Mutant("statement", start, length, "")
        case _:
            return


def _operator(source: bytes, node: Node, left: Node, right: Node) -> Iterator[Mutant]:
    operator = node["operator"]
    if operator not in OPERATORS:
        return
    (left_at, left_n), (right_at, _) = _span(left), _span(right)
    between = COMMENT.sub(lambda m: b" " * len(m.group()), source[left_at + left_n : right_at])
    at = between.find(operator.encode())
    if at >= 0:
        yield Mutant("operator", left_at + left_n + at, len(operator), OPERATORS[operator])


def _constant(source: bytes, start: int, length: int) -> Iterator[Mutant]:
    text = source[start : start + length].decode()
    if re.fullmatch(r"[0-9_]+|0x[0-9a-fA-F]{1,16}", text):
        value = int(text.replace("_", ""), 0)
        yield Mutant("constant", start, length, str(value + 1))
        if value > 1:
            yield Mutant("constant", start, length, str(value - 1))


def _branch(source: bytes, node: Node) -> Iterator[Mutant]:
    start, length = _span(node)
    body_at, body_n = _span(node["trueBody"])
    if REVERT.match(source[body_at : body_at + body_n]) and not node.get("falseBody"):
        yield _left_out("guard", source, start, length)
    at, n = _span(node["condition"])
    yield Mutant("condition", at, n, f"!({source[at : at + n].decode()})")


def _left_out(kind: str, source: bytes, start: int, length: int) -> Mutant:
    """Without a statement. The tree's spans end before the semicolon; a loop's step has none."""
    if source[start + length : start + length + 1] == b";":
        return Mutant(kind, start, length + 1, "{}")
    return Mutant(kind, start, length, "" if source[start + length : start + length + 1] == b")" else "{}")


def _instruction(node: Node) -> Iterator[Mutant]:
    name = node["functionName"]
    if name["name"] in INSTRUCTIONS:
        at, n = _span(name)
        yield Mutant("instruction", at, n, INSTRUCTIONS[name["name"]])


def _span(node: Node) -> tuple[int, int]:
    start, length, _ = node["src"].split(":")
    return int(start), int(length)
