"""Who is heard on what, and the flows, books and observers summed up."""

from __future__ import annotations

import math

import msgspec
import pytest

from margrave.collect.board import Board
from margrave.collect.chains.build import watches
from margrave.guard import checks
from margrave.messages import (
    EVERY_MARKET,
    AnyReading,
    DepthBand,
    HealthReading,
    Kind,
    LiquidationsReading,
    NoticeReading,
    PoolReading,
    TradesReading,
)
from margrave.settings import WatchedChainSettings
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.unit.collect.chains.fake import Now
from tests.unit.guard.sample import FAIR, POLICY, T0_MS, VENUES, book, books, histories, judged, judged_with, scalar

POOL_AT = "0x" + "11" * 20
SAID = {"market": "BTC", "instrument": "x", "venue_time_ms": T0_MS - 1_000, "seen_time_ms": T0_MS - 500}
TRADES = TradesReading(
    **SAID,
    source="okx",
    perpetual=False,
    from_ms=T0_MS - HOUR_MS // 2,
    count=10,
    buy_usd=3e6,
    sell_usd=1e6,
    low=99.0,
    high=101.0,
    last=100.0,
    vwap=100.1,
)
LIQUIDATIONS = LiquidationsReading(
    **SAID, source="chain:1", from_ms=T0_MS - HOUR_MS, count=2, long_usd=5e5, short_usd=0.0, largest_usd=4e5
)
HEALTH = HealthReading(
    **SAID,
    source="chain:1",
    protocol="aave_v3",
    edges=(1.0, 1.1),
    debt_usd=(1.0, 2.0, 3.0),
    collateral_usd=(1, 3, 9),
    block=7,
)
POOL = PoolReading(**SAID, source="chain:1", price=100.1, bid_depth_usd=1e6, ask_depth_usd=1e6, fee=0.0005, block=7)
NOTICE = NoticeReading(**SAID, source="chain:1", topic="governance.proposal.created", text="a proposal")


def refused(*said: AnyReading) -> list[tuple[str, Rejection]]:
    return [(r.what, r.reason) for r in judged([*books(FAIR), *histories(), *said])[0].refusals]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_range_and_an_age(kind: Kind) -> None:
    low, high = checks.RANGES[kind]
    assert low < high
    assert checks.max_age_s(scalar("okx", kind, 1.0), POLICY) > 0


def test_flows_pools_health_and_notices_reach_the_snapshot() -> None:
    market = judged_with(TRADES, LIQUIDATIONS, HEALTH, POOL, NOTICE)
    assert market.traded_usd_per_hour == pytest.approx(8e6)
    assert market.buy_share == pytest.approx(0.75)
    assert market.liquidated_long_usd_per_hour == pytest.approx(5e5)
    assert market.liquidated_short_usd_per_hour == 0
    assert (market.health, market.pools, market.notices) == ((HEALTH,), (POOL,), (NOTICE,))


def test_what_nobody_said_of_them_is_none() -> None:
    market = judged_with()
    assert market.traded_usd_per_hour is market.buy_share is market.liquidated_long_usd_per_hour is None
    assert market.oracle_price is market.peg is market.fear_greed is market.imbalance is None
    assert market.health == market.pools == market.notices == market.depth_bands == ()


def test_a_trade_of_this_second_is_not_stretched_to_an_hour_of_them() -> None:
    market = judged_with(msgspec.structs.replace(TRADES, from_ms=T0_MS - 1_000))
    assert market.traded_usd_per_hour == pytest.approx(4e6 * 60)


def test_a_venue_that_invents_its_flow_counts_twice_the_median_at_most() -> None:
    honest = [msgspec.structs.replace(TRADES, source=v) for v in VENUES[:4]]
    liar = msgspec.structs.replace(TRADES, source="okx", buy_usd=1e12)
    fair, lied = judged_with(*honest).traded_usd_per_hour, judged_with(*honest, liar).traded_usd_per_hour
    assert fair is not None
    assert lied is not None
    assert lied < 1.8 * fair


def test_what_is_about_all_markets_reaches_each_and_only_observers_may_say_it() -> None:
    mood = msgspec.structs.replace(scalar("sentiment:fear_greed", Kind.FEAR_GREED, 20.0), market=EVERY_MARKET)
    assert judged_with(mood).fear_greed == 20.0
    venue = msgspec.structs.replace(scalar("okx", Kind.INDEX_PRICE, 1.0), market=EVERY_MARKET)
    assert refused(venue) == [("index_price", Rejection.WRONG_INSTRUMENT)]


@pytest.mark.parametrize("reading", [book("chain:1", 50.0), msgspec.structs.replace(TRADES, source="chain:1")])
def test_an_observer_has_no_book_and_no_trades(reading: AnyReading) -> None:
    assert [reason for _, reason in refused(reading)] == [Rejection.WRONG_INSTRUMENT]


def test_what_each_watcher_of_a_chain_says_is_heard_under_its_own_name() -> None:
    """Found when nothing of a lending protocol ever reached a snapshot: only "chain:" was taken for an observer."""
    chains = {
        "one": WatchedChainSettings.model_validate(
            {
                "rpc": ["http://127.0.0.1:1"],
                "chain_id": 10,
                "lending": [{"protocol": "aave_v3", "address": POOL_AT, "assets": {POOL_AT: "BTC"}}],
                "pools": [{"layout": "uniswap_v2", "market": "BTC", "address": POOL_AT, "base_token": 0}],
                "chainlink": [{"market": "BTC", "address": POOL_AT}],
                "pyth": [{"market": "BTC", "address": POOL_AT, "id": "0x" + "12" * 32}],
                "stablecoins": [{"address": POOL_AT, "markets": ["BTC"]}],
                "governance": [{"address": POOL_AT}],
                "fees": True,
            }
        )
    }
    (watch,) = watches(chains, ("BTC",), board=Board(), clock=Now(), state_dir=None)
    sources = [watch.source, *(watcher.source for watcher in watch.watchers)]
    assert len(sources) == 8
    for source in sources:
        assert judged_with(scalar(source, Kind.ORACLE_PRICE, 100.0)).oracle_price == 100.0, source
    for stranger in ("nobody", "nobody:", "nobody:x", "1"):
        assert refused(scalar(stranger, Kind.ORACLE_PRICE, 100.0)) == [("oracle_price BTC", Rejection.WRONG_INSTRUMENT)]


def test_an_observers_price_is_no_vote() -> None:
    said = [scalar(f"chain:{i}", Kind.MARK_PRICE, 50.0) for i in range(20)]
    assert judged_with(*said).price == 100.0


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (msgspec.structs.replace(TRADES, buy_usd=math.nan), Rejection.NOT_FINITE),
        (msgspec.structs.replace(TRADES, sell_usd=1e30), Rejection.OUT_OF_RANGE),
        (msgspec.structs.replace(TRADES, low=-1.0), Rejection.NOT_POSITIVE),
        (msgspec.structs.replace(TRADES, last=200.0), Rejection.OUT_OF_RANGE),
        (msgspec.structs.replace(TRADES, count=0), Rejection.EMPTY),
        (msgspec.structs.replace(TRADES, venue_time_ms=T0_MS - 901_000), Rejection.STALE),
        (msgspec.structs.replace(LIQUIDATIONS, long_usd=-1.0), Rejection.OUT_OF_RANGE),
        (msgspec.structs.replace(HEALTH, concentration=1.01), Rejection.OUT_OF_RANGE),
        (msgspec.structs.replace(HEALTH, concentration=math.nan), Rejection.OUT_OF_RANGE),
        (msgspec.structs.replace(HEALTH, edges=(1.1, 1.0)), Rejection.MALFORMED),
        (msgspec.structs.replace(HEALTH, debt_usd=(1.0,)), Rejection.MALFORMED),
        (msgspec.structs.replace(HEALTH, edges=(math.inf, math.inf)), Rejection.NOT_FINITE),
        (msgspec.structs.replace(POOL, price=0.0), Rejection.NOT_POSITIVE),
        (msgspec.structs.replace(POOL, bid_depth_usd=math.inf), Rejection.NOT_FINITE),
        (msgspec.structs.replace(NOTICE, venue_time_ms=T0_MS - 8 * 24 * HOUR_MS), Rejection.STALE),
        (msgspec.structs.replace(book("okx", 100.0), bid_depth_usd=1e30), Rejection.OUT_OF_RANGE),
        (msgspec.structs.replace(book("okx", 100.0), imbalance=math.nan), Rejection.NOT_FINITE),
        (
            msgspec.structs.replace(book("okx", 100.0), bands=(DepthBand(10, 5.0, 5.0), DepthBand(20, 4.0, 9.0))),
            Rejection.OUT_OF_RANGE,
        ),
    ],
)
def test_flows_pools_health_and_bands_are_judged_by_their_own_numbers(reading: AnyReading, reason: Rejection) -> None:
    assert [r for _, r in refused(reading)] == [reason]


def test_depth_by_distance_is_summed_where_all_who_give_it_do_each_capped() -> None:
    bands = {
        "binance": (DepthBand(10, 1e6, 2e6), DepthBand(20, 3e6, 3e6)),
        "okx": (DepthBand(10, 1e6, 1e6),),
        "kraken": (DepthBand(10, 1e12, 1e6), DepthBand(20, 1e12, 2e6)),
    }
    said = [msgspec.structs.replace(book(v, 100.0), bands=b, imbalance=0.1) for v, b in bands.items()]
    market = judged_with(*said)
    assert market.depth_bands == (DepthBand(10, 4e6, 4e6),)
    assert market.imbalance == pytest.approx(0.1)


def test_of_several_stablecoins_the_one_furthest_from_a_dollar_is_told() -> None:
    said = [
        msgspec.structs.replace(scalar("chain:1", Kind.PEG, value), instrument=name)
        for name, value in (("USDT", 0.9995), ("USDC", 0.97), ("DAI", 1.001))
    ]
    assert judged_with(*said).peg == 0.97


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Kind.LONG_SHORT_RATIO, "long_short_ratio"),
        (Kind.TOP_LONG_SHORT_RATIO, "top_long_short_ratio"),
        (Kind.TAKER_RATIO, "taker_ratio"),
        (Kind.OPTION_OPEN_INTEREST, "option_open_interest_usd"),
        (Kind.DELIVERY_PRICE, "delivery_price"),
        (Kind.REDEMPTION_VALUE, "redemption_value"),
        (Kind.BASE_FEE, "base_fee_wei"),
        (Kind.SUPPLY_CHANGE_24H, "supply_change_24h"),
        (Kind.TRANSFER_VELOCITY, "transfer_velocity"),
        (Kind.HEALTH_AT_RISK, "health_at_risk"),
        (Kind.FEAR_GREED, "fear_greed"),
        (Kind.FUNDING_POSITIONING, "funding_positioning"),
        (Kind.NEWS_TONE, "news_tone"),
    ],
)
def test_every_figure_of_its_own_has_a_place(kind: Kind, field: str) -> None:
    assert getattr(judged_with(scalar("okx", kind, 0.5)), field) == 0.5
    assert getattr(judged_with(), field) is None
