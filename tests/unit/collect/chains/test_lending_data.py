"""Lending on real data: liquidations in traces of real blocks, health histories, risk parameters, open positions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from margrave.collect.chains.lending import aave_v3
from margrave.collect.chains.lending.health import AT_RISK_BELOW, Position, distribution, health_factor, weighted
from margrave.collect.chains.lending.tables import decode_logs
from margrave.collect.chains.lending.traces import Found, liquidations, traces_of
from margrave.collect.chains.logs import log_of
from margrave.errors import Rejected
from tests.history import needs_data, recorded
from tests.unit.collect.chains.recordings import files, opened
from tests.unit.collect.chains.test_lending import log_body

pytestmark = [needs_data, pytest.mark.data]
pandas: Any = pytest.importorskip("pandas")

BLOCKS = 19
AAVE_V1 = "0x398ec7346dcd622edc5ae82352f02be94c62d119"
SYMBOLS = {
    "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2": "WETH",
    "0x6b175474e89094c44da98b954eedeac495271d0f": "DAI",
    "0xdac17f958d2ee523a2206206994597c13d831ec7": "USDT",
    "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48": "USDC",
    "0x514910771af9ca656af840dff83e8264ecf986ca": "LINK",
}
DECIMALS = {"WETH": 18, "DAI": 18, "USDT": 6, "USDC": 6, "LINK": 18}
THRESHOLDS = {
    "WETH": 0.825, "WBTC": 0.75, "DAI": 0.80, "LINK": 0.75, "UNI": 0.65, "AAVE": 0.65, "TUSD": 0.80,
    "ZRX": 0.65, "MKR": 0.65, "USDC": 0.85, "USDT": 0.0,
}  # fmt: skip
"""Of Aave v2 in 2021."""


def found_in_blocks() -> Iterator[Found | Rejected]:
    blocks = files("eth_blocks_traces_mevinspect", pattern="blocks_*.json.gz")
    assert len(blocks) == BLOCKS
    for block in blocks:
        yield from liquidations(traces_of(opened(block)))


def test_all_liquidations_of_the_real_blocks_are_found_with_what_was_moved() -> None:
    found = list(found_in_blocks())
    assert [each for each in found if isinstance(each, Rejected)] == []
    done = [each for each in found if isinstance(each, Found)]
    by_protocol = [each.protocol for each in done]
    assert (by_protocol.count("aave"), by_protocol.count("compound_v2")) == (10, 5)
    assert all(each.liquidated.collateral_amount > 0 and each.liquidated.debt_amount > 0 for each in done)
    # Block 15049646 holds a liquidation that reverted: it is not among them.
    assert 15_049_646 not in {each.block for each in done}


def test_liquidations_in_traces_agree_with_the_decoded_table() -> None:
    """All five of Aave v2 (two pools) are in the table; it has no v1 and no Compound."""
    table = pandas.read_parquet(recorded("aave_v2_liquidations_all_assets_2020_2022") / "liquidations.parquet")
    compared = 0
    for each in found_in_blocks():
        assert isinstance(each, Found)
        if each.protocol != "aave" or each.contract == AAVE_V1:
            continue
        rows = table[table.user == each.liquidated.borrower]
        collateral, debt = SYMBOLS[each.liquidated.collateral], SYMBOLS[each.liquidated.debt]
        seized = each.liquidated.collateral_amount / 10 ** DECIMALS[collateral]
        repaid = each.liquidated.debt_amount / 10 ** DECIMALS[debt]
        same = [
            row
            for row in rows.itertuples()
            # The AMM pool's reserves are called AmmDAI, AmmUSDT, ...
            if row.collateralReserve.removeprefix("Amm") == collateral
            and row.principalReserve.removeprefix("Amm") == debt
            and math.isclose(float(row.collateralAmount), seized, rel_tol=1e-12)
            and math.isclose(float(row.principalAmount), repaid, rel_tol=1e-12)
        ]
        assert len(same) == 1, each
        compared += 1
    assert compared == 5


def test_the_compound_markets_named_in_traces_are_those_listed() -> None:
    listed: set[str] = set()
    for name in ("comp_markets.json.gz", "cream_markets.json.gz"):
        listed |= set(opened("eth_blocks_traces_mevinspect", name))
    named = {
        token
        for each in found_in_blocks()
        if isinstance(each, Found) and each.protocol == "compound_v2"
        for token in (each.liquidated.collateral, each.liquidated.debt)
    }
    ether = {"0x4ddc2d193948926d02f9b1fe9e1daa0718270ed5", "0xd06527d5e56a3495252a528c4987003b712860ee"}
    assert len(named) == 7
    assert named - listed == ether  # the lists hold no market whose underlying is ether


def test_health_factors_of_single_collaterals_are_those_given() -> None:
    """Totals of the protocol at 487 blocks; the given factor has two decimals."""
    compared = off = 0
    histories = files("aave_v2_user_health_histories", pattern="*.parquet")
    assert len(histories) == 7
    for file in histories:
        table = pandas.read_parquet(file)
        held = [name for name in table.columns if name.endswith("_collateral")]
        for row in table.to_dict("records"):
            backing = [name.removesuffix("_collateral") for name in held if row[name] > 0]
            # USDC's threshold was raised while its only account was watched.
            if len(backing) != 1 or backing == ["USDC"]:
                continue
            health = health_factor(row["totalCollateral"] * THRESHOLDS[backing[0]], row["totalDebt"])
            off += abs(health - row["healthFactor"]) > 0.005
            compared += 1
    assert (compared, off) == (487, 0)


def test_health_factors_from_balances_and_prices_are_near_those_given() -> None:
    """All 935 rows with a debt; the prices are an exchange's, not the protocol's, and small holdings are left out."""
    errors = []
    for file in files("aave_v2_user_health_histories", pattern="*.parquet"):
        for row in pandas.read_parquet(file).to_dict("records"):
            collateral = {n.split("_")[0]: v for n, v in row.items() if n.endswith("_collateral (in USD)")}
            debt = sum(value for name, value in row.items() if name.endswith("_debt (in USD)"))
            if row["healthFactor"] > 0:
                errors.append(abs(health_factor(weighted(collateral, THRESHOLDS), debt) / row["healthFactor"] - 1))
    errors.sort()
    assert len(errors) == 935
    assert errors[len(errors) // 2] < 0.01
    assert errors[len(errors) * 8 // 10] < 0.03


@pytest.mark.parametrize(("chain", "reserves"), [("ethereum", 38), ("polygon", 21)])
def test_risk_parameters_survive_the_bitmap(chain: str, reserves: int) -> None:
    """Each real reserve packed as ReserveConfiguration.sol packs it, then unpacked."""
    table = pandas.read_csv(recorded("aave_v3_risk_parameters_2024_2025") / f"Aave_Protocol_Parameter_{chain}.csv")
    assert len(table) == reserves
    for row in table.to_dict("records"):
        bitmap = (
            int(row["baseLTVasCollateral"])
            | int(row["reserveLiquidationThreshold"]) << 16
            | int(row["reserveLiquidationBonus"]) << 32
            | int(row["decimals"]) << 48
            | bool(row["isActive"]) << 56
            | bool(row["isFrozen"]) << 57
            | bool(row["borrowingEnabled"]) << 58
            | bool(row["isPaused"]) << 60
            | bool(row["borrowableInIsolation"]) << 61
            | bool(row["isSiloedBorrowing"]) << 62
            | bool(row["flashLoanEnabled"]) << 63
            | int(row["reserveFactor"]) << 64
            | int(row["borrowCap"]) << 80
            | int(row["supplyCap"]) << 116
            | int(row["debtCeiling"]) << 212
            | bool(row["virtualAccActive"]) << 252
        )
        unpacked = aave_v3.configuration(bitmap)
        assert unpacked.ltv_bp == row["baseLTVasCollateral"] <= unpacked.threshold_bp
        assert unpacked.threshold_bp == row["reserveLiquidationThreshold"]
        assert unpacked.bonus_bp == row["reserveLiquidationBonus"]
        assert unpacked.decimals == row["decimals"]
        assert (unpacked.borrow_cap, unpacked.supply_cap) == (row["borrowCap"], row["supplyCap"])
        assert unpacked.debt_ceiling == row["debtCeiling"]
        assert unpacked.reserve_factor_bp == row["reserveFactor"]
        flags = ("isActive", "isFrozen", "borrowingEnabled", "isPaused", "isSiloedBorrowing", "flashLoanEnabled")
        mine = (
            unpacked.active,
            unpacked.frozen,
            unpacked.borrowing,
            unpacked.paused,
            unpacked.siloed,
            unpacked.flash_loans,
        )
        assert mine == tuple(bool(row[flag]) for flag in flags)
        # What a liquidator is paid never exceeds what there is: threshold times bonus is at most the whole.
        assert unpacked.threshold_bp * unpacked.bonus_bp <= 10_000 * 10_000


@pytest.mark.parametrize("form", ["rpc", "hypersync", "etl"])
def test_every_liquidation_of_the_table_is_read_back_from_a_log_of_each_form(form: str) -> None:
    """3,308 liquidations of v2 and v3 as the logs that they were."""
    table = pandas.read_parquet(recorded("aave_liquidations_btc_collateral_2022_2026") / "liquidations.parquet")
    logs = []
    for row in table.itertuples():
        body = log_body(
            aave_v3.LIQUIDATION_CALL,
            row.collateral_asset_address,
            "0x" + "cc" * 20,
            row.liquidatee,
            1,
            int(row.collateral_amount_raw),
            row.liquidator,
            False,
            block=row.block_number,
        )
        logs.append(log_of(as_form(body | {"transactionHash": row.tx_hash}, form)))
    assert len(logs) == 3_308
    for row, (log, said) in zip(table.itertuples(), decode_logs(logs), strict=True):
        assert not isinstance(said, Rejected)
        assert (log.block, log.transaction) == (row.block_number, row.tx_hash)
        assert said.borrower == row.liquidatee  # type: ignore[union-attr]
        assert said.liquidator == row.liquidator  # type: ignore[union-attr]
        assert said.collateral_amount == int(row.collateral_amount_raw)  # type: ignore[union-attr]
        assert math.isclose(said.collateral_amount / 1e8, row.collateral_amount)  # type: ignore[union-attr]


def as_form(body: dict[str, Any], form: str) -> dict[str, Any]:
    if form == "rpc":
        return body
    snake = {
        "address": body["address"],
        "topics": [*body["topics"]],
        "data": body["data"],
        "block_number": body["blockNumber"],
        "block_hash": None,
        "transaction_hash": body["transactionHash"],
        "log_index": body["logIndex"],
        "removed": None,
    }
    if form == "hypersync":
        return snake
    return snake | {
        "topics": ",".join(body["topics"]),
        "block_number": int(body["blockNumber"], 16),
        "block_timestamp": 1_683_029_999,
        "log_index": "3",
    }


def test_the_open_positions_fall_into_the_buckets_that_counting_gives() -> None:
    """10,773 positions against bitcoin: our distribution against one counted in a table, at real prices."""
    where = recorded("aave_open_positions_snapshot_2026_02")
    table = pandas.read_parquet(where / "open_positions.parquet")
    assert len(table) == 10_773
    prices = pandas.read_parquet(where / "price_history_daily.parquet")
    prices = prices[prices.date == prices.date.max()].set_index("symbol").price_usd.to_dict()
    bitcoin = next(prices[name] for name in ("WBTC", "wBTC", "BTC", "cbBTC") if name in prices)
    # The table prices no dollar stablecoins.
    prices |= dict.fromkeys(("USDT", "USDC", "GHO", "DAI"), 1.0)
    table["debt_usd"] = table.borrow_balance_tokens * table.borrowed_symbol.map(prices)
    priced = table.dropna(subset=["debt_usd"])
    accounts = priced.groupby("account").agg(debt_usd=("debt_usd", "sum"), btc=("btc_collateral_tokens", "max"))
    accounts["usd"] = accounts.btc * bitcoin
    accounts["health"] = accounts.usd * 0.78 / accounts.debt_usd
    positions = [
        Position(str(row.Index), health_factor(row.usd * 0.78, row.debt_usd), row.debt_usd, {"btc": row.usd})
        for row in accounts.itertuples()
    ]
    backed = accounts[(accounts.debt_usd > 0) & (accounts.usd > 0)]
    assert len(backed) == 1_818
    found = distribution(positions, ["btc"], edges=(1.0, 1.5, 3.0))
    buckets = pandas.cut(backed.health, [-1, 1.0, 1.5, 3.0, math.inf], right=False)
    counted = backed.groupby(buckets, observed=False).debt_usd.sum()
    assert list(found.debt_usd) == pytest.approx(list(counted))
    below = backed[backed.health < AT_RISK_BELOW].debt_usd.sum()
    assert found.at_risk == pytest.approx(below / backed.debt_usd.sum())
