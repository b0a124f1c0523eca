from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from margrave.errors import Fatal
from margrave.lanes import ASCENDING
from margrave.messages import Ladder, MarketHold, MarketSnapshot
from margrave.score.carried import Carried, fresh
from margrave.score.drift import Drift
from margrave.score.features.catalogue import LEVEL_H, TAIL_NAMES
from margrave.score.features.hours import Hour, grid_of
from margrave.score.features.measures import range_variance
from margrave.score.forecast import BASELINE_FLOOR, RUNGS, Forecast, Forecaster, _provisional
from margrave.score.hourly import settled
from margrave.score.registry import Model
from margrave.settings import ModelPolicy
from margrave.verdicts import DriftLevel, HoldReason
from tests.unit.score import real
from tests.unit.score.history import bars, snapshot
from tests.unit.score.sample import POLICY

FORECASTER = real.forecaster()
MAIN, BASELINE, VOLATILITY = FORECASTER.models
LEVELS = MAIN.card.levels
HORIZON_S = POLICY.round.mpor_s
CHAINS = [chain for chain in ASCENDING if chain[0] in RUNGS]

TYPICAL = [0.02, 0.03, 0.035, 0.05, 0.06] * 2


class Saying:
    """A session that says the same about every market, whatever it is asked."""

    def __init__(self, **outputs: object) -> None:
        self.outputs = outputs

    def run(self, names: list[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        rows = len(next(iter(inputs.values())))
        return [np.stack([np.asarray(self.outputs.get(name, 0.0))] * rows) for name in names]


def saying(ladder: list[float], sigma: float = 0.01) -> Model:
    """A baseline."""
    return Model(BASELINE.card, cast(Any, Saying(ladder=ladder, sigma=sigma)))


def main_saying(ladder: list[float], unlike: float = 0.0) -> Model:
    """A main model whose levels and shortfalls make this ladder, at every horizon."""
    moves = np.stack([-np.log1p(-np.array(ladder[:5])), np.log1p(np.array(ladder[5:]))])
    var = np.zeros((len(MAIN.card.tails_h), 2, len(LEVELS)))
    es = np.zeros_like(var)
    for level, rung in ((0.025, 0), (0.005, 1), (0.0005, 3)):
        var[:, :, LEVELS.index(level)] = moves[:, rung]
    for level, rung in ((0.01, 2), (0.001, 4)):
        es[:, :, LEVELS.index(level)] = moves[:, rung]
    return Model(MAIN.card, cast(Any, Saying(var=var, es=es, unlike=unlike)))


def of(main: Model, baseline: Model) -> Forecaster:
    return Forecaster(main, baseline, VOLATILITY, HORIZON_S)


def spoken(found: Forecast | MarketHold) -> Forecast:
    assert isinstance(found, Forecast)
    return found


def state_of(market: MarketSnapshot, level: DriftLevel = DriftLevel.STEADY) -> Carried:
    """Of a node that has just begun."""
    state = settled(fresh(b"models"), market, FORECASTER.prior)
    return msgspec.structs.replace(state, drift=Drift(level=level))


def all_of(
    markets: Sequence[MarketSnapshot], forecaster: Forecaster = FORECASTER, level: DriftLevel = DriftLevel.STEADY
) -> list[Forecast | MarketHold]:
    return forecaster.forecast(markets, {market.market: state_of(market, level) for market in markets})


def one(market: MarketSnapshot, forecaster: Forecaster = FORECASTER) -> Forecast | MarketHold:
    (found,) = all_of([market], forecaster)
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
    assert {"implied", "long"} <= set(found.masked)
    assert 0 < found.unlike < 1
    assert 0.05 < found.sigma_annual < 3
    assert set(found.ladders) == {MAIN.name, BASELINE.name}
    assert_coherent(found.ladder)


def test_two_hundred_bars_are_enough_for_the_baseline_and_one_fewer_is_a_hold_that_says_so() -> None:
    few = spoken(one(snapshot(bars(200))))
    assert_coherent(few.ladder)
    assert few.fallback
    assert few.masked == ("history",)
    assert few.ladder == few.ladders[BASELINE.name]
    hold = one(snapshot(bars(199)))
    assert isinstance(hold, MarketHold)
    assert hold.reason is HoldReason.TOO_LITTLE_HISTORY
    assert "199" in hold.detail


def test_a_batch_says_what_each_market_is_told_alone() -> None:
    markets = [snapshot(bars(200 + 65 * i, seed=i), market=f"M{i}") for i in range(9)]
    markets[4] = snapshot(bars(50), market="M4")
    together = all_of(markets)
    assert [found.market for found in together] == [market.market for market in markets]
    for market, found in zip(markets, together, strict=True):
        alone = one(market)
        if isinstance(found, MarketHold):
            assert found == alone
        else:
            assert rungs(found.ladder) == pytest.approx(rungs(spoken(alone).ladder), rel=1e-6)


def test_no_markets_and_only_held_markets_need_no_run() -> None:
    assert all_of([]) == []
    assert [type(found) for found in all_of([snapshot(bars(10))])] == [MarketHold]


def test_the_horizon_and_the_next_hour_come_from_the_main_model_and_volatility_from_its_own() -> None:
    found = spoken(one(snapshot(bars())))
    assert found.hour.down_es99 < found.closed.down_es99 < 1
    assert_coherent(found.hour)
    assert found.closed == found.ladder == found.ladders[MAIN.name]
    deaf = Forecaster(MAIN, BASELINE, Model(VOLATILITY.card, cast(Any, Saying(log_variance=[-8.0] * 4))), HORIZON_S)
    assert spoken(one(snapshot(bars()), deaf)).sigma_annual == pytest.approx(math.exp(-4) * math.sqrt(24 * 365 / 4))


# --- which model speaks ---------------------------------------------------------------------------------------------


def test_input_unlike_the_training_data_publishes_the_larger_of_both_ladders_rung_by_rung() -> None:
    main, baseline = list(TYPICAL), [0.025, 0.028, 0.04, 0.045, 0.08] * 2
    found = spoken(one(snapshot(bars()), of(main_saying(main, unlike=1.1), saying(baseline))))
    assert found.fallback
    assert rungs(found.ladder) == [max(pair) for pair in zip(main, baseline, strict=True)]


def test_the_main_model_speaks_alone_where_its_input_is_familiar() -> None:
    found = spoken(one(snapshot(bars()), of(main_saying(TYPICAL, unlike=0.9), saying([0.035] * 10))))
    assert not found.fallback
    assert rungs(found.ladder) == TYPICAL


def test_no_rung_is_published_below_its_share_of_the_baseline() -> None:
    wide = [10 * rung for rung in TYPICAL]
    found = spoken(one(snapshot(bars()), of(main_saying(TYPICAL), saying(wide))))
    assert rungs(found.ladder) == pytest.approx([BASELINE_FLOOR * rung for rung in wide])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_main_model_that_gives_no_number_is_replaced_by_the_baseline_and_flagged(bad: float) -> None:
    broken = main_saying([*TYPICAL[:-1], bad])
    found = spoken(one(snapshot(bars()), of(broken, saying(TYPICAL))))
    assert found.fallback
    assert found.unlike > 1
    assert rungs(found.ladder) == TYPICAL
    assert set(found.ladders) == {BASELINE.name}


def test_two_models_without_a_number_are_a_hold() -> None:
    nan = [float("nan")] * 10
    hold = one(snapshot(bars()), of(main_saying(nan), saying(nan)))
    assert isinstance(hold, MarketHold)
    assert hold.reason is HoldReason.UNLIKE_TRAINING


def test_an_unfamiliar_market_without_a_baseline_is_a_hold() -> None:
    hold = one(snapshot(bars()), of(main_saying(TYPICAL, unlike=1.5), saying([float("nan")] * 10)))
    assert isinstance(hold, MarketHold)


def test_a_market_whose_models_have_drifted_that_far_is_published_no_lower_than_the_baselines() -> None:
    main, baseline = list(TYPICAL), [0.025, 0.028, 0.04, 0.045, 0.08] * 2
    asked = of(main_saying(main), saying(baseline))
    for level in (DriftLevel.STEADY, DriftLevel.FLAGGED, DriftLevel.WIDENED):
        (found,) = all_of([snapshot(bars())], asked, level)
        assert rungs(spoken(found).ladder) == pytest.approx(main)
        assert not spoken(found).fallback
    (found,) = all_of([snapshot(bars())], asked, DriftLevel.BASELINE)
    assert rungs(spoken(found).ladder) == pytest.approx([max(pair) for pair in zip(main, baseline, strict=True)])
    assert spoken(found).fallback


@pytest.mark.parametrize(
    ("which", "change"),
    [
        ("main", {"tails_h": (1, 24)}),
        ("main", {"levels": (0.05, 0.01)}),
        ("main", {"features_version": "hourly-0"}),
        ("main", {"columns": ("range_1h",)}),
        ("volatility", {"horizons_h": (1, 24)}),
        ("volatility", {"features_version": "hourly-0"}),
        ("baseline", {"horizon_s": 3600}),
    ],
)
def test_models_that_do_not_fit_are_refused(which: str, change: dict[str, object]) -> None:
    models = {"main": MAIN, "baseline": BASELINE, "volatility": VOLATILITY}
    models[which] = Model(msgspec.structs.replace(models[which].card, **change), models[which].session)
    with pytest.raises(Fatal, match=r"policy\.toml|release"):
        Forecaster(**models, horizon_s=HORIZON_S)


@pytest.mark.parametrize("horizon_h", [1, 4, 24])
def test_every_margin_period_that_the_models_speak_of_can_be_served(horizon_h: int) -> None:
    policy = ModelPolicy(main=MAIN.name, baseline="garch_t/1", volatility=VOLATILITY.name)
    forecaster = Forecaster.of(policy, real.REGISTRY, horizon_h * 3600)
    found = spoken(one(snapshot(bars()), forecaster))
    assert_coherent(found.ladder)
    assert_coherent(found.ladders["garch_t/1"])
    assert found.hour.down_es99 == pytest.approx(spoken(one(snapshot(bars()))).hour.down_es99)
    assert (found.closed.down_es99 > found.hour.down_es99) == (horizon_h > 1)


@pytest.mark.parametrize("horizon_s", [3_600 * 3, 5_400])
def test_a_margin_period_that_no_model_speaks_of_is_refused(horizon_s: int) -> None:
    with pytest.raises(Fatal, match="mpor_s is"):
        Forecaster(MAIN, BASELINE, VOLATILITY, horizon_s)


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
    hours = [Hour(bar=bar) for bar in (*market.bars, _provisional(market))]
    assert range_variance(grid_of("BTC", hours))[-1, 0] == pytest.approx(np.log(move) ** 2)


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
    hold, found = all_of([market, sound])
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


ANY = st.floats(-1e6, 1e6) | st.just(float("nan"))


@settings(max_examples=100, deadline=None)
@given(
    columns=hnp.arrays(np.float64, (4, len(TAIL_NAMES)), elements=ANY),
    log_anchor=hnp.arrays(np.float64, (4, 3), elements=st.floats(-14, 3)),
    returns=hnp.arrays(np.float64, (4, LEVEL_H), elements=st.floats(-3, 3), fill=st.just(0.001)),
)
def test_the_main_models_rungs_cannot_cross_whatever_it_is_shown(
    columns: np.ndarray, log_anchor: np.ndarray, returns: np.ndarray
) -> None:
    out = MAIN.run({"columns": columns, "log_anchor": log_anchor, "returns_1h": returns})
    var, es = out["var"], out["es"]
    assert np.isfinite(var).all()
    assert np.isfinite(es).all()
    assert (var > 0).all()
    assert (np.diff(var, axis=-1) >= 0).all()
    assert (np.diff(es, axis=-1) >= 0).all()
    assert (es >= var).all()


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
