"""A tape from recorded history: real candles, funding, option chains and Deribit marks, in one directory.

The layout is one folder a data set, each with Parquet files:

    ohlcv_*venues*/candles.parquet               ts, venue, coin, open, high, low, close, volume: hourly, of perpetuals
    funding_*venues*/funding.parquet             ts, venue, coin, funding_rate (per the venue's own period)
    deribit_option_chain_snapshots*/*.parquet    whole chains, a few a day or more
    deribit_futures_term_structure*/perpetual_prices.parquet       Deribit's perpetual, at the same moments

`margrave readings` writes the same; its metadata says that volumes are coins and rates per 8 hours.

What the files do not hold is not served: spot markets, volatility index and open interest answer as an unknown symbol
or leave the field out. Chains, Deribit's index and its perpetual are the latest recorded, under their own time, so that
their age shows. Minutes within an hour are generated inside the hour's real candle, and books around that.
"""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.feed.options import MONTHS
from margrave.lab.feed.path import Floats, MinutePath, inside_candle
from margrave.lab.feed.tape import Chain, ListedOption, Perpetual, Quote, Stamped
from margrave.messages import Bar
from margrave.spans import DAY_MS, HOUR_MS

ABOVE: Final = "point --recording at the directory above the data sets"
HISTORY_MS: Final = 36 * DAY_MS
CHAIN_REACH_MS: Final = 8 * HOUR_MS
"""Chains are read from this long before the first moment, so that one is there when it begins."""
MARKETS: Final = ("BTC", "ETH")
CANDLE_VENUES: Final = ("binance", "okx", "bybit", "kraken")
FUNDING_HOURS: Final = {"binance": 8, "okx": 8, "bybit": 8, "kraken": 1}
CONTRACT_COINS: Final = {("okx", "BTC"): 0.01, ("okx", "ETH"): 0.1}
"""OKX's volumes are recorded in contracts."""
HALF_SPREAD: Final = 0.00008
DEPTH_USD: Final = {"binance": 30e6, "okx": 15e6, "bybit": 15e6, "kraken": 3e6}
CALM_HOUR_RANGE: Final = 0.006
"""High over low, minus one, of an ordinary hour: books thin and widen as the last day's ranges exceed it."""


def load_recording(directory: Path, start_ms: int, end_ms: int) -> RecordingTape:
    """Read what the period needs.

    Raises:
        Fatal: a file is missing, or holds nothing of the period.
    """
    if end_ms <= start_ms:
        raise Fatal("the recording's period is empty", advice="give --to a later moment than --from")
    return RecordingTape(directory, start_ms, end_ms)


class RecordingTape:
    """See the module."""

    def __init__(self, directory: Path, start_ms: int, end_ms: int) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms
        self.markets: tuple[str, ...] = MARKETS
        self.title = f"Recording {_day(start_ms)} to {_day(end_ms)}"
        self.source = (
            "recorded venue history: hourly perpetual candles and funding of four venues, Deribit option chains"
        )
        self.real = (
            "hourly candles of Binance, OKX, Bybit and Kraken perpetuals, their funding, whole Deribit option chains "
            "(about four a day, under their own time), Deribit's index and perpetual mark at those moments"
        )
        self.generated = (
            "minutes within an hour (a bridge that touches the candle's own low and high), at which marks and order "
            "books are set, and the books' depth. Spot, open interest and volatility index are not recorded and so not "
            "served"
        )
        self._paths = _candle_paths(directory, start_ms, end_ms)
        self._funding = _funding(directory, end_ms)
        self._chains = _chains(directory, start_ms - CHAIN_REACH_MS, end_ms)
        self._marks = _deribit_marks(directory, start_ms - CHAIN_REACH_MS, end_ms)

    def price(self, market: str, t_ms: int) -> float:
        """The median of the recorded venues: a yardstick, not a venue."""
        return float(np.median([self._paths[venue, market].at(t_ms) for venue in CANDLE_VENUES]))

    def quote(self, venue: str, market: str, *, perpetual: bool, t_ms: int) -> Quote | None:
        path = self._paths.get((venue, market)) if perpetual else None
        if path is None:
            return None
        hour = max((t_ms - path.start_ms) // HOUR_MS, 1)
        day = path.candles[max(hour - 24, 0) : hour]
        stress = max(float(np.mean(day[:, 1] / day[:, 2] - 1)) / CALM_HOUR_RANGE, 0.5)
        share = 1.0 if market == "BTC" else 0.6
        return Quote(path.at(t_ms), HALF_SPREAD * stress, DEPTH_USD[venue] * share / stress**1.5)

    def bars(self, venue: str, market: str, *, perpetual: bool, since_ms: int, t_ms: int) -> Sequence[Bar] | None:
        path = self._paths.get((venue, market)) if perpetual else None
        return None if path is None else path.bars(since_ms, t_ms)

    def perpetual(self, venue: str, market: str, t_ms: int) -> Perpetual | None:
        if venue == "deribit":
            mark, index = _latest(self._marks[market], t_ms), self.index(venue, market, t_ms)
            if mark is None:
                return None
            return Perpetual(mark.time_ms, mark.value, index.value if index else None, None, None)
        path = self._paths.get((venue, market))
        if path is None:
            return None
        funding = _latest(self._funding[venue, market], t_ms)
        return Perpetual(t_ms, path.at(t_ms), None, funding.value if funding else None, None)

    def index(self, venue: str, market: str, t_ms: int) -> Stamped | None:
        chain = self.chain(venue, market, t_ms)
        return None if chain is None else Stamped(chain.as_of_ms, chain.index)

    def vol_index(self, venue: str, market: str, t_ms: int) -> Stamped | None:  # noqa: ARG002 not recorded
        return None

    def chain(self, venue: str, market: str, t_ms: int) -> Chain | None:
        chains = self._chains.get(market, []) if venue == "deribit" else []
        place = bisect.bisect_right([chain.as_of_ms for chain in chains], t_ms)
        return chains[place - 1] if place else None


def _latest(known: Sequence[Stamped], t_ms: int) -> Stamped | None:
    place = bisect.bisect_right([x.time_ms for x in known], t_ms)
    return known[place - 1] if place else None


def _candle_paths(directory: Path, start_ms: int, end_ms: int) -> dict[tuple[str, str], MinutePath]:
    table = _read(_one(directory, "ohlcv_*venues*", "candles.parquet"))
    first_ms = start_ms - start_ms % HOUR_MS - HISTORY_MS
    table = _between(table, first_ms, end_ms + HOUR_MS)
    paths = {}
    for market in MARKETS:
        turns: dict[int, tuple[bool, Floats, tuple[int, int]]] = {}
        for venue in CANDLE_VENUES:
            mine = table.filter((pc.field("venue") == venue) & (pc.field("coin") == market)).sort_by("ts")
            paths[venue, market] = _minutes(mine, venue, market, turns)
    return paths


def _minutes(
    table: pa.Table, venue: str, market: str, turns: dict[int, tuple[bool, Floats, tuple[int, int]]]
) -> MinutePath:
    """A minute path through one venue's candles; the first venue of a market decides how its hours turn."""
    times = _times(table)
    if len(times) < 2 or bool((np.diff(times) != HOUR_MS).any()):
        raise Fatal(
            f"the candles of {venue} {market} have gaps in this period", advice="choose another --from and --to"
        )
    columns = [np.asarray(table[name], dtype=np.float64) for name in ("open", "high", "low", "close", "volume")]
    if not _says(table, "volume_unit"):
        columns[4] = columns[4] * CONTRACT_COINS.get((venue, market), 1.0)
    candles = np.column_stack(columns)
    hours = []
    for open_ms, candle in zip(times, candles, strict=True):
        if open_ms not in turns:
            turns[int(open_ms)] = _turn(market, int(open_ms), rises=bool(candle[3] >= candle[0]))
        rises, noise, knots = turns[int(open_ms)]
        hours.append(inside_candle(candle, noise, rises, knots))
    prices = np.concatenate([*hours, candles[-1:, 3]])
    return MinutePath(int(times[0]), prices, candles)


def _turn(market: str, open_ms: int, *, rises: bool) -> tuple[bool, Floats, tuple[int, int]]:
    """When within the hour the extremes are touched, and the wobble between: one draw for all venues."""
    rng = np.random.default_rng([zlib.crc32(market.encode()), open_ms // HOUR_MS])
    first, second = sorted(rng.choice(np.arange(4, 57), size=2, replace=False))
    return rises, rng.standard_normal(61), (int(first), int(second))


def _funding(directory: Path, end_ms: int) -> dict[tuple[str, str], list[Stamped]]:
    table = _between(_read(_one(directory, "funding_*venues*", "funding.parquet")), 0, end_ms).sort_by("ts")
    hours = float(_says(table, "funding_hours") or 0)
    known: dict[tuple[str, str], list[Stamped]] = {(v, m): [] for v in CANDLE_VENUES for m in MARKETS}
    columns = (table["venue"].to_pylist(), table["coin"].to_pylist(), _times(table), table["funding_rate"].to_pylist())
    for venue, coin, t_ms, rate in zip(*columns, strict=True):
        if (venue, coin) in known and rate is not None:
            known[venue, coin].append(Stamped(int(t_ms), rate * 8 / (hours or FUNDING_HOURS[venue])))
    return known


def _deribit_marks(directory: Path, start_ms: int, end_ms: int) -> dict[str, list[Stamped]]:
    path = _one(directory, "deribit_futures_term_structure*", "perpetual_prices.parquet")
    table = _between(_read(path), start_ms, end_ms).sort_by("ts")
    known: dict[str, list[Stamped]] = {market: [] for market in MARKETS}
    columns = (table["coin"].to_pylist(), _times(table), table["perp_futures_mark_price"].to_pylist())
    for coin, t_ms, mark in zip(*columns, strict=True):
        if coin in known and mark is not None and mark > 0:
            known[coin].append(Stamped(int(t_ms), mark))
    return known


def _chains(directory: Path, start_ms: int, end_ms: int) -> dict[str, list[Chain]]:
    files = sorted(directory.glob("deribit_option_chain_snapshots*/*.parquet"))
    if not files:
        raise Fatal(f"{directory} holds no deribit_option_chain_snapshots*/*.parquet", advice=ABOVE)
    table = _between(pa.concat_tables([_read(file) for file in files]), start_ms, end_ms)
    chains: dict[str, list[Chain]] = {market: [] for market in MARKETS}
    for market in MARKETS:
        mine = table.filter(pc.field("currency") == market)
        for t_ms in sorted(set(map(int, _times(mine)))):
            rows = mine.filter(pc.equal(mine["ts"].cast("int64"), t_ms)).to_pylist()
            index = float(np.median([row["index_price"] for row in rows]))
            chains[market].append(Chain(t_ms, index, [_option(market, row) for row in rows]))
        if not chains[market]:
            raise Fatal(f"no option chain of {market} in this period", advice="choose another --from and --to")
    return chains


def _option(market: str, row: dict[str, object]) -> ListedOption:
    expiry = row["expiry"]
    assert isinstance(expiry, datetime)
    future = f"{market}-{expiry.day}{MONTHS[expiry.month - 1]}{expiry.year % 100:02d}"
    return ListedOption(
        name=f"{future}-{_number(row['strike']):.0f}-{row['option_type']}",
        underlying_name=str(row["underlying_name"]),
        forward=round(_number(row["underlying"]), 4),
        bid=_quoted(row["bid"]),
        ask=_quoted(row["ask"]),
        mark=round(_number(row["mark"]), 8),
        mark_iv=round(_number(row["mark_iv"]) * 100, 2),
        open_interest=round(_number(row["open_interest"]), 1),
        volume=round(_number(row["volume"]), 1),
        volume_usd=round(_number(row["volume_usd"]), 2),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value == value else 0.0


def _quoted(value: object) -> float | None:
    """Recorded as float32: four decimals are all that Deribit's ticks have; absent where nobody quoted."""
    return round(value, 4) if isinstance(value, float) and value == value and value > 0 else None


def _one(directory: Path, folder: str, name: str) -> Path:
    """The first, by name, of the data sets of a kind."""
    found = sorted(path for path in directory.glob(f"{folder}/{name}") if "spot" not in path.parent.name)
    if not found:
        raise Fatal(f"{directory} holds no {folder}/{name}", advice=ABOVE)
    return found[0]


def _says(table: pa.Table, key: str) -> str | None:
    """What a file's metadata says, where it says it."""
    told = (table.schema.metadata or {}).get(key.encode())
    return None if told is None else told.decode()


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise Fatal(f"{path}: {str(error)[:100]}", advice=ABOVE) from error


def _between(table: pa.Table, first_ms: int, last_ms: int) -> pa.Table:
    times = table["ts"].cast("int64")
    return table.filter(pc.and_(pc.greater_equal(times, first_ms), pc.less_equal(times, last_ms)))


def _times(table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(table["ts"].cast("int64"))


def _day(t_ms: int) -> str:
    return f"{datetime.fromtimestamp(t_ms / 1000, UTC):%Y-%m-%d}"
