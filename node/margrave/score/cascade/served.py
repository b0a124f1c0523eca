"""The learned cascade model as a node runs it: one batched run over the markets whose collateral has a health told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from margrave.messages import Ladder, MarketSnapshot
from margrave.score import addons
from margrave.score.cascade import inputs
from margrave.score.cascade.message import Cascade
from margrave.score.registry import Model


@dataclass(frozen=True, slots=True)
class Cascades:
    """Two things can begin a cascade: borrowers of lending protocols, of whom the model speaks, and the accounts of the
    protocol that is guarded, of whom the formula does (`addons.cascade`). The likelier counts. A protocol whose buffer
    nobody told is taken at the formula's conservative one, as everywhere.

    A market without a health distribution is answered by the formula alone, and says so.
    """

    model: Model

    def forecast(
        self,
        markets: Sequence[MarketSnapshot],
        ladders: Mapping[str, Ladder],
        mpor_s: int,
        formula: Mapping[str, Cascade],
    ) -> dict[str, Cascade]:
        """Of every market with a ladder.

        Args:
            formula: of `addons.cascades`.
        """
        found = {name: msgspec.structs.replace(of, masked=(*of.masked, "health")) for name, of in formula.items()}
        asked, columns = inputs.of_markets(markets, ladders, mpor_s)
        if not asked:
            return found
        said = self.model.run(columns)
        for row, (market, owed) in enumerate(asked):
            hour, day = (float(p) for p in said["probability"][row])
            liquidated = float(said["size"][row, -1]) * owed.usd
            if math.isfinite(hour + day + liquidated):
                own = inputs.over_depth(liquidated, market.depth_usd), owed.concentration, _untold(market)
                found[market.market] = _joined(found[market.market], hour, day, *own)
        return found


def _untold(market: MarketSnapshot) -> tuple[str, ...]:
    return ("concentration",) if any(reading.concentration is None for reading in market.health) else ()


def _joined(
    formula: Cascade, hour: float, day: float, over: float, concentration: float, untold: Sequence[str]
) -> Cascade:
    """Sales of both kinds go into the same books: under the square-root law their impacts, as logarithms, add up as the
    sides of a right angle do.

    That law is of many sales, between which books refill. What the largest borrower has is sold at once, into the book
    as it stands: its part by the law of an even book, where that is more.
    """
    ours = addons.DEPTH_BAND * max(math.sqrt(over), concentration * over)
    theirs = -math.log1p(-min(formula.size, 1 - 1e-12))
    probability = max(formula.probability, day)
    return Cascade(
        probability=min(probability, 1.0),
        probability_1h=min(max(formula.probability_1h, hour), probability, 1.0),
        size=-math.expm1(-math.hypot(ours, theirs)),
        buffer=formula.buffer,
        masked=(*(name for name in formula.masked if name != "health"), *untold),
        learned=True,
    )
