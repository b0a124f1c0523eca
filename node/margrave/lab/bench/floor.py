"""What no scheme with one signature a member and two words a market can avoid, and the targets over it.

Execution: a transaction, one replay slot, one cold code blob, a signature's ecrecover and calldata a member, two slots
a market, and the words' calldata, by EIP-2028, EIP-2929 and EIP-2200. Calldata: EIP-7623's floor of the signatures and
words alone, with nothing around them. The larger of the two is the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from margrave.lab.bench.measured import figure

TRANSACTION: Final = 21_000
REPLAY_SLOT: Final = 5_000
CODE_BLOB: Final = 2_600
SIGNATURE: Final = 3_000 + 64 * 16
TWO_SLOTS: Final = 10_000
TWO_WORDS: Final = 64 * 16
FLOOR_BYTE: Final = 40
FLOOR_ZERO_BYTE: Final = 10


@dataclass(frozen=True, slots=True)
class Size:
    """Of a committee: how many members there are, and how many of them sign."""

    members: int
    quorum: int

    @property
    def name(self) -> str:
        return f"{self.quorum}of{self.members}"


COMMITTEES: Final = (Size(5, 3), Size(13, 9), Size(31, 21))
SMALLEST: Final = Size(4, 3)
"""The smallest that tolerates a dishonest member. Three of five is below the two thirds that the registry asks for; it
is measured because others measure it."""
MARKETS: Final = (1, 10, 50)
LEGS: Final = (1, 8, 16, 64)
MIXED_LEGS: Final = (8, 16, 64)

OWN_WORDS_AT_ONE: Final = 60_000
OWN_WORDS_RATIO: Final = {"3of5": 1.08, "9of13": 1.15}
CO_SIGNED_RATIO: Final = 1.06
MARGIN_PER_LEG: Final = {1: 28_000, 16: 12_000, 64: 12_000}
READ: Final = 5_000


def execution_floor(quorum: int, markets: int, *, signed_by_each: bool) -> int:
    """The least gas of executing a report; `signed_by_each`: every signer's words are carried, not one set."""
    carried = quorum if signed_by_each else 1
    fixed = TRANSACTION + REPLAY_SLOT + CODE_BLOB + quorum * SIGNATURE
    return fixed + markets * (TWO_SLOTS + carried * TWO_WORDS)


def calldata_floor(said: bytes) -> int:
    """EIP-7623's charge for these bytes, whatever executing costs."""
    zeros = said.count(0)
    return TRANSACTION + FLOOR_ZERO_BYTE * zeros + FLOOR_BYTE * (len(said) - zeros)


def necessary(rvs: Sequence[bytes], words: Sequence[int]) -> bytes:
    """What a report cannot leave out: its signatures and its words."""
    return b"".join(rvs) + b"".join(word.to_bytes(32, "big") for word in words)


def floor(quorum: int, markets: int, said: bytes, *, signed_by_each: bool) -> int:
    return max(execution_floor(quorum, markets, signed_by_each=signed_by_each), calldata_floor(said))


def targets(
    report: dict[str, dict[str, int]],
    co_signed: dict[str, dict[str, int]],
    floors: dict[str, Any],
    margin_per_leg: dict[str, int],
    margin_per_leg_mixed: dict[str, int],
    read: int,
) -> list[dict[str, Any]]:
    """One row a target, and one without a target for each other figure."""
    rows = [_row("own words, 3of5, 1 market", report["3of5"]["1"], "gas", OWN_WORDS_AT_ONE)]
    for committee, gas in report.items():
        for markets in gas:
            goal = OWN_WORDS_RATIO.get(committee) if committee != "3of5" or markets != "1" else None
            ratio = gas[markets] / floors[committee][markets]
            rows.append(_row(f"own words, {committee}, {_markets(markets)}, over floor", ratio, "x", goal))
    for committee, gas in co_signed.items():
        for markets in gas:
            ratio = gas[markets] / floors["cosigned"][committee][markets]
            goal = None if markets == "1" else CO_SIGNED_RATIO
            rows.append(_row(f"co-signed, {committee}, {_markets(markets)}, over floor", ratio, "x", goal))
    for legs, gas_a_leg in margin_per_leg.items():
        name = f"margin a leg, {legs} leg{'s' * (legs != '1')}, cold"
        rows.append(_row(name, gas_a_leg, "gas", MARGIN_PER_LEG.get(int(legs))))
    for legs, gas_a_leg in margin_per_leg_mixed.items():
        name = f"margin a leg, {legs} mixed legs, cold"
        rows.append(_row(name, gas_a_leg, "gas", MARGIN_PER_LEG.get(int(legs))))
    rows.append(_row("read, cold", read, "gas", READ))
    return rows


def _markets(count: str) -> str:
    return f"{count} market{'s' * (count != '1')}"


def _row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    # Compared as it is, shown with four decimals: a ratio that only rounds to its target has missed it.
    return figure(name, value, unit, goal) | ({} if unit == "gas" else {"value": round(value, 4)})
