"""Whatever price history a folder holds, as gap-free hourly series by asset, with what was known beside it.

Understood, wherever in the folder it lies and whatever its files are called:

* bars: Parquet with `ts`, `open`, `high`, `low`, `close` and `volume` of any length up to an hour; the instrument is
  the file's name (`ETHUSDT.parquet`), or a column `symbol` or `coin` beside `venue`;
* funding: `ts`, `funding_rate` and the instrument in the same two ways; per the venue's own period, which the spacing
  of its times tells;
* an implied volatility index: `ts` and `dvol`, or `ts`, `open`, `high`, `low`, `close` without a volume where the path
  says `dvol`; in percent points, or as a fraction where its middle is below 3. Other prices without a volume are taken
  for bars, unless the asset has bars with one: an index that is taken for a price would be judged as one.

Of several series of one asset those of perpetuals come before spot, and the longer before the shorter; what they have
at times that the first has not is added. Where one perpetual's hours follow another's without a break in time or price
they are one stretch. Nothing is interpolated: a gap ends a stretch.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
LEAST_PERCENT: Final = 3.0
"""An implied volatility index around less than this is a fraction: nothing has ever been as calm as 3 % a year."""
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
    implied: dict[str, list[_Known]] = defaultdict(list)
    funding: dict[str, list[_Known]] = defaultdict(list)
    for file in sorted(folder.rglob("*.parquet")):
        try:
            _sort(file, file.relative_to(folder), bars, implied, funding, left_out)
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            left_out.append(f"{file.name}: {str(error)[:80]}")
    for asset, held in bars.items():
        bars[asset] = _traded(asset, held, left_out)
    if missing := sorted(set(assets) - bars.keys()):
        raise Fatal(f"no bars of {', '.join(missing)}", advice=f"choose among {', '.join(sorted(bars)) or 'none'}")
    stretches: list[Stretch] = []
    for asset in sorted(assets or bars):
        taken = list(_stretches(asset, bars[asset], _by_step(implied[asset]), _merged(funding[asset])))
        if not taken:
            left_out.append(f"{asset}: no {LEAST_HOURS} consecutive hours")
        stretches.extend(taken)
    return Found(tuple(stretches), tuple(left_out))


def asset_of(instrument: str) -> str:
    """`ETHUSDT`, `ETH-PERP`, `ETHUSD` -> `ETH`."""
    return QUOTES.sub("", instrument.upper()) or instrument.upper()


def _sort(
    file: Path,
    name: Path,
    bars: dict[str, list[_Bars]],
    implied: dict[str, list[_Known]],
    funding: dict[str, list[_Known]],
    left_out: list[str],
) -> None:
    """By its columns, to what it is."""
    columns = set(pq.read_schema(file).names)
    if "ts" not in columns:
        return
    if "funding_rate" in columns:
        for asset, known in _fundings(file):
            funding[asset].append(known)
    elif "dvol" in columns or ("close" in columns and "volume" not in columns and "dvol" in str(name).lower()):
        for asset, known in _implied(file, "dvol" if "dvol" in columns else "close"):
            implied[asset].append(known)
    elif {*PRICES} <= columns:
        for asset, found in _bars_of(file, name, columns, left_out):
            bars[asset].append(found)


# --- bars -------------------------------------------------------------------------------------------------------------


def _bars_of(file: Path, name: Path, columns: set[str], left_out: list[str]) -> Iterator[tuple[str, _Bars]]:
    wanted = ["ts", *PRICES, *sorted({"volume", "venue", "symbol", "coin"} & columns)]
    table = pq.read_table(file, columns=wanted)
    collection = str(name.parent)
    for instrument, venue, rows in _by_instrument(table, file.stem):
        source = f"{collection}{f' {venue}' if venue else ''}"
        hourly = _hourly(rows, f"{source} {instrument}", left_out)
        if hourly is not None:
            yield asset_of(instrument), _Bars(source, *hourly)


def _traded(asset: str, found: Sequence[_Bars], left_out: list[str]) -> list[_Bars]:
    """Those with a volume, where any has one."""
    traded = [bool(np.isfinite(bars.columns["volume"]).any()) for bars in found]
    if not any(traded):
        return list(found)
    for bars, has_volume in zip(found, traded, strict=True):
        if not has_volume:
            left_out.append(f"{bars.source} {asset}: prices without a volume, and there are bars with one")
    return [bars for bars, has_volume in zip(found, traded, strict=True) if has_volume]


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


def _stretches(asset: str, found: Sequence[_Bars], dvol: Sequence[_Known], funding: _Known) -> Iterator[Stretch]:
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


def _stretch(asset: str, bars: _Bars, dvol: Sequence[_Known], funding: _Known) -> Stretch:
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
        dvol=_first_of([known.at(known_ms) for known in dvol], len(bars.open_ms)),
        funding_8h=funding.at(known_ms),
    )


# --- what was known beside ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Known:
    """Values by the time at which they were known, ascending; each is stale after `stale_ms`."""

    times_ms: Ints
    values: Floats
    stale_ms: int

    def at(self, now_ms: Ints) -> Floats:
        """The last known at each time, NaN where that is stale."""
        if not len(self.times_ms):
            return np.full(len(now_ms), np.nan)
        place = np.searchsorted(self.times_ms, now_ms, side="right") - 1
        seen = self.values[np.maximum(place, 0)]
        fresh = (place >= 0) & (now_ms - self.times_ms[np.maximum(place, 0)] <= self.stale_ms)
        return np.where(fresh, seen, np.nan)


def _implied(file: Path, column: str) -> Iterator[tuple[str, _Known]]:
    """An index's values are candles by their opening: the close is known when they end."""
    for instrument, _, rows in _by_instrument(pq.read_table(file), file.stem):
        times, values = _series(rows, column)
        if not len(times):
            continue
        step_ms = int(np.median(np.diff(times))) if len(times) > 1 else HOUR_MS
        unit = 100.0 if float(np.median(values)) >= LEAST_PERCENT else 1.0
        yield asset_of(instrument), _Known(times + step_ms, values / unit, 2 * step_ms)


def _fundings(file: Path) -> Iterator[tuple[str, _Known]]:
    for instrument, _, rows in _by_instrument(pq.read_table(file), file.stem):
        times, values = _series(rows, "funding_rate")
        if len(times):
            hours = float(np.median(np.diff(times))) / HOUR_MS if len(times) > 1 else 8.0
            yield asset_of(instrument), _Known(times, values * 8.0 / min(max(round(hours), 1), 24), STALE_FUNDING_MS)


def _series(rows: pa.Table, column: str) -> tuple[Ints, Floats]:
    """(times, finite values), ascending; of repeated times the last."""
    times = np.asarray(rows["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()))
    values = _floats(rows, column)
    kept = np.flatnonzero(np.isfinite(values))
    kept = kept[np.argsort(times[kept], kind="stable")]
    times, values = times[kept], values[kept]
    last = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[last], values[last]


def _by_step(parts: Sequence[_Known]) -> list[_Known]:
    """The finest first, those of one step as one: a day's value stands in where there is no hour's."""
    steps = sorted({part.stale_ms for part in parts})
    return [_merged([part for part in parts if part.stale_ms == step]) for step in steps]


def _first_of(found: Sequence[Floats], hours: int) -> Floats:
    first = np.full(hours, np.nan)
    for values in found:
        first = np.where(np.isfinite(first), first, values)
    return first


def _merged(parts: Sequence[_Known]) -> _Known:
    """All parts by time; of several at one time the median, because one venue's is that venue's."""
    if not parts:
        return _Known(np.empty(0, dtype=np.int64), np.empty(0), 0)
    times = np.concatenate([part.times_ms for part in parts])
    values = np.concatenate([part.values for part in parts])
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    # venues settle within the same minute, not the same millisecond; all of it is known when the last has
    _, first = np.unique(times // 60_000, return_index=True)
    groups: list[Any] = np.split(values, first[1:])
    last = np.append(first[1:], len(times)) - 1
    return _Known(times[last], np.array([float(np.median(g)) for g in groups if len(g)]), parts[0].stale_ms)
