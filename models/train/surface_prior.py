"""Fits `surface_prior`: how the ratio of a volatility to its surface varies with strike, tenor and time.

    MARGRAVE_DATA=DIR PYTHONPATH=node:models python -m train.surface_prior

A task is a chain with cells hidden (a quarter, half or three quarters at random, or a whole tenor) and, three times out
of four, an earlier chain. The loss is what was hidden under the posterior's own distribution, a Student t of four
degrees, so that one absurd quote teaches little. Thirteen numbers are searched for, one at a time, on chains up to
`TRAINED_TO`; what comes after is only reported.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from margrave.lab.court import chains
from margrave.lab.court.families.surface import cells
from margrave.lab.court.families.surface.cells import Hole, Shot
from margrave.lab.court.families.surface.completion import base_of
from margrave.score import completion, surface
from train import dataset, export, surface_prior_card
from train.export import publish
from train.pool import command
from train.surface_graph import Floats, Part, Prior, graph

NAME: Final = "surface_prior/1"
TRAINED_FROM: Final = datetime(2025, 12, 30, tzinfo=UTC)
TRAINED_TO: Final = datetime(2026, 2, 3, tzinfo=UTC)
SEED: Final = 5
TASKS: Final = 64
"""For the search; as many again, of the last weeks of training, for the interval."""
SHARES: Final = (0.25, 0.5, 0.75)
LAGS: Final = (1, 1, 1, 2, 4)
"""How many chains back the last one lies, by chance: a node may have missed some."""
WITHOUT: Final = 0.25
FREEDOM: Final = 4.0
COVERED: Final = 0.90
START: Final = (0.05306, 2.401, 1.641, 17.25, 0.00759, 4.402, 1.1, 2.64, 0.03814, 1.235, 9.0, 0.000294, 0.24)
"""Where a search from plain guesses ended after twelve minutes."""
STEPS: Final = (0.125,)
MOVES: Final = np.array([-3.5, -2.5, -1.75, -1.2, -0.75, -0.35, 0.0, 0.35, 0.75, 1.2, 1.75, 2.5, 3.5])
LN_DAYS: Final = np.log(np.array([2.0, 3.0, 5.0, 8.0, 14.0, 24.0, 40.0, 70.0, 120.0, 200.0]))
TENORS: Final = np.log(np.geomspace(1.7, 220.0, 16))


@dataclass(frozen=True, slots=True)
class Task:
    """What a hole shows, and what it hides."""

    inputs: Mapping[str, Floats]
    hidden: Floats
    hidden_noise: Floats


def prior_of(numbers: Sequence[float]) -> Prior:
    """From (scale, along, across, days) of the smooth and of the rough part, (scale, across, days) of the tenor's, and
    the noise's two."""
    n = tuple(float(x) for x in numbers)
    grid = np.stack(np.meshgrid(MOVES, LN_DAYS, indexing="ij"), axis=-1).reshape(-1, 2)
    line = np.column_stack([np.zeros_like(TENORS), TENORS])
    smooth = Part(True, n[0], n[1], n[2], n[3], grid)
    rough = Part(False, n[4], n[5], n[6], n[7], grid)
    tenor = Part(False, n[8], float("inf"), n[9], n[10], line)
    return Prior((smooth, rough, tenor), (n[11], n[12]))


def task_of(hole: Hole) -> Task | None:
    """`None` where nothing of a hole is scored."""
    scored, sample = hole.scored, hole.shot.sample
    if not scored.any():
        return None
    base = base_of(hole)
    k, years = sample.log_moneyness[scored], sample.years[scored]
    ratio = np.log(sample.vol[scored] / surface.vols(base, k, years))
    return Task(
        completion.inputs(base, hole.seen(), k, years), ratio, hole.shot.half_spread[scored] / sample.vol[scored]
    )


def tasks(known: Mapping[str, Sequence[Shot]], count: int, random: np.random.Generator) -> list[Task]:
    """Drawn from all assets' chains, each at most once."""
    places = [(asset, place) for asset, shots in known.items() for place in range(len(shots))]
    found: list[Task] = []
    for asset, place in (places[i] for i in random.permutation(len(places))):
        lag = min(place, int(random.choice(LAGS)))
        before = known[asset][place - lag] if lag and random.random() >= WITHOUT else None
        share = None if random.random() < 0.25 else float(random.choice(SHARES))
        hole = cells.hole(known[asset][place], before, share, random)
        task = None if hole is None else task_of(hole)
        if task is not None:
            found.append(task)
        if len(found) == count:
            break
    return found


def standardised(prior: Prior, task: Task) -> tuple[Floats, Floats]:
    """(error over its standard deviation, that deviation) of what a task hides, its own quotes' noise included."""
    said = prior.posterior(task.inputs)
    sd = np.sqrt(said["sd"] ** 2 + (prior.noise[1] * task.hidden_noise) ** 2)
    return (task.hidden - said["mean"]) / sd, sd


def loss(prior: Prior, known: Sequence[Task]) -> float:
    """Mean over tasks of the mean negative log density of what they hide."""
    total = 0.0
    for task in known:
        z, sd = standardised(prior, task)
        total += float(np.mean((FREEDOM + 1) / 2 * np.log1p(z**2 / FREEDOM) + np.log(sd)))
    return total / len(known)


def search(known: Sequence[Task]) -> tuple[list[float], float]:
    """(the thirteen numbers, their loss): up and down by a factor, one at a time, until none helps, then finer."""
    at = np.log(np.array(START))
    best = loss(prior_of(np.exp(at)), known)
    for step in STEPS:
        better = True
        while better:
            better = False
            for place in range(len(at)):
                for change in (step, -step):
                    tried = at.copy()
                    tried[place] += change
                    found = loss(prior_of(np.exp(tried)), known)
                    if found < best - 1e-3:
                        at, best, better = tried, found, True
                        break
            print(f"step {step}: {best:.4f}", flush=True)
    return [float(x) for x in np.exp(at)], best


def interval_scale(prior: Prior, known: Sequence[Task]) -> float:
    """What a standard deviation is multiplied by so that the share COVERED of what was hidden lies within: a split
    conformal quantile, on tasks that the search has not seen."""
    return float(np.quantile(np.concatenate([np.abs(standardised(prior, task)[0]) for task in known]), COVERED))


def main() -> None:
    data, started = dataset.folder(), time.monotonic()
    shots = {asset: cells.shots(found)[0] for asset, found in chains.read(data).by_asset.items()}
    first, until = (int(day.timestamp() * 1000) for day in (TRAINED_FROM, TRAINED_TO))
    known = {asset: [s for s in found if first <= s.as_of_ms < until] for asset, found in shots.items()}
    cut = {asset: len(found) * 3 // 4 for asset, found in known.items()}
    random = np.random.default_rng(SEED)
    numbers, found = search(tasks({a: s[: cut[a]] for a, s in known.items()}, TASKS, random))
    prior = prior_of(numbers)
    scale = interval_scale(prior, tasks({a: s[cut[a] :] for a, s in known.items()}, TASKS, random))
    print(f"loss {found:.4f}, interval {scale:.2f}, {time.monotonic() - started:.0f} s", flush=True)
    golden = tasks(known, 1, random)[0].inputs
    card = surface_prior_card.card(NAME, numbers, scale, known, dataset.manifest_hash(data))
    card |= {"parity": export.parity(graph(prior), golden, prior.posterior(golden))}
    model = publish(graph(prior), golden, card, {})
    report: dict[str, Any] = surface_prior_card.judged(model, shots)
    publish(graph(prior), golden, card | {"metrics": surface_prior_card.metrics(report)}, report)
    print(f"wrote {NAME}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    command(main)
