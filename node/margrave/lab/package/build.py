"""Builds the npm package: Solidity sources as they are, ABIs from the compiler, TypeScript compiled by tsc."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import solcx

from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.errors import Fatal
from margrave.lab.package.typescript import Abi, abi_source, calls_source, lanes_source
from margrave.lab.solidity import IMPORT, resolved

PROJECT: Final = CONTRACTS_DIR.parent
ROOM: Final = CONTRACTS_DIR / "package"
SOURCES: Final = CONTRACTS_DIR / "src"
SHIPPED: Final = ("interfaces/*.sol", "adapters/**/*.sol", "margin/Leg.sol")
"""Files of contracts/src that are shipped; what they import comes along."""
EXAMPLES: Final = "adapters/examples/"


def build(out: Path) -> None:
    """Make the package's folder, ready for `npm pack`.

    Args:
        out: an empty or absent folder.

    Raises:
        Fatal: a source is missing or does not compile, or tsc refuses the types.
    """
    units = sources(*SHIPPED)
    abis = abis_of(units)
    for unit in units:
        _copy(SOURCES / unit, out / unit)
    for name in ("package.json", "README.md", "tsconfig.json", "ts/index.ts", "ts/words.ts"):
        _copy(ROOM / name, out / name)
    (out / "abi").mkdir()
    for name, abi in abis.items():
        (out / "abi" / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(abi), indent=1) + b"\n")
    (out / "ts" / "abi.ts").write_text(abi_source(abis), encoding="utf-8")
    (out / "ts" / "calls.ts").write_text(calls_source(abis), encoding="utf-8")
    (out / "ts" / "lanes.ts").write_text(lanes_source(), encoding="utf-8")
    _run([PROJECT / "node_modules" / ".bin" / "tsc", "--project", out], "mend the package's TypeScript")


def pack(folder: Path, into: Path) -> Path:
    """The tarball that `npm publish` would send. Raises: Fatal: npm refuses."""
    into.mkdir(parents=True, exist_ok=True)
    said = _run(
        ["npm", "pack", folder, "--pack-destination", into, "--ignore-scripts", "--offline", "--silent"],
        "run npm pack there by hand",
    )
    return into / said.split()[-1]


def sources(*patterns: str) -> Mapping[str, str]:
    """Solidity files with all that they import from one another, by their paths under contracts/src.

    Args:
        patterns: which, by their paths there.

    Raises:
        Fatal: one imports a file that is not there.
    """
    todo = [path.relative_to(SOURCES).as_posix() for pattern in patterns for path in SOURCES.glob(pattern)]
    found: dict[str, str] = {}
    while todo:
        unit = todo.pop()
        if unit in found:
            continue
        try:
            found[unit] = (SOURCES / unit).read_text(encoding="utf-8")
        except OSError as error:
            raise Fatal(f"contracts/src/{unit}: {error.strerror}", advice="mend the import") from error
        todo += [resolved(unit, target) for target in IMPORT.findall(found[unit]) if target.startswith(".")]
    return dict(sorted(found.items()))


def abis_of(units: Mapping[str, str]) -> Mapping[str, Abi]:
    """The ABI of every interface, and of every adapter that can be deployed, by name.

    Raises:
        Fatal: the compiler refuses.
    """
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in (*units.items(), *_foreign(units.values()))},
        "settings": {"outputSelection": {unit: {"*": ["abi"], "": ["ast"]} for unit in units}},
    }
    try:
        output = solcx.compile_standard(request, solc_binary=PROJECT / "scripts" / "solc")
    except solcx.exceptions.SolcError as error:
        raise Fatal(error.message, advice="mend the contract") from error
    found = {}
    for unit in (unit for unit in units if not unit.startswith(EXAMPLES)):
        for node in output["sources"][unit]["ast"]["nodes"]:
            offered = node["nodeType"] == "ContractDefinition" and node["contractKind"] != "library"
            if offered and (node["contractKind"] == "interface" or not node["abstract"]):
                found[node["name"]] = output["contracts"][unit][node["name"]]["abi"]
    return dict(sorted(found.items()))


def _foreign(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    """What the sources import from npm, by import path."""
    todo = [target for text in texts for target in IMPORT.findall(text) if not target.startswith(".")]
    found: dict[str, str] = {}
    while todo:
        target = todo.pop()
        if target in found:
            continue
        path = PROJECT / "node_modules" / target.replace("solady/", "solady/src/", 1)
        found[target] = path.read_text(encoding="utf-8")
        todo += [resolved(target, x) for x in IMPORT.findall(found[target])]
    return found.items()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _run(command: list[str | Path], advice: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode:
        raise Fatal(f"{command[0]} failed: {(done.stdout + done.stderr).strip()}", advice=advice)
    return done.stdout
