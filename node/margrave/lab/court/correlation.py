"""Dynamic correlation before the court: the VaR of random baskets, and the energy score of all assets at once.

Every family says a covariance; what is made of it is the same for all. A basket's VaR is its forecast deviation times
the quantile of its past standardised outcomes, those of all baskets together (filtered historical simulation). Draws
for the energy score are past outcomes of all assets at once, whitened by the covariance of their own time and coloured
by that of the forecast: an empirical copula.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court import losses, plots
from margrave.lab.court.chamber import Case, Figure, Ruling, Table, unjudged
from margrave.lab.court.comparison import holm
from margrave.lab.court.families import Role
from margrave.lab.court.families.correlation import FAMILIES
from margrave.lab.court.families.correlation.baskets import drawn
from margrave.lab.court.families.correlation.family import CovarianceFamily
from margrave.lab.court.hearing import Against, compared
from margrave.lab.court.panel import Panel
from margrave.lab.court.study import first_row
from margrave.lab.court.target import Goal
from margrave.lab.demo.plots import BLUE, GREY
from margrave.spans import DAY_H, HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PAST_H: Final = 540 * DAY_H
LEAST_PAST_H: Final = 270 * DAY_H
WARM_UP_H: Final = 30 * DAY_H
"""Hours of the past whose outcomes no quantile is taken from."""
LEG_H: Final = 180 * DAY_H
LEAST_LEG_H: Final = 60 * DAY_H
BASKETS: Final = 20
HORIZONS_H: Final = (4, 24)
LEVELS: Final = (0.01, 0.025)
LEAST_ASSETS: Final = 4
MOST_ASSETS: Final = 12
LEAST_MOVE: Final = 0.1
"""Of the median deviation: what moves less is pegged to money, and no asset of a basket."""
DRAWS: Final = 100
PINBALL: Final = Goal("basket VaR pinball against the best baseline", -0.03, "fraction")
TITLE: Final = "Dynamic correlation"


@dataclass(frozen=True, slots=True)
class Leg:
    """One fit: assets with every bar of its past and of what follows."""

    panel: Panel
    fit_row: int
    baskets: Floats


@dataclass
class Heard:
    """Of one horizon: losses by name of the loss and of the family, in one order of (time, basket)."""

    losses: dict[str, dict[str, list[Floats]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    times: dict[str, list[Ints]] = field(default_factory=lambda: defaultdict(list))
    hits: dict[tuple[str, float], list[Floats]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Correlation:
    kind: str = "correlation"
    about: str = "VaR of random baskets by EWMA, DCC and a learned covariance"
    goals: tuple[Goal, ...] = (PINBALL,)

    def judge(self, case: Case) -> Ruling:
        try:
            # of a quick study the last half-year that can be judged, wherever it lies
            start = first_row(case.panel, replace(case.study, quick=False)) if case.panel.hours else 0
        except Fatal as refused:
            return unjudged(self, TITLE, refused.problem)
        todo = legs(case.panel, start)[-1 if case.study.quick else 0 :]
        if not todo:
            days = (LEAST_PAST_H + LEAST_LEG_H) // DAY_H
            return unjudged(self, TITLE, f"fewer than {LEAST_ASSETS} assets have {days} days without a gap at one time")
        heard: dict[int, Heard] = {horizon_h: Heard() for horizon_h in HORIZONS_H}
        for place, leg in enumerate(todo):
            case.say(f"correlation: {place + 1}/{len(todo)}, {len(leg.panel.assets)} assets")
            for horizon_h in HORIZONS_H:
                hear(leg, horizon_h, [family for family, _ in FAMILIES], heard[horizon_h])
        return self._ruling(todo, heard)

    def _ruling(self, todo: Sequence[Leg], heard: Mapping[int, Heard]) -> Ruling:
        baselines = [family.name for family, role in FAMILIES if role is Role.BASELINE]
        ours = next(family.name for family, role in FAMILIES if role is Role.OURS)
        cells = [(h, loss) for h in HORIZONS_H for loss in heard[h].losses]
        found = {cell: judged(heard[cell[0]], cell[1], baselines) for cell in cells}
        adjusted = holm([row.p if row.family == ours else float("nan") for rows, _ in found.values() for row in rows])
        holm_p = dict(zip([id(row) for rows, _ in found.values() for row in rows], adjusted, strict=True))
        rows: list[tuple[str | float | None, ...]] = []
        ratios: dict[tuple[int, str], float] = {}
        for (horizon_h, loss), (against, mcs) in found.items():
            mean = {name: float(np.concatenate(parts).mean()) for name, parts in heard[horizon_h].losses[loss].items()}
            best = min(baselines, key=mean.__getitem__)
            ratios[horizon_h, loss] = mean[ours] / mean[best] - 1.0
            for name, value in mean.items():
                row = next((a for a in against if (a.family, a.other) == (name, best)), None)
                level = next((p for p in LEVELS if named(p) == loss), None)
                hit = float(np.concatenate(heard[horizon_h].hits[name, level]).mean()) if level else None
                rows.append(
                    (
                        loss,
                        horizon_h,
                        name,
                        1e4 * value,
                        value / mean[best],
                        row.t if row else None,
                        holm_p[id(row)] if row and name == ours else None,
                        mcs[name],
                        hit,
                    )
                )
        pinballs = [ratio for (_, loss), ratio in ratios.items() if loss != ENERGY]
        value = float(np.mean(pinballs))
        note = (
            f"{ours}, mean over {len(pinballs)} cells of horizon and level, each against its best baseline; the worst "
            f"{max(pinballs):+.3f}"
        )
        assets = sorted({asset for leg in todo for asset in leg.panel.assets})
        return Ruling(
            kind=self.kind,
            title=TITLE,
            summary=(
                f"{BASKETS} random baskets of two to eight assets, long and short, in {len(todo)} half-years of "
                f"{len(assets)} assets: the VaR of {ours} has {-value:.1%} less pinball loss than the best of "
                f"{', '.join(baselines)}."
            ),
            tables=(
                Table(
                    "Loss of basket VaR and of the joint forecast",
                    (
                        "loss", "horizon, h", "family", "mean, bp", "over the best baseline's", "DM t against it",
                        "Holm p", "MCS p", "hit rate",
                    ),
                    tuple(rows),
                    "A time is one observation, all its baskets averaged; Holm's adjustment is over all comparisons of "
                    "ours. Quantiles are of past outcomes of all baskets, by each family's own deviations.",
                ),
            ),
            figures=(_figure(ratios, rows, ours),),
            targets=(PINBALL.measured(value, note),),
        )  # fmt: skip


ENERGY: Final = "energy score"


def legs(panel: Panel, start: int) -> list[Leg]:
    """Half-years from `start` on that enough assets have whole, with their past."""
    found = []
    for place, row in enumerate(range(max(start, LEAST_PAST_H), panel.hours - LEAST_LEG_H, LEG_H)):
        begin, end = max(row - PAST_H, 0), min(row + LEG_H, panel.hours)
        stretch = panel.between(begin, end)
        # an asset that came later has bars of NaN before it: only those are asked that were there all along
        whole = np.flatnonzero(stretch.present.all(axis=0))
        moved = np.std(np.nan_to_num(stretch.log_return[1 : row - begin]), axis=0)
        if not len(whole):
            continue
        lively = whole[moved[whole] > LEAST_MOVE * np.median(moved[whole])][:MOST_ASSETS]
        if len(lively) >= LEAST_ASSETS and np.isfinite(moved[lively]).all():
            mine = stretch.only([stretch.assets[int(asset)] for asset in lively])
            found.append(Leg(mine, row - begin, drawn(len(lively), BASKETS, place)))
    return found


def hear(leg: Leg, horizon_h: int, families: Sequence[CovarianceFamily], into: Heard) -> None:
    """Every family's losses of one leg, added to what was heard before."""
    panel, past = leg.panel, leg.panel.upto(leg.fit_row)
    rows = np.arange(WARM_UP_H, panel.hours - horizon_h)
    rows = rows[(panel.open_ms[rows] // HOUR_MS + 1) % horizon_h == 0]
    fitted_on, judged = rows + horizon_h < leg.fit_row, rows >= leg.fit_row
    outcome = panel.outcome(horizon_h)[rows]
    gained, times = outcome @ leg.baskets.T, panel.known_ms[rows[judged]]
    for level in LEVELS:
        into.times[named(level)].append(np.repeat(times, len(leg.baskets)))
    into.times[ENERGY].append(times)
    for family in families:
        covariance = family.fit(past).covariance(panel, rows, horizon_h)
        deviation = np.sqrt(np.einsum("ba,rac,bc->rb", leg.baskets, covariance, leg.baskets))
        z = gained[fitted_on] / deviation[fitted_on]
        for level in LEVELS:
            said = np.quantile(z, level) * deviation[judged]
            into.losses[named(level)][family.name].append(losses.pinball(gained[judged], said, level).reshape(-1))
            into.hits[family.name, level].append((gained[judged] < said).reshape(-1))
        into.losses[ENERGY][family.name].append(_energy(covariance, outcome, fitted_on, judged))


def _energy(covariance: Floats, outcome: Floats, fitted_on: NDArray[np.bool_], judged: NDArray[np.bool_]) -> Floats:
    """(judged rows,)."""
    root = np.linalg.cholesky(covariance)
    known = np.flatnonzero(fitted_on)
    chosen = np.random.default_rng(0).choice(known, DRAWS, replace=len(known) < DRAWS)
    white = np.linalg.solve(root[chosen], outcome[chosen][:, :, None])[:, :, 0]
    draws = np.einsum("rab,db->rda", root[judged], white)
    return losses.energy(outcome[judged], draws)


def judged(heard: Heard, loss: str, baselines: Sequence[str]) -> tuple[list[Against], dict[str, float]]:
    by_family = {name: np.concatenate(parts) for name, parts in heard.losses[loss].items()}
    return compared(by_family, np.concatenate(heard.times[loss]), baselines, loss)


def named(level: float) -> str:
    return f"pinball {level:.1%}"


def _figure(
    ratios: Mapping[tuple[int, str], float], rows: Sequence[tuple[str | float | None, ...]], ours: str
) -> Figure:
    """Every family's loss over the best baseline's."""
    cells = list(ratios)
    names = list(dict.fromkeys(str(row[2]) for row in rows))
    figure, axes = plots.side_by_side(len(cells), 0.2 * len(names) + 0.7)
    for axis, (horizon_h, loss) in zip(axes, cells, strict=True):
        for place, name in enumerate(names):
            value = next(row[4] for row in rows if row[:3] == (loss, horizon_h, name))
            drawn = value if isinstance(value, float) else float("nan")
            axis.plot([drawn], [place], color=BLUE if name == ours else GREY, marker="o", markersize=4.2)
        axis.axvline(1.0, color=GREY, linewidth=0.8)
        axis.set_title(f"{loss}, {horizon_h} h", loc="left", fontsize=8)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_yticks(np.arange(len(names)), names if axis is axes[0] else [""] * len(names))
        axis.locator_params(axis="x", nbins=3)
    return Figure("Loss over the best baseline's", plots.svg(figure), "Left of the line is better.")
