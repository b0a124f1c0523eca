"""What coins are called, and what they are worth: wrapped coins, dollars, prices and risk parameters from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from margrave.errors import Rejected
from margrave.verdicts import Rejection

DOLLARS: Final = frozenset(
    (
        *("USD", "USDC", "USDT", "DAI", "GHO", "BUSD", "SUSD", "GUSD", "TUSD", "FRAX", "LUSD", "PYUSD", "RLUSD"),
        *("USDTB", "USDS", "USDE", "USDG", "USDP", "PAX", "CRVUSD", "MUSD"),
    )
)
"""Taken at one dollar where no price is given. What has lost its peg for good (UST), or never had one (RAI, AMPL), is
not here."""
SAME: Final[Mapping[str, str]] = {
    **dict.fromkeys(("WBTC", "CBBTC", "TBTC", "LBTC", "FBTC", "BTCB"), "BTC"),
    "WETH": "ETH",
}
"""Coins of the same price."""
BOOK: Final[Mapping[str, str]] = {
    **SAME,
    **dict.fromkeys(("STETH", "WSTETH", "CBETH", "RETH", "WEETH", "OSETH", "RSETH", "EZETH"), "ETH"),
}
"""Where a coin is sold in the end: wrapped and staked coins fall with what they stand for."""
DAYS: Final = ("date", "day", "ts", "time", "timestamp")
PRICED: Final = frozenset({"symbol", "price_usd"})
BASIS_POINTS: Final = 1e4


def named(asset: object) -> str:
    return str(asset).strip().upper()


def underlying(asset: str) -> str:
    return BOOK.get(asset, asset)


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars by coin, and the file and day they are of."""

    usd: Mapping[str, float]
    source: str = ""

    def of(self, asset: str) -> float | None:
        """The coin's own, or that of a coin of the same price; a dollar's is one."""
        for name in (asset, SAME.get(asset, asset), *(n for n, real in SAME.items() if real == SAME.get(asset, asset))):
            if name in self.usd:
                return self.usd[name]
        return 1.0 if asset in DOLLARS else None


def prices(given: Mapping[str, float], file: Path | None, beside: Path) -> Prices:
    """Given ones first; then the file's; without a file, that of the positions' folder which looks like prices.

    Raises:
        Rejected: the file is none of prices, or a price is not positive.
    """
    own = {named(asset): float(price) for asset, price in given.items()}
    if file is not None:
        found = _priced(frame(file))
        if found is None:
            raise Rejected(
                Rejection.UNKNOWN_SHAPE,
                f"{file} has no columns symbol and price_usd",
                advice="give prices as a table of those, with a date or without, or with --price BTC=64000",
            )
        table, day = found
        sources = f"{file.name}{day}"
    else:
        table, sources = {}, ""
        for other in sorted(p for p in beside.parent.glob("*") if p != beside and p.suffix in (".parquet", ".csv")):
            found = _priced(frame(other)) if _header(other) >= PRICED else None
            if found is not None:
                table, day = found
                sources = f"{other.name}{day}"
                break
    for asset, price in {**table, **own}.items():
        if not (np.isfinite(price) and price > 0):
            raise Rejected(Rejection.NOT_POSITIVE, f"price of {asset}: {price:g}", advice="give dollars a coin")
    return Prices({**table, **own}, sources)


def _priced(table: pd.DataFrame) -> tuple[dict[str, float], str] | None:
    """The last price of each symbol, and how its day is told."""
    if not set(table.columns) >= PRICED:
        return None
    day = next((name for name in DAYS if name in table.columns), None)
    told = ""
    if day is not None:
        table = table.sort_values(day, kind="stable")
        told = f" of {str(table[day].iloc[-1])[:10]}" if len(table) else ""
    last = table.dropna(subset=["price_usd"]).groupby("symbol", sort=True)["price_usd"].last()
    return {named(symbol): float(price) for symbol, price in last.items()}, told


@dataclass(frozen=True, slots=True)
class Terms:
    """Liquidation threshold and bonus by coin, and those of coins that no table has."""

    threshold: float
    bonus: float
    known: Mapping[str, tuple[float, float]]

    def knows(self, asset: str) -> bool:
        return any(name in self.known for name in self._names(asset))

    def of(self, asset: str) -> tuple[float, float]:
        found = (self.known[name] for name in self._names(asset) if name in self.known)
        return next(found, (self.threshold, self.bonus))

    def _names(self, asset: str) -> tuple[str, ...]:
        """Its own, and of a coin itself those of its wrapped forms."""
        return asset, *(name for name, real in SAME.items() if real == asset)


def terms(threshold: float, bonus: float, file: Path | None) -> Terms:
    """From a table of risk parameters: `symbol` with `threshold` and `bonus` as shares, or with Aave's
    `reserveLiquidationThreshold` and `reserveLiquidationBonus` in basis points, the latter counted from 10,000.

    Raises:
        Rejected: the file is no such table.
    """
    if file is None:
        return Terms(threshold, bonus, {})
    table = frame(file)
    if {"symbol", "threshold", "bonus"} <= set(table.columns):
        rows = zip(table["symbol"], table["threshold"], table["bonus"], strict=True)
        return Terms(threshold, bonus, {named(s): (float(t), float(b)) for s, t, b in rows})
    if {"symbol", "reserveliquidationthreshold", "reserveliquidationbonus"} <= set(table.columns):
        columns = table["symbol"], table["reserveliquidationthreshold"], table["reserveliquidationbonus"]
        known = {
            named(symbol): (float(t) / BASIS_POINTS, max(float(b) / BASIS_POINTS - 1, 0.0))
            for symbol, t, b in zip(*columns, strict=True)
        }
        return Terms(threshold, bonus, known)
    raise Rejected(
        Rejection.UNKNOWN_SHAPE,
        f"{file} is no table of risk parameters",
        advice="give columns symbol, threshold, bonus, or Aave's reserve data",
    )


def _header(file: Path) -> frozenset[str]:
    """Its columns; none of what cannot be read, for nobody named that file."""
    try:
        if file.suffix == ".parquet":
            return frozenset(name.strip().lower() for name in pq.read_schema(file).names)
        return frozenset(str(name).strip().lower() for name in pd.read_csv(file, nrows=0).columns)
    except (OSError, ValueError, pa.ArrowInvalid):
        return frozenset()


def frame(file: Path) -> pd.DataFrame:
    """A Parquet or CSV file with its columns in lower case.

    Raises:
        Rejected: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            is_parquet = opened.read(4) == b"PAR1"
        table = pd.read_parquet(file) if is_parquet else pd.read_csv(file)
    except OSError as error:
        raise Rejected(Rejection.EMPTY, f"{file}: {error.strerror or error}", advice="check the path") from error
    except (ValueError, pd.errors.ParserError) as error:
        line = str(error).splitlines()[0]
        raise Rejected(Rejection.MALFORMED, f"{file}: {line}", advice="give a CSV with a header, or Parquet") from error
    table.columns = pd.Index([str(name).strip().lower() for name in table.columns])
    return table
