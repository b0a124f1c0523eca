"""The folder's worst broken peg, replayed hour by hour: who was flagged, when, and what add-on each market got.

A stablecoin is whatever stayed within two per cent of a dollar for a month; its peg broke in the first hour that closed
below 0.97 and was followed within a week by one below 0.90. From some weeks before it on, the node's own contagion is
asked every hour, with what was known by then and nothing else: a week of bars of every market, and the stablecoin's
price as the peg that a node reads. Ladders are plain, three deviations of an exponentially weighted hour, since what is
judged here is contagion. A market is flagged while its add-on is more than twice its median of the fortnight before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from margrave.lab.court.panel import Panel
from margrave.lab.court.tables import asset_of
from margrave.messages import Bar, Ladder, MarketSnapshot
from margrave.score import addons
from margrave.score.contagion.graph import Floats, Ints
from margrave.score.contagion.served import Contagions
from margrave.score.registry import Model
from margrave.spans import HOUR_MS

PEGGED: Final = 0.02
PEGGED_H: Final = 30 * 24
BROKE: Final = 0.97
BROKEN: Final = 0.90
WITHIN_H: Final = 7 * 24
BEFORE_H: Final = 17 * 24
AFTER_H: Final = 5 * 24
FORTNIGHT_H: Final = 14 * 24
WINDOW_H: Final = addons.CONTAGION_HOURS + 1
RISEN: Final = 2.0
FELL: Final = 0.15
LEAST_MARKETS: Final = 3
MOST_MARKETS: Final = 24
"""Those with bars come first: more than this would say the same again."""
DEVIATIONS: Final = (2.0, 2.6, 3.0, 4.0, 5.0)
HALF_LIFE_H: Final = 24.0
MPOR_H: Final = 4.0
PRICES: Final = frozenset({"ts", "symbol", "price_usd"})
WIDEST: Final = 0.95


@dataclass(frozen=True, slots=True)
class Hourly:
    """Closes of hours, (hours, names), NaN where there is none."""

    close_ms: Ints
    names: tuple[str, ...]
    close: Floats


@dataclass(frozen=True, slots=True)
class Flagged:
    """Of one market; hours count from when the peg broke."""

    market: str
    usual: float
    """Median add-on of the fortnight before the peg broke."""
    highest: float
    flagged_h: float | None
    """The first hour of the run of flags that reaches into the break, or begins after it."""
    formula_h: float | None
    """The same of the formula alone, which reads no peg and no holdings."""
    fell_h: float | None
    """When it had lost 15 % of what it was worth when the peg broke; `None` where it never did."""
    lowest: float
    """Share lost at the worst."""
    in_vain: float
    """Share of the hours up to a day before the break in which it was flagged."""


@dataclass(frozen=True, slots=True)
class Replayed:
    stablecoin: str
    broke_ms: int
    lowest: float
    close_ms: Ints
    peg: Floats
    addons: Mapping[str, Floats]
    price: Mapping[str, Floats]
    flagged: tuple[Flagged, ...]


def replayed(folder: Path, panel: Panel, model: Model | None) -> Replayed | str:
    """The case, or why there is none."""
    hourly = prices(folder, panel)
    found = broken_peg(hourly)
    if found is None:
        return (
            "no stablecoin of the folder lost its peg: none stayed near a dollar for a month and then fell below 0.90"
        )
    coin, row = found
    first, last = row - BEFORE_H, min(row + AFTER_H, len(hourly.close_ms) - 1)
    if first < WINDOW_H:
        return f"{hourly.names[coin]} lost its peg before there was a history to compare with"
    live = _live(hourly, coin, first - WINDOW_H, row)
    if len(live) < LEAST_MARKETS:
        return f"fewer than {LEAST_MARKETS} markets have prices around the hour in which {hourly.names[coin]} broke"
    told = Contagions(model)
    rows = np.arange(first, last + 1)
    peg = _held(hourly.close[:, coin])[rows]
    said: dict[str, list[float]] = {hourly.names[place]: [] for place in live}
    formula: dict[str, list[float]] = {hourly.names[place]: [] for place in live}
    for at, dollar in zip(rows, peg, strict=True):
        markets, ladders = _round(hourly, live, int(at), float(dollar))
        alone = addons.contagion(markets, ladders)
        for name, contagion in told.forecast(markets, ladders).items():
            said[name].append(contagion.addon)
            formula[name].append(alone[name].addon)
        for name in said.keys() - ladders.keys():
            said[name].append(float("nan"))
            formula[name].append(float("nan"))
    broke = row - first
    ours = {name: np.array(values) for name, values in said.items()}
    theirs = {name: np.array(values) for name, values in formula.items()}
    price = {hourly.names[place]: hourly.close[rows, place] for place in live}
    flagged = [_flagged(name, ours[name], theirs[name], price[name], broke) for name in ours]
    return Replayed(
        stablecoin=hourly.names[coin],
        broke_ms=int(hourly.close_ms[row]),
        lowest=float(np.nanmin(peg)),
        close_ms=hourly.close_ms[rows],
        peg=peg,
        addons=ours,
        price=price,
        flagged=tuple(sorted(flagged, key=lambda one: -one.lowest)),
    )


def broken_peg(hourly: Hourly) -> tuple[int, int] | None:
    """The stablecoin that fell lowest, its place and the row in which its peg broke."""
    best: tuple[float, int, int] | None = None
    for place in range(len(hourly.names)):
        close = _filled(hourly.close[:, place])
        below = np.flatnonzero(close < BROKE)
        for row in below[below >= PEGGED_H]:
            before = close[row - PEGGED_H : row]
            near = np.isfinite(before) & (np.abs(before - 1) <= PEGGED)
            after = close[row : row + WITHIN_H]
            if near.mean() > 0.99 and np.nanmin(after) < BROKEN:
                low = float(np.nanmin(after))
                best = (low, place, int(row)) if best is None or low < best[0] else best
                break
    return None if best is None else (best[1], best[2])


def prices(folder: Path, panel: Panel) -> Hourly:
    """Of the panel, and of every symbol beside it that the folder has irregular prices of: the last in each hour."""
    columns: dict[str, dict[int, float]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        try:
            if not set(pq.read_schema(file).names) >= PRICES:
                continue
            table = pq.read_table(file, columns=sorted(PRICES))
            table = table.filter(table["ts"].is_valid())
            stamps = table["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        symbols = np.asarray(table["symbol"].to_pylist(), dtype=object)
        values = np.asarray(table["price_usd"].to_numpy(zero_copy_only=False), dtype=np.float64)
        order = np.argsort(stamps, kind="stable")
        sound = order[np.isfinite(values[order]) & (values[order] > 0)]
        for symbol in sorted({str(s) for s in symbols}):
            mine = sound[symbols[sound] == symbol]
            hours = stamps[mine] // HOUR_MS * HOUR_MS + HOUR_MS
            columns.setdefault(asset_of(symbol), {}).update(zip(hours.tolist(), values[mine].tolist(), strict=True))
    beside = {name: series for name, series in columns.items() if name not in panel.assets and series}
    times = sorted({*panel.known_ms.tolist(), *(when for series in beside.values() for when in series)})
    if not times:
        return Hourly(np.empty(0, dtype=np.int64), (), np.empty((0, 0)))
    grid = np.arange(times[0], times[-1] + HOUR_MS, HOUR_MS, dtype=np.int64)
    names = (*panel.assets, *sorted(beside))
    close = np.full((len(grid), len(names)), np.nan)
    if panel.hours:
        close[(panel.known_ms - grid[0]) // HOUR_MS, : len(panel.assets)] = panel.close
    for place, name in enumerate(sorted(beside), start=len(panel.assets)):
        rows = (np.fromiter(beside[name], dtype=np.int64) - grid[0]) // HOUR_MS
        close[rows, place] = list(beside[name].values())
    return Hourly(grid, names, close)


def ladder(returns: Floats) -> Ladder:
    """Plain and the same on both sides."""
    weights = 0.5 ** (np.arange(len(returns))[::-1] / HALF_LIFE_H)
    sigma = float(np.sqrt(np.sum(weights * returns**2) / weights.sum() * MPOR_H))
    moves = [min(count * sigma + 1e-6 * (1 + place), WIDEST) for place, count in enumerate(DEVIATIONS)]
    names = ("q975", "q995", "es99", "q9995", "es999")
    return Ladder(
        **{f"{side}_{name}": move for side in ("down", "up") for name, move in zip(names, moves, strict=True)}
    )


def _round(hourly: Hourly, live: Sequence[int], row: int, peg: float) -> tuple[list[MarketSnapshot], dict[str, Ladder]]:
    """What a node would have been told at the end of an hour."""
    markets: list[MarketSnapshot] = []
    ladders: dict[str, Ladder] = {}
    for place in live:
        close = _filled(hourly.close[row - WINDOW_H + 1 : row + 1, place])
        if not np.isfinite(close).all() or np.isnan(hourly.close[row - 6 : row + 1, place]).all():
            continue
        times = hourly.close_ms[row - WINDOW_H + 1 : row + 1] - HOUR_MS
        bars = tuple(Bar(int(t), c, c, c, c, 0.0) for t, c in zip(times, close.tolist(), strict=True))
        name = hourly.names[place]
        ladders[name] = ladder(np.diff(np.log(close)))
        markets.append(
            MarketSnapshot(
                market=name, price=float(close[-1]), sources=(), half_spread=None, depth_usd=None, perp_basis=None,
                funding_8h=None, open_interest_usd=None, vol_index=None, collateral_ratio=None, bars=bars, quotes=(),
                chain_age_s=None, peg=peg,
            )
        )  # fmt: skip
    return markets, ladders


def _flagged(name: str, addon: Floats, formula: Floats, price: Floats, broke: int) -> Flagged:
    flags, plain = _flags(addon), _flags(formula)
    after = price[broke:] / price[broke]
    fell = np.flatnonzero(after <= 1 - FELL)
    calm = flags[FORTNIGHT_H // 2 : broke - 24]
    return Flagged(
        market=name,
        usual=float(np.nanmedian(addon[broke - FORTNIGHT_H : broke - 24])),
        highest=float(np.nanmax(addon[broke:])),
        flagged_h=_first(flags, broke),
        formula_h=_first(plain, broke),
        fell_h=float(fell[0]) if len(fell) else None,
        lowest=float(1 - np.nanmin(after)),
        in_vain=float(np.mean(calm)) if len(calm) else 0.0,
    )


def _flags(addon: Floats) -> Floats:
    """(hours,) ones where the add-on is more than `RISEN` times its median of the fortnight before."""
    usual = [np.nanmedian(addon[max(0, row - FORTNIGHT_H) : row]) if row else np.nan for row in range(len(addon))]
    with np.errstate(invalid="ignore"):
        return np.asarray(addon > RISEN * np.array(usual), dtype=np.float64)


def _first(flags: Floats, broke: int) -> float | None:
    """The first hour of the run that is on when the peg breaks, or the first after it."""
    if flags[broke]:
        off = np.flatnonzero(flags[: broke + 1] == 0)
        return float((off[-1] + 1 if len(off) else 0) - broke)
    later = np.flatnonzero(flags[broke:])
    return float(later[0]) if len(later) else None


def _live(hourly: Hourly, coin: int, first: int, row: int) -> list[int]:
    """Markets with nine hours in ten of those before, that are no stablecoins themselves and move."""
    window = hourly.close[first : row + 1]
    known = np.isfinite(window).mean(axis=0) >= 0.9
    near = np.nanmean(np.abs(window[:, known] - 1) <= PEGGED, axis=0)
    places = np.flatnonzero(known)
    lively = [int(place) for place, share in zip(places, near, strict=True) if place != coin and share < 0.5]
    return lively[:MOST_MARKETS]


def _held(close: Floats) -> Floats:
    """The last price for ever: a stablecoin that is no longer traded has not come back."""
    rows = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(len(close)), 0))
    return np.asarray(close[rows])


def _filled(close: Floats) -> Floats:
    """The last price stands for at most a day."""
    rows = np.where(np.isfinite(close), np.arange(len(close)), -1)
    last = np.maximum.accumulate(rows)
    known = (last >= 0) & (np.arange(len(close)) - last <= 24)
    return np.where(known, close[np.maximum(last, 0)], np.nan)
