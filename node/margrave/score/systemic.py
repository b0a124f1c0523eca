"""Cascade and contagion of a round: what the learnt models say, where there are any, held to what venues alone show.

The attack here is a lending feed that says that nobody is at risk. Health factors come from one chain through one
watcher, no second source can outvote them, and a model that reads them answers what they want it to. So, in the manner
of the ladder's own floor:

* no probability is published below that of a day's (an hour's) move which no book known withstands, `BEYOND_ANY_BOOK`
  by the ladder, and the ladder is of venues' prices alone;
* no size and no add-on is published below `FLOOR` of the formula's, which reads ladder, depth, open interest and bars,
  all of venues;
* no add-on is published above `CEILING` of it either. Contagion loosens by a fifth a day on chain: a feed that for one
  round shows everybody at the edge, true or not, would hold everybody's margin up for days.

Where a model does not speak for a market, or says what is no number, the formula of `score.addons` does: on the safe
side of what nobody supplied, under the same floors, and named among the fallbacks. That lowers confidence, which is how
a contract is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from margrave.messages import Ladder, MarketSnapshot
from margrave.score import addons
from margrave.score.cascade.message import Cascade
from margrave.score.contagion.message import Contagion, World
from margrave.spans import DAY_S, HOUR_S

FLOOR: Final = 1 / 3
"""The same as the ladder's (`score.forecast.BASELINE_FLOOR`)."""
CEILING: Final = 3.0
BEYOND_ANY_BOOK: Final = 0.15
"""A move of the index. On 2020-03-12 and 2021-05-19 falls of this order liquidated loans at twice their collateral."""


MOST_IN_A_GRAPH: Final = 100
"""Markets. Two seconds of a core for 500, a tenth of one for so many: `scripts/bench round`."""
LEARNT_LANES: Final = ("cascade", "contagion")
"""What a model may speak of here, by the names of its families."""


class CascadeModel(Protocol):
    """`score.cascade.served.Cascades` is one."""

    def forecast(
        self,
        markets: Sequence[MarketSnapshot],
        ladders: Mapping[str, Ladder],
        mpor_s: int,
        formula: Mapping[str, Cascade],
    ) -> Mapping[str, Cascade]: ...


class ContagionModel(Protocol):
    """`score.contagion.served.Contagions` is one."""

    def forecasts(self, worlds: Sequence[World]) -> Sequence[Mapping[str, Contagion]]: ...


@dataclass(frozen=True, slots=True)
class Systemic:
    """Of one model set; without models, the formulas."""

    cascade_model: CascadeModel | None = None
    contagion_model: ContagionModel | None = None

    def cascades(
        self, markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder], mpor_s: int
    ) -> dict[str, Cascade]:
        """Of every market with a ladder."""
        formula = addons.cascades(markets, ladders, mpor_s)
        model = self.cascade_model
        said = {} if model is None else model.forecast(markets, ladders, mpor_s, formula)
        return {name: held_cascade(said.get(name), of, ladders[name], mpor_s) for name, of in formula.items()}

    def contagions(self, markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder]) -> dict[str, Contagion]:
        """Of every market with a ladder. Beyond `MOST_IN_A_GRAPH` of them the formula speaks for all: what clears every
        fall through every borrower grows with their square."""
        (found,) = self.contagions_of([(markets, ladders)])
        return found

    def contagions_of(
        self, worlds: Sequence[tuple[Sequence[MarketSnapshot], Mapping[str, Ladder]]]
    ) -> list[dict[str, Contagion]]:
        """`contagions` of each of some worlds, of which the model speaks at once."""
        told = [World(markets, ladders, addons.contagion(markets, ladders)) for markets, ladders in worlds]
        asked = {place: world for place, world in enumerate(told) if len(world.ladders) <= MOST_IN_A_GRAPH}
        model = self.contagion_model
        said = {} if model is None else dict(zip(asked, model.forecasts(tuple(asked.values())), strict=True))
        return [
            {name: held_contagion(said.get(place, {}).get(name), of) for name, of in world.formula.items()}
            for place, world in enumerate(told)
        ]


def held_cascade(said: Cascade | None, formula: Cascade, ladder: Ladder, mpor_s: int) -> Cascade:
    """What a model said of a market, or the formula where it said nothing sound, no lower than venues alone allow."""
    spoken = formula if said is None or not _sound(said) else said
    day = max(spoken.probability, addons.either_side(BEYOND_ANY_BOOK, ladder, DAY_S, mpor_s))
    hour = max(spoken.probability_1h, addons.either_side(BEYOND_ANY_BOOK, ladder, HOUR_S, mpor_s))
    return msgspec.structs.replace(
        spoken,
        probability=min(day, 1.0),
        probability_1h=min(hour, day, 1.0),
        size=min(max(spoken.size, (FLOOR if spoken.learned else 1.0) * formula.size), 1.0),
    )


def _sound(said: Cascade) -> bool:
    figures = (said.probability, said.probability_1h, said.size, said.buffer)
    return all(math.isfinite(figure) and figure >= 0 for figure in figures)


def held_contagion(said: Contagion | None, formula: Contagion) -> Contagion:
    """What a model said of a market, between `FLOOR` and `CEILING` of the formula; the formula where it said nothing
    sound. Where no model spoke it is the least."""
    if said is None or not (math.isfinite(said.addon) and said.addon >= 0):
        return formula
    least = (FLOOR if said.learned else 1.0) * formula.addon
    return msgspec.structs.replace(said, addon=min(max(said.addon, least), CEILING * formula.addon))


def fallbacks(cascade: Cascade, contagion: Contagion) -> tuple[str, ...]:
    """The lanes on which no model spoke."""
    learned = cascade.learned, contagion.learned
    return tuple(name for name, spoken in zip(LEARNT_LANES, learned, strict=True) if not spoken)
