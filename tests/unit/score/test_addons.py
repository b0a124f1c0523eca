"""The add-ons: monotone in what they measure, safe where they cannot see, never out of their lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.messages import Ladder, MarketSnapshot
from margrave.score import addons
from margrave.score.cascade import Cascade
from tests.unit.score.chains import data_dir
from tests.unit.score.sample import CALM, MPOR_S, bars, market, scaled

factors = st.floats(0.1, 8.0)
sizes = st.floats(1.0, 1e10)
shares = st.floats(0.0, 0.05)
RUNGS = ("q975", "q995", "es99", "q9995", "es999")


# --- volatility -----------------------------------------------------------------------------------------------------


def test_the_volatility_shock_at_a_calm_tail_is_worked_by_hand() -> None:
    shock = addons.vol_shock(CALM, 14_400)
    assert shock.up == pytest.approx(np.exp(0.04 + 1.2 * 0.034) - 1)
    assert shock.down == pytest.approx(1 - np.exp(-0.04 - 0.9 * 0.034))


@given(factors, factors)
def test_a_wider_tail_never_shocks_volatility_less(a: float, b: float) -> None:
    low, high = (addons.vol_shock(scaled(CALM, f), MPOR_S) for f in sorted((a, b)))
    assert low.up <= high.up
    assert low.down <= high.down < 1


def test_the_worse_side_of_the_index_counts_whichever_it_is() -> None:
    down = addons.vol_shock(scaled(CALM, 2), MPOR_S)
    swapped = scaled(CALM, 2)
    swapped = type(swapped)(
        **{f"down_{rung}": getattr(swapped, f"up_{rung}") for rung in RUNGS},
        **{f"up_{rung}": getattr(swapped, f"down_{rung}") for rung in RUNGS},
    )
    assert addons.vol_shock(swapped, MPOR_S) == down


@pytest.mark.data
def test_four_hour_moves_of_recorded_volatility_exceed_the_shock_less_than_once_in_a_hundred() -> None:
    """DVOL and the index hourly, 2021-2024, with a plain tail in the model's place: 2.6 times realised volatility."""
    import pandas as pd

    dvol = pd.read_parquet(data_dir() / "dvol_btc_1h_2021_2025").set_index("ts").close
    index = pd.read_parquet(data_dir() / "ohlcv_binance_perp_1h").set_index("ts").close
    both = pd.concat({"dvol": dvol, "index": index}, axis=1, join="inner")
    move = np.log(both.dvol.shift(-4) / both.dvol)
    sigma = np.log(both["index"]).diff().pow(2).ewm(halflife=24).mean().pow(0.5) * 2
    known = move.notna() & sigma.notna()
    es99 = 2.6 * sigma[known].to_numpy()
    up = addons.VOL_NOISE_UP + addons.VOL_BETA_UP * es99
    down = addons.VOL_NOISE_DOWN + addons.VOL_BETA_DOWN * es99
    assert known.sum() > 25_000
    assert float((move[known].to_numpy() > up).mean()) < 0.01
    assert float((move[known].to_numpy() < -down).mean()) < 0.01


# --- liquidity ------------------------------------------------------------------------------------------------------


def test_liquidity_of_a_quarter_and_of_four_books_is_worked_by_hand() -> None:
    assert addons.liquidity(1e6, 1e-4, 4e6) == pytest.approx(-np.expm1(-(1e-4 + 0.005 * 0.5)))
    assert addons.liquidity(4e6, 1e-4, 1e6) == pytest.approx(-np.expm1(-(1e-4 + 0.005 * 4)))


@given(sizes, shares, sizes, sizes)
def test_a_thinner_book_never_costs_less(size: float, spread: float, a: float, b: float) -> None:
    thin, deep = sorted((a, b))
    assert 0 <= addons.liquidity(size, spread, deep) <= addons.liquidity(size, spread, thin) <= 1


@given(shares, shares, sizes)
def test_a_wider_spread_never_costs_less(a: float, b: float, depth: float) -> None:
    tight, wide = sorted((a, b))
    assert addons.liquidity(1e6, tight, depth) <= addons.liquidity(1e6, wide, depth)


def test_a_book_nobody_shows_costs_more_than_a_usual_one() -> None:
    assert addons.liquidity(1e6, None, None) > addons.liquidity(1e6, 1e-3, 1e6)


# --- cascade --------------------------------------------------------------------------------------------------------


def test_the_tail_probability_meets_the_ladder_at_its_rungs() -> None:
    rungs = (0.02, 0.035, 0.07)
    assert addons.tail_probability(0.0, rungs) == pytest.approx(0.5)
    for rung, probability in zip(rungs, (0.025, 0.005, 0.0005), strict=True):
        assert addons.tail_probability(rung, rungs) == pytest.approx(probability)


def test_beyond_the_ladder_the_last_tail_index_goes_on() -> None:
    # from 0.5 % at 3.5 to 0.05 % at 7: tenfold for twice the move, so tenfold again at 14
    assert addons.tail_probability(0.14, (0.02, 0.035, 0.07)) == pytest.approx(0.00005)


@given(st.floats(0, 3), st.floats(0, 3), st.lists(st.floats(1e-5, 1), min_size=3, max_size=3).map(sorted))
def test_a_larger_move_is_never_likelier(a: float, b: float, rungs: list[float]) -> None:
    near, far = sorted((a, b))
    assert 0 < addons.tail_probability(far, rungs) <= addons.tail_probability(near, rungs) <= 0.5


def cascade(
    factor: float = 1, ratio: float | None = 2.0, interest: float | None = 1e10, depth: float | None = 1e8
) -> Cascade:
    return addons.cascade(scaled(CALM, factor), MPOR_S, ratio, interest, depth)


@given(st.floats(0, 10), st.floats(0, 10))
def test_more_leverage_never_makes_a_cascade_less_likely(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert cascade(ratio=high).probability <= cascade(ratio=low).probability <= 1


@given(factors, factors)
def test_a_wider_tail_never_makes_a_cascade_smaller_or_less_likely(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert cascade(low).size <= cascade(high).size < 1
    assert cascade(low).probability <= cascade(high).probability
    assert cascade(low).probability_1h <= cascade(high).probability_1h


@given(st.sampled_from(["down_q975", "down_q995", "down_q9995", "up_q975", "up_q995", "up_q9995"]), st.floats(1, 1.5))
def test_each_rung_by_itself_can_only_make_a_cascade_likelier(rung: str, factor: float) -> None:
    wider = msgspec.structs.replace(CALM, **{rung: getattr(CALM, rung) * factor})
    before = addons.cascade(CALM, MPOR_S, 2.0, 1e10, 1e8).probability
    assert addons.cascade(wider, MPOR_S, 2.0, 1e10, 1e8).probability >= before


def test_a_cascade_at_double_collateral_is_worked_by_hand() -> None:
    found = cascade(ratio=2.0)
    assert found.buffer == pytest.approx(0.075)
    move = 0.075 / 6**0.5  # four hours' worth of a day's move
    down = addons.tail_probability(move, (0.017, 0.029, 0.055))
    up = addons.tail_probability(move, (0.016, 0.027, 0.051))
    assert found.probability == pytest.approx(down + up)
    assert found.size == pytest.approx(-np.expm1(-0.01 * (1.5 * 0.034 * 6**0.5 * 100) ** 0.5))
    hour = 0.075 / 0.25**0.5
    late = (0.017, 0.029, 0.055), (0.016, 0.027, 0.051)
    assert found.probability_1h == pytest.approx(sum(addons.tail_probability(hour, rungs) for rungs in late))


@given(st.floats(0, 10), factors)
def test_a_cascade_within_the_hour_is_never_likelier_than_within_the_day(ratio: float, factor: float) -> None:
    found = cascade(factor, ratio)
    assert 0 < found.probability_1h <= found.probability


@given(sizes, sizes)
def test_a_thinner_book_or_more_open_interest_never_makes_a_cascade_smaller(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert cascade(depth=high).size <= cascade(depth=low).size
    assert cascade(interest=low).size <= cascade(interest=high).size


def test_collateral_at_maintenance_is_a_cascade_already_under_way() -> None:
    assert cascade(ratio=1.0).probability == 1.0
    assert cascade(ratio=0.5).probability == 1.0


def test_what_is_not_known_is_taken_for_worse_than_usual() -> None:
    assert cascade(ratio=None).probability > cascade(ratio=2.0).probability
    assert cascade(interest=None).size == cascade(depth=None).size == cascade(interest=1e10, depth=1e8).size
    assert cascade(ratio=None, depth=None).masked == ("collateral_ratio", "depth_usd")
    assert cascade().masked == ()


# --- contagion ------------------------------------------------------------------------------------------------------


def walk(seed: int, count: int = 240) -> list[float]:
    return list(70_000 * np.exp(np.cumsum(np.random.default_rng(seed).standard_t(4, count) * 0.004)))


def charges(markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder]) -> dict[str, float]:
    return {name: found.addon for name, found in addons.contagion(markets, ladders).items()}


def test_markets_that_fall_together_are_charged_for_each_other() -> None:
    one, other = market("BTC", bars=bars(walk(1))), market("ETH", bars=bars(walk(1)))
    charged = charges([one, other], {"BTC": CALM, "ETH": scaled(CALM, 2)})
    assert charged == {"BTC": pytest.approx(0.1 * 0.068), "ETH": pytest.approx(0.1 * 0.034)}


def test_markets_that_go_their_own_ways_are_charged_little() -> None:
    one, other = market("BTC", bars=bars(walk(1))), market("ETH", bars=bars(walk(2)))
    charged = charges([one, other], {"BTC": CALM, "ETH": CALM})
    assert max(charged.values()) < 0.4 * 0.1 * 0.034


def test_a_market_alone_is_charged_as_if_it_had_a_twin() -> None:
    assert charges([market()], {"BTC": CALM}) == {"BTC": pytest.approx(0.0034)}


def test_too_little_common_history_counts_as_moving_together() -> None:
    one, other = market("BTC", bars=bars(walk(1))), market("ETH", bars=bars(walk(2))[-20:])
    assert charges([one, other], {"BTC": CALM, "ETH": CALM})["BTC"] == pytest.approx(0.0034)


def test_a_market_without_a_forecast_takes_no_part() -> None:
    one, other = market("BTC", bars=bars(walk(1))), market("ETH", bars=bars(walk(1)))
    assert charges([one, other], {"BTC": CALM}) == {"BTC": pytest.approx(0.0034)}
    assert charges([], {}) == {}


@given(st.lists(st.integers(0, 5), min_size=2, max_size=5), factors)
def test_contagion_never_exceeds_its_share_of_the_worst_other_tail(seeds: list[int], factor: float) -> None:
    markets = [market(f"M{i}", bars=bars(walk(seed)), quotes=()) for i, seed in enumerate(seeds)]
    ladders = {m.market: scaled(CALM, factor) for m in markets}
    charged = charges(markets, ladders)
    assert all(0 <= c <= 0.1 * factor * 0.034 + 1e-12 for c in charged.values())


def test_the_masked_inputs_are_named() -> None:
    assert addons.masked(market()) == ()
    assert addons.masked(market(depth_usd=None, collateral_ratio=None)) == ("depth_usd", "collateral_ratio")


def test_remembered_tail_dependences_are_of_these_very_bars_and_of_no_others() -> None:
    together = [bars([100.0 + (i * 7 + shift) % 13 for i in range(200)]) for shift in (0, 0, 5)]
    pairs = [
        addons.tail_dependences([market("BTC", bars=together[0]), market("ETH", bars=other)])
        for other in (together[1], together[2], together[1])
    ]
    assert pairs[0] is not None
    assert pairs[1] is not None
    assert pairs[0] is pairs[2]
    assert pairs[0][0][0, 1] == 1.0 > pairs[1][0][0, 1]
