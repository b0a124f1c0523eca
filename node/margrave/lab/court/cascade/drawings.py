"""The cascade chamber's drawings, in the court's style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court import events
from margrave.lab.court.cascade.answers import LOGISTIC, OURS, RATE, SIMULATOR
from margrave.lab.court.cascade.judging import Part
from margrave.lab.court.plots import side_by_side, svg
from margrave.lab.demo.plots import AMBER, BLUE, GREY, INK, RED

Floats = NDArray[np.float64]

COLOURS: Final = {OURS: BLUE, LOGISTIC: AMBER, SIMULATOR: RED, RATE: GREY}
LEAST: Final = 1e-4


def auroc_or_none(happened: Floats, said: Floats) -> float | None:
    found = events.auroc(happened, said)
    return found if np.isfinite(found) else None


def reliability(parts: Sequence[Part]) -> str:
    """Share that happened by what was said, horizons side by side."""
    figure, axes = side_by_side(len(parts), 2.3)
    for axis, part in zip(axes, parts, strict=True):
        for name, said in part.said.items():
            if name == RATE:
                continue
            bins = np.array([(s, h) for s, h, _ in events.calibration(part.happened, said)])
            shown = np.where(bins > LEAST, bins, np.nan)  # of bins without any, nothing can be drawn
            axis.plot(shown[:, 0], shown[:, 1], color=COLOURS[name], marker="o", markersize=3, label=name)
        axis.plot([LEAST, 1], [LEAST, 1], color=GREY, linewidth=0.8)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(f"{part.horizon_h} h", loc="left", color=INK, fontsize=8)
    axes[0].legend(frameon=False, fontsize=7)
    return svg(figure)


def precision(parts: Sequence[Part], words: Sequence[str]) -> str:
    """Precision by recall, parts side by side."""
    figure, axes = side_by_side(len(parts), 2.1, share_y=True)
    for axis, part, title in zip(axes, parts, words, strict=True):
        for name, said in part.said.items():
            if name == RATE:
                continue
            order = np.argsort(-said, kind="stable")
            hits = np.cumsum(part.happened[order])
            last = np.append(np.diff(said[order]) != 0, True)
            taken = np.flatnonzero(last) + 1.0
            step = max(len(taken) // 400, 1)
            axis.plot((hits[last] / hits[-1])[::step], (hits[last] / taken)[::step], color=COLOURS[name], label=name)
        axis.axhline(part.prevalence, color=GREY, linewidth=0.8, linestyle=":")
        axis.set_title(f"{title}, {part.horizon_h} h", loc="left", color=INK, fontsize=8)
        axis.set_xlim(0, 1)
    axes[0].set_ylim(0, 1)
    axes[0].legend(frameon=False, fontsize=7)
    return svg(figure)
