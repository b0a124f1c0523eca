"""`margrave explain`: what a round kept and refused of one market and why, and what was decided, in plain sentences."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from margrave.errors import Rejected
from margrave.lanes import price_usd
from margrave.messages import EVERY_MARKET, MarketHold, MarketScores, MarketSnapshot, Refusal, Report, Snapshot
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.operate.replay import open_journal, scorer_of
from margrave.operate.why import Why, why
from margrave.settings import Settings
from margrave.store.journal import Journal
from margrave.verdicts import Doubt, DriftLevel, DriftReason, HoldReason, Rejection, Trigger

REFUSED: Final[Mapping[Rejection, str]] = {
    Rejection.MALFORMED: "it is not what its source documents",
    Rejection.UNKNOWN_SHAPE: "nobody here reads answers of its shape",
    Rejection.EMPTY: "there was nothing in it",
    Rejection.VENUE_ERROR: "the source answered with an error of its own",
    Rejection.WRONG_INSTRUMENT: "it is about something, or from somebody, that has no say here",
    Rejection.NOT_FINITE: "it holds what is no number",
    Rejection.NOT_POSITIVE: "it holds a price or size that is not positive",
    Rejection.OUT_OF_RANGE: "its numbers are outside anything that can be",
    Rejection.CROSSED_BOOK: "its bid is above its ask",
    Rejection.WIDE_SPREAD: "its spread is too wide to say where the market is",
    Rejection.THIN_BOOK: "there is too little in its book to mean a price",
    Rejection.STALE: "it is too old",
    Rejection.FUTURE: "its stamp lies in the future",
    Rejection.FROZEN: "it repeats itself while the others moved",
    Rejection.OUTLIER: "it is further from the others than they are from each other",
    Rejection.BREAKER: "it jumped, and too few others did",
}
DOUBTED: Final[Mapping[Doubt, str]] = {
    Doubt.UNWITNESSED_JUMP: "the venues jumped together, and too little else moved with them",
    Doubt.CHEAP_TO_MOVE: "more could be gained by such a jump than it costs to make",
    Doubt.OFF_TWAP: "spot is away from the pools' time-weighted average",
    Doubt.OFF_INDEX: "the perpetuals are away from the index",
    Doubt.OFF_REDEMPTION: "the price is away from what the issuer gives for it",
    Doubt.OFF_ORACLES: "other oracles answer otherwise",
    Doubt.NOBODY_MOVES: "every venue that is believed repeats itself",
    Doubt.MASKED_LEVEL: "a figure that jumped by itself was taken out",
}
HELD: Final[Mapping[HoldReason, str]] = {
    HoldReason.TOO_FEW_SOURCES: "too few venues agree",
    HoldReason.TOO_LITTLE_HISTORY: "enough venues share too little history",
    HoldReason.UNCONFIRMED_JUMP: "the price moved further than venues alone vouch for",
    HoldReason.NO_SURFACE: "there is no volatility surface to publish",
    HoldReason.UNLIKE_TRAINING: "the models were never shown anything like it",
    HoldReason.NOT_REPRESENTABLE: "a figure does not fit its lane",
}
DRIFTED: Final[Mapping[DriftLevel, str]] = {
    DriftLevel.FLAGGED: "it is trusted less",
    DriftLevel.WIDENED: "it is trusted less and its ladder is widened",
    DriftLevel.BASELINE: "its ladder is widened, and nowhere below the baseline's",
}
FOUND: Final[Mapping[DriftReason, str]] = {
    DriftReason.RESIDUALS_WIDER: "what came lay further out than the models said",
    DriftReason.RESIDUALS_NARROWER: "what came lay less far out than the models said",
    DriftReason.RESIDUALS_LEAN: "what came lay on one side",
    DriftReason.RESIDUALS_CHANGED: "what came is not spread as it was",
    DriftReason.FEATURES_MOVED: "the inputs are not what they were for weeks",
    DriftReason.FROZEN: "the price has not moved at all for hours",
}
WORTH_TELLING: Final = 0.005
"""Of a factor: a smaller widening changes no reader's mind."""
TRIGGERED: Final[Mapping[Trigger, str]] = {
    Trigger.FIRST: "nothing of it was on chain",
    Trigger.HEARTBEAT: "its heartbeat was due",
    Trigger.DEVIATION: "a figure had moved by more than its deviation",
    Trigger.EARLY_RIDER: "a report was due anyway, and it rode along",
    Trigger.EMERGENCY: "it could not wait",
}
OPTIONAL: Final = ("half_spread", "depth_usd", "perp_basis", "funding_8h", "open_interest_usd", "vol_index")
MOST_REASONS: Final = 5
BELOW: Final = 3_000.0
"""Points: about what a market scores on an ordinary day."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One round of one market. Every list is in the order in which it is told."""

    round: int
    market: str
    seen: tuple[str, ...]
    refused: tuple[str, ...]
    doubted: tuple[str, ...]
    scored: tuple[str, ...]
    why: Why
    decided: tuple[str, ...]

    def lines(self) -> list[str]:
        return [*self.seen, *self.refused, *self.doubted, *self.scored, *self.why.lines(), *self.decided]


def explain(
    settings: Settings, round_: int, market: str, *, below: float = BELOW, in_parts: bool = False
) -> Explanation:
    """
    Args:
        below: for what score the counterfactual is asked, points.
        in_parts: whether the price path is told in its parts.

    Raises:
        Rejected: the journal does not hold the round, or the round knows no such market.
    """
    with contextlib.closing(open_journal(settings)) as journal:
        snapshot = journal.snapshot(round_)
        found = _found(snapshot, market)
        return Explanation(
            round=round_,
            market=market,
            seen=tuple(_seen(snapshot, found)),
            refused=tuple(_refusal(r) for r in snapshot.refusals if r.market in (market, EVERY_MARKET)),
            doubted=tuple(_doubts(found)),
            scored=tuple(_scored(journal, round_, market)),
            why=_why(settings, journal, round_, market, below=below, in_parts=in_parts),
            decided=tuple(_decided(journal, round_, market)),
        )


def _found(snapshot: Snapshot, market: str) -> MarketSnapshot | MarketHold:
    rows: list[MarketSnapshot | MarketHold] = [*snapshot.markets, *snapshot.holds]
    for row in rows:
        if row.market == market:
            return row
    known = ", ".join(row.market for row in rows) or "none"
    raise Rejected(Rejection.EMPTY, f"round {snapshot.round} knows no market {market}", advice=f"it knows {known}")


def _seen(snapshot: Snapshot, found: MarketSnapshot | MarketHold) -> list[str]:
    at = datetime.fromtimestamp(snapshot.as_of_ms / 1000, UTC)
    begin = f"Round {snapshot.round}, {at:%Y-%m-%d %H:%M:%S} UTC, {found.market}:"
    if isinstance(found, MarketHold):
        return [f"{begin} held by the guard, because {HELD.get(found.reason, found.reason)} ({found.detail})."]
    told = [f"{begin} {len(found.sources)} venues agree on {found.price:,.8g} USD."]
    told += [
        f"Kept {s.source} at {s.price:,.8g}: {s.weight:.0%} of the weight, {s.distance_bp:+.1f} bp from the price, "
        f"{s.age_s:.0f} s old."
        for s in found.sources
    ]
    if missing := [name for name in OPTIONAL if getattr(found, name) is None]:
        told.append(f"Nobody told, or nobody was believed on: {', '.join(missing)}.")
    return told


def _refusal(refusal: Refusal) -> str:
    why = REFUSED.get(refusal.reason, refusal.reason.replace("_", " "))
    return f"Refused {refusal.what} of {refusal.source}, because {why} ({refusal.reason}: {refusal.detail})."


def _doubts(found: MarketSnapshot | MarketHold) -> list[str]:
    if isinstance(found, MarketHold):
        return []
    return [f"In doubt, because {DOUBTED[doubt.reason]} ({doubt.detail})." for doubt in found.doubts]


def _scored(journal: Journal, round_: int, market: str) -> list[str]:
    try:
        scores = journal.scores(round_)
    except Rejected:
        return ["Not scored: the round ended before."]
    for hold in scores.holds:
        if hold.market == market:
            return [f"Not scored, because {HELD.get(hold.reason, hold.reason)} ({hold.detail})."]
    return [line for row in scores.markets if row.market == market for line in _score(row)]


def _score(row: MarketScores) -> list[str]:
    ladder = row.ladder
    return [
        f"Scored {row.score:,.0f} with confidence {row.confidence:.2f}: over the margin period the worst 1 % average "
        f"{ladder.down_es99:.2%} down and {ladder.up_es99:.2%} up.",
        *_experience(row),
        *(f"{reason.points:+,.0f} points: {reason.sentence}" for reason in row.reasons[:MOST_REASONS]),
    ]


def _experience(row: MarketScores) -> list[str]:
    told = []
    if row.drift:
        why = "; ".join(FOUND[reason] for reason in row.drift_reasons) or "what was found before has not passed long"
        told.append(f"The models drift ({row.drift.name.lower()}): {why}; so {DRIFTED[row.drift]}.")
    if row.fallback:
        told.append("The baseline speaks: the larger of both models' figures is published.")
    if max(abs(row.widening_down - 1), abs(row.widening_up - 1)) > WORTH_TELLING:
        told.append(
            f"By what came of earlier forecasts, falls are widened by a factor of {row.widening_down:.2f} and rises by "
            f"{row.widening_up:.2f}."
        )
    return told


def _why(settings: Settings, journal: Journal, round_: int, market: str, *, below: float, in_parts: bool) -> Why:
    if not journal.has_scored(round_):  # and the models need not be read
        return Why()
    return why(scorer_of(settings), journal, round_, market, below=below, in_parts=in_parts)


def _decided(journal: Journal, round_: int, market: str) -> list[str]:
    told = []
    try:
        told += _row(journal.report(round_), market)
    except Rejected:
        told.append("Nothing was signed.")
    outcome, detail = journal.outcome(round_)
    told.append(f"The round ended {outcome} ({detail})." if outcome else "How the round ended is not recorded.")
    return told


def _row(report: Report, market: str) -> list[str]:
    told = [
        f"The contract halts it on this report, because of {halt.reason.replace('_', ' ')} ({halt.detail})."
        for halt in report.halts
        if halt.market == market
    ]
    for row in report.rows:
        if row.market == market and row.trigger is None:
            told.append("This node abstained from it.")
        elif row.market == market and row.trigger is not None:
            told.append(f"Signed at {price_usd(row.words):,.8g} USD, because {TRIGGERED[row.trigger]}.")
            if report.attributions_hash != UNEXPLAINED:
                told.append(f"Signed with it: what its inputs add, as 0x{report.attributions_hash.hex()}.")
    return told or ["It was not in the report that was signed."]
