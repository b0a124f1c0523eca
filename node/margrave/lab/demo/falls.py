"""What borrowers would have sold had the forecast's worst come: the fire-sale simulator over what a node read.

Of each market the round in which a cascade was most to be feared, by the chain; the health of the lending protocol that
lent most against it, from the journal of one node; its price, the depth of its books, and a fall to the expected
shortfall that was on chain. How the rounds go is `score.cascade.fire_sale`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from margrave.errors import Rejected
from margrave.lab.demo import wording
from margrave.lab.demo.record import FallRound, FallRow, RoundRow
from margrave.messages import MarketSnapshot
from margrave.score.cascade.fire_sale import Depth, simulate
from margrave.score.cascade.positions import of_health
from margrave.store.journal import Journal

PARTS: Final = 8
"""Accounts a bucket: debt is taken as even between two health factors."""
MOST_DRAWN: Final = 10
WIDTH: Final = 560
HEIGHT: Final = 150
BASE: Final = 112
"""Where bars stand."""
GAP: Final = 10


def feared(journal: Journal, rows: Sequence[RoundRow], markets: Sequence[str]) -> tuple[FallRow, ...]:
    """Of each market whose lending was read in its worst round; nothing of the others."""
    found = []
    for market in markets:
        told = [row for row in rows if market in row.markets and row.markets[market].cascade_probability is not None]
        if not told:
            continue
        worst = max(told, key=lambda row: _loss(row, market))
        try:
            snapshot = journal.snapshot(worst.round)
        except Rejected:
            continue  # that node saw nothing of the round
        for seen in snapshot.markets:
            if seen.market == market and seen.health and seen.depth_usd:
                found.append(fall_of(seen, worst.round, worst.markets[market].down_es99))
    return tuple(found)


def _loss(row: RoundRow, market: str) -> float:
    state = row.markets[market]
    return (state.cascade_probability or 0.0) * (state.cascade_size or 0.0)


def fall_of(seen: MarketSnapshot, round_: int, fall: float) -> FallRow:
    reading = max(seen.health, key=lambda health: sum(health.debt_usd))
    assert seen.depth_usd is not None
    depth = Depth(usd=np.array([seen.depth_usd, np.inf]))
    done = simulate(of_health(reading, seen.price, parts=PARTS), depth, (-fall, 0.0))
    return FallRow(
        market=seen.market,
        round=round_,
        protocol=reading.protocol,
        debt_usd=sum(reading.debt_usd),
        price_usd=seen.price,
        shocked_usd=float(done.shocked_usd[0]),
        rounds=tuple(FallRound(seized_usd=r.seized_usd, price_usd=float(r.prices_usd[0])) for r in done.rounds),
        liquidated_usd=done.liquidated_usd,
        bad_debt_usd=done.bad_debt_usd,
    )


# --- the drawing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    sold: str
    price: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """Bars are what each round sells, with the price that it leaves beneath."""

    sentence: str
    bars: tuple[Bar, ...]


def drawn(fall: FallRow) -> Drawn:
    shown = fall.rounds[:MOST_DRAWN]
    most = max((each.seized_usd for each in shown), default=0.0)
    width = min((WIDTH - GAP) / max(len(shown), 1) - GAP, 90.0)
    bars = []
    for place, each in enumerate(shown):
        height = (BASE - 20) * each.seized_usd / most if most > 0 else 0.0
        x = GAP + place * (width + GAP)
        bars.append(
            Bar(x, BASE - height, width, height, wording.short_usd(each.seized_usd), wording.usd(each.price_usd))
        )
    return Drawn(_sentence(fall), tuple(bars))


def _sentence(fall: FallRow) -> str:
    struck = 1 - fall.shocked_usd / fall.price_usd
    begin = (
        f"{fall.protocol} had lent {wording.short_usd(fall.debt_usd)} against {fall.market}. "
        f"A fall of {wording.percent(struck)}, to {wording.usd(fall.shocked_usd)},"
    )
    if not fall.rounds:
        return f"{begin} would have liquidated nobody."
    rounds = wording.plural(len(fall.rounds), "round")
    end = fall.rounds[-1].price_usd
    bad = f", {wording.short_usd(fall.bad_debt_usd)} of debt without collateral" if fall.bad_debt_usd >= 1 else ""
    return (
        f"{begin} would have liquidated {wording.short_usd(fall.liquidated_usd)} in {rounds} and left the price at "
        f"{wording.usd(end)}{bad}."
    )
