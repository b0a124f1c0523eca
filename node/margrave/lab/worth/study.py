"""Every group of inputs against those that are there already: published groups taken away, the others added."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.comparison import holm
from margrave.lab.court.panel import Panel
from margrave.lab.worth.gathered import gather
from margrave.lab.worth.nested import LEAST_PAIRS, Pairs, compared
from margrave.score.features import beside, tails, volatility
from margrave.score.features.catalogue import LEADERS, LEVEL_H, TAIL_NAMES, TAILS, VERSION
from margrave.spans import YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Say = Callable[[str], None]

MOST_ASSETS: Final = 16
MOST_H: Final = 5 * YEAR_H
STRIDE_H: Final = 5
"""Every so many hours are fitted on; five divides neither a day nor a week."""
WHATS: Final[tuple[tuple[str, int, int | None], ...]] = (
    *((f"{horizon_h} h", horizon_h, None) for horizon_h in (1, 4, 24)),
    ("tail down", 4, -1),
    ("tail up", 4, 1),
)
"""Name, horizon in hours, and of a tail its side."""
LEAST_VARIANCE: Final = 1e-10
"""An hour's realised variance counts as no less: 0.1 bp of movement."""
TAIL_GROUPS: Final = {
    group: tuple(feature.name for feature in TAILS if feature.group.value == group)
    for group in dict.fromkeys(feature.group.value for feature in TAILS)
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What one group does to one loss. Negative: with the group is better."""

    group: str
    what: str
    """The horizon of a variance, or a tail of four hours."""
    published: bool
    assets: int
    first_ms: int
    last_ms: int
    times: int
    difference: float
    """Of QLIKE relative to the loss without it, percent; of FZ0 the difference itself."""
    t: float
    p: float
    p_holm: float = float("nan")


@dataclass(frozen=True, slots=True)
class Worth:
    version: str
    cells: tuple[Cell, ...]
    sources: Mapping[str, str]
    absent: tuple[str, ...]
    """Groups of which the folder has nothing."""


def study(folder: Path, panel: Panel, say: Say) -> Worth:
    panel = _chosen(panel)
    say(f"{len(panel.assets)} assets, {panel.hours} hours: {', '.join(panel.assets)}")
    gathered = gather(folder, panel)
    say(f"found {', '.join(sorted(gathered.fields)) or 'nothing beside the bars'}")
    bench = Bench(
        panel,
        volatility.inputs_of(panel, market=volatility.Market.LEADERS),
        tails.state_of(panel, market=volatility.Market.LEADERS),
        beside.columns_of(beside.years_of(panel, gathered.fields)),
    )
    cells: list[Cell] = []
    for what, horizon_h, side in WHATS:
        rows = bench.rows(horizon_h, tail=side is not None)
        for group, published in _groups():
            if published and not (volatility.GROUPS if side is None else TAIL_GROUPS).get(group):
                continue
            for cell in bench.cell(rows, group, what, horizon_h, side, published=published):
                say(f"{cell.group:22} {cell.what:9} {cell.difference:+.3f} t {cell.t:+.2f} ({cell.times} times)")
                cells.append(cell)
    adjusted = [replace(cell, p_holm=p) for cell, p in zip(cells, holm([cell.p for cell in cells]), strict=True)]
    known = {cell.group for cell in cells}
    order = {group: place for place, group in enumerate(dict.fromkeys(group for group, _ in _groups()))}
    adjusted.sort(key=lambda cell: (not cell.published, order[cell.group]))
    absent = tuple(group for group in order if group not in known)
    return Worth(VERSION, tuple(adjusted), gathered.sources, absent)


def _groups() -> Iterator[tuple[str, bool]]:
    for group in dict.fromkeys([*(group for group, names in volatility.GROUPS.items() if names), *TAIL_GROUPS]):
        yield group, True
    for group in dict.fromkeys(feature.group.value for feature in beside.BESIDE):
        yield group, False


def _chosen(panel: Panel) -> Panel:
    """The last years of the leaders and of the assets with the longest history."""
    panel = panel.upto(panel.hours)
    first = max(panel.hours - MOST_H, 0)
    parts = {f.name: getattr(panel, f.name) for f in fields(panel)}
    panel = Panel(**{name: part if name == "assets" else part[first:] for name, part in parts.items()})
    hours = panel.present.sum(axis=0)
    ranked = sorted(panel.assets, key=lambda a: (a not in LEADERS, -hours[panel.assets.index(a)], a))
    return panel.only(sorted(ranked[:MOST_ASSETS]))


@dataclass(frozen=True, slots=True)
class Rows:
    """What is asked at one horizon: (hours,), and (hours, assets[, inputs])."""

    rows: Ints
    judged: Flags
    columns: Floats
    names: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    usual: Floats
    outcome: Floats


@dataclass(frozen=True, slots=True)
class Bench:
    """All inputs of one panel."""

    panel: Panel
    inputs: volatility.Inputs
    state: tails.State
    extra: Mapping[str, Floats]

    def rows(self, horizon_h: int, *, tail: bool) -> Rows:
        """Hours to fit on or to judge; those that are judged have outcomes that do not overlap."""
        rows = np.arange(LEVEL_H, self.panel.hours - horizon_h)
        judged = rows % (STRIDE_H if horizon_h == 1 else horizon_h) == 0
        wanted = judged | (rows % STRIDE_H == 0)
        rows, judged = rows[wanted], judged[wanted]
        if tail:
            usual = np.exp(0.5 * (np.log(self.state.week.ahead(rows, horizon_h)) + self.state.log_level[rows]))
            outcome = self.panel.outcome(horizon_h)[rows]
            return Rows(rows, judged, self.state.inputs[rows], TAIL_NAMES, TAIL_GROUPS, usual, outcome)
        columns, usual = self.inputs.at(rows, horizon_h)
        realised = np.maximum(self.panel.realised(horizon_h)[rows], LEAST_VARIANCE)
        return Rows(rows, judged, columns, volatility.NAMES, volatility.GROUPS, usual, realised)

    def cell(
        self, rows: Rows, group: str, what: str, horizon_h: int, side: int | None, *, published: bool
    ) -> Iterator[Cell]:
        """What the group does to one loss; nothing where there is too little to ask."""
        pairs = self._without(rows, group) if published else self._beside(rows, group)
        if len(pairs.rows) < LEAST_PAIRS or (found := compared(pairs, horizon_h, tail=side)) is None:
            return
        difference, without = found
        yield Cell(
            group=group,
            what=what,
            published=published,
            assets=len(np.unique(pairs.assets)),
            first_ms=int(self.panel.open_ms[pairs.rows.min()]),
            last_ms=int(self.panel.open_ms[pairs.rows.max()]),
            times=difference.times,
            difference=100.0 * difference.mean / without if side is None else difference.mean,
            t=difference.t,
            p=difference.p,
        )

    def _without(self, rows: Rows, group: str) -> Pairs:
        """The group's columns are taken out of the base."""
        mine = np.array([name in rows.groups[group] for name in rows.names])
        return self._pairs(rows, rows.columns[..., ~mine], rows.columns[..., mine], np.ones(rows.usual.shape, np.bool_))

    def _beside(self, rows: Rows, group: str) -> Pairs:
        """The group's columns stand beside the base, where its bit says that they are there."""
        every = [feature for feature in beside.BESIDE if feature.group == group]
        bit = every[0].mask
        added = np.stack([self.extra[f.name][rows.rows] for f in every if f.name != bit], axis=-1)
        there = np.ones(rows.usual.shape, np.bool_) if bit is None else self.extra[bit][rows.rows] == 1.0
        return self._pairs(rows, rows.columns, added, there)

    def _pairs(self, rows: Rows, base: Floats, added: Floats, there: Flags) -> Pairs:
        whole = there & self.inputs.peers[rows.rows] & np.isfinite(rows.usual) & np.isfinite(rows.outcome)
        whole &= rows.usual > 0
        place, asset = np.nonzero(whole)
        parts = base[place, asset], added[place, asset], rows.usual[whole], rows.outcome[whole]
        return Pairs(rows.rows[place], asset, *parts, rows.judged[place])
