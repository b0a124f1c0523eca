"""What one venue says is never taken for another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from margrave.collect.recorded import parse_file
from margrave.errors import Fatal
from tests.history import needs_data
from tests.unit.collect.recordings import counted, files

TAKEN = {
    "Contract",
    "ScalarReading",
    "BookReading",
    "BarsReading",
    "ChainReading",
    "TradesReading",
    "LiquidationsReading",
}
TOLD = {"BookSnapshot", "BookDiff", "Trade", "Liquidation"}


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("venue", ["okx", "bybit", "kraken", "coinbase", "hyperliquid"])
def test_recordings_of_venues_without_an_adapter_give_nothing_but_named_refusals(venue: str) -> None:
    foreign = [*(f for name in ("BITSTAMP", "BITFINEX", "DYDX") for f in files("fixtures_cryptofeed_raw", f"{name}*"))]
    foreign += files("fixtures_nautilus/dydx", "*.json") | files("fixtures_nautilus/tardis", "*.json")
    assert len(foreign) > 25
    for path in foreign:
        counts = counted(venue, path)
        assert counts
        assert not counts.keys() & (TAKEN | TOLD), path


@pytest.mark.parametrize("venue", ["bitstamp", "bitfinex", "dydx", "ccxt:gate"])
def test_a_venue_without_an_adapter_is_refused_by_name(venue: str, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=f"{venue} is not a venue"):
        list(parse_file(venue, tmp_path / "x.json"))
