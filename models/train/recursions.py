"""The classical recursions as models of the registry: EWMA plain and asymmetric, GARCH-t, GJR-GARCH-t, EGARCH-t.

One recursion for every market. The EWMAs' decay (and weight of losses) are the likeliest for normal returns of all
training assets at once; the GARCHs' constants are medians of maximum-likelihood fits per asset (`arch`) on its last two
years of training. The tails are Student's, fitted once on pooled returns of each horizon that do not overlap, given the
recursion's sigma. `recursion_graph` has the formulas.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.recursions [NAME ...]
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from arch import arch_model
from numpy.typing import NDArray
from scipy import optimize, special

from margrave.errors import Fatal
from margrave.lab.court.families.registered_inputs import Pairs, returns
from margrave.lab.court.families.volatility.egarch import NORM, Exponential, _filtered
from margrave.lab.court.families.volatility.ewma import _loss as ewma_loss
from margrave.lab.court.families.volatility.measures import latest
from margrave.lab.court.family import HORIZONS_H, TAIL_HORIZONS_H
from margrave.lab.court.panel import Panel
from margrave.score import features
from margrave.spans import HOUR_MS
from train import dataset, evaluate, export, judged
from train.gjr_garch_t import student
from train.gjr_graph import Tail
from train.pool import FIT_H, Pool, command, pool
from train.recursion_graph import ALL_LEVELS, MOST_MOVE, Shape, exponential, linear

Floats = NDArray[np.float64]

TAIL_EVERY_H: Final = {1: 13, 4: 12, 24: 24}
"""Training rows of the tails lie so far apart: what came does not overlap, and 13 meets every hour of the week."""
LEAST_FIT: Final = 2_000
GOLDEN_ROWS: Final = 24
FLAT: Final = tuple(Tail(4.0, 1.0) for _ in TAIL_HORIZONS_H)
"""Tails that nobody reads, for a graph that is asked for sigma only."""

Fitted = Shape | Exponential


@dataclass(frozen=True, slots=True)
class Spec:
    name: str
    title: str
    what: str
    fit: Callable[[Panel], tuple[Fitted, dict[str, float]]]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Built:
    graph: onnx.ModelProto
    fitted: Fitted
    tails: tuple[Tail, ...]
    parameters: dict[str, float]


def build(spec: Spec, trained: Panel) -> Built:
    """Everything that a training command computes, without writing it."""
    fitted, parameters = spec.fit(trained)
    family = spec.name.split("/")[0]
    sigma_only = graph(family, fitted, FLAT).SerializeToString()
    tails = tuple(fit_tail(sigma_only, trained, horizon_h) for horizon_h in TAIL_HORIZONS_H)
    for horizon_h, tail in zip(TAIL_HORIZONS_H, tails, strict=True):
        for key in ("nu", "scale", "pull", "pivot"):
            parameters[f"{key}_{horizon_h}h"] = getattr(tail, key)
    return Built(graph(family, fitted, tails), fitted, tails, parameters)


def graph(family: str, fitted: Fitted, tails: Sequence[Tail]) -> onnx.ModelProto:
    return linear(family, fitted, tails) if isinstance(fitted, Shape) else exponential(family, fitted, tails)


# --- fits -------------------------------------------------------------------------------------------------------------


def series(trained: Panel) -> list[Floats]:
    """Each asset's last two years of hourly log returns without a gap; assets with too few are left out.

    Raises:
        Fatal: none has enough.
    """
    found = [trained.log_return[latest(trained, place, FIT_H), place] for place in range(len(trained.assets))]
    found = [one for one in found if len(one) >= LEAST_FIT and np.any(one)]
    if not found:
        raise Fatal(
            f"no asset has {LEAST_FIT} hours without a gap at the end of the training part",
            advice="point MARGRAVE_DATA at a folder with a longer history",
        )
    return found


def fit_ewma(trained: Panel, *, skewed: bool) -> tuple[Shape, dict[str, float]]:
    """The likeliest decay, and weight of losses, over all assets: each counts the same."""
    parts = series(trained)

    def shape(x: Floats) -> Shape:
        keep = float(special.expit(x[0]))
        return Shape(1.0 - keep, float(np.tanh(x[1])) if skewed else 0.0, keep)

    def loss(x: Floats) -> float:
        return float(np.mean([ewma_loss(shape(x).at(float(np.mean(one**2))), one) for one in parts]))

    start = np.array([3.5, 0.1][: 1 + skewed])
    found = optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11})
    best = shape(found.x)
    return best, {"keep": best.keep, "skew": best.skew}


def fit_garch(trained: Panel, *, skewed: bool) -> tuple[Shape, dict[str, float]]:
    fits = [found for one in series(trained) if (found := garch_of(one, skewed=skewed)) is not None]
    alpha, gamma, beta = np.median(np.array(fits), axis=0).tolist()
    beta = min(beta, 0.995 - alpha - gamma / 2)  # so that a level exists
    shock = alpha + gamma / 2
    return Shape(shock, gamma / 2 / shock, beta), {"alpha": alpha, "gamma": gamma, "beta": beta}


def garch_of(one: Floats, *, skewed: bool) -> tuple[float, float, float] | None:
    """(alpha, gamma, beta) by `arch`; `None` where it does not converge."""
    model = arch_model(_unit(one), mean="Zero", vol="GARCH", p=1, o=int(skewed), q=1, dist="t", rescale=False)
    fit = _fit(model)
    if fit.convergence_flag:
        return None
    found = fit.params
    return float(found["alpha[1]"]), float(found["gamma[1]"]) if skewed else 0.0, float(found["beta[1]"])


def fit_egarch(trained: Panel) -> tuple[Exponential, dict[str, float]]:
    fits = [found for one in series(trained) if (found := egarch_of(one)) is not None]
    omega, alpha, gamma, beta, shock = np.median(np.array(fits), axis=0).tolist()
    found = Exponential(omega, alpha, gamma, beta, float("nan"), 1.0, shock)
    return found, {"omega": omega, "alpha": alpha, "gamma": gamma, "beta": beta, "shock_variance": shock}


def egarch_of(one: Floats) -> tuple[float, float, float, float, float] | None:
    """(omega, alpha, gamma, beta, variance of the shocks) for returns of mean square one."""
    unit = _unit(one)
    fit = _fit(arch_model(unit, mean="Zero", vol="EGARCH", p=1, o=1, q=1, dist="t", rescale=False))
    if fit.convergence_flag:
        return None
    omega, alpha, gamma, beta = (float(fit.params[name]) for name in ("omega", "alpha[1]", "gamma[1]", "beta[1]"))
    errors = unit / np.exp(0.5 * _filtered(np.array([omega, alpha, gamma, beta]), unit)[:-1])
    return omega, alpha, gamma, beta, float(np.var(alpha * (np.abs(errors) - NORM) + gamma * errors))


def _unit(one: Floats) -> Floats:
    return np.asarray(one / np.sqrt(np.mean(one**2)))


def _fit(model: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that does not converge is left out by its flag
        return model.fit(disp="off", show_warning=False)


def fit_tail(sigma_only: bytes, trained: Panel, horizon_h: int) -> Tail:
    """Student's t by maximum likelihood on pooled returns over the horizon, given the recursion's sigma."""
    rows = np.arange(features.MIN_BARS, trained.hours - horizon_h)
    rows = rows[(trained.open_ms[rows] // HOUR_MS + 1) % TAIL_EVERY_H[horizon_h] == 0]
    outcome = trained.outcome(horizon_h)[rows]
    there = np.isfinite(outcome) & (trained.age_h[rows] > features.LONG_H)
    at, assets = np.nonzero(there)
    pairs = Pairs(rows[at], assets.astype(np.int64))
    sigma = np.exp(0.5 * log_variance(sigma_only, trained, pairs)[:, HORIZONS_H.index(horizon_h)])
    return student(outcome[at, assets], sigma)


def log_variance(model: bytes, panel: Panel, pairs: Pairs) -> Floats:
    """(pairs, HORIZONS_H)."""
    ask = export.asker(model)
    found = []
    for piece in np.array_split(np.arange(len(pairs)), len(pairs) // 4096 + 1):
        _, given = returns(None, panel, pairs.only(piece))
        found.append(ask(given)["log_variance"])
    return np.concatenate(found)


# --- what goes into the registry --------------------------------------------------------------------------------------


def reference(fitted: Fitted, one: Floats) -> Floats:
    """log variance (HORIZONS_H,) of the court's own filter after returns (n,) whose mean square is the level."""
    level = max(float(np.mean(one**2)), features.VARIANCE_FLOOR)
    if isinstance(fitted, Shape):
        court: Any = fitted.at(level)
    else:
        court = Exponential(
            fitted.omega, fitted.alpha, fitted.gamma, fitted.beta, fitted.nu, level, fitted.shock_variance
        )
    last = court.run(one)[-1:]
    return np.log([float(court.ahead(last, horizon_h)[0]) for horizon_h in HORIZONS_H])


def golden(trained: Panel) -> dict[str, NDArray[Any]]:
    """Rows spread over the asset with the most hours; one of them has few bars."""
    asset = int(np.argmax(trained.present.sum(axis=0)))
    rows = np.flatnonzero(trained.age_h[:, asset] >= features.MIN_BARS)
    rows = rows[np.linspace(0, len(rows) - 1, GOLDEN_ROWS).astype(np.int64)]
    _, given = returns(None, trained, Pairs(rows, np.full(len(rows), asset)))
    return dict(given)


def parity(built: Built, inputs: dict[str, NDArray[Any]]) -> float:
    """Largest relative difference of a variance between the graph and the court's filter."""
    said = export.run(built.graph.SerializeToString(), inputs)["log_variance"]
    wanted = [
        reference(built.fitted, one[-bars:]) for one, bars in zip(inputs["returns_1h"], inputs["bars"], strict=True)
    ]
    return float(np.abs(np.expm1(said - np.array(wanted))).max())


def card(spec: Spec, built: Built, trained: Pool, difference: float) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "what": spec.what,
        "command": f"MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.recursions {spec.name}",
        "features_version": features.VERSION,
        **trained.said,
        "tolerance": 1e-12,
        "parity": difference,
        "seeds": [],
        "horizons_h": list(HORIZONS_H),
        "tails_h": list(TAIL_HORIZONS_H),
        "levels": list(ALL_LEVELS),
        "parameters": built.parameters,
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "metrics": [],
        "limits": [
            *spec.limits,
            "Close-to-close returns only: it sees no range inside an hour and no hour of the day.",
            "The level is the mean square of the last four weeks: after a crash it stays high for four weeks.",
            "Tails are symmetric in the log return, and their rungs beyond the 99.5 % quantile follow from the Student "
            "t, not from counted exceedances.",
            f"No rung says more than {1 - np.exp(-MOST_MOVE):.0%} down or {np.exp(MOST_MOVE):.0f}-fold up.",
        ],
    }


INPUTS: Final = evaluate.return_tensors(features.LONG_H)
LOG_VARIANCE: Final[dict[str, Any]] = {
    "name": "log_variance",
    "dtype": "float64",
    "shape": ["batch", "4"],
    "unit": "log of squared log return",
    "meaning": "variance of the log return over the next 1, 4, 24 and 168 h",
    "low": -25.0,
    "high": 5.0,
}
OUTPUTS: Final[list[dict[str, Any]]] = [
    LOG_VARIANCE,
    *(
        {
            "name": name,
            "dtype": "float64",
            "shape": ["batch", "3", "2", "6"],
            "unit": "log return, magnitude",
            "meaning": f"{what} over 1, 4 and 24 h, down and up, at the levels of the card",
            "low": 0.0,
            "high": MOST_MOVE,
        }
        for name, what in (("var", "value at risk"), ("es", "expected shortfall"))
    ),
]

SPECS: Final = (
    Spec(
        "ewma/1",
        "Exponentially weighted variance",
        "One decay for all markets (RiskMetrics 1996), the likeliest for normal returns. The variance of an hour is "
        "that of every hour ahead.",
        lambda past: fit_ewma(past, skewed=False),
        ("It does not revert: a week after a crash is forecast as its last hours were.",),
    ),
    Spec(
        "ewma_asymmetric/1",
        "Exponentially weighted variance, losses counting more",
        "As ewma/1, with a weight of losses over gains that is fitted too (Alexander and Dakos 2023 find such filters "
        "as accurate for crypto as GARCH).",
        lambda past: fit_ewma(past, skewed=True),
        ("It does not revert: a week after a crash is forecast as its last hours were.",),
    ),
    Spec(
        "garch_t/1",
        "GARCH(1,1) with Student-t errors, pooled",
        "Bollerslev's (1986) recursion with variance targeting; its constants are medians over the assets.",
        lambda past: fit_garch(past, skewed=False),
        (),
    ),
    Spec(
        "gjr_garch_t/2",
        "GJR-GARCH(1,1) with Student-t errors, pooled, four horizons",
        "As gjr_garch_t/1 (Glosten, Jagannathan and Runkle 1993), for 1 to 168 h and with tails at 1, 4 and 24 h.",
        lambda past: fit_garch(past, skewed=True),
        (),
    ),
    Spec(
        "egarch_t/1",
        "EGARCH(1,1) with Student-t errors, pooled",
        "Nelson's (1991) recursion of the logarithm, hour by hour in the graph. Several hours ahead the logarithm is "
        "taken for normal, because under a Student-t its exponential has no mean.",
        fit_egarch,
        ("Hour by hour it takes milliseconds where the linear recursions take microseconds.",),
    ),
)


def main() -> None:
    wanted = sys.argv[1:]
    if unknown := sorted(set(wanted) - {spec.name for spec in SPECS}):
        raise Fatal(f"no model here is called {', '.join(unknown)}", advice=f"{', '.join(s.name for s in SPECS)} are")
    found = pool(dataset.folder())
    trained = found.training
    inputs = golden(trained)
    for spec in SPECS:
        if wanted and spec.name not in wanted:
            continue
        built = build(spec, trained)
        difference = parity(built, inputs)
        export.agreeing(spec.name, "graph and filter", difference, 1e-12)
        export.publish(built.graph, inputs, card(spec, built, found, difference), {})
        print(f"{spec.name}: {built.parameters}", flush=True)
    judged.write([spec.name for spec in SPECS if not wanted or spec.name in wanted], found)


if __name__ == "__main__":
    command(main)
