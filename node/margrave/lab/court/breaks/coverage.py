"""Coverage of the 90 % interval in the first bars after the market became another one, and how wide it was.

The oracle is our family without widening, asked on the past that was not broken, times the factor: what a model would
say that had known of the break. So 1.10 of its width is a tenth more than knowing costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.breaks import planted
from margrave.lab.court.breaks.scene import Scene, breaks_of, copied, families, ours, rungs
from margrave.lab.court.family import DOWN, UP, TailFamily

Floats = NDArray[np.float64]

BARS: Final = 60
FACTORS: Final = (2.0, 3.0, 0.5)
LOUDER: Final = (2.0, 3.0)
"""What the target is about."""
INTERVAL: Final = 0
"""Place in LEVELS of the rung that both sides of the 90 % interval stand on."""
HORIZONS_H: Final = (1, 4)


@dataclass(frozen=True, slots=True)
class Covered:
    """Of one family, horizon and factor; factor 1 is no break."""

    family: str
    horizon_h: int
    factor: float
    bars: int
    share: float
    width: float
    """Mean over the oracle's at the same bars."""
    by_bar: tuple[float, ...]
    """(BARS,) share inside."""


def covered(scenes: Sequence[Scene]) -> list[Covered]:
    """All families at all horizons and factors, over all scenes."""
    inside: dict[tuple[str, int, float], list[Floats]] = defaultdict(list)
    width: dict[tuple[str, int, float], list[Floats]] = defaultdict(list)
    for scene in scenes:
        for key, found in _of(scene, families()).items():
            inside[key].append(found[0])
            width[key].append(found[1])
    rows = []
    for (name, horizon_h, factor), parts in inside.items():
        hits, wide = np.concatenate(parts, axis=1), np.concatenate(width[name, horizon_h, factor], axis=1)
        there = np.isfinite(hits) & np.isfinite(wide)
        if there.any():
            share = np.where(there, hits, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
            rows.append(
                Covered(
                    name,
                    horizon_h,
                    factor,
                    int(there.sum()),
                    float(hits[there].mean()),
                    float(wide[there].mean()),
                    tuple(share.tolist()),
                )
            )
    return rows


def _of(scene: Scene, called: Mapping[str, TailFamily]) -> dict[tuple[str, int, float], tuple[Floats, Floats]]:
    """(inside, width over the oracle's), (BARS, breaks x assets) each, by family, horizon and factor."""
    mine, bare = ours()
    knower = (bare or mine).name
    parts: dict[tuple[str, int, float], list[tuple[Floats, Floats]]] = defaultdict(list)
    past = scene.past()
    models = {name: scene.fitted(family, past, HORIZONS_H) for name, family in called.items()}
    for row in breaks_of(scene):
        known: dict[int, Floats] = {}
        for factor in (1.0, *FACTORS):
            broken = planted.louder(scene.panel, row, factor) if factor != 1.0 else scene.panel
            # whoever knew is asked first, on the unbroken past
            for name in sorted(models, key=lambda name: name != knower):
                model = copied(models[name], past)
                for horizon_h in HORIZONS_H:
                    rows = np.arange(row, row + BARS * horizon_h, horizon_h)
                    low, high = _interval(rungs(model, broken, rows, horizon_h))
                    if name == knower and factor == 1.0:
                        known[horizon_h] = high - low
                    came = broken.outcome(horizon_h)[rows]
                    inside = np.where(np.isfinite(low + high + came), (low <= came) & (came <= high), np.nan)
                    parts[name, horizon_h, factor].append((inside, (high - low) / (factor * known[horizon_h])))
    return {
        key: (np.concatenate([a for a, _ in found], axis=1), np.concatenate([b for _, b in found], axis=1))
        for key, found in parts.items()
    }


def _interval(said: Floats) -> tuple[Floats, Floats]:
    return -said[:, :, DOWN, INTERVAL], said[:, :, UP, INTERVAL]


def pooled(rows: Sequence[Covered], family: str, factors: Sequence[float] = LOUDER) -> tuple[float, float, int]:
    """(coverage, width over the oracle's, bars) of one family over breaks of these factors, horizons alike."""
    mine = [row for row in rows if row.family == family and row.factor in factors]
    bars = sum(row.bars for row in mine)
    if not bars:
        return float("nan"), float("nan"), 0
    return sum(r.share * r.bars for r in mine) / bars, sum(r.width * r.bars for r in mine) / bars, bars
