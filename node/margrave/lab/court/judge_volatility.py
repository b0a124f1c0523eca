"""Variance forecasts of one horizon: QLIKE, bias, calibration and the energy score, and who beats whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from margrave.lab.court import losses
from margrave.lab.court.comparison import Difference, diebold_mariano
from margrave.lab.court.hearing import Against, Agreed, Floats, agree, at_each_time, compared, date
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import Answers

FLOOR: Final = 1e-9
"""Of realised variance: an hour without a move has no QLIKE. (0.3 bp)²; the same for all families."""
BINS: Final = 10
JOINT_DRAWS: Final = 200
JOINT_TIMES: Final = 400
JOINT_LEAST_ASSETS: Final = 2


@dataclass(frozen=True, slots=True)
class Volatility:
    """One family at one horizon."""

    qlike: float
    bias: float
    """Mean realised over mean forecast variance; 1 is right."""
    unanswered: int
    mcs_p: float
    energy: float
    """Mean energy score of the joint outcome, in units of the root mean square of outcomes; NaN where not asked."""
    calibration: tuple[tuple[float, float], ...]
    """(mean forecast, mean realised) variance by tenths of the forecast."""
    by_asset: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class VolatilityVerdict:
    horizon_h: int
    pairs: int
    times: int
    begins: str
    ends: str
    families: Mapping[str, Volatility]
    not_heard: Mapping[str, int]
    """Families that were silent on more than half of the pairs, and on how many."""
    against: tuple[Against, ...]
    by_month: Mapping[str, Mapping[str, float]]
    """Family -> month -> mean QLIKE."""
    best_by_asset: Mapping[str, str]
    """Asset -> the baseline with the lowest QLIKE on it, known only afterwards."""
    over_best: Mapping[str, tuple[float, Difference]]
    """Family -> (mean QLIKE over that of the best baseline of each asset, the difference)."""


def judge(
    panel: Panel, answers: Mapping[str, Answers], horizon_h: int, baselines: Sequence[str]
) -> VolatilityVerdict | None:
    """`None` where no pair was answered by all."""
    agreed = agree(answers, len(panel.assets), sound)
    if not len(agreed):
        return None
    realised = np.maximum(panel.realised(horizon_h)[agreed.rows, agreed.assets], FLOOR)
    times = panel.known_ms[agreed.rows]
    loss = {name: losses.qlike(realised, np.maximum(said, FLOOR)) for name, said in agreed.said.items()}
    against, mcs = compared(loss, times, [name for name in baselines if name in loss], "QLIKE")
    names = {name: _by_asset(panel, agreed, values) for name, values in loss.items()}
    best = _best(names, [name for name in baselines if name in loss])
    joint = _energy(panel, agreed, horizon_h)
    return VolatilityVerdict(
        horizon_h=horizon_h,
        pairs=len(agreed),
        times=len(np.unique(times)),
        begins=date(panel, int(agreed.rows[0])),
        ends=date(panel, int(agreed.rows[-1])),
        families={
            name: Volatility(
                qlike=float(loss[name].mean()),
                bias=float(realised.mean() / said.mean()),
                unanswered=agreed.unanswered[name],
                mcs_p=mcs[name],
                energy=joint[name],
                calibration=_calibration(said, realised),
                by_asset=names[name],
            )
            for name, said in agreed.said.items()
        },
        not_heard={name: count for name, count in agreed.unanswered.items() if name not in agreed.said},
        against=tuple(against),
        by_month={name: _by_month(times, values) for name, values in loss.items()},
        best_by_asset=best,
        over_best=_over_best(panel, agreed, loss, best),
    )


def sound(said: Floats) -> np.ndarray:
    return np.asarray(np.isfinite(said) & (said > 0))


def _by_asset(panel: Panel, agreed: Agreed, loss: Floats) -> dict[str, float]:
    places = np.unique(agreed.assets)
    return {panel.assets[place]: float(loss[agreed.assets == place].mean()) for place in places}


def _best(by_asset: Mapping[str, Mapping[str, float]], baselines: Sequence[str]) -> dict[str, str]:
    if not baselines:
        return {}
    assets = by_asset[baselines[0]]
    return {asset: min(baselines, key=lambda name: by_asset[name][asset]) for asset in assets}


def _over_best(
    panel: Panel, agreed: Agreed, loss: Mapping[str, Floats], best: Mapping[str, str]
) -> dict[str, tuple[float, Difference]]:
    """Against a baseline that knows which of them is best on each asset: harder than any single one."""
    if not best:
        return {}
    names = sorted(set(best.values()))
    stacked = np.stack([loss[name] for name in names])
    which = np.array([names.index(best[asset]) if asset in best else 0 for asset in panel.assets])
    bound = stacked[which[agreed.assets], np.arange(len(agreed))]
    times = panel.known_ms[agreed.rows]
    best_by_time = at_each_time(bound, times)
    return {
        name: (float(values.mean() / bound.mean()), diebold_mariano(at_each_time(values, times), best_by_time))
        for name, values in loss.items()
    }


def _calibration(said: Floats, realised: Floats) -> tuple[tuple[float, float], ...]:
    order = np.argsort(said, kind="stable")
    return tuple(
        (float(said[part].mean()), float(realised[part].mean())) for part in np.array_split(order, BINS) if len(part)
    )


def _by_month(times: np.ndarray, loss: Floats) -> dict[str, float]:
    months, place = np.unique(times.astype("datetime64[ms]").astype("datetime64[M]"), return_inverse=True)
    means = np.bincount(place, weights=loss) / np.bincount(place)
    return {str(month): float(mean) for month, mean in zip(months, means, strict=True)}


def _energy(panel: Panel, agreed: Agreed, horizon_h: int) -> dict[str, float]:
    """Joint draws are past standardised outcomes of all assets at once, scaled by the forecast: only times whose
    outcome was known by then are drawn. Times at which not every judged asset was answered are left out."""
    nothing = dict.fromkeys(agreed.said, float("nan"))
    assets = np.unique(agreed.assets)
    rows, counts = np.unique(agreed.rows, return_counts=True)
    whole = rows[counts == len(assets)]
    if len(assets) < JOINT_LEAST_ASSETS or len(whole) < 2 * JOINT_DRAWS:
        return nothing
    keep = np.isin(agreed.rows, whole)
    outcome = panel.outcome(horizon_h)[whole][:, assets]
    scale = float(np.sqrt((outcome**2).mean()))
    # Judged rows lie a horizon apart or more, so the row before the one before has its outcome.
    asked = np.unique(np.linspace(JOINT_DRAWS, len(whole) - 1, JOINT_TIMES).astype(np.int64))
    window = asked[:, None] - 1 - np.arange(JOINT_DRAWS)[None, :]
    found = {}
    for name, said in agreed.said.items():
        sigma = np.sqrt(said[keep]).reshape(len(whole), len(assets))
        drawn = (outcome / sigma)[window] * sigma[asked][:, None, :]
        found[name] = float(losses.energy(outcome[asked], drawn).mean() / scale)
    return found
