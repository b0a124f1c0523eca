"""Asked between the hours: what the provisional bar is worth, and which model speaks how often.

Every `STRIDE_H` hours each market is asked at half past, as a round in the middle of an hour would, and judged by the
price one margin period later. Told apart by whether the index had moved since the close as far as the forecaster wants
before it asks with a provisional bar. Before any widening: what is measured is the models' own answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.history import Stretch
from margrave.lab.served.rounds import FIRST_H, bars_of, round_of
from margrave.messages import Bar, Ladder, MarketHold, MarketSnapshot
from margrave.score.carried import Carried, fresh
from margrave.score.forecast import BASELINE_FLOOR, Forecast, Forecaster
from margrave.score.hourly import settled
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]

STRIDE_H: Final = 5
"""Divides no day, so that every hour of the day is asked; outcomes of four hours do not overlap."""
RUNGS: Final = ("down_q975", "down_q995", "up_q975", "up_q995")


@dataclass(frozen=True, slots=True)
class Row:
    """One market at one half past."""

    open_ms: int
    """Of the hour."""
    market: str
    moved: bool
    passed_closed: tuple[bool, ...]
    """Whether the outcome went beyond each of `RUNGS` as the closed bars alone have them."""
    passed: tuple[bool, ...]
    """And as they are published, before widening."""
    unlike: float
    fallback: bool
    floored: bool
    """A rung of the main model lay below its share of the baseline's."""
    es99_over_baseline: float
    """The main model's shortfall down over the baseline's; NaN where either gave none."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Shares of `times`, by rung; `None` of none."""

    times: int
    closed: Mapping[str, float | None]
    published: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Between:
    moved: Passed
    still: Passed
    unlike: float | None
    """Share of times at which the input was unlike the training data."""
    fallback: float | None
    floored: float | None
    most_es99_where_unlike: float | None
    """The most that the main model's ES99 down was over the baseline's where the input was unlike; `None`: it never
    was, or the main model gave no number."""


def ask(
    forecaster: Forecaster, stretches: Sequence[Stretch], halves: Sequence[Floats], from_ms: int, to_ms: int
) -> Iterator[Row]:
    """All markets that have four weeks of bars, a price at half past and one a margin period later, together: they are
    each other's inputs.

    Args:
        halves: (hours,) of each stretch, as `half_past` finds them.
    """
    bars = [bars_of(stretch) for stretch in stretches]
    states: dict[str, Carried] = {}
    lies_in: dict[str, int] = {}
    for open_ms in range(from_ms, to_ms, STRIDE_H * HOUR_MS):
        markets: list[MarketSnapshot] = []
        outcomes: list[float] = []
        for place, stretch in enumerate(stretches):
            at = (open_ms - int(stretch.open_ms[0])) // HOUR_MS
            then = at + forecaster.horizon_h
            if at < FIRST_H or then >= len(stretch) or not np.isfinite(halves[place][[at, then]]).all():
                continue
            market = round_of(stretch.asset, bars[place][at - FIRST_H : at], float(halves[place][at]))
            if lies_in.get(stretch.asset) != place:
                # its first hours, or its next stretch: a node would have been without it for a while
                lies_in[stretch.asset], states[stretch.asset] = place, fresh(b"")
            states[stretch.asset] = settled(states[stretch.asset], market, forecaster.prior)
            markets.append(market)
            outcomes.append(float(np.log(halves[place][then] / halves[place][at])))
        if not markets:
            continue
        for market, said, outcome in zip(markets, forecaster.forecast(markets, states), outcomes, strict=True):
            if not isinstance(said, MarketHold):
                yield _row(forecaster, open_ms, market, said, outcome)


def _row(forecaster: Forecaster, open_ms: int, market: MarketSnapshot, said: Forecast, outcome: float) -> Row:
    main, baseline = (said.ladders.get(model.name) for model in (forecaster.main, forecaster.baseline))
    return Row(
        open_ms=open_ms,
        market=market.market,
        moved=_moved(market.bars, market.price),
        passed_closed=_passed(said.closed, outcome),
        passed=_passed(said.ladder, outcome),
        unlike=said.unlike,
        fallback=said.fallback,
        floored=bool(main and baseline and _below(main, baseline)),
        es99_over_baseline=main.down_es99 / baseline.down_es99 if main and baseline else float("nan"),
    )


def _moved(bars: Sequence[Bar], price: float) -> bool:
    """By more than the root of the mean squared hour of the last four weeks, as the forecaster has it."""
    returns = np.diff(np.log([bar.close for bar in bars]))[-FIRST_H + 2 :]
    return bool(np.log(price / bars[-1].close) ** 2 > np.mean(returns**2))


def _passed(ladder: Ladder, outcome: float) -> tuple[bool, ...]:
    down, up = -np.expm1(outcome), np.expm1(outcome)
    return tuple(bool((down if rung.startswith("down") else up) > getattr(ladder, rung)) for rung in RUNGS)


def _below(main: Ladder, baseline: Ladder) -> bool:
    pairs = zip(msgspec.structs.astuple(main), msgspec.structs.astuple(baseline), strict=True)
    return any(rung < BASELINE_FLOOR * other for rung, other in pairs)


def told(rows: Sequence[Row]) -> Between:
    """The figures of `ask`."""
    ratios = [row.es99_over_baseline for row in rows if row.unlike > 1 and np.isfinite(row.es99_over_baseline)]
    return Between(
        moved=_shares([row for row in rows if row.moved]),
        still=_shares([row for row in rows if not row.moved]),
        unlike=_share([row.unlike > 1 for row in rows]),
        fallback=_share([row.fallback for row in rows]),
        floored=_share([row.floored for row in rows]),
        most_es99_where_unlike=round(max(ratios), 3) if ratios else None,
    )


def _shares(rows: Sequence[Row]) -> Passed:
    return Passed(
        times=len(rows),
        closed={rung: _share([row.passed_closed[place] for row in rows]) for place, rung in enumerate(RUNGS)},
        published={rung: _share([row.passed[place] for row in rows]) for place, rung in enumerate(RUNGS)},
    )


def _share(flags: Sequence[bool]) -> float | None:
    return round(sum(flags) / len(flags), 5) if flags else None
