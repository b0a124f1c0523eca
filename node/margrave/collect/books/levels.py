"""Rows of a venue's book as (price, size), checked whole: the loop through which every level of every venue goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from margrave.collect import checks
from margrave.errors import Rejected
from margrave.verdicts import Rejection

MAX_LEVELS: Final = 100_000
"""A side of one message. The longest books that a venue sends whole (Coinbase) have some tens of thousands."""
MAX_LEVEL_PRICE: Final = 1e13
"""Of an order, which somebody has left where nothing trades: Kraken's XBT/CHF has had one at ten thousand million. What
is best in a book is held to `checks.MAX_PRICE_USD`."""
_NUMBERS: Final = {str, float, int}

Levels = list[tuple[float, float]]
RawLevels = Sequence[tuple[str, str]]
"""(price, size) as the venue wrote them: what its checksum is made of."""


def levels(rows: object, what: str, *, price: int | str = 0, size: int | str = 1) -> Levels:
    """Every row of one side as (price, size); a size of 0 removes the level.

    Args:
        rows: lists or objects with at least the two fields, as numbers or decimal strings; null is no rows.
        what: the side, for the operator.
        price, size: where the two stand in a row: positions of a list, keys of an object.

    Raises:
        Rejected: a row is no such thing, or a figure is not finite, not positive (price), negative (size) or beyond
            what any market holds. One bad level refuses the message: a book that lacks a level is another book.
    """
    if rows is None:
        return []
    entries: Sequence[Any] = checks.sequence(rows, what)
    if len(entries) > MAX_LEVELS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{what} has {len(entries)} levels, at most {MAX_LEVELS} are taken")
    try:
        kept = [
            (at, amount)
            for row in entries
            if 0.0 < (at := float(row[price])) <= MAX_LEVEL_PRICE
            and 0.0 <= (amount := float(row[size])) <= checks.MAX_SIZE
        ]
        kinds = {type(row[price]) for row in entries} | {type(row[size]) for row in entries}
    except (TypeError, ValueError, LookupError, OverflowError):
        return _one_by_one(entries, what, price, size)
    if len(kept) != len(entries) or not kinds <= _NUMBERS:
        return _one_by_one(entries, what, price, size)
    return kept


def as_written(rows: object) -> RawLevels:
    """Prices and sizes as text, of rows that `levels` has checked; no rows of anything else."""
    return [(str(row[0]), str(row[1])) for row in rows] if isinstance(rows, list) else ()


def stated_depth(text: str) -> int | None:
    """How many levels a channel's name says it keeps ("200" of orderbook.200.BTCUSDT); `None` where it does not."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _one_by_one(rows: Sequence[object], what: str, price: int | str, size: int | str) -> Levels:
    """The same at leisure, to name the row that is bad."""
    return [
        (_price(_field(row, what, price), what), checks.size(_field(row, what, size), f"size in {what}"))
        for row in rows
    ]


def _price(value: object, what: str) -> float:
    price = checks.number(value, f"price in {what}")
    if not 0.0 < price <= MAX_LEVEL_PRICE:
        reason = Rejection.OUT_OF_RANGE if price > 0 else Rejection.NOT_POSITIVE
        raise Rejected(reason, f"price in {what} = {price:g}")
    return price


def _field(row: object, what: str, key: int | str) -> object:
    if isinstance(key, str):
        return checks.mapping(row, f"a level of {what}").get(key)
    return checks.sequence(row, f"a level of {what}", least=key + 1)[key]
