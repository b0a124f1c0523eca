"""contracts/src/adapters/Fields.sol: every published figure by name, with its unit, from the wire table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from margrave.errors import Fatal
from margrave.lanes import LANES, PRICE_SHIFT, PRICE_UNIT_USD, RISK_LANES, Lane, WordName

RISK_FIELDS: Final = len(RISK_LANES)


@dataclass(frozen=True, slots=True)
class Field:
    """One figure as an adapter gives it: an integer with `decimals` decimals, which one count on the wire moves by
    `step`."""

    name: str
    word: WordName
    shift: int
    signed: bool
    decimals: int
    step: int
    meaning: str


def fields() -> Sequence[Field]:
    """All lanes that members sign, the risk word's first, then the price.

    Raises:
        Fatal: a unit of the wire table is not 1 or 5 of a decimal place.
    """
    lanes = [_field(lane) for lane in LANES.values() if not lane.stamped]
    decimals, step = _decimals(PRICE_UNIT_USD)
    meaning = "index price in US dollars"
    return (*lanes, Field("price", "market", PRICE_SHIFT, signed=False, decimals=decimals, step=step, meaning=meaning))


def _field(lane: Lane) -> Field:
    decimals, step = _decimals(lane.unit)
    return Field(lane.name, lane.word, lane.shift, lane.signed, decimals, step, lane.meaning)


def _decimals(unit: float) -> tuple[int, int]:
    for decimals in range(19):
        step = round(unit * 10**decimals)
        if step in (1, 5) and abs(unit * 10**decimals - step) < 1e-9:
            return decimals, step
    raise Fatal(f"a unit of {unit:g} is not 1 or 5 of a decimal place", advice="choose another unit in lanes.py")


def fields_source() -> str:
    """Fields.sol, whole."""
    rows = fields()
    shifts = sum(row.shift << 8 * i for i, row in enumerate(rows))
    decimals = sum(row.decimals << 4 * i for i, row in enumerate(rows))
    signed = sum(1 << i for i, row in enumerate(rows) if row.signed)
    fivefold = sum(1 << i for i, row in enumerate(rows) if row.step == 5)
    members = [f"    {row.name.upper()}{',' if row is not rows[-1] else ''} // {row.meaning}" for row in rows]
    names = [f'        if (field == Field.{row.name.upper()}) return "{row.name}";' for row in rows[:-1]]
    return SOURCE.format(
        members="\n".join(members),
        names="\n".join(names),
        last=rows[-1].name,
        count=len(rows),
        risk=RISK_FIELDS,
        shifts=f"0x{shifts:064x}",
        decimals=f"0x{decimals:0{len(rows)}x}",
        signed=f"{signed:#x}",
        fivefold=f"{fivefold:#x}",
    )


SOURCE: Final = """\
// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

// Generated from node/margrave/lanes.py by `python -m margrave.lab.package`: change it there.

import {{EXCESS, LANE_MAX, PRICE_MAX}} from "../oracle/Lanes.sol";

/// @notice Every figure that is published of a market, by name; the first {risk} lie in the risk word.
enum Field {{
{members}
}}

/// @title Figures of a market's two words, as integers with decimals.
library Fields {{
    uint256 internal constant COUNT = {count};
    uint256 private constant RISK_FIELDS = {risk};
    // Shift of each field in its word, one byte a field; decimals, four bits a field; one bit a field for the rest.
    uint256 private constant SHIFTS = {shifts};
    uint256 private constant DECIMALS = {decimals};
    uint256 private constant SIGNED = {signed};
    uint256 private constant FIVEFOLD = {fivefold};

    /// @param risk A market's risk word, as the oracle gives it.
    /// @param market Its market word.
    /// @return The figure, with `decimals(field)` decimals.
    function valueOf(Field field, uint256 risk, uint256 market) internal pure returns (int256) {{
        uint256 i = uint256(field);
        uint256 word = i < RISK_FIELDS ? risk : market;
        uint256 count = word >> (SHIFTS >> 8 * i & 0xff) & (field == Field.PRICE ? PRICE_MAX : LANE_MAX);
        int256 value = int256(count) - int256(isSigned(field) ? EXCESS : 0);
        return FIVEFOLD >> i & 1 != 0 ? value * 5 : value;
    }}

    function decimals(Field field) internal pure returns (uint8) {{
        return uint8(DECIMALS >> 4 * uint256(field) & 0xf);
    }}

    function isSigned(Field field) internal pure returns (bool) {{
        return SIGNED >> uint256(field) & 1 != 0;
    }}

    /// @return Its name in the wire table.
    function name(Field field) internal pure returns (string memory) {{
{names}
        return "{last}";
    }}
}}
"""
