"""What a market's rounds carry on from one to the next besides its surface: forecasts that wait for their outcome, and
what outcomes have taught.

It is an input of the round, journalled with the snapshot: a replayed round gives the same words, and a node that was
killed goes on from the last round it saw. Everything in it is bounded: one forecast an hour over the horizon, a handful
of factors inside governance's bounds.

A forecast is made once an hour, on the closed bars, and judged once: when the hour that ends its horizon has closed, by
the guarded bars of that round. Rounds that were held, hours that nobody served and hours that the guard did not believe
judge nothing. The attack here is an outcome that never was: a jump that venues made and took back would widen the
ladder for a day, or, made often enough on the quiet side, talk it down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.messages import Ladder, MarketSnapshot
from margrave.score.conformal import GAMMA, Widening
from margrave.settings import WideningPolicy

Floats = NDArray[np.float64]

HOUR_MS: Final = 3_600_000
LEVELS: Final = (0.025, 0.01, 0.005, 0.001, 0.0005)
"""Tail probabilities whose quantiles are judged, descending."""
_RUNGS: Final = ("q975", "q995", "es99", "q9995", "es999")
_WIDENED_AT: Final = (0, 2, 1, 4, 3)
"""Index into `LEVELS` of what widens each of the wire's rungs: a shortfall by the quantile of its own level."""
ALL_BUT: Final = 1 - 1e-12
"""No fall is of all there is, and no rung is of nothing: logs stay finite."""
MOST_AWAITED: Final = 200
"""More than the longest horizon has hours: 168."""


class Awaited(msgspec.Struct, frozen=True, array_like=True):
    """What was said about the hours after one closed bar."""

    from_ms: int
    """When that bar closed."""
    sigma_1h: float
    """Standard deviation of the next hour's log return."""
    down: tuple[float, ...]
    """Log losses at `LEVELS`, as they were published."""
    up: tuple[float, ...]


class Carried(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market's, as it goes into a round."""

    model_set: bytes
    """Whose forecasts these are: what was learnt about other models is worth nothing here."""
    down: Widening
    up: Widening
    judged_ms: int = 0
    """Close of the newest hour whose outcome is known to this."""
    awaited: tuple[Awaited, ...] = ()
    """Ascending."""


class Outcome(msgspec.Struct, frozen=True):
    """An hour that came after a forecast: its log return over the standard deviation that was forecast."""

    close_ms: int
    residual: float


def fresh(model_set: bytes) -> Carried:
    return Carried(model_set=model_set, down=Widening.none(LEVELS), up=Widening.none(LEVELS))


def learnt(
    before: Carried, market: MarketSnapshot, horizon_h: int, policy: WideningPolicy
) -> tuple[Carried, tuple[Outcome, ...]]:
    """What the bars of this round teach, and the hours since the last one, ascending; the same bars again teach
    nothing."""
    if not market.bars:
        return before, ()
    closes = {bar.open_time_ms + HOUR_MS: bar.close for bar in market.bars}
    newest_ms = market.bars[-1].open_time_ms + HOUR_MS
    believed = closes.keys() - {at_ms + HOUR_MS for at_ms in market.disbelieved}
    down, up, waiting, hours = before.down, before.up, [], []
    gamma, bounds = GAMMA / horizon_h, (math.log(policy.least), math.log(policy.most))
    for said in before.awaited:
        first_ms, last_ms = said.from_ms + HOUR_MS, said.from_ms + horizon_h * HOUR_MS
        if first_ms > before.judged_ms and {said.from_ms, first_ms} <= believed:
            hours.append(Outcome(first_ms, math.log(closes[first_ms] / closes[said.from_ms]) / said.sigma_1h))
        if last_ms > newest_ms:
            waiting.append(said)
        elif {said.from_ms, last_ms} <= believed:
            gain = math.log(closes[last_ms] / closes[said.from_ms])
            down = down.after(-gain, np.asarray(said.down), gamma=gamma, bounds=bounds)
            up = up.after(gain, np.asarray(said.up), gamma=gamma, bounds=bounds)
    after = msgspec.structs.replace(
        before, down=down, up=up, judged_ms=max(before.judged_ms, newest_ms), awaited=tuple(waiting)
    )
    return after, tuple(hours)


def awaiting(before: Carried, closed_ms: int, ladder: Ladder, sigma_1h: float) -> Carried:
    """The same with this hour's forecast waiting, if none of this hour or a later one is: rounds are many an hour."""
    if before.awaited and before.awaited[-1].from_ms >= closed_ms:
        return before
    if not 0 < sigma_1h < math.inf:
        return before
    down, up = (_quantiles(side) for side in _sides(ladder))
    said = Awaited(closed_ms, sigma_1h, tuple(down.tolist()), tuple(up.tolist()))
    return msgspec.structs.replace(before, awaited=(*before.awaited, said)[-MOST_AWAITED:])


def widened(ladder: Ladder, carried: Carried, extra: float = 1.0) -> Ladder:
    """The ladder with both sides' factors, and one more, on its rungs' log moves; each side ascends again."""
    if extra == 1 and not any((*carried.down.log_factor, *carried.up.log_factor)):
        return ladder
    sides: dict[str, float] = {}
    for name, side, state in zip(("down", "up"), _sides(ladder), (carried.down, carried.up), strict=True):
        factors = np.exp(np.asarray(state.log_factor))[list(_WIDENED_AT)]
        moved = np.maximum.accumulate(side * factors * extra)
        back = -np.expm1(-moved) if name == "down" else np.expm1(moved)
        sides |= {f"{name}_{rung}": float(value) for rung, value in zip(_RUNGS, back, strict=True)}
    return Ladder(**sides)


def factors(carried: Carried) -> tuple[float, float]:
    """Of the shortfalls at 1 %, down and up."""
    at = LEVELS.index(0.01)
    return math.exp(carried.down.log_factor[at]), math.exp(carried.up.log_factor[at])


def _sides(ladder: Ladder) -> tuple[Floats, Floats]:
    """The rungs as log moves, both positive, in the wire's order."""
    down = np.array([getattr(ladder, f"down_{rung}") for rung in _RUNGS])
    up = np.array([getattr(ladder, f"up_{rung}") for rung in _RUNGS])
    return -np.log1p(-np.minimum(down, ALL_BUT)), np.log1p(up)


def _quantiles(side: Sequence[float] | Floats) -> Floats:
    """At `LEVELS`, from the three that the wire has: log of the move linear in log of the probability between them."""
    q975, q995, _, q9995, _ = side
    known = np.log([0.0005, 0.005, 0.025])
    moves = np.log(np.maximum([q9995, q995, q975], 1 - ALL_BUT))
    return np.asarray(np.exp(np.interp(np.log(LEVELS), known, moves)))
