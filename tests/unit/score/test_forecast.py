from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from margrave.errors import Fatal
from margrave.lanes import ASCENDING
from margrave.messages import Ladder, MarketHold, MarketSnapshot
from margrave.score import features
from margrave.score.forecast import BASELINE_FLOOR, RUNGS, Forecast, Forecaster, _provisional
from margrave.score.registry import Model, open_model
from margrave.settings import PROJECT_ROOT
from margrave.verdicts import HoldReason
from tests.unit.score.history import bars, snapshot

REGISTRY = PROJECT_ROOT / "models" / "registry"
MAIN = open_model(REGISTRY, "tail_net/1")
BASELINE = open_model(REGISTRY, "gjr_garch_t/1")
FORECASTER = Forecaster(MAIN, BASELINE)
CHAINS = [chain for chain in ASCENDING if chain[0] in RUNGS]

TYPICAL = [0.02, 0.03, 0.035, 0.05, 0.06] * 2


class Saying:
    """A session that says the same about every market, whatever it is asked."""

    def __init__(self, **outputs: object) -> None:
        self.outputs = outputs

    def run(self, names: list[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        rows = len(next(iter(inputs.values())))
        return [np.stack([np.asarray(self.outputs.get(name, 0.0))] * rows) for name in names]


def saying(model: Model, ladder: list[float], sigma: float = 0.01, unlike: float = 0.0) -> Model:
    return Model(model.card, Saying(ladder=ladder, sigma=sigma, unlike=unlike))


def spoken(found: Forecast | MarketHold) -> Forecast:
    assert isinstance(found, Forecast)
    return found


def one(market: MarketSnapshot, forecaster: Forecaster = FORECASTER) -> Forecast | MarketHold:
    (found,) = forecaster.forecast([market])
    return found


def rungs(ladder: Ladder) -> list[float]:
    return [getattr(ladder, name) for name in RUNGS]


def assert_coherent(ladder: Ladder) -> None:
    for chain in CHAINS:
        values = [getattr(ladder, name) for name in chain]
        assert values == sorted(values)
        assert values[0] > 0
        assert np.isfinite(values).all()
    assert ladder.down_es999 < 1


def test_an_ordinary_market_is_forecast_by_the_main_model() -> None:
    found = spoken(one(snapshot(bars(), vol_index=None)))
    assert not found.fallback
    assert not found.provisional
    assert found.masked == ("implied",)
    assert 0 < found.unlike < 1
    assert 0.05 < found.sigma_annual < 3
    assert set(found.ladders) == {MAIN.name, BASELINE.name}
    assert_coherent(found.ladder)


def test_two_hundred_bars_are_enough_and_one_fewer_is_a_hold_that_says_so() -> None:
    assert_coherent(spoken(one(snapshot(bars(200)))).ladder)
    hold = one(snapshot(bars(199)))
    assert isinstance(hold, MarketHold)
    assert hold.reason is HoldReason.TOO_LITTLE_HISTORY
    assert "199" in hold.detail


def test_a_batch_says_what_each_market_is_told_alone() -> None:
    markets = [snapshot(bars(200 + 65 * i, seed=i), market=f"M{i}") for i in range(9)]
    markets[4] = snapshot(bars(50), market="M4")
    together = FORECASTER.forecast(markets)
    assert [found.market for found in together] == [market.market for market in markets]
    for market, found in zip(markets, together, strict=True):
        alone = one(market)
        if isinstance(found, MarketHold):
            assert found == alone
        else:
            assert rungs(found.ladder) == pytest.approx(rungs(spoken(alone).ladder), rel=1e-6)


def test_no_markets_and_only_held_markets_need_no_run() -> None:
    assert FORECASTER.forecast([]) == []
    assert [type(found) for found in FORECASTER.forecast([snapshot(bars(10))])] == [MarketHold]


def test_bars_before_the_longest_window_change_nothing() -> None:
    long = bars(1500)
    assert one(snapshot(long)) == one(snapshot(long[-features.LONG_H - 1 :]))


# --- which model speaks ---------------------------------------------------------------------------------------------


def test_input_unlike_the_training_data_publishes_the_larger_of_both_ladders_rung_by_rung() -> None:
    main, baseline = list(TYPICAL), [0.025, 0.028, 0.04, 0.045, 0.08] * 2
    found = spoken(one(snapshot(bars()), Forecaster(saying(MAIN, main, unlike=1.1), saying(BASELINE, baseline))))
    assert found.fallback
    assert rungs(found.ladder) == [max(pair) for pair in zip(main, baseline, strict=True)]


def test_the_main_model_speaks_alone_where_its_input_is_familiar() -> None:
    found = spoken(one(snapshot(bars()), Forecaster(saying(MAIN, TYPICAL, unlike=0.9), saying(BASELINE, [0.035] * 10))))
    assert not found.fallback
    assert rungs(found.ladder) == TYPICAL


def test_no_rung_is_published_below_its_share_of_the_baseline() -> None:
    wide = [10 * rung for rung in TYPICAL]
    found = spoken(one(snapshot(bars()), Forecaster(saying(MAIN, TYPICAL), saying(BASELINE, wide))))
    assert rungs(found.ladder) == pytest.approx([BASELINE_FLOOR * rung for rung in wide])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_main_model_that_gives_no_number_is_replaced_by_the_baseline_and_flagged(bad: float) -> None:
    broken = saying(MAIN, [*TYPICAL[:-1], bad])
    found = spoken(one(snapshot(bars()), Forecaster(broken, saying(BASELINE, TYPICAL))))
    assert found.fallback
    assert found.unlike > 1
    assert rungs(found.ladder) == TYPICAL
    assert set(found.ladders) == {BASELINE.name}


def test_two_models_without_a_number_are_a_hold() -> None:
    nan = [float("nan")] * 10
    hold = one(snapshot(bars()), Forecaster(saying(MAIN, nan), saying(BASELINE, nan)))
    assert isinstance(hold, MarketHold)
    assert hold.reason is HoldReason.UNLIKE_TRAINING


def test_an_unfamiliar_market_without_a_baseline_is_a_hold() -> None:
    hold = one(snapshot(bars()), Forecaster(saying(MAIN, TYPICAL, unlike=1.5), saying(BASELINE, [float("nan")] * 10)))
    assert isinstance(hold, MarketHold)


def test_models_of_different_horizons_or_features_are_refused() -> None:
    for change in ({"horizon_s": 3600}, {"features_version": "hourly-0"}):
        other = Model(msgspec.structs.replace(BASELINE.card, **change), BASELINE.session)
        with pytest.raises(Fatal):
            Forecaster(MAIN, other)


# --- the running hour -----------------------------------------------------------------------------------------------


def test_a_crash_inside_the_running_hour_widens_the_ladder_at_once() -> None:
    history = bars()
    calm = spoken(one(snapshot(history)))
    crash = spoken(one(snapshot(history, price=0.93 * history[-1].close)))
    assert crash.provisional
    assert all(after >= before for after, before in zip(rungs(crash.ladder), rungs(calm.ladder), strict=True))
    assert crash.ladder.down_es99 > 1.5 * calm.ladder.down_es99
    assert crash.ladders == calm.ladders


def test_a_move_no_larger_than_a_typical_hour_leaves_the_closed_bars_answer() -> None:
    history = bars()
    calm, moved = one(snapshot(history)), one(snapshot(history, price=1.0005 * history[-1].close))
    assert calm == moved


@pytest.mark.parametrize("move", [0.7, 0.98, 1.01, 1.6])
def test_the_provisional_bar_has_the_variance_of_the_move(move: float) -> None:
    market = snapshot(bars(), price=move * bars()[-1].close)
    provisional = features.from_snapshot(msgspec.structs.replace(market, bars=(*market.bars, _provisional(market))))
    assert features.compute(provisional).range_variance[-1] == pytest.approx(np.log(move) ** 2)


# --- input that cannot be believed ----------------------------------------------------------------------------------


def replaced(index: int, **changes: float) -> MarketSnapshot:
    history = list(bars())
    history[index] = msgspec.structs.replace(history[index], **changes)
    return snapshot(tuple(history))


@pytest.mark.parametrize(
    "market",
    [
        replaced(300, close=float("nan")),
        replaced(300, low=-1.0),
        replaced(300, high=1e-3),
        snapshot(bars()[:400] + bars()[401:]),
        snapshot(tuple(msgspec.structs.replace(b, open=1.0, high=1.0, low=1.0, close=1.0) for b in bars())),
    ],
    ids=["not a number", "negative", "high below low", "gap", "constant"],
)
def test_bars_that_cannot_be_true_hold_this_market_and_no_other(market: MarketSnapshot) -> None:
    sound = snapshot(bars(seed=5), market="ETH")
    hold, found = FORECASTER.forecast([market, sound])
    assert isinstance(hold, MarketHold)
    assert hold.reason is HoldReason.UNLIKE_TRAINING
    assert hold.detail
    assert found == one(sound)


@pytest.mark.parametrize("price", [float("nan"), 0.0, -1.0, float("inf")])
def test_an_index_price_that_is_no_price_holds_the_market(price: float) -> None:
    assert isinstance(one(snapshot(bars(), price=price)), MarketHold)


def test_an_exploding_series_is_flagged_and_still_coherent() -> None:
    history = list(bars())
    for i in range(1, 40):
        factor = 1.3**i
        old = history[-40 + i]
        history[-40 + i] = msgspec.structs.replace(
            old,
            open=old.open * factor / 1.3,
            high=old.high * factor,
            low=old.low * factor / 1.3,
            close=old.close * factor,
        )
    found = spoken(one(snapshot(tuple(history))))
    assert found.fallback
    assert_coherent(found.ladder)


def test_a_dead_calm_market_that_still_ticks_is_coherent() -> None:
    assert_coherent(spoken(one(snapshot(bars(sigma=1e-6)))).ladder)


# --- the models themselves ------------------------------------------------------------------------------------------


def assert_chains(ladder: np.ndarray) -> None:
    assert np.isfinite(ladder).all()
    assert (ladder > 0).all()
    assert (np.diff(ladder[:, :5]) >= 0).all()
    assert (np.diff(ladder[:, 5:]) >= 0).all()
    assert (ladder[:, :5] < 1).all()


FINITE = st.floats(-1e6, 1e6, width=32)
LARGEST_ES99_IN_SIGMA = 6.5


@settings(max_examples=100, deadline=None)
@given(
    x=hnp.arrays(np.float32, (4, len(features.NAMES)), elements=FINITE),
    level=hnp.arrays(np.float32, 4, elements=st.floats(-23, 5, width=32)),
)
def test_the_networks_rungs_cannot_cross_whatever_it_is_shown(x: np.ndarray, level: np.ndarray) -> None:
    assert_chains(MAIN.run({"features": x, "log_level": level})["ladder"])


@settings(max_examples=100, deadline=None)
@given(
    x=hnp.arrays(np.float32, (4, len(features.NAMES)), elements=FINITE),
    level=hnp.arrays(np.float32, 4, elements=st.floats(-23, -6, width=32)),
)
def test_no_input_makes_the_networks_shortfall_a_large_multiple_of_its_sigma(x: np.ndarray, level: np.ndarray) -> None:
    """In a crash every input is at its edge at once: tails that are linear in them once said eight sigmas."""
    out = MAIN.run({"features": x, "log_level": level})
    move, sigma = -np.log1p(-out["ladder"][:, RUNGS.index("down_es99")]), out["sigma"]
    assert (move <= LARGEST_ES99_IN_SIGMA * sigma).all()
    below_cap = move < 1
    assert (move[below_cap] > 2 * sigma[below_cap]).all()


@settings(max_examples=100, deadline=None)
@given(
    returns=hnp.arrays(np.float64, (3, 300), elements=st.floats(-5, 5)),
    bars_known=hnp.arrays(np.int64, 3, elements=st.integers(1, 300)),
)
def test_the_recursions_rungs_cannot_cross_whatever_it_is_shown(returns: np.ndarray, bars_known: np.ndarray) -> None:
    assert_chains(BASELINE.run({"returns_1h": returns, "bars": bars_known})["ladder"])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(200, 720),
    sigma=st.floats(1e-4, 0.05),
    move=st.floats(0.4, 2.5),
    funding=st.none() | st.floats(-0.1, 0.1),
    implied=st.none() | st.floats(0.01, 10),
)
def test_every_published_ladder_is_coherent(
    seed: int, n: int, sigma: float, move: float, funding: float | None, implied: float | None
) -> None:
    history = bars(n, seed=seed, sigma=sigma)
    market = snapshot(history, price=move * history[-1].close, funding_8h=funding, vol_index=implied)
    found = one(market)
    if isinstance(found, Forecast):
        assert_coherent(found.ladder)
        assert all(
            low >= BASELINE_FLOOR * own * (1 - 1e-9)
            for low, own in zip(rungs(found.ladder), rungs(found.ladders[BASELINE.name]), strict=True)
        )


def test_a_wilder_recent_past_never_gives_a_smaller_baseline_ladder() -> None:
    rng = np.random.default_rng(4)
    returns = rng.normal(0, 0.01, (1, 672))
    wilder = returns.copy()
    wilder[0, -1] = -0.2
    answer = BASELINE.run(
        {"returns_1h": np.concatenate([returns, wilder]), "bars": np.array([672, 672], dtype=np.int64)}
    )
    assert (answer["ladder"][1] > answer["ladder"][0]).all()
