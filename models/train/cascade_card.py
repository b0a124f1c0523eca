"""The card of cascade/1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.cascade.books import Book
from margrave.lab.court.cascade.questions import HALF_LIVES_H
from margrave.score.cascade.inputs import CASCADE, EDGES, MOST_OVER_DEPTH, MOST_SCALE
from train import dataset
from train.export import tensor

Floats = NDArray[np.float64]

NAME: Final = "cascade/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.cascade"
TRAINED_FROM: Final = "2020-12-01"
EDGE_WORDS: Final = ", ".join(f"{edge:g}" for edge in EDGES)


def card(
    known: Sequence[Book],
    train_end: str,
    chosen_to: str,
    left_out: Sequence[str],
    weights: Mapping[int, Sequence[float]],
    platt: Floats,
    parity: float,
    seed: int,
    data: Path,
    metrics: Sequence[Mapping[str, Any]],
    limits: Sequence[str],
) -> dict[str, Any]:
    """
    Args:
        weights: of `questions.scales`.
        platt: (2, horizons) slopes and levels.
    """
    scale = {
        f"scale_{name}_{horizon_h}h": value
        for horizon_h, row in weights.items()
        for name, value in zip(("level", *(f"{half:g}" for half in HALF_LIVES_H)), row, strict=True)
    }
    return {
        "name": NAME,
        "title": "Liquidation cascades: a fire sale in a network",
        "what": (
            f"The probability that {CASCADE:.1%} of a collateral's deposits are liquidated within 1 and 24 hours, and "
            "what a cascade liquidates: debts by health factor swept by a fall, deepened by its own sales as in the "
            "simulator, judged by a small network, over the forecast law of falls. It rises with leverage, falls, and "
            "thin books by construction."
        ),
        "command": COMMAND,
        "features_version": "cascade-1",
        "trained_from": TRAINED_FROM,
        "trained_to": train_end,
        "chosen_to": chosen_to,
        "assets": sorted({book.asset for book in known} - set(left_out)),
        "left_out": list(left_out),
        "data_manifest_sha256": dataset.manifest_hash(data),
        "tolerance": 1e-9,
        "parity": parity,
        "seeds": [seed],
        "parameters": {
            **scale,
            **{f"platt_slope_{h}h": float(platt[0, at]) for at, h in enumerate(weights)},
            **{f"platt_level_{h}h": float(platt[1, at]) for at, h in enumerate(weights)},
        },
        "inputs": [
            tensor(
                "mass",
                ["batch", str(len(EDGES))],
                "share",
                f"of the deposits, what falls to {EDGE_WORDS} liquidate",
                0.0,
                1.0,
            ),
            tensor(
                "scale", ["batch", "2"], "log return", "unit of the forecast of falls over 1 and 24 h", 0.0, MOST_SCALE
            ),
            tensor("over_depth", ["batch", "1"], "ratio", "deposits over depth within 1 %", 0.0, MOST_OVER_DEPTH),
            tensor("shock", ["batch", "2"], "log return", "a fall within 1 and 24 h, for `given` and `size`", 0.0, 3.0),
        ],
        "outputs": [
            tensor("probability", ["batch", "2"], "probability", "of a cascade within 1 and 24 h", 0.0, 1.0),
            tensor("given", ["batch", "2"], "probability", "of one if the price falls by `shock`", 0.0, 1.0),
            tensor(
                "size",
                ["batch", "2"],
                "share",
                "of the deposits, what a cascade after `shock` liquidates",
                CASCADE,
                1.0,
            ),
        ],
        "metrics": list(metrics),
        "limits": list(limits),
    }
