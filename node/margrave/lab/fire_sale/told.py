"""What a shock does to a file of positions: the waterfall round by round, its bound, and the same for every shock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from margrave.errors import Rejected
from margrave.lab.demo.wording import plural, signed_percent
from margrave.lab.fire_sale import assets as coins
from margrave.lab.fire_sale import tables
from margrave.lab.fire_sale.assets import DOLLARS, named, underlying
from margrave.lab.fire_sale.tables import Book, Floats
from margrave.score.cascade import CloseFactor, Depth, Law, clear, simulate
from margrave.verdicts import Rejection

DEPTH_USD: Final = 20_000_000.0
"""Sold for one percent: about what one deep venue shows for bitcoin on an ordinary day (Binance's recorded spot book of
2024-08-08 holds 6.9 million within 0.33 %), and far more than any shows in a crash. A judgement; give your own."""
CURVE: Final = tuple(-percent / 100 for percent in range(61))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked."""

    file: Path
    shock: float
    assets: tuple[str, ...] = ()
    """Whose prices fall, wrapped and staked forms with them; without any, everything that is collateral."""
    depth_usd: float = DEPTH_USD
    law: Law = Law.SQUARE_ROOT
    close: CloseFactor
    prices: tuple[tuple[str, float], ...] = ()
    price_file: Path | None = None
    parameters: Path | None = None
    threshold: float = 0.78
    bonus: float = 0.05
    as_shown: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A round as it is printed."""

    accounts: int
    repaid_usd: float
    seized_usd: float
    sold: dict[str, float]
    prices_usd: dict[str, float]


@dataclass(frozen=True, slots=True)
class Point:
    """One shock of the curve."""

    shock: float
    liquidated_usd: float
    bad_debt_usd: float
    most_liquidated_usd: float
    """At the clearing prices, as `most_bad_debt_usd`."""
    most_bad_debt_usd: float


@dataclass(frozen=True, slots=True)
class Most:
    """What no order of calls and no close factor exceeds: the clearing solution."""

    sold: dict[str, float]
    impact: float
    """The largest of any coin."""
    liquidated_usd: float
    """Not a bound, for the same coins are worth less there."""
    bad_debt_usd: float


@dataclass(frozen=True, slots=True)
class Told:
    """The answer."""

    file: str
    accounts: int
    debt_usd: float
    collateral_usd: dict[str, float]
    shock: float
    shocked: dict[str, float]
    """Price of each coin that falls and is collateral, right after the shock."""
    depth_usd: float
    law: str
    rounds: tuple[Step, ...]
    liquidated: int
    liquidated_usd: float
    repaid_usd: float
    bad_debt_usd: float
    impact: dict[str, float]
    settled: bool
    most: Most
    curve: tuple[Point, ...]
    said: tuple[str, ...]

    def encoded(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        held = ", ".join(f"{usd:,.0f} USD of {asset}" for asset, usd in self.collateral_usd.items())
        falls = ", ".join(f"{asset} to {price:,.2f}" for asset, price in self.shocked.items())
        move = f"{signed_percent(self.shock)}: {falls}; the books take {self.depth_usd:,.0f} USD for one percent"
        lines = [
            f"{self.file}: {self.accounts:,} accounts owe {self.debt_usd:,.0f} USD against {held}",
            f"{move} ({self.law.replace('_', ' ')})",
            *_table(self.rounds),
            f"{plural(len(self.rounds), 'round')}: {plural(self.liquidated, 'account')} liquidated,"
            f" {self.liquidated_usd:,.0f} USD seized for {self.repaid_usd:,.0f} USD of debt,"
            f" {self.bad_debt_usd:,.0f} USD of bad debt" + ("" if self.settled else " (not settled: rounds ran out)"),
            "their sales take "
            + (", ".join(f"{fall:.2%} off {asset}" for asset, fall in self.impact.items()) or "nothing off any price"),
            "whoever is called first, and by how much: at most "
            + (", ".join(f"{units:,.1f} {asset}" for asset, units in self.most.sold.items()) or "nothing")
            + f" sold, {self.most.impact:.2%} off a price, {self.most.bad_debt_usd:,.0f} USD of bad debt",
        ]
        return lines + [f"- {sentence}" for sentence in self.said]


def tell(wish: Wish) -> Told:
    """Read, simulate, and say.

    Raises:
        Rejected: the file, a price, or the shock is none; or nobody holds what is to fall.
    """
    prices = coins.prices(dict(wish.prices), wish.price_file, wish.file)
    terms = coins.terms(wish.threshold, wish.bonus, wish.parameters)
    book = tables.read(wish.file, prices, terms, wish.close, as_shown=wish.as_shown)
    falls = falling(book, wish.assets)
    depth = depth_of(book, wish.depth_usd, wish.law)
    path, bound = (answer(book.positions, depth, falls * wish.shock) for answer in (simulate, clear))
    names = book.positions.assets
    sold = [a for a, units in enumerate(path.sold) if units > 0]
    held = book.collateral_usd if (book.collateral_usd * falls).any() else book.debt_usd
    shown = [a for a in range(len(names)) if falls[a] and held[a] > 0]
    return Told(
        file=wish.file.name,
        accounts=len(book.accounts),
        debt_usd=float(book.debt_usd.sum()),
        collateral_usd={n: float(usd) for n, usd in zip(names, book.collateral_usd, strict=True) if usd > 0},
        shock=wish.shock,
        shocked={names[a]: float(path.shocked_usd[a]) for a in shown},
        depth_usd=wish.depth_usd,
        law=str(wish.law),
        rounds=tuple(
            Step(
                r.accounts,
                r.repaid_usd,
                r.seized_usd,
                {names[a]: float(r.sold[a]) for a in sold},
                {names[a]: float(r.prices_usd[a]) for a in shown},
            )
            for r in path.rounds
        ),
        liquidated=path.accounts,
        liquidated_usd=path.liquidated_usd,
        repaid_usd=path.repaid_usd,
        bad_debt_usd=path.bad_debt_usd,
        impact={names[a]: float(path.impact[a]) for a in sold},
        settled=path.settled,
        most=Most(
            sold={n: float(units) for n, units in zip(names, bound.sold, strict=True) if units > 0},
            impact=float(bound.impact.max()),
            liquidated_usd=bound.liquidated_usd,
            bad_debt_usd=bound.bad_debt_usd,
        ),
        curve=curve(book, depth, falls),
        said=book.said,
    )


def falling(book: Book, asked: Sequence[str]) -> Floats:
    """(A,) ones where the shock strikes.

    Raises:
        Rejected: the file has nothing of what was asked.
    """
    names = book.positions.assets
    if not asked:
        held = book.collateral_usd > 0
        chosen = {underlying(n) for n, any_ in zip(names, held, strict=True) if any_ and n not in DOLLARS}
    else:
        chosen = {underlying(named(asset)) for asset in asked}
        if strangers := sorted(chosen - {underlying(name) for name in names}):
            raise Rejected(
                Rejection.EMPTY,
                f"nobody holds or owes {', '.join(strangers)}",
                advice=f"choose --asset among {', '.join(sorted({underlying(n) for n in names}))}",
            )
    return np.array([float(underlying(name) in chosen) for name in names])


def depth_of(book: Book, depth_usd: float, law: Law) -> Depth:
    """The same depth for every coin's book; dollars sell at their price."""
    names = book.positions.assets
    books = {name: place for place, name in enumerate(sorted({underlying(n) for n in names}))}
    usd = np.array([np.inf if name in DOLLARS else depth_usd for name in names])
    return Depth(usd, 0.01, law, np.array([books[underlying(name)] for name in names]))


def curve(book: Book, depth: Depth, falls: Floats) -> tuple[Point, ...]:
    points = []
    for shock in CURVE:
        path, bound = (answer(book.positions, depth, falls * shock) for answer in (simulate, clear))
        points.append(Point(shock, path.liquidated_usd, path.bad_debt_usd, bound.liquidated_usd, bound.bad_debt_usd))
    return tuple(points)


def _table(rounds: Sequence[Step]) -> list[str]:
    if not rounds:
        return ["nobody falls below one"]
    names = list(rounds[0].prices_usd)
    head = f"{'round':>5} {'accounts':>9} {'repaid USD':>16} {'seized USD':>16}"
    rows = [head + "".join(f" {name + ' sold':>14} {name + ' USD':>12}" for name in names)]
    for number, r in enumerate(rounds, 1):
        row = f"{number:>5} {r.accounts:>9,} {r.repaid_usd:>16,.0f} {r.seized_usd:>16,.0f}"
        rows.append(row + "".join(f" {r.sold.get(n, 0.0):>14,.3f} {r.prices_usd[n]:>12,.2f}" for n in names))
    return rows
