"""How the tests put a body through an adapter: as if it had just come over the wire."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from margrave.collect.source import Asked, Item
from margrave.collect.venues import VENUES
from margrave.messages import Contract, Kind, Refusal, ScalarReading
from margrave.spans import HOUR_MS

NOW_MS = 1_770_300_000_000
ItemT = TypeVar("ItemT")


def answer(
    venue: str,
    endpoint: str,
    body: object,
    *,
    instrument: str = "",
    perpetual: bool = False,
    mark_price: float | None = None,
    bar_ms: int | None = HOUR_MS,
    contract: Contract | None = None,
) -> tuple[Item, ...]:
    """What the venue's adapter makes of a body (an object to encode, or bytes as they are)."""
    adapter = VENUES[venue]
    asked = Asked(
        venue,
        "BTC",
        instrument,
        NOW_MS,
        perpetual=perpetual,
        bar_ms=bar_ms,
        mark_price=mark_price,
        contract=contract,
    )
    payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return adapter.read(next(e for e in adapter.endpoints if e.name == endpoint), asked, payload)


def only(items: tuple[Item, ...], kind: type[ItemT]) -> ItemT:
    """The one item, of the expected kind."""
    assert len(items) == 1, items
    assert isinstance(items[0], kind), items[0]
    return items[0]


def refused(items: tuple[Item, ...]) -> Refusal:
    return only(items, Refusal)


def values(items: tuple[Item, ...]) -> dict[Kind, float]:
    return {item.kind: item.value for item in items if isinstance(item, ScalarReading)}
