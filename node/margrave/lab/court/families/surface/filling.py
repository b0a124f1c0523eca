"""How well hidden cells are filled, and what arbitrage is left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.comparison import Difference, diebold_mariano
from margrave.lab.court.families.surface import cells
from margrave.lab.court.families.surface.cells import COLUMNS, Hole, Shot
from margrave.lab.court.families.surface.completion import (
    Filler,
    Kernel,
    LastSurface,
    Prior,
    SmileRefit,
    Sound,
    SsviRefit,
)
from margrave.lab.court.families.surface.forecasting import unseen
from margrave.lab.court.study import Say
from margrave.score import arbitrage
from margrave.score.completion import Filled
from margrave.score.registry import Model
from margrave.spans import DAY_MS

Floats = NDArray[np.float64]

HOLES: Final[Mapping[str, float | None]] = {"25 %": 0.25, "50 %": 0.5, "75 %": 0.75, "a whole tenor": None}
HALF: Final = "50 %"
SEED: Final = 11
SAID_EVERY: Final = 40


@dataclass(slots=True)
class Scored:
    """One filler at one kind of hole."""

    by_cell: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Squared error of each hidden cell's mean, in volatility points, by cell."""
    quotes: list[float] = field(default_factory=list)
    """Squared error of each hidden quote."""
    by_shot: dict[tuple[str, int], float] = field(default_factory=dict)
    """Mean over a chain's hidden cells."""
    broken: int = 0
    chains_broken: int = 0
    chains: int = 0

    @property
    def rmse(self) -> float:
        """Over hidden cells, in volatility points."""
        all_ = [x for found in self.by_cell.values() for x in found]
        return float(np.sqrt(np.mean(all_))) if all_ else float("nan")

    @property
    def rmse_quotes(self) -> float:
        return float(np.sqrt(np.mean(self.quotes))) if self.quotes else float("nan")

    def add(self, hole: Hole, filled: Filled, among: arbitrage.Rules) -> None:
        shot, scored = hole.shot, hole.scored
        error = 100 * (filled.vol[scored] - shot.sample.vol[scored])
        cell = shot.cell[scored]
        means = {int(c): float(np.mean(error[cell == c])) ** 2 for c in np.unique(cell)}
        for place, square in means.items():
            self.by_cell[place].append(square)
        self.quotes += [float(x) for x in error**2]
        self.by_shot[shot.asset, shot.as_of_ms] = float(np.mean(list(means.values())))
        found = arbitrage.violations(shot.sample.log_moneyness, shot.sample.years, filled.vol, among)
        self.broken += found.butterfly + found.calendar
        self.chains_broken += found.any
        self.chains += 1


@dataclass(frozen=True, slots=True)
class Filling:
    scores: Mapping[str, Mapping[str, Scored]]
    """By kind of hole, by name."""
    ours: str | None
    chains: int
    silent: tuple[str, ...]

    def against(self, kind: str, other: str) -> Difference | None:
        """Our mean square error less another's, over chains that both filled."""
        scores = self.scores[kind]
        if self.ours is None or other not in scores or self.ours not in scores:
            return None
        mine, theirs = scores[self.ours].by_shot, scores[other].by_shot
        both = sorted(set(mine) & set(theirs), key=lambda key: key[1])
        if len(both) < 8:
            return None
        times = np.array([time for _, time in both], dtype=np.int64)
        return diebold_mariano(np.array([mine[k] for k in both]), np.array([theirs[k] for k in both]), times)


def filling(shots: Mapping[str, Sequence[Shot]], most: int, model: Model | None, say: Say) -> Filling:
    """Every filler at every kind of hole, over at most `most` chains an asset that follow another, evenly spread.

    Nobody is judged on chains that the model was trained on, unless there are no others: then it is not asked.
    """
    others: list[Filler] = [SsviRefit(), SmileRefit(), LastSurface(), Kernel()]
    scores: dict[str, dict[str, Scored]] = {kind: defaultdict(Scored) for kind in HOLES}
    series = {asset: [pair for pair in cells.pairs(found) if _follows(pair)] for asset, found in shots.items()}
    silent = []
    if lone := sum(map(len, shots.values())) - sum(map(len, series.values())):
        silent.append(
            f"{lone} chains have no other in the {cells.MOST_AGE_DAYS:g} days before: their holes are not judged"
        )
    known = {
        asset: [pair for pair in found if model is None or unseen(model.card, asset, pair[0].as_of_ms)]
        for asset, found in series.items()
    }
    if model is not None and not any(known.values()):
        silent.append("every chain is one that the registry's prior was trained on: holes are filled without it")
        model, known = None, series
    asked = [pair for found in known.values() for pair in _spread(found, most)]
    for place, (shot, before) in enumerate(asked):
        random = np.random.default_rng([SEED, shot.as_of_ms])
        among = arbitrage.rules(shot.sample.log_moneyness, shot.sample.years)
        for kind, share in HOLES.items():
            hole = cells.hole(shot, before, share, random)
            if hole is None or not hole.scored.any():
                continue
            for filler in (*others, *(() if model is None else (Prior(model, alone=True), Prior(model)))):
                filled = filler.fill(hole)
                if filled is None or not np.isfinite(filled.vol).all():
                    continue
                scores[kind][filler.name].add(hole, filled, among)
                if isinstance(filler, Prior) and not filler.alone:
                    sound = Sound(filler)
                    scores[kind][sound.name].add(hole, sound.of_filled(hole, filled, among), among)
        if (place + 1) % SAID_EVERY == 0:
            say(f"surface: {place + 1}/{len(asked)} chains with holes")
    ours = Sound(Prior(model)).name if model is not None else None
    return Filling(scores, ours, len(asked), tuple(silent))


def grid(scored: Scored) -> Floats:
    """RMSE by cell, shape (tenors, moves); NaN where none was hidden."""
    found = np.full((len(cells.TENORS_DAYS) - 1) * COLUMNS, np.nan)
    for place, squares in scored.by_cell.items():
        found[place] = np.sqrt(np.mean(squares))
    return found.reshape(-1, COLUMNS)


def _follows(pair: tuple[Shot, Shot | None]) -> bool:
    shot, before = pair
    return before is not None and shot.as_of_ms - before.as_of_ms <= cells.MOST_AGE_DAYS * DAY_MS


def _spread(pairs: Sequence[tuple[Shot, Shot | None]], most: int) -> list[tuple[Shot, Shot | None]]:
    if len(pairs) <= most:
        return list(pairs)
    return [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, most).round().astype(int))]
