"""The surface's families: holes keep what they hide to themselves, nobody looks ahead, and the arithmetic is right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from margrave.lab.court.chains import Chain
from margrave.lab.court.families.surface import cells, filling, forecasting, starting, valuing
from margrave.lab.court.families.surface.cells import Hole, Shot
from margrave.lab.court.families.surface.completion import (
    Filler,
    Kernel,
    LastSurface,
    Prior,
    SmileRefit,
    SsviRefit,
    interpolated,
)
from margrave.lab.court.families.surface.forecasting import FITTED, Ahead, Forecaster, Last, Searched, shares
from margrave.lab.court.families.surface.indicators import TENORS_DAYS, Indicators, indicators
from margrave.score import surface, surface_forecast
from margrave.score.registry import Model, open_model
from margrave.score.surface_forecast import WAYS
from margrave.settings import REGISTRY
from margrave.spans import DAY_MS
from tests.unit.lab.court.surface.made import quotes_at


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    chains = [Chain("AAA", "made", time, tuple(quotes), 70_000.0) for time, quotes in map(quotes_at, range(12))]
    found, refused = cells.shots(chains)
    assert not refused
    return found


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(REGISTRY, "surface_prior/1")


def a_hole(shots: list[Shot], share: float | None = 0.5, *, seed: int = 1) -> Hole:
    hole = cells.hole(shots[5], shots[4], share, np.random.default_rng(seed))
    assert hole is not None
    return hole


def test_half_of_the_cells_are_hidden_whole(shots: list[Shot]) -> None:
    hole = a_hole(shots)
    gone = set(hole.shot.cell[hole.hidden])
    assert len(gone) == round(0.5 * len(hole.shot.cells))
    assert not gone & set(hole.shot.cell[~hole.hidden])
    assert len(hole.visible.vol) == int((~hole.hidden).sum())


def test_a_whole_tenor_is_hidden_from_edge_to_edge(shots: list[Shot]) -> None:
    hole = a_hole(shots, None)
    assert len({int(c) // cells.COLUMNS for c in hole.shot.cell[hole.hidden]}) == 1


def fillers(model: Model) -> list[Filler]:
    return [SsviRefit(), SmileRefit(), LastSurface(), Kernel(), Prior(model), Prior(model, alone=True)]


@pytest.mark.parametrize("place", range(6))
def test_what_is_hidden_has_no_part_in_the_answer(shots: list[Shot], model: Model, place: int) -> None:
    hole = a_hole(shots)
    vol = np.where(hole.hidden, 3 * hole.shot.sample.vol, hole.shot.sample.vol)
    error = np.where(hole.hidden, 0.5, hole.shot.sample.error)
    other = dataclasses.replace(hole.shot, sample=dataclasses.replace(hole.shot.sample, vol=vol, error=error))
    filler = fillers(model)[place]
    one, two = filler.fill(hole), filler.fill(dataclasses.replace(hole, shot=other))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.vol, two.vol)


def test_the_prior_fills_better_than_the_last_surface_and_leaves_no_arbitrage(shots: list[Shot], model: Model) -> None:
    found = filling.filling({"AAA": shots}, 6, model, lambda _: None)
    scores = found.scores[filling.HALF]
    assert found.ours is not None
    assert scores[found.ours].rmse < 0.5 * scores["last surface"].rmse
    assert scores[found.ours].broken == 0


def test_chains_of_the_training_are_not_judged(shots: list[Shot], model: Model) -> None:
    asset = model.card.assets[0]
    inside = [dataclasses.replace(s, asset=asset, as_of_ms=s.as_of_ms - 20 * DAY_MS) for s in shots]
    found = filling.filling({asset: inside}, 3, model, lambda _: None)
    assert found.ours is None
    assert any("trained on" in why for why in found.silent)
    assert len(valuing.valued({asset: inside}, model)) == 0


def test_a_chain_without_another_before_it_is_said(shots: list[Shot], model: Model) -> None:
    late = dataclasses.replace(shots[1], as_of_ms=shots[0].as_of_ms + 10 * DAY_MS)
    found = filling.filling({"AAA": [shots[0], late]}, 3, model, lambda _: None)
    assert found.chains == 0
    assert "2 chains" in found.silent[0]


def test_most_mids_kept_back_lie_in_the_interval(shots: list[Shot], model: Model) -> None:
    found = valuing.valued({"AAA": shots}, model)
    assert len(found) > 100
    assert found.within.mean() > 0.8
    assert np.sqrt(np.mean(found.error_points**2)) < np.sqrt(np.mean(found.spread_points**2))


def test_between_quotes_total_variance_is_linear_in_time(shots: list[Shot]) -> None:
    sample = shots[0].sample
    flat = dataclasses.replace(sample, vol=np.where(sample.years < 20 / 365, 0.8, 0.5))
    days = np.unique(sample.years) * 365
    left, right = days[days < 20][-1], days[days > 20][0]
    found = interpolated(flat, np.zeros(1), np.array([(left + right) / 2 / 365]))[0]
    assert found**2 * (left + right) / 2 == pytest.approx((0.64 * left + 0.25 * right) / 2)


def test_the_polish_ends_where_the_optimiser_does(shots: list[Shot]) -> None:
    for shot in shots[:4]:
        ends = [each(shot.sample, surface.start(shot.sample, None)) for each in (starting.optimiser, surface.polished)]
        losses = [surface.soft_loss(surface.residuals(x, shot.sample)) for x in ends]
        assert losses[1] <= losses[0] * (1 + 1e-6)


def test_every_calibrator_is_weighed_on_the_same_chains(shots: list[Shot]) -> None:
    start = open_model(REGISTRY, "surface_start/1")
    rows = starting.started({"AAA": shots}, start, 2)
    assert {row.name for row in rows} == set(starting.calibrators(start))
    assert len({(row.quotes, row.chains) for row in rows}) == 2
    best = {row.name: row for row in rows if row.quotes == "all"}
    assert best["learned start, polish"].loss < 1.001
    assert best["learned start alone"].loss > 1.01


# --- what comes -------------------------------------------------------------------------------------------------------


def series(times: int = 160, seed: int = 3) -> Indicators:
    random = np.random.default_rng(seed)
    shape = (times, len(TENORS_DAYS))
    atm = 0.5 * np.exp(np.cumsum(0.02 * random.standard_normal(times)))[:, None] + 0.01 * random.standard_normal(shape)
    skew = -0.05 + 0.01 * random.standard_normal(shape)
    ahead = np.stack([atm, atm], axis=-1) + 0.005 * random.standard_normal((*shape, 2))
    skew_ahead = np.stack([skew, skew], axis=-1)
    time_ms = np.arange(times, dtype=np.int64) * DAY_MS // 4
    return Indicators("AAA", time_ms, atm, skew, ahead, skew_ahead, 70_000 * np.exp(0.01 * np.cumsum(atm[:, 0] - 0.5)))


EVERYONE: tuple[Forecaster, ...] = (Last(), Ahead(), *FITTED, Searched())


@pytest.mark.parametrize("forecaster", EVERYONE, ids=lambda each: each.name)
@pytest.mark.parametrize("horizon_days", [1, 7])
def test_nobody_uses_what_comes_after(forecaster: Forecaster, horizon_days: int) -> None:
    whole = series()
    cut = 120
    rest = Indicators("AAA", *(getattr(whole, name)[:cut] for name in Indicators.__slots__ if name != "asset"))
    long, short = (forecasting.pairs([one], "skew", horizon_days) for one in (whole, rest))
    same = len(short.as_of_ms)
    np.testing.assert_array_equal(long.as_of_ms[:same], short.as_of_ms)
    np.testing.assert_allclose(forecaster.forecast(long)[:same], forecaster.forecast(short), rtol=1e-12)


def test_noise_about_a_level_is_found_to_return_to_its_recent_mean() -> None:
    pairs = forecasting.pairs([series(400)], "skew", 1)
    found = dict(zip(WAYS, shares(pairs, np.isfinite(pairs.outcome)), strict=True))
    assert found["recent"] + found["long"] >= 0.6


def test_a_random_walk_is_left_to_the_chains_own_forward() -> None:
    random = np.random.default_rng(9)
    one = series(400)
    walk = dataclasses.replace(one, skew=np.cumsum(0.01 * random.standard_normal(one.skew.shape), axis=0))
    walk = dataclasses.replace(walk, skew_ahead=np.stack([walk.skew, walk.skew], axis=-1))
    pairs = forecasting.pairs([walk], "skew", 1)
    assert shares(pairs, np.isfinite(pairs.outcome)) @ np.array([0, 0, 1, 1, 1]) <= 0.2


def test_the_outcome_is_the_chain_a_horizon_later_and_none_where_there_is_none() -> None:
    pairs = forecasting.pairs([series(60)], "atm", 7)
    last_days = pairs.as_of_ms > pairs.as_of_ms.max() - 6 * DAY_MS
    assert np.isnan(pairs.outcome[last_days]).all()
    assert (pairs.due_ms[np.isfinite(pairs.outcome)] - pairs.as_of_ms[np.isfinite(pairs.outcome)] == 7 * DAY_MS).all()


def test_a_gap_in_the_chains_has_no_outcome() -> None:
    whole = series(80)
    kept = np.r_[0:30, 50:80]
    gap = Indicators("AAA", *(getattr(whole, name)[kept] for name in Indicators.__slots__ if name != "asset"))
    pairs = forecasting.pairs([gap], "atm", 1)
    before = (pairs.as_of_ms >= whole.as_of_ms[27]) & (pairs.as_of_ms <= whole.as_of_ms[29])
    assert np.isnan(pairs.outcome[before]).all()


def test_a_smiles_skew_is_the_surfaces_own(shots: list[Shot]) -> None:
    found = indicators(shots[:1])
    column = TENORS_DAYS.index(30.0)
    years = 30 / 365
    true = shots[0].surface
    assert found.atm[0, column] == pytest.approx(float(surface.vols(true, np.zeros(1), np.array([years]))[0]), abs=0.01)
    vol = np.full(2, found.atm[0, column])
    for _ in range(30):
        total = vol * np.sqrt(years)
        vol = surface.vols(true, total**2 / 2 + np.array([1.0, -1.0]) * 0.6744897501960817 * total, np.full(2, years))
    assert found.skew[0, column] == pytest.approx(vol[0] - vol[1], abs=0.01)


def test_recent_means_forget_in_time_and_not_in_rows() -> None:
    times = np.array([0, 3 * DAY_MS], dtype=np.int64)
    found = surface_forecast.recent_mean(times, np.array([[1.0], [0.0]]), 3.0)
    assert found[1, 0] == pytest.approx(0.5 / 1.5)


def test_the_registrys_forecast_is_the_sum_of_its_shares() -> None:
    model = open_model(REGISTRY, "surface_forecast/1")
    for place, way in enumerate(WAYS):
        one = np.zeros((1, len(WAYS)))
        one[0, place] = 1.0
        said = surface_forecast.change(model, "slope", one)[0]
        told = [model.card.parameters.get(f"slope_{days}d_{way}", 0.0) for days in (1, 7)]
        assert said == pytest.approx(told)
