"""What a folder holds of a lending protocol's liquidations, as one book a collateral, on the panel's hours.

Understood, wherever in the folder it lies and whatever its files are called:

* liquidations: `ts`, `liquidatee`, the collateral's symbol (`collateral_symbol`, `collateral` or
  `collateral_asset_symbol`), USD (`amount_usd` or `collateral_amount_usd`) and `version`; or, as the first Aave told
  them, `ts`, `user`, `collateralReserve` and `collateralAmount`, an integer in the token's units or a decimal;
* a market a day: `date`, `version`, `asset_symbol`, `total_deposit_usd`, `daily_liquidate_usd`.

The same liquidation told by two collections counts once. A token is taken for the asset that it wraps: WETH, wBTC and
cbBTC end in the name of an asset that the panel has. Where days are told, a day counts as seen if the liquidations
found explain what the day says was liquidated; otherwise what lies between the first liquidation and the last, without
pauses of more than `LONGEST_PAUSE_H`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.lab.court.panel import Panel
from margrave.lab.court.tables import floats
from margrave.score.features.catalogue import LEADERS
from margrave.spans import DAY_H, HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LONGEST_PAUSE_H: Final = 45 * DAY_H
LEAST_EVENTS: Final = 30
EXPLAINED: Final = 0.5
"""Of a day's liquidations as the market tells them: with less found, the day was not seen."""
UNNOTICED: Final = 1e-5
"""Of the deposits: a day with less liquidated is seen even where none of it was found."""
WRAPPERS: Final = ("", "W", "CB", "T", "X", "ST")
DECIMALS: Final = {"WBTC": 8, "CBBTC": 8, "USDC": 6, "USDT": 6, "GUSD": 2, "KNC": 18}
"""Of raw integers; every other token has 18."""


@dataclass(frozen=True, slots=True)
class Book:
    """One collateral of one protocol; arrays of shape (hours,), the panel's."""

    name: str
    asset: str
    """The panel's, whose price moves it."""
    liquidated_usd: Floats
    deposits_usd: Floats
    """As last told when the hour was over; NaN where no day tells it."""
    seen: Flags
    """Hours whose liquidations are all here, as far as can be known."""

    @property
    def events(self) -> int:
        """Hours with a liquidation."""
        return int((self.liquidated_usd[self.seen] > 0).sum())

    def since(self, row: int) -> Book:
        """Without the first `row` hours."""
        return replace(
            self,
            liquidated_usd=self.liquidated_usd[row:],
            deposits_usd=self.deposits_usd[row:],
            seen=self.seen[row:],
        )


@dataclass(frozen=True, slots=True)
class Books:
    books: tuple[Book, ...]
    left_out: tuple[str, ...]


@dataclass(slots=True)
class _Told:
    """Rows of one collection and one collateral."""

    when_ms: Ints
    account: NDArray[np.str_]
    usd: Floats


@dataclass(frozen=True, slots=True)
class _Days:
    day_ms: Ints
    deposits_usd: Floats
    liquidated_usd: Floats


def read(folder: Path, panel: Panel) -> Books:
    """Every book with `LEAST_EVENTS` hours of liquidations whose asset the panel has."""
    told: dict[tuple[str, str], list[_Told]] = defaultdict(list)
    days: dict[tuple[str, str], _Days] = {}
    left_out: list[str] = []
    for file in sorted(folder.rglob("*.parquet")):
        try:
            columns = set(pq.read_schema(file).names)
            if {"date", "total_deposit_usd", "daily_liquidate_usd", "asset_symbol"} <= columns:
                days |= _days(pq.read_table(file))
            elif "ts" in columns:
                for key, rows in _liquidations(file, columns, panel):
                    told[key].append(rows)
        except (OSError, pa.ArrowException, ValueError, TypeError, KeyError) as error:
            left_out.append(f"{file.name}: {str(error)[:80]}")
    books: list[Book] = []
    for (symbol, version), found in sorted(_once(told).items()):
        name = f"{symbol} {version}".strip()
        asset = underlying(symbol, panel.assets)
        if asset is None:
            left_out.append(f"liquidations of {name}: no prices of it in the folder")
            continue
        book = _book(name, asset, found, days.get((symbol, version)), panel)
        if book.events < LEAST_EVENTS:
            left_out.append(f"liquidations of {name}: {book.events} hours with any, {LEAST_EVENTS} wanted")
        else:
            books.append(book)
    return Books(tuple(books), tuple(left_out))


def underlying(symbol: str, assets: Sequence[str]) -> str | None:
    """`WETH`, `stETH` -> `ETH` where the panel has it; None where no price is known.

    A leader that is wrapped comes before a market of the wrapped coin itself, which was open for some years only.
    """
    bare = [symbol.upper()[len(wrapper) :] for wrapper in WRAPPERS if symbol.upper().startswith(wrapper)]
    return next((asset for asset in (*(b for b in bare if b in LEADERS), *bare) if asset in assets), None)


# --- files ------------------------------------------------------------------------------------------------------------


def _liquidations(file: Path, columns: set[str], panel: Panel) -> Iterator[tuple[tuple[str, str], _Told]]:
    usd = next((name for name in ("amount_usd", "collateral_amount_usd") if name in columns), None)
    named = ("collateral_symbol", "collateral_asset_symbol", "collateral")
    symbol = next((name for name in named if name in columns), None)
    if usd and symbol and "liquidatee" in columns:
        table = _dated(pq.read_table(file), "ts")
        versions = _words(table, "version") if "version" in columns else np.full(table.num_rows, "", dtype=np.str_)
        yield from _by_key(
            _words(table, symbol), versions, _stamps(table), _words(table, "liquidatee"), floats(table, usd)
        )
    elif {"user", "collateralReserve", "collateralAmount"} <= columns:
        table = _dated(pq.read_table(file), "ts")
        names, when_ms = np.char.upper(_words(table, "collateralReserve")), _stamps(table)
        tokens = [
            _tokens(str(text), str(name)) for text, name in zip(_words(table, "collateralAmount"), names, strict=True)
        ]
        worth = np.asarray(tokens) * _prices(names, when_ms, panel)
        yield from _by_key(names, np.full(len(names), "", dtype=np.str_), when_ms, _words(table, "user"), worth)


def _by_key(
    symbols: NDArray[np.str_], versions: NDArray[np.str_], when_ms: Ints, accounts: NDArray[np.str_], usd: Floats
) -> Iterator[tuple[tuple[str, str], _Told]]:
    sound = np.isfinite(usd) & (usd > 0)
    symbols = np.char.upper(symbols)
    for symbol, version in sorted({(str(s), str(v)) for s, v in zip(symbols, versions, strict=True)}):
        rows = sound & (symbols == symbol) & (versions == version)
        if rows.any():
            yield (symbol, version), _Told(when_ms[rows], np.char.lower(accounts[rows]), usd[rows])


def _tokens(text: str, symbol: str) -> float:
    try:
        return float(text) if "." in text else float(text) / 10.0 ** DECIMALS.get(symbol, 18)
    except ValueError:
        return float("nan")


def _prices(symbols: NDArray[np.str_], when_ms: Ints, panel: Panel) -> Floats:
    """USD of the hour, NaN where the panel has none."""
    found = np.full(len(symbols), np.nan)
    if not panel.hours:
        return found
    rows = (when_ms - panel.open_ms[0]) // HOUR_MS
    inside = (rows >= 0) & (rows < panel.hours)
    for symbol in np.unique(symbols):
        asset = underlying(str(symbol), panel.assets)
        if asset is not None:
            mine = inside & (symbols == symbol)
            found[mine] = panel.close[rows[mine], panel.assets.index(asset)]
    return found


def _days(table: pa.Table) -> dict[tuple[str, str], _Days]:
    table = _dated(table, "date")
    symbols, day_ms = np.char.upper(_words(table, "asset_symbol")), _stamps(table, "date")
    versions = _words(table, "version") if "version" in table.column_names else np.full(len(symbols), "")
    deposits, liquidated = floats(table, "total_deposit_usd"), floats(table, "daily_liquidate_usd")
    found = {}
    for symbol, version in {(str(s), str(v)) for s, v in zip(symbols, versions, strict=True)}:
        mine = (symbols == symbol) & (versions == version) & np.isfinite(deposits) & (deposits > 0)
        order = np.argsort(day_ms[mine], kind="stable")
        found[symbol, version] = _Days(
            day_ms[mine][order], deposits[mine][order], np.nan_to_num(liquidated[mine][order])
        )
    return found


def _dated(table: pa.Table, name: str) -> pa.Table:
    return table.filter(table[name].is_valid())


def _words(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.asarray([str(text) if text is not None else "" for text in table[name].to_pylist()], dtype=np.str_)


def _stamps(table: pa.Table, name: str = "ts") -> Ints:
    kind = table.schema.field(name).type
    target = pa.timestamp("ms", tz=kind.tz) if pa.types.is_timestamp(kind) else pa.timestamp("ms")
    return np.asarray(table[name].cast(target).cast(pa.int64()), dtype=np.int64)


# --- one book ---------------------------------------------------------------------------------------------------------


def _once(told: Mapping[tuple[str, str], Sequence[_Told]]) -> dict[tuple[str, str], _Told]:
    """Of one account in one second the collection counts that tells most; a collateral without a version that another
    tells with one is that."""
    merged = {key: _merged(found) for key, found in told.items()}
    for symbol, version in list(merged):
        if version:
            continue
        versioned = [merged[key] for key in merged if key[0] == symbol and key[1]]
        known = {pair for rows in versioned for pair in _pairs(rows)}
        mine = _pairs(merged[symbol, version])
        if len(known.intersection(mine)) > len(mine) / 2:
            del merged[symbol, version]
    return merged


def _pairs(rows: _Told) -> list[tuple[int, str]]:
    return [(int(ms) // 1_000, str(account)) for ms, account in zip(rows.when_ms, rows.account, strict=True)]


def _merged(found: Sequence[_Told]) -> _Told:
    most: dict[tuple[int, str], float] = {}
    for rows in found:
        sums: dict[tuple[int, str], float] = defaultdict(float)
        # a row that is there twice is one: two liquidations of one account differ in their amounts
        for pair, usd in dict.fromkeys(zip(_pairs(rows), rows.usd.tolist(), strict=True)):
            sums[pair] += usd
        for pair, usd in sums.items():
            most[pair] = max(most.get(pair, 0.0), usd)
    keys = sorted(most)
    return _Told(
        np.array([second * 1_000 for second, _ in keys], dtype=np.int64),
        np.array([account for _, account in keys], dtype=np.str_),
        np.array([most[key] for key in keys]),
    )


def _book(name: str, asset: str, found: _Told, days: _Days | None, panel: Panel) -> Book:
    rows = (found.when_ms - panel.open_ms[0]) // HOUR_MS
    inside = (rows >= 0) & (rows < panel.hours)
    liquidated: Floats = np.zeros(panel.hours)
    np.add.at(liquidated, rows[inside], found.usd[inside])
    if days is None or not len(days.day_ms):
        return Book(name, asset, liquidated, np.full(panel.hours, np.nan), _between(np.flatnonzero(liquidated), panel))
    deposits, seen = np.full(panel.hours, np.nan), np.zeros(panel.hours, dtype=np.bool_)
    ends_ms = np.append(days.day_ms[1:], days.day_ms[-1] + LONGEST_PAUSE_H * HOUR_MS)
    for day_ms, next_ms, value, told_usd in zip(
        days.day_ms, ends_ms, days.deposits_usd, days.liquidated_usd, strict=True
    ):
        first = int((day_ms - panel.open_ms[0]) // HOUR_MS)
        mine = slice(max(first, 0), max(first + DAY_H, 0))
        seen[mine] = told_usd <= UNNOTICED * value or liquidated[mine].sum() >= EXPLAINED * told_usd
        # a day's deposits are known when it is over, and stand until the next day's are
        until = min(int((next_ms - panel.open_ms[0]) // HOUR_MS), first + LONGEST_PAUSE_H) + DAY_H - 1
        deposits[max(first + DAY_H - 1, 0) : max(until, 0)] = value
    return Book(name, asset, liquidated, deposits, seen)


def _between(hours: Ints, panel: Panel) -> Flags:
    seen = np.zeros(panel.hours, dtype=np.bool_)
    if len(hours):
        for run in np.split(hours, np.flatnonzero(np.diff(hours) > LONGEST_PAUSE_H) + 1):
            seen[run[0] : run[-1] + 1] = True
    return seen
