"""Rows into columns: what is missing stays missing, and a forecast stands where its MPOR ends."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from margrave.lab.demo.record import Breach, Summary
from margrave.lab.demo.series import columns

from . import sample

STEPS = 8  # rounds in one MPOR of the sample


def test_a_market_that_is_absent_from_a_round_is_not_a_number_there() -> None:
    run = columns(sample.run(first_round_with=(("ETH", 20),)))
    btc, eth = run.markets
    assert np.isfinite(btc.price).all()
    assert np.isnan(eth.price[:20]).all()
    assert np.isfinite(eth.price[20:]).all()


def test_a_total_over_markets_is_missing_where_one_of_them_is_missing() -> None:
    run = columns(sample.run(first_round_with=(("ETH", 20),)))
    assert np.isnan(run.requirement[:20]).all()
    assert run.requirement[20:] == pytest.approx(sum(m.requirement[20:] for m in run.markets))


def test_a_market_that_never_arrives_does_not_hide_the_total_of_the_others() -> None:
    run = columns(sample.run(first_round_with=(("ETH", 10_000),)))
    assert not run.markets[1].present
    assert run.requirement == pytest.approx(run.markets[0].requirement)


def test_a_forecast_of_zero_is_one_that_nobody_told(summary: Summary) -> None:
    first = summary.rounds[0]
    untold = msgspec.structs.replace(first.markets["BTC"], sigma_forecast=0.0)
    row = msgspec.structs.replace(first, markets=first.markets | {"BTC": untold})
    btc, eth = columns(sample.with_fields(summary, rounds=(row, *summary.rounds[1:]))).markets
    assert np.isnan(btc.sigma_forecast[0])
    assert np.isfinite(eth.sigma_forecast).all()


def test_the_corridor_of_a_round_is_what_the_round_one_mpor_earlier_said(summary: Summary) -> None:
    btc = columns(summary).markets[0]
    assert np.isnan(btc.corridor_low[:STEPS]).all()
    assert btc.corridor_low[STEPS:] == pytest.approx((btc.price * (1 + btc.down_es99))[:-STEPS])
    assert btc.corridor_high[STEPS:] == pytest.approx((btc.price * (1 + btc.up_es99))[:-STEPS])


def test_a_breach_is_marked_where_its_window_began_and_where_it_ended(summary: Summary) -> None:
    for market in columns(summary).markets:
        begun = {b.round - summary.rounds[0].round for b in summary.breaches if b.market == market.market}
        assert begun
        assert set(market.breach_starts) == begun
        assert set(market.breach_ends) == {start + STEPS for start in begun}


def test_every_marked_end_lies_outside_the_drawn_corridor_and_every_other_inside(summary: Summary) -> None:
    for market in columns(summary).markets:
        known = np.isfinite(market.corridor_low)
        outside = (market.price < market.corridor_low) | (market.price > market.corridor_high)
        assert set(np.flatnonzero(known & outside)) == set(market.breach_ends)


def test_a_breach_of_a_round_that_is_not_in_the_run_is_left_out(summary: Summary) -> None:
    stray = Breach(market="BTC", round=1, side="down", moved=0.2, es99=0.1)
    assert columns(sample.with_fields(summary, breaches=(stray,))).markets[0].breach_starts.size == 0


def test_the_share_of_static_is_a_ratio_of_averages(summary: Summary) -> None:
    rows = [market for row in summary.rounds for market in row.markets.values()]
    expected = sum(r.requirement_usd for r in rows) / sum(r.static_requirement_usd for r in rows)
    assert columns(summary).share_of_static == pytest.approx(expected)


def test_the_drawdown_is_the_largest_fall_from_an_earlier_high() -> None:
    path = [100.0, 110.0, 99.0, 105.0, 88.0, 120.0]
    run = columns(sample.run(rounds=6, markets=("BTC",), opening=(("BTC", path),), silent_rounds=()))
    assert run.markets[0].drawdown == pytest.approx(0.2)


def test_a_run_without_rounds_has_empty_columns(summary: Summary) -> None:
    run = columns(sample.with_fields(summary, rounds=(), realised=(), breaches=()))
    assert run.requirement.size == 0
    assert np.isnan(run.share_of_static)
    assert not any(market.present for market in run.markets)
