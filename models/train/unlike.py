"""Trains `unlike/1`: how far a market's inputs lie from anything that the models were trained on.

A Mahalanobis distance with a shrunk covariance, on the served inputs of `hourly-2`. Over the 99.9 % quantile of the
training hours: above 1 is unlike. An isolation forest is fitted beside it on the same inputs, exported and timed, and
both are tried on planted nonsense (`nonsense`), on crashes that neither was fitted on, and on assets left out; the
figures of both are in evaluation.json. Choose by them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from margrave.lab.court import history
from margrave.lab.court.panel import COLUMNS, Panel, panel_of
from margrave.score.features.catalogue import LEADERS, VERSION, VOLATILITY, VOLATILITY_NAMES, Group
from margrave.score.features.volatility import Market, inputs_of
from margrave.spans import HOUR_MS
from train import dataset, export, nonsense, unlike_forest, unlike_graph
from train.pool import ms
from train.unlike_graph import Distance

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NAME: Final = "unlike/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.unlike"
FROM: Final = "2019-09-08"
SEED: Final = 20240101
LEFT_OUT_INPUTS: Final = ("implied_to_market",)
"""`implied_to_level` less `range_24h`, but for clipping: a direction without variance of its own."""
USED: Final = tuple(
    feature.name
    for feature in VOLATILITY
    if feature.group is not Group.CALENDAR
    and not feature.name.startswith("has_")
    and feature.name not in LEFT_OUT_INPUTS
)
"""The leaders' own ranges are left out too: the market's are their mean."""
SHRINK: Final = 0.02
QUANTILE: Final = 0.999
CLIP_SD: Final = 20.0
EVERY_H: Final = 4
GROUP: Final = 8
CRASHES: Final = (
    ("2020-03-09", "2020-03-20"),
    ("2021-05-12", "2021-05-26"),
    ("2022-05-06", "2022-05-16"),
    ("2022-06-10", "2022-06-21"),
    ("2022-11-06", "2022-11-16"),
)
FEEDS: Final = 24
"""Planted cases of each kind, at random hours of random assets."""
FEED_H: Final = 24
BEFORE_H: Final = 4_400


@dataclass(frozen=True, slots=True)
class Rows:
    """Hours of all assets in one heap, every `EVERY_H`th."""

    columns: Floats
    known_ms: npt.NDArray[np.int64]
    asset: npt.NDArray[np.str_]

    def where(self, chosen: Flags) -> Floats:
        return self.columns[chosen]

    def between(self, begins: str, ends: str) -> Flags:
        return np.asarray((self.known_ms >= ms(begins)) & (self.known_ms < ms(ends)))

    @property
    def crashing(self) -> Flags:
        return np.asarray(np.logical_or.reduce([self.between(*crash) for crash in CRASHES]))

    @property
    def left_out(self) -> Flags:
        return np.isin(self.asset, dataset.LEFT_OUT)


def main() -> None:
    data = dataset.folder()
    # Those that the other models are trained on: coins that failed and coins pegged to money would widen the quantile.
    panel = _from(panel_of(history.read(data, dataset.assets(data))), FROM)
    rows = rows_of(panel)
    training = rows.between(FROM, dataset.TRAIN_END) & ~rows.left_out
    # The trial's own fit has seen no crash, or it could not say what a new one would be taken for.
    trial = fitted(rows.where(rows.between(FROM, "2023-01-01") & ~rows.left_out & ~rows.crashing))
    print(f"{training.sum()} training rows, {len(USED)} inputs", file=sys.stderr)
    feeds = feeds_of(panel, np.random.default_rng(SEED))
    evaluation: dict[str, Any] = {
        "trial": "fitted before 2023 without the crashes; shares of hours above 1, and of false feeds within 24 hours",
        "mahalanobis": trial_of(trial.distance, rows, feeds),
        "isolation_forest": unlike_forest.compared(
            trial.standard(rows.where(rows.between(FROM, "2023-01-01") & ~rows.left_out & ~rows.crashing)),
            trial.standard,
            lambda distance: trial_of(distance, rows, feeds),
        ),
    }
    distance = fitted(rows.where(training))
    golden = _golden(rows, training)
    graph = unlike_graph.graph(distance)
    found = export.run(graph.SerializeToString(), {"columns": golden})
    parity = float(np.max(np.abs(found["unlike"] - distance.distance(golden)) / (1 + distance.distance(golden))))
    evaluation |= {"parity": parity, "served": served_of(distance, rows)}
    model = export.publish(graph, {"columns": golden}, _card(distance, rows, training, data, evaluation), evaluation)
    print(f"{model.name}: parity {parity:.1e}", file=sys.stderr)


def rows_of(panel: Panel) -> Rows:
    """The served inputs, assets a few at a time: all at once would take gigabytes."""
    at = np.arange(0, panel.hours, EVERY_H)
    parts: list[tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.str_]]] = []
    others = [asset for asset in panel.assets if asset not in LEADERS]
    leaders = [asset for asset in LEADERS if asset in panel.assets]
    for start in range(0, max(len(others), 1), GROUP):
        asked = [*leaders, *others[start : start + GROUP]]
        group = panel.only(asked)
        inputs = inputs_of(group, market=Market.LEADERS)
        columns, _ = inputs.served(at)
        sound = np.isfinite(columns).all(axis=-1) & inputs.peers[at]
        if start:
            sound[:, : len(leaders)] = False
        hours, places = np.nonzero(sound)
        parts.append((columns[hours, places], panel.known_ms[at[hours]], np.array(asked)[places]))
    columns, known_ms, asset = (np.concatenate([part[place] for part in parts]) for place in range(3))
    return Rows(columns, known_ms, asset)


def fitted(columns: Floats) -> Distance:
    """Centre and spread of what is there, and the shrunk covariance of the rest."""
    used = np.array([VOLATILITY_NAMES.index(name) for name in USED])
    bits = [next(feature.mask for feature in VOLATILITY if feature.name == name) for name in USED]
    empty = Distance(
        used=used,
        # a column of ones stands behind the last, for inputs that are always there
        bits=np.array([VOLATILITY_NAMES.index(bit) if bit else len(VOLATILITY_NAMES) for bit in bits]),
        centre=np.zeros(len(used)),
        spread=np.ones(len(used)),
        clip_sd=CLIP_SD,
        root=np.eye(len(used)),
        scale=1.0,
    )
    there = empty.there(columns)
    count = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, columns[:, used], 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(there, (columns[:, used] - centre) ** 2, 0.0).sum(axis=0) / count)
    known = empty.with_(centre=centre, spread=np.maximum(spread, 1e-9))
    x = known.standard(columns)
    covariance = (1.0 - SHRINK) * (x.T @ x) / len(x) + SHRINK * np.eye(len(used))
    known = known.with_(root=np.linalg.cholesky(np.linalg.inv(covariance)))
    return known.with_(scale=float(np.quantile(known.distance(columns), QUANTILE)))


def feeds_of(panel: Panel, rng: np.random.Generator) -> dict[str, list[Floats]]:
    """By kind of nonsense the columns of the false hours, (FEED_H, columns); "truth" is the same hours as they were."""
    found: dict[str, list[Floats]] = {kind: [] for kind in ("truth", *nonsense.NONSENSE)}
    others = [asset for asset in panel.assets if asset not in LEADERS]
    tried = 0
    while len(found["truth"]) < FEEDS and tried < 20 * FEEDS:
        tried += 1
        row, asset = int(rng.integers(BEFORE_H, panel.hours - FEED_H)), str(rng.choice(others))
        beside = str(rng.choice([other for other in others if other != asset]))
        window = _rows(panel, row - BEFORE_H, row + FEED_H).only([*LEADERS, asset, beside])
        if not np.isfinite(window.close).all():
            continue
        for kind, held in found.items():
            false = window if kind == "truth" else nonsense.planted(window, kind, len(LEADERS), FEED_H)
            columns, _ = inputs_of(false, market=Market.LEADERS).served(np.arange(BEFORE_H, BEFORE_H + FEED_H))
            held.append(columns[:, len(LEADERS)])
    return found


def trial_of(distance: unlike_forest.Score, rows: Rows, feeds: dict[str, list[Floats]]) -> dict[str, Any]:
    """What one score, scaled to its own 99.9 % quantile, says of nonsense, of crashes and of strangers."""

    def share(chosen: Flags) -> dict[str, float]:
        said = distance(rows.where(chosen))
        return {"rows": len(said), "above": float((said > 1).mean()), "most": float(said.max(initial=0.0))}

    caught: dict[str, dict[str, float]] = {}
    for kind, cases in feeds.items():
        # an input that is not finite is refused, which catches it too
        said = np.stack([np.where(np.isfinite(case).all(axis=1), distance(np.nan_to_num(case)), 2.0) for case in cases])
        hits = said > 1
        first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1.0, np.inf)
        caught[kind] = {"caught": float(hits.any(axis=1).mean()), "median_bars": float(np.median(first))}
    later = rows.between("2023-01-08", "2100-01-01")
    return {
        "feeds": caught,
        "crashes": {begins: share(rows.between(begins, ends)) for begins, ends in CRASHES},
        "later, known assets": share(later & ~rows.left_out),
        "later, assets left out": share(later & rows.left_out),
    }


def served_of(distance: Distance, rows: Rows) -> dict[str, dict[str, float]]:
    later = rows.between("2024-01-08", "2100-01-01")
    parts = {"test": later & ~rows.left_out, "test, assets left out": later & rows.left_out}
    return {
        part: {"rows": int(chosen.sum()), "above": float((distance.distance(rows.where(chosen)) > 1).mean())}
        for part, chosen in parts.items()
        if chosen.any()
    }


def _golden(rows: Rows, training: Flags) -> Floats:
    """Hours as they were, an absurd one, and one without anything but bars."""
    rng = np.random.default_rng(SEED)
    columns = rows.where(training)[np.sort(rng.choice(int(training.sum()), 32, replace=False))]
    absurd, bare = columns[0] + 3.0, columns[1].copy()
    for feature in VOLATILITY:
        if feature.mask or feature.name.startswith("has_"):
            bare[VOLATILITY_NAMES.index(feature.name)] = 0.0
    return np.concatenate((columns, [absurd, bare]))


def _card(distance: Distance, rows: Rows, training: Flags, data: Path, report: dict[str, Any]) -> dict[str, Any]:
    ours, forest = report["mahalanobis"], report["isolation_forest"]
    days = rows.known_ms[training].astype("datetime64[ms]").astype("datetime64[D]")
    return {
        "name": NAME,
        "title": "Unlike the training data: Mahalanobis distance",
        "what": (
            "Distance of a market's inputs from the hours of training, shrunk covariance, over the 99.9 % quantile of "
            "those hours: above 1 the node lets the baseline speak too. `standard` says which input is far."
        ),
        "command": COMMAND,
        "features_version": VERSION,
        "columns": list(VOLATILITY_NAMES),
        "trained_from": str(days.min()),
        "trained_to": dataset.TRAIN_END,
        "assets": sorted(set(rows.asset[training].tolist())),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(data),
        "tolerance": 1e-12,
        "parity": report["parity"],
        "seeds": [SEED],
        "parameters": {"shrink": SHRINK, "quantile": QUANTILE, "clip_sd": CLIP_SD, "scale": distance.scale},
        "inputs": [
            {
                "name": "columns",
                "dtype": "float64",
                "shape": ["batch", str(len(VOLATILITY_NAMES))],
                "unit": "see the catalogue",
                "meaning": "the volatility inputs of hourly-2 in order; of absent ones the mask is zero",
                "low": -12.0,
                "high": 12.0,
            }
        ],
        "outputs": [
            {
                "name": "unlike",
                "dtype": "float64",
                "shape": ["batch"],
                "unit": "distance over its 99.9 % quantile",
                "meaning": "0 at the centre of the training data, above 1 unlike it",
                "low": 0.0,
                "high": 1000.0,
            },
            {
                "name": "standard",
                "dtype": "float64",
                "shape": ["batch", str(len(USED))],
                "unit": "standard deviations",
                "meaning": "each used input, zero where absent: " + ", ".join(USED),
                "low": -CLIP_SD,
                "high": CLIP_SD,
            },
        ],
        "metrics": [*_metrics(ours, "mahalanobis"), *_metrics(forest, "isolation forest"), *_served(report["served"])],
        "limits": [
            "It sees scale-free inputs: a feed that was in other units all along looks as it should.",
            "What is absent sits at the centre: a feed that loses its sources comes nearer, not further.",
            "A crash like that of March 2020 is unlike a calm training set, and rightly; the share is above.",
            f"Twice a volume, or closes that bounce by 1 %, stay inside: see the shares caught, of {FEEDS} cases each.",
        ],
    }


def _metrics(found: dict[str, Any], score: str) -> list[dict[str, Any]]:
    rows = [
        {"name": f"caught within a day: {kind}", "part": f"trial, {score}", "value": feed["caught"]}
        for kind, feed in found["feeds"].items()
    ]
    rows += [
        {"name": f"hours above 1, crash of {begins}", "part": f"trial, {score}", "value": share["above"]}
        for begins, share in found["crashes"].items()
        if share["rows"]
    ]
    return rows + [
        {"name": f"hours above 1, {part}", "part": f"trial, {score}", "value": found[part]["above"]}
        for part in ("later, known assets", "later, assets left out")
    ]


def _served(found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    return [{"name": "hours above 1", "part": part, "value": share["above"]} for part, share in found.items()]


def _from(panel: Panel, day: str) -> Panel:
    return _rows(panel, max((ms(day) - int(panel.open_ms[0])) // HOUR_MS, 0), panel.hours)


def _rows(panel: Panel, first: int, end: int) -> Panel:
    return Panel(panel.open_ms[first:end], panel.assets, **{name: getattr(panel, name)[first:end] for name in COLUMNS})


if __name__ == "__main__":
    main()
