"""The card of `surface_prior`, with what the court's own families say of it on chains that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from margrave.lab.court.families.surface import filling, valuing
from margrave.lab.court.families.surface.cells import Shot
from margrave.score import surface
from margrave.score.registry import Model
from train.export import tensor

COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.surface_prior"
NUMBERS: Final = (
    "smooth_sd", "smooth_moves", "smooth_ln_days", "smooth_days", "rough_sd", "rough_moves", "rough_ln_days",
    "rough_days", "tenor_sd", "tenor_ln_days", "tenor_days", "noise", "noise_per_half_spread",
)  # fmt: skip
MOST_SHOTS: Final = 15


def judged(model: Model, shots: Mapping[str, Sequence[Shot]]) -> dict[str, Any]:
    """RMSE by kind of hole and filler, and fair values of quotes kept back; all after or before its training."""
    found = filling.filling(shots, MOST_SHOTS, model, print)
    values = valuing.valued(shots, model)
    return {
        "holes": {
            kind: {
                name: {"rmse_points": s.rmse, "rmse_quotes_points": s.rmse_quotes, "arbitrage": s.broken}
                for name, s in by_name.items()
            }
            for kind, by_name in found.scores.items()
        },
        "ours": found.ours,
        "chains": found.chains,
        "fair value": {
            "options": len(values),
            "rmse_points": float(np.sqrt(np.mean(values.error_points**2))),
            "median_spread_points": float(np.median(values.spread_points)),
            "covered": float(values.within.mean()),
            "median_width_points": float(np.median(values.width_points)),
        },
    }


def metrics(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The card's figures."""
    part, ours = f"{report['chains']} chains not trained on", report["ours"]
    rows: list[dict[str, Any]] = [
        {"name": f"RMSE of hidden cells, {kind}, {name}", "part": part, "value": found["rmse_points"] / 100}
        for kind, by_name in report["holes"].items()
        for name, found in by_name.items()
        if name in (ours, "SSVI refit", "last surface", "smile refit")
    ]
    value = report["fair value"]
    return [
        *rows,
        {"name": "RMSE of fair volatility", "part": part, "value": value["rmse_points"] / 100},
        {"name": "mids within the interval, expected 90 %", "part": part, "value": value["covered"]},
    ]


def card(
    name: str, numbers: Sequence[float], scale: float, known: Mapping[str, Sequence[Shot]], manifest: str
) -> dict[str, Any]:
    days = [
        str(np.datetime64(s[i].as_of_ms, "ms").astype("datetime64[D]")) for s in known.values() if s for i in (0, -1)
    ]
    return {
        "name": name,
        "title": "Volatility between quotes, with its uncertainty",
        "what": (
            "The log ratio of any option's implied volatility to its SSVI surface, as the posterior of a Gaussian "
            "process in standard moves, ln tenor and time, given the quotes of this chain and, where there is one, of "
            "the last; by radial features, in one pass."
        ),
        "command": COMMAND,
        "horizon_s": 0,
        "features_version": "surface-places-1",
        "trained_from": min(days),
        "trained_to": max(days),
        "assets": [asset for asset, shots in known.items() if shots],
        "left_out": [],
        "data_manifest_sha256": manifest,
        "tolerance": 1e-9,
        "seeds": [5],
        "parameters": {
            **{key: float(value) for key, value in zip(NUMBERS, numbers, strict=True)},
            "interval_scale": scale,
            "most_moves": surface.MAX_STANDARD_MOVES,
        },
        "inputs": [
            tensor("seen", ["seen", "3"], "moves, ln days, days", "where a quote lies and how old it is", 0.0, 300.0),
            tensor("log_ratio", ["seen"], "ln of a ratio", "its volatility over its surface's", -2.0, 2.0),
            tensor("noise", ["seen"], "share of volatility", "half its spread", 0.0, 1.0),
            tensor("asked", ["asked", "2"], "moves, ln days", "where the asked options lie", -3.5, 6.0),
        ],
        "outputs": [
            tensor("mean", ["asked"], "ln of a ratio", "volatility over the surface's", -2.0, 2.0),
            tensor("sd", ["asked"], "share of volatility", "standard deviation, before interval_scale", 0.0, 1.0),
        ],
        "metrics": [],
        "limits": [
            "Trained on five weeks of Bitcoin and Ether in January 2026; judged on the weeks after, with a crash, "
            "and on single chains of 2024.",
            "An expiry that an event lifts out of its neighbours is filled wrong where no chain before shows it, by 14 "
            "points in the week of the election of 2024. No part of the kernels is an expiry's own.",
            "Of options of 2 to 5 days the interval held 78 % of the mids instead of 90 %.",
            "At half the cells hidden the exact Gaussian process is .15 points closer: a graph holds features only.",
            "Its answers may hold arbitrage of a few hundredths of a volatility point: score.arbitrage takes it out.",
            "A standard deviation is too small by the factor interval_scale, which was counted on the last quarter of "
            "the training weeks.",
            "Quotes further than 3.5 standard moves from the forward and options beyond 2 to 200 days were not seen.",
        ],
    }
