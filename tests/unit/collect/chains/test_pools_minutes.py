"""Minutes of Uniswap v3 pools as a researcher recorded them: prices, means and amounts out of ticks and liquidity."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pyarrow.parquet as pq
import pytest

from margrave.collect.chains.pools.swap_steps import PIPS
from margrave.collect.chains.pools.ticks import Q96, mean_tick, price_at_tick, sqrt_price_at
from tests.history import needs_data
from tests.unit.collect.chains.recordings import files

pytestmark = [needs_data, pytest.mark.data]

FOLDER = "defi_minute_demeter"
USDC_WETH = "polygon-0x45dda9cb7c25131df268515131f647d726f50608"  # fee 0.05 %, token 0 USDC (6), token 1 WETH (18)
OSQTH_WETH = "ethereum-0x82c427adfdf2d245ec51d8046b41c4ee87f0d29c"
HALF_A_CENT = 0.005
WINDOW = 30
_END = {True: "lowestTick", False: "highestTick"}


def rows(pattern: str) -> list[dict[str, Any]]:
    """The rows of all files together, in their order; minutes without a pool yet are left."""
    found = [row for path in files(FOLDER, pattern=pattern) for row in pq.read_table(path).to_pylist()]
    return [row for row in found if row.get("closeTick", 0.0) is not None]


def ether_usd(tick: float) -> float:
    return 1 / price_at_tick(tick, 6, 18)


def test_the_price_of_every_minutes_tick_is_the_recorded_price() -> None:
    recorded = {row["timestamp"]: row["WETH"] for row in rows("weth_usdc_price_minute/*.parquet")}
    compared = 0
    for row in rows(f"uniswap_v3_minute/{USDC_WETH}-2023-*.parquet"):
        price = recorded[row["timestamp"]]  # rounded to cents
        assert ether_usd(row["closeTick"]) == pytest.approx(price, abs=2 * HALF_A_CENT)
        compared += 1
    assert compared == 5_759


def test_a_mean_tick_over_half_an_hour_is_the_geometric_mean_of_its_minutes() -> None:
    recorded = {row["timestamp"]: row["WETH"] for row in rows("weth_usdc_price_minute/*.parquet")}
    minutes = rows(f"uniswap_v3_minute/{USDC_WETH}-2023-08-15*.parquet")
    compared = 0
    for start in range(len(minutes) - WINDOW):
        window = minutes[start : start + WINDOW]
        # What `observe` would answer at both ends: seconds times tick, summed.
        cumulated = sum(int(row["closeTick"]) * 60 for row in window)
        tick = mean_tick(-7_000_000, cumulated - 7_000_000, WINDOW * 60)
        mean = 1.0
        for row in window:
            mean *= recorded[row["timestamp"]] ** (1 / WINDOW)
        assert ether_usd(tick) == pytest.approx(mean, rel=1.1e-4)  # a tick, for `mean_tick` rounds down
        compared += 1
    assert compared == 1_410


def test_squeeths_own_price_lies_within_a_tick_of_its_pools() -> None:
    recorded = {row["block_timestamp"]: row["OSQTH"] for row in rows("squeeth_minute/*.parquet")}
    compared = 0
    for row in rows(f"uniswap_v3_minute/{OSQTH_WETH}-*.parquet"):
        assert 1 / price_at_tick(row["closeTick"], 18, 18) == pytest.approx(recorded[row["timestamp"]], rel=1.1e-4)
        compared += 1
    assert compared == 3_507


def test_what_was_paid_in_a_minute_moves_the_price_from_its_tick_to_the_next() -> None:
    """Where liquidity stood still and all swaps went one way, the amount lies between what the two ticks allow."""
    said: Counter[str] = Counter()
    for path in files(FOLDER, pattern=f"uniswap_v3_minute/{USDC_WETH}-2023-*.parquet"):
        minutes = pq.read_table(path).to_pylist()
        for before, row in pairwise(minutes):
            in0, in1 = int(row["inAmount0"]), int(row["inAmount1"])
            if row["currentLiquidity"] != before["currentLiquidity"] or bool(in0) == bool(in1):
                continue
            # A price that only fell ends at its lowest. Where a row says otherwise its close is not its last swap's.
            if row["closeTick"] != row[_END[bool(in0)]]:
                said["close is not the end"] += 1
                continue
            liquidity = int(row["currentLiquidity"])
            net1 = int(row["netAmount1"])
            moved = net1 * (PIPS - 500) // PIPS if net1 > 0 else net1  # the fee stays outside the price
            start, end = (sqrt_price_at(at["closeTick"]) for at in (before, row))
            start_next, end_next = (sqrt_price_at(at["closeTick"] + 1) for at in (before, row))
            least, most = liquidity * (end - start_next) // Q96, liquidity * (end_next - start) // Q96
            said["between"] += least - 1 <= moved <= most + 1
            said["compared"] += 1
    # In five of the six others the row before says a close that was not its end; in one liquidity came and went.
    assert said == {"between": 2_302, "compared": 2_308, "close is not the end": 53}
