"""The card of tails/1: what it is, how it did beside what it is to replace, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.comparison import by_time, diebold_mariano
from margrave.lab.court.families import Kind
from margrave.lab.court.families.registered import Registered
from margrave.lab.court.families.registered_inputs import Pairs
from margrave.lab.court.families.registered_inputs import inputs as inputs_of
from margrave.lab.court.families.tails.caviar import ES_CAVIAR
from margrave.lab.court.families.tails.pooled import CLIP_SD, LINE, SERVED_LEVELS, WINDOW_H, HorizonFit
from margrave.lab.court.family import DOWN, LEVELS, TAIL_HORIZONS_H, TailFamily
from margrave.lab.court.judge_tails import MAIN, SIDES, TailVerdict, judge
from margrave.lab.court.losses import fz0
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import judged as judged_pairs
from margrave.lab.court.walk import legs, walk
from margrave.score.features.catalogue import TAIL_NAMES, TAILS, VERSION, Group
from margrave.score.registry import open_model
from margrave.spans import HOUR_MS
from train import dataset, export
from train.pool import Pool, day, ms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME: Final = "tails/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.tails"
BEFORE: Final = "tail_net/1"
"""What the node ran before; it speaks of 4 h."""
REFIT_H: Final = 90 * 24
SOURCES: Final = {
    "BTC and ETH": Group.MARKET,
    "implied volatility": Group.IMPLIED,
    "volume": Group.VOLUME,
}


def card(
    fits: dict[int, HorizonFit], prior: Floats, unlike_scale: float, found: Pool, difference: float
) -> dict[str, Any]:
    trained = found.training
    first = max(trained.hours - WINDOW_H, 0)
    shapes = {
        f"{name}_{horizon_h}h_{label}": value
        for horizon_h, fit in fits.items()
        for label, side in SIDES.items()
        if (shape := fit.sides[side].shape) is not None
        for name, value in (("keep", shape.keep), ("down", shape.down), ("up", shape.up))
    }
    return {
        "name": NAME,
        "title": "Tails on a range-based anchor, pooled",
        "what": (
            "VaR and expected shortfall of both tails of the log return over 1, 4 and 24 hours: one scale a side, a "
            "line in the inputs over a range-based anchor (over 24 h its geometric mean with an asymmetric recursion), "
            "fitted on FZ0, times constant rungs, which cannot cross."
        ),
        "command": COMMAND,
        "features_version": VERSION,
        "trained_from": day(int(trained.open_ms[first])),
        "trained_to": dataset.TRAIN_END,
        "assets": sorted(found.assets),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(found.folder),
        "tolerance": 1e-12,
        "parity": difference,
        "tails_h": list(TAIL_HORIZONS_H),
        "levels": list(SERVED_LEVELS),
        "columns": list(TAIL_NAMES),
        "week_prior": [float(value) for value in prior],
        "seeds": [],
        "parameters": {
            "clip_sd": CLIP_SD,
            "unlike_scale": unlike_scale,
            **{f"line_share_{horizon_h}h": share for horizon_h, share in LINE.items()},
            **shapes,
        },
        "inputs": [
            {
                "name": "columns",
                "dtype": "float64",
                "shape": ["batch", str(len(TAIL_NAMES))],
                "unit": "ratios",
                "meaning": "margrave.score.features TAILS, in order; NaN where a source is absent",
                "low": -40.0,
                "high": 40.0,
            },
            {
                "name": "log_anchor",
                "dtype": "float64",
                "shape": ["batch", str(len(TAIL_HORIZONS_H))],
                "unit": "log of log return",
                "meaning": "ln sigma of the hours ahead by the last day's range and the hour of the week",
                "low": -12.0,
                "high": 1.0,
            },
            {
                "name": "returns_1h",
                "dtype": "float64",
                "shape": ["batch", "672"],
                "unit": "log return",
                "meaning": "of the last 672 closed hours, the newest last",
                "low": -3.0,
                "high": 3.0,
            },
        ],
        "outputs": [
            *(
                {
                    "name": name,
                    "dtype": "float64",
                    "shape": ["batch", str(len(TAIL_HORIZONS_H)), "2", str(len(SERVED_LEVELS))],
                    "unit": "log return",
                    "meaning": f"{what} by horizon, side (down, up) and level, as a positive magnitude",
                    "low": 0.0,
                    "high": 3.0,
                }
                for name, what in (("var", "value at risk"), ("es", "expected shortfall"))
            ),
            {
                "name": "unlike",
                "dtype": "float64",
                "shape": ["batch"],
                "unit": "share of a quantile",
                "meaning": "Mahalanobis distance from the training inputs over its 99.9 % quantile",
                "low": 0.0,
                "high": 100.0,
            },
        ],
        "metrics": [],
        "limits": LIMITS,
    }


LIMITS: Final = [
    "Log returns; no rung says more than 3.0, which is -95 % or nineteenfold.",
    "A source that is absent leaves its inputs at the mean of their training: the ladder is neither wider nor narrower "
    "for it. What that costs is among the ablations.",
    "Order-book depth and liquidation thresholds are not inputs: the history at hand has them for weeks of 2026 and "
    "days of 2024 only, which no tail at 1 % can be fitted on or judged by.",
    "Funding and the clock are among the columns and not looked at: no test showed that they help.",
    "The market is BTC and ETH. A mean over all assets that are there did better by .01 to .02 of FZ0 down, and is not "
    "what a node with few markets has.",
    "Hit rates are right over years and not over any one: in the year that it was chosen on, fitted every quarter on "
    "what came before, the 1 % rung down at 4 h was passed 1.2 % of the time (Z2 +.35). The widening that follows "
    "outcomes is not in the graph; the node carries it.",
    "The 24 h tails rest on three years of days that crash together: whole quarters can be missed either way.",
    "The deep rungs (99.9 and 99.95 %) are extrapolated by a Pareto index learnt on all assets together.",
    "It sees closed hourly bars: what happened inside the running hour reaches it as a provisional bar.",
    "Coins pegged to money are not in the training data, and one that stands still is not answered.",
]


def beside(found: Pool) -> list[dict[str, Any]]:
    """FZ0 against ES-CAViaR, refitted every 90 days, and against the model that the node ran before;
    on the same hours of both kinds of assets, after what any of them has seen."""
    metrics: list[dict[str, Any]] = []
    others: list[Registered] = [Registered(BEFORE, Kind.TAILS)] if export.exists(BEFORE) else []
    unseen = max(export.read_card(name).unseen_from for name in (NAME, *(one.model for one in others)))
    for part, assets in (("assets trained on", found.assets), ("assets left out", dataset.LEFT_OUT)):
        there = [asset for asset in assets if asset in found.panel.assets]
        if not there:
            continue
        # with the leaders, whoever is judged
        panel = found.panel.only(sorted({*there, *(a for a in ("BTC", "ETH") if a in found.panel.assets)}))
        first = int(np.searchsorted(panel.known_ms, ms(unseen)))
        families: list[TailFamily] = [Registered(NAME, Kind.TAILS), ES_CAVIAR, *others]  # type: ignore[list-item]
        least = max(family.least_hours for family in families)
        walked = {
            one.name: walk(panel, one, legs(panel, first), TAIL_HORIZONS_H, least_hours=least) for one in families
        }
        for horizon_h in TAIL_HORIZONS_H:
            said = {name: _of(by_h[horizon_h], panel, there) for name, by_h in walked.items() if horizon_h in by_h}
            verdict = judge(panel, said, horizon_h, [name for name in said if name != f"{NAME} tails"])
            metrics += _rows(verdict, part) if verdict is not None else []
    return metrics


def _of(answers: Any, panel: Panel, assets: Sequence[str]) -> Any:
    mine = np.isin(answers.assets, [panel.assets.index(asset) for asset in assets])
    return type(answers)(answers.rows[mine], answers.assets[mine], answers.said[mine])


def _rows(verdict: TailVerdict, part: str) -> list[dict[str, Any]]:
    return [
        {
            "name": f"fz0 {verdict.horizon_h} h {against.loss.split()[-1]}",
            "part": part,
            "value": against.difference,
            "against": against.other.removesuffix(" tails"),
            "statistic": f"DM t {against.t:.1f}, {verdict.begins} to {verdict.ends}, {verdict.pairs} pairs",
        }
        for against in verdict.against
        if against.family == f"{NAME} tails" and np.isfinite(against.difference)
    ]


def ablations(found: Pool) -> list[dict[str, Any]]:
    """FZ0 at 1 %, both tails, when a source is gone from a model that was trained with it, on hours after training."""
    model = open_model(export.REGISTRY, NAME)
    panel = found.panel.only(found.assets)
    first = int(np.searchsorted(panel.known_ms, ms(model.card.unseen_from)))
    rows: list[dict[str, Any]] = []
    for place, horizon_h in enumerate(TAIL_HORIZONS_H):
        asked = np.arange(first, panel.hours - horizon_h)
        asked = asked[(panel.known_ms[asked] // HOUR_MS) % max(horizon_h, 4) == 0]
        pairs = Pairs(*judged_pairs(panel, asked, SOUND_H, horizon_h))
        known, given = inputs_of(model.card, panel, pairs)
        outcome = panel.outcome(horizon_h)[pairs.rows, pairs.assets][known]
        given = {name: values[known] for name, values in given.items()}

        def losses(columns: Floats, place: int = place, outcome: Floats = outcome, given: Any = given) -> Floats:
            out = model.run({**given, "columns": columns})
            return _loss(outcome, out["var"][:, place], out["es"][:, place])

        whole = losses(given["columns"])
        for source, group in SOURCES.items():
            gone = given["columns"].copy()
            gone[:, [TAIL_NAMES.index(one.name) for one in TAILS if one.group is group]] = np.nan
            without = losses(gone)
            at = pairs.rows[known]
            found_t = diebold_mariano(by_time(without, at)[1], by_time(whole, at)[1]).t
            rows.append(
                {
                    "gone": source,
                    "loss": "FZ0 at 1 %, both tails",
                    "horizon_h": horizon_h,
                    "change": float((without - whole).mean()),
                    "statistic": f"DM t {found_t:.1f}",
                }
            )
    return rows


SOUND_H: Final = 674


def _loss(outcome: Floats, var: Floats, es: Floats) -> Floats:
    """(pairs,): the mean of both tails."""
    level = LEVELS.index(MAIN)
    sides = [
        fz0(outcome if side == DOWN else -outcome, -var[:, side, level], -es[:, side, level], MAIN)
        for side in SIDES.values()
    ]
    return np.asarray(np.mean(sides, axis=0))
