"""score -> decide: the figures of each market, and why they are what they are."""

from __future__ import annotations

import math

from margrave.lanes import Words
from margrave.messages.message import Message
from margrave.messages.snapshots import MarketHold
from margrave.spans import YEAR_DAYS
from margrave.verdicts import DriftLevel, DriftReason, Regime


class Ladder(Message, frozen=True, kw_only=True):
    """Quantiles and expected shortfalls of the simple return over the MPOR, both sides as positive magnitudes."""

    down_q975: float
    down_q995: float
    down_es99: float
    down_q9995: float
    down_es999: float
    up_q975: float
    up_q995: float
    up_es99: float
    up_q9995: float
    up_es999: float


class Surface(Message, frozen=True, kw_only=True):
    """SSVI: total volatility at three tenors, rho, wing b = eta (1 + |rho|), decay gamma, and how well it fits."""

    total_vol_7d: float
    total_vol_30d: float
    total_vol_90d: float
    rho: float
    wing: float
    decay: float
    rmse_vol: float
    """Root mean square error against the quotes used, in volatility (0.01 is one point)."""
    quotes_used: int
    """Zero where no chain was seen this round and the last surface is carried on; `rmse_vol` then grows."""
    basis: float = 0.0
    """Forward over index of the same chain, annualised."""

    @property
    def vol_30d(self) -> float:
        """At the money, annualised."""
        return self.total_vol_30d / math.sqrt(30 / YEAR_DAYS)


class Reason(Message, frozen=True, kw_only=True):
    """One additive part of the score, in score points, with a plain sentence."""

    name: str
    points: float
    sentence: str


class HurtPath(Message, frozen=True, kw_only=True):
    """One way that distress travels: where it begins, whom it reaches, and what it costs there."""

    source: str
    target: str
    loss: float
    """Share of the target's value."""


class Attributed(Message, frozen=True, kw_only=True):
    """What one group of inputs adds to the score against a reference, in score points; see `score.attribution`."""

    name: str
    points: float


class MarketScores(Message, frozen=True, kw_only=True):
    market: str
    price: float
    ladder: Ladder
    sigma_annual: float
    """The volatility forecast over the MPOR, annualised."""
    surface: Surface
    basis: float
    vol_up: float
    vol_down: float
    liquidity: float
    cascade_probability: float
    cascade_size: float
    contagion: float
    score: float
    confidence: float
    reasons: tuple[Reason, ...]
    """All parts of the score, largest first; their points sum to the score before it is capped."""
    fallback: bool
    """The baseline model spoke because the main one refused its input, or has drifted."""
    words: Words
    widening_down: float = 1.0
    """What experience and drift have put on the shortfall at 1 % of a fall, as a factor; it is in `ladder` already."""
    widening_up: float = 1.0
    drift: DriftLevel = DriftLevel.STEADY
    drift_reasons: tuple[DriftReason, ...] = ()
    """What the detectors found, while the level stands."""
    masked: tuple[str, ...] = ()
    """Inputs that nobody supplied this round, sorted; each lowers the confidence."""
    fallbacks: tuple[str, ...] = ()
    """Lanes beside the ladder on which a formula spoke and no learnt model: `cascade`, `contagion`."""
    cascade_probability_1h: float = 0.0
    contagion_rank: float | None = None
    """How much of all others' losses this market's distress would be, in [0, 1]; `None` where nobody can say."""
    contagion_paths: tuple[HurtPath, ...] = ()
    """Who hurts whom, the largest loss first."""
    regime: Regime | None = None
    """What kind of day the market has, in a word."""
    attribution: tuple[Attributed, ...] = ()
    """Which inputs made the score what it is; the points sum to the score less the reference's, uncapped."""


class Scores(Message, frozen=True, kw_only=True):
    round: int
    as_of_ms: int
    model_set: bytes
    markets: tuple[MarketScores, ...]
    holds: tuple[MarketHold, ...]
