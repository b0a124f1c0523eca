"""Slow figures: what jumps by itself is masked, what moves with the market is not."""

from __future__ import annotations

import pytest

from margrave.guard.snapshot import Memory
from margrave.messages import AnyReading, Kind, MarketSnapshot, Snapshot
from margrave.verdicts import Doubt, Rejection
from tests.unit.guard.sample import PERIOD_MS, T0_MS, VENUES, books, histories, judged, refusals_of, scalar


class Market:
    def __init__(self) -> None:
        self.memory = Memory()
        self.at_ms = T0_MS

    def round(self, *said: tuple[str, Kind, float], price: float = 100.0) -> Snapshot:
        wobble = price * (1 + 1e-5 * (self.at_ms // PERIOD_MS % 2))
        readings: list[AnyReading] = [scalar(who, kind, value, self.at_ms) for who, kind, value in said]
        prices = dict.fromkeys(VENUES, wobble)
        snapshot, self.memory = judged(
            [*books(prices, self.at_ms), *histories(self.at_ms), *readings], self.at_ms, self.memory
        )
        self.at_ms += PERIOD_MS
        return snapshot


def only(snapshot: Snapshot) -> MarketSnapshot:
    (market,) = snapshot.markets
    return market


@pytest.mark.parametrize(
    ("who", "kind", "fair", "lie", "field"),
    [
        ("deribit", Kind.VOL_INDEX, 0.5, 0.9, "vol_index"),
        ("deribit", Kind.VOL_INDEX, 0.5, 0.2, "vol_index"),
        ("chain:1", Kind.COLLATERAL_RATIO, 1.8, 3.6, "collateral_ratio"),
        ("chain:1", Kind.COLLATERAL_RATIO, 1.8, 1.0, "collateral_ratio"),
        ("okx", Kind.FUNDING_8H, 0.0001, 0.02, "funding_8h"),
    ],
)
def test_a_lone_figure_that_jumps_is_masked_refused_and_told(
    who: str, kind: Kind, fair: float, lie: float, field: str
) -> None:
    market = Market()
    assert getattr(only(market.round((who, kind, fair))), field) == fair
    snapshot = market.round((who, kind, lie))
    assert getattr(only(snapshot), field) is None
    assert [d.reason for d in only(snapshot).doubts] == [Doubt.MASKED_LEVEL]
    assert [(r.what, r.reason) for r in refusals_of(snapshot, who)] == [(kind.value, Rejection.BREAKER)]
    assert getattr(only(market.round((who, kind, fair))), field) == pytest.approx(fair)


def test_a_figure_that_moves_with_the_price_is_believed() -> None:
    market = Market()
    market.round(("deribit", Kind.VOL_INDEX, 0.5))
    assert only(market.round(("deribit", Kind.VOL_INDEX, 0.75), price=85.0)).vol_index == 0.75


def test_a_second_source_that_made_half_of_it_confirms() -> None:
    market = Market()
    market.round(("deribit", Kind.VOL_INDEX, 0.5), ("okx", Kind.VOL_INDEX, 0.5))
    assert only(market.round(("deribit", Kind.VOL_INDEX, 0.8), ("okx", Kind.VOL_INDEX, 0.7))).vol_index == 0.75


def test_one_of_many_fundings_is_refused_without_a_doubt_about_the_price() -> None:
    fair = [(v, Kind.FUNDING_8H, 1e-4) for v in VENUES]
    market = Market()
    market.round(*fair)
    snapshot = market.round((VENUES[0], Kind.FUNDING_8H, 0.02), *fair[1:])
    assert only(snapshot).funding_8h == pytest.approx(1e-4)
    assert only(snapshot).doubts == ()
    assert [r.reason for r in refusals_of(snapshot, VENUES[0])] == [Rejection.BREAKER]


def test_a_masked_figure_is_believed_again_once_it_has_stood_for_six_hours() -> None:
    market = Market()
    market.round(("deribit", Kind.VOL_INDEX, 0.5))
    seen = [only(market.round(("deribit", Kind.VOL_INDEX, 0.9))).vol_index for _ in range(73)]
    assert seen[:71] == [None] * 71
    assert seen[-1] == 0.9


def test_a_figure_cannot_be_walked_away_faster_than_its_average_follows() -> None:
    market, told = Market(), 0.5
    for _ in range(24):  # two hours, a tenth more each round: ten times as high at the end
        market.round(("deribit", Kind.VOL_INDEX, told))
        told *= 1.1
    highest = max(level.value for level in market.memory.markets[0].levels)
    assert highest < 0.5 * 1.4
    assert only(market.round(("deribit", Kind.VOL_INDEX, told))).vol_index is None


def test_open_interest_of_a_source_that_is_not_believed_counts_as_it_stood() -> None:
    market = Market()
    fair = only(market.round(("okx", Kind.OPEN_INTEREST, 2e9), ("kraken", Kind.OPEN_INTEREST, 1.9e9)))
    lied = only(market.round(("okx", Kind.OPEN_INTEREST, 2e11), ("kraken", Kind.OPEN_INTEREST, 1.9e9)))
    assert lied.open_interest_usd == fair.open_interest_usd
    assert [d.reason for d in lied.doubts] == [Doubt.MASKED_LEVEL]


def test_open_interest_does_not_shrink_when_a_source_falls_silent_and_is_unknown_after_two_hours() -> None:
    market = Market()
    said = ("okx", Kind.OPEN_INTEREST, 2e9), ("kraken", Kind.OPEN_INTEREST, 1.9e9)
    fair = only(market.round(*said)).open_interest_usd
    silent = [only(market.round(said[1])).open_interest_usd for _ in range(73)]
    assert silent[:23] == [pytest.approx(fair)] * 23
    assert silent[23:71] == [None] * 48
    assert silent[-1] == pytest.approx(1.9e9)


def test_a_small_source_of_a_sum_may_double() -> None:
    market = Market()
    market.round(("okx", Kind.OPEN_INTEREST, 2e9), ("kraken", Kind.OPEN_INTEREST, 1e7))
    snapshot = market.round(("okx", Kind.OPEN_INTEREST, 2e9), ("kraken", Kind.OPEN_INTEREST, 2e7))
    assert only(snapshot).doubts == ()
    assert refusals_of(snapshot, "kraken") == []


def test_nothing_but_numbers_is_remembered_of_a_figure_that_fell_to_zero() -> None:
    market = Market()
    market.round(("okx", Kind.OPEN_INTEREST, 2e9))
    snapshot = market.round(("okx", Kind.OPEN_INTEREST, 0.0))
    assert only(snapshot).open_interest_usd == pytest.approx(2e9)
    assert [r.reason for r in refusals_of(snapshot, "okx")] == [Rejection.BREAKER]


def test_a_book_without_positions_is_no_level_that_the_first_ones_could_jump_from() -> None:
    market = Market()
    for _ in range(24):
        assert only(market.round(("chain:1", Kind.COLLATERAL_RATIO, 1_000.0))).collateral_ratio == 1_000.0
    first = only(market.round(("chain:1", Kind.COLLATERAL_RATIO, 2.1)))
    assert (first.collateral_ratio, first.doubts) == (2.1, ())
    then = only(market.round(("chain:1", Kind.COLLATERAL_RATIO, 2.0)))
    assert (then.collateral_ratio, then.doubts) == (2.0, ())


def test_a_book_that_is_suddenly_covered_without_limit_is_not_believed() -> None:
    market = Market()
    market.round(("chain:1", Kind.COLLATERAL_RATIO, 1.8))
    lied = only(market.round(("chain:1", Kind.COLLATERAL_RATIO, 1_000.0)))
    assert lied.collateral_ratio is None
    assert [d.reason for d in lied.doubts] == [Doubt.MASKED_LEVEL]
    seen = [only(market.round(("chain:1", Kind.COLLATERAL_RATIO, 1_000.0))) for _ in range(73)]
    assert seen[-1].collateral_ratio == 1_000.0
    assert market.memory.markets[0].levels == ()
