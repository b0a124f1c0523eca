"""A file of positions as columns: two layouts, recognised by their columns, and a line for every bad one.

* long: `account`, `asset`, `kind` (collateral or debt), `amount` in coins; `price_usd`, `threshold`, `bonus` may stand
  beside. Amounts of the same account, asset and kind add up.
* the snapshot of open positions: `account`, `borrowed_symbol`, `borrow_balance_tokens` and `<coin>_collateral_tokens`,
  with `version` and `collateral_key` where there are several. A row is one debt; the account's collateral stands in
  each of its rows, its debts again for every collateral key: they are counted once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.lab.fire_sale.assets import DOLLARS, Prices, Terms, frame, named
from margrave.score.cascade import CloseFactor, Positions
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]

LONG: Final = ("account", "asset", "kind", "amount")
COLLATERAL_OF: Final = re.compile(r"([a-z0-9]+)_collateral_tokens")
BESIDE: Final = ("price_usd", "threshold", "bonus")
KINDS: Final = ("collateral", "debt")


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Positions with their names, and in plain words what was assumed and left out."""

    positions: Positions
    accounts: tuple[str, ...]
    said: tuple[str, ...]

    @property
    def collateral_usd(self) -> Floats:
        """(A,)"""
        worth: Floats = self.positions.collateral.sum(axis=0) * self.positions.prices_usd
        return worth

    @property
    def debt_usd(self) -> Floats:
        """(A,)"""
        worth: Floats = self.positions.debt.sum(axis=0) * self.positions.prices_usd
        return worth


def read(file: Path, prices: Prices, terms: Terms, close: CloseFactor, *, as_shown: bool = False) -> Book:
    """The positions of a file.

    Args:
        as_shown: keep the accounts of a snapshot whose shown collateral does not bear their debt.

    Raises:
        Rejected: neither layout; a bad column, each with its first bad row; or nothing is left that could fall.
    """
    table = frame(file)
    coins = [match[1] for name in table.columns if (match := COLLATERAL_OF.fullmatch(name))]
    said: list[str] = []
    if {"borrowed_symbol", "borrow_balance_tokens", "account"} <= set(table.columns) and len(coins) == 1:
        long, partial = _snapshot(table, coins[0], said, file), True
    elif "kind" in table.columns or "amount" in table.columns:
        long, partial = _long(table, file), False
    else:
        raise Rejected(
            Rejection.UNKNOWN_SHAPE,
            f"{file.name} has columns {', '.join(table.columns[:8])}",
            advice=f"give {', '.join(LONG)}, or a snapshot with borrowed_symbol and <coin>_collateral_tokens",
        )
    own = _own(long, file)
    prices = Prices({**prices.usd, **own}, prices.source)
    long = _valued(long, prices, said)
    book = _columns(long, prices, terms, close, said)
    return _shown(book, keep=as_shown) if partial else book


def _snapshot(table: pd.DataFrame, coin: str, said: list[str], file: Path) -> pd.DataFrame:
    column = f"{coin}_collateral_tokens"
    lines = _bad_names(table, "account") + _bad_names(table, "borrowed_symbol")
    _refuse(file, lines + _bad_numbers(table, "borrow_balance_tokens") + _bad_numbers(table, column))
    table = table.assign(**{name: pd.to_numeric(table[name]) for name in ("borrow_balance_tokens", column)})
    keys = ["account", *(name for name in ("version",) if name in table.columns)]
    account = table[keys].astype(str).agg("/".join, axis=1)
    by_key = table["collateral_key"].astype(str) if "collateral_key" in table.columns else pd.Series("", table.index)
    debts = pd.DataFrame(
        {"account": account, "key": by_key, "asset": table["borrowed_symbol"], "amount": table["borrow_balance_tokens"]}
    )
    # an account's stable and variable debts of one coin add up; under another collateral key they stand again
    debts = debts.groupby(["account", "key", "asset"], sort=False).sum().reset_index()
    debts = debts.drop(columns="key").groupby(["account", "asset"], sort=False).max().reset_index()
    held = pd.DataFrame({"account": account, "amount": table[column]}).groupby("account", as_index=False).max()
    without = set(held.loc[held["amount"] <= 0, "account"])
    if without:
        said.append(
            f"{len(without):,} of {len(held):,} accounts show no {coin.upper()} collateral: what they borrow against is"
            " not in the file, and they are left out"
        )
    said.append(f"only {coin.upper()} collateral is in the file: other collateral of these accounts is taken as none")
    held, debts = held[held["amount"] > 0], debts[~debts["account"].isin(without)]
    rows = [held.assign(asset=coin, kind="collateral"), debts.assign(kind="debt")]
    return pd.concat(rows, ignore_index=True)[list(LONG)]


def _long(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    lines = [f"column {name} is missing" for name in LONG if name not in table.columns]
    for name in ("account", "asset"):
        lines += _bad_names(table, name)
    if "kind" in table.columns:
        kinds = table["kind"].astype(str).str.strip().str.lower()
        lines += _bad(~kinds.isin(KINDS), table["kind"], "kind", "neither collateral nor debt")
        table = table.assign(kind=kinds)
    for name in ("amount", "threshold", "bonus"):
        lines += _bad_numbers(table, name)
    lines += _bad_numbers(table, "price_usd", positive=True)
    _refuse(file, lines)
    numbers = {name: pd.to_numeric(table[name]) for name in ("amount", *BESIDE) if name in table.columns}
    return table.assign(**numbers)


def _own(table: pd.DataFrame, file: Path) -> dict[str, float]:
    """Prices that stand beside the amounts."""
    if "price_usd" not in table.columns:
        return {}
    by_asset = table.assign(asset=table["asset"].map(named)).groupby("asset")["price_usd"]
    several = by_asset.nunique()
    _refuse(file, [f"column price_usd: {asset} has {n} prices" for asset, n in several[several > 1].items()])
    return {str(asset): float(price) for asset, price in by_asset.first().items()}


def _valued(long: pd.DataFrame, prices: Prices, said: list[str]) -> pd.DataFrame:
    """Without what nobody can value."""
    long = long.assign(asset=long["asset"].map(named))
    unknown = sorted(asset for asset in set(long["asset"]) if prices.of(asset) is None)
    if unknown:
        gone = long[long["asset"].isin(unknown)]
        said.append(
            f"no price of {', '.join(unknown)}: {len(gone):,} balances of {gone['account'].nunique():,} accounts are"
            " left out (give --price COIN=USD)"
        )
        long = long[~long["asset"].isin(unknown)]
    ones = sorted(a for a in set(long["asset"]) if a in DOLLARS and a not in prices.usd)
    if ones:
        said.append(f"at one dollar: {', '.join(ones)}")
    if prices.source:
        said.append(f"prices from {prices.source}")
    return long


def _columns(long: pd.DataFrame, prices: Prices, terms: Terms, close: CloseFactor, said: list[str]) -> Book:
    owing = set(long.loc[long["kind"] == "debt", "account"])
    long = long[long["account"].isin(owing)]
    names, assets = sorted(owing), sorted(set(long["asset"]))
    if not names:
        raise Rejected(Rejection.EMPTY, "nobody in the file owes anything", advice="look at the file")
    row, column = (pd.Categorical(long[name], values).codes for name, values in (("account", names), ("asset", assets)))
    held = {kind: np.zeros((len(names), len(assets))) for kind in KINDS}
    for kind, balances in held.items():
        mine = (long["kind"] == kind).to_numpy()
        np.add.at(balances, (row[mine], column[mine]), long["amount"].to_numpy(dtype=np.float64)[mine])
    threshold, bonus = _terms(long, assets, terms)
    beside = {"threshold", "bonus"} <= set(long.columns)
    pledged = [assets[a] for a in np.flatnonzero(held["collateral"].sum(axis=0))]
    assumed = [asset for asset in pledged if not terms.knows(asset)]
    if assumed and not beside:
        said.append(
            f"threshold {terms.threshold:g} and bonus {terms.bonus:g} assumed of {', '.join(assumed)} (give"
            " --parameters, or --threshold and --bonus)"
        )
    usd = np.array([prices.of(asset) or np.nan for asset in assets])
    positions = Positions(held["collateral"], held["debt"], usd, threshold, bonus, close, tuple(assets))
    return Book(positions, tuple(names), tuple(said))


def _terms(long: pd.DataFrame, assets: Sequence[str], terms: Terms) -> tuple[Floats, Floats]:
    found = np.array([terms.of(asset) for asset in assets], dtype=np.float64).T
    for row, name in enumerate(("threshold", "bonus")):
        if name in long.columns:
            own = long[long["kind"] == "collateral"].groupby("asset")[name].first()
            for column, asset in enumerate(assets):
                if asset in own.index and np.isfinite(own[asset]):
                    found[row, column] = own[asset]
    return found[0], found[1]


def _shown(book: Book, *, keep: bool) -> Book:
    """Accounts below one before any shock have collateral that the file does not show: they would be gone."""
    below = np.less(book.positions.health(), 1)
    if not below.any():
        return book
    owed = float((book.positions.debt @ book.positions.prices_usd)[below].sum())
    sentence = f"{int(below.sum()):,} accounts owe {owed:,.0f} USD, more than what is shown bears before any shock"
    if keep:
        return Book(book.positions, book.accounts, (*book.said, f"{sentence}; they are kept as shown"))
    kept = ~below
    p = book.positions
    positions = Positions(p.collateral[kept], p.debt[kept], p.prices_usd, p.threshold, p.bonus, p.close, p.assets)
    names = tuple(book.accounts[row] for row in np.flatnonzero(kept))
    return Book(positions, names, (*book.said, f"{sentence}; they must have other collateral and are left out"))


# --- lines ----------------------------------------------------------------------------------------------------------


def _bad_names(table: pd.DataFrame, name: str) -> list[str]:
    if name not in table.columns:
        return []
    return _bad(table[name].isna() | (table[name].astype(str).str.strip() == ""), table[name], name, "empty")


def _bad_numbers(table: pd.DataFrame, name: str, *, positive: bool = False) -> list[str]:
    if name not in table.columns:
        return []
    numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    lines = _bad(~np.isfinite(numbers), table[name], name, "not a number")
    if lines:
        return lines
    wrong = numbers <= 0 if positive else numbers < 0
    return _bad(wrong, table[name], name, "not positive" if positive else "negative")


def _bad(wrong: object, values: pd.Series, name: str, what: str) -> list[str]:
    rows = np.flatnonzero(np.asarray(wrong))
    if not len(rows):
        return []
    more = f", and {len(rows) - 1:,} more" if len(rows) > 1 else ""
    value = values.iloc[int(rows[0])]
    shown = repr(value) if isinstance(value, str) else str(value)
    return [f"column {name}, row {rows[0] + 1}: {shown} is {what}{more}"]


def _refuse(file: Path, lines: Sequence[str]) -> None:
    if lines:
        text = "\n".join(f"{file.name}: {line}" for line in lines)
        raise Rejected(Rejection.MALFORMED, text, advice="mend the file")
