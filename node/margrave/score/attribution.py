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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import msgspec
import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray

from margrave.messages import Attributed, Ladder, MarketHold, MarketScores, MarketSnapshot, Scores, Snapshot, Surface
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.score import calm
from margrave.score.carried import Carried, widened
from margrave.score.cascade.message import Cascade
from margrave.score.contagion.message import Contagion
from margrave.score.scores import Scorer
from margrave.verdicts import DriftLevel

Floats = NDArray[np.float64]

MICRO: Final = 1_000_000
"""Attributions are hashed as whole millionths of a point."""
MOST_MARKETS: Final = 64
"""In a snapshot: a round with more is not explained, since every coalition speaks of all its markets."""


class Input(StrEnum):
    """Groups of inputs, in the order in which they are hashed."""

    PATH = "price path"
    IMPLIED = "volatility index and funding"
    CHAIN = "option chain"
    BOOK = "order books"
    OPEN_INTEREST = "open interest"
    LENDING = "lending health"
    OTHERS = "other markets"
    EXPERIENCE = "experience"


FIELDS: Final[Mapping[Input, tuple[str, ...]]] = {
    Input.PATH: (
        "price",
        "bars",
        "disbelieved",
        "twap",
        "oracle_price",
        "redemption_value",
        "delivery_price",
        "traded_usd_per_hour",
        "buy_share",
    ),
    Input.IMPLIED: ("vol_index", "funding_8h", "perp_basis", "funding_positioning"),
    Input.CHAIN: ("quotes", "chain_age_s", "option_open_interest_usd"),
    Input.BOOK: (
        "half_spread",
        "depth_usd",
        "depth_bands",
        "imbalance",
        "slope_usd_per_bp",
        "impact_buy",
        "impact_sell",
        "pools",
    ),
    Input.OPEN_INTEREST: (
        "open_interest_usd",
        "liquidated_long_usd_per_hour",
        "liquidated_short_usd_per_hour",
        "long_short_ratio",
        "top_long_short_ratio",
        "taker_ratio",
    ),
    Input.LENDING: ("collateral_ratio", "health", "health_at_risk"),
    Input.OTHERS: ("base_fee_wei", "peg", "supply_change_24h", "transfer_velocity", "fear_greed", "news_tone"),
    Input.EXPERIENCE: (),
}
"""Every figure of a `MarketSnapshot` that can enter a score. What is known of the chain is a surface by then, and of
experience what is carried."""
TOLD: Final = frozenset({"market", "sources", "doubts", "notices"})
"""What a snapshot says of itself; no score reads it."""
OF_INDEX: Final = ("implied", "funding_8h")
"""Of what is carried of a market's hours, what comes from its index and funding; the rest is its path."""
SPEAKS: Final = frozenset({Input.PATH, Input.IMPLIED, Input.OTHERS, Input.EXPERIENCE})
"""What a ladder follows from."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one market's score is a function of, beside the other markets'."""

    market: MarketSnapshot
    carried: Carried
    """With what this round's bars have taught."""
    surface: Surface | None
    """`None` of a market that is held: the models hear of it all the same."""


World = Mapping[str, Facts]
"""All markets of a round, in its order."""


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


def world_of(snapshot: Snapshot, scores: Scores, carried: Mapping[str, Carried]) -> dict[str, Facts]:
    """
    Args:
        carried: what `Scorer.score` returned for the snapshot.
    """
    surfaces = {row.market: row.surface for row in scores.markets}
    heard = [m for m in snapshot.markets if m.market in carried and m.bars]
    return {m.market: Facts(m, carried[m.market], surfaces.get(m.market)) for m in heard}


def calm_world(scorer: Scorer, now: World) -> dict[str, Facts]:
    """Every market of the world on a quiet day, at the same hour and price."""
    found = {}
    for name, facts in now.items():
        newest_ms, price, prior = facts.market.bars[-1].open_time_ms, facts.market.price, scorer.forecaster.prior
        size_usd = scorer.markets[name].reference_size_usd
        quiet = calm.market(name, size_usd, newest_ms, price, prior)
        state = calm.carried(name, newest_ms, quiet.price, prior, scorer.model_set)
        found[name] = Facts(quiet, state, calm.SURFACE)
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
    values = game.values()
    if values is None:
        return None
    points = dict.fromkeys(Input, 0.0) | dict(zip(game.players, shapley(values).tolist(), strict=True))
    return Attribution(
        market=market,
        reference=name,
        base=float(values[0]),
        total=float(values[-1]),
        parts=tuple(Attributed(name=each, points=points[each]) for each in Input),
    )


def explained(
    scorer: Scorer, snapshot: Snapshot, scores: Scores, carried: Mapping[str, Carried], markets: Iterable[str]
) -> Scores:
    """The scores with the attributions of some of their markets against the calm reference.

    Args:
        carried: what `Scorer.score` returned for the snapshot.
    """
    asked = set(markets)
    if len(snapshot.markets) > MOST_MARKETS or not asked:
        return scores
    now = world_of(snapshot, scores, carried)
    quiet = calm_world(scorer, now)
    rows = []
    for row in scores.markets:
        found = attributed(scorer, row.market, now, quiet, calm.NAME) if row.market in asked else None
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


class Game:
    """One market's score as a game of its groups of inputs. Players are the groups that differ."""

    def __init__(self, scorer: Scorer, market: str, now: World, reference: World) -> None:
        self._scorer, self._market, self._now, self._reference = scorer, market, now, reference
        self.players = tuple(each for each in Input if self._differ(each))
        self._touching = SPEAKS if scorer.systemic.contagion_model is None else frozenset(Input) - {Input.CHAIN}
        """What contagion follows from: the formula reads bars and ladders only."""
        levels = {world[market].carried.drift.level for world in (now, reference)}
        self._heard = SPEAKS - {Input.EXPERIENCE} if DriftLevel.BASELINE not in levels else SPEAKS
        """What the models are told: of experience they hear only that the baseline is to speak."""

    def values(self) -> Floats | None:
        """(2^players,) the score, uncapped, of each coalition; `None` where the models refuse one."""
        coalitions = [frozenset(c) for c in _subsets(self.players)]
        ladders = self._ladders(dict.fromkeys(each & SPEAKS for each in coalitions))
        if ladders is None:
            return None
        contagions = self._contagions(dict.fromkeys(each & self._touching for each in coalitions), ladders)
        cascades = self._cascades(dict.fromkeys(each - {Input.CHAIN} for each in coalitions), ladders)
        found = np.empty(len(coalitions))
        for place, each in enumerate(coalitions):
            facts = self._own(each)
            assert facts.surface is not None, "asked of markets with one only"
            ladder = ladders[each & SPEAKS][self._market]
            systemic = cascades[each - {Input.CHAIN}], contagions[each & self._touching]
            composed = self._scorer.composed(facts.market, ladder, facts.surface, *systemic)
            found[place] = math.fsum(reason.points for reason in composed.scored.reasons)
        return found

    def _differ(self, group: Input) -> bool:
        one, other = self._now[self._market], self._reference[self._market]
        if any(getattr(one.market, field) != getattr(other.market, field) for field in FIELDS[group]):
            return True
        if group is Input.CHAIN:
            return one.surface != other.surface
        if group is Input.OTHERS:
            return {k: v for k, v in self._now.items() if k != self._market} != {
                k: v for k, v in self._reference.items() if k != self._market
            }
        return group in SPEAKS and _part(one.carried, group) != _part(other.carried, group)

    def _own(self, coalition: frozenset[Input]) -> Facts:
        return mixed(self._now[self._market], self._reference[self._market], coalition)

    def _world(self, coalition: frozenset[Input]) -> dict[str, Facts]:
        around = self._now if Input.OTHERS in coalition else self._reference
        return {name: self._own(coalition) if name == self._market else facts for name, facts in around.items()}

    def _ladders(self, asked: Iterable[frozenset[Input]]) -> dict[frozenset[Input], dict[str, Ladder]] | None:
        """As they are published, of every market of the world that is scored."""
        asked = tuple(asked)
        worlds = {each: self._world(each) for each in dict.fromkeys(each & self._heard for each in asked)}
        spoken = self._scorer.forecaster.forecasts(
            [
                ([facts.market for facts in world.values()], {name: facts.carried for name, facts in world.items()})
                for world in worlds.values()
            ]
        )
        heard = dict(zip(worlds, spoken, strict=True))
        policy = self._scorer.policy.widening
        found = {}
        for each in asked:
            said = {}
            for (name, facts), forecast in zip(self._world(each).items(), heard[each & self._heard], strict=True):
                if facts.surface is None:
                    continue
                if not isinstance(forecast, MarketHold):
                    said[name] = widened(forecast.ladder, facts.carried, policy)
                elif name == self._market:
                    return None
            found[each] = said
        return found

    def _cascades(
        self, asked: Iterable[frozenset[Input]], ladders: Mapping[frozenset[Input], Mapping[str, Ladder]]
    ) -> dict[frozenset[Input], Cascade]:
        """All in one batch, under names of their own."""
        rows, said = {}, {}
        for place, each in enumerate(asked):
            name = f"{self._market} {place}"
            rows[name] = each, msgspec.structs.replace(self._own(each).market, market=name)
            said[name] = ladders[each & SPEAKS][self._market]
        mpor_s = self._scorer.policy.round.mpor_s
        found = self._scorer.systemic.cascades([market for _, market in rows.values()], said, mpor_s)
        return {each: found[name] for name, (each, _) in rows.items()}

    def _contagions(
        self, asked: Iterable[frozenset[Input]], ladders: Mapping[frozenset[Input], Mapping[str, Ladder]]
    ) -> dict[frozenset[Input], Contagion]:
        found = {}
        for each in asked:
            markets = [facts.market for facts in self._world(each).values()]
            found[each] = self._scorer.systemic.contagions(markets, ladders[each & SPEAKS])[self._market]
        return found


def mixed(now: Facts, reference: Facts, coalition: frozenset[Input]) -> Facts:
    """One market's facts: of the groups in the coalition the present ones, of the others the reference's."""
    fields = {
        field: getattr(reference.market, field)
        for group, names in FIELDS.items()
        if group not in coalition
        for field in names
    }
    return Facts(
        market=msgspec.structs.replace(now.market, **fields),
        carried=_carried(now.carried, reference.carried, coalition),
        surface=(now if Input.CHAIN in coalition else reference).surface,
    )


def _carried(now: Carried, reference: Carried, coalition: frozenset[Input]) -> Carried:
    """Its past is its path, with what its index said beside; what forecasts taught is experience."""
    path = now if Input.PATH in coalition else reference
    index = now if Input.IMPLIED in coalition else reference
    taught = now if Input.EXPERIENCE in coalition else reference
    running = path.running
    if running is not None and index.running is not None:
        running = msgspec.structs.replace(running, **{field: getattr(index.running, field) for field in OF_INDEX})
    return msgspec.structs.replace(
        taught, running=running, beside=index.beside, judged_ms=path.judged_ms, awaited=path.awaited
    )


def _part(carried: Carried, group: Input) -> object:
    """What a group of `SPEAKS` has of what is carried, to be compared."""
    running = carried.running
    if group is Input.EXPERIENCE:
        return carried.down, carried.up, carried.drift
    if running is None:
        return None
    if group is Input.IMPLIED:
        return tuple(getattr(running, field) for field in OF_INDEX)
    return msgspec.structs.replace(running, implied=b"", funding_8h=None, market="")


def _subsets(players: Sequence[Input]) -> Iterator[list[Input]]:
    """In the order of their masks."""
    for mask in range(1 << len(players)):
        yield [player for place, player in enumerate(players) if mask >> place & 1]


def _micro(points: float) -> int:
    return round(points * MICRO)
