"""How many positions a second the fire-sale simulator takes through a whole waterfall, and two rivals beside it.

One shock on made-up books of 1,000, 10,000 and 100,000 accounts over six assets (four coins that are pledged, two
dollars and one of the coins that are owed), with books so thin that it takes several rounds. Beside the columns of
numpy run a plain loop over accounts and a version in pandas; all three must agree, round by round, on how many are
called and to 1e-9 on what is repaid, sold, and lost. Seconds are this process's own on its core, the best of several
runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from margrave.errors import Fatal
from margrave.lab.bench.measured import figure, quickest
from margrave.score.cascade import CloseFactor, Depth, Law, Positions, clear, simulate
from margrave.score.cascade.fire_sale import RESIDUE, Waterfall

SIZES: Final = {1_000: 20, 10_000: 10, 100_000: 3}
"""Accounts to runs of ours."""
RIVAL_RUNS: Final = {1_000: 5, 10_000: 3, 100_000: 1}
TARGET_MS: Final = 10.0
TARGET_AT: Final = 10_000
AGREE: Final = 1e-9
ASSETS: Final = ("BTC", "ETH", "LINK", "AAVE", "USDC", "DAI")
PRICES: Final = (64_000.0, 1_900.0, 8.0, 115.0, 1.0, 1.0)
THRESHOLDS: Final = (0.78, 0.83, 0.71, 0.73, 0.0, 0.0)
BONUSES: Final = (0.05, 0.05, 0.07, 0.075, 0.0, 0.0)
SHOCK: Final = (-0.2, -0.25, -0.35, -0.35, 0.0, 0.0)
DEPTH_USD: Final = (400.0, 250.0, 40.0, 40.0, math.inf, math.inf)
"""An account, for one percent, in even books: the more accounts, the deeper, so that all sizes fall alike."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one version says."""

    called: tuple[int, ...]
    """Accounts, a round."""
    repaid_usd: float
    bad_debt_usd: float
    sold: tuple[float, ...]


def run(say: Callable[[str], None]) -> dict[str, Any]:
    rows = {}
    for count in SIZES:
        say(f"{count:,} positions")
        rows[count] = measure(*workload(count), SIZES[count], RIVAL_RUNS[count])
    targets = []
    for count, row in rows.items():
        most = TARGET_MS if count == TARGET_AT else None
        label = f"{count:,} positions"
        targets += [
            figure(f"{label}, {row['rounds']:.0f} rounds", row["ours_ms"], "ms", most),
            figure(f"{label}, clearing prices", row["clear_ms"], "ms"),
            figure(f"{label}, a second", row["positions_s"], "1/s"),
            figure(f"{label}, a second, pandas", row["pandas_positions_s"], "1/s"),
            figure(f"{label}, a second, plain loop", row["loop_positions_s"], "1/s"),
        ]
    return {"positions": {str(count): row for count, row in rows.items()}, "targets": targets}


def workload(count: int, seed: int = 7) -> tuple[Positions, Depth]:
    """Accounts with one to four pledged coins and health factors from one upwards."""
    rng = np.random.default_rng(seed)
    prices, thresholds = np.array(PRICES), np.array(THRESHOLDS)
    usd = rng.lognormal(9, 1.5, (count, 4)) * (rng.random((count, 4)) < (0.6, 0.6, 0.2, 0.2))
    usd[:, 0] += usd.sum(axis=1) == 0
    collateral = np.zeros((count, 6))
    collateral[:, :4] = usd / prices[:4]
    health = 1.0 + rng.exponential(0.5, count)
    owed_usd = (collateral * prices) @ thresholds / health
    debt = np.zeros((count, 6))
    owes = rng.choice([1, 4, 5], count, p=[0.1, 0.6, 0.3])
    debt[np.arange(count), owes] = owed_usd / prices[owes]
    depth = Depth(np.array(DEPTH_USD) * count, 0.01, Law.EVEN)
    return Positions(collateral, debt, prices, thresholds, np.array(BONUSES), CloseFactor(), ASSETS), depth


def measure(positions: Positions, depth: Depth, runs: int, rival_runs: int) -> dict[str, float]:
    """Seconds and positions a second of the three.

    Raises:
        Fatal: they disagree.
    """
    count = len(positions)
    said, ours_s = quickest(partial(columns, positions, depth, SHOCK), runs)
    _, clear_s = quickest(partial(clear, positions, depth, SHOCK), runs)
    row = {"rounds": float(len(said.called)), "ours_ms": ours_s * 1000, "clear_ms": clear_s * 1000}
    row |= {"positions_s": count / ours_s}
    for name, version in (("pandas", frames), ("loop", loop)):
        other, seconds = quickest(partial(version, positions, depth, SHOCK), rival_runs)
        agree(said, other, name)
        row |= {f"{name}_ms": seconds * 1000, f"{name}_positions_s": count / seconds}
    return row


def agree(ours: Ran, other: Ran, name: str) -> None:
    """
    Raises:
        Fatal: the two tell different stories.
    """
    figures = ((r.repaid_usd, r.bad_debt_usd, *r.sold) for r in (ours, other))
    close = all(math.isclose(a, b, rel_tol=AGREE, abs_tol=AGREE) for a, b in zip(*figures, strict=True))
    if ours.called != other.called or not close:
        raise Fatal(f"{name} says {other}, the simulator {ours}", advice="mend one of them: the rules are the same")


def columns(positions: Positions, depth: Depth, shock: tuple[float, ...]) -> Ran:
    """Ours."""
    found: Waterfall = simulate(positions, depth, shock)
    called = tuple(r.accounts for r in found.rounds)
    return Ran(called, found.repaid_usd, found.bad_debt_usd, tuple(found.sold.tolist()))


def frames(positions: Positions, depth: Depth, shock: tuple[float, ...]) -> Ran:
    """As one writes it with data frames: a row an account, a column an asset."""
    names = list(positions.assets)
    held, owed = (pd.DataFrame(a, columns=names) for a in (positions.collateral, positions.debt))
    before = pd.Series(positions.prices_usd, names)
    start = before * (1 + np.array(shock))
    threshold, bonus = (pd.Series(a, names) for a in (positions.threshold, positions.bonus))
    first = owed.sum(axis=1)
    close, prices, sold = positions.close, start, pd.Series(0.0, names)
    called, repaid_usd = [], 0.0
    while True:
        debts, worth = (owed * prices).sum(axis=1), (held * prices * threshold).sum(axis=1)
        below = (worth < debts) & (held > 0).any(axis=1)
        if not below.any():
            break
        debt, pledged = debts[below], held[below]
        left = owed[below].sum(axis=1) / first[below]
        whole = (worth[below] / debt < close.all_below_health) | (debt < close.all_below_usd) | (left < RESIDUE)
        wanted = debt * whole.map({True: 1.0, False: close.part})
        payable = (pledged * prices / (1 + bonus)).sum(axis=1)
        taken = (wanted / payable).clip(upper=1.0)
        repaid = wanted.clip(upper=payable)
        sold = sold + pledged.mul(taken, axis=0).sum()
        held.loc[below] = pledged.mul(1 - taken, axis=0)
        owed.loc[below] = owed[below].mul(1 - repaid / debt, axis=0)
        repaid_usd += float(repaid.sum())
        called.append(int(below.sum()))
        prices = start * pd.Series(depth.kept((sold * before).to_numpy(dtype=np.float64)), names)
    bad = (owed * prices).sum(axis=1)[~(held > 0).any(axis=1)].sum()
    return Ran(tuple(called), repaid_usd, float(bad), tuple(sold.tolist()))


def loop(positions: Positions, depth: Depth, shock: tuple[float, ...]) -> Ran:
    """As one writes it without a library: account by account, over the assets it has."""
    before = positions.prices_usd.tolist()
    start = [price * (1 + move) for price, move in zip(before, shock, strict=True)]
    thresholds, bonuses = positions.threshold.tolist(), positions.bonus.tolist()
    close = positions.close
    held = [{a: units for a, units in enumerate(row) if units} for row in positions.collateral.tolist()]
    owed = [{a: units for a, units in enumerate(row) if units} for row in positions.debt.tolist()]
    left = [1.0] * len(held)
    prices, sold = start, [0.0] * len(start)
    called, repaid_usd = [], 0.0
    while True:
        calls = 0
        for i, (pledged, owes) in enumerate(zip(held, owed, strict=True)):
            if not pledged:
                continue
            debt = sum(units * prices[a] for a, units in owes.items())
            worth = sum(units * prices[a] * thresholds[a] for a, units in pledged.items())
            if worth >= debt:
                continue
            calls += 1
            whole = worth / debt < close.all_below_health or debt < close.all_below_usd or left[i] < RESIDUE
            wanted = debt if whole else debt * close.part
            payable = sum(units * prices[a] / (1 + bonuses[a]) for a, units in pledged.items())
            taken = wanted / payable if payable > wanted else 1.0
            repaid = min(wanted, payable)
            for a, units in pledged.items():
                sold[a] += units * taken
            held[i] = {a: units * (1 - taken) for a, units in pledged.items()} if taken < 1 else {}
            owed[i] = {a: units * (1 - repaid / debt) for a, units in owes.items()}
            left[i] *= 1 - repaid / debt
            repaid_usd += repaid
        if not calls:
            break
        called.append(calls)
        kept = depth.kept(np.array([units * price for units, price in zip(sold, before, strict=True)])).tolist()
        prices = [price * share for price, share in zip(start, kept, strict=True)]
    bad = sum(
        units * prices[a] for pledged, owes in zip(held, owed, strict=True) if not pledged for a, units in owes.items()
    )
    return Ran(tuple(called), repaid_usd, bad, tuple(sold))
