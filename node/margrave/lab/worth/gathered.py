"""The series that inputs beside the bars are made of, as a folder has them, on a panel's hours.

Files are known by their columns, as `lab.court.history` knows bars. Everything stands at the hour at whose end it was
known; a figure of a day is taken as known when the day is over. What a folder lacks is absent, and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.lab.court.history import asset_of
from margrave.lab.court.panel import Panel
from margrave.score.features.vpin import bought_share
from margrave.spans import DAY_MS, HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STABLECOINS: Final = ("USDC", "USDT", "DAI")
FINEST_MS: Final = HOUR_MS // 2
STALE_MS: Final = {"peg": 3 * HOUR_MS, "fear_greed": 2 * DAY_MS, "news_tone": 2 * DAY_MS}
SIGMA_H: Final = 168
"""Hours of finer bars whose deviation classifies a bar's volume."""
FURTHEST_BASIS: Final = 0.05
"""Two series further apart than this are not of one thing."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """`fields` of `Observed`, (hours, assets) each; those of the folder's that are absent are missing."""

    fields: Mapping[str, Floats]
    sources: Mapping[str, str]
    """The folders that each field came from."""


def gather(folder: Path, panel: Panel) -> Gathered:
    """All that is found. A file that cannot be read is passed over: the court says so of bars."""
    fields: dict[str, Floats] = {}
    sources: dict[str, set[str]] = {}
    spot: dict[str, pd.Series] = {}
    perpetual: dict[str, pd.Series] = {}
    for file in sorted(folder.rglob("*.parquet")):
        try:
            names = set(pq.read_schema(file).names)
        except (OSError, pa.ArrowInvalid):
            continue
        collection = file.parent.name
        if collection.lower().startswith("dvol"):
            continue
        if {"ts", "open", "high", "low", "close"} <= names and not {"symbol", "coin"} & names:
            asset = asset_of(file.stem)
            if asset not in panel.assets:
                continue
            bars = _indexed(pq.read_table(file, columns=["ts", "open", "close", *sorted({"volume"} & names)]))
            step_ms = _step_ms(bars)
            if step_ms == HOUR_MS:
                kind = spot if "spot" in collection.lower() else perpetual
                kind[asset] = bars["close"].combine_first(kind[asset]) if asset in kind else bars["close"]
                sources.setdefault("basis", set()).add(collection)
            elif step_ms and step_ms <= FINEST_MS and HOUR_MS % step_ms == 0 and "spot" not in collection.lower():
                _lay_finer(fields, panel, asset, bars, HOUR_MS // step_ms)
                for name in ("finer_square", "bought_usd"):
                    sources.setdefault(name, set()).add(collection)
            continue
        for name, columns in _others(names, file, panel):
            fields[name] = _either(fields.get(name), columns)
            sources.setdefault(name, set()).add(collection)
    if basis := {asset: perpetual[asset] / spot[asset] - 1.0 for asset in sorted(spot.keys() & perpetual.keys())}:
        fields["basis"] = np.stack([_basis(basis.get(asset), panel) for asset in panel.assets], axis=-1)
    if "liquidated_long_usd" in fields:
        fields["liquidated_short_usd"] = 0.0 * fields["liquidated_long_usd"]
    return Gathered(fields, {name: ", ".join(sorted(found)) for name, found in sources.items() if name in fields})


def _indexed(table: pa.Table) -> pd.DataFrame:
    """By opening time, ascending, the last of those of one time."""
    times = np.asarray(table["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()))
    frame = table.drop_columns(["ts"]).to_pandas().astype(np.float64).set_index(times).sort_index()
    sound = (frame["close"] > 0) & (frame["open"] > 0)
    found: pd.DataFrame = frame[sound & ~frame.index.duplicated(keep="last")]
    return found


def _step_ms(bars: pd.DataFrame) -> int:
    return int(np.median(np.diff(bars.index))) if len(bars) > 1 else 0


def _lay_finer(fields: dict[str, Floats], panel: Panel, asset: str, bars: pd.DataFrame, parts: int) -> None:
    """Sums over whole hours; where two series have an hour, the one with the finer bars was laid last or stays."""
    move = pd.Series(np.log(bars["close"] / bars["open"]), bars.index)
    usd = bars["volume"] * bars["close"] if "volume" in bars else pd.Series(np.nan, bars.index)
    sigma = move.rolling(SIGMA_H * parts, min_periods=SIGMA_H).std().shift(1)
    share = bought_share(np.asarray(move, dtype=np.float64), np.asarray(sigma, dtype=np.float64))
    hour = bars.index // HOUR_MS * HOUR_MS
    parts_of = pd.DataFrame(
        {
            "finer_square": move**2,
            "finer_down": np.where(move < 0, move**2, 0.0),
            "bought_usd": usd * share,
            "sold_usd": usd * (1.0 - share),
        }
    )
    sums = parts_of.groupby(hour).sum(min_count=parts)
    for name in map(str, parts_of):
        column = fields.setdefault(name, np.full(panel.close.shape, np.nan))
        place = panel.assets.index(asset)
        found = sums[name].reindex(panel.open_ms).to_numpy()
        column[:, place] = np.where(np.isfinite(column[:, place]), column[:, place], found)


def _others(names: set[str], file: Path, panel: Panel) -> Iterator[tuple[str, Floats]]:
    """Fields that one file tells, by its columns."""
    if {"ts", "oi_usd", "coin"} <= names:
        yield "open_interest_usd", _open_interest(pq.read_table(file).to_pandas(), panel)
    elif {"ts", "symbol", "price_usd"} <= names:
        yield "peg", _peg(pq.read_table(file).to_pandas(), panel)
    elif {"ts", "liquidator"} <= names and (usd := {"amount_usd", "collateral_amount_usd"} & names):
        yield "liquidated_long_usd", _liquidated(pq.read_table(file, columns=["ts", *usd]).to_pandas(), panel)
    elif {"date", "fg_value"} <= names:
        yield "fear_greed", _daily(pq.read_table(file).to_pandas(), "fg_value", "fear_greed", panel)
    elif {"date", "net_sentiment"} <= names:
        yield "news_tone", _daily(pq.read_table(file).to_pandas(), "net_sentiment", "news_tone", panel)


def _either(first: Floats | None, second: Floats) -> Floats:
    """The larger where both know: two files of one thing overlap."""
    return second if first is None else np.fmax(first, second)


def _ms(times: pd.Series) -> Ints:
    return np.asarray(pd.to_datetime(times, utc=True).dt.as_unit("ms").astype(np.int64))


def _for_all(column: Floats, panel: Panel) -> Floats:
    return np.where(np.isfinite(panel.close), column[:, None], np.nan)


def _open_interest(frame: pd.DataFrame, panel: Panel) -> Floats:
    """Of each coin's longest venue: a venue that comes or goes is no change of interest."""
    found = np.full(panel.close.shape, np.nan)
    frame = frame.assign(ms=_ms(frame["ts"]))
    frame = frame.assign(venue=frame.get("venue", "")).reset_index(drop=True)
    for coin, rows in frame.groupby("coin"):
        asset = asset_of(str(coin))
        if asset not in panel.assets:
            continue
        counts = rows["venue"].value_counts().sort_index()
        mine = rows[rows["venue"] == counts.idxmax()].drop_duplicates("ms", keep="last").set_index("ms")["oi_usd"]
        found[:, panel.assets.index(asset)] = mine.reindex(panel.known_ms).where(lambda usd: usd > 0).to_numpy()
    return found


def _peg(frame: pd.DataFrame, panel: Panel) -> Floats:
    """The one furthest from a dollar of the stablecoins that nodes are set to watch."""
    prices = [
        _as_of(_ms(rows["ts"]), rows["price_usd"].to_numpy(dtype=np.float64), panel.known_ms, STALE_MS["peg"])
        for symbol, rows in frame.groupby("symbol")
        if symbol in STABLECOINS
    ]
    if not prices:
        return np.full(panel.close.shape, np.nan)
    stack = np.stack(prices)
    distance = np.where(np.isfinite(stack), np.abs(stack - 1.0), -1.0)
    furthest = np.take_along_axis(stack, distance.argmax(axis=0)[None], axis=0)[0]
    return _for_all(furthest, panel)


def _liquidated(frame: pd.DataFrame, panel: Panel) -> Floats:
    """Dollars seized an hour, the same for everybody, between the file's first and last."""
    usd = frame.drop(columns="ts").iloc[:, 0].to_numpy(dtype=np.float64)
    known = np.isfinite(usd)
    hour = _ms(frame["ts"])[known] // HOUR_MS * HOUR_MS
    if not len(hour):
        return np.full(panel.close.shape, np.nan)
    sums = pd.Series(usd[known]).groupby(hour).sum().reindex(panel.open_ms, fill_value=0.0).to_numpy()
    inside = (panel.open_ms >= hour.min()) & (panel.open_ms <= hour.max())
    return _for_all(np.where(inside, sums, np.nan), panel)


def _daily(frame: pd.DataFrame, column: str, name: str, panel: Panel) -> Floats:
    known_ms = _ms(frame["date"]) + DAY_MS
    values = frame[column].to_numpy(dtype=np.float64)
    return _for_all(_as_of(known_ms, values, panel.known_ms, STALE_MS[name]), panel)


def _as_of(times_ms: Ints, values: Floats, now_ms: Ints, stale_ms: int) -> Floats:
    """The last known at each time, NaN where it is older than `stale_ms`."""
    kept = np.isfinite(values)
    order = np.argsort(times_ms[kept], kind="stable")
    times_ms, values = times_ms[kept][order], values[kept][order]
    if not len(times_ms):
        return np.full(len(now_ms), np.nan)
    place = np.searchsorted(times_ms, now_ms, side="right") - 1
    at = np.maximum(place, 0)
    return np.where((place >= 0) & (now_ms - times_ms[at] <= stale_ms), values[at], np.nan)


def _basis(series: pd.Series | None, panel: Panel) -> Floats:
    if series is None:
        return np.full(panel.hours, np.nan)
    found = series.reindex(panel.open_ms).to_numpy(dtype=np.float64)
    return np.where(np.abs(found) < FURTHEST_BASIS, found, np.nan)
