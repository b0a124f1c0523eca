"""Makes what is generated under contracts/: the wire table and the median networks in Solidity, and the artifacts.

`python -m margrave.lab.contracts [--check] [--lanes]`; `scripts/contracts` calls it.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import solcx

from margrave.chain.artifacts import ARTIFACTS_DIR, CONTRACTS_DIR, Artifact
from margrave.errors import Fatal
from margrave.lab import networks, scenarios
from margrave.lab.solidity import IMPORT, resolved
from margrave.lanes import (
    ASCENDING,
    BOXES,
    EXCESS,
    LANE_BITS,
    LANE_MAX,
    LANES,
    PRICE_BITS,
    PRICE_SHIFT,
    STAMP_BITS,
    STAMP_SHIFT,
    Lane,
    WordName,
)

PROJECT: Final = CONTRACTS_DIR.parent
LANES_FILE: Final = CONTRACTS_DIR / "src" / "oracle" / "Lanes.sol"
NETWORKS_FILE: Final = CONTRACTS_DIR / "src" / "oracle" / "Networks.sol"
NORMAL_FILE: Final = CONTRACTS_DIR / "src" / "margin" / "Normal.sol"
BLACK76_FILE: Final = CONTRACTS_DIR / "src" / "margin" / "Black76.sol"
DEPLOYED: Final[Mapping[str, str]] = {
    "AccessManager": "@openzeppelin/contracts/access/manager/AccessManager.sol",
    "TimelockController": "@openzeppelin/contracts/governance/TimelockController.sol",
    "MargraveToken": "src/governance/MargraveToken.sol",
    "MargraveGovernor": "src/governance/MargraveGovernor.sol",
    "Registry": "src/oracle/Registry.sol",
    "RiskOracle": "src/oracle/RiskOracle.sol",
    "AccountRisk": "src/oracle/AccountRisk.sol",
    "MarginEngine": "src/margin/MarginEngine.sol",
    "SettlementPrices": "src/protocol/SettlementPrices.sol",
    "OptionsClearinghouse": "src/protocol/OptionsClearinghouse.sol",
    "OrderDesk": "src/protocol/OrderDesk.sol",
    "LiquidationAuctions": "src/protocol/LiquidationAuctions.sol",
    "InsuranceFund": "src/protocol/InsuranceFund.sol",
    "QuoteVault": "src/protocol/QuoteVault.sol",
    "AggregatorV3Adapter": "src/adapters/AggregatorV3Adapter.sol",
    "RiskOracleFacade": "src/adapters/RiskOracleFacade.sol",
    "MockUSD": "src/mock/MockUSD.sol",
}
"""What is ever deployed, and the file it is in; only these have artifacts."""

REMAPPINGS: Final[Mapping[str, str]] = {
    "@openzeppelin/contracts/": "node_modules/@openzeppelin/contracts/",
    "solady/": "node_modules/solady/src/",
}
COMPILER_SETTINGS: Final[dict[str, Any]] = {
    "evmVersion": "prague",
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1_000_000},
    # No hash of the sources' comments in the bytecode: it changes when what is executed changes.
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}


# --- the wire table -------------------------------------------------------------------------------------------------


def lanes_source() -> str:
    """Lanes.sol: shifts, guards, chains and boxes of margrave.lanes as constants."""
    lines = [
        "// SPDX-License-Identifier: MIT",
        "pragma solidity ^0.8.30;",
        "",
        "// Generated from node/margrave/lanes.py by scripts/contracts: change it there.",
        "",
        f"uint256 constant LANE_MAX = {LANE_MAX:#x};",
        f"uint256 constant EXCESS = {EXCESS};",
        f"uint256 constant PRICE_SHIFT = {PRICE_SHIFT};",
        f"uint256 constant PRICE_MAX = {(1 << PRICE_BITS) - 1:#x};",
        "// Guard bit of the one wide lane, in the market word.",
        f"uint256 constant PRICE_GUARD = {_hex(1 << PRICE_SHIFT + PRICE_BITS)};",
        f"uint256 constant STAMP_SHIFT = {STAMP_SHIFT};",
        f"uint256 constant STAMP_MAX = {(1 << STAMP_BITS) - 1:#x};",
        "",
    ]
    for lane in LANES.values():
        lines += [f"// {lane.meaning}", f"uint256 constant {lane.name.upper()}_SHIFT = {lane.shift};"]
    for word in ("risk", "market"):
        lines += ["", *_word_constants(word)]
    return "\n".join(lines) + "\n"


def _word_constants(word: WordName) -> Iterable[str]:
    name = word.upper()
    price_guard = 1 << PRICE_SHIFT + PRICE_BITS if word == "market" else 0
    lanes = [lane for lane in LANES.values() if lane.word == word]
    guards = sum(1 << lane.shift + LANE_BITS - 1 for lane in lanes) | price_guard
    stamped = sum(0xFFFF << lane.shift for lane in lanes if lane.stamped)
    if word == "market":
        stamped |= ((1 << STAMP_BITS) - 1) << STAMP_SHIFT
    yield f"uint256 constant {name}_GUARDS = {_hex(guards)};"
    yield "// What no member may set: guards, and the lanes that the contract stamps."
    yield f"uint256 constant {name}_FORBIDDEN = {_hex(guards | stamped)};"
    yield "// The lanes that the contract stamps."
    yield f"uint256 constant {name}_STAMPED = {_hex(stamped)};"
    yield "// Lanes whose next higher neighbour must not be smaller."
    yield f"uint256 constant {name}_ASCENDING = {_hex(_ascending_mask(word))};"
    yield "// Lanes that loosen when they fall, when they rise, and those that tighten upwards only."
    yield f"uint256 constant {name}_FALL_LOOSENS = {_hex(_lanes_that(word, 'up', 'either'))};"
    yield f"uint256 constant {name}_RISE_LOOSENS = {_hex(_lanes_that(word, 'down', 'either'))};"
    yield f"uint256 constant {name}_TIGHTENS_UP = {_hex(_lanes_that(word, 'up'))};"
    low, high = _boxes(word)
    yield "// Bounds that follow from the lanes' meaning; governance's lie within."
    yield f"uint256 constant {name}_BOX_LOW = {_hex(low)};"
    yield f"uint256 constant {name}_BOX_HIGH = {_hex(high)};"


def _lanes_that(word: WordName, *tighten: str) -> int:
    """The value bits of the word's lanes with one of these directions."""
    return sum(LANE_MAX << x.shift for x in LANES.values() if x.word == word and x.tightens in tighten)


def _ascending_mask(word: WordName) -> int:
    mask = 0
    for chain in ASCENDING:
        for lower, upper in itertools.pairwise(chain):
            a, b = LANES[lower], LANES[upper]
            if a.word != b.word or b.index != a.index + 1:
                raise Fatal(f"{lower} and {upper} are not neighbours", advice="keep ascending chains adjacent in lanes")
            if a.word == word:
                mask |= LANE_MAX << a.shift
    return mask


def _boxes(word: WordName) -> tuple[int, int]:
    low = high = 0
    for lane in LANES.values():
        if lane.word != word or lane.stamped:
            continue
        bottom, top = BOXES.get(lane.name, (None, None))
        low |= (0 if bottom is None else _count(lane, bottom)) << lane.shift
        high |= (LANE_MAX if top is None else _count(lane, top)) << lane.shift
    if word == "market":
        low |= 1 << PRICE_SHIFT
        high |= (1 << PRICE_BITS) - 1 << PRICE_SHIFT
    return low, high


def _count(lane: Lane, value: float) -> int:
    return round(value / lane.unit) + (EXCESS if lane.signed else 0)


def _hex(word: int) -> str:
    return f"0x{word:064x}"


# --- the artifacts --------------------------------------------------------------------------------------------------


def artifacts() -> dict[str, Artifact]:
    """Compile every deployed contract with scripts/solc and give its artifact, by contract name."""
    sources = _closure(DEPLOYED.values())
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources.items()},
        "settings": {
            **COMPILER_SETTINGS,
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}},
        },
    }
    try:
        output = solcx.compile_standard(request, solc_binary=PROJECT / "scripts" / "solc")
    except solcx.exceptions.SolcError as error:
        raise Fatal(error.message, advice="mend the contract") from error
    compiler = solcx.wrapper.get_version_str_from_solc_binary(PROJECT / "scripts" / "solc")
    return {
        name: _artifact(output["contracts"][unit][name], _digest(_closure([unit])), compiler)
        for name, unit in DEPLOYED.items()
    }


def _artifact(compiled: Mapping[str, Any], digest: str, compiler: str) -> Artifact:
    return Artifact(
        abi=compiled["abi"],
        bytecode="0x" + compiled["evm"]["bytecode"]["object"],
        deployed_bytecode="0x" + compiled["evm"]["deployedBytecode"]["object"],
        compiler=compiler,
        settings=COMPILER_SETTINGS,
        source_sha256=digest,
    )


def _closure(units: Iterable[str]) -> dict[str, str]:
    """The files and all that they import, by source unit name as the compiler resolves it."""
    found: dict[str, str] = {}
    todo = list(units)
    while todo:
        unit = todo.pop()
        if unit in found:
            continue
        found[unit] = _path_of(unit).read_text(encoding="utf-8")
        todo += [resolved(unit, target) for target in IMPORT.findall(found[unit])]
    return dict(sorted(found.items()))


def _path_of(unit: str) -> Path:
    for prefix, folder in REMAPPINGS.items():
        if unit.startswith(prefix):
            return PROJECT / folder / unit.removeprefix(prefix)
    return CONTRACTS_DIR / unit


def _digest(sources: Mapping[str, str]) -> str:
    whole = hashlib.sha256()
    for unit, text in sources.items():
        whole.update(f"{unit}\0{hashlib.sha256(text.encode()).hexdigest()}\n".encode())
    return whole.hexdigest()


# --- the command ----------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="scripts/contracts", description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--check", action="store_true", help="write nothing; fail when what is committed differs")
    options.add_argument("--lanes", action="store_true", help="the generated sources only")
    chosen = options.parse_args(arguments)
    wanted = {LANES_FILE: lanes_source().encode(), NETWORKS_FILE: networks.source().encode()}
    wanted |= {NORMAL_FILE: scenarios.normal_source().encode(), BLACK76_FILE: scenarios.black76_source().encode()}
    if not chosen.check:
        _write(wanted)  # the contracts import it
    if not chosen.lanes:
        for name, artifact in artifacts().items():
            text = msgspec.json.format(msgspec.json.encode(artifact, order="sorted"), indent=1)
            wanted[ARTIFACTS_DIR / f"{name}.json"] = text + b"\n"
    if not chosen.check:
        _write(wanted)
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_bytes() != text]
    extra = [] if chosen.lanes else sorted(set(ARTIFACTS_DIR.glob("*.json")) - wanted.keys())
    for path in stale + extra:
        print(f"{path.relative_to(PROJECT)} is not what its source gives: run scripts/contracts", file=sys.stderr)
    return 1 if stale or extra else 0


def _write(files: Mapping[Path, bytes]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Fatal as stop:
        sys.exit(str(stop))
