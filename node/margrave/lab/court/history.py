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
they are one stretch. Nothing is interpolated: a gap ends a stretch, and so does a price in another unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court import beside
from margrave.lab.court.beside import Known
from margrave.lab.court.tables import asset_of as asset_of
from margrave.lab.court.tables import by_instrument, floats
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WILDEST: Final = 0.1
"""Log return of a typical hour: what moves more is no market, and would drag those that learn from all assets. In the
two years around LUNA's end its typical hour moved 0.01."""
STILLEST: Final = 0.9
"""Share of hours without a move: what moves less is no market either."""
LEAST_HOURS: Final = 24 * 14
"""A shorter stretch has nothing to fit on and nothing to be judged by."""
PRICES: Final = ("open", "high", "low", "close")
SEAM: Final = 0.02
"""Log price: the most that two perpetuals of one asset lie apart where one series takes over from the other."""
FURTHEST: Final = float(np.log(100.0))
"""Log price: no coin moved a hundredfold within an hour (LUNA's worst was 25), but units and typing errors do."""


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
    implied: dict[str, list[Known]] = defaultdict(list)
    funding: dict[str, list[Known]] = defaultdict(list)
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
        taken = list(_stretches(asset, bars[asset], beside.by_step(implied[asset]), beside.merged(funding[asset])))
        if not taken:
            left_out.append(f"{asset}: no {LEAST_HOURS} consecutive hours")
        for stretch in taken:
            if odd := _odd(stretch):
                left_out.append(f"{stretch.source} {asset}: {odd}")
            else:
                stretches.append(stretch)
    return Found(tuple(stretches), tuple(left_out))


def _sort(
    file: Path,
    name: Path,
    bars: dict[str, list[_Bars]],
    implied: dict[str, list[Known]],
    funding: dict[str, list[Known]],
    left_out: list[str],
) -> None:
    """By its columns, to what it is."""
    columns = set(pq.read_schema(file).names)
    if "ts" not in columns:
        return
    if "funding_rate" in columns:
        for asset, known in beside.fundings(file):
            funding[asset].append(known)
    elif "dvol" in columns or ("close" in columns and "volume" not in columns and "dvol" in str(name).lower()):
        for asset, known in beside.implied(file, "dvol" if "dvol" in columns else "close"):
            implied[asset].append(known)
    elif {*PRICES} <= columns:
        for asset, found in _bars_of(file, name, columns, left_out):
            bars[asset].append(found)


# --- bars -------------------------------------------------------------------------------------------------------------


def _bars_of(file: Path, name: Path, columns: set[str], left_out: list[str]) -> Iterator[tuple[str, _Bars]]:
    wanted = ["ts", *PRICES, *sorted({"volume", "venue", "symbol", "coin"} & columns)]
    table = pq.read_table(file, columns=wanted)
    collection = str(name.parent)
    for instrument, venue, rows in by_instrument(table, file.stem):
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


def _hourly(table: pa.Table, what: str, left_out: list[str]) -> tuple[Ints, Mapping[str, Floats]] | None:
    """Hours that are whole; `None`, said why, for bars that are longer or no bars at all."""
    table = table.filter(table["ts"].is_valid())
    times = _times(table)
    columns = {name: floats(table, name) for name in (*PRICES, "volume")}
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
    if off := int((times % step_ms != 0).sum()):
        left_out.append(f"{what}: {off} bars that do not begin on the clock")
        times, columns = times[times % step_ms == 0], {n: v[times % step_ms == 0] for n, v in columns.items()}
    if not len(times):
        return None
    return (times, columns) if step_ms == HOUR_MS else _joined(times, columns, HOUR_MS // step_ms)


def _times(table: pa.Table) -> Ints:
    """Milliseconds, to the second: some archives stamp a bar a few milliseconds late."""
    stamps = np.asarray(table["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()), dtype=np.int64)
    return np.asarray((stamps + 500) // 1_000 * 1_000)


def _sound(columns: Mapping[str, Floats]) -> NDArray[np.bool_]:
    prices = np.stack([columns[name] for name in PRICES])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sound = np.isfinite(prices).all(axis=0) & (prices > 0).all(axis=0)
        # float32 archives leave the extremes a hair inside open and close: that is mended later, more is a fault
        slack = 1e-5 * columns["close"]
        sound &= columns["high"] + slack >= np.maximum(columns["open"], columns["close"])
        sound &= columns["low"] - slack <= np.minimum(columns["open"], columns["close"])
        sound &= np.log(columns["high"] / columns["low"]) <= FURTHEST
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


def _stretches(asset: str, found: Sequence[_Bars], dvol: Sequence[Known], funding: Known) -> Iterator[Stretch]:
    taken = np.empty(0, dtype=np.int64)
    pieces: list[_Bars] = []
    for bars in sorted(found, key=lambda b: (b.is_spot, -len(b.open_ms), b.source)):
        fresh = np.flatnonzero(~np.isin(bars.open_ms, taken))
        taken = np.concatenate((taken, bars.open_ms[fresh]))
        breaks = np.flatnonzero((np.diff(bars.open_ms[fresh]) != HOUR_MS) | _torn(bars, fresh)) + 1
        pieces.extend(bars.rows(run) for run in np.split(fresh, breaks) if len(run))
    for whole in _joined_up(sorted(pieces, key=lambda piece: int(piece.open_ms[0]))):
        if len(whole.open_ms) >= LEAST_HOURS:
            yield _stretch(asset, whole, dvol, funding)


def _torn(bars: _Bars, rows: Ints) -> NDArray[np.bool_]:
    """(rows - 1,): where the price is in another unit than the hour before."""
    opened, closed = bars.columns["open"][rows], bars.columns["close"][rows]
    return np.asarray(np.abs(np.log(opened[1:] / closed[:-1])) > FURTHEST)


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


def _odd(stretch: Stretch) -> str | None:
    """Why it is no market's."""
    moves = np.abs(np.diff(np.log(stretch.close)))
    if float(np.median(moves)) > WILDEST:
        return f"a typical hour moves {float(np.median(moves)):.0%}"
    if float((moves == 0).mean()) > STILLEST:
        return f"{float((moves == 0).mean()):.0%} of its hours stand still"
    return None


def _stretch(asset: str, bars: _Bars, dvol: Sequence[Known], funding: Known) -> Stretch:
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
        dvol=beside.first_of([known.at(known_ms) for known in dvol], len(bars.open_ms)),
        funding_8h=funding.at(known_ms),
    )
