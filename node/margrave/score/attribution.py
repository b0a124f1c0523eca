"""Why a market's score is what it is: what each group of inputs adds to it, against a reference.

The score is a function of what is known of the market and of the others (`Facts`). A coalition of groups is that
function of facts in which the groups outside it hold the reference's values: it is computed, not approximated, through
the very models, surfaces and formulas of the round. What a group adds is its Shapley value over all coalitions
(Shapley, 1953; for models Lundberg and Lee, 2017; groups, so that inputs that come together are not torn apart: Aas,
Jullum and Løland, Artificial Intelligence 298, 2021). By construction the values sum to the score less the reference's,
a group that changes nothing gets nothing, and groups that do the same get the same (axioms that Sundararajan, Taly and
Yan, 2017, ask of any attribution). Enumerated, so that there is no seed: whoever has the facts finds the same values.

The score explained is the one before it is capped at 10,000. Two references are in use: `calm/1`, published with the
code (`score.calm`), against which each round is explained and signed; and an earlier round, for why it moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import msgspec
import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray

from margrave.messages import Attributed, MarketScores, Scores, Snapshot
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.score import calm
from margrave.score.calm import Quiet
from margrave.score.carried import Carried
from margrave.score.coalitions import Coalition, Facts, Game, Input, PathPart, World, world_of
from margrave.score.scores import Scorer

Floats = NDArray[np.float64]

MICRO: Final = 1_000_000
"""Attributions are hashed as whole millionths of a point."""
MOST_MARKETS: Final = 16
"""In a snapshot: a round with more is not explained before it is signed, since every coalition speaks of all of them.
It is explained to whoever asks."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """`base` and the points of all parts sum to `total`."""

    market: str
    reference: str
    base: float
    """The reference's score, before any cap."""
    total: float
    """The market's."""
    parts: tuple[Attributed, ...]
    """Of each of `Input`, in its order."""
    players: tuple[Input, ...]
    """The groups that differ; only they can have points."""
    values: Floats = field(repr=False, compare=False)
    """(2^players,) the score of each coalition: bit i of a place is player i."""


def calm_world(scorer: Scorer, now: World, quiet: Quiet = calm.CALM) -> dict[str, Facts]:
    """Every market of the world on a quiet day, at the same hour and price."""
    found = {}
    for name, facts in now.items():
        size_usd = scorer.markets[name].reference_size_usd
        found[name] = calm.facts(facts.market, size_usd, scorer.forecaster.prior, scorer.model_set, quiet)
    return found


def attributed(scorer: Scorer, market: str, now: World, reference: World, name: str) -> Attribution | None:
    """What each group of inputs adds to one market's score.

    Args:
        reference: another world, in which the market has a surface too; `name` is what it is called.

    Returns:
        `None` where the models refuse one of the mixtures, or the market is scored in one of the worlds only.
    """
    if market not in reference or now[market].surface is None or reference[market].surface is None:
        return None
    game = Game(scorer, market, now, reference)
    values = game.values(subsets(game.players))
    if values is None:
        return None
    points = dict.fromkeys(Input, 0.0) | dict(zip(game.players, shapley(values).tolist(), strict=True))
    return Attribution(
        market=market,
        reference=name,
        base=float(values[0]),
        total=float(values[-1]),
        parts=tuple(Attributed(name=each, points=points[each]) for each in Input),
        players=game.players,
        values=values,
    )


def finer(scorer: Scorer, market: str, now: World, reference: World) -> tuple[Attributed, ...]:
    """What each part of the price path adds, of `PathPart` in its order; they sum to what the path adds.

    Owen's value (1977): parts of a path come one by one while the path is the one group that comes, on average over all
    coalitions of the other groups, by their weights. Both worlds stand at one hour. Empty where the paths do not
    differ, or the models refuse a mixture.
    """
    game = Game(scorer, market, now, reference)
    if Input.PATH not in game.players:
        return ()
    outer, inner = subsets([each for each in game.players if each is not Input.PATH]), subsets(tuple(PathPart))
    values = game.values([of_others | of_path for of_others in outer for of_path in inner])
    if values is None:
        return ()
    sizes, weights = _weights(len(game.players))
    averaged = weights[sizes[: len(outer)]] @ values.reshape(len(outer), len(inner))
    points = shapley(averaged)
    return tuple(Attributed(name=part, points=float(each)) for part, each in zip(PathPart, points, strict=True))


def explained(
    scorer: Scorer,
    snapshot: Snapshot,
    scores: Scores,
    carried: Mapping[str, Carried],
    markets: Iterable[str],
    in_time: Callable[[], bool] = lambda: True,
) -> Scores:
    """The scores with the attributions of some of their markets against the calm reference.

    Args:
        carried: what `Scorer.score` returned for the snapshot.
        in_time: asked before each market; those that come too late are left without.
    """
    asked = set(markets)
    if len(snapshot.markets) > MOST_MARKETS or not asked:
        return scores
    now = world_of(snapshot, scores, carried)
    quiet = calm_world(scorer, now)
    rows = []
    for row in scores.markets:
        found = attributed(scorer, row.market, now, quiet, calm.NAME) if row.market in asked and in_time() else None
        rows.append(row if found is None else msgspec.structs.replace(row, attribution=found.parts))
    return msgspec.structs.replace(scores, markets=tuple(rows))


def attributions_hash(rows: Sequence[tuple[int, MarketScores]]) -> bytes:
    """32 bytes over the attributions of some markets, by their ids; `UNEXPLAINED` where none has any.

    Keccak-256 over JSON without spaces: the reference's name, then of each explained market, ascending, its id, what
    the reference scores and each group's name and points, in whole millionths, halves to even.
    """
    told = [
        [market_id, _micro(base_of(row)), [[part.name, _micro(part.points)] for part in row.attribution]]
        for market_id, row in sorted(rows, key=lambda each: each[0])
        if row.attribution
    ]
    return keccak(msgspec.json.encode([calm.NAME, *told])) if told else UNEXPLAINED


def base_of(row: MarketScores) -> float:
    """What the reference scores that a row's attributions are against."""
    return math.fsum([*(reason.points for reason in row.reasons), *(-part.points for part in row.attribution)])


def shapley(values: Floats) -> Floats:
    """(players,) of a game given by the values of its coalitions, (2^players,): bit i of a place is player i.

    phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S and i) - v(S)).
    """
    players = int(values.size).bit_length() - 1
    sizes, weights = _weights(players)
    masks = np.arange(values.size)
    found = np.empty(players)
    for player in range(players):
        without = masks[masks >> player & 1 == 0]
        found[player] = float(weights[sizes[without]] @ (values[without | 1 << player] - values[without]))
    return found


@cache
def _weights(players: int) -> tuple[NDArray[np.int64], Floats]:
    """Of each coalition its size; of each size the weight of joining a coalition of it."""
    sizes = np.array([mask.bit_count() for mask in range(1 << players)], dtype=np.int64)
    joined = [1 / (players * math.comb(players - 1, size)) for size in range(players)]
    return sizes, np.array(joined)


def subsets(players: Sequence[Input | PathPart]) -> list[Coalition]:
    """In the order of their masks."""
    return [
        frozenset(player for place, player in enumerate(players) if mask >> place & 1)
        for mask in range(1 << len(players))
    ]


def _micro(points: float) -> int:
    return round(points * MICRO)
