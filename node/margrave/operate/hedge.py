"""`margrave hedge`: what to hold against options that were sold, from a round of the journal or a chain file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from margrave.errors import Rejected
from margrave.operate import value
from margrave.operate.replay import open_journal
from margrave.operate.value import Told
from margrave.score import hedge
from margrave.score.fair_value import Option
from margrave.score.hedge import Contracts, Hedger, MarketState, Remark
from margrave.score.registry import open_model
from margrave.settings import REGISTRY, Settings
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

MODEL: Final = "hedge/1"
CLASSICAL: Final = "Black-Scholes in the band of Whalley and Wilmott"
SAID: Final = {
    Remark.NO_HISTORY: "fewer than four weeks of bars are known: answered as for a usual day, with a wider band",
    Remark.COST_CLAMPED: "dearer than any cost that it was made for: answered for 50 bp",
    Remark.VOL_CLAMPED: "outside the volatilities that it was made for: answered for the nearest",
    Remark.LIFE_CLAMPED: "longer than any option that it was made for: answered for 30 days",
    Remark.FAR_FROM_STRIKE: "further from the strike than anything that it was made for",
}


@dataclass(frozen=True, slots=True)
class Holding:
    """Units of the underlying for one option sold."""

    option: Option
    forward: float
    vol: float
    lower: float
    upper: float
    hedge: float
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Hedged:
    market: str
    source: str
    as_of_ms: int
    model: str
    cost: float
    holdings: tuple[Holding, ...]

    def lines(self) -> list[str]:
        head = f"{self.market} from {self.source}, by {self.model}, at {1e4 * self.cost:g} bp a trade; for one sold:"
        return [head, *map(_line, self.holdings)]


def from_journal(
    settings: Settings,
    market: str,
    options: Sequence[Option],
    cost: float,
    held: float | None,
    round_: int | None,
    *,
    learned: bool = False,
) -> Hedged:
    """With the bars of the round as the market's state.

    Raises:
        Rejected: the journal holds no such round or market, or an option or a figure is none.
    """
    registry = settings.node.registry_dir
    with contextlib.closing(open_journal(settings)) as journal:
        told, found = value.of_round(journal, registry, market, options, round_)
    return of(told, hedge.state_of_bars(found.bars), cost, held, learned=learned, registry=registry)


def of(
    told: Told,
    state: MarketState,
    cost: float,
    held: float | None,
    *,
    learned: bool = False,
    registry: Path = REGISTRY,
) -> Hedged:
    """
    Args:
        told: the options with their forwards and volatilities.
        state: (1, ...) of the market.
        held: now, for each option sold; `None` where nothing is.
        learned: ask `hedge/1`, which on years that it had not seen did worse than the classics: see its card.

    Raises:
        Rejected: a figure is none.
    """
    if not told.values:
        raise Rejected(Rejection.EMPTY, "no option was named", advice="name some, like 27MAR26-80000-C")
    count = len(told.values)
    contracts = Contracts(
        spot=np.array([row.forward for row in told.values]),
        strike=np.array([row.option.strike for row in told.values]),
        hours_left=np.array([(row.option.expiry_ms - told.as_of_ms) / HOUR_MS for row in told.values]),
        is_call=np.array([row.option.is_call for row in told.values]),
        vol=np.array([row.vol for row in told.values]),
        cost=np.full(count, cost),
        held=np.full(count, np.nan if held is None else held),
    )
    each = np.zeros(count, dtype=np.int64)
    model = open_model(registry, MODEL) if learned else None
    found = Hedger(model).hedges(contracts, state.at(each))
    rows = zip(told.values, found.lower, found.upper, found.hedge, found.remarks, strict=True)
    holdings = tuple(
        Holding(row.option, row.forward, row.vol, float(low), float(high), float(now), remarks)
        for row, low, high, now, remarks in rows
    )
    return Hedged(told.market, told.source, told.as_of_ms, MODEL if learned else CLASSICAL, cost, holdings)


def _line(row: Holding) -> str:
    remarks = "; ".join(SAID[remark] for remark in row.remarks)
    return (
        f"{value.name(row.option)}  hold {row.hedge:+.4f}, between {row.lower:+.4f} and {row.upper:+.4f}  "
        f"vol {row.vol:.2%}  forward {row.forward:,.2f}" + (f"  ({remarks})" if remarks else "")
    )
