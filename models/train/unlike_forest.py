"""The isolation forest that `unlike/1` is compared with (Liu, Ting and Zhou 2008), exported through skl2onnx."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from train.export import asker

Floats = npt.NDArray[np.float64]
Score = Callable[[Floats], Floats]
"""(rows, columns) -> (rows,), above 1 unlike."""

TREES: Final = 100
SAMPLES: Final = 4096
ROWS: Final = 40_000
QUANTILE: Final = 0.999
TIMED: Final = 200


def compared(training: Floats, standard: Score, trial: Callable[[Score], dict[str, Any]]) -> dict[str, Any]:
    """
    Args:
        training: (rows, inputs) in standard deviations.
        standard: columns to those.
        trial: what to ask of a score.
    """
    from skl2onnx import to_onnx
    from sklearn.ensemble import IsolationForest

    rng = np.random.default_rng(0)
    some = training[np.sort(rng.choice(len(training), min(ROWS, len(training)), replace=False))]
    forest = IsolationForest(n_estimators=TREES, max_samples=min(SAMPLES, len(some)), random_state=0).fit(some)
    scale = float(np.quantile(-forest.score_samples(some), QUANTILE))

    def distance(columns: Floats) -> Floats:
        return np.asarray(-forest.score_samples(standard(columns)) / scale)

    narrow = some[:2_000].astype(np.float32)
    exported = to_onnx(forest, narrow[:1], target_opset={"": 15, "ai.onnx.ml": 3}, options={"score_samples": True})
    ask = asker(exported.SerializeToString())
    name = exported.graph.input[0].name
    said = np.asarray(ask({name: narrow})["score_samples"]).reshape(-1)
    begun = time.perf_counter()
    for _ in range(TIMED):
        ask({name: narrow[:1]})
    return trial(distance) | {
        "trees": TREES,
        "parity": float(np.abs(said - forest.score_samples(narrow)).max()),
        "milliseconds_a_market": 1000.0 * (time.perf_counter() - begun) / TIMED,
        "megabytes": exported.ByteSize() / 1e6,
    }
