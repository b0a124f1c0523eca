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
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.messages import Ladder, MarketScores, MarketSnapshot
from margrave.score.conformal import GAMMA, Widening
from margrave.score.drift import Drift, Seen, score
from margrave.score.features.running import Running
from margrave.score.regime import Regarded, RegimeState, step
from margrave.settings import WideningPolicy
from margrave.spans import HOUR_MS
from margrave.verdicts import DriftLevel

Floats = NDArray[np.float64]

LEVELS: Final = (0.025, 0.01, 0.005, 0.001, 0.0005)
"""Tail probabilities whose quantiles are judged, descending."""
_RUNGS: Final = ("q975", "q995", "es99", "q9995", "es999")
_WIDENED_AT: Final = (0, 2, 1, 4, 3)
"""Index into `LEVELS` of what widens each of the wire's rungs: a shortfall by the quantile of its own level."""
ALL_BUT: Final = 1 - 1e-12
"""No fall is of all there is, and no rung is of nothing: logs stay finite."""
MOST_UNLIKE: Final = 2.0
"""Twice as far from the training data as any of it was: further says no more."""
MOST_AWAITED: Final = 200
"""More than the longest horizon has hours: 168."""


class Awaited(msgspec.Struct, frozen=True, array_like=True):
    """What was said about the hours after one closed bar."""

    from_ms: int
    """When that bar closed."""
    down: tuple[float, ...]
    """Log losses over the margin period at `LEVELS`, as they were published."""
    up: tuple[float, ...]
    hour_down: tuple[float, ...]
    """The models' own, of the next hour: what drift is measured by, which must not feed on what it causes."""
    hour_up: tuple[float, ...]
    unlike: float
    """How unlike the training data the input was."""


class Beside(msgspec.Struct, frozen=True, array_like=True):
    """What was known beside an hour when it closed."""

    open_ms: int
    vol_index: float | None
    funding_8h: float | None


class Carried(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market's, as it goes into a round."""

    model_set: bytes
    """Whose forecasts these are: what was learnt about other models is worth nothing here."""
    down: Widening
    up: Widening
    drift: Drift = Drift()
    running: Running | None = None
    """What the inputs need of the past, an hour behind the newest closed one (`score.hourly`)."""
    beside: Beside | None = None
    """Of the newest closed hour, as the first round after it was told."""
    judged_ms: int = 0
    """Close of the newest hour whose outcome is known to this."""
    awaited: tuple[Awaited, ...] = ()
    """Ascending."""
    regime: RegimeState = RegimeState()
    """As the last round that was scored left it."""


def fresh(model_set: bytes) -> Carried:
    return Carried(model_set=model_set, down=Widening.none(LEVELS), up=Widening.none(LEVELS))


def regarded(before: Carried, now_ms: int, market: MarketSnapshot, scores: MarketScores) -> Carried:
    """What a round's own scores add: the regime is told by them, and by what the venues tell of funding and force."""
    forced = (market.liquidated_long_usd_per_hour, market.liquidated_short_usd_per_hour)
    seen = Regarded(
        now_ms=now_ms,
        score=max(scores.score, math.fsum(reason.points for reason in scores.reasons)),
        drift=scores.drift,
        funding_8h=market.funding_8h,
        liquidated_usd_per_hour=None if forced == (None, None) else sum(usd or 0.0 for usd in forced),
        open_interest_usd=market.open_interest_usd,
    )
    return msgspec.structs.replace(before, regime=step(before.regime, seen))


def learnt(before: Carried, market: MarketSnapshot, horizon_h: int, policy: WideningPolicy) -> Carried:
    """What the bars of this round teach; the same bars again teach nothing."""
    if not market.bars or market.bars[-1].open_time_ms + HOUR_MS <= before.judged_ms:
        return before
    asked_ms = min((said.from_ms for said in before.awaited), default=market.bars[-1].open_time_ms)
    past = _Past.of(market, min(asked_ms, before.judged_ms))
    down, up, waiting = before.down, before.up, []
    gamma, bounds = GAMMA / horizon_h, (math.log(policy.least), math.log(policy.most))
    for said in before.awaited:
        end_ms = said.from_ms + horizon_h * HOUR_MS
        if end_ms > past.newest_ms:
            waiting.append(said)
        elif (gain := past.gain(said.from_ms, end_ms)) is not None:
            down = down.after(-gain, np.asarray(said.down), gamma=gamma, bounds=bounds)
            up = up.after(gain, np.asarray(said.up), gamma=gamma, bounds=bounds)
    return msgspec.structs.replace(
        before,
        down=down,
        up=up,
        drift=_drifted(before, past),
        judged_ms=max(before.judged_ms, past.newest_ms),
        awaited=tuple(waiting),
    )


def _drifted(before: Carried, past: _Past) -> Drift:
    """The detectors after each hour that has closed since the last round, whether or not anything was said about it."""
    said_from = {said.from_ms: said for said in before.awaited}
    drift = before.drift
    for close_ms in range(before.judged_ms + HOUR_MS, past.newest_ms + 1, HOUR_MS) if before.judged_ms else ():
        gain = past.gain(close_ms - HOUR_MS, close_ms)
        said = said_from.get(close_ms - HOUR_MS)
        seen = None
        if said is not None and gain is not None:
            seen = score(gain, np.asarray(said.hour_down), np.asarray(said.hour_up), np.asarray(LEVELS))
        features = {} if said is None else {"unlike": min(said.unlike / MOST_UNLIKE, 1.0)}
        drift = drift.after(Seen(score=seen, moved=None if gain is None else gain != 0, features=features))
    return drift


@dataclass(frozen=True, slots=True)
class _Past:
    """A snapshot's closed hours by when they closed."""

    closes: Mapping[int, float]
    believed: AbstractSet[int]
    newest_ms: int

    @classmethod
    def of(cls, market: MarketSnapshot, from_ms: int) -> _Past:
        """From the close at `from_ms` on: what is before it nobody asks for."""
        opened_ms = from_ms - HOUR_MS
        closes = {bar.open_time_ms + HOUR_MS: bar.close for bar in market.bars if bar.open_time_ms >= opened_ms}
        return cls(closes, closes.keys() - {at_ms + HOUR_MS for at_ms in market.disbelieved}, max(closes))

    def gain(self, from_ms: int, to_ms: int) -> float | None:
        """Log return between two closes, if both are there and believed."""
        if not {from_ms, to_ms} <= self.believed:
            return None
        return math.log(self.closes[to_ms] / self.closes[from_ms])


def awaiting(before: Carried, closed_ms: int, published: Ladder, hour: Ladder, unlike: float) -> Carried:
    """The same with this hour's forecast waiting, if none of this hour or a later one is: rounds are many an hour.

    Args:
        published: the ladder of the closed bars as it was widened.
        hour: the models' own ladder of the next hour.
    """
    if before.awaited and before.awaited[-1].from_ms >= closed_ms:
        return before
    down, up, hour_down, hour_up = (
        tuple(_quantiles(side).tolist()) for ladder in (published, hour) for side in _sides(ladder)
    )
    said = Awaited(closed_ms, down, up, hour_down, hour_up, unlike)
    return msgspec.structs.replace(before, awaited=(*before.awaited, said)[-MOST_AWAITED:])


def widened(ladder: Ladder, carried: Carried, policy: WideningPolicy) -> Ladder:
    """The ladder with both sides' factors, haste's and drift's on top, on its rungs' log moves; each side ascends."""
    on_drift = policy.on_drift if carried.drift.level >= DriftLevel.WIDENED else 1.0
    extra = min(carried.drift.haste, policy.on_haste) * on_drift
    if extra == 1 and not any((*carried.down.log_factor, *carried.up.log_factor)):
        return ladder
    sides = []
    for side, state in zip(_sides(ladder), (carried.down, carried.up), strict=True):
        factors = np.exp(np.asarray(state.log_factor))[list(_WIDENED_AT)]
        sides.append(np.maximum.accumulate(side * factors * extra))
    return _ladder(sides)


def hour_of(ladder: Ladder, horizon_h: int) -> Ladder:
    """A ladder of one hour from one of some, by the square root of time, where a model says nothing of one hour."""
    return _ladder([side / math.sqrt(horizon_h) for side in _sides(ladder)])


def factor(of: float, over: float, *, up: bool) -> float:
    """By which the log move of a rung was widened: `of` the published one, `over` the models' own."""
    return math.log1p(of) / math.log1p(over) if up else math.log1p(-of) / math.log1p(-over)


def _ladder(sides: Sequence[Floats]) -> Ladder:
    """The wire's rungs from both sides' log moves."""
    down, up = -np.expm1(-sides[0]), np.expm1(sides[1])
    named = {f"down_{rung}": float(value) for rung, value in zip(_RUNGS, down, strict=True)}
    return Ladder(**named, **{f"up_{rung}": float(value) for rung, value in zip(_RUNGS, up, strict=True)})


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
