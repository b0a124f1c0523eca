"""What would have to be otherwise for a market's score to be below a threshold.

Each lever is a figure that the score is monotone in, whatever the others are: the score rises with the tails of the
index and of the other markets, with implied volatility and open interest, and falls with depth and collateral. So the
figure at which the threshold is reached is found by bisection, and where the end of its range does not reach it, no
value of it alone would. Two answers speak of several at once: the fewest groups of inputs that would have to be as in
the reference, by the coalitions that the attributions are made of; and how far all levers together would have to come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations
from typing import Final

import msgspec

from margrave.messages import Ladder, MarketScores, MarketSnapshot, Surface
from margrave.score.attribution import Attribution
from margrave.score.coalitions import Input, World
from margrave.score.scores import Scorer

HALVINGS: Final = 40


class Lever(StrEnum):
    """A figure that can be imagined otherwise."""

    TAIL = "tail"  # every rung of the index's own ladder, as log moves; told as the shortfall of the worse side
    IMPLIED = "implied"  # 30-day implied volatility, and every tenor with it
    DEPTH = "depth"  # USD within 1 % of the mid
    OPEN_INTEREST = "open_interest"  # USD
    COLLATERAL = "collateral"  # of the protocol's accounts, over their maintenance margin
    OTHERS = "others"  # every rung of the other markets' ladders; told as the worst shortfall


FURTHEST: Final[Mapping[Lever, float]] = {
    Lever.TAIL: 0.02,
    Lever.IMPLIED: 0.02,
    Lever.DEPTH: 1e4,
    Lever.OPEN_INTEREST: 1e-6,
    Lever.COLLATERAL: 20.0,
    Lever.OTHERS: 0.02,
}
"""What a figure is multiplied by at the end of its range, where nobody would ask further."""
AS_KNOWN: Final[Mapping[Lever, float]] = dict.fromkeys(Lever, 1.0)


@dataclass(frozen=True, slots=True)
class Needed:
    """One lever: its figure now, and the one that takes the score to the threshold; `None`: no value would do."""

    lever: Lever
    now: float
    needed: float | None


@dataclass(frozen=True, slots=True)
class Counterfactual:
    below: float
    score: float
    """Before it is capped."""
    alone: tuple[Needed, ...] = ()
    """Of every lever whose figure is known."""
    together: tuple[Needed, ...] = ()
    """All of them moved by one share of their ranges; empty where even the ends would not do, or one alone is there."""
    fewest: tuple[Input, ...] = ()
    """Groups that would have to be as in the reference; empty where even all would not do."""

    @property
    def holds(self) -> bool:
        """The score is below already."""
        return self.score < self.below


@dataclass(frozen=True, slots=True)
class Scene:
    """One scored market of a round, with the ladders and surface that it was scored by."""

    scorer: Scorer
    market: str
    world: World
    ladders: Mapping[str, Ladder]
    surface: Surface
    figures: Mapping[Lever, float] = field(init=False)

    def __post_init__(self) -> None:
        seen = self.world[self.market].market
        others = [worst(ladder) for name, ladder in self.ladders.items() if name != self.market]
        told = {
            Lever.TAIL: worst(self.ladders[self.market]),
            Lever.IMPLIED: self.surface.vol_30d,
            Lever.DEPTH: seen.depth_usd,
            Lever.OPEN_INTEREST: seen.open_interest_usd,
            Lever.COLLATERAL: seen.collateral_ratio,
            Lever.OTHERS: max(others, default=None),
        }
        object.__setattr__(self, "figures", {lever: figure for lever, figure in told.items() if figure})

    @classmethod
    def of(cls, scorer: Scorer, world: World, rows: Mapping[str, MarketScores], market: str) -> Scene:
        return cls(scorer, market, world, {name: row.ladder for name, row in rows.items()}, rows[market].surface)

    def score(self, factors: Mapping[Lever, float]) -> float:
        """Uncapped, with each figure times its factor."""
        by = {**AS_KNOWN, **factors}
        ladders = {
            name: scaled(ladder, by[Lever.TAIL if name == self.market else Lever.OTHERS])
            for name, ladder in self.ladders.items()
        }
        own = _moved(self.world[self.market].market, by)
        markets = [own if name == self.market else facts.market for name, facts in self.world.items()]
        systemic, mpor_s = self.scorer.systemic, self.scorer.policy.round.mpor_s
        cascade = systemic.cascades([own], ladders, mpor_s)[self.market]
        contagion = systemic.contagions(markets, ladders)[self.market]
        surface = _at_volatility(self.surface, by[Lever.IMPLIED])
        composed = self.scorer.composed(own, ladders[self.market], surface, cascade, contagion)
        return composed.scored.points


def counterfactual(scene: Scene, below: float, attribution: Attribution | None) -> Counterfactual:
    """
    Args:
        below: what the score is to be less than, points.
        attribution: against the reference that `fewest` speaks of.
    """
    found = Counterfactual(below=below, score=scene.score({}))
    if found.holds:
        return found
    alone = tuple(_alone(scene, lever, below) for lever in scene.figures)
    together: tuple[Needed, ...] = ()
    if all(each.needed is None for each in alone):
        together = _together(scene, below)
    return replace(
        found, alone=alone, together=together, fewest=() if attribution is None else fewest(attribution, below)
    )


def fewest(attribution: Attribution, below: float) -> tuple[Input, ...]:
    """The smallest set of groups that brings the score below if they are as in the reference; of sets of one size, the
    one that leaves the least. Empty where there is none."""
    players = range(len(attribution.players))
    everything = len(attribution.values) - 1
    for size in range(1, len(attribution.players) + 1):
        left = {
            chosen: attribution.values[everything - sum(1 << i for i in chosen)]
            for chosen in combinations(players, size)
        }
        best = min(left, key=lambda chosen: (left[chosen], chosen))
        if left[best] < below:
            return tuple(attribution.players[i] for i in best)
    return ()


def worst(ladder: Ladder) -> float:
    return max(ladder.down_es99, ladder.up_es99)


def scaled(ladder: Ladder, factor: float) -> Ladder:
    """Every rung's log move times a factor."""
    if factor == 1:
        return ladder
    return Ladder(
        **{
            name: -math.expm1(factor * math.log1p(-rung))
            if name.startswith("down")
            else math.expm1(factor * math.log1p(rung))
            for name, rung in msgspec.structs.asdict(ladder).items()
        }
    )


def _alone(scene: Scene, lever: Lever, below: float) -> Needed:
    share = _share(lambda at: scene.score({lever: FURTHEST[lever] ** at}), below)
    return Needed(lever, scene.figures[lever], None if share is None else _figure(scene, lever, share))


def _together(scene: Scene, below: float) -> tuple[Needed, ...]:
    share = _share(lambda at: scene.score({lever: FURTHEST[lever] ** at for lever in scene.figures}), below)
    if share is None:
        return ()
    return tuple(Needed(lever, now, _figure(scene, lever, share)) for lever, now in scene.figures.items())


def _share(score: Callable[[float], float], below: float) -> float | None:
    """Of the way to the ends of ranges, the least at which the score is below; `None` where the ends are not."""
    low, high = 0.0, 1.0
    if score(high) >= below:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if score(middle) < below else (middle, high)
    return high


def _figure(scene: Scene, lever: Lever, share: float) -> float:
    factor = FURTHEST[lever] ** share
    if lever is Lever.TAIL:
        return worst(scaled(scene.ladders[scene.market], factor))
    if lever is Lever.OTHERS:
        return max(worst(scaled(each, factor)) for name, each in scene.ladders.items() if name != scene.market)
    return scene.figures[lever] * float(factor)


def _moved(market: MarketSnapshot, by: Mapping[Lever, float]) -> MarketSnapshot:
    fields = {
        "depth_usd": Lever.DEPTH,
        "open_interest_usd": Lever.OPEN_INTEREST,
        "collateral_ratio": Lever.COLLATERAL,
    }
    told = {name: getattr(market, name) for name in fields}
    return msgspec.structs.replace(
        market, **{name: figure * by[fields[name]] for name, figure in told.items() if figure is not None}
    )


def _at_volatility(surface: Surface, factor: float) -> Surface:
    tenors = ("total_vol_7d", "total_vol_30d", "total_vol_90d")
    return msgspec.structs.replace(surface, **{name: getattr(surface, name) * factor for name in tenors})
