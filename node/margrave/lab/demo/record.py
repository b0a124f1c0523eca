"""What a demonstration leaves behind, round by round: the one structure behind live view, page and summary.json."""

from __future__ import annotations

from typing import Literal

import msgspec

from margrave.messages import Attributed, HurtPath, Reason

Side = Literal["down", "up"]


class MarketRow(msgspec.Struct, frozen=True, kw_only=True):
    """One market in one round, as read back from the chain after publication (`None`: nothing on chain yet)."""

    price_usd: float
    sigma_forecast: float | None
    """Annualised volatility forecast over the MPOR; `None` when no node told it."""
    sigma_implied_30d: float
    down_es99: float
    up_es99: float
    down_q995: float
    up_q995: float
    score: float
    confidence: float
    reasons: tuple[Reason, ...]
    status: str
    """`verdicts.MarketStatus` on chain."""
    limited: bool
    """The contract's step limit held a lane back this round."""
    fallback: bool
    """The baseline model spoke."""
    drift: str = "steady"
    """How far the models are trusted, in the words of `verdicts.DriftLevel`, on the node that doubts most."""
    widening_down: float = 1.0
    """What outcomes and drift put on the shortfall of a fall, on the node that widens most; `widening_up` likewise."""
    widening_up: float = 1.0
    requirement_usd: float
    """Initial margin that the chain asks of the demonstration account in this market."""
    static_requirement_usd: float
    """What a fixed published grid asks of the same positions."""
    member_scores: dict[str, float]
    """Each member's own signed score: the chart of who stood where."""
    cascade_probability: float | None = None
    """Within 24 hours, on chain; so is `cascade_size`. `None` in a record of before they were kept."""
    cascade_size: float | None = None
    cascade_probability_1h: float | None = None
    """As a node told it: the wire has no lane for it."""
    contagion: float | None = None
    """Add-on, on chain."""
    contagion_paths: tuple[HurtPath, ...] = ()
    attribution: tuple[Attributed, ...] = ()
    """What each input adds to the score against a calm day, as the member that told it signed it."""
    regime: str | None = None
    """In the words of `verdicts.Regime`, as a node told it."""
    fallbacks: tuple[str, ...] = ()
    """Lanes on which a formula spoke and no learnt model."""
    masked: tuple[str, ...] = ()
    """Inputs that nobody supplied."""


class RoundRow(msgspec.Struct, frozen=True, kw_only=True):
    round: int
    time_ms: int
    """Market time of the round (tape time in a drill or replay)."""
    markets: dict[str, MarketRow]
    published: bool
    publisher: str | None
    signers: tuple[str, ...]
    transaction: str | None
    block: int | None
    gas_used: int | None
    seconds_to_chain: float | None
    """Wall-clock seconds from the round's start to its transaction's block."""
    refusals: int
    """Readings and parts of readings that the guard dropped, on the node that dropped most."""
    notes: tuple[str, ...]
    """Holds, halts, fall-backs of the turn order: plain sentences."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """The index moved over the MPOR by more than the expected shortfall that was on chain when the MPOR began."""

    market: str
    round: int
    side: Side
    moved: float
    es99: float


class Realised(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a round's forecast, known one MPOR later; `None` where the run ended before."""

    round: int
    market: str
    move: float | None
    """Simple return of the index over the MPOR that began at the round."""
    sigma: float | None
    """Annualised volatility realised over that MPOR."""


class FallRound(msgspec.Struct, frozen=True, kw_only=True):
    """One round of forced sales: what it sells, and the price that it leaves."""

    seized_usd: float
    price_usd: float


class FallRow(msgspec.Struct, frozen=True, kw_only=True):
    """What would have been sold of one market had the forecast's worst come; see `demo.falls`."""

    market: str
    round: int
    protocol: str
    debt_usd: float
    price_usd: float
    shocked_usd: float
    rounds: tuple[FallRound, ...]
    liquidated_usd: float
    bad_debt_usd: float


class Position(msgspec.Struct, frozen=True, kw_only=True):
    market: str
    expiry_ms: int
    strike: float
    is_call: bool
    quantity: float
    """Contracts of one unit of the underlying; negative is short."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    input: Literal["drill", "recording", "live"]
    title: str
    source: str
    """Where the input comes from, in words a reader can check."""
    real: str
    """What of it is recorded or documented."""
    generated: str
    """What of it is generated between or around that."""
    period_s: int
    mpor_s: int
    speed: float
    markets: tuple[str, ...]
    members: tuple[str, ...]
    quorum: int
    chain_id: int
    oracle: str
    model_set: str
    models: tuple[str, ...]
    portfolio: tuple[Position, ...]
    static_method: str
    rounds_attempted: int
    rounds_published: int
    signers_by_round: dict[str, list[str]]
    gas_by_round: dict[str, int | None]
    requirement_by_round: dict[str, float]
    breaches: tuple[Breach, ...]
    realised: tuple[Realised, ...]
    versions: dict[str, str]
    rounds: tuple[RoundRow, ...]
    falls: tuple[FallRow, ...] = ()
