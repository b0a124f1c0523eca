"""Lines of contracts/src that the Solidity tests reach: statements, those of assembly blocks among them.

forge counts on the source map, which the optimiser blurs, and the unoptimised code does not fit the stack: so the
compiler gets the optimiser's stack allocation and none of its rewriting (`MARGRAVE_SOLC_OPTIMIZER`, read by
scripts/solc). Inside assembly blocks it counts by numbers that `numbered` puts there. A constant's declaration, which
forge takes for a statement, is no line of code: nothing runs where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from margrave.errors import Fatal
from margrave.lab.evidence.workshop import PROJECT, UNREWRITTEN, forge, syntax_tree

WANTED: Final = 0.95
SOURCES: Final = "contracts/src/"
NOT_OURS_TO_DEPLOY: Final = ("contracts/src/mock/", "contracts/src/interfaces/")


class Lines(msgspec.Struct, frozen=True):
    """Of one file: lines with code, and those that no test reaches."""

    file: str
    found: int
    missed: tuple[int, ...]

    @property
    def hit(self) -> int:
        return self.found - len(self.missed)


def measure(folder: Path) -> list[Lines]:
    """Run every Solidity test once under forge's coverage.

    Raises:
        Fatal: A test failed, or forge gave no report.
    """
    report = folder / "lcov.info"
    settings = {
        "FOUNDRY_OUT": "contracts/out/coverage",
        "FOUNDRY_CACHE_PATH": "contracts/cache/coverage",
        "FOUNDRY_SOLC": "scripts/solc-numbered",
        "MARGRAVE_SOLC_OPTIMIZER": json.dumps(UNREWRITTEN),
    }
    options = ("--root", ".", "--ir-minimum", "--report", "lcov", "--report-file", str(report))
    done = forge("coverage", *options, settings=settings)
    if done.returncode != 0 or not report.exists():
        raise Fatal(
            f"forge coverage failed: {(done.stdout + done.stderr)[-900:]}", advice="run scripts/test, then again"
        )
    return parse(report.read_text(encoding="utf-8"), constants_of)


def parse(lcov: str, constants: Callable[[str], frozenset[int]]) -> list[Lines]:
    """The deployed sources in an lcov report, without the lines that only declare constants."""
    files: list[Lines] = []
    name = ""
    lines: dict[int, int] = {}
    for row in lcov.splitlines():
        tag, _, rest = row.partition(":")
        if tag == "SF":
            name, lines = rest.removeprefix(f"{PROJECT}/"), {}
        elif tag == "DA":
            at, hits = rest.split(",")[:2]
            lines[int(at)] = lines.get(int(at), 0) + int(hits)
        elif row == "end_of_record" and name.startswith(SOURCES) and not name.startswith(NOT_OURS_TO_DEPLOY) and lines:
            declared = constants(name)
            code = {at: hits for at, hits in lines.items() if at not in declared}
            missed = tuple(sorted(at for at, hits in code.items() if not hits))
            if code:
                files.append(Lines(name, len(code), missed))
    return sorted(files, key=lambda x: x.file)


def constants_of(file: str) -> frozenset[int]:
    """Lines of a source that declare constants."""
    source = (PROJECT / file).read_bytes()
    return frozenset(_constants(syntax_tree(source, file), source))


def _constants(node: Any, source: bytes) -> set[int]:
    lines: set[int] = set()
    if isinstance(node, dict):
        if node.get("nodeType") == "VariableDeclaration" and node.get("constant"):
            start, length, _ = map(int, node["src"].split(":"))
            first = source.count(b"\n", 0, start) + 1
            return set(range(first, first + source.count(b"\n", start, start + length) + 1))
        node = list(node.values())
    if isinstance(node, list):
        for below in node:
            lines |= _constants(below, source)
    return lines


def share(files: list[Lines]) -> float:
    """Covered lines of all."""
    return sum(x.hit for x in files) / max(1, sum(x.found for x in files))


def table(files: list[Lines]) -> str:
    """One row a file."""
    rows = [f"{'file':<52} {'lines':>6} {'hit':>6} {'share':>7}  missed"]
    for x in files:
        missed = ", ".join(map(str, x.missed[:12])) + (" …" if len(x.missed) > 12 else "")
        rows.append(f"{x.file.removeprefix(SOURCES):<52} {x.found:>6} {x.hit:>6} {x.hit / x.found:>7.1%}  {missed}")
    found, hit = sum(x.found for x in files), sum(x.hit for x in files)
    rows.append(f"{'all':<52} {found:>6} {hit:>6} {share(files):>7.2%}")
    return "\n".join(rows)


def by_folder(files: list[Lines]) -> Mapping[str, float]:
    """Share of each folder of contracts/src."""
    folders: dict[str, list[Lines]] = {}
    for x in files:
        folders.setdefault(x.file.removeprefix(SOURCES).partition("/")[0], []).append(x)
    return {name: share(some) for name, some in sorted(folders.items())}
