"""The card of tail_net and its golden inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from margrave.score import features
from train import dataset, evaluate, stress
from train.dataset import HORIZON_H, Series
from train.tail_graph import CLIP_SD, SEEDS, TAIL_BOUNDS, THRESHOLD, UNLIKE_CLIP_SD, XI_MAX, TailNet

NAME: Final = "tail_net/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.tail_net"
UNLIKE_QUANTILE: Final = 0.999


def golden(everything: list[Series]) -> dict[str, Any]:
    """Rows of three assets through calm and crash, and the same with everything optional taken away."""
    chosen = [next(s for s in everything if s.asset == a and len(s.close_ms) > 5000) for a in ("BTC", "ETH", "LINK")]
    parts = [
        dataset.model_inputs(s, np.linspace(features.MIN_BARS - 1, len(s.close_ms) - 1, 16).astype(np.int64))
        for s in chosen
    ]
    x = np.concatenate([part["features"] for part in parts])
    bare = x.copy()
    for bit, names in features.MASKS.items():
        bare[:, [features.NAMES.index(name) for name in (bit, *names)]] = 0
    level = np.concatenate([part["log_level"] for part in parts])
    return {"features": np.concatenate([x, bare]), "log_level": np.concatenate([level, level])}


def card(net: TailNet, everything: list[Series], data: Path, report: dict[str, Any]) -> dict[str, Any]:
    training = [s for s in everything if s.asset not in dataset.LEFT_OUT]
    return {
        "name": NAME,
        "title": "Non-crossing tail network, pooled",
        "what": (
            "Volatility, quantiles and expected shortfalls of both tails of the four-hour return, in one pass. "
            "A generalised Pareto tail whose parameters depend on the features; the rungs cannot cross."
        ),
        "command": COMMAND,
        "horizon_s": HORIZON_H * 3600,
        "features_version": features.VERSION,
        "trained_from": evaluate.day(min(int(s.close_ms[0]) for s in training)),
        "trained_to": dataset.TRAIN_END,
        "chosen_to": dataset.VALIDATION[1],
        "assets": sorted({s.asset for s in training}),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(data),
        "tolerance": 1e-5,
        "seeds": list(SEEDS),
        "parameters": {
            "threshold": THRESHOLD,
            "xi_max": XI_MAX,
            "tail_bound_u": TAIL_BOUNDS[0],
            "tail_bound_beta": TAIL_BOUNDS[2],
            "tail_bound_xi": TAIL_BOUNDS[4],
            "pull": float(net.sigma_pull),
            "pivot": float(net.sigma_pivot.exp()),
            "clip_sd": CLIP_SD,
            "unlike_clip_sd": UNLIKE_CLIP_SD,
            "unlike_quantile": UNLIKE_QUANTILE,
            "unlike_scale": float(net.unlike_scale),
        },
        "inputs": [
            {
                "name": "features",
                "dtype": "float32",
                "shape": ["batch", str(len(features.NAMES))],
                "unit": "ratios",
                "meaning": f"margrave.score.features.NAMES, in order; clipped at {CLIP_SD:g} standard deviations",
                "low": -20.0,
                "high": 20.0,
            },
            {
                "name": "log_level",
                "dtype": "float32",
                "shape": ["batch"],
                "unit": "log of squared log return",
                "meaning": "log of the mean hourly range variance of the last four weeks",
                "low": -24.0,
                "high": 0.0,
            },
        ],
        "outputs": [
            *evaluate.output_tensors("float32"),
            {
                "name": "unlike",
                "dtype": "float32",
                "shape": ["batch"],
                "unit": "share of a quantile",
                "meaning": "Mahalanobis distance from the training inputs over its 99.9 % quantile",
                "low": 0.0,
                "high": 100.0,
            },
        ],
        "metrics": report["card_metrics"],
        "limits": limits(report),
    }


def limits(report: Mapping[str, Any]) -> list[str]:
    stressed = {part: report["parts"][part]["models"][NAME]["stress"] for part in ("validation", "test")}
    crisis = report["crises, in-sample"]["2021-05"]["all"]
    seen = {
        part: 100 * report["parts"][part]["models"][NAME]["hits"]["down_q975"]["rate"]
        for part in ("test", "test, BTC and ETH")
    }
    return [
        "No rung says more than -67 % or +200 %; the largest moves in training were -54 % and +125 %.",
        *(
            f"In the top {stress.TOP_SHARE:.0%} of its own sigma on {part}, squared returns were "
            f"{found['variance']:.2f} of its variance, where 1 is right; the 97.5 % rung was exceeded "
            f"{100 * found['down']['q975_rate']:.1f} % of the time down and {100 * found['up']['q975_rate']:.1f} % up."
            for part, found in stressed.items()
        ),
        f"In the hours after a crash it says more than came: in May 2021 up to {100 * crisis['es99_largest']:.0f} % "
        f"ES99 for a small coin, where the worst four hours of any were {100 * crisis['worst_loss']:.0f} %.",
        "The deep rungs (99.95 %, ES 99.9) are extrapolated by a tail index learnt on all assets together; "
        "there are too few such moves in any one asset to test them.",
        "Implied volatility and funding are not used: few coins have them in the training data, and on validation "
        "they did not help. It knows nothing of other markets.",
        "It sees closed hourly bars: what happened inside the running hour reaches it as a provisional bar.",
        f"Made for {HORIZON_H} h only.",
        "Coins that failed, stablecoins and wrapped assets are not in the training data.",
        f"On the test part the 97.5 % rung down was exceeded {seen['test']:.1f} % of the time, for BTC and ETH "
        f"{seen['test, BTC and ETH']:.1f} %, where 2.5 % is right.",
    ]
