"""Static arbitrage among options of one underlying: what is wrong with a set of prices, and the nearest sound set.

Prices are of calls over their own forward, c(kappa) at kappa = K / F, undiscounted. There is no static arbitrage if in
every expiry c is convex and falls from c(0) = 1 with slopes between -1 and 0 (butterfly, vertical), and if no earlier
price lies above what a later expiry's neighbours allow at the same kappa (calendar). All of it is linear in c, so the
nearest sound prices, each change weighed by one over vega, are a linear program: Cohen, Reisinger and Wang, "Detecting
and repairing arbitrage in traded option prices", Applied Mathematical Finance 27 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack

from margrave.score import black76

Floats = NDArray[np.float64]

TOLERANCE: Final = 1e-8
"""Of the forward: what a constraint may be short by before it counts; a tenth of a cent on a hundred thousand."""
MARGIN: Final = 2e-9
"""Of the forward: what a repair keeps clear of every constraint, so that implied volatilities come back sound."""
LEAST_VEGA: Final = 1e-5
"""Below it a price says nothing about volatility, and moving it costs nothing more."""
SAME_EXPIRY_YEARS: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Rules:
    """`matrix @ calls >= bound`, a row a constraint; `calendar` marks those between expiries."""

    matrix: csr_array
    bound: Floats
    calendar: NDArray[np.bool_]

    def broken(self, calls: Floats) -> NDArray[np.bool_]:
        short: NDArray[np.bool_] = self.matrix @ calls < self.bound - TOLERANCE
        return short


@dataclass(frozen=True, slots=True)
class Violations:
    butterfly: int
    """Vertical spreads included."""
    calendar: int

    @property
    def any(self) -> bool:
        return self.butterfly + self.calendar > 0


@dataclass(slots=True)
class _Rows:
    columns: list[tuple[list[int], list[float]]]
    bound: list[float]
    calendar: list[bool]

    def add(self, terms: dict[int, float], bound: float, *, calendar: bool = False) -> None:
        self.columns.append((list(terms), list(terms.values())))
        self.bound.append(bound)
        self.calendar.append(calendar)


def calls(log_moneyness: Floats, years: Floats, vol: Floats) -> Floats:
    """Prices of calls over the forward."""
    return black76.price(log_moneyness, vol * np.sqrt(years), np.ones(len(vol), dtype=np.bool_))


def rules(log_moneyness: Floats, years: Floats) -> Rules:
    """All constraints among options at these points; of points that coincide the first two are one."""
    kappa = np.exp(log_moneyness)
    expiries = np.unique(np.round(years / SAME_EXPIRY_YEARS) * SAME_EXPIRY_YEARS)
    slices = []
    for expiry in expiries:
        place = np.flatnonzero(np.abs(years - expiry) <= SAME_EXPIRY_YEARS)
        slices.append(place[np.argsort(kappa[place], kind="stable")])
    rows = _Rows([], [], [])
    for place in slices:
        _within(rows, place, kappa)
    for earlier, first in enumerate(slices):
        for second in slices[earlier + 1 :]:
            _between(rows, first, second, kappa)
    counts = [len(at) for at, _ in rows.columns]
    matrix = csr_array(
        (
            np.array([w for _, weights in rows.columns for w in weights], dtype=np.float64),
            (np.repeat(np.arange(len(counts)), counts), np.array([i for at, _ in rows.columns for i in at], dtype=int)),
        ),
        shape=(len(counts), len(kappa)),
    )
    return Rules(matrix, np.array(rows.bound), np.array(rows.calendar, dtype=np.bool_))


def violations(log_moneyness: Floats, years: Floats, vol: Floats, among: Rules | None = None) -> Violations:
    """How many constraints the prices of these volatilities break."""
    among = rules(log_moneyness, years) if among is None else among
    broken = among.broken(calls(log_moneyness, years, vol))
    return Violations(int((broken & ~among.calendar).sum()), int((broken & among.calendar).sum()))


def repaired(log_moneyness: Floats, years: Floats, vol: Floats, among: Rules | None = None) -> Floats:
    """The nearest volatilities without static arbitrage among these points; unchanged where there was none.

    The sum of changes over vega, which is the sum of changes in volatility to first order, is as small as can be. A
    point where the program has no answer, or where a price no longer implies a volatility, keeps its own.
    """
    among = rules(log_moneyness, years) if among is None else among
    before = calls(log_moneyness, years, vol)
    if not among.broken(before).any():
        return vol
    vega = np.maximum(black76.vega(log_moneyness, vol * np.sqrt(years)) * np.sqrt(years), LEAST_VEGA)
    lacking = among.bound + MARGIN - among.matrix @ before
    # the unknowns are changes in volatility points' worth of price: all of one size, which the solver's tolerances want
    scaled = csr_array(among.matrix.multiply(vega[None, :]))
    # the solver takes sparse matrices; its annotations do not say so
    above: Any = hstack([-scaled, scaled], format="csr")
    found = linprog(
        np.ones(2 * len(vega)),
        A_ub=above,
        b_ub=-lacking,
        bounds=(0, None),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10},
    )
    if not found.success or found.x is None:
        return vol
    after = before + vega * (found.x[: len(vega)] - found.x[len(vega) :])
    is_call = log_moneyness >= 0
    price = np.where(is_call, after, after - 1 + np.exp(log_moneyness))  # by parity: small prices are the exact ones
    implied = black76.implied_vol(price, log_moneyness, years, is_call)
    moved = np.abs(after - before) > 0
    return np.where(moved & np.isfinite(implied), implied, vol)


def _within(rows: _Rows, place: NDArray[np.intp], kappa: Floats) -> None:
    """Slopes from (0, 1) on: at least -1, ascending, at most 0; the last price at least 0."""
    before: tuple[dict[int, float], float] = ({}, -1.0)
    left, at = None, 0.0
    for point in (int(p) for p in place):
        width = float(kappa[point]) - at
        if width <= 1e-9:  # the same strike twice: the same price twice
            rows.add({point: 1.0, int(left or 0): -1.0}, -TOLERANCE)
            rows.add({point: -1.0, int(left or 0): 1.0}, -TOLERANCE)
            continue
        slope = {point: 1 / width}
        constant = 0.0
        if left is None:
            constant = -1 / width
        else:
            slope[left] = -1 / width
        terms = dict(slope)
        for index, weight in before[0].items():
            terms[index] = terms.get(index, 0.0) - weight
        # in units of price, by the narrower of the two widths, so that a tolerance means the same everywhere
        rows.add({i: w * width for i, w in terms.items()}, (before[1] - constant) * width)
        before, left, at = (slope, constant), point, float(kappa[point])
    if left is not None:
        rows.add({left: 1.0}, 0.0)
        width = 1 / max(before[0].values())
        rows.add({i: -w * width for i, w in before[0].items()}, before[1] * width)


def _between(rows: _Rows, first: NDArray[np.intp], second: NDArray[np.intp], kappa: Floats) -> None:
    """No earlier price above the chord of the later one's neighbours, nor, beyond its last strike, above its price."""
    nodes = kappa[second]
    for point in (int(p) for p in first):
        k = float(kappa[point])
        right = int(np.searchsorted(nodes, k))
        if right == len(nodes):
            rows.add({int(second[-1]): 1.0, point: -1.0}, 0.0, calendar=True)
            continue
        low = 0.0 if right == 0 else float(nodes[right - 1])
        share = (k - low) / (float(nodes[right]) - low)
        terms = {int(second[right]): share, point: -1.0}
        bound = 0.0
        if right == 0:
            bound = -(1 - share)
        else:
            terms[int(second[right - 1])] = 1 - share
        rows.add(terms, bound, calendar=True)
