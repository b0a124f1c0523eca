"""The guard's one call: what it vouches for, what it holds, what it remembers."""

from __future__ import annotations

import msgspec
import pytest

from margrave.guard.snapshot import Memory, take
from margrave.messages import Kind, MarketHold, OptionQuote
from margrave.verdicts import HoldReason, Rejection
from tests.unit.guard.sample import (
    MARKETS,
    PERIOD_MS,
    POLICY,
    T0_MS,
    VENUES,
    book,
    books,
    chain,
    flat_bars,
    histories,
    history,
    judged,
    refusals_of,
    scalar,
)

PRICES = dict(zip(VENUES, (70_000, 70_005, 70_010, 69_990, 69_995, 70_002, 69_998), strict=True))
QUOTE = OptionQuote(T0_MS + 7 * 86_400_000, 70_000.0, True, 70_100.0, 0.02, 0.022, 0.6, 1.0)


def test_seven_sound_venues_make_a_snapshot() -> None:
    snapshot, memory = judged([*books(PRICES), *histories()])
    (market,) = snapshot.markets
    assert market.price == 70_000
    assert [s.source for s in market.sources] == list(VENUES)
    assert sum(s.weight for s in market.sources) == pytest.approx(1)
    assert market.half_spread == pytest.approx(1e-4)
    assert market.depth_usd == pytest.approx(7 * 5e6)
    assert market.bars == flat_bars(240)
    assert snapshot.refusals == ()
    assert snapshot.holds == ()
    assert {v.source: v.accepted_price for v in memory.venues} == PRICES


def test_what_nobody_said_is_none() -> None:
    (market,) = judged([*books(PRICES), *histories()])[0].markets
    optional = (
        market.perp_basis,
        market.funding_8h,
        market.open_interest_usd,
        market.vol_index,
        market.collateral_ratio,
        market.chain_age_s,
    )
    assert optional == (None,) * 6
    assert market.quotes == ()


def test_optional_inputs_are_medians_over_those_who_said_them() -> None:
    readings = [
        *books(PRICES),
        *histories(),
        scalar("binance", Kind.MARK_PRICE, 70_070),
        scalar("okx", Kind.MARK_PRICE, 70_140),
        book("kraken", 70_210, perpetual=True),
        scalar("binance", Kind.FUNDING_8H, 1e-4),
        scalar("okx", Kind.FUNDING_8H, 3e-4),
        scalar("binance", Kind.OPEN_INTEREST, 8e9),
        scalar("okx", Kind.OPEN_INTEREST, 4e9),
        scalar("deribit", Kind.VOL_INDEX, 0.62),
        scalar("chain:1", Kind.COLLATERAL_RATIO, 1.8),
        chain([QUOTE]),
    ]
    (market,) = judged(readings)[0].markets
    assert market.perp_basis == pytest.approx(0.002)
    assert market.funding_8h == pytest.approx(2e-4)
    assert market.open_interest_usd == pytest.approx(12e9)
    assert market.vol_index == 0.62
    assert market.collateral_ratio == 1.8
    assert market.quotes == (QUOTE,)
    assert market.chain_age_s == 1.0


def test_a_venue_is_one_source_by_spot_then_index_then_perpetual_then_mark() -> None:
    readings = [
        book("okx", 70_000),
        book("okx", 71_000, perpetual=True),
        scalar("okx", Kind.INDEX_PRICE, 72_000),
        scalar("deribit", Kind.INDEX_PRICE, 70_001),
        book("deribit", 71_000, perpetual=True),
        book("kraken", 70_002, perpetual=True),
        scalar("kraken", Kind.MARK_PRICE, 75_000),
        scalar("gemini", Kind.MARK_PRICE, 70_003),
        *histories(),
    ]
    (market,) = judged(readings)[0].markets
    assert {s.source: round(s.price) for s in market.sources} == {
        "okx": 70_000,
        "deribit": 70_001,
        "kraken": 70_002,
        "gemini": 70_003,
    }


def test_a_chain_has_no_vote_on_the_price() -> None:
    readings = [*books(dict(list(PRICES.items())[:2])), scalar("chain:1", Kind.INDEX_PRICE, 70_000), *histories()]
    assert judged(readings)[0].holds[0].reason is HoldReason.TOO_FEW_SOURCES


def test_two_venues_are_too_few_and_the_hold_says_so() -> None:
    snapshot, _ = judged([*books({"okx": 70_000, "kraken": 70_000}), *histories()])
    assert snapshot.markets == ()
    assert snapshot.holds == (
        MarketHold(market="BTC", reason=HoldReason.TOO_FEW_SOURCES, detail="2 of 3 venues needed agree"),
    )


def test_no_readings_at_all_is_a_hold() -> None:
    assert judged([])[0].holds[0].reason is HoldReason.TOO_FEW_SOURCES


def test_little_history_is_a_hold_with_the_count() -> None:
    snapshot, _ = judged([*books(PRICES), *histories(count=150)])
    (hold,) = snapshot.holds
    assert hold.reason is HoldReason.TOO_LITTLE_HISTORY
    assert hold.detail == "150 closed hourly bars that enough venues share, 200 needed"


def test_spot_history_stands_before_the_perpetuals() -> None:
    spot = [history(v, flat_bars(240)) for v in VENUES]
    perpetual = [history(v, flat_bars(240, price=80_000), perpetual=True) for v in VENUES]
    for readings in ([*spot, *perpetual], [*perpetual, *spot]):
        assert judged([*books(PRICES), *readings])[0].markets[0].bars == flat_bars(240)
    assert judged([*books(PRICES), *perpetual])[0].markets[0].bars == flat_bars(240, price=80_000)


def test_unlisted_sources_and_markets_have_no_say() -> None:
    strangers = [book("evil", 1.0), book("okx", 1.0, market="DOGE")]
    snapshot, _ = judged([*books(PRICES), *histories(), *strangers])
    assert snapshot.markets[0].price == 70_000
    assert [(r.source, r.market, r.reason) for r in snapshot.refusals] == [
        ("evil", "BTC", Rejection.WRONG_INSTRUMENT),
        ("okx", "DOGE", Rejection.WRONG_INSTRUMENT),
    ]


def test_the_newest_reading_of_a_slot_stands() -> None:
    older = book("okx", 60_000, T0_MS - 30_000)
    for pair in ([older, book("okx", 70_000)], [book("okx", 70_000), older]):
        (market,) = judged([*books(PRICES), *pair, *histories()])[0].markets
        assert {s.source: round(s.price) for s in market.sources}["okx"] == 70_000


def test_junk_quotes_leave_one_refusal_with_their_counts() -> None:
    junk = [msgspec.structs.replace(QUOTE, strike=float(70_000 + i), forward=float("nan")) for i in range(1, 4)]
    crossed = msgspec.structs.replace(QUOTE, strike=90_000.0, bid=0.5)
    snapshot, _ = judged([*books(PRICES), *histories(), chain([QUOTE, crossed, *junk])])
    assert snapshot.markets[0].quotes == (QUOTE,)
    (refusal,) = snapshot.refusals
    assert (refusal.source, refusal.what, refusal.reason) == ("deribit", "quotes", Rejection.NOT_FINITE)
    assert refusal.detail == "dropped 3 not_finite, 1 crossed_book"


def test_a_chain_of_nothing_but_junk_counts_as_none() -> None:
    junk = msgspec.structs.replace(QUOTE, forward=1.0)
    (market,) = judged([*books(PRICES), *histories(), chain([junk])])[0].markets
    assert market.quotes == ()
    assert market.chain_age_s is None


def test_a_venue_that_goes_silent_is_remembered_as_it_was() -> None:
    _, memory = judged([*books(PRICES), *histories()])
    later = T0_MS + PERIOD_MS
    without = {v: p for v, p in PRICES.items() if v != "okx"}
    _, again = judged([*books(without, later), *histories(later)], later, memory)
    assert {v.source: v for v in again.venues}["okx"] == {v.source: v for v in memory.venues}["okx"]


def test_a_refused_jump_does_not_move_what_was_accepted() -> None:
    _, memory = judged([*books(PRICES), *histories()])
    later = T0_MS + PERIOD_MS
    snapshot, again = judged([*books({**PRICES, "okx": 90_000}, later), *histories(later)], later, memory)
    assert [r.reason for r in refusals_of(snapshot, "okx")] == [Rejection.BREAKER]
    kept = {v.source: v for v in again.venues}["okx"]
    assert (kept.accepted_price, kept.accepted_ms, kept.value) == (PRICES["okx"], T0_MS, pytest.approx(90_000))


def test_a_market_no_longer_watched_is_forgotten() -> None:
    _, memory = judged([*books(PRICES), *histories()])
    _, again = take(0, T0_MS, [], {}, POLICY, memory)
    assert again == Memory()


def test_the_memory_survives_the_journal() -> None:
    _, memory = judged([*books(PRICES), *histories()])
    assert msgspec.json.decode(msgspec.json.encode(memory), type=Memory) == memory


def test_each_market_stands_alone() -> None:
    markets = {**MARKETS, "ETH": MARKETS["BTC"].model_copy(update={"id": 1})}
    snapshot, _ = take(0, T0_MS, [*books(PRICES), *histories()], markets, POLICY, Memory())
    assert [m.market for m in snapshot.markets] == ["BTC"]
    assert [h.market for h in snapshot.holds] == ["ETH"]
