"""Chains as cells that can be hidden: six tenors by seven standard moves, over the options that somebody quotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.lab.court.chains import Chain
from margrave.messages import Surface
from margrave.score import completion, surface
from margrave.score.completion import Seen
from margrave.score.surface import Sample
from margrave.spans import DAY_MS, HOUR_MS, YEAR_DAYS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TENORS_DAYS: Final = (2.0, 5.0, 10.0, 21.0, 45.0, 100.0, 200.1)
MOVES: Final = (-2.0, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 2.0)
"""Edges of the cells in standard moves k / (sigma_atm sqrt T): the middle column is at the money, the outer two are
options of about 15 to 2.5 % delta."""
COLUMNS: Final = len(MOVES) - 1
LEAST_CELLS: Final = 8
LEAST_APART_MS: Final = 3 * HOUR_MS
LONE_MS: Final = 7 * DAY_MS
MOST_AGE_DAYS: Final = 3.0
"""An older chain is no last surface."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One chain, what calibration uses of it, and the surface fitted to all of it."""

    asset: str
    source: str
    as_of_ms: int
    sample: Sample
    surface: Surface
    cell: Ints
    """Of each quote; -1 outside the grid."""
    underlying: float
    """The index where the chain has it, or else the nearest forward; USD."""

    @property
    def half_spread(self) -> Floats:
        return np.asarray(self.sample.error - surface.IV_NOISE)

    @property
    def cells(self) -> Ints:
        """Those with a quote on both sides, ascending: a mark is not scored."""
        return np.unique(self.cell[(self.cell >= 0) & self.sample.two_sided])


@dataclass(frozen=True, slots=True)
class Hole:
    """A chain with some of its quotes hidden, and the chain before it."""

    shot: Shot
    before: Shot | None
    hidden: Bools

    @property
    def scored(self) -> Bools:
        """Hidden, inside the grid, and quoted on both sides."""
        return np.asarray(self.hidden & (self.shot.cell >= 0) & self.shot.sample.two_sided)

    @property
    def visible(self) -> Sample:
        return part(self.shot.sample, ~self.hidden)

    @property
    def age_days(self) -> float:
        return float("inf") if self.before is None else (self.shot.as_of_ms - self.before.as_of_ms) / DAY_MS

    def seen(self) -> Seen:
        """This chain's visible quotes and, where there is one, all of the last chain."""
        now = completion.seen(self.visible)
        if self.before is None:
            return now
        return completion.together(now, completion.seen(self.before.sample, self.age_days))


def shots(chains: Sequence[Chain]) -> tuple[list[Shot], list[str]]:
    """Every chain that calibrates, ascending in time, and why the others do not."""
    found, refused = [], []
    for chain in chains:
        try:
            sample = surface.usable(chain.quotes, chain.as_of_ms)
            fitted = surface.calibrate(chain.quotes, chain.as_of_ms, index=chain.index_usd)
        except Rejected as error:
            refused.append(f"{chain.asset} {chain.day}: {error}")
            continue
        cell, nearest = cells_of(sample, fitted), min(chain.quotes, key=lambda quote: quote.expiry_ms)
        underlying = nearest.forward if chain.index_usd is None else chain.index_usd
        found.append(Shot(chain.asset, chain.source, chain.as_of_ms, sample, fitted, cell, underlying))
    return found, refused


def cells_of(sample: Sample, fitted: Surface) -> Ints:
    """Of each quote, tenor * COLUMNS + move; -1 outside the grid."""
    flat = surface.vols(fitted, np.zeros_like(sample.vol), sample.years)
    tenor = np.digitize(sample.years * YEAR_DAYS, TENORS_DAYS) - 1
    move = np.digitize(sample.log_moneyness / (flat * np.sqrt(sample.years)), MOVES) - 1
    inside = (tenor >= 0) & (tenor < len(TENORS_DAYS) - 1) & (move >= 0) & (move < COLUMNS)
    return np.where(inside, tenor * COLUMNS + move, -1).astype(np.int64)


def part(sample: Sample, wanted: Bools) -> Sample:
    """Some of the quotes, with each expiry's say recounted."""
    years = sample.years[wanted]
    _, which, count = np.unique(years, return_inverse=True, return_counts=True)
    return Sample(
        sample.log_moneyness[wanted],
        years,
        sample.vol[wanted],
        sample.error[wanted],
        count[which].astype(np.float64) ** -0.25,
        sample.tenors[wanted],
        sample.two_sided[wanted],
    )


def hole(shot: Shot, before: Shot | None, share: float | None, random: np.random.Generator) -> Hole | None:
    """Hide a share of the cells at random, or without a share all cells of one tenor; `None` where too few are there
    or too few quotes would be left to fit anything to."""
    cells = shot.cells
    if len(cells) < LEAST_CELLS:
        return None
    if share is None:
        gone = cells[cells // COLUMNS == random.choice(np.unique(cells // COLUMNS))]
    else:
        gone = random.choice(cells, size=round(share * len(cells)), replace=False)
    if before is not None and not 0 < shot.as_of_ms - before.as_of_ms <= MOST_AGE_DAYS * DAY_MS:
        before = None
    hidden = np.isin(shot.cell, gone)
    left = ~hidden
    if left.sum() < surface.MIN_QUOTES or len(np.unique(shot.sample.years[left])) < 2:
        return None
    return Hole(shot, before, hidden)


def pairs(shots: Sequence[Shot]) -> Iterator[tuple[Shot, Shot | None]]:
    """Each shot with the one before it."""
    for place, shot in enumerate(shots):
        yield shot, shots[place - 1] if place else None


def regular(chains: Sequence[Chain]) -> tuple[Chain, ...]:
    """Of a series with days of hourly chains among rarer ones, chains at least three hours apart, so that no day counts
    more than another; and no lone chain further than a week from its neighbours."""
    kept: list[Chain] = []
    for chain in chains:
        if not kept or chain.as_of_ms - kept[-1].as_of_ms >= LEAST_APART_MS:
            kept.append(chain)
    times = np.array([chain.as_of_ms for chain in kept])
    if len(kept) < 2:
        return tuple(kept)
    gaps = np.diff(times)
    near = np.minimum(np.append(gaps, np.inf), np.insert(gaps.astype(float), 0, np.inf)) <= LONE_MS
    return tuple(chain for chain, beside in zip(kept, near, strict=True) if beside)
