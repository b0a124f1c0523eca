"""`margrave replay`: make a past round's words again from its recorded inputs, and say whether they are the same."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from margrave import lanes
from margrave.errors import Fatal
from margrave.messages import Scores
from margrave.score.carried import Carried
from margrave.score.forecast import Forecaster
from margrave.score.registry import model_set_hash
from margrave.score.scores import Scorer
from margrave.settings import Settings
from margrave.store.journal import Journal


@dataclass(frozen=True, slots=True)
class LaneDifference:
    market: str
    lane: str
    recorded: float
    replayed: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """One round made again. Equal words leave `differences` empty."""

    round: int
    recorded: Scores
    again: Scores
    differences: tuple[LaneDifference, ...]
    outcome: str
    detail: str


def scorer_of(settings: Settings) -> Scorer:
    policy = settings.policy
    forecaster = Forecaster.of(policy.models, settings.node.registry_dir, policy.round.mpor_s)
    return Scorer(forecaster, settings.markets, policy, model_set_hash(forecaster.models))


def recorded_rounds(settings: Settings) -> list[int]:
    with contextlib.closing(open_journal(settings)) as journal:
        return journal.rounds()


def replay(settings: Settings, rounds: Sequence[int]) -> list[Replayed]:
    """Raises `Rejected` when the journal does not hold one of the rounds."""
    scorer = scorer_of(settings)
    with contextlib.closing(open_journal(settings)) as journal:
        return [_again(scorer, journal, round_) for round_ in rounds]


def open_journal(settings: Settings) -> Journal:
    path = settings.node.state_dir / "journal.sqlite"
    if not path.is_file():
        raise Fatal(f"no journal at {path}", advice="check state_dir in node.toml, or run the node first")
    return Journal(path)


def _again(scorer: Scorer, journal: Journal, round_: int) -> Replayed:
    recorded = journal.scores(round_)
    carried = journal.carried(round_, Carried)
    again, _ = scorer.score(journal.snapshot(round_), journal.surfaces(round_), carried)
    outcome, detail = journal.outcome(round_)
    return Replayed(round_, recorded, again, tuple(_differences(recorded, again)), outcome, detail)


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
