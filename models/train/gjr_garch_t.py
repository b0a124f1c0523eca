"""GJR-GARCH(1,1) with Student-t tails: one recursion for every market, exported as its exact weighted sum.

    h_t = w + (a + g 1[r_{t-1} < 0]) r_{t-1}^2 + b h_{t-1}        (Glosten, Jagannathan and Runkle 1993)

The constants a, g, b are the medians of maximum-likelihood fits per asset (`arch`). The level is not fitted: w makes
the unconditional variance equal to the mean square of the market's own returns (variance targeting, Engle and Mezrich
1996), so that a market that was never seen has a forecast from its first weeks of bars.

Aggregation: the horizon's variance is the sum of the forecasts of its hours. The sum of Student-t returns is not
Student-t, so nothing is derived from the hourly fit: degrees of freedom, scale and how far the scale follows sigma
(`Tail`) are fitted once, on pooled, not overlapping returns over the whole horizon. Quantiles and expected shortfalls
are those of the log return, carried to simple returns by 1 - exp(-x) and exp(x) - 1.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.gjr_garch_t
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from arch import arch_model
from scipy import optimize, stats

from margrave.score import features
from margrave.score.features import Floats, Ints
from margrave.spans import HOUR_MS
from train import dataset, evaluate, export, stress
from train.dataset import HORIZON_H, RETURNS_H, Series
from train.gjr_graph import Recursion, Tail, graph
from train.pool import command

NAME: Final = "gjr_garch_t/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.gjr_garch_t"


def main() -> None:
    data = dataset.folder()
    everything = dataset.load(data)
    training = [series for series in everything if series.asset not in dataset.LEFT_OUT]
    fits = fit_assets(training)
    recursion = pooled(fits)
    tail = fit_tail(recursion, training)
    print(f"{len(fits)} assets: {recursion} {tail}")
    model = graph(recursion, tail)
    report = evaluate.report(evaluate.collect(everything, {NAME: model.SerializeToString()}), subject=NAME)
    report["fits"] = fits
    example = next(s for s in everything if s.asset == "ETH" and len(s.close_ms) > 5000)
    rows = np.linspace(features.MIN_BARS - 1, len(example.close_ms) - 1, 24).astype(np.int64)
    published = export.publish(model, _golden(example, rows), _card(recursion, tail, training, data, report), report)
    print(f"published {published.name}")


def fit_asset(returns: Floats) -> dict[str, float]:
    """Maximum likelihood on one series of hourly log returns; the fit runs in percent, as `arch` likes it."""
    fit = arch_model(100 * returns, mean="Zero", vol="GARCH", p=1, o=1, q=1, dist="t").fit(
        disp="off", show_warning=False
    )
    found = {name: float(value) for name, value in fit.params.items()}
    return {
        "omega": found["omega"] / 1e4,
        "alpha": found["alpha[1]"],
        "gamma": found["gamma[1]"],
        "beta": found["beta[1]"],
        "nu": found["nu"],
        "converged": float(fit.convergence_flag == 0),
    }


def pooled(fits: dict[str, dict[str, float]]) -> Recursion:
    """Medians over the assets that converged; the persistence is kept below one so that a level exists."""
    good = [fit for fit in fits.values() if fit["converged"]]
    alpha, gamma, beta = (float(np.median([fit[name] for fit in good])) for name in ("alpha", "gamma", "beta"))
    beta = min(beta, 0.995 - alpha - gamma / 2)
    return Recursion(alpha, gamma, beta)


def fit_tail(recursion: Recursion, training: list[Series]) -> Tail:
    """Student-t by maximum likelihood on pooled horizon returns that do not overlap, given the recursion's sigma."""
    sigma_only = graph(recursion, Tail(4.0, 1.0)).SerializeToString()
    moves, sigmas = [], []
    for series in training:
        rows = np.flatnonzero(series.rows("train"))
        rows = rows[series.close_ms[rows] // HOUR_MS % HORIZON_H == 0]
        if len(rows):
            moves.append(np.log1p(series.outcome[rows]))
            sigmas.append(_sigma(sigma_only, series, rows))
    return student(np.concatenate(moves), np.concatenate(sigmas))


def student(moves: Floats, sigma: Floats) -> Tail:
    """Maximum likelihood of a Student-t with scale `scale` sigma (pivot / sigma)^pull; log returns and sigmas (n,)."""
    pivot = float(np.exp(np.log(sigma).mean()))
    over = np.log(sigma / pivot)

    def loss(parameters: Floats) -> float:
        log_nu, log_scale, pull = parameters
        log_width = log_scale + np.log(sigma) - pull * over
        return float((log_width - stats.t.logpdf(moves * np.exp(-log_width), np.exp(log_nu))).mean())

    fit = optimize.minimize(loss, [np.log(4.0), np.log(0.7), 0.0], method="Nelder-Mead", options={"xatol": 1e-6})
    log_nu, log_scale, pull = fit.x
    return Tail(float(np.exp(log_nu)), float(np.exp(log_scale)), float(pull), pivot)


def _sigma(model: bytes, series: Series, rows: Ints) -> Floats:
    pieces = np.array_split(rows, len(rows) // 4096 + 1)
    return np.concatenate([export.run(model, dataset.model_inputs(series, piece))["sigma"] for piece in pieces])


def fit_assets(training: list[Series]) -> dict[str, dict[str, float]]:
    """One fit an asset, on its longest stretch of the training part."""
    fits: dict[str, dict[str, float]] = {}
    for asset in sorted({series.asset for series in training}):
        stretches = [s.table.log_return[s.rows("train")] for s in training if s.asset == asset]
        longest = max(stretches, key=len)
        if len(longest) > 2000:
            fits[asset] = fit_asset(longest)
    return fits


def _golden(series: Series, rows: Ints) -> dict[str, Any]:
    inputs = dataset.model_inputs(series, rows)
    return {name: inputs[name] for name in ("returns_1h", "bars")}


def limits(report: Mapping[str, Any]) -> list[str]:
    test = report["parts"]["test"]["models"][NAME]
    hits, stressed = test["hits"], test["stress"]
    deep = max(hits[f"{side}_q9995"]["rate"] for side in ("down", "up"))
    return [
        "Symmetric tails: the same figure down and up in log returns.",
        "Close-to-close returns only: it sees no range inside an hour and no hour of the day.",
        "The level is the mean square of the last four weeks: after a crash it stays high for four weeks.",
        f"Its highest forecasts are too high: in the top {stress.TOP_SHARE:.0%} of test rows squared returns were "
        f"{stressed['variance']:.2f} of its variance, and the 97.5 % rung down was exceeded "
        f"{100 * stressed['down']['q975_rate']:.1f} % of the time.",
        "Rungs beyond the 99.5 % quantile follow from the Student-t, not from counted exceedances. They are wide: on "
        f"the test part the 99.95 % rungs were exceeded {100 * deep:.2f} % of the time, where 0.05 % is right.",
        "No rung says more than -67 % or +200 %; the largest moves in training were -54 % and +125 %.",
        f"Made for {HORIZON_H} h only.",
        "Coins that failed, stablecoins and wrapped assets are not in the training data.",
    ]


def _card(
    recursion: Recursion, tail: Tail, training: list[Series], data: Path, report: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": NAME,
        "title": "GJR-GARCH with Student-t tails, pooled",
        "what": (
            "Variance of the next four hours by a GJR-GARCH(1,1) recursion with variance targeting, and the return "
            "ladder of a Student-t. The baseline: what speaks when the main model refuses its input."
        ),
        "command": COMMAND,
        "horizon_s": HORIZON_H * 3600,
        "features_version": features.VERSION,
        "trained_from": evaluate.day(min(int(s.close_ms[0]) for s in training)),
        "trained_to": dataset.TRAIN_END,
        "assets": sorted({s.asset for s in training}),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(data),
        "tolerance": 1e-12,
        "seeds": [],
        "parameters": {
            "alpha": recursion.alpha,
            "gamma": recursion.gamma,
            "beta": recursion.beta,
            "nu": tail.nu,
            "scale": tail.scale,
            "pull": tail.pull,
            "pivot": tail.pivot,
        },
        "inputs": evaluate.return_tensors(RETURNS_H),
        "outputs": [
            *evaluate.output_tensors("float64"),
            {
                "name": "variance_path",
                "dtype": "float64",
                "shape": ["batch", "4"],
                "unit": "squared log return",
                "meaning": "variance forecast of each hour of the horizon",
                "low": 0.0,
                "high": 10.0,
            },
        ],
        "metrics": report["card_metrics"],
        "limits": limits(report),
    }


if __name__ == "__main__":
    command(main)
