"""`margrave greeks`: what an option gains when its market moves, from the lanes of a round or from a chain file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from margrave.errors import Rejected
from margrave.lanes import price_usd
from margrave.messages import Ladder, MarketScores, OptionQuote, Surface
from margrave.operate import value
from margrave.operate.replay import open_journal
from margrave.score import fair_value, surface
from margrave.score.fair_value import Option
from margrave.score.greeks import Greeks, Heavy, Options, greeks, moves
from margrave.score.greeks.published import ladder_of, surface_of
from margrave.settings import Settings
from margrave.spans import DAY_MS, YEAR_DAYS
from margrave.store.journal import Journal
from margrave.verdicts import Rejection

COLUMNS: Final = ("", "delta", "gamma", "vega", "vanna", "volga", "theta")


@dataclass(frozen=True, slots=True)
class Row:
    """In USD of one option on one coin: vega, vanna and volga by a volatility point, theta by a day."""

    delta: float
    gamma: float
    vega: float
    vanna: float | None
    volga: float | None
    theta: float | None


@dataclass(frozen=True, slots=True)
class Of:
    """One option."""

    option: Option
    forward: float
    vol: float
    price: float
    vol_by_log_forward: float
    """What its volatility does when the forward rises, per unit of its logarithm."""
    plain: Row
    """Its volatility held."""
    adjusted: Row
    """With the smile: vega, vanna and volga by the at-the-money volatility of its expiry."""
    over_moves: Row | None
    """Over what the ladder says may come, its delta the one to hedge with; `None` where there is no ladder."""


@dataclass(frozen=True, slots=True)
class Told:
    market: str
    source: str
    as_of_ms: int
    options: tuple[Of, ...]

    def lines(self) -> list[str]:
        at = datetime.fromtimestamp(self.as_of_ms / 1000, UTC)
        told = [
            f"{self.market} from {self.source}, {at:%Y-%m-%d %H:%M:%S} UTC; vega, vanna and volga of a "
            "volatility point, theta of a day"
        ]
        for of in self.options:
            told += [_named(of), "  ".join(f"{name:>10}" for name in COLUMNS)]
            told += [_row("plain", of.plain), _row("smile", of.adjusted)]
            told += [_row("ladder", of.over_moves)] if of.over_moves is not None else []
        return told


def from_journal(settings: Settings, market: str, options: Sequence[Option], round_: int | None = None) -> Told:
    """From the two words that a round published of the market, and nothing else.

    Raises:
        Rejected: the journal holds no such round or market, or an option has expired or is none.
    """
    with contextlib.closing(open_journal(settings)) as journal:
        number, as_of_ms, found = _found(journal, market, round_)
    seen, index = surface_of(found.words), price_usd(found.words)
    forwards = [said.forward for said in fair_value.of_surface(seen, index, as_of_ms, options)]
    told = _of(options, forwards, None, as_of_ms, seen, ladder_of(found.words))
    return Told(market, f"the lanes of round {number}", as_of_ms, told)


def from_quotes(
    market: str,
    source: str,
    quotes: Sequence[OptionQuote],
    as_of_ms: int,
    options: Sequence[Option],
    index: float | None = None,
) -> Told:
    """From a chain at hand: the surface is fitted to it, an option that it marks keeps its own mark volatility.

    Raises:
        Rejected: the chain says too little, or an option has expired or is none.
    """
    seen = surface.calibrate(quotes, as_of_ms, index=index)
    near = min(quotes, key=lambda quote: quote.expiry_ms).forward if index is None else index
    listed = {(q.expiry_ms, q.strike, q.is_call): q for q in quotes if q.mark_iv}
    expiries = {q.expiry_ms: q.forward for q in quotes}
    said = fair_value.of_surface(seen, near, as_of_ms, options)
    forwards = [expiries.get(one.option.expiry_ms, one.forward) for one in said]
    own = [listed.get((o.expiry_ms, o.strike, o.is_call)) for o in options]
    marks = [None if quote is None else quote.mark_iv for quote in own]
    return Told(market, source, as_of_ms, _of(options, forwards, marks, as_of_ms, seen, None))


def _found(journal: Journal, market: str, round_: int | None) -> tuple[int, int, MarketScores]:
    """(round, when, what it said of the market), of the last round that scored it or of the one asked for."""
    for number in reversed(journal.rounds() if round_ is None else [round_]):
        try:
            scores = journal.scores(number)
        except Rejected:
            if round_ is not None:
                raise
            continue
        for row in scores.markets:
            if row.market == market:
                return number, scores.as_of_ms, row
    raise Rejected(
        Rejection.EMPTY,
        f"no round of the journal scored {market}" if round_ is None else f"round {round_} did not score {market}",
        advice="margrave replay --list shows the rounds, margrave explain why one did not",
    )


def _of(
    options: Sequence[Option],
    forwards: Sequence[float],
    marks: Sequence[float | None] | None,
    as_of_ms: int,
    seen: Surface,
    ladder: Ladder | None,
) -> tuple[Of, ...]:
    asked = Options(
        np.array(forwards),
        [option.strike for option in options],
        [(option.expiry_ms - as_of_ms) / DAY_MS / YEAR_DAYS for option in options],
        np.array([option.is_call for option in options], dtype=np.bool_),
    )
    vol = surface.vols(seen, asked.log_moneyness, asked.years)
    for place, mark in enumerate(marks or ()):
        vol[place] = mark or vol[place]
    told = greeks(seen, asked, vol, None if ladder is None else moves(ladder))
    heavy = told.heavy
    return tuple(
        Of(
            option=option,
            forward=float(asked.forward[i]),
            vol=float(vol[i]),
            price=float(told.plain.price[i]),
            vol_by_log_forward=float(told.vol_by_log_forward[i]),
            plain=_shown(told.plain, i),
            adjusted=_shown(told.adjusted, i),
            over_moves=None if heavy is None else _heavy(heavy, i),
        )
        for i, option in enumerate(options)
    )


def _shown(found: Greeks, i: int) -> Row:
    return Row(
        delta=float(found.delta[i]),
        gamma=float(found.gamma[i]),
        vega=float(found.vega[i]) / 100,
        vanna=float(found.vanna[i]) / 100,
        volga=float(found.volga[i]) / 10_000,
        theta=float(found.theta[i]) / YEAR_DAYS,
    )


def _heavy(found: Heavy, i: int) -> Row:
    return Row(float(found.delta[i]), float(found.gamma[i]), float(found.vega[i]) / 100, None, None, None)


def _named(of: Of) -> str:
    return (
        f"{value.name(of.option)}  {of.price:,.2f} USD  vol {of.vol:.2%}  forward {of.forward:,.2f}"
        f"  (forward +1 %: vol {of.vol_by_log_forward:+.2f} points)"
    )


def _row(name: str, row: Row) -> str:
    cells = (row.delta, row.gamma, row.vega, row.vanna, row.volga, row.theta)
    return "  ".join([f"{name:>10}", *(f"{'–':>10}" if cell is None else f"{cell:>10.4g}" for cell in cells)])
