"""Trains `hedge/1`: bounds of what to hold against an option that was sold, by gradient descent on CVaR of paths.

Trained on hours of BTC and ETH before 2021, put together anew, and on a Bates model fitted on them; how long to train
was chosen on 2021 and 2022; what the card says of 2023 and after was looked at once.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from margrave.lab.court import history
from margrave.lab.court.hedge import chamber
from margrave.lab.court.hedge.chamber import KINDS
from margrave.lab.court.hedge.episodes import Kind, episodes, joined
from margrave.lab.court.hedge.rivals import CLOCK, COSTS, WW
from margrave.lab.court.hedge.verdicts import Losses, Summary, Verdict, judged
from margrave.lab.court.panel import Panel, panel_of
from margrave.score.hedge.served import COLUMNS, MOST_COST, MOST_HOURS, VOLS, Hedger
from margrave.score.registry import Model
from margrave.spans import YEAR_H
from train import dataset, export, hedge_paths, hedge_vol
from train.hedge_learn import Cell, cells, learn, ratios, said
from train.hedge_net import Bands
from train.hedge_paths import Bars, Bates
from train.pool import command, ms
from train.torch_export import ROWS, to_onnx

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME: Final = "hedge/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.hedge"
SEED: Final = 1
TRAINED_ON: Final = ("BTC", "ETH")
TRAINED_TO: Final = "2021-01-01"
CHOSEN_TO: Final = "2023-01-01"
STEPS: Final = 100
LOOK: Final = 20
SERIES: Final = 40
SIMULATED: Final = 10
STRIKES: Final = ((1.0, True), (0.9, False), (1.1, True))
SHORT_STRIKES: Final = ((1.0, True), (0.95, False))
EVERY_H: Final = 25
CHOICE_EVERY_H: Final = 97
PARITY_ROWS: Final = 512


def main() -> None:
    torch.set_num_threads(1)
    data = dataset.folder()
    panel, _ = chamber.lively(panel_of(history.read(data)))
    known = hedge_paths.stretches(panel.only(TRAINED_ON), ms(TRAINED_TO))
    model = hedge_paths.fitted(known)
    rng = np.random.default_rng(SEED)
    todo = _training(known, model, rng)
    choice = _choice(panel)
    looks: list[dict[str, Any]] = []
    best: list[tuple[float, int, Bands]] = []

    def look(step: int, smoothed: Bands) -> None:
        net = copy.deepcopy(smoothed)
        net.guarded = True
        found = ratios(net, choice)
        mean = float(np.mean(list(found.values())))
        looks.append({"step": step, "choice": mean, "cells": found})
        best.append((mean, step, net))
        said(f"{NAME}: step {step}, CVaR95 over the clock's on {TRAINED_TO} to {CHOSEN_TO}: {mean:.3f}")

    learn(todo, STEPS, SEED, look, LOOK)
    mean, step, net = min(best, key=lambda row: row[:2])
    net.eval()
    golden = {"columns": _golden(choice[0])}
    graph = to_onnx(net, (torch.tensor(golden["columns"]),), ("columns",), ("lower", "upper"), ({0: ROWS},))
    parity = _parity(net, graph, golden)
    evaluation: dict[str, Any] = {
        "parity": parity,
        "steps": step,
        "looks": looks,
        "training": ratios(net, todo),
        "bates": asdict(model),
        "volatility": {"weights": hedge_vol.fitted(known).tolist(), "qlike": hedge_vol.losses(known)},
    }
    found = export.publish(graph, golden, _card(panel, model, step, data, parity, {}), evaluation)
    parts = {part: _heard(panel.only(assets), found) for part, assets in _parts(panel).items()}
    told = {part: judged(heard) for part, heard in parts.items()}
    evaluation["parts"] = {part: _report(*pair) for part, pair in told.items()}
    summaries = {part: summary for part, (_, summary) in told.items()}
    export.publish(graph, golden, _card(panel, model, step, data, parity, summaries), evaluation)
    print(f"{NAME}: chosen at step {step}, {mean:.3f}; parity {parity:.1e}", file=sys.stderr)


def _training(known: list[Bars], model: Bates, rng: np.random.Generator) -> list[Cell]:
    mixed = [hedge_paths.bootstrapped(known, YEAR_H, rng) for _ in range(SERIES)]
    drawn = [hedge_paths.simulated(model, YEAR_H, rng) for _ in range(SIMULATED)]
    return [
        *cells("bootstrapped", hedge_paths.sales(mixed, 336, EVERY_H, "bootstrapped"), STRIKES, COSTS),
        *cells("bootstrapped", hedge_paths.sales(mixed[:14], 168, EVERY_H, "bootstrapped"), SHORT_STRIKES, COSTS),
        *cells("bootstrapped", hedge_paths.sales(mixed[14:30], 720, 49, "bootstrapped"), STRIKES[:2], COSTS),
        *cells("Bates", hedge_paths.sales(drawn, 336, EVERY_H, "Bates"), STRIKES[:2], COSTS),
    ]


def _choice(panel: Panel) -> list[Cell]:
    """Real hours of 2021 and 2022, without the assets that no model sees."""
    mine = panel.only([asset for asset in panel.assets if asset not in dataset.LEFT_OUT])
    sold = joined(list(episodes(mine, 336, CHOICE_EVERY_H, ms(TRAINED_TO), ms(CHOSEN_TO))))
    return cells("real", sold, STRIKES, COSTS, scaled=False)


def _golden(cell: Cell) -> NDArray[np.float32]:
    """Rows of the choice's paths, all moneynesses and both ends of the costs."""
    rows = cell.state[:: max(len(cell.state) // PARITY_ROWS, 1)][:PARITY_ROWS].numpy().copy()
    places = np.arange(len(rows))
    rows[:, 0] = np.linspace(-0.3, 0.3, len(rows))
    rows[:, 3] = np.where(places % 3 == 0, COSTS[0], np.where(places % 3 == 1, COSTS[1], 0.0))
    return np.ascontiguousarray(rows, dtype=np.float32)


def _parity(net: Bands, graph: Any, golden: Mapping[str, NDArray[np.float32]]) -> float:
    with torch.no_grad():
        lower, upper = net(torch.tensor(golden["columns"]))
    return export.parity(graph, golden, {"lower": lower.numpy(), "upper": upper.numpy()})


def _parts(panel: Panel) -> dict[str, list[str]]:
    return {
        "test": [asset for asset in panel.assets if asset not in dataset.LEFT_OUT],
        "test, assets left out": [asset for asset in panel.assets if asset in dataset.LEFT_OUT],
    }


def _heard(panel: Panel, found: Model) -> dict[Kind, tuple[Losses, Ints]]:
    """What the court hears, of unseen hours alone."""
    row = int(np.searchsorted(panel.known_ms, ms(CHOSEN_TO))) - hedge_paths.LEAST_HOURS
    fresh = panel.since(max(row, 0))
    heard: dict[Kind, tuple[Losses, Ints]] = {}
    for life_h in dict.fromkeys(kind.life_h for kind in KINDS):
        heard |= chamber.hear(fresh, life_h, [kind for kind in KINDS if kind.life_h == life_h], Hedger(found))
    return {kind: chamber.only(rows, rows[1] >= ms(CHOSEN_TO)) for kind, rows in heard.items()}


def _report(verdicts: Sequence[Verdict], summaries: Mapping[tuple[str, float], Summary]) -> dict[str, Any]:
    return {
        "kinds": [
            {
                "option": v.kind.name, "cost": v.cost, "episodes": v.episodes, "spans": v.spans, "cvar": v.ours,
                "against": {
                    sort: {"rule": a.rule.name, "cvar": a.cvar, "ratio": a.ratio, "low": a.low, "high": a.high}
                    for sort, a in v.against.items()
                },
            }
            for v in verdicts
        ],
        "all": {f"{sort}, {1e4 * cost:.0f} bp": asdict(summary) for (sort, cost), summary in summaries.items()},
    }  # fmt: skip


def _card(
    panel: Panel,
    model: Bates,
    step: int,
    data: Path,
    parity: float,
    summaries: Mapping[str, Mapping[tuple[str, float], Summary]],
) -> dict[str, Any]:
    early = panel.only(TRAINED_ON)
    first = int(np.flatnonzero(early.present.any(axis=1))[0])
    metrics = [
        {
            "name": f"CVaR95 of hedging over the best {sort}'s, {1e4 * cost:.0f} bp",
            "part": part,
            "value": summary.ratio,
            "statistic": (
                f"95 % {summary.low:.3f} to {summary.high:.3f}; worst {summary.worst}, {summary.worst_ratio:.3f}"
            ),
        }
        for part, found in summaries.items()
        for (sort, cost), summary in found.items()
        if sort in (CLOCK, WW)
    ]
    share = [("lower", "the least to hold"), ("upper", "the most to hold")]
    return {
        "name": NAME,
        "title": "No-trade band of a hedge",
        "what": (
            "Between which bounds the holding for one call sold may lie before it pays to trade: a delta corrected by "
            "where the price comes from and by how lively its last hours were, and a band around it whose width goes "
            "as the cube root of the cost. A put's bounds are one less."
        ),
        "command": COMMAND,
        "features_version": "hedge-1",
        "trained_from": str(np.datetime64(int(early.open_ms[first]), "ms").astype("datetime64[D]")),
        "trained_to": TRAINED_TO,
        "chosen_to": CHOSEN_TO,
        "assets": list(TRAINED_ON),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(data),
        "tolerance": 1e-5,
        "parity": parity,
        "seeds": [SEED],
        "columns": list(COLUMNS),
        "parameters": {"steps": float(step), **model.parameters()},
        "inputs": [
            {
                "name": "columns", "dtype": "float32", "shape": ["batch", str(len(COLUMNS))], "unit": "see columns",
                "meaning": (
                    f"ln(spot / strike), hours left (to {MOST_HOURS:g}), annual volatility ({VOLS[0]:g} to "
                    f"{VOLS[1]:g}), cost of a trade (to {MOST_COST:g}), half log variances against the contract's, log "
                    "price less its means"
                ),
                "low": -10.0, "high": MOST_HOURS,
            }
        ],
        "outputs": [
            {
                "name": name, "dtype": "float32", "shape": ["batch"], "unit": "units of the underlying",
                "meaning": f"{meaning} for one call sold", "low": 0.0, "high": 1.0,
            }
            for name, meaning in share
        ],
        "metrics": metrics,
        "limits": [
            "On years that it had not seen it did WORSE than the best clock: what it gained in 2021-22 was a memory of "
            "hourly prices that 2023 and after do not have. No command and no node asks it unless told to.",
            "On simulated paths without memory of direction it is no better than a clock.",
            "Trades are at the close of the hour whose bar it has seen, at one cost, whatever their size.",
            "The premium is Black-Scholes at a forecast of volatility: no implied volatility was traded.",
            "One crash is one observation: a few spans of the calendar make the tail of all assets.",
            "Funding of a perpetual that is held as the hedge is not in the loss.",
        ],
    }  # fmt: skip


if __name__ == "__main__":
    command(main)
