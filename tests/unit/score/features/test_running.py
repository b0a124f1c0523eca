"""From hour to hour as over years: the state that a node carries gives the columns that models were trained on."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Rejected
from margrave.messages import Bar
from margrave.score.features import tails, volatility
from margrave.score.features.catalogue import LEVEL_H, TAIL_NAMES, VOLATILITY_NAMES
from margrave.score.features.hours import Grid, Hour, Hours, grid_of, hours_of
from margrave.score.features.running import Running
from margrave.score.features.served import serve, serve_worlds
from margrave.score.features.volatility import Market
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.history import needs_data
from tests.unit.score.history import bars, snapshot

from .series import drawn, hour, prior, real, with_holes

AGREE = 1e-9


def compare(hours: Hours, start: int, asked: list[int], restarts: list[int]) -> None:
    """Starts a state an asset from the hours before `start`, goes on hour by hour, and is asked at some rows."""
    table = prior()
    of_volatility = volatility.inputs_of(hours, market=Market.LEADERS, prior=table)
    of_tails = tails.state_of(hours, market=Market.LEADERS, prior=table)
    places = range(len(hours.assets))
    states = {}
    for asset in places:
        before = [found for row in range(start) if (found := hour(hours, row, asset)) is not None]
        states[asset] = Running.start(hours.assets[asset], before, table)
    for row in range(start, max(asked) + 1):
        for asset in places:
            if (found := hour(hours, row, asset)) is not None:
                states[asset] = states[asset].after(found, table)
            if row in restarts:
                states[asset] = msgspec.json.decode(msgspec.json.encode(states[asset]), type=Running)
        if row in asked:
            here = [asset for asset in places if states[asset].open_ms == hours.open_ms[row]]
            served = serve([states[asset] for asset in here], table)
            at = np.array([row])
            columns, log_usual = of_volatility.served(at)
            pairs = np.full(len(here), row), np.array(here)
            anchors = [of_tails.log_anchor(*pairs, h) for h in tails.HORIZONS_H]
            agrees(served.volatility, columns[0, here], VOLATILITY_NAMES)
            agrees(served.log_usual, log_usual[0, here])
            agrees(served.tails, of_tails.inputs[row, here], TAIL_NAMES)
            agrees(served.log_anchor, np.stack(anchors, axis=-1))


def agrees(one: np.ndarray, two: np.ndarray, names: tuple[str, ...] | None = None) -> None:
    both = np.isfinite(one) == np.isfinite(two)
    near = both & ~(np.abs(one - two) > AGREE)
    assert near.all(), [(names[j] if names else j, one[i, j], two[i, j]) for i, j in np.argwhere(~near)[:5]]


@given(
    seed=st.integers(0, 2**32 - 1),
    start=st.integers(1, 800),
    holes=st.lists(st.tuples(st.integers(1, 1_500), st.integers(1, 400), st.integers(0, 2)), max_size=3),
    silent=st.lists(st.tuples(st.integers(0, 1_600), st.integers(0, 2)), max_size=3),
    restarts=st.lists(st.integers(800, 1_600), max_size=3),
)
@settings(max_examples=6)
def test_hour_by_hour_gives_the_columns_of_years_whatever_is_missing(
    seed: int,
    start: int,
    holes: list[tuple[int, int, int]],
    silent: list[tuple[int, int]],
    restarts: list[int],
) -> None:
    hours = with_holes(drawn(1_700, seed), holes, silent)
    compare(hours, start, [801, 1_000, 1_337, 1_699], restarts)


def test_the_long_level_is_there_after_sixteen_weeks_and_says_so_before() -> None:
    hours = drawn(168 * 18)
    compare(hours, 700, [2_600, 168 * 17, 168 * 18 - 1], [])
    table = prior()
    states = [Running.start(a, [hour(hours, row, k) for row in range(700)], table) for k, a in enumerate(hours.assets)]
    young = serve(states, table)
    assert young.ready == (True, True, True)
    assert "long" in young.masked(0)
    assert (young.volatility[:, VOLATILITY_NAMES.index("level_to_long")] == 0.0).all()


@pytest.mark.data
@needs_data
@pytest.mark.parametrize(("first", "last"), [("2021-05-01", "2021-09-01"), ("2022-10-10", "2023-01-20")])
def test_on_real_series_with_gaps_silent_sources_and_a_restart_both_forms_agree(first: str, last: str) -> None:
    whole = real(["BTC", "ETH", "SOL"], first, last)
    hours = with_holes(whole, [(900, 5, 2), (1_500, 30, 0), (1_700, 300, 2)], [(1_200, 1)])
    last_row = len(hours.open_ms) - 1
    compare(hours, 680, [*range(700, last_row, 211), *range(1_498, 1_535, 4), last_row], [1_000, 2_400])


def test_a_leader_whose_hour_is_late_is_masked_and_not_quoted_from_before() -> None:
    hours, table = drawn(800), prior()
    states = [
        Running.start(a, [hour(hours, row, k) for row in range(799 if a == "BTC" else 800)], table)
        for k, a in enumerate(hours.assets)
    ]
    served = serve(states, table)
    place = VOLATILITY_NAMES.index("market_24h")
    own = [VOLATILITY_NAMES.index("range_24h")]
    assert served.volatility[1, place] == served.volatility[2, own], "of ETH alone"
    assert "market" not in served.masked(1)
    alone = serve([states[1]], table)
    assert {"market", "implied"} <= set(alone.masked(0))
    assert np.isfinite(alone.volatility).all(), "what is masked is zero under its bit"


def test_worlds_that_are_served_together_are_each_served_as_alone() -> None:
    hours, table = drawn(800), prior()
    btc, eth, third = (
        [Running.start(a, [hour(hours, row, k) for row in range(end)], table) for end in (790, 800)]
        for k, a in enumerate(hours.assets)
    )
    worlds = [[btc[0], eth[1]], [], [btc[1], eth[1]], [btc[1], eth[0]], [third[1]], [btc[0], eth[0]]]
    together, alone = serve_worlds(worlds, table), [serve(world, table) for world in worlds]
    assert together.markets == tuple(market for each in alone for market in each.markets)
    for name in ("volatility", "log_usual", "tails", "log_anchor"):
        parts = np.concatenate([getattr(each, name) for each in alone])
        assert np.array_equal(getattr(together, name), parts, equal_nan=True), name


def test_a_past_of_less_than_four_whole_weeks_is_not_ready() -> None:
    hours, table = drawn(LEVEL_H + 1), prior()
    short = Running.start("BTC", [hour(hours, row, 0) for row in range(LEVEL_H)], table)
    assert serve([short], table).ready == (False,)
    assert serve([short.after(hour(hours, LEVEL_H, 0), table)], table).ready == (True,)


def test_a_series_that_never_moves_is_not_ready_and_raises_nothing() -> None:
    flat = [Hour(bar=Bar(HOUR_MS * k, 5.0, 5.0, 5.0, 5.0, 1.0)) for k in range(800)]
    table = prior()
    served = serve([Running.start("BTC", flat, table)], table)
    assert served.ready == (False,)
    assert np.isnan(served.log_anchor).all()


def test_an_exploding_series_stays_finite() -> None:
    hours, table = drawn(800), prior()
    state = Running.start("BTC", [hour(hours, row, 0) for row in range(799)], table)
    last = hour(hours, 799, 0)
    torn = msgspec.structs.replace(last.bar, high=last.bar.high * 1e6)
    served = serve([state.after(Hour(bar=torn), table)], table)
    assert np.isfinite(served.volatility).all()
    assert np.abs(served.volatility).max() <= 20.0


@pytest.mark.parametrize(
    ("bar", "reason"),
    [
        (Bar(HOUR_MS * 10, 1.0, float("nan"), 1.0, 1.0, 1.0), Rejection.NOT_FINITE),
        (Bar(HOUR_MS * 10, 1.0, 1.0, 0.0, 1.0, 1.0), Rejection.NOT_POSITIVE),
        (Bar(HOUR_MS * 10, 1.0, 1.0, 0.9, 1.1, 1.0), Rejection.OUT_OF_RANGE),
        (Bar(HOUR_MS * 9, 1.0, 1.0, 1.0, 1.0, 1.0), Rejection.MALFORMED),
        (Bar(HOUR_MS * 10 + 1, 1.0, 1.0, 1.0, 1.0, 1.0), Rejection.MALFORMED),
    ],
)
def test_a_broken_repeated_or_crooked_hour_is_refused(bar: Bar, reason: Rejection) -> None:
    good = [Hour(bar=Bar(HOUR_MS * k, 1.0, 1.1, 0.9, 1.0, 1.0)) for k in range(10)]
    state = Running.start("BTC", good, prior())
    with pytest.raises(Rejected) as refused:
        state.after(Hour(bar=bar), prior())
    assert refused.value.reason is reason


def test_hours_out_of_order_and_none_at_all_are_refused() -> None:
    one, two = (Hour(bar=Bar(HOUR_MS * k, 1.0, 1.1, 0.9, 1.0, 1.0)) for k in (1, 2))
    for wrong in ([two, one], [one, one], []):
        with pytest.raises(Rejected):
            Running.start("BTC", wrong, prior())


def test_hours_already_taken_in_change_nothing_and_the_new_ones_are_taken_once() -> None:
    hours, table = drawn(760), prior()
    every = [hour(hours, row, 0) for row in range(760)]
    state = Running.start("BTC", every[:750], table)
    assert state.through(every[:750], table) == state
    assert state.through(every, table).through(every, table) == state.through(every[750:], table)


def test_a_snapshot_is_a_series_of_hours_with_what_is_known_now_beside_the_last() -> None:
    market = snapshot(bars(300), funding_8h=2e-4, vol_index=0.6)
    hours = hours_of(market)
    assert [h.bar for h in hours] == list(market.bars)
    assert (hours[-1].vol_index, hours[-1].funding_8h) == (0.6, 2e-4)
    assert hours[-2].vol_index is None
    assert len(grid_of("BTC", hours).open_ms) == 300


def test_the_state_has_one_size_whatever_it_has_seen() -> None:
    hours, table = drawn(1_200), prior()
    sizes = {
        len(msgspec.json.encode(Running.start("BTC", [hour(hours, row, 0) for row in range(n)], table)))
        for n in (1, 300, 1_200)
    }
    assert max(sizes) - min(sizes) < 100
    assert max(sizes) < 26_000


def test_over_years_no_row_changes_with_what_comes_after_it_nor_with_the_units_of_price_and_volume() -> None:
    whole = drawn(2_000)
    past = Grid(whole.open_ms[:1_500], whole.assets, *(getattr(whole, n)[:1_500] for n in Grid.__slots__[2:]))
    scaled = replace(whole, volume=whole.volume * 1e3, **{n: getattr(whole, n) * 1e6 for n in ("open", "high", "low")})
    scaled = replace(scaled, close=whole.close * 1e6)
    rows = np.array([900, 1_499])
    for market in Market:
        columns, usual = volatility.inputs_of(whole, market=market).served(rows)
        for other in (past, scaled):
            again, usual_again = volatility.inputs_of(other, market=market).served(rows)
            np.testing.assert_allclose(again, columns, atol=AGREE)
            np.testing.assert_allclose(usual_again, usual, atol=AGREE)
        inputs = tails.state_of(whole, market=market).inputs[rows]
        for other in (past, scaled):
            np.testing.assert_allclose(tails.state_of(other, market=market).inputs[rows], inputs, atol=AGREE)


def test_a_row_has_the_bits_of_the_whole_series_wherever_it_begins_when_the_table_is_given() -> None:
    whole = drawn(1_400)
    late = Grid(whole.open_ms[168 * 2 :], whole.assets, *(getattr(whole, n)[168 * 2 :] for n in Grid.__slots__[2:]))
    ranges = volatility.range_variance(whole)
    assert np.array_equal(
        volatility.trailing_mean(ranges, LEVEL_H)[-1],
        volatility.trailing_mean(volatility.range_variance(late), LEVEL_H)[-1],
    )
