"""Comparing tails of hedging losses: the best of each sort, ratios of CVaR, and how far luck reaches.

Losses of all assets and of neighbouring days move together, so that what is drawn anew is spans of the calendar, with
everything that was sold in them: the interval of a ratio comes from as many independent things as there are spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.hedge.episodes import Kind, cvar, cvar_sorted
from margrave.lab.court.hedge.rivals import BAND, CLOCK, COSTS, OURS, UNHEDGED, WW, Rule
from margrave.spans import DAY_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Losses = Mapping[tuple[Rule, float], Floats]

SPAN_DAYS: Final = 30
"""As long as the longest life, so that few episodes reach into the next span."""
DRAWS: Final = 400
BOUNDS: Final = (0.025, 0.975)
LEAST_SPANS: Final = 6
"""With fewer there is no interval to speak of."""
LEAST_OF_YEAR: Final = 100
SORTS: Final = (CLOCK, WW, BAND, UNHEDGED)


@dataclass(frozen=True, slots=True)
class Against:
    """Ours against the best of one sort."""

    rule: Rule
    cvar: float
    ratio: float
    low: float
    """Of the interval; NaN with fewer spans than `LEAST_SPANS`, or where some draw has no loss in its tail."""
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one kind of option at one cost."""

    kind: Kind
    cost: float
    episodes: int
    spans: int
    ours: float
    mean: float
    """Of our losses: what the policy costs when nothing happens."""
    against: Mapping[str, Against]
    """By sort."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The geometric mean of the ratios of all kinds at one cost."""

    ratio: float
    low: float
    high: float
    worst: str
    worst_ratio: float


def spans(sold_ms: Ints) -> Ints:
    """Which span of the calendar each episode was sold in, counted from the first."""
    _, place = np.unique(sold_ms // (SPAN_DAYS * DAY_MS), return_inverse=True)
    return np.asarray(place, dtype=np.int64)


def judged(
    heard: Mapping[Kind, tuple[Losses, Ints]], seed: int = 0
) -> tuple[list[Verdict], dict[tuple[str, float], Summary]]:
    """Verdicts by kind and cost, and their summary by (sort, cost).

    Args:
        heard: kind -> (losses, (paths,) times of the sales).
    """
    every = np.unique(np.concatenate([times // (SPAN_DAYS * DAY_MS) for _, times in heard.values()]))
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(every), np.full(len(every), 1 / len(every)), size=DRAWS).astype(np.float64)
    verdicts: list[Verdict] = []
    drawn: dict[tuple[str, float], list[Floats]] = {}
    for kind, (losses, times) in heard.items():
        place = np.searchsorted(every, times // (SPAN_DAYS * DAY_MS))
        for cost in COSTS:
            ours = losses[Rule(OURS), cost]
            again = _drawn(ours, place, counts)
            against = {}
            for sort in SORTS:
                tails = {rule: cvar(loss) for (rule, at), loss in losses.items() if rule.sort == sort and at == cost}
                best = min(tails, key=tails.__getitem__)
                ratios = again / _drawn(losses[best, cost], place, counts)
                drawn.setdefault((sort, cost), []).append(ratios)
                low, high = _interval(ratios, len(every))
                against[sort] = Against(best, tails[best], cvar(ours) / tails[best], low, high)
            verdicts.append(
                Verdict(kind, cost, len(ours), len(np.unique(place)), cvar(ours), float(ours.mean()), against)
            )
    return verdicts, {key: _summary(*key, verdicts, rows, len(every)) for key, rows in drawn.items()}


@dataclass(frozen=True, slots=True)
class Year:
    year: int
    episodes: int
    ours: float
    clock: float
    """CVaR of the best clock of that year."""

    @property
    def ratio(self) -> float:
        return self.ours / self.clock


def by_year(losses: Losses, times: Ints, cost: float) -> list[Year]:
    """Of years with so many episodes that five are in the tail."""
    years = times.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970
    rows = []
    for year in np.unique(years):
        mine = years == year
        if mine.sum() < LEAST_OF_YEAR:
            continue
        ours = cvar(losses[Rule(OURS), cost][mine])
        best = min(cvar(loss[mine]) for (rule, at), loss in losses.items() if rule.sort == CLOCK and at == cost)
        rows.append(Year(int(year), int(mine.sum()), ours, best))
    return rows


def _drawn(losses: Floats, place: Ints, counts: Floats) -> Floats:
    """(draws,) CVaR with the spans counted so many times."""
    order = np.argsort(-losses, kind="stable")
    ranked, spans_of = losses[order], place[order]
    return np.array([cvar_sorted(ranked, count[spans_of]) for count in counts])


def _interval(ratios: Floats, count: int) -> tuple[float, float]:
    if count < LEAST_SPANS or not np.isfinite(ratios).all():
        return float("nan"), float("nan")
    low, high = np.quantile(ratios, BOUNDS)
    return float(low), float(high)


def _summary(sort: str, cost: float, verdicts: Sequence[Verdict], rows: Sequence[Floats], count: int) -> Summary:
    mine = {v.kind.name: v.against[sort].ratio for v in verdicts if v.cost == cost}
    low, high = _interval(_geometric(np.stack(rows)), count)
    worst = max(mine, key=mine.__getitem__)
    return Summary(float(_geometric(np.array(list(mine.values())))), low, high, worst, mine[worst])


def _geometric(ratios: Floats) -> Floats:
    """Mean over the first axis; NaN where a tail is a gain, of which no ratio says anything."""
    return np.asarray(np.exp(np.mean(np.log(np.where(ratios > 0, ratios, np.nan)), axis=0)))
