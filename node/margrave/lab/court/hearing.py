"""What every judgement of one horizon shares: the pairs that all families answered, and losses compared over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.comparison import Difference, diebold_mariano, model_confidence_set
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import Answers
from margrave.spans import DAY_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

HEARD: Final = 0.5
"""Share of the pairs that anyone answered which a family answers too, or it is not heard at that horizon."""
MCS_BLOCK: Final = 10
"""Days, or times where they lie further apart."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The (row, asset) pairs that every family heard answered soundly, so that all are judged on the same."""

    rows: Ints
    assets: Ints
    said: Mapping[str, Floats]
    unanswered: Mapping[str, int]
    """By family, heard or not: pairs that some other family answered and it did not."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Against:
    """A family's mean loss less another's on the same pairs; negative favours the family."""

    family: str
    other: str
    loss: str
    difference: float
    t: float
    p: float
    times: int
    holm_p: float = float("nan")
    """Adjusted over all comparisons of the report's kind."""


def agree(answers: Mapping[str, Answers], assets: int, sound: Callable[[Floats], Flags]) -> Agreed:
    """
    Args:
        sound: said (pairs, …) -> (pairs,), whether it is an answer at all.
    """
    keys = {name: answer.rows * assets + answer.assets for name, answer in answers.items()}
    good = {name: sound(answer.said) for name, answer in answers.items()}
    sound_keys = {name: keys[name][good[name]] for name in answers}
    anyone = reduce(np.union1d, sound_keys.values())
    # One that is mostly silent would take the others' sample with it.
    heard = [name for name in answers if len(anyone) and len(sound_keys[name]) >= HEARD * len(anyone)]
    common = reduce(np.intersect1d, [sound_keys[name] for name in heard]) if heard else anyone[:0]
    return Agreed(
        rows=common // assets,
        assets=common % assets,
        said={name: _at(answers[name].said, keys[name], common) for name in heard},
        unanswered={name: len(anyone) - len(sound_keys[name]) for name in answers},
    )


def _at(said: Floats, keys: Ints, common: Ints) -> Floats:
    # of tails there are gigabytes: no copy of what is wanted whole
    return said if len(keys) == len(common) else said[np.searchsorted(keys, common)]


def sound_pairs(answer: Answers, assets: int, sound: Callable[[Floats], Flags]) -> Ints:
    """(pairs,), ascending: a number for each (row, asset) that was answered soundly."""
    return np.asarray((answer.rows * assets + answer.assets)[sound(answer.said)])


def kept(answer: Answers, assets: int, pairs: Ints) -> Answers:
    """Of these pairs alone."""
    mine = np.isin(answer.rows * assets + answer.assets, pairs)
    return Answers(answer.rows[mine], answer.assets[mine], answer.said[mine])


def compared(
    losses: Mapping[str, Floats], times: Ints, baselines: Sequence[str], loss: str
) -> tuple[list[Against], dict[str, float]]:
    """(every family against every baseline but itself, each family's p-value for being among the best)."""
    by_time = {name: at_each_time(values, times) for name, values in losses.items()}
    rows = []
    for name in losses:
        for other in baselines:
            if other != name:
                found: Difference = diebold_mariano(by_time[name], by_time[other])
                rows.append(Against(name, other, loss, found.mean, found.t, found.p, found.times))
    return rows, _confidence_set(by_time, np.unique(times))


def at_each_time(losses: Floats, times: Ints) -> Floats:
    """(distinct times, ascending): what each adds to the mean over all forecasts, in units of that mean.

    Assets crash together, so a time is one observation; but one at which forty assets were judged says more than one at
    which a single asset was, and the mean of this series is the mean over forecasts, which is what the tables show.
    """
    _, place = np.unique(times, return_inverse=True)
    sums = np.bincount(place, weights=losses)
    return np.asarray(sums * (len(sums) / len(losses)))


def _confidence_set(by_time: Mapping[str, Floats], times: Ints) -> dict[str, float]:
    """On means by day, which keep what hours of one day have in common and cost a bootstrap a day's worth."""
    if len(by_time) < 2:
        return dict.fromkeys(by_time, float("nan"))
    days, place = np.unique(times // DAY_MS, return_inverse=True)
    counts = np.bincount(place)
    daily = {name: np.bincount(place, weights=values) / counts for name, values in by_time.items()}
    if len(days) < 4 * MCS_BLOCK:
        return dict.fromkeys(by_time, float("nan"))
    return dict(model_confidence_set(daily, block=MCS_BLOCK))


def date(panel: Panel, row: int) -> str:
    return str(np.datetime64(int(panel.known_ms[row]), "ms").astype("datetime64[D]"))
