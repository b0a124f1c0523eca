"""Graphs of the variance recursions: exact weighted sums in float64 where they are linear, a Scan where not.

    h_{t+1} = (1 - p) m + s w_t r_t^2 + b h_t,   w = 1 - q for gains, 1 + q for losses,   p = s + b

in the terms of the court's `Recursion`: GARCH(1,1) has q = 0, GJR a + g/2 = s and g = 2 q s, EWMA p = 1. The level m is
not a parameter: it is the mean square of the market's own returns (variance targeting, Engle and Mezrich 1996), so that
a market that was never seen has a forecast from its first weeks. Over H hours the variances ahead fade to the level:

    sum = H m + (1 - p^H) / (1 - p) (h_{t+1} - m)

EGARCH (Nelson 1991) is a recursion of ln (h / m) in shocks that it divides by itself; several hours ahead it is as in
the court's family: the logarithm is taken for normal, with the shocks' variance of the training.

The tails are Student's, symmetric in the log return, with a scale that follows sigma by a power a little below one.
Parameters are float64 tensors: as attributes of nodes they would be rounded to float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from margrave.lab.court.families.volatility.egarch import MOST_LOG, NORM, Exponential
from margrave.lab.court.families.volatility.recursions import Recursion
from margrave.lab.court.family import HORIZONS_H, LEVELS, TAIL_HORIZONS_H
from margrave.score import features
from train import export
from train.gjr_graph import LEVEL, Tail

Floats = NDArray[np.float64]

ALL_LEVELS: Final = (*LEVELS, 0.0005)
"""The court's, and the one of the wire's deepest rung."""
MOST_MOVE: Final = 3.0
"""Log return: -95 % and 19-fold. No rung says more."""
INPUTS: Final = "double[batch, hours] returns_1h, int64[batch] bars"
OUTPUTS: Final = "double[batch, horizons] log_variance, double[batch, spans, two, levels] var, \
double[batch, spans, two, levels] es"

LINEAR: Final = """
    sign = Sign (returns_1h)
    leaning = Mul (sign, skew)
    weight = Sub (unit, leaning)
    relative = Div (square, level)
    weighed = Mul (weight, relative)
    shocked = Mul (weighed, shock)
    impulse = Where (known, shocked, shock)
    fed = Add (impulse, pull)
    last = Sub (length, one)
    age_int = Sub (last, position)
    age = Cast <to = 11> (age_int)
    age_log = Mul (age, log_keep)
    decay = Exp (age_log)
    decayed = Mul (fed, decay)
    shocks = ReduceSum <keepdims = 1> (decayed, column)
    length_double = Cast <to = 11> (length)
    start_log = Mul (length_double, log_keep)
    start = Exp (start_log)
    next = Add (shocks, start)
    excess = Sub (next, unit)
    fading = Mul (excess, fade)
    relative_sum = Add (fading, hours_ahead)
    variance = Mul (relative_sum, level)
    log_variance = Log (variance)
"""
TAILS: Final = """
    spans_log = Gather <axis = 1> (log_variance, tail_places)
    half_log = Mul (spans_log, half)
    over = Sub (half_log, log_pivot)
    given = Mul (over, kept)
    scale_log = Add (given, log_pivot)
    scale = Exp (scale_log)
    end = Constant <value_ints: ints = [2, 3]> ()
    scale_wide = Unsqueeze (scale, end)
    var_free = Mul (scale_wide, quantiles)
    var = Min (var_free, most)
    es_free = Mul (scale_wide, shortfalls)
    es = Min (es_free, most)
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """One recursion without a level, in the court's terms."""

    shock: float
    skew: float
    keep: float

    @property
    def persistence(self) -> float:
        return self.shock + self.keep

    def at(self, level: float) -> Recursion:
        return Recursion(level, self.shock, self.skew, self.keep)


def linear(name: str, shape: Shape, tails: Sequence[Tail]) -> onnx.ModelProto:
    """
    Args:
        tails: of `TAIL_HORIZONS_H`.
    """
    p, hours = shape.persistence, np.array(HORIZONS_H, dtype=np.float64)
    fade = hours if p >= 1.0 else (1.0 - p**hours) / (1.0 - p)
    numbers: dict[str, Any] = {
        "shock": shape.shock,
        "skew": shape.skew,
        "pull": 1.0 - p,
        "log_keep": np.log(shape.keep),
        "fade": fade,
        "hours_ahead": hours,
    }
    return _model(name, LEVEL + LINEAR + TAILS, numbers | _tail_numbers(tails))


def exponential(name: str, shape: Exponential, tails: Sequence[Tail]) -> onnx.ModelProto:
    """`shape.unit` is not looked at: the level is the market's own."""
    longest = max(HORIZONS_H)
    steps = np.arange(longest)
    mean = shape.omega / (1.0 - shape.beta)
    spread = shape.shock_variance * (1.0 - shape.beta ** (2 * steps)) / (1.0 - shape.beta**2)
    numbers: dict[str, Any] = {
        "omega": shape.omega,
        "alpha": shape.alpha,
        "gamma": shape.gamma,
        "beta": shape.beta,
        "norm": NORM,
        "minus_half": -0.5,
        "log_mean": mean,
        "fades": shape.beta**steps,
        "half_spread": 0.5 * spread,
        "most_log": MOST_LOG,
        "least_log": -MOST_LOG,
        "within": (steps[:, None] < np.array(HORIZONS_H)).astype(np.float64),
    }
    body = f"""{LEVEL}
        level_root = Sqrt (level)
        standard = Div (returns_1h, level_root)
        by_hour = Transpose <perm = [1, 0]> (standard)
        known_by_hour = Transpose <perm = [1, 0]> (known)
        like_bars = Cast <to = 11> (bars)
        nothing = Mul (like_bars, none)
        begun = Add (nothing, omega)
        log_h = Identity (begun)
        log_h_column = Unsqueeze (log_h, column)
        from_mean = Sub (log_h_column, log_mean)
        faded = Mul (from_mean, fades)
        centre = Add (faded, log_mean)
        raised = Add (centre, half_spread)
        clipped_low = Max (raised, least_log)
        clipped = Min (clipped_low, most_log)
        hourly = Exp (clipped)
        relative_sum = MatMul (hourly, within)
        variance = Mul (relative_sum, level)
        log_variance = Log (variance)
        {TAILS}
    """
    model = _model(name, body, numbers | _tail_numbers(tails))
    place = next(at for at, node in enumerate(model.graph.node) if node.output[0] == "log_h")
    del model.graph.node[place]
    model.graph.node.insert(place, _scan())
    return model


def _scan() -> onnx.NodeProto:
    """ln h of the hour after the last: as `arch` has it, ln h is bounded before its shock is taken."""
    body = onnx.parser.parse_graph(
        """
        egarch_step (double[n] before, double[n] r, bool[n] there) => (double[n] after)
        {
            step_half = Mul (before, minus_half)
            step_shrink = Exp (step_half)
            e = Mul (r, step_shrink)
            magnitude = Abs (e)
            surprise = Sub (magnitude, norm)
            by_size = Mul (surprise, alpha)
            by_sign = Mul (e, gamma)
            fades_to = Mul (before, beta)
            news = Add (by_size, by_sign)
            both = Add (news, fades_to)
            free = Add (both, omega)
            above = Max (free, least_log)
            bounded = Min (above, most_log)
            after = Where (there, bounded, before)
        }
        """
    )
    return helper.make_node(
        "Scan", ["begun", "by_hour", "known_by_hour"], ["log_h"], name="egarch", body=body, num_scan_inputs=2
    )


def _tail_numbers(tails: Sequence[Tail]) -> dict[str, Any]:
    quantiles = np.array([[[tail.quantile(p) for p in ALL_LEVELS]] for tail in tails])
    shortfalls = np.array([[[tail.shortfall(p) for p in ALL_LEVELS]] for tail in tails])
    return {
        "tail_places": np.array([HORIZONS_H.index(h) for h in TAIL_HORIZONS_H]),
        "half": 0.5,
        "log_pivot": np.log([tail.pivot for tail in tails]),
        "kept": np.array([1.0 - tail.pull for tail in tails]),
        "quantiles": np.repeat(quantiles, 2, axis=1),
        "shortfalls": np.repeat(shortfalls, 2, axis=1),
        "most": MOST_MOVE,
    }


def _model(name: str, body: str, numbers: Mapping[str, Any]) -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        f'<ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>\n'
        f"{name} ({INPUTS}) => ({OUTPUTS}) {{ {body} }}"
    )
    constants = {"none": 0.0, "unit": 1.0, "floor": features.VARIANCE_FLOOR} | dict(numbers)
    used = {each for node in model.graph.node for each in node.input} | set(STEP_USES)
    model.graph.initializer.extend(
        numpy_helper.from_array(_exact(value), key) for key, value in constants.items() if key in used
    )
    return model


STEP_USES: Final = ("omega", "alpha", "gamma", "beta", "norm", "minus_half", "most_log", "least_log")
"""What the Scan's body takes from around it."""


def _exact(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return array if array.dtype == np.int64 else array.astype(np.float64)
