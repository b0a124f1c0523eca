"""Black's Greeks: what others say of the same options, what differences of prices say, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Rejected
from margrave.lab.bench.greeks import MOST_APART, Work, scaled
from margrave.lab.court.chains import parsed
from margrave.score.greeks import Greeks, Options, plain, sides
from margrave.verdicts import Rejection
from tests.unit.score.chains import data_dir
from tests.unit.score.greeks.make_golden import GOLDEN


@pytest.mark.parametrize("who", ["QuantLib", "vollib"])
def test_they_are_what_others_compute(who: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    work = Work(
        Options(golden["forward"], golden["strike"], golden["years"], np.array(golden["is_call"])),
        np.array(golden["vol"]),
    )
    theirs = {name: np.array(values) for name, values in golden["said"][who].items()}
    found = plain(work.options, work.vol)
    ours = scaled(work, {name: getattr(found, name) for name in theirs})
    for name, values in scaled(work, theirs).items():
        np.testing.assert_allclose(ours[name], values, atol=MOST_APART, rtol=0, err_msg=name)


@pytest.mark.data
def test_a_venues_own_deltas_and_vegas_are_ours() -> None:
    """A recorded chain whose tickers were asked one after another: what each says is a few seconds from its own mark,
    so half of all lie within rounding and not every one."""
    import pyarrow.parquet as pq

    file = data_dir() / "deribit_chain_single_snapshots" / "BTC_20241105-125901.parquet"
    table = pq.read_table(file)
    named = [parsed(name) for name in table["instrument_name"].to_pylist()]
    strike, is_call = np.array([x[2] for x in named]), np.array([x[3] for x in named])
    now_ms, forward, mark_iv, delta, vega = (
        np.array(table[name].to_pylist(), dtype=np.float64)
        for name in ("timestamp", "underlying_price", "mark_iv", "greeks.delta", "greeks.vega")
    )
    years = (np.array([x[1] for x in named]) - now_ms) / 86_400_000 / 365
    asked = (years > 2 / 365) & (mark_iv > 0) & (np.abs(delta) > 0.01) & (np.abs(delta) < 0.99)
    found = plain(Options(forward[asked], strike[asked], years[asked], is_call[asked]), mark_iv[asked] / 100)
    assert asked.sum() > 500
    assert np.median(np.abs(found.delta - delta[asked])) < 2e-4
    assert np.median(np.abs(found.vega / 100 / vega[asked] - 1)) < 5e-3


def one(forward: float, strike: float, years: float, vol: float, is_call: bool) -> Greeks:
    return plain(Options(forward, strike, years, is_call), np.array([vol]))


@settings(max_examples=150, deadline=None)
@given(
    st.floats(-2.5, 2.5),
    st.floats(1.0, 400.0),
    st.floats(0.1, 2.0),
    st.floats(0.01, 100_000.0),
    st.booleans(),
)
def test_they_are_the_slopes_of_the_price(moves: float, days: float, vol: float, forward: float, is_call: bool) -> None:
    years = days / 365
    strike = forward * np.exp(moves * vol * np.sqrt(years))
    here = one(forward, strike, years, vol, is_call)

    def slope(of: Callable[[float], Greeks], name: str, step: float) -> float:
        return float((getattr(of(step), name) - getattr(of(-step), name))[0] / (2 * step))

    def moved(step: float) -> Greeks:
        return one(forward + step, strike, years, vol, is_call)

    def lifted(step: float) -> Greeks:
        return one(forward, strike, years, vol + step, is_call)

    def later(step: float) -> Greeks:
        return one(forward, strike, years - step, vol, is_call)

    small, wiggle, moment = forward * vol * np.sqrt(years) * 1e-4, vol * 1e-4, years * 1e-4
    dollars = forward * np.sqrt(years)
    assert here.delta[0] == pytest.approx(slope(moved, "price", small), abs=1e-6)
    assert here.gamma[0] * forward == pytest.approx(slope(moved, "delta", small) * forward, abs=1e-5, rel=1e-5)
    assert here.vega[0] == pytest.approx(slope(lifted, "price", wiggle), abs=1e-6 * dollars)
    assert here.vanna[0] == pytest.approx(slope(lifted, "delta", wiggle), abs=1e-5)
    assert here.volga[0] == pytest.approx(slope(lifted, "vega", wiggle), abs=1e-5 * dollars, rel=1e-5)
    assert here.theta[0] == pytest.approx(slope(later, "price", moment), abs=1e-5 * forward, rel=1e-5)


def test_calls_and_puts_differ_by_the_forward_alone() -> None:
    strikes, years = np.array([50.0, 90.0, 100.0, 130.0]), np.array([0.01, 0.1, 0.3, 1.0])
    vol = np.array([0.9, 0.6, 0.5, 0.7])
    call, put = (plain(Options(100.0, strikes, years, side), vol) for side in (True, False))
    np.testing.assert_allclose(call.price - put.price, 100.0 - strikes, atol=1e-12)
    np.testing.assert_allclose(call.delta - put.delta, 1.0, atol=1e-15)
    for name in ("gamma", "vega", "vanna", "volga", "theta"):
        np.testing.assert_array_equal(getattr(call, name), getattr(put, name))


@pytest.mark.parametrize(
    ("row", "reason", "said"),
    [
        ((float("nan"), 100.0, 0.1), Rejection.NOT_FINITE, "row 1: forward is nan"),
        ((-1.0, 100.0, 0.1), Rejection.NOT_POSITIVE, "row 1: forward is -1"),
        ((100.0, 0.0, 0.1), Rejection.NOT_POSITIVE, "row 1: strike is 0"),
        ((100.0, float("inf"), 0.1), Rejection.NOT_FINITE, "row 1: strike is inf"),
        ((100.0, 100.0, 0.0), Rejection.NOT_POSITIVE, "row 1: time to expiry is 0"),
        ((100.0, 100.0, -0.2), Rejection.NOT_POSITIVE, "row 1: time to expiry is -0.2"),
    ],
)
def test_what_is_no_option_is_refused_with_its_row(
    row: tuple[float, float, float], reason: Rejection, said: str
) -> None:
    columns = [np.array([good, bad]) for good, bad in zip((100.0, 100.0, 0.1), row, strict=True)]
    with pytest.raises(Rejected, match=said) as refused:
        Options(*columns, True)
    assert refused.value.reason is reason


@pytest.mark.parametrize("vol", [0.0, -0.3, float("nan"), float("inf")])
def test_a_volatility_that_is_none_is_refused_with_its_row(vol: float) -> None:
    with pytest.raises(Rejected, match="row 1: volatility is"):
        plain(Options([100.0, 100.0], 100.0, 0.1, True), np.array([0.5, vol]))


def test_an_unknown_side_and_columns_that_do_not_fit_are_refused() -> None:
    assert sides(["C", "put", "Call", "p"]).tolist() == [True, False, True, False]
    with pytest.raises(Rejected, match="row 1: 'straddle' is neither call nor put"):
        sides(["C", "straddle"])
    with pytest.raises(Rejected, match="neither call nor put"):
        Options(100.0, 100.0, 0.1, "C")
    with pytest.raises(Rejected, match="do not fit"):
        Options([100.0, 100.0], [90.0, 95.0, 100.0], 0.1, True)


@pytest.mark.parametrize(("years", "vol"), [(1e-12, 0.5), (0.1, 1e-200), (1e-300, 1e-5), (30.0, 50.0)])
def test_an_option_of_next_to_no_life_is_worth_what_it_is_in_the_money_and_nothing_is_nan(
    years: float, vol: float
) -> None:
    strikes = np.array([1e-6, 80.0, 99.0, 101.0, 150.0, 1e12])
    for is_call in (True, False):
        found = plain(Options(100.0, strikes, years, is_call), np.full(6, vol))
        for name in ("price", "delta", "gamma", "vega", "vanna", "volga", "theta"):
            assert np.isfinite(getattr(found, name)).all(), name
        if years < 1:
            inside = np.maximum(100.0 - strikes if is_call else strikes - 100.0, 0)
            np.testing.assert_allclose(found.price, inside, atol=1e-9)


def test_a_chain_without_options_has_no_greeks() -> None:
    nothing = plain(Options(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype=np.bool_)), np.empty(0))
    assert nothing.delta.shape == (0,)
