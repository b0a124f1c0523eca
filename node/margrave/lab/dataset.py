"""Readings of a recording as Parquet, laid out like the research data, so that models train on what the node saw.

One folder a data set, columns and types as in the history that studies and the demo read:

    ohlcv_venues_perp_1h/candles.parquet     ts, venue, coin, open, high, low, close, volume (coins)
    ohlcv_venues_spot_1h/candles.parquet     the same of spot
    funding_venues/funding.parquet           ts, venue, coin, funding_rate (fraction per 8 hours)
    open_interest_venues/open_interest.parquet       ts, venue, coin, oi_usd
    deribit_option_chain_snapshots/YYYY-MM.parquet   whole chains; mark, volume and names that no reading has are null
    deribit_futures_term_structure/perpetual_prices.parquet   Deribit's perpetual mark
    scalars, books, trades, liquidations, pools, health, notices     every reading of that kind, all its fields

`ts` is the venue's time; `seen_ts` beside it is the node's. Units that differ from the older history are in the file's
own metadata (`volume_unit`, `funding_hours`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from margrave.collect.recording import tape
from margrave.collect.recording.line import What
from margrave.errors import Fatal
from margrave.messages import (
    AnyReading,
    BarsReading,
    BookReading,
    ChainReading,
    HealthReading,
    Kind,
    LiquidationsReading,
    NoticeReading,
    PoolReading,
    ScalarReading,
    TradesReading,
)
from margrave.spans import HOUR_MS

TS: Final = pa.timestamp("ms", tz="UTC")
TEXT: Final = pa.large_string()
Row = Mapping[str, object]

_WHO: Final = [("ts", TS), ("venue", TEXT), ("coin", TEXT)]
_CANDLE: Final = [(name, pa.float32()) for name in ("open", "high", "low", "close", "volume")]
_SEEN: Final = [("ts", TS), ("seen_ts", TS), ("source", TEXT), ("market", TEXT), ("instrument", TEXT)]
_CHAIN_NUMBERS: Final = ("bid", "ask", "mark", "mark_iv", "delta", "vega", "underlying")
CHAINS: Final = "deribit_option_chain_snapshots"
ROWS_HELD: Final = 50_000
CHAIN: Final = pa.schema(
    [
        ("ts", TS),
        ("currency", TEXT),
        ("option_type", TEXT),
        ("strike", pa.float32()),
        ("expiry", TS),
        *((name, pa.float32()) for name in _CHAIN_NUMBERS),
        ("underlying_name", TEXT),
        *((name, pa.float32()) for name in ("index_price", "open_interest", "volume", "volume_usd")),
    ]
)
SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "ohlcv_venues_perp_1h/candles": pa.schema([*_WHO, *_CANDLE], metadata={"volume_unit": "coins"}),
    "ohlcv_venues_spot_1h/candles": pa.schema([*_WHO, *_CANDLE], metadata={"volume_unit": "coins"}),
    "funding_venues/funding": pa.schema([*_WHO, ("funding_rate", pa.float64())], metadata={"funding_hours": "8"}),
    "open_interest_venues/open_interest": pa.schema([*_WHO, ("oi_usd", pa.float64())]),
    "deribit_futures_term_structure/perpetual_prices": pa.schema(
        [("ts", TS), ("coin", TEXT), ("instrument_name", TEXT), ("perp_futures_mark_price", pa.float64())]
    ),
    "scalars/scalars": pa.schema([*_SEEN, ("kind", TEXT), ("value", pa.float64())]),
    "books/books": pa.schema(
        [
            *_SEEN,
            ("perpetual", pa.bool_()),
            *((name, pa.float64()) for name in ("bid", "ask", "bid_depth_usd", "ask_depth_usd")),
            *((name, pa.float64()) for name in ("imbalance", "slope_usd_per_bp", "impact_buy", "impact_sell")),
        ]
    ),
    "trades/trades": pa.schema(
        [
            *_SEEN,
            ("perpetual", pa.bool_()),
            ("from_ts", TS),
            ("count", pa.int64()),
            *((name, pa.float64()) for name in ("buy_usd", "sell_usd", "low", "high", "last", "vwap")),
        ]
    ),
    "liquidations/liquidations": pa.schema(
        [
            *_SEEN,
            ("from_ts", TS),
            ("count", pa.int64()),
            *((name, pa.float64()) for name in ("long_usd", "short_usd", "largest_usd")),
        ]
    ),
    "pools/pools": pa.schema(
        [
            *_SEEN,
            *((name, pa.float64()) for name in ("price", "bid_depth_usd", "ask_depth_usd", "fee")),
            ("block", pa.int64()),
        ]
    ),
    "health/health": pa.schema(
        [
            *_SEEN,
            ("protocol", TEXT),
            *((name, pa.list_(pa.float64())) for name in ("edges", "debt_usd", "collateral_usd")),
            ("block", pa.int64()),
        ]
    ),
    "notices/notices": pa.schema([*_SEEN, ("topic", TEXT), ("text", TEXT)]),
}


@dataclass(slots=True)
class _Tables:
    """Rows on their way to files. Candles and rates are said again and again: the last stands, and they wait for the
    end. The rest is written as it comes, so that a day of option chains need not fit into memory."""

    out: Path
    last: dict[str, dict[tuple[int, str, str], Row]] = field(default_factory=dict)
    waiting: dict[str, list[Row]] = field(default_factory=dict)
    writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    index: dict[tuple[str, str], float] = field(default_factory=dict)
    """Latest index price by source and market, for the chains that come after it."""

    def replace(self, table: str, key: tuple[int, str, str], row: Row) -> None:
        self.last.setdefault(table, {})[key] = row

    def append(self, table: str, row: Row) -> None:
        rows = self.waiting.setdefault(table, [])
        rows.append(row)
        if len(rows) >= ROWS_HELD:
            self._flush(table)

    def close(self) -> dict[str, int]:
        """Rows by file."""
        for table, rows in self.last.items():
            self.waiting[table] = [rows[key] for key in sorted(rows)]
        for table in sorted(self.waiting):
            self._flush(table)
        for writer in self.writers.values():
            writer.close()
        return self.written

    def _flush(self, table: str) -> None:
        rows, self.waiting[table] = self.waiting[table], []
        schema, file = schema_of(table), f"{table}.parquet"
        if table not in self.writers:
            path = self.out / file
            path.parent.mkdir(parents=True, exist_ok=True)
            self.writers[table] = pq.ParquetWriter(path, schema, compression="zstd")
        self.writers[table].write_table(pa.Table.from_pylist(rows, schema=schema))
        self.written[file] = self.written.get(file, 0) + len(rows)


def schema_of(table: str) -> pa.Schema:
    """Columns and types of a file, by its name without the ending."""
    return CHAIN if table.startswith(CHAINS) else SCHEMAS[table]


def write(recording: Path, out: Path) -> dict[str, int]:
    """Rows by file written. Files of these names in `out` are replaced.

    Raises:
        Fatal: no recording there, it was changed, it holds no readings, or `out` cannot be written.
    """
    tables = _Tables(out)
    try:
        for reading in readings(recording):
            _add(tables, reading)
        written = tables.close()
    except OSError as error:
        raise Fatal(f"{out}: {error.strerror}", advice="give --out a folder that can be written") from error
    if not written:
        raise Fatal(f"{recording} holds no readings", advice="record with `margrave record`, for a minute at least")
    return written


def readings(recording: Path) -> Iterable[AnyReading]:
    """Every reading that the board took while this was recorded, in order."""
    decoder = msgspec.json.Decoder(AnyReading)
    for line in tape.read(recording):
        if line.what is What.READING:
            yield decoder.decode(line.body)


def _add(tables: _Tables, reading: AnyReading) -> None:
    match reading:
        case ScalarReading():
            _add_scalar(tables, reading)
        case BarsReading():
            _add_bars(tables, reading)
        case ChainReading():
            _add_chain(tables, reading)
        case BookReading():
            _add_whole(tables, "books/books", reading)
        case TradesReading():
            _add_whole(tables, "trades/trades", reading)
        case LiquidationsReading():
            _add_whole(tables, "liquidations/liquidations", reading)
        case PoolReading():
            _add_whole(tables, "pools/pools", reading)
        case HealthReading():
            _add_whole(tables, "health/health", reading)
        case NoticeReading():
            _add_whole(tables, "notices/notices", reading)


def _add_whole(tables: _Tables, table: str, reading: AnyReading) -> None:
    """All fields of a reading that the table has a column for."""
    fields = msgspec.structs.asdict(reading)
    moments = {"ts": "venue_time_ms", "seen_ts": "seen_time_ms", "from_ts": "from_ms"}
    row: dict[str, object] = {}
    for column in SCHEMAS[table].names:
        if column in moments:
            row[column] = _moment(fields[moments[column]])
        else:
            value = fields[column]
            row[column] = list(value) if isinstance(value, tuple) else str(value) if column == "kind" else value
    tables.append(table, row)


def _add_scalar(tables: _Tables, reading: ScalarReading) -> None:
    _add_whole(tables, "scalars/scalars", reading)
    who = {"ts": _moment(reading.venue_time_ms), "venue": reading.source, "coin": reading.market}
    key = (reading.venue_time_ms, reading.source, reading.market)
    match reading.kind:
        case Kind.FUNDING_8H:
            tables.replace("funding_venues/funding", key, who | {"funding_rate": reading.value})
        case Kind.OPEN_INTEREST:
            tables.replace("open_interest_venues/open_interest", key, who | {"oi_usd": reading.value})
        case Kind.INDEX_PRICE:
            tables.index[reading.source, reading.market] = reading.value
        case Kind.MARK_PRICE if reading.source == "deribit":
            row = {
                "ts": _moment(reading.venue_time_ms),
                "coin": reading.market,
                "instrument_name": reading.instrument,
                "perp_futures_mark_price": reading.value,
            }
            tables.replace("deribit_futures_term_structure/perpetual_prices", key, row)


def _add_bars(tables: _Tables, reading: BarsReading) -> None:
    """Closed candles only: one that still runs is not what a study would learn from."""
    table = f"ohlcv_venues_{'perp' if reading.perpetual else 'spot'}_1h/candles"
    for bar in reading.bars:
        if bar.open_time_ms + HOUR_MS > reading.venue_time_ms:
            continue
        row = {
            "ts": _moment(bar.open_time_ms),
            "venue": reading.source,
            "coin": reading.market,
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "volume": bar.volume,
        }
        tables.replace(table, (bar.open_time_ms, reading.source, reading.market), row)


def _add_chain(tables: _Tables, reading: ChainReading) -> None:
    if reading.source != "deribit":
        return
    month = f"{_moment(reading.venue_time_ms):%Y-%m}"
    index = tables.index.get((reading.source, reading.market))
    for quote in reading.quotes:
        row = {
            "ts": _moment(reading.venue_time_ms),
            "currency": reading.market,
            "option_type": "C" if quote.is_call else "P",
            "strike": quote.strike,
            "expiry": _moment(quote.expiry_ms),
            "bid": quote.bid,
            "ask": quote.ask,
            "mark_iv": quote.mark_iv,
            "delta": quote.delta,
            "vega": quote.vega,
            "underlying": quote.forward,
            "index_price": index if index is not None else quote.forward,
            "open_interest": quote.open_interest,
        }
        tables.append(f"{CHAINS}/{month}", row)


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
