"""Whether the world has left the model: change detectors on its residuals and inputs, and what follows from them.

Two detectors, both of bounded memory and without a random number, so that a replayed round finds the same:

* Page's (1954) cumulative sum in Hinkley's (1971) form: how far a stream has run from its own mean, less an allowance
  a bar. Quick, and its figure grows with the evidence: the ladder of levels stands on it.
* ADWIN (Bifet and Gavalda 2007, their ADWIN2): a window that is cut where its two parts have different means. Slow,
  but it finds a change of any size if only it lasts.

Streams: the normal score of each outcome under the model's own rungs, before any widening, or the rule would feed on
itself. Its magnitude says that outcomes lie further out than they should, its sign that they lean to one side. And
daily means of what the caller watches of the inputs. One residual a bar of the horizon: the residuals of overlapping
outcomes follow each other and would count as evidence twice.

Haste is for the hours in which nobody can know yet. Levels wait until chance is unlikely, and by then a model that
follows volatility has mostly caught up; the bars before are the ones that hurt. So the rungs are multiplied by a factor
that grows with the same sum from almost nothing on and falls back as soon as outcomes fit: in steady times 6 % of
width, in the 60 bars after volatility has doubled or trebled a third of it.

The levels are climbed one a bar and in order, and left one at a time, after `CALM_BARS` bars without what held them.
The court's chamber `breaks` says how often they are reached for nothing, and how soon after a break.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from margrave.messages import Message
from margrave.score.adwin import Adwin
from margrave.verdicts import DriftLevel, DriftReason

Floats = NDArray[np.float64]

MOST_SCORE: Final = 4.0
"""Standard deviations beyond which an outcome says no more: one absurd bar is not a drift."""
MEMORY_BARS: Final = 720
"""Of a stream's own mean: what has lasted longer is the new normal, and the online widening has met it."""
ALLOWANCE: Final = 0.25
"""A bar, of the magnitude, whose mean is 0.77: what changes less is for the online widening."""
FLAG, WIDEN, FALL_BACK = 6.0, 8.0, 10.0
"""Of the magnitude's sum upwards. Exceeded for nothing 2.1, 0.2 and 0.05 times a year."""
NARROWER: Final = 4.0
"""Of its sum downwards: a ladder that is too wide costs money, not safety, and is flagged only."""
LEAN_ALLOWANCE: Final = 0.35
LEAN: Final = 10.0
"""Of the score with its sign, in either direction. A model that answers by scale takes most of a drift for noise."""
MOST_SUM: Final = 12.0
"""Of any sum: a long break is not remembered longer than a short one."""
LEAST_BARS: Final = 30
"""Before a stream's own mean is one, nothing is said of it."""
STILL_BARS: Final = 3
"""Bars in a row without any move before the feed is called frozen; every further one is a level more."""
CALM_BARS: Final = 24
HELD_BARS: Final = 24
"""Bars for which a cut of an ADWIN window is remembered."""
DAY_BARS: Final = 24
"""Of what is watched of the inputs: their windows overlap for days, and their hourly values say one thing over."""
FEATURE_ALLOWANCE: Final = 0.05
FEATURE: Final = 1.5
WIDENING: Final = 1.15
"""What rungs are multiplied by from WIDENED on, unless governance says otherwise; on real breaks 1.05 did then."""
HASTE: Final = 0.2
HASTE_FROM: Final = 0.5
MOST_HASTE: Final = 1.6
"""Log factor of the rungs a unit of the magnitude's sum beyond `HASTE_FROM`, and the most that comes of it."""


class PageHinkley(Message, frozen=True, kw_only=True):
    """How far a stream has run up and down from its mean."""

    bars: int = 0
    mean: float = 0.0
    rise: float = 0.0
    fall: float = 0.0

    def after(self, value: float, allowance: float, most: float = math.inf) -> PageHinkley:
        """With one value more; both sums stay within [0, `most`]."""
        bars = self.bars + 1
        mean = self.mean + (value - self.mean) / min(bars, MEMORY_BARS)
        away = value - mean
        return PageHinkley(
            bars=bars,
            mean=mean,
            rise=min(max(self.rise + away - allowance, 0.0), most),
            fall=min(max(self.fall - away - allowance, 0.0), most),
        )


class Watched(Message, frozen=True, kw_only=True):
    """One figure of the inputs, by days: the running day's sum, and both detectors over whole days."""

    total: float = 0.0
    bars: int = 0
    days: PageHinkley = PageHinkley()
    window: Adwin = Adwin()

    def after(self, value: float) -> tuple[Watched, bool]:
        """(with one value in [0, 1] more, whether its day closed and a detector found that days have changed)."""
        total, bars = self.total + min(max(value, 0.0), 1.0), self.bars + 1
        if bars < DAY_BARS:
            return Watched(total=total, bars=bars, days=self.days, window=self.window), False
        days = self.days.after(total / bars, FEATURE_ALLOWANCE, MOST_SUM)
        window, cut = self.window.after(total / bars)
        found = cut or (days.bars >= LEAST_BARS and max(days.rise, days.fall) >= FEATURE)
        return Watched(days=days, window=window), found


class Seen(Message, frozen=True, kw_only=True):
    """What one closed bar of the horizon has shown of a market. What is not known is None and moves nothing."""

    score: float | None = None
    """The outcome as a normal score under the rungs that the model gave for it: see `score`."""
    moved: bool | None = None
    """Whether the bar's price differs at all from the one before."""
    features: Mapping[str, float] = {}
    """Figures of the inputs that should stay where they are, each scaled into [0, 1]; a name absent is not known."""


class Drift(Message, frozen=True, kw_only=True):
    """The state of one market: what its journal keeps, and the level that stands after its last bar."""

    size: PageHinkley = PageHinkley()
    lean: PageHinkley = PageHinkley()
    window: Adwin = Adwin()
    features: Mapping[str, Watched] = {}
    still: int = 0
    held: Mapping[DriftReason, int] = {}
    """Bars for which a finding without a sum of its own still counts."""
    level: DriftLevel = DriftLevel.STEADY
    reasons: tuple[DriftReason, ...] = ()
    calm: int = 0
    """Bars in a row whose evidence lay below the level."""

    @property
    def haste(self) -> float:
        """What the rungs are multiplied by at once: see the module."""
        return hastened(self.size.rise) if self.size.bars >= LEAST_BARS else 1.0

    def after(self, seen: Seen) -> Drift:
        """When a bar of the horizon has closed."""
        size, lean, window = self.size, self.lean, self.window
        held = {reason: bars - 1 for reason, bars in self.held.items() if bars > 1}
        if seen.score is not None and math.isfinite(seen.score):
            value = min(max(seen.score, -MOST_SCORE), MOST_SCORE)
            size = size.after(abs(value), ALLOWANCE, MOST_SUM)
            lean = lean.after(value, LEAN_ALLOWANCE, MOST_SUM)
            window, cut = window.after(abs(value) / MOST_SCORE)
            if cut:
                held[DriftReason.RESIDUALS_CHANGED] = HELD_BARS
        still = self.still if seen.moved is None else 0 if seen.moved else self.still + 1
        features = dict(self.features)
        for name, value in seen.features.items():
            if math.isfinite(value):
                features[name], found = features.get(name, Watched()).after(value)
                if found:
                    held[DriftReason.FEATURES_MOVED] = HELD_BARS
        wanted = _wanted(size, lean, still, held)
        level, calm = self._level(max(wanted.values(), default=DriftLevel.STEADY))
        return Drift(
            size=size,
            lean=lean,
            window=window,
            features=features,
            still=still,
            held=held,
            level=level,
            reasons=tuple(sorted(wanted)) or (self.reasons if level > DriftLevel.STEADY else ()),
            calm=calm,
        )

    def _level(self, wanted: DriftLevel) -> tuple[DriftLevel, int]:
        """One step towards what the evidence wants: up at once, down when it has been below for long enough."""
        if wanted > self.level:
            return DriftLevel(self.level + 1), 0
        if wanted == self.level:
            return self.level, 0
        if self.calm + 1 < CALM_BARS:
            return self.level, self.calm + 1
        return DriftLevel(self.level - 1), 0


def _wanted(
    size: PageHinkley, lean: PageHinkley, still: int, held: Mapping[DriftReason, int]
) -> dict[DriftReason, DriftLevel]:
    """The level that each finding speaks for."""
    found = dict.fromkeys(held, DriftLevel.FLAGGED)
    if size.bars >= LEAST_BARS:
        steps = sum(size.rise >= step for step in (FLAG, WIDEN, FALL_BACK))
        if steps:
            found[DriftReason.RESIDUALS_WIDER] = DriftLevel(steps)
        if size.fall >= NARROWER:
            found[DriftReason.RESIDUALS_NARROWER] = DriftLevel.FLAGGED
        if max(lean.rise, lean.fall) >= LEAN:
            found[DriftReason.RESIDUALS_LEAN] = DriftLevel.FLAGGED
    if still >= STILL_BARS:
        found[DriftReason.FROZEN] = DriftLevel(min(still - STILL_BARS + 1, DriftLevel.BASELINE))
    return found


def hastened(rise: float) -> float:
    """The factor at one value of the magnitude's sum upwards."""
    return min(math.exp(HASTE * max(rise - HASTE_FROM, 0.0)), MOST_HASTE)


def score(outcome: float, down: Floats, up: Floats, levels: Floats) -> float | None:
    """`scores` of one outcome; `None` where it has none."""
    found = float(scores(np.array([outcome]), down[None], up[None], levels)[0])
    return found if math.isfinite(found) else None


def scores(outcome: Floats, down: Floats, up: Floats, levels: Floats) -> Floats:
    """Each outcome's normal score: straight lines in it between the rungs, and beyond the last one through zero.

    Of a right model the share beyond each rung is right; between the innermost a peaked law gives smaller scores than a
    normal one, which is why a stream is held against its own mean.

    Args:
        outcome: (n,) log returns over the horizon.
        down: (n, rungs) quantiles as positive magnitudes, ascending; `up` too.
        levels: (rungs,) the tail probability of each, descending, below one half.

    Returns:
        (n,); NaN where the outcome or a rung is not finite, or a rung is not above zero.
    """
    sound = np.isfinite(outcome) & ((down > 0) & (up > 0) & np.isfinite(down + up)).all(axis=1)
    y = np.where(sound, outcome, 0.0)
    places = np.where(sound[:, None], np.concatenate((-down[:, ::-1], up), axis=1), np.arange(2 * len(levels)) + 1.0)
    values = np.concatenate((ndtri(levels[::-1]), -ndtri(levels)))
    above = np.clip((y[:, None] > places).sum(axis=1), 1, len(values) - 1)
    row = np.arange(len(y))
    left, right = places[row, above - 1], places[row, above]
    # rungs that say the same leave no line between them
    part = np.clip((y - left) / np.where(right > left, right - left, 1.0), 0.0, 1.0)
    found = values[above - 1] + part * (values[above] - values[above - 1])
    for end, outside in ((0, y < places[:, 0]), (-1, y > places[:, -1])):
        found = np.where(outside, values[end] * y / places[:, end], found)
    return np.asarray(np.where(sound, found, np.nan))
