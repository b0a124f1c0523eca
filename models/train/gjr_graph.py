"""The graph of gjr_garch_t: the recursion as its exact weighted sum, and the ladder of a Student-t.

    h_t = w + (a + g 1[r_{t-1} < 0]) r_{t-1}^2 + b h_{t-1}        (Glosten, Jagannathan and Runkle 1993)

w makes the unconditional variance equal to the mean square of the market's own returns (variance targeting, Engle and
Mezrich 1996).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import onnx.parser
from scipy import stats

from margrave.score import features
from margrave.score.features import Floats
from train import export
from train.dataset import HORIZON_H, LOG_CAP

SQUARES: Final = """
    size = Shape <start = 1, end = 2> (returns_1h)
    length = Squeeze (size)
    zero = Constant <value_int: int = 0> ()
    one = Constant <value_int: int = 1> ()
    column = Constant <value_ints: ints = [1]> ()
    position = Range (zero, length, one)
    bars_column = Unsqueeze (bars, column)
    first = Sub (length, bars_column)
    known = GreaterOrEqual (position, first)
    square = Mul (returns_1h, returns_1h)
    known_square = Where (known, square, none)
"""
"""From `returns_1h` and `bars`: which hours are a market's own, and their squared returns."""
LEVEL: Final = f"""{SQUARES}
    total = ReduceSum <keepdims = 1> (known_square, column)
    count = Cast <to = 11> (bars_column)
    mean = Div (total, count)
    level = Max (mean, floor)
"""
"""And their mean, which the variance is brought back to."""

PROBABILITIES: Final = {"q975": 0.025, "q995": 0.005, "es99": 0.01, "q9995": 0.0005, "es999": 0.001}


@dataclass(frozen=True, slots=True)
class Recursion:
    alpha: float
    gamma: float
    beta: float

    @property
    def persistence(self) -> float:
        return self.alpha + self.gamma / 2 + self.beta


@dataclass(frozen=True, slots=True)
class Tail:
    """Student-t of the return over the horizon: its scale is `scale` sigma (pivot / sigma)^pull.

    The recursion's highest forecasts come true only in part, so the ladder follows sigma with a power below one.
    """

    nu: float
    scale: float
    pull: float = 0.0
    pivot: float = 1.0

    def rungs(self) -> Floats:
        """The five rungs of one side in units of sigma (pivot / sigma)^pull, ascending, shape (5,)."""
        return np.array([self._rung(name, p) for name, p in PROBABILITIES.items()])

    def quantile(self, p: float) -> float:
        return float(self.scale * stats.t.isf(p, self.nu))

    def shortfall(self, p: float) -> float:
        """Mean beyond the p-quantile: f(q) (nu + q^2) / ((nu - 1) p) for a Student-t (McNeil, Frey, Embrechts 2.2)."""
        q = stats.t.isf(p, self.nu)
        return float(self.scale * stats.t.pdf(q, self.nu) * (self.nu + q * q) / ((self.nu - 1) * p))

    def _rung(self, name: str, p: float) -> float:
        return self.shortfall(p) if name.startswith("es") else self.quantile(p)


def filter_variance(recursion: Recursion, returns: Floats) -> Floats:
    """The recursion as a loop: one-step-ahead variances (n + 1,), the last one about the future. The test oracle."""
    level = max(float(np.mean(returns**2)), features.VARIANCE_FLOOR)
    h = np.empty(len(returns) + 1)
    h[0] = level
    for t, r in enumerate(returns):
        impulse = (recursion.alpha + recursion.gamma * (r < 0)) * r * r
        h[t + 1] = level * (1 - recursion.persistence) + impulse + recursion.beta * h[t]
    return h


def graph(recursion: Recursion, tail: Tail) -> onnx.ModelProto:
    """The recursion as a weighted sum in float64, any batch, any length.

    Hours before a market's first bar contribute what keeps the variance at its level, so short histories need no
    branch. Parameters are float64 tensors: as graph attributes they would be rounded to float32.
    """
    body = f"""
        <ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>
        gjr_garch_t (double[batch, hours] returns_1h, int64[batch] bars)
            => (double[batch] sigma, double[batch, ten] ladder, double[batch, four] es_quantiles,
                double[batch, hours_ahead] variance_path)
        {{
            {LEVEL}

            negative = Less (returns_1h, none)
            weight = Where (negative, alpha_gamma, alpha)
            relative = Div (square, level)
            shock = Mul (weight, relative)
            impulse = Where (known, shock, steady)
            fed = Add (impulse, pull)
            last = Sub (length, one)
            age_int = Sub (last, position)
            age = Cast <to = 11> (age_int)
            age_log = Mul (age, log_beta)
            decay = Exp (age_log)
            decayed = Mul (fed, decay)
            shocks = ReduceSum <keepdims = 1> (decayed, column)
            length_double = Cast <to = 11> (length)
            start_log = Mul (length_double, log_beta)
            start = Exp (start_log)
            next = Add (shocks, start)

            excess = Sub (next, unit)
            fading = Mul (excess, fade)
            path = Add (fading, unit)
            variance_path = Mul (path, level)
            variance = ReduceSum <keepdims = 1> (variance_path, column)
            sigma_column = Sqrt (variance)
            sigma = Squeeze (sigma_column, column)
            over_pivot = Div (sigma_column, pivot)
            over_log = Log (over_pivot)
            given_log = Mul (over_log, kept)
            given_over_pivot = Exp (given_log)
            pulled = Mul (given_over_pivot, pivot)
            ten_moves = Mul (pulled, rungs)
            ten_capped = Min (ten_moves, cap)
            ten_signed = Mul (ten_capped, sign_ten)
            ten_growth = Exp (ten_signed)
            ten_change = Sub (ten_growth, unit)
            ladder = Mul (ten_change, sign_ten)
            four_moves = Mul (pulled, quantiles)
            four_capped = Min (four_moves, cap)
            four_signed = Mul (four_capped, sign_four)
            four_growth = Exp (four_signed)
            four_change = Sub (four_growth, unit)
            es_quantiles = Mul (four_change, sign_four)
        }}
    """
    model = onnx.parser.parse_model(body)
    side = tail.rungs()
    constants: dict[str, Any] = {
        "none": 0.0,
        "unit": 1.0,
        "floor": features.VARIANCE_FLOOR,
        "alpha": recursion.alpha,
        "alpha_gamma": recursion.alpha + recursion.gamma,
        "steady": recursion.alpha + recursion.gamma / 2,
        "pull": 1 - recursion.persistence,
        "log_beta": np.log(recursion.beta),
        "fade": recursion.persistence ** np.arange(HORIZON_H),
        "pivot": tail.pivot,
        "kept": 1 - tail.pull,
        "rungs": np.concatenate([side, side]),
        "quantiles": np.tile([tail.quantile(0.01), tail.quantile(0.001)], 2),
        "sign_ten": np.repeat([-1.0, 1.0], 5),
        "sign_four": np.repeat([-1.0, 1.0], 2),
        "cap": LOG_CAP,
    }
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value, dtype=np.float64), name) for name, value in constants.items()
    )
    return model
