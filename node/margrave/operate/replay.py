"""`margrave replay`: make a past round's words and explanation again from its recorded inputs, and say whether they are
the same."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from margrave import lanes
from margrave.errors import Fatal
from margrave.messages import MarketScores, Report, Scores
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.score.attribution import attributions_hash, explained
from margrave.score.carried import Carried
from margrave.score.model_set import ModelSet
from margrave.score.scores import Scorer
from margrave.settings import Settings
from margrave.store.journal import Journal

APART_POINTS: Final = 0.5
"""Another machine's models round otherwise, which no lane shows; half a point of a score neither."""


@dataclass(frozen=True, slots=True)
class LaneDifference:
    market: str
    lane: str
    recorded: float
    replayed: float


class Explanation(StrEnum):
    """What became of the explanation that was signed."""

    NONE = "none was signed"
    SAME = "its explanation too"
    NOT_AS_SIGNED = "the explanation recorded is not the one that was signed"
    OTHERWISE = "its explanation comes out otherwise"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One round made again. Equal words leave `differences` empty."""

    round: int
    recorded: Scores
    again: Scores
    differences: tuple[LaneDifference, ...]
    outcome: str
    detail: str
    explanation: Explanation
    apart: float = 0.0
    """Points by which the attributions made again differ from those recorded, at most."""

    @property
    def same(self) -> bool:
        return not self.differences and self.explanation in (Explanation.NONE, Explanation.SAME)


def scorer_of(settings: Settings) -> Scorer:
    return ModelSet.of(settings.policy, settings.node.registry_dir).scorer(settings.markets)


def recorded_rounds(settings: Settings) -> list[int]:
    with contextlib.closing(open_journal(settings)) as journal:
        return journal.rounds()


def replay(settings: Settings, rounds: Sequence[int]) -> list[Replayed]:
    """Raises `Rejected` when the journal does not hold one of the rounds."""
    scorer = scorer_of(settings)
    with contextlib.closing(open_journal(settings)) as journal:
        return [_again(scorer, journal, round_) for round_ in rounds]


def open_journal(settings: Settings) -> Journal:
    path = settings.node.journal_file
    if not path.is_file():
        raise Fatal(f"no journal at {path}", advice="check state_dir in node.toml, or run the node first")
    return Journal(path)


def _again(scorer: Scorer, journal: Journal, round_: int) -> Replayed:
    recorded = journal.scores(round_)
    carried, snapshot = journal.carried(round_, Carried), journal.snapshot(round_)
    again, states = scorer.score(snapshot, journal.surfaces(round_), carried)
    outcome, detail = journal.outcome(round_)
    again = explained(scorer, snapshot, again, states, [row.market for row in recorded.markets if row.attribution])
    verdict, apart = _explanation(journal.pledged(round_), recorded, again)
    return Replayed(round_, recorded, again, tuple(_differences(recorded, again)), outcome, detail, verdict, apart)


def _explanation(signed: Report | None, recorded: Scores, again: Scores) -> tuple[Explanation, float]:
    """What was recorded against what was signed, to the last unit, and what is made again against what was recorded."""
    if signed is None or signed.attributions_hash == UNEXPLAINED:
        return Explanation.NONE, 0.0
    ids = {row.market: row.market_id for row in signed.rows}
    rows = [(ids[row.market], row) for row in recorded.markets if row.market in ids]
    if attributions_hash(rows) != signed.attributions_hash:
        return Explanation.NOT_AS_SIGNED, 0.0
    was, now = ({row.market: _points(row) for row in scores.markets} for scores in (recorded, again))
    apart = [
        abs(points - now.get(market, {}).get(name, math.inf))
        for market, told in was.items()
        for name, points in told.items()
    ]
    furthest = max(apart, default=0.0)
    return Explanation.SAME if furthest <= APART_POINTS else Explanation.OTHERWISE, furthest


def _points(row: MarketScores) -> dict[str, float]:
    return {part.name: part.points for part in row.attribution}


def _differences(recorded: Scores, again: Scores) -> list[LaneDifference]:
    def words(scores: Scores) -> Mapping[str, lanes.Words]:
        return {m.market: m.words for m in scores.markets}

    nothing = lanes.Words(0, 0)
    was, now = words(recorded), words(again)
    found = []
    for market in sorted(was.keys() | now.keys()):
        old, new = was.get(market, nothing), now.get(market, nothing)
        found += [
            LaneDifference(market, name, lanes.decode(old, name), lanes.decode(new, name))
            for name in lanes.LANES
            if lanes.raw(old, name) != lanes.raw(new, name)
        ]
        if lanes.price_usd(old) != lanes.price_usd(new):
            found.append(LaneDifference(market, "price", lanes.price_usd(old), lanes.price_usd(new)))
    return found
