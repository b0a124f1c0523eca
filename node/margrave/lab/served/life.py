"""One market's hours, lived through by a node that begins at the first of them: what its outcomes teach it.

The rounds are those of `Scorer.score` without what does not touch the ladder (surface, add-ons, words): learn from the
hour that has closed, settle the inputs, forecast, widen, wait for the outcome. A test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.served.rounds import SEEN_H, round_of
from margrave.messages import Bar, MarketHold
from margrave.score.carried import LEVELS, Carried, awaiting, fresh, learnt, widened
from margrave.score.forecast import Forecaster
from margrave.score.hourly import settled
from margrave.settings import WideningPolicy
from margrave.spans import HOUR_MS
from margrave.verdicts import DriftLevel

Floats = NDArray[np.float64]

AT: Final = (0.0, 0.05, 0.5, 0.95, 1.0)
"""Quantiles over the hours that are told of each factor."""
JUDGED: Final = LEVELS.index(0.01)
"""The level whose factor is on the wire's 1 % shortfall."""


@dataclass(frozen=True, slots=True)
class Lived:
    """Factors are on log moves; quantiles at `AT` over the hours."""

    asset: str
    source: str
    first: datetime
    """Close of the first bar that a round was made at; `last` of the last."""
    last: datetime
    hours: int
    held: int
    """Of `hours`, those without a forecast."""
    learnt_down: tuple[float, ...]
    """What outcomes have made of the factor on the 1 % rung, without haste's and drift's."""
    learnt_up: tuple[float, ...]
    haste: tuple[float, ...]
    """As governance bounds it."""
    hasty: float
    """Share of hours in which it is above 1."""
    levels: Mapping[str, float]
    """Share of hours at each drift level."""
    climbed: Mapping[str, int]
    """How often each was come to from the one below."""


def live(
    forecaster: Forecaster, policy: WideningPolicy, asset: str, bars: Sequence[Bar], first: int
) -> Iterator[tuple[Carried, bool]]:
    """A round at the close of each bar from `first` on: what is carried on from it, and whether it had a forecast.

    Args:
        bars: consecutive hours.
    """
    state = fresh(b"")
    for end in range(first + 1, len(bars) + 1):
        market = round_of(asset, bars[max(end - SEEN_H, 0) : end], bars[end - 1].close)
        state = settled(learnt(state, market, forecaster.horizon_h, policy), market, forecaster.prior)
        (said,) = forecaster.forecast([market], {asset: state})
        if not isinstance(said, MarketHold):
            ladder = widened(said.closed, state, policy)
            state = awaiting(state, bars[end - 1].open_time_ms + HOUR_MS, ladder, said.hour, said.unlike)
        yield state, not isinstance(said, MarketHold)


def told(
    asset: str, source: str, first: datetime, last: datetime, rounds: Sequence[tuple[Carried, bool]], most_haste: float
) -> Lived:
    """The figures of `live`."""
    states = [state for state, _ in rounds]
    haste = np.array([min(state.drift.haste, most_haste) for state in states])
    levels = [state.drift.level for state in states]
    climbs = [after for before, after in pairwise((DriftLevel.STEADY, *levels)) if after > before]
    return Lived(
        asset=asset,
        source=source,
        first=first,
        last=last,
        hours=len(rounds),
        held=sum(not spoken for _, spoken in rounds),
        learnt_down=_quantiles(np.exp([state.down.log_factor[JUDGED] for state in states])),
        learnt_up=_quantiles(np.exp([state.up.log_factor[JUDGED] for state in states])),
        haste=_quantiles(haste),
        hasty=round(float((haste > 1).mean()), 4),
        levels={level.name.lower(): round(levels.count(level) / len(levels), 5) for level in DriftLevel},
        climbed={level.name.lower(): climbs.count(level) for level in DriftLevel if level > DriftLevel.STEADY},
    )


def _quantiles(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in np.quantile(values, AT))
