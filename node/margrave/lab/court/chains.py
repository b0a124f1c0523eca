"""Whatever option chains a folder holds, as the quotes that the node's own calibration takes.

Understood, wherever in the folder it lies and whatever its files are called, is Parquet with one row an option and

* a time (`ts`, `timestamp`, `creation_timestamp`), and strike, expiry and side as columns or in the venue's instrument
  name (`BTC-27MAR26-80000-C`);
* `mark_iv` (fraction or percent), or bid and ask: as fractions of the underlying, the way coin-settled options are
  quoted, or as volatilities (`bid_iv`, `ask_iv`);
* the forward (`underlying`, `underlying_price`), or a delta, out of which Black's formula gives it.

Rows that follow each other within ten minutes are one chain. What cannot be read is said, and never guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import ndtri

from margrave.errors import Rejected
from margrave.messages import EXPIRES_AT_H, OptionQuote
from margrave.score import black76
from margrave.spans import DAY_MS, YEAR_DAYS
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME_CHAIN_MS: Final = 600_000
LEAST_ROWS: Final = 16
TIMES: Final = ("ts", "timestamp", "creation_timestamp")
NAMES: Final = ("instrument_name", "instrument")
FORWARDS: Final = ("underlying", "underlying_price")
BIDS: Final = ("best_bid_price", "bid_price", "bid")
ASKS: Final = ("best_ask_price", "ask_price", "ask")
INSTRUMENT: Final = re.compile(r"([A-Z0-9]+)(?:_[A-Z]+)?-(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:d\d+)?)-([CP])")
PERCENT_FROM: Final = 5.0
"""A file whose median volatility is above this writes percent."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One underlying's options as quoted at one time."""

    asset: str
    source: str
    as_of_ms: int
    quotes: tuple[OptionQuote, ...]
    index_usd: float | None
    """The underlying's own price; `None` where the file has none."""

    @property
    def day(self) -> str:
        return datetime.fromtimestamp(self.as_of_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class Chains:
    """All usable chains by asset, ascending in time, and in plain words what was not usable."""

    by_asset: dict[str, tuple[Chain, ...]]
    left_out: tuple[str, ...]

    def __len__(self) -> int:
        return sum(len(chains) for chains in self.by_asset.values())


@dataclass(slots=True)
class _Rows:
    """One file's rows as columns; shape (rows,)."""

    asset: NDArray[np.str_]
    time_ms: Ints
    expiry_ms: Ints
    strike: Floats
    is_call: NDArray[np.bool_]
    forward: Floats
    bid: Floats
    ask: Floats
    mark_iv: Floats
    open_interest: Floats
    index_usd: Floats


def read(folder: Path, assets: Sequence[str] = ()) -> Chains:
    """All chains of a folder. Of two files that show one asset within ten minutes the first by name is taken."""
    left_out: list[str] = []
    found: dict[str, list[Chain]] = defaultdict(list)
    for file in sorted(folder.rglob("*.parquet")):
        for chain in _chains_of(file, folder, left_out):
            if not assets or chain.asset in assets:
                found[chain.asset].append(chain)
    return Chains({asset: _apart(found[asset]) for asset in sorted(found)}, tuple(left_out))


def chains_in(file: Path) -> tuple[tuple[Chain, ...], tuple[str, ...]]:
    """(chains ascending in time, what was left out and why) of one file."""
    left_out: list[str] = []
    found = _chains_of(file, file.parent, left_out)
    return tuple(sorted(found, key=lambda chain: (chain.as_of_ms, chain.asset))), tuple(left_out)


def last_in(file: Path, asset: str) -> Chain:
    """The latest chain of an asset in one file.

    Raises:
        Rejected: there is no such file, or no chain of the asset in it.
    """
    if not file.is_file():
        raise Rejected(Rejection.EMPTY, f"there is no file {file}", advice="check the path")
    found, left_out = chains_in(file)
    mine = [chain for chain in found if chain.asset == asset]
    if not mine:
        known = ", ".join(sorted({chain.asset for chain in found})) or "; ".join(left_out) or "no chain at all"
        raise Rejected(Rejection.EMPTY, f"{file.name} holds no chain of {asset}", advice=f"it holds {known}")
    return mine[-1]


def _apart(chains: list[Chain]) -> tuple[Chain, ...]:
    ordered = sorted(chains, key=lambda chain: (chain.as_of_ms, chain.source))
    kept: list[Chain] = []
    for chain in ordered:
        if not kept or chain.as_of_ms - kept[-1].as_of_ms > SAME_CHAIN_MS:
            kept.append(chain)
    return tuple(kept)


def _chains_of(file: Path, folder: Path, left_out: list[str]) -> list[Chain]:
    name = str(file.relative_to(folder))
    try:
        columns = set(pq.read_schema(file).names)
        if not _is_chain(columns):
            return []
        rows = _rows(pq.read_table(file), left_out, name)
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        left_out.append(f"{name}: {str(error).splitlines()[0][:80]}")
        return []
    return [] if rows is None else _split(rows, name, left_out)


def _is_chain(columns: set[str]) -> bool:
    timed = bool(columns & set(TIMES))
    named = bool(columns & set(NAMES)) or {"strike", "expiry", "option_type"} <= columns
    quoted = "mark_iv" in columns or "bid_iv" in columns or bool(columns & set(BIDS))
    placed = bool(columns & set(FORWARDS)) or bool(columns & {"delta", "greeks.delta"})
    return timed and named and quoted and placed


def _rows(table: pa.Table, left_out: list[str], name: str) -> _Rows | None:
    columns = set(table.column_names)
    asset, expiry_ms, strike, is_call = _terms(table, columns)
    wanted = (asset != "") & (strike > 0) & (expiry_ms > 0)
    if wanted.sum() < LEAST_ROWS:
        left_out.append(f"{name}: fewer than {LEAST_ROWS} rows name an option")
        return None
    time_ms = _times(table, next(c for c in TIMES if c in columns))
    mark_iv, bid_iv, ask_iv = (_vols(table, columns, c) for c in ("mark_iv", "bid_iv", "ask_iv"))
    years = (expiry_ms - time_ms) / DAY_MS / YEAR_DAYS
    forward = _first(table, columns, FORWARDS)
    if forward is None:
        delta = _column(table, "delta" if "delta" in columns else "greeks.delta")
        forward = _forwards(asset, time_ms, expiry_ms, strike, is_call, mark_iv, delta, years)
    bid, ask = _first(table, columns, BIDS), _first(table, columns, ASKS)
    if bid is None or ask is None:
        bid, ask = (_price(vol, strike, forward, years, is_call) for vol in (bid_iv, ask_iv))
    nothing = np.full(len(strike), np.nan)
    index = _first(table, columns, ("index_price",))
    interest = _first(table, columns, ("open_interest",))
    wanted &= np.isfinite(forward) & (forward > 0)
    if wanted.sum() < LEAST_ROWS:
        left_out.append(f"{name}: fewer than {LEAST_ROWS} rows have a forward")
        return None
    return _Rows(
        asset[wanted],
        time_ms[wanted],
        expiry_ms[wanted],
        strike[wanted],
        is_call[wanted],
        forward[wanted],
        bid[wanted],
        ask[wanted],
        mark_iv[wanted],
        (nothing if interest is None else interest)[wanted],
        (nothing if index is None else index)[wanted],
    )


def _terms(table: pa.Table, columns: set[str]) -> tuple[NDArray[np.str_], Ints, Floats, NDArray[np.bool_]]:
    """(asset, expiry in ms, strike, is a call) of every row; an unreadable name has an empty asset."""
    named = next((c for c in NAMES if c in columns), None)
    if named is None or {"strike", "expiry", "option_type"} <= columns:
        holder = "currency" if "currency" in columns else "coin" if "coin" in columns else None
        if holder is None and named is None:
            raise ValueError("no column says which underlying")
        asset = _strings(table, holder or str(named))
        return (
            np.array([a.split("-")[0].split("_")[0].upper() for a in asset]),
            _times(table, "expiry"),
            _column(table, "strike"),
            np.array([side[:1].upper() == "C" for side in _strings(table, "option_type")]),
        )
    names = _strings(table, named)
    known = {text: parsed(text) for text in set(names)}
    return (
        np.array([known[text][0] for text in names], dtype=np.str_),
        np.array([known[text][1] for text in names], dtype=np.int64),
        np.array([known[text][2] for text in names], dtype=np.float64),
        np.array([known[text][3] for text in names], dtype=np.bool_),
    )


def parsed(instrument: str) -> tuple[str, int, float, bool]:
    """(asset, expiry in ms, strike, is a call) of an instrument's name; an empty asset where it is no option's."""
    match = INSTRUMENT.fullmatch(instrument)
    if match is None:
        return "", 0, 0.0, False
    asset, day, strike, side = match.groups()
    try:
        when = datetime.strptime(day.title(), "%d%b%y").replace(hour=EXPIRES_AT_H, tzinfo=UTC)
    except ValueError:
        return "", 0, 0.0, False
    return asset, int(when.timestamp() * 1000), float(strike.replace("d", ".")), side == "C"


def _times(table: pa.Table, column: str) -> Ints:
    values = table[column]
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("ms", tz=values.type.tz), safe=False).cast(pa.int64())
    return np.asarray(values.to_pandas().fillna(0), dtype=np.int64)


def _column(table: pa.Table, column: str) -> Floats:
    return np.asarray(table[column].to_pandas(), dtype=np.float64)


def _strings(table: pa.Table, column: str) -> list[str]:
    return [str(value) if value is not None else "" for value in table[column].to_pylist()]


def _first(table: pa.Table, columns: set[str], names: Sequence[str]) -> Floats | None:
    name = next((name for name in names if name in columns), None)
    return None if name is None else _column(table, name)


def _vols(table: pa.Table, columns: set[str], name: str) -> Floats:
    """As fractions; zero and the venue's "no quote" marks are NaN."""
    if name not in columns:
        return np.full(table.num_rows, np.nan)
    found = _column(table, name)
    positive = found[np.isfinite(found) & (found > 0)]
    if len(positive) and np.median(positive) > PERCENT_FROM:
        found = found / 100.0
    return np.where((found > 0) & (found < 8), found, np.nan)


def _price(vol: Floats, strike: Floats, forward: Floats, years: Floats, is_call: NDArray[np.bool_]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        there = np.isfinite(vol) & np.isfinite(forward) & (years > 0)
        k = np.log(np.where(there, strike, 1.0) / np.where(there, forward, 1.0))
        total = np.where(there, vol * np.sqrt(np.maximum(years, 0)), 1.0)
        return np.where(there, black76.price(k, total, is_call), np.nan)


def _forwards(
    asset: NDArray[np.str_],
    time_ms: Ints,
    expiry_ms: Ints,
    strike: Floats,
    is_call: NDArray[np.bool_],
    mark_iv: Floats,
    delta: Floats,
    years: Floats,
) -> Floats:
    """Of each time and expiry the median over strikes of K exp(d1 s - s^2 / 2), the forward that a call's delta N(d1)
    and its volatility say. Only deltas between 0.2 and 0.8 are asked: further out a rounded delta says little."""
    call_delta = np.where(is_call, delta, 1.0 + delta)
    with np.errstate(invalid="ignore"):
        asked = (call_delta > 0.2) & (call_delta < 0.8) & (mark_iv > 0) & (years > 0)
        total = mark_iv * np.sqrt(np.maximum(years, 0))
        said = strike * np.exp(np.where(asked, ndtri(np.where(asked, call_delta, 0.5)) * total - total**2 / 2, 0.0))
    groups: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for row in range(len(strike)):
        groups[str(asset[row]), int(time_ms[row]), int(expiry_ms[row])].append(row)
    found = np.full(len(strike), np.nan)
    for rows in groups.values():
        place = np.array(rows)
        if asked[place].any():
            found[place] = float(np.median(said[place][asked[place]]))
    return found


def _split(rows: _Rows, source: str, left_out: list[str]) -> list[Chain]:
    found = []
    for asset in np.unique(rows.asset):
        mine = np.flatnonzero(rows.asset == asset)
        mine = mine[np.argsort(rows.time_ms[mine], kind="stable")]
        breaks = np.flatnonzero(np.diff(rows.time_ms[mine]) > SAME_CHAIN_MS) + 1
        for part in np.split(mine, breaks):
            if len(part) < LEAST_ROWS:
                left_out.append(f"{source}: {asset}, {len(part)} options at one time")
                continue
            found.append(_chain(str(asset), source, rows, part))
    return found


def _chain(asset: str, source: str, rows: _Rows, part: Ints) -> Chain:
    _, last = np.unique(
        np.column_stack([rows.expiry_ms[part], rows.strike[part], rows.is_call[part]])[::-1], axis=0, return_index=True
    )
    taken = np.sort(part[::-1][last])  # of a repeated option the latest row
    quotes = tuple(
        OptionQuote(
            int(rows.expiry_ms[i]),
            float(rows.strike[i]),
            bool(rows.is_call[i]),
            float(rows.forward[i]),
            _positive(rows.bid[i]),
            _positive(rows.ask[i]),
            _positive(rows.mark_iv[i]),
            float(np.nan_to_num(rows.open_interest[i])),
        )
        for i in taken
    )
    index = rows.index_usd[taken]
    seen = index[np.isfinite(index) & (index > 0)]
    return Chain(asset, source, int(np.max(rows.time_ms[part])), quotes, float(np.median(seen)) if len(seen) else None)


def _positive(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value > 0 else None
