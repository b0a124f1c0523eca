"""A market's score under any mixture of two worlds: groups of its inputs from the one, the others from the other.

What is mixed is what the round was given: fields of the snapshot, what is carried, the surface, the other markets. The
mixture goes through the very models, surfaces and formulas of the round, in one batch, and nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.messages import Ladder, MarketHold, MarketSnapshot, Scores, Snapshot, Surface
from margrave.score.carried import Carried, widened
from margrave.score.cascade.message import Cascade
from margrave.score.contagion.message import Contagion
from margrave.score.features.running import read
from margrave.score.features.tails import SERIES
from margrave.score.scores import Scorer
from margrave.verdicts import DriftLevel

Floats = NDArray[np.float64]


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


class PathPart(StrEnum):
    """What a price path is made of, by the groups of `features.catalogue` that are computed from it."""

    RANGE = "how far its hours reach"
    MOVES = "its moves and their trend"
    VOLUME = "what was traded"
    RUNNING = "the move since the last close"
    CLOSES = "the newest hour and the closes before it"


Coalition = frozenset[Input | PathPart]
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
OF_PARTS: Final[Mapping[PathPart, tuple[str, ...]]] = {
    PathPart.RANGE: ("ranges", "usual", "total", "count", "fresh", "ends"),
    PathPart.MOVES: ("returns",),
    PathPart.VOLUME: ("volumes",),
}
"""Of what is carried of the hours."""
OF_SERIES: Final[Mapping[str, PathPart]] = {
    "ranges": PathPart.RANGE,
    "squares": PathPart.MOVES,
    "negative": PathPart.MOVES,
    "returns": PathPart.MOVES,
    "volume": PathPart.VOLUME,
}
"""And of its exponentially weighted sums."""
SPEAKS: Final[Coalition] = frozenset({Input.PATH, Input.IMPLIED, Input.OTHERS, Input.EXPERIENCE, *PathPart})
"""What a ladder follows from."""
SOLD: Final[Coalition] = frozenset({Input.BOOK, Input.OPEN_INTEREST, Input.LENDING})
"""What a cascade follows from, beside the ladder."""
COMPOSED: Final[Coalition] = frozenset({Input.BOOK, Input.CHAIN})
"""What the composition reads of the market itself, beside ladder, cascade and contagion."""


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


def world_of(snapshot: Snapshot, scores: Scores, carried: Mapping[str, Carried]) -> dict[str, Facts]:
    """
    Args:
        carried: what `Scorer.score` returned for the snapshot.
    """
    surfaces = {row.market: row.surface for row in scores.markets}
    heard = [m for m in snapshot.markets if m.market in carried and m.bars]
    return {m.market: Facts(m, carried[m.market], surfaces.get(m.market)) for m in heard}


class Game:
    """One market's score as a game of its groups of inputs. Players are the groups that differ."""

    def __init__(self, scorer: Scorer, market: str, now: World, reference: World) -> None:
        self._scorer, self._market, self._now, self._reference = scorer, market, now, reference
        self._mixed: dict[Coalition, Facts] = {}
        self.players = tuple(each for each in Input if self._differ(each))
        self._touching: Coalition = SPEAKS
        """What contagion follows from: the formula reads bars and ladders, the graph also what is held and depth."""
        if scorer.systemic.contagion_model is not None:
            self._touching = SPEAKS | {Input.BOOK, Input.LENDING}
        levels = {world[market].carried.drift.level for world in (now, reference)}
        self._heard: Coalition = SPEAKS if DriftLevel.BASELINE in levels else SPEAKS - {Input.EXPERIENCE}
        """What the models are told: of experience they hear only that the baseline is to speak."""

    def values(self, coalitions: Sequence[Coalition]) -> Floats | None:
        """(coalitions,) the score, uncapped, of each; `None` where the models refuse one."""
        ladders = self._ladders(dict.fromkeys(each & SPEAKS for each in coalitions))
        if ladders is None:
            return None
        contagions = self._contagions(dict.fromkeys(each & self._touching for each in coalitions), ladders)
        cascades = self._cascades(dict.fromkeys(each & (SPEAKS | SOLD) for each in coalitions), ladders)
        found = np.empty(len(coalitions))
        for place, each in enumerate(coalitions):
            facts = self._own(each & COMPOSED)
            assert facts.surface is not None, "asked of markets with one only"
            ladder = ladders[each & SPEAKS][self._market]
            systemic = cascades[each & (SPEAKS | SOLD)], contagions[each & self._touching]
            composed = self._scorer.composed(facts.market, ladder, facts.surface, *systemic)
            found[place] = composed.scored.points
        return found

    def _differ(self, group: Input) -> bool:
        one, other = self._now[self._market], self._reference[self._market]
        if any(getattr(one.market, field) != getattr(other.market, field) for field in FIELDS[group]):
            return True
        if group is Input.CHAIN:
            return one.surface != other.surface
        if group is Input.OTHERS:
            return self._others(self._now) != self._others(self._reference)
        return group in SPEAKS and _part(one.carried, group) != _part(other.carried, group)

    def _others(self, world: World) -> dict[str, Facts]:
        return {name: facts for name, facts in world.items() if name != self._market}

    def _own(self, coalition: Coalition) -> Facts:
        if coalition not in self._mixed:
            self._mixed[coalition] = mixed(self._now[self._market], self._reference[self._market], coalition)
        return self._mixed[coalition]

    def _world(self, coalition: Coalition) -> dict[str, Facts]:
        around = self._now if Input.OTHERS in coalition else self._reference
        return {name: self._own(coalition) if name == self._market else facts for name, facts in around.items()}

    def _ladders(self, asked: Iterable[Coalition]) -> dict[Coalition, dict[str, Ladder]] | None:
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
        self, asked: Iterable[Coalition], ladders: Mapping[Coalition, Mapping[str, Ladder]]
    ) -> dict[Coalition, Cascade]:
        """All in one batch, under names of their own."""
        rows, said = {}, {}
        for place, each in enumerate(asked):
            name = f"{self._market} {place}"
            rows[name] = each, msgspec.structs.replace(self._own(each & SOLD).market, market=name)
            said[name] = ladders[each & SPEAKS][self._market]
        mpor_s = self._scorer.policy.round.mpor_s
        found = self._scorer.systemic.cascades([market for _, market in rows.values()], said, mpor_s)
        return {each: found[name] for name, (each, _) in rows.items()}

    def _contagions(
        self, asked: Iterable[Coalition], ladders: Mapping[Coalition, Mapping[str, Ladder]]
    ) -> dict[Coalition, Contagion]:
        """All at once."""
        worlds = {
            each: ([facts.market for facts in self._world(each).values()], ladders[each & SPEAKS]) for each in asked
        }
        found = self._scorer.systemic.contagions_of(tuple(worlds.values()))
        return {each: of[self._market] for each, of in zip(worlds, found, strict=True)}


def mixed(now: Facts, reference: Facts, coalition: Coalition) -> Facts:
    """One market's facts: of the groups in the coalition the present ones, of the others the reference's. Of a path of
    which parts are in the coalition, those; all parts are the path."""
    fields = {
        field: getattr(reference.market, field)
        for group, names in FIELDS.items()
        if group not in coalition
        for field in names
    }
    facts = Facts(
        market=msgspec.structs.replace(now.market, **fields),
        carried=_carried(now.carried, reference.carried, coalition),
        surface=(now if Input.CHAIN in coalition else reference).surface,
    )
    parts = frozenset(PathPart) & coalition
    return _in_parts(facts, now, reference, parts) if parts and Input.PATH not in coalition else facts


def _carried(now: Carried, reference: Carried, coalition: Coalition) -> Carried:
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


def _in_parts(facts: Facts, now: Facts, reference: Facts, parts: frozenset[PathPart]) -> Facts:
    """The reference's path with some parts of the present one. Both stand at one hour."""
    of = {part: (now if part in parts else reference) for part in PathPart}
    bars, running = of[PathPart.CLOSES].market.bars, of[PathPart.RUNNING].market
    others = {field: getattr(of[PathPart.CLOSES].market, field) for field in FIELDS[Input.PATH]}
    moved = running.price / running.bars[-1].close
    newest = msgspec.structs.replace(bars[-1], volume=of[PathPart.VOLUME].market.bars[-1].volume)
    others["bars"] = (*bars[:-1], newest)
    market = msgspec.structs.replace(facts.market, **others | {"price": bars[-1].close * moved})
    state = facts.carried.running
    if state is not None:
        sums, weights = read(state.sums).copy(), read(state.weights).copy()
        carried: dict[str, object] = {}
        for part, names in OF_PARTS.items():
            source = of[part].carried.running
            if source is None:
                continue
            carried |= {name: getattr(source, name) for name in names}
            rows = [place for place, (name, _) in enumerate(SERIES) if OF_SERIES[name] is part]
            sums[rows], weights[rows] = read(source.sums)[rows], read(source.weights)[rows]
        carried |= {"sums": sums.tobytes(), "weights": weights.tobytes(), "close": bars[-2].close}
        state = msgspec.structs.replace(state, **carried)
    return replace(facts, market=market, carried=msgspec.structs.replace(facts.carried, running=state))


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
