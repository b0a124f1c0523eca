"""Options held from one chain to the next: every option that two chains of one underlying mark, as columns.

What is hedged is the mark, Black's price at the venue's mark volatility, in USD: both ends must have one. Quotes are a
tick or more wide and jump with who is there; a mark does not, and what its own noise is both sides of a comparison
share. The hedge is the option's own expiry's forward, as each row of the chain has it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.lab.court.chains import Chain
from margrave.lab.court.families.surface.cells import regular
from margrave.messages import OptionQuote, Surface
from margrave.score import black76, surface
from margrave.score.greeks import Moves, Options, greeks, smile
from margrave.score.greeks.served import call_delta
from margrave.spans import DAY_MS, HOUR_MS, YEAR_DAYS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_APART_H: Final = 26.0
"""Between two chains: a hedge is set once a day at least."""
LEAST_DAYS: Final = 1.0
"""To expiry when the hedge is set; the venue averages the index over an option's last half hour."""
MOST_DAYS: Final = surface.MAX_DAYS
"""Beyond, nothing is calibrated."""
LEAST_DELTA: Final = 0.02
"""Of the call, and as much below one: further out a mark is a tick."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Columns (n,). `error` and moves are shares of the forward when the hedge was set."""

    asset: NDArray[np.str_]
    from_ms: Ints
    hours: Floats
    """Until the next chain."""
    days: Floats
    """To expiry when the hedge was set."""
    is_call: Bools
    call_delta: Floats
    """Black's, at the mark."""
    vega: Floats
    """Per unit of volatility over the forward."""
    gamma: Floats
    """Times the forward."""
    move: Floats
    """Of the forward."""
    error: Floats
    """(V' - V - delta (F' - F)) / F with Black's delta at the mark."""
    served: Floats
    """What each hedge ratio adds to Black's at the mark: the served one, along the smile alone where no ladder is,"""
    lanes: Floats
    """the served one where the option's volatility is the surface's too,"""
    smile: Floats
    """along the smile alone,"""
    sticky: Floats
    """and the whole smile going with the forward."""
    told: Bools
    """There was a ladder."""
    two_sided: Bools
    """Somebody bid and asked at both ends."""

    def __len__(self) -> int:
        return len(self.error)

    def only(self, wanted: Bools) -> Held:
        return Held(*(getattr(self, field.name)[wanted] for field in fields(self)))


Ladders = Callable[[str, int], Moves | None]
"""(asset, time) -> the moves that a ladder of that time tells."""


def held(chains: Mapping[str, Sequence[Chain]], ladders: Ladders | None = None) -> tuple[Held, tuple[str, ...]]:
    """(all options held, what could not be and why)."""
    parts: list[dict[str, NDArray[np.generic]]] = []
    silent: list[str] = []
    for asset, mine in chains.items():
        before: Surface | None = None
        apart = regular(mine)
        found = 0
        for first, second in itertools.pairwise(apart):
            if second.as_of_ms - first.as_of_ms > MOST_APART_H * HOUR_MS:
                continue
            try:
                before = surface.calibrate(first.quotes, first.as_of_ms, before, index=first.index_usd)
                part = _pair(first, second, before, None if ladders is None else ladders(asset, first.as_of_ms))
            except Rejected as error:
                silent.append(f"{asset} {first.day}: {error.problem}")
                continue
            if len(part["error"]):
                parts.append(part)
                found += 1
        if not found:
            silent.append(f"{asset}: no two chains within {MOST_APART_H:.0f} hours mark the same options")
    return _joined(parts), tuple(silent)


def _joined(parts: Sequence[dict[str, NDArray[np.generic]]]) -> Held:
    if not parts:
        empty = np.empty(0)
        kinds = {"asset": np.str_, "from_ms": np.int64, "is_call": np.bool_, "told": np.bool_, "two_sided": np.bool_}
        return Held(*(empty.astype(kinds.get(field.name, np.float64)) for field in fields(Held)))
    return Held(*(np.concatenate([part[field.name] for part in parts]) for field in fields(Held)))


def _pair(first: Chain, second: Chain, seen: Surface, moves: Moves | None) -> dict[str, NDArray[np.generic]]:
    then = {_terms(quote): quote for quote in second.quotes if _marked(quote)}
    both = [(quote, then[_terms(quote)]) for quote in first.quotes if _marked(quote) and _terms(quote) in then]
    columns = np.array(
        [(a.expiry_ms, a.strike, a.is_call, a.forward, a.mark_iv, b.forward, b.mark_iv) for a, b in both],
        dtype=np.float64,
    ).reshape(-1, 7)
    two_sided = np.array([_two_sided(a) and _two_sided(b) for a, b in both], dtype=np.bool_)
    days, left = ((columns[:, 0] - chain.as_of_ms) / DAY_MS for chain in (first, second))
    wanted = np.flatnonzero((days >= LEAST_DAYS) & (days <= MOST_DAYS) & (left > 0))
    delta = call_delta(_options(columns[wanted], days[wanted]), columns[wanted, 4])
    inside = (delta >= LEAST_DELTA) & (delta <= 1 - LEAST_DELTA)
    wanted, delta = wanted[inside], delta[inside]
    options = _options(columns[wanted], days[wanted])
    vol, forward_then, vol_then = columns[wanted, 4:].T
    forward = options.forward
    ours, lanes = greeks(seen, options, vol, moves), greeks(seen, options, None, moves)
    black = ours.plain
    move = forward_then / forward - 1
    then_price = black76.price(
        np.log(options.strike / forward_then), vol_then * np.sqrt(left[wanted] / YEAR_DAYS), options.is_call
    )
    sticky = -black.vega * smile(seen, options).by_k / forward
    return {
        "asset": np.full(len(vol), first.asset),
        "from_ms": np.full(len(vol), first.as_of_ms, dtype=np.int64),
        "hours": np.full(len(vol), (second.as_of_ms - first.as_of_ms) / HOUR_MS),
        "days": days[wanted],
        "is_call": options.is_call,
        "call_delta": delta,
        "vega": black.vega / forward,
        "gamma": black.gamma * forward,
        "move": move,
        "error": then_price * forward_then / forward - black.price / forward - black.delta * move,
        "served": ours.hedge - black.delta,
        "lanes": lanes.hedge - black.delta,
        "smile": ours.adjusted.delta - black.delta,
        "sticky": sticky,
        "told": np.full(len(vol), moves is not None),
        "two_sided": two_sided[wanted],
    }


def _options(columns: Floats, days: Floats) -> Options:
    return Options(columns[:, 3], columns[:, 1], days / YEAR_DAYS, columns[:, 2] > 0)


def _terms(quote: OptionQuote) -> tuple[int, float, bool]:
    return quote.expiry_ms, quote.strike, quote.is_call


def _marked(quote: OptionQuote) -> bool:
    return quote.mark_iv is not None and quote.mark_iv > 0


def _two_sided(quote: OptionQuote) -> bool:
    return quote.bid is not None and quote.ask is not None and 0 < quote.bid <= quote.ask
