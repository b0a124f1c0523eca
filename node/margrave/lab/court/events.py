"""How good probabilities of an event are: does the forecast part what happens from what does not, is it right on
average, and by more than luck.

Labels are 0 or 1, probabilities within [0, 1]; arrays of shape (n,). A measure that needs both an event and a
non-event is NaN where one is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS: Final = 10


def auroc(happened: Floats, said: Floats) -> float:
    """Probability that an event was said likelier than a non-event, ties one half (Mann and Whitney 1947)."""
    events, count = float(happened.sum()), len(happened)
    if not 0 < events < count:
        return float("nan")
    ranks = stats.rankdata(said)
    return float((ranks[happened > 0].sum() - events * (events + 1) / 2) / (events * (count - events)))


def auprc(happened: Floats, said: Floats) -> float:
    """`average_precision`, where there is a non-event to tell apart."""
    return average_precision(happened, said) if happened.sum() < len(happened) else float("nan")


def average_precision(happened: Floats, said: Floats) -> float:
    """The sum of precision over steps of recall, forecasts that tie taken together (no interpolation, which would
    flatter; Davis and Goadrich 2006). One where everything happened, NaN where nothing did."""
    events = float(happened.sum())
    if not events:
        return float("nan")
    order = np.argsort(-said, kind="stable")
    hits = np.cumsum(happened[order])
    last = np.append(np.diff(said[order]) != 0, True)
    hits, taken = hits[last], np.flatnonzero(last) + 1.0
    return float((np.diff(np.append(0.0, hits)) / events * hits / taken).sum())


def brier(happened: Floats, said: Floats) -> float:
    return float(np.mean((said - happened) ** 2))


def skill(happened: Floats, said: Floats, reference: Floats) -> float:
    """One less the Brier score over the reference's; 1 is perfect, 0 as good, below 0 worse."""
    base = brier(happened, reference)
    return 1.0 - brier(happened, said) / base if base > 0 else float("nan")


def calibration(happened: Floats, said: Floats, bins: int = BINS) -> list[tuple[float, float, int]]:
    """(mean said, share happened, count) of bins with as many rows each, ascending; fewer where forecasts tie."""
    if not len(said):
        return []
    order = np.argsort(said, kind="stable")
    # forecasts that tie stay in one bin, or the order of the rows would make a difference
    place = np.searchsorted(said[order], said[order], side="left") * bins // len(said)
    return [
        (float(said[order][place == b].mean()), float(happened[order][place == b].mean()), int((place == b).sum()))
        for b in np.unique(place)
    ]


def ece(happened: Floats, said: Floats, bins: int = BINS) -> float:
    """Expected calibration error: the mean distance of what was said from what happened, over bins of equal mass
    (Nguyen and O'Connor 2015): bins of equal width would be all but one empty where events are rare."""
    found = calibration(happened, said, bins)
    return sum(count * abs(mean - share) for mean, share, count in found) / len(said) if found else float("nan")


@dataclass(frozen=True, slots=True)
class Tested:
    """A statistic, standard normal if there is nothing to it, and its two-sided p."""

    z: float
    p: float


NOT_TESTED: Final = Tested(float("nan"), float("nan"))


def spiegelhalter(happened: Floats, said: Floats) -> Tested:
    """Spiegelhalter's (1986) test that forecasts are calibrated: z above zero where events outdo them. Rows are taken
    to be independent: thin them before."""
    spread = 1.0 - 2.0 * said
    variance = float((spread**2 * said * (1.0 - said)).sum())
    if variance <= 0:
        return NOT_TESTED
    return _tested(float(((happened - said) * spread).sum()) / variance**0.5)


def delong(happened: Floats, first: Floats, second: Floats, clusters: Ints | None = None) -> Tested:
    """Whether two forecasts' AUROCs differ (DeLong, DeLong and Clarke-Pearson 1988); z above zero favours the first.

    Args:
        clusters: (n,) rows of one number depend on each other, as hours of one week do: their components are summed
            before variances are taken (Obuchowski 1997). Without them every row stands for itself.
    """
    events, rest = happened > 0, happened <= 0
    if events.sum() < 2 or rest.sum() < 2:
        return NOT_TESTED
    (here, there), difference = _components(events, first), auroc(happened, first) - auroc(happened, second)
    other = _components(events, second)
    here, there = here - other[0], there - other[1]
    if clusters is None:
        variance = float(here.var(ddof=1)) / len(here) + float(there.var(ddof=1)) / len(there)
    else:
        _, place = np.unique(clusters, return_inverse=True)
        count = int(place.max()) + 1
        above = np.bincount(place[events], weights=here - here.mean(), minlength=count) / len(here)
        below = np.bincount(place[rest], weights=there - there.mean(), minlength=count) / len(there)
        variance = float(((above + below) ** 2).sum()) * count / max(count - 1, 1)
    if variance <= 0:
        return NOT_TESTED if difference == 0 else _tested(float(np.copysign(np.inf, difference)))
    return _tested(difference / variance**0.5)


def _components(events: NDArray[np.bool_], said: Floats) -> tuple[Floats, Floats]:
    """DeLong's structural components by midranks (Sun and Xu 2014): of each event and of each non-event."""
    above, below = said[events], said[~events]
    whole = stats.rankdata(np.concatenate((above, below)))
    mine = (whole[: len(above)] - stats.rankdata(above)) / len(below)
    theirs = 1.0 - (whole[len(above) :] - stats.rankdata(below)) / len(above)
    return mine, theirs


def _tested(z: float) -> Tested:
    return Tested(float(z), 2.0 * float(stats.norm.sf(abs(z))))
