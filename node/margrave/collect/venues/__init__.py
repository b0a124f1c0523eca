"""The venues, a folder each, all of the same shape: endpoints, `requests`, `complaint`, `about`, and the `Venue`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from margrave.collect.source import Venue
from margrave.collect.venues.binance import BINANCE
from margrave.collect.venues.bybit import BYBIT
from margrave.collect.venues.coinbase import COINBASE
from margrave.collect.venues.deribit import DERIBIT
from margrave.collect.venues.hyperliquid import HYPERLIQUID
from margrave.collect.venues.kraken import KRAKEN
from margrave.collect.venues.okx import OKX

VENUES: Final[Mapping[str, Venue]] = {
    venue.name: venue for venue in (DERIBIT, BINANCE, OKX, BYBIT, KRAKEN, COINBASE, HYPERLIQUID)
}
