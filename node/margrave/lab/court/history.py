"""Whatever price history a folder holds, as gap-free hourly series by asset, with what was known beside it.

Understood, wherever in the folder it lies and whatever its files are called:

* bars: Parquet with `ts`, `open`, `high`, `low`, `close` (and `volume`) of any length up to an hour; the instrument is
  the file's name (`ETHUSDT.parquet`), or a column `symbol` or `coin` beside `venue`;
* `funding*` folders: `ts`, `funding_rate` and the instrument in the same two ways; per the venue's own period, which
  the spacing of its times tells;
* `dvol*` folders: `ts` and `close` or `dvol`, an implied volatility index in percent points.

Of several series of one asset those of perpetuals come before spot, and the longer before the shorter; what they have
at times that the first has not is added. Where one perpetual's hours follow another's without a break in time or price
they are one stretch. Nothing is interpolated: a gap ends a stretch.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.errors import Fatal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR_MS: Final = 3_600_000
LEAST_HOURS: Final = 24 * 14
"""A shorter stretch has nothing to fit on and nothing to be judged by."""
PRICES: Final = ("open", "high", "low", "close")
QUOTES: Final = re.compile(r"[-_]?(USDT|USDC|BUSD|USD|PERP)$")
SEAM: Final = 0.02
"""Log price: the most that two perpetuals of one asset lie apart where one series takes over from the other."""
STALE_DVOL_MS: Final = 2 * HOUR_MS
STALE_FUNDING_MS: Final = 9 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive hours of one asset; arrays of shape (hours,).

    `known_ms` is when an hour was over: nothing of it was known before.
    """

    asset: str
    source: str
    open_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    dvol: Floats
    """Implied volatility as a fraction, as known at the hour's end; NaN where none was."""
    funding_8h: Floats
    """Fraction per 8 hours, the last settled at the hour's end; NaN where none was."""

    @property
    def known_ms(self) -> Ints:
        return self.open_ms + HOUR_MS

    def __len__(self) -> int:
        return len(self.open_ms)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything usable, and in plain words what was not."""

    stretches: tuple[Stretch, ...]
    left_out: tuple[str, ...]

    @property
    def assets(self) -> tuple[str, ...]:
        return tuple(sorted({s.asset for s in self.stretches}))

    def of(self, asset: str) -> tuple[Stretch, ...]:
        return tuple(s for s in self.stretches if s.asset == asset)


@dataclass(slots=True)
class _Bars:
    """One instrument's bars of one collection, hourly, ascending, without repeats; shape (hours,)."""

    source: str
    open_ms: Ints
    columns: Mapping[str, Floats]

    @property
    def is_spot(self) -> bool:
        return "spot" in self.source.lower()

    def rows(self, rows: Ints) -> _Bars:
        return _Bars(self.source, self.open_ms[rows], {name: values[rows] for name, values in self.columns.items()})

    def and_then(self, later: _Bars) -> _Bars:
        columns = {name: np.concatenate((self.columns[name], later.columns[name])) for name in self.columns}
        return _Bars(f"{self.source}, {later.source}", np.concatenate((self.open_ms, later.open_ms)), columns)


def read(folder: Path, assets: Sequence[str] = ()) -> Found:
    """All series of a folder, or of some assets only.

    Raises:
        Fatal: the folder is none, or lacks an asset that was asked for.
    """
    if not folder.is_dir():
        raise Fatal(f"{folder} is no folder", advice="point --data at a folder of Parquet data sets")
    left_out: list[str] = []
    bars: dict[str, list[_Bars]] = defaultdict(list)
    for file in sorted(folder.rglob("*.parquet")):
        for asset, found in _bars_of(file, file.relative_to(folder), left_out):
            bars[asset].append(found)
    if missing := sorted(set(assets) - bars.keys()):
        raise Fatal(f"no bars of {', '.join(missing)}", advice=f"choose among {', '.join(sorted(bars)) or 'none'}")
    dvol, funding = _implied(folder, left_out), _fundings(folder, left_out)
    stretches: list[Stretch] = []
    for asset in sorted(assets or bars):
        taken = list(_stretches(asset, bars[asset], dvol.get(asset, _NOTHING), funding.get(asset, _NOTHING)))
        if not taken:
            left_out.append(f"{asset}: no {LEAST_HOURS} consecutive hours")
        stretches.extend(taken)
    return Found(tuple(stretches), tuple(left_out))


def asset_of(instrument: str) -> str:
    """`ETHUSDT`, `ETH-PERP`, `ETHUSD` -> `ETH`."""
    return QUOTES.sub("", instrument.upper()) or instrument.upper()


# --- bars -------------------------------------------------------------------------------------------------------------


def _bars_of(file: Path, name: Path, left_out: list[str]) -> Iterator[tuple[str, _Bars]]:
    columns = set(_schema_names(file, left_out))
    if not {"ts", *PRICES} <= columns:
        return
    wanted = ["ts", *PRICES, *sorted({"volume", "venue", "symbol", "coin"} & columns)]
    table = pq.read_table(file, columns=wanted)
    collection = str(name.parent)
    for instrument, venue, rows in _by_instrument(table, file.stem):
        source = f"{collection}{f' {venue}' if venue else ''}"
        hourly = _hourly(rows, f"{source} {instrument}", left_out)
        if hourly is not None:
            yield asset_of(instrument), _Bars(source, *hourly)


def _schema_names(file: Path, left_out: list[str]) -> Sequence[str]:
    try:
        return list(pq.read_schema(file).names)
    except (OSError, pa.ArrowInvalid) as error:
        left_out.append(f"{file.name}: {str(error)[:80]}")
        return []


def _by_instrument(table: pa.Table, stem: str) -> Iterator[tuple[str, str, pa.Table]]:
    key = "symbol" if "symbol" in table.column_names else "coin" if "coin" in table.column_names else None
    if key is None:
        yield stem, "", table
        return
    names = np.asarray(table[key].to_pylist(), dtype=object)
    venues = np.asarray(
        table["venue"].to_pylist() if "venue" in table.column_names else [""] * len(names), dtype=object
    )
    for name, venue in sorted({(str(n), str(v)) for n, v in zip(names, venues, strict=True)}):
        yield name, venue, table.filter(pa.array((names == name) & (venues == venue)))


def _hourly(table: pa.Table, what: str, left_out: list[str]) -> tuple[Ints, Mapping[str, Floats]] | None:
    """Hours that are whole; `None`, said why, for bars that are longer or no bars at all."""
    times = np.asarray(table["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()))
    columns = {name: _floats(table, name) for name in (*PRICES, "volume")}
    sound = _sound(columns)
    order = np.argsort(times[sound], kind="stable")
    times = times[sound][order]
    columns = {name: values[sound][order] for name, values in columns.items()}
    last = np.append(times[1:] != times[:-1], True)
    times, columns = times[last], {name: values[last] for name, values in columns.items()}
    if bad := int((~sound).sum()):
        left_out.append(f"{what}: {bad} bars that are no prices")
    if len(times) < 2:
        return None
    step_ms = int(np.median(np.diff(times)))
    if step_ms > HOUR_MS or HOUR_MS % max(step_ms, 1):
        left_out.append(f"{what}: bars of {step_ms / HOUR_MS:g} hours do not make hours")
        return None
    return (times, columns) if step_ms == HOUR_MS else _joined(times, columns, HOUR_MS // step_ms)


def _floats(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _sound(columns: Mapping[str, Floats]) -> NDArray[np.bool_]:
    prices = np.stack([columns[name] for name in PRICES])
    with np.errstate(invalid="ignore"):
        sound = np.isfinite(prices).all(axis=0) & (prices > 0).all(axis=0)
        # float32 archives leave the extremes a hair inside open and close: that is mended later, more is a fault
        slack = 1e-5 * columns["close"]
        sound &= columns["high"] + slack >= np.maximum(columns["open"], columns["close"])
        sound &= columns["low"] - slack <= np.minimum(columns["open"], columns["close"])
    return np.asarray(sound)


def _joined(times: Ints, columns: Mapping[str, Floats], parts: int) -> tuple[Ints, Mapping[str, Floats]]:
    """Short bars into hours; an hour that lacks one of its parts is no hour."""
    hours, first, counts = np.unique(times // HOUR_MS, return_index=True, return_counts=True)
    whole = counts == parts
    last = first + counts - 1
    return hours[whole] * HOUR_MS, {
        "open": columns["open"][first[whole]],
        "high": np.maximum.reduceat(columns["high"], first)[whole],
        "low": np.minimum.reduceat(columns["low"], first)[whole],
        "close": columns["close"][last[whole]],
        "volume": np.add.reduceat(columns["volume"], first)[whole],
    }


# --- stretches --------------------------------------------------------------------------------------------------------


def _stretches(asset: str, found: Sequence[_Bars], dvol: _Known, funding: _Known) -> Iterator[Stretch]:
    taken = np.empty(0, dtype=np.int64)
    pieces: list[_Bars] = []
    for bars in sorted(found, key=lambda b: (b.is_spot, -len(b.open_ms), b.source)):
        fresh = np.flatnonzero(~np.isin(bars.open_ms, taken))
        taken = np.concatenate((taken, bars.open_ms[fresh]))
        breaks = np.flatnonzero(np.diff(bars.open_ms[fresh]) != HOUR_MS) + 1
        pieces.extend(bars.rows(run) for run in np.split(fresh, breaks) if len(run))
    for whole in _joined_up(sorted(pieces, key=lambda piece: int(piece.open_ms[0]))):
        if len(whole.open_ms) >= LEAST_HOURS:
            yield _stretch(asset, whole, dvol, funding)


def _joined_up(pieces: Sequence[_Bars]) -> list[_Bars]:
    """Pieces in the order of time, those that continue each other as one."""
    whole: list[_Bars] = []
    for piece in pieces:
        if whole and _continues(whole[-1], piece):
            whole[-1] = whole[-1].and_then(piece)
        else:
            whole.append(piece)
    return whole


def _continues(before: _Bars, after: _Bars) -> bool:
    if before.is_spot or after.is_spot or after.open_ms[0] - before.open_ms[-1] != HOUR_MS:
        return False
    return abs(float(np.log(after.columns["open"][0] / before.columns["close"][-1]))) < SEAM


def _stretch(asset: str, bars: _Bars, dvol: _Known, funding: _Known) -> Stretch:
    columns, known_ms = bars.columns, bars.open_ms + HOUR_MS
    return Stretch(
        asset=asset,
        source=bars.source,
        open_ms=bars.open_ms,
        open=columns["open"],
        high=np.maximum(columns["high"], np.maximum(columns["open"], columns["close"])),
        low=np.minimum(columns["low"], np.minimum(columns["open"], columns["close"])),
        close=columns["close"],
        volume=columns["volume"],
        dvol=dvol.at(known_ms, STALE_DVOL_MS),
        funding_8h=funding.at(known_ms, STALE_FUNDING_MS),
    )


# --- what was known beside ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Known:
    """Values by the time at which they were known, ascending."""

    times_ms: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    values: Floats = field(default_factory=lambda: np.empty(0))

    def at(self, now_ms: Ints, stale_ms: int) -> Floats:
        """The last known at each time, NaN where that is older than `stale_ms`."""
        if not len(self.times_ms):
            return np.full(len(now_ms), np.nan)
        place = np.searchsorted(self.times_ms, now_ms, side="right") - 1
        seen = self.values[np.maximum(place, 0)]
        fresh = (place >= 0) & (now_ms - self.times_ms[np.maximum(place, 0)] <= stale_ms)
        return np.where(fresh, seen, np.nan)


_NOTHING: Final = _Known()


def _implied(folder: Path, left_out: list[str]) -> dict[str, _Known]:
    """Hourly indices are candles by their opening: the close is known an hour later."""
    found: dict[str, list[tuple[Ints, Floats]]] = defaultdict(list)
    for file in sorted(folder.glob("dvol*/*.parquet")):
        names = _schema_names(file, left_out)
        column = "close" if "close" in names else "dvol" if "dvol" in names else None
        if column is None or "ts" not in names:
            continue
        table = pq.read_table(file, columns=["ts", column])
        times = np.asarray(table["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()))
        step_ms = int(np.median(np.diff(times))) if len(times) > 1 else HOUR_MS
        found[asset_of(file.stem)].append((times + step_ms, _floats(table, column) / 100.0))
    return {asset: _merged(parts) for asset, parts in found.items()}


def _fundings(folder: Path, left_out: list[str]) -> dict[str, _Known]:
    found: dict[str, list[tuple[Ints, Floats]]] = defaultdict(list)
    for file in sorted(folder.glob("funding*/*.parquet")):
        if not {"ts", "funding_rate"} <= set(_schema_names(file, left_out)):
            continue
        for instrument, _, rows in _by_instrument(pq.read_table(file), file.stem):
            times = np.asarray(rows["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()))
            hours = float(np.median(np.diff(np.sort(times)))) / HOUR_MS if len(times) > 1 else 8.0
            rates = _floats(rows, "funding_rate") * 8.0 / min(max(round(hours), 1), 24)
            found[asset_of(instrument)].append((times, rates))
    return {asset: _merged(parts) for asset, parts in found.items()}


def _merged(parts: Sequence[tuple[Ints, Floats]]) -> _Known:
    """All parts by time; of several at one time the median, because one venue's is that venue's."""
    times = np.concatenate([t for t, _ in parts])
    values = np.concatenate([v for _, v in parts])
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    times, values = times[np.isfinite(values)], values[np.isfinite(values)]
    # venues settle within the same minute, not the same millisecond; all of it is known when the last has
    _, first = np.unique(times // 60_000, return_index=True)
    groups: list[Any] = np.split(values, first[1:])
    last = np.append(first[1:], len(times)) - 1
    return _Known(times[last], np.array([float(np.median(g)) for g in groups if len(g)]))
