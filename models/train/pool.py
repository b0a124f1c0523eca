"""The pooled training panel: whatever hourly history a folder holds, read as the court reads it, to the training end.

Trained on: assets with a year of hours before `dataset.TRAIN_END` that are no coins pegged to money (their range is no
small part of the others') and not left out. A training command that cannot go on says so in one line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal, MargraveError
from margrave.lab.court import history
from margrave.lab.court.panel import Panel, panel_of
from margrave.score.features.measures import LEAST_PEER, range_variance
from train import dataset

Ints = NDArray[np.int64]

LEAST_H: Final = 8_760
FIT_H: Final = 17_520
"""Hours at the end of the training part that one asset's recursion is fitted on: two years."""


@dataclass(frozen=True)
class Pool:
    folder: Path
    panel: Panel
    """All assets, all hours."""
    assets: tuple[str, ...]
    """Those that are trained on."""

    @property
    def end_row(self) -> int:
        """The first row that training may not see."""
        return int(np.searchsorted(self.panel.known_ms, ms(dataset.TRAIN_END), side="right"))

    @property
    def training(self) -> Panel:
        return self.panel.upto(self.end_row).only(self.assets)

    @property
    def trained_from(self) -> str:
        first = int(np.flatnonzero(self.training.present.any(axis=1))[0])
        return day(int(self.panel.open_ms[first]))

    @property
    def said(self) -> dict[str, Any]:
        """What the card of a model that is trained on all of it says of the data."""
        return {
            "trained_from": self.trained_from,
            "trained_to": dataset.TRAIN_END,
            "assets": list(self.assets),
            "left_out": list(dataset.LEFT_OUT),
            "data_manifest_sha256": dataset.manifest_hash(self.folder),
        }


def ms(when: str) -> int:
    return int(np.datetime64(when, "ms").astype(np.int64))


def day(when_ms: int) -> str:
    return str(np.datetime64(when_ms, "ms").astype("datetime64[D]"))


def pool(data: Path) -> Pool:
    """
    Raises:
        Fatal: the folder holds no bars, or no asset has a year of hours before the training end.
    """
    panel = panel_of(history.read(data))
    past = panel.upto(int(np.searchsorted(panel.known_ms, ms(dataset.TRAIN_END), side="right")))
    long = [asset for asset, hours in zip(past.assets, past.present.sum(axis=0), strict=True) if hours >= LEAST_H]
    long = [asset for asset in long if asset not in dataset.LEFT_OUT]
    if not long:
        raise Fatal(
            f"no asset of {data} has {LEAST_H} hours before {dataset.TRAIN_END}",
            advice="point MARGRAVE_DATA at a folder with a longer history",
        )
    typical = np.nanmedian(range_variance(past.only(long)), axis=0)
    pegged = typical < LEAST_PEER * np.median(typical)
    return Pool(data, panel, tuple(asset for asset, out in zip(long, pegged, strict=True) if not out))


def command(work: Callable[[], None]) -> None:
    """Run a training command: what stops it is one line on stderr, not a trace."""
    try:
        work()
    except (MargraveError, OSError) as error:
        sys.exit(f"margrave: {error}")
