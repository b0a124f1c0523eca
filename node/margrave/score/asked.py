"""What the models are asked about a round's markets: one batch, from which each takes what its card names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from margrave.errors import Fatal, Rejected
from margrave.messages import Bar
from margrave.score.features.catalogue import LEVEL_H, TAIL_NAMES, VERSION, VOLATILITY_NAMES
from margrave.score.features.running import Running
from margrave.score.features.served import Served
from margrave.score.registry import Card
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

Floats = npt.NDArray[np.float64]

BASELINE_H: Final = LEVEL_H
"""Hourly returns that a recursion is given."""
FLAT_WINDOW: Final = 24
FLAT_SHARE: Final = 0.5
UNKNOWN: Final = ("history",)
"""What is told as missing of a market whose four weeks are not whole."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the batch: a market with its closed bars, or with a provisional one after them."""

    market: str
    returns: Floats
    """Hourly log returns, the newest last; `BASELINE_H` at most."""
    running: Running | None


@dataclass(frozen=True, slots=True)
class Batch:
    arrays: Mapping[str, npt.NDArray[np.generic]]
    """By input name; of `columns` and their scale there are two kinds, by the card's own columns."""
    columns: Mapping[tuple[str, ...], tuple[str, Floats, Floats]]
    """Names of the columns -> what their scale is called, columns (rows, …), scale (rows, horizons)."""
    gone: tuple[tuple[str, ...], ...]

    def of(self, card: Card) -> Mapping[str, npt.NDArray[np.generic]]:
        if card.columns not in self.columns:
            return self.arrays
        scale, columns, values = self.columns[card.columns]
        return {**self.arrays, "columns": columns, scale: values}

    def masked(self, place: int) -> tuple[str, ...]:
        """The sources that one row's inputs have to do without."""
        return self.gone[place]


def needs(card: Card) -> None:
    """
    Raises:
        Fatal: the card wants inputs that this node does not compute.
    """
    if card.features_version != VERSION or card.columns not in (TAIL_NAMES, VOLATILITY_NAMES):
        raise Fatal(
            f"{card.name} was made for features {card.features_version}, this node computes {VERSION}, or it wants "
            "columns that they do not have",
            advice="install the release that its card names, or choose another model",
        )


def batch(rows: Sequence[Row], served: Served) -> Batch:
    """Rows of markets of which too little is known are NaN in what is served."""
    returns = np.zeros((len(rows), BASELINE_H))
    for i, row in enumerate(rows):
        returns[i, BASELINE_H - len(row.returns) :] = row.returns
    known, ready = [i for i, row in enumerate(rows) if row.running is not None], served.ready
    gone: list[tuple[str, ...]] = [UNKNOWN] * len(rows)
    for place, i in enumerate(known):
        gone[i] = served.masked(place) if ready[place] else UNKNOWN

    def spread(values: Floats) -> Floats:
        found = np.full((len(rows), values.shape[1]), np.nan)
        found[known] = values
        return found

    return Batch(
        arrays={
            "returns_1h": returns,
            "bars": np.array([len(row.returns) for row in rows], dtype=np.int64),
        },
        columns={
            TAIL_NAMES: ("log_anchor", spread(served.tails), spread(served.log_anchor)),
            VOLATILITY_NAMES: ("log_usual", spread(served.volatility), spread(served.log_usual)),
        },
        gone=tuple(gone),
    )


def log_closes(bars: Sequence[Bar]) -> Floats:
    """(bars,)

    Raises:
        Rejected: a price is not finite or not positive, a bar contradicts itself, the bars have a gap, or more than
            half of the last day's bars did not move at all (a frozen feed looks like calm).
    """
    # times too: exact, they are below 2^53
    fields = np.fromiter(chain.from_iterable(map(astuple, bars)), np.float64).reshape(-1, len(Bar.__struct_fields__))
    times, prices = fields[:, 0], fields[:, 1:5]
    if not np.isfinite(prices).all():
        raise Rejected(Rejection.NOT_FINITE, "a bar has a price that is not a number")
    if not (prices > 0).all():
        raise Rejected(Rejection.NOT_POSITIVE, "a bar has a price of zero or less")
    high, low = prices[:, 1], prices[:, 2]
    if (high < prices.max(axis=1)).any() or (low > prices.min(axis=1)).any():
        raise Rejected(Rejection.OUT_OF_RANGE, "a bar's high or low does not contain its open and close")
    if (np.diff(times) != HOUR_MS).any():
        raise Rejected(Rejection.MALFORMED, "the hourly bars have a gap, a repeat or are not ascending")
    last_day = (high == low)[-FLAT_WINDOW:]
    if last_day.size and last_day.mean() > FLAT_SHARE:
        raise Rejected(Rejection.FROZEN, f"{last_day.sum()} of the last {last_day.size} bars did not move at all")
    closes: Floats = np.log(prices[:, 3])
    return closes
