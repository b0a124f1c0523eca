"""What kind of day a market has, in one word: how its score stands to what is usual for it, and what else speaks.

The score means the same in every market, so a small coin's usual day would be a large one's crisis. The word is about
the market itself: the log of the score over its own usual level, a mean that forgets within a month. Drift that widens
the ladder, liquidations that are a visible share of what is open, and funding that nobody pays on an ordinary day each
speak for a regime by themselves; the gravest counts. A score that says that the margin is all but eaten is grave in any
market.

Up at once, as far as the evidence goes; down by one word after `RELEASE_H` hours without evidence for the present one.
The attack here is a score that hovers about a threshold, or is pushed over it and back: a word that changes with every
round is worth nothing to those who act on it. Hours that nobody served prove nothing calm: a round counts for an hour
at most.

Nothing is bounded by it and no model reads it. It is carried from round to round beside what outcomes have taught.
"""

from __future__ import annotations

import math
from typing import Final

from margrave.messages import Message
from margrave.spans import HOUR_MS
from margrave.verdicts import DriftLevel, Regime

ORDER: Final = tuple(Regime)
"""From the quietest to the gravest."""

MEMORY_H: Final = 720.0
"""Of the usual level: hours that its mean is over."""
PRIOR_H: Final = 168.0
"""What is usual in all markets counts as so many hours of a market of which nothing is known yet."""
TYPICAL: Final = 2_500.0
"""The score that a market begins with as its usual one: see docs/score.md."""
MOST_TAUGHT: Final = 0.7
"""Log units above the usual level that one hour can teach it: a crisis is remembered, and does not become the norm."""
CALM_BELOW: Final = -0.2
ABOVE: Final = {Regime.ELEVATED: 1.0, Regime.STRESSED: 1.4, Regime.CRISIS: 1.8}
"""Log of the score over the usual one, from which on. Scores have hours of the day, and a rule that answers to less
tells people what time it is: from 0.7 on, markets were more than ordinary half of the time. docs/score.md has what was
tried."""
POINTS: Final = {Regime.ELEVATED: 10_000.0}
"""Of the score itself: all of the reference margin."""
LIQUIDATED: Final = {Regime.ELEVATED: 0.005, Regime.STRESSED: 0.02, Regime.CRISIS: 0.05}
"""Share of the open interest within an hour. A judgement on the scale of 2025-10-10, when a fifth or a quarter of what
was open went within hours."""
FUNDING_8H: Final = {Regime.ELEVATED: 0.001}
"""Either way. A tenth of a percent in eight hours is more than 100 % a year."""
DRIFTED: Final = {DriftLevel.WIDENED: Regime.ELEVATED, DriftLevel.BASELINE: Regime.STRESSED}
RELEASE_H: Final = 24.0


class Regarded(Message, frozen=True, kw_only=True):
    """What one round shows of a market. What is not known is None and says nothing."""

    now_ms: int
    score: float
    """Points before the cap (`composite.Scored.points`): beyond it, too, there is more and less."""
    drift: DriftLevel = DriftLevel.STEADY
    funding_8h: float | None = None
    liquidated_usd_per_hour: float | None = None
    """Of both sides."""
    open_interest_usd: float | None = None


class RegimeState(Message, frozen=True, kw_only=True):
    """One market's, as it goes from round to round."""

    regime: Regime = Regime.NORMAL
    usual: float = math.log(TYPICAL)
    """Mean log score."""
    hours: float = PRIOR_H
    """That the mean is over, up to `MEMORY_H`."""
    calm_h: float = 0.0
    """Without evidence for the present regime."""
    at_ms: int = 0
    """Of the last round; 0 before any."""
    since_ms: int = 0
    """When the present regime began."""


def step(before: RegimeState, seen: Regarded) -> RegimeState:
    """After one more round. The same round again, an earlier one, and a score that is no number, change nothing."""
    if seen.now_ms <= before.at_ms or not (math.isfinite(seen.score) and seen.score >= 0):
        return before
    hours = min((seen.now_ms - before.at_ms) / HOUR_MS, 1.0) if before.at_ms else 1.0
    wanted = evidence(seen, before.usual)
    regime, calm_h = _held(before, wanted, hours)
    taught = min(math.log(max(seen.score, 1.0)), before.usual + MOST_TAUGHT)
    known = min(before.hours + hours, MEMORY_H)
    return RegimeState(
        regime=regime,
        usual=before.usual + (taught - before.usual) * hours / known,
        hours=known,
        calm_h=calm_h,
        at_ms=seen.now_ms,
        since_ms=before.since_ms if regime is before.regime and before.since_ms else seen.now_ms,
    )


def evidence(seen: Regarded, usual: float) -> Regime:
    """The gravest that any figure of the round speaks for.

    Args:
        usual: mean log score.
    """
    over = math.log(max(seen.score, 1.0)) - usual
    found = [Regime.CALM if over < CALM_BELOW else Regime.NORMAL]
    found += [regime for regime, least in ABOVE.items() if over >= least]
    found += [regime for regime, least in POINTS.items() if seen.score >= least]
    found += [regime for level, regime in DRIFTED.items() if seen.drift >= level]
    if seen.funding_8h is not None:
        found += [regime for regime, least in FUNDING_8H.items() if abs(seen.funding_8h) >= least]
    if seen.liquidated_usd_per_hour is not None and seen.open_interest_usd is not None and seen.open_interest_usd > 0:
        share = seen.liquidated_usd_per_hour / seen.open_interest_usd
        found += [regime for regime, least in LIQUIDATED.items() if share >= least]
    return max(found, key=ORDER.index)


def _held(before: RegimeState, wanted: Regime, hours: float) -> tuple[Regime, float]:
    """(the regime after the round, hours without evidence for it)."""
    place, least = ORDER.index(before.regime), ORDER.index(wanted)
    if least >= place:
        return wanted, 0.0
    calm_h = before.calm_h + hours
    return (before.regime, calm_h) if calm_h < RELEASE_H else (ORDER[place - 1], 0.0)
