"""What volatility families measure beside the shared inputs: runs without a gap, implied variance an hour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.panel import Panel
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.features.measures import lagged, peers_of, range_variance, trailing_mean
from margrave.score.features.week import WeekTable
from margrave.spans import YEAR_H

__all__ = [
    "LEVEL_H",
    "WeekTable",
    "implied_hourly",
    "lagged",
    "latest",
    "peers_of",
    "range_variance",
    "stretches",
    "trailing_mean",
]

Floats = NDArray[np.float64]


def stretches(panel: Panel) -> Iterator[tuple[int, slice]]:
    """(asset, rows) of each run of bars without a gap."""
    for asset in range(len(panel.assets)):
        here = np.concatenate(([False], panel.present[:, asset], [False])).astype(np.int8)
        edges = np.flatnonzero(np.diff(here))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            yield asset, slice(int(start), int(end))


def latest(panel: Panel, asset: int, most_h: int) -> slice:
    """The last `most_h` hours of an asset's last stretch that have a return; empty where it has no bars at all."""
    rows = np.flatnonzero(panel.present[:, asset])
    if not len(rows):
        return slice(0, 0)
    end = int(rows[-1]) + 1
    return slice(end - min(int(panel.age_h[end - 1, asset]) - 1, most_h), end)


def implied_hourly(panel: Panel) -> Floats:
    """Variance an hour by implied volatility, (hours, assets): the asset's own index, else the mean of those that have
    one; NaN where nobody has."""
    hourly = panel.dvol**2 / YEAR_H
    there = np.isfinite(hourly)
    total, count = np.where(there, hourly, 0.0).sum(axis=1), there.sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.asarray(np.where(there, hourly, mean[:, None]))
