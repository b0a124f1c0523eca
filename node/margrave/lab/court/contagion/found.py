"""Exposure graphs that a folder holds: positions, liquidations, account histories and pools, known by their columns.

* positions: Parquet with `account`, `borrowed_symbol`, `borrow_balance_tokens`, `btc_collateral_tokens`,
  `collateral_symbol` and `version`; prices from any Parquet with `date`, `symbol`, `price_usd`, the last before;
* liquidations: Parquet with `collateralReserve`, `principalReserve`, `user`, `ts` and amounts: what was seized and
  repaid is taken for half of what each user held and owed;
* account histories: Parquet with columns `X_collateral (in USD)` and `Y_debt (in USD)`, each user's last row;
* pools: JSON with `tokens` (`symbol`, `decimals`) and `balances`.

What is not shown is not guessed: accounts whose shown collateral does not cover their debts hold more than is shown and
are left out, said how many. Depth is shown nowhere here: it is assumed, and every graph is judged at several depths.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from margrave.errors import Rejected
from margrave.score.contagion.graph import Drawing, Evidence, Exposures, Flags, NodeKind

POSITIONS: Final = frozenset(
    {"account", "borrowed_symbol", "borrow_balance_tokens", "btc_collateral_tokens", "collateral_symbol", "version"}
)
LIQUIDATIONS: Final = frozenset({"collateralReserve", "principalReserve", "user", "ts"})
PRICES: Final = frozenset({"date", "symbol", "price_usd"})
HELD: Final = "_collateral (in USD)"
OWED: Final = "_debt (in USD)"
DOLLARS: Final = frozenset({"DAI", "FRAX", "GHO", "FEI", "UST", "PAX"})
"""Beside whatever has USD in its name: tokens that were issued as a dollar."""
DECIMALS: Final[Mapping[str, int]] = {"USDC": 6, "USDT": 6, "WBTC": 8, "GUSD": 2}
"""The others have 18."""
WRAPS: Final[Mapping[str, str]] = {"wbtc": "BTC", "cbbtc": "BTC", "tbtc": "BTC", "weth": "ETH", "steth": "ETH",
                                   "wsteth": "ETH", "reth": "ETH", "cbeth": "ETH", "weeth": "ETH"}  # fmt: skip
CLOSE_FACTOR: Final = 0.5
LEAST_USD: Final = 1.0
MOST_USD: Final = 1e10
"""Of one account: more is a fault of decimals."""
BONUS: Final = 1.05
DEPTHS: Final = (0.3, 1.0, 3.0)
"""E-fold depth of each asset over all of it that the folder shows as collateral."""


@dataclass(frozen=True, slots=True)
class Found:
    """A graph, where it is from, and what was left out of it."""

    label: str
    graph: Exposures
    left_out: tuple[str, ...] = ()


def read(folder: Path) -> tuple[list[Found], list[str]]:
    """All graphs of a folder, and in plain words what could not be read."""
    found: list[Found] = []
    silent: list[str] = []
    prices = _prices(folder)
    accounts = Drawing(), [0]
    for file in sorted(folder.rglob("*.parquet")):
        try:
            columns = set(pq.read_schema(file).names)
            if columns >= POSITIONS:
                found.append(_positions(file, prices))
            elif columns >= LIQUIDATIONS:
                found.append(_liquidations(file))
            elif any(c.endswith(HELD) for c in columns) and any(c.endswith(OWED) for c in columns):
                _account(file, *accounts)
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError, Rejected) as error:
            silent.append(f"{file.name}: {str(error)[:100]}")
    if accounts[1][0]:
        found.append(Found(f"{accounts[1][0]} account histories", accounts[0].done()))
    pools = _pools(folder, prices, silent)
    if pools is not None:
        found.append(pools)
    return [one for one in found if len(one.graph.src)], silent


def deepened(graph: Exposures, depth: float) -> Exposures:
    """The same graph where selling `depth` times all of an asset that is shown as collateral costs a factor e."""
    held = np.bincount(graph.src, weights=graph.amounts, minlength=len(graph))
    return replace(graph, depth=np.where(graph.priced & (held > 0), np.maximum(depth * held, 1.0), np.inf))


def roots(graph: Exposures) -> Flags:
    """(N,) assets that hang on no other and are no stablecoins: what «all fall» means, and nothing falls twice."""
    hangs = np.zeros(len(graph), dtype=np.bool_)
    hangs[graph.dst[graph.priced[graph.src]]] = True
    coins = np.array([kind is NodeKind.ASSET for kind in graph.kinds], dtype=np.bool_)
    return np.asarray(coins & ~hangs)


# --- lending ----------------------------------------------------------------------------------------------------------


def _positions(file: Path, prices: Mapping[str, float]) -> Found:
    rows = pq.read_table(file, columns=sorted(POSITIONS)).to_pylist()
    held: dict[tuple[str, str], float] = {}
    owed: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    unpriced: set[str] = set()
    for row in rows:
        account, symbol = f"{row['account']} {row['version']}", str(row["collateral_symbol"])
        coins, balance = row["btc_collateral_tokens"], row["borrow_balance_tokens"]
        price, worth = _price(symbol, prices), _price(str(row["borrowed_symbol"]), prices)
        if price is None or worth is None:
            unpriced.add(symbol if price is None else str(row["borrowed_symbol"]))
            continue
        if _amount(coins):
            held[account, symbol] = max(held.get((account, symbol), 0.0), coins * price)
        if _amount(balance):
            owed[account, str(row["version"])][str(row["borrowed_symbol"])] = balance * worth
    draw, beyond = Drawing(), 0
    collateral: dict[str, float] = defaultdict(float)
    for (account, _), usd in held.items():
        collateral[account] += usd
    kept = {
        key: debts
        for key, debts in owed.items()
        if LEAST_USD < sum(debts.values()) < collateral.get(key[0], 0.0) < MOST_USD
    }
    beyond = len(owed) - len(kept)
    for (account, version), debts in kept.items():
        _borrower(draw, account, version, {s: usd for (a, s), usd in held.items() if a == account}, debts)
    said = [f"{beyond} accounts whose shown collateral does not cover their debts"] if beyond else []
    if unpriced:
        said.append(f"debts without a price: {', '.join(sorted(unpriced)[:12])}")
    return Found(f"open positions, {file.parent.name}", draw.done(), tuple(said))


def _liquidations(file: Path) -> Found:
    wanted = {"collateralAmount", "principalAmount", "amountUSDCollateral", "amountUSDPincipal", "amountUSDPrincipal"}
    columns = sorted(LIQUIDATIONS | (wanted & set(pq.read_schema(file).names)))
    draw, unpriced = Drawing(), 0
    held: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    owed: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in pq.read_table(file, columns=columns).to_pylist():
        seized, repaid = str(row["collateralReserve"]), str(row["principalReserve"])
        usd = _usd(row.get("amountUSDCollateral"), seized)
        if usd is None:
            back = _usd(row.get("amountUSDPincipal") or row.get("amountUSDPrincipal"), repaid)
            usd = None if back is None else back * BONUS
        if usd is None:
            unpriced += 1
            continue
        held[str(row["user"])][seized] += usd / CLOSE_FACTOR
        owed[str(row["user"])][repaid] += usd / BONUS / CLOSE_FACTOR
    for user, assets in held.items():
        _borrower(draw, user, "lender", assets, owed[user])
    said = (f"{unpriced} liquidations without a sound amount in USD",) if unpriced else ()
    return Found(f"liquidated accounts, {file.parent.name}", draw.done(), said)


def _account(file: Path, draw: Drawing, count: list[int]) -> None:
    table = pq.read_table(file)
    if not table.num_rows:
        return
    last = table.slice(_fullest(table), 1).to_pylist()[0]
    held = {n.removesuffix(HELD): v for n, v in last.items() if n.endswith(HELD) and _amount(v) and "total" not in n}
    owed = {n.removesuffix(OWED): v for n, v in last.items() if n.endswith(OWED) and _amount(v) and "total" not in n}
    if held and owed:
        _borrower(draw, file.stem[:12], "lender", held, owed)
        count[0] += 1


def _fullest(table: pa.Table) -> int:
    """The row with the most debt: most histories end with none."""
    owed = [table[name].to_numpy(zero_copy_only=False) for name in table.column_names if name.endswith(OWED)]
    return int(np.argmax(np.nan_to_num(np.sum(owed, axis=0))))


def _borrower(draw: Drawing, account: str, version: str, held: Mapping[str, float], owed: Mapping[str, float]) -> None:
    protocol = f"protocol {version}"
    if protocol not in draw:
        draw.node(protocol, NodeKind.PROTOCOL)
    draw.node(account, NodeKind.ACCOUNTS, forced=True)
    for symbol, usd in held.items():
        _asset(draw, symbol, usd)
        draw.edge(symbol, account, usd, Evidence.COLLATERAL)
    for symbol, usd in owed.items():
        lenders = f"lenders of {symbol}"
        if lenders not in draw:
            draw.node(lenders, NodeKind.ACCOUNTS)
        draw.edge(account, protocol, usd, Evidence.BORROWED)
        draw.edge(protocol, lenders, usd, Evidence.BORROWED)


def _asset(draw: Drawing, symbol: str, usd: float) -> None:
    """Adds what is seen of it; a wrapped one hangs on what it wraps."""
    draw.node(symbol, NodeKind.STABLECOIN if _dollar(symbol) else NodeKind.ASSET, outside=usd)
    under = WRAPS.get(symbol.lower())
    if under is not None:
        draw.node(under, NodeKind.ASSET, outside=usd)
        draw.edge(under, symbol, usd, Evidence.WRAPPED)


# --- pools ------------------------------------------------------------------------------------------------------------


def _pools(folder: Path, prices: Mapping[str, float], silent: list[str]) -> Found | None:
    draw, count, unpriced = Drawing(), 0, 0
    for file in sorted(folder.rglob("*.json")):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            silent.append(f"{file.name}: {str(error)[:80]}")
            continue
        reserves = dict(_reserves(told)) if isinstance(told, dict) else {}
        if len(reserves) < 2:
            continue
        priced = {symbol: coins * price for symbol, coins in reserves.items() if (price := _price(symbol, prices))}
        worth = {symbol: usd for symbol, usd in priced.items() if usd < MOST_USD}
        if len(worth) < 2:
            unpriced += 1
            continue
        pool = f"pool {told.get('name', file.stem)}"
        if pool in draw:
            continue
        draw.node(pool, NodeKind.VENUE)
        for symbol, usd in worth.items():
            _asset(draw, symbol, usd)
            draw.edge(symbol, pool, usd, Evidence.POOLED)
        holders = f"providers of {pool}"
        draw.node(holders, NodeKind.ACCOUNTS)
        draw.edge(pool, holders, sum(worth.values()), Evidence.POOLED)
        count += 1
    if not count:
        return None
    return Found(f"{count} pools", draw.done(), (f"{unpriced} pools of tokens without a price",) if unpriced else ())


def _reserves(told: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    tokens, balances = told.get("tokens"), told.get("balances")
    if not isinstance(tokens, list) or not isinstance(balances, list) or len(tokens) != len(balances):
        return
    for token, balance in zip(tokens, balances, strict=True):
        if isinstance(token, dict) and {"symbol", "decimals"} <= token.keys() and _amount(balance):
            yield str(token["symbol"]), float(balance) / 10.0 ** int(token["decimals"])


# --- prices -----------------------------------------------------------------------------------------------------------


def _prices(folder: Path) -> dict[str, float]:
    """The last price of each symbol."""
    last: dict[str, tuple[Any, float]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        try:
            if not set(pq.read_schema(file).names) >= PRICES:
                continue
            rows: Sequence[dict[str, Any]] = pq.read_table(file, columns=sorted(PRICES)).to_pylist()
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        for row in rows:
            symbol, price = str(row["symbol"]), row["price_usd"]
            if _amount(price) and row["date"] is not None and (symbol not in last or last[symbol][0] <= row["date"]):
                last[symbol] = row["date"], float(price)
    return {symbol.lower(): price for symbol, (_, price) in last.items()}


def _price(symbol: str, prices: Mapping[str, float]) -> float | None:
    return prices.get(symbol.lower(), 1.0 if _dollar(symbol) else None)


def _dollar(symbol: str) -> bool:
    return "USD" in symbol.upper() or symbol.upper() in DOLLARS


def _usd(raw: object, symbol: str) -> float | None:
    """Dollars of an amount that was multiplied by a price and not divided by the token's decimals."""
    if not _amount(raw):
        return None
    usd = float(raw) / 10.0 ** DECIMALS.get(symbol, 18)  # type: ignore[arg-type]
    return usd if LEAST_USD < usd < MOST_USD else None


def _amount(value: object) -> bool:
    """A positive number; integers of a chain may be larger than any machine's."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
