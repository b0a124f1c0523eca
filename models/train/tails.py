"""Trains tails/1: VaR and ES of both tails at 1, 4 and 24 h, one model of all markets.

    MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.tails

The fit is that of the court's family `served_tails` (`lab.court.families.tails.pooled`), once, on what was known at the
training end, with market inputs of BTC and ETH alone, as a node has them. What is served is so what is judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.families.registered_inputs import Pairs, returns
from margrave.lab.court.families.tails import SERVED
from margrave.lab.court.families.tails.pooled import (
    UNUSED,
    WARM_UP_H,
    WINDOW_H,
    HorizonFit,
    PooledModel,
    derived,
    since,
)
from margrave.lab.court.family import LEVELS, TAIL_HORIZONS_H
from margrave.lab.court.panel import Panel
from margrave.score.features.catalogue import TAIL_NAMES, TAILS, Group
from margrave.score.features.tails import State
from train import dataset, export, judged
from train.pool import Pool, command, pool
from train.tails_card import NAME, ablations, beside, card
from train.tails_graph import UNLIKE_CLIP_SD, graph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNLIKE_QUANTILE: Final = 0.999
RIDGE: Final = 0.01
"""Added to the covariance of standardised inputs: neighbouring spans are nearly collinear."""
EVERY_H: Final = 24
"""Hours between the rows that the distance is learnt from."""
APART: Final = (Group.MARKET, Group.VOLUME, Group.IMPLIED)
"""Sources that a market may lack. Each has a covariance of its own, from the rows that have it: beside the others it
would look almost constant, and every market that has it would look strange."""
GOLDEN: Final = ("BTC", "ETH", "LINK")
GOLDEN_ROWS: Final = 6
PARITY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Built:
    """Everything that the command computes before it writes."""

    model: PooledModel
    fits: dict[int, HorizonFit]
    state: State
    precision: Floats
    unlike_scale: float


def build(trained: Panel) -> Built:
    """
    Args:
        trained: `recent` hours.

    Raises:
        Fatal: too few outcomes to fit on.
    """
    model = SERVED.fit(trained)
    fits = {horizon_h: fit for horizon_h, fit in model.horizons().items() if fit is not None}
    if set(fits) != set(TAIL_HORIZONS_H):
        raise Fatal("too few outcomes to fit the tails on", advice="point MARGRAVE_DATA at a longer history")
    state = derived(trained, SERVED.market)
    rows, assets = np.nonzero(np.isfinite(state.log_level))
    some = rows % EVERY_H == 0
    x = _wide(fits[1], state.inputs[rows[some], assets[some]])
    precision = _precision(x, np.isfinite(state.inputs[rows[some], assets[some]]))
    scale = float(np.quantile(_distance(x, precision), UNLIKE_QUANTILE))
    return Built(model, fits, state, precision, scale)


def recent(trained: Panel) -> Panel:
    """What the fit looks at: its window, and what its means need before it."""
    return since(trained, max(trained.hours - WINDOW_H - WARM_UP_H, 0))


def answers(built: Built, panel: Panel, rows: Ints, assets: Ints) -> dict[str, Floats]:
    """What the graph must say, computed by the court's family: `var` and `es` without the rung that it does not judge,
    and `unlike`."""
    said = [built.model.tails(panel, rows, assets, horizon_h) for horizon_h in TAIL_HORIZONS_H]
    inputs = derived(panel, SERVED.market).inputs[rows, assets]
    return {
        "var": np.stack([tails.var for tails in said], axis=1),
        "es": np.stack([tails.es for tails in said], axis=1),
        "unlike": _distance(_wide(built.fits[1], inputs), built.precision) / built.unlike_scale,
    }


def inputs(panel: Panel, rows: Ints, assets: Ints) -> dict[str, Floats]:
    """Of a graph, at the pairs, by name."""
    state = derived(panel, SERVED.market)
    _, given = returns(None, panel, Pairs(rows, assets))
    return {
        "columns": state.inputs[rows, assets],
        "log_anchor": np.stack([state.log_anchor(rows, assets, h) for h in TAIL_HORIZONS_H], axis=1),
        "returns_1h": given["returns_1h"],
    }


def golden(state: State, panel: Panel) -> tuple[Ints, Ints]:
    """Pairs through calm and crash; of assets that are there."""
    known = np.isfinite(state.log_level)
    assets = [panel.assets.index(asset) for asset in GOLDEN if asset in panel.assets]
    rows = [np.flatnonzero(known[:, asset]) for asset in assets]
    chosen = [lived[np.linspace(0, len(lived) - 1, GOLDEN_ROWS).astype(np.int64)] for lived in rows]
    return np.concatenate(chosen), np.repeat(assets, GOLDEN_ROWS)


def parity(built: Built, content: bytes, panel: Panel, rows: Ints, assets: Ints) -> float:
    """Largest difference between graph and family, relative to 1 + its magnitude."""
    wanted, found = answers(built, panel, rows, assets), export.run(content, inputs(panel, rows, assets))
    found = {name: values[..., : len(LEVELS)] if name != "unlike" else values for name, values in found.items()}
    return max(float(np.max(np.abs(found[k] - wanted[k]) / (1.0 + np.abs(wanted[k])))) for k in wanted)


def _wide(fit: HorizonFit, columns: Floats) -> Floats:
    """Standardised, and clipped only where the distance is."""
    wide = np.clip((columns - fit.centre) / fit.spread, -UNLIKE_CLIP_SD, UNLIKE_CLIP_SD)
    return np.nan_to_num(wide, nan=0.0)


def _precision(x: Floats, there: NDArray[np.bool_]) -> Floats:
    """(inputs, inputs). What the line does not look at counts nothing."""
    found = np.zeros((len(TAILS), len(TAILS)))
    common = [place for place, one in enumerate(TAILS) if one.group not in APART and one.name not in UNUSED]
    parts = [common, *([place for place, one in enumerate(TAILS) if one.group is group] for group in APART)]
    for part in parts:
        rows = x[there[:, part].all(axis=1)][:, part]
        if len(rows) > len(part):
            covariance = rows.T @ rows / len(rows) + RIDGE * np.eye(len(part))
            found[np.ix_(part, part)] = np.linalg.inv(covariance)
    return found


def _distance(x: Floats, precision: Floats) -> Floats:
    return np.asarray(np.sqrt(((x @ precision) * x).sum(axis=1)))


def main() -> None:
    found = pool(dataset.folder())
    trained = recent(found.training)
    built = build(trained)
    model = graph(built.fits, built.precision, built.unlike_scale)
    content = model.SerializeToString()
    rows, assets = golden(built.state, trained)
    difference = parity(built, content, trained, rows, assets)
    print(f"parity {difference:.1e}")
    if difference > PARITY:
        raise Fatal(
            f"graph and family differ by {difference:.1e}", advice="do not publish; look at the graph's constants"
        )
    given: dict[str, Any] = inputs(trained, rows, assets)
    bare = given["columns"].copy()
    bare[:, [TAIL_NAMES.index(one.name) for one in TAILS if one.group in APART]] = np.nan
    twice = {name: np.concatenate([values, values]) for name, values in given.items()}
    twice["columns"] = np.concatenate([given["columns"], bare])
    prior = built.state.week.pooled
    export.publish(model, twice, card(built.fits, prior, built.unlike_scale, found, difference), {})
    finish(found)


def finish(found: Pool) -> None:
    """Judge what was published, and put the figures on its card."""
    judged.write([NAME], found)
    evaluation = json.loads((export.REGISTRY / NAME / "evaluation.json").read_text(encoding="utf-8"))
    metrics = [msgspec.to_builtins(metric) for metric in export.read_card(NAME).metrics]
    export.revise(NAME, [*beside(found), *metrics], evaluation, ablations(found))


if __name__ == "__main__":
    command(main)
