"""How good a model is on what it has not seen: losses, differences to baselines with their t, hit rates with Kupiec.

Rows are every fourth hour, so that outcomes do not overlap. Losses:

* pinball (Koenker and Bassett 1978) for each quantile rung, in basis points of return;
* FZ0 (Fissler and Ziegel 2016; Patton, Ziegel and Chen 2019) for the pairs (q99, ES99) and (q99.9, ES99.9); it contains
  a logarithm, so only differences mean something;
* QLIKE for sigma, against the sum of squared hourly returns.

`stress` has what is said of the highest forecasts and of three crises.

A difference is averaged over assets at each time first, then tested over time with Newey-West errors (Diebold and
Mariano 1995), because assets crash together. Kupiec's (1995) test pools assets and is therefore too strict: it is
also given per asset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from margrave.lab.court import losses as loss_of
from margrave.lab.court.comparison import diebold_mariano
from margrave.lab.court.coverage import kupiec
from margrave.messages import Ladder
from margrave.score import features
from margrave.score.features import Floats
from margrave.spans import HOUR_MS
from train import dataset, export, stress
from train.dataset import HORIZON_H, Series

RUNGS: Final = Ladder.__struct_fields__
QUANTILES: Final = {"q975": 0.025, "q995": 0.005, "q9995": 0.0005}
PAIRS: Final = {"es99": 0.01, "es999": 0.001}
SIDES: Final = ("down", "up")
EWMA: Final = "ewma_normal"
HISTORICAL: Final = "historical_90d"
HISTORY_H: Final = 2160
EWMA_DECAY: Final = 0.97
NEWEY_WEST_LAGS: Final = 12


@dataclass(frozen=True, slots=True)
class Said:
    """What one model said on n rows: ladder (n, 10), the quantiles beneath its shortfalls (n, 4), sigma (n,)."""

    ladder: Floats
    es_quantiles: Floats
    sigma: Floats


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of validation, test and the crises of training, what happened, and what every model had said."""

    asset: np.ndarray[Any, Any]
    close_ms: np.ndarray[Any, Any]
    part: np.ndarray[Any, Any]
    outcome: Floats
    realised: Floats
    said: Mapping[str, Said]


Forecasts = Callable[[Series, Floats], Said]


def collect(everything: list[Series], graphs: Mapping[str, bytes]) -> Sheet:
    """Ask every model, and the two baselines that need no file, on the non-overlapping rows of every part."""
    askers: dict[str, Forecasts] = {name: partial(_from_graph, graph) for name, graph in graphs.items()}
    askers |= {EWMA: _ewma, HISTORICAL: _historical}
    columns: dict[str, list[Any]] = {"asset": [], "close_ms": [], "part": [], "outcome": [], "realised": []}
    said: dict[str, list[Said]] = {name: [] for name in askers}
    for series in everything:
        for part in ("validation", "test", *stress.CRISES):
            rows = np.flatnonzero(_belong(series, part))
            rows = rows[series.close_ms[rows] // HOUR_MS % HORIZON_H == 0]
            if not len(rows):
                continue
            columns["asset"].append(np.full(len(rows), series.asset))
            columns["close_ms"].append(series.close_ms[rows])
            columns["part"].append(np.full(len(rows), part))
            columns["outcome"].append(series.outcome[rows])
            columns["realised"].append(series.outcome_squares[rows])
            for name, ask in askers.items():
                said[name].append(ask(series, rows))
    return Sheet(
        **{name: np.concatenate(values) for name, values in columns.items()},
        said={
            name: Said(*(np.concatenate([getattr(x, f) for x in rows]) for f in ("ladder", "es_quantiles", "sigma")))
            for name, rows in said.items()
        },
    )


def report(sheet: Sheet, subject: str) -> dict[str, Any]:
    """The evaluation report: a block for each part, and the metrics that go on the card of `subject`."""
    left_out = np.isin(sheet.asset, dataset.LEFT_OUT)
    recent = sheet.close_ms >= pd.Timestamp("2025-12-30", tz="UTC").value // 1_000_000
    test = sheet.part == "test"
    parts = {
        "validation": (sheet.part == "validation") & ~left_out,
        "test": test & ~left_out,
        "test, assets left out": test & left_out,
        "test, BTC and ETH": test & np.isin(sheet.asset, ("BTC", "ETH")),
        "test, 2026": test & recent & ~left_out,
    }
    blocks = {name: _block(sheet, rows, subject) for name, rows in parts.items()}
    crises = {month: _crisis(sheet, (sheet.part == month) & ~left_out, subject) for month in stress.CRISES}
    return {
        "subject": subject,
        "rows": "every fourth hour; outcomes do not overlap",
        "parts": blocks,
        "crises, in-sample": crises,
        "card_metrics": _card_metrics(blocks, subject)
        + stress.card_metrics(
            ((part, blocks[part]["models"][subject]["stress"]) for part in ("validation", "test")), crises
        ),
    }


def day(ms: int) -> str:
    return str(pd.Timestamp(ms, unit="ms").date())


def return_tensors(longest_h: int) -> list[dict[str, Any]]:
    """The inputs of a model that sees hourly returns and nothing else."""
    return [
        {
            "name": "returns_1h",
            "dtype": "float64",
            "shape": ["batch", "hours"],
            "unit": "log return",
            "meaning": f"hourly log returns, the last on the right, {longest_h} at most, zero where none",
            "low": -1.0,
            "high": 1.0,
        },
        {
            "name": "bars",
            "dtype": "int64",
            "shape": ["batch"],
            "unit": "hours",
            "meaning": "how many of the returns are real",
            "low": float(features.MIN_BARS - 1),
            "high": float(longest_h),
        },
    ]


def output_tensors(dtype: str) -> list[dict[str, Any]]:
    """The outputs that every model of the ladder has."""
    return [
        {
            "name": "sigma",
            "dtype": dtype,
            "shape": ["batch"],
            "unit": "log return",
            "meaning": "standard deviation of the log return over the horizon",
            "low": 0.0,
            "high": 10.0,
        },
        {
            "name": "ladder",
            "dtype": dtype,
            "shape": ["batch", "10"],
            "unit": "simple return, magnitude",
            "meaning": ", ".join(RUNGS),
            "low": 0.0,
            "high": 20.0,
        },
        {
            "name": "es_quantiles",
            "dtype": dtype,
            "shape": ["batch", "4"],
            "unit": "simple return, magnitude",
            "meaning": "the quantiles beneath the shortfalls, for backtests: 99 and 99.9 % down, 99 and 99.9 % up",
            "low": 0.0,
            "high": 20.0,
        },
    ]


def _belong(series: Series, part: str) -> Any:
    if part in stress.CRISES:
        return stress.crisis_rows(series.close_ms, series.rows("train"), part)
    return series.rows(part)


def _crisis(sheet: Sheet, rows: Any, subject: str) -> dict[str, Any]:
    said = sheet.said[subject]
    return stress.crisis(sheet.asset[rows], sheet.outcome[rows], said.ladder[rows], said.sigma[rows])


def _from_graph(graph: bytes, series: Series, rows: Any) -> Said:
    pieces = []
    for piece in np.array_split(rows, len(rows) // 4096 + 1):
        out = export.run(graph, dataset.model_inputs(series, piece))
        pieces.append([np.asarray(out[name], dtype=np.float64) for name in ("ladder", "es_quantiles", "sigma")])
    return Said(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def _ewma(series: Series, rows: Any) -> Said:
    squares = pd.Series(np.nan_to_num(series.table.log_return) ** 2)
    hourly = squares.ewm(alpha=1 - EWMA_DECAY, adjust=True).mean().to_numpy()[rows]
    sigma = np.sqrt(HORIZON_H * np.maximum(hourly, features.VARIANCE_FLOOR))
    q = {p: float(stats.norm.isf(p)) for p in (0.025, 0.01, 0.005, 0.001, 0.0005)}
    es = {p: float(stats.norm.pdf(q[p])) / p for p in PAIRS.values()}
    side = [q[0.025], q[0.005], es[0.01], q[0.0005], es[0.001]]
    pair = [q[0.01], q[0.001]]
    return Said(_simple(np.outer(sigma, side + side), 5), _simple(np.outer(sigma, pair + pair), 2), sigma)


def _historical(series: Series, rows: Any) -> Said:
    """Empirical quantiles of the (overlapping) horizon returns of the last 90 days."""
    closes = np.log(series.history.close)
    past = closes[HORIZON_H:] - closes[:-HORIZON_H]  # past[i] is known at row i + HORIZON_H
    ladder, pairs, sigma = np.empty((len(rows), 10)), np.empty((len(rows), 4)), np.empty(len(rows))
    for i, row in enumerate(rows):
        window = past[max(0, row - HORIZON_H + 1 - HISTORY_H) : row - HORIZON_H + 1]
        sigma[i] = window.std()
        for side, moves in enumerate((-window, window)):
            ordered = np.sort(moves)[::-1]
            q = {name: np.quantile(moves, 1 - p) for name, p in (QUANTILES | PAIRS).items()}
            es = {name: ordered[: max(1, int(len(ordered) * p))].mean() for name, p in PAIRS.items()}
            rungs = [q["q975"], q["q995"], es["es99"], q["q9995"], es["es999"]]
            ladder[i, 5 * side : 5 * side + 5] = np.maximum(np.maximum.accumulate(rungs), 1e-6)
            pairs[i, 2 * side : 2 * side + 2] = np.maximum([q["es99"], q["es999"]], 1e-6)
    return Said(_simple(ladder, 5), _simple(pairs, 2), sigma)


def _simple(log_magnitudes: Floats, down: int) -> Floats:
    """Log-return magnitudes to simple-return magnitudes; the first `down` columns are the lower tail."""
    out = np.expm1(log_magnitudes)
    out[:, :down] = -np.expm1(-log_magnitudes[:, :down])
    return out


def _block(sheet: Sheet, rows: Any, subject: str) -> dict[str, Any]:
    outcome, times, assets = sheet.outcome[rows], sheet.close_ms[rows], sheet.asset[rows]
    losses: dict[str, dict[str, Floats]] = {}
    models: dict[str, Any] = {}
    for name, whole in sheet.said.items():
        said = Said(whole.ladder[rows], whole.es_quantiles[rows], whole.sigma[rows])
        losses[name] = _losses(outcome, sheet.realised[rows], said)
        models[name] = {
            "mean": {key: float(loss.mean()) for key, loss in losses[name].items()},
            "hits": _hits(outcome, assets, said),
            "stress": stress.block(outcome, said.ladder, said.sigma),
        }
    differences = {
        other: {
            key: {
                "difference": float((losses[subject][key] - losses[other][key]).mean()),
                "t": diebold_mariano(losses[subject][key], losses[other][key], times, NEWEY_WEST_LAGS).t,
            }
            for key in losses[subject]
        }
        for other in sheet.said
        if other != subject
    }
    return {
        "rows": int(rows.sum()),
        "assets": sorted({str(asset) for asset in assets}),
        "from": day(int(times.min())),
        "to": day(int(times.max())),
        "models": models,
        "against": differences,
    }


def _losses(outcome: Floats, realised: Floats, said: Said) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for side, (label, y) in enumerate(zip(SIDES, (outcome, -outcome), strict=True)):
        for name, p in QUANTILES.items():
            found[f"pinball_{label}_{name}_bp"] = 1e4 * loss_of.pinball(
                y, -said.ladder[:, RUNGS.index(f"{label}_{name}")], p
            )
        for k, (name, p) in enumerate(PAIRS.items()):
            shortfall = said.ladder[:, RUNGS.index(f"{label}_{name}")]
            found[f"fz0_{label}_{name}"] = loss_of.fz0(y, -said.es_quantiles[:, 2 * side + k], -shortfall, p)
    for name in PAIRS:
        found[f"fz0_{name}"] = (found[f"fz0_down_{name}"] + found[f"fz0_up_{name}"]) / 2
    found["qlike"] = loss_of.qlike(np.maximum(realised, 1e-9), said.sigma**2)
    return found


def _hits(outcome: Floats, assets: Any, said: Said) -> dict[str, Any]:
    """Hit rates; for expected shortfall the share of its level that was realised beyond the quantile (1 is right)."""
    hits: dict[str, Any] = {}
    for side, (label, y) in enumerate(zip(SIDES, (outcome, -outcome), strict=True)):
        for name, p in QUANTILES.items():
            beyond = -y > said.ladder[:, RUNGS.index(f"{label}_{name}")]
            cells = [kupiec(int(beyond[assets == a].sum()), int((assets == a).sum()), p).p for a in np.unique(assets)]
            hits[f"{label}_{name}"] = {
                "expected": p,
                "rate": float(beyond.mean()),
                "kupiec_p": kupiec(int(beyond.sum()), len(beyond), p).p,
                "assets_with_p_above_5_percent": float(np.mean(np.array(cells) > 0.05)),
            }
        for k, (name, _) in enumerate(PAIRS.items()):
            quantile, shortfall = said.es_quantiles[:, 2 * side + k], said.ladder[:, RUNGS.index(f"{label}_{name}")]
            beyond = -y > quantile
            found = float((-y[beyond] / shortfall[beyond]).mean()) if beyond.any() else float("nan")
            hits[f"{label}_{name}"] = {"rate_of_its_quantile": float(beyond.mean()), "realised_over_stated": found}
    return hits


def _card_metrics(blocks: Mapping[str, Any], subject: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for part in ("test", "test, assets left out"):
        block = blocks[part]
        for other, found in block["against"].items():
            for key in ("fz0_es99", "fz0_es999", "qlike"):
                row = found[key]
                statistic = f"DM t {row['t']:.1f}"
                rows.append(
                    {"name": key, "part": part, "value": row["difference"], "against": other, "statistic": statistic}
                )
        for name, hit in block["models"][subject]["hits"].items():
            if "rate" in hit:
                statistic = f"Kupiec p {hit['kupiec_p']:.3f}, assets passing {hit['assets_with_p_above_5_percent']:.0%}"
                rows.append(
                    {
                        "name": f"hit rate {name}, expected {hit['expected']:.2%}",
                        "part": part,
                        "value": hit["rate"],
                        "against": "",
                        "statistic": statistic,
                    }
                )
    return rows
