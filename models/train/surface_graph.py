"""The graph of `surface_prior`: radial features, the posterior by elimination; and its twin in numpy.

    A = I + sum phi phi' / n,   mean = q' A^-1 sum phi y / n,   variance = q' A^-1 q + n0

over seen features phi with ratios y and noise n, and asked features q. A is symmetric and at least the identity, so
Gauss-Jordan needs no pivoting: row k is divided by its pivot and taken from every other row as often as empties column
k. All in float64.

A feature is a Matern kernel's distance to fixed centres in (standard moves, ln days), turned so that the prior of its
coefficients is the identity: k(x, Z) U S^(-1/2) with k(Z, Z) = U S U' (Williams and Seeger, "Using the Nystrom method
to speed up kernel machines", 2001). What so few features leave out of a point's variance is noise of its own there
(Snelson and Ghahramani, "Sparse Gaussian processes using pseudo-inputs", 2006).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from train import export

Floats = NDArray[np.float64]

LEAST_SHARE: Final = 2e-4
"""Relative: what a feature must move a volatility by, on average over the centres, to be one."""


@dataclass(frozen=True)
class Part:
    """One kernel of the prior: Matern of order 5/2 (smooth) or 3/2, over both coordinates or the tenor alone."""

    smooth: bool
    scale: float
    """Standard deviation, relative."""
    along: float
    """Length in standard moves; infinite for a part of the tenor alone."""
    across: float
    """Length in ln days."""
    days: float
    """What is known of it fades to a share 1/e in as many."""
    centres: Floats
    """Shape (z, 2)."""

    def covariance(self, one: Floats, other: Floats) -> Floats:
        """Shape (n, m), of points (n, 2) and (m, 2)."""
        squares = ((one[:, None, :2] - other[None, :, :2]) / np.array([self.along, self.across])) ** 2
        r = np.sqrt((5.0 if self.smooth else 3.0) * squares.sum(axis=-1))
        return np.asarray(self.scale**2 * ((1 + r + r * r / 3) if self.smooth else (1 + r)) * np.exp(-r))

    @cached_property
    def turn(self) -> Floats:
        """Shape (z, features): U S^(-1/2) of the eigenvalues that matter."""
        values, vectors = np.linalg.eigh(self.covariance(self.centres, self.centres))
        kept = values / len(values) > LEAST_SHARE**2
        return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))


@dataclass(frozen=True, slots=True)
class Prior:
    """All of the model."""

    parts: tuple[Part, ...]
    noise: tuple[float, float]
    """Of any quote, and of each unit of half its spread; relative."""

    def rates(self) -> Floats:
        """Minus one over the days of every feature."""
        return np.concatenate([np.full(part.turn.shape[1], -1 / part.days) for part in self.parts])

    def features(self, points: Floats) -> Floats:
        """Shape (n, features)."""
        return np.hstack([part.covariance(points, part.centres) @ part.turn for part in self.parts])

    def posterior(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """What the graph computes, by a Cholesky factor: `mean` and `sd` of the asked ratios."""
        seen, noise = inputs["seen"], self.noise[0] ** 2 + (self.noise[1] * inputs["noise"]) ** 2
        rho = np.exp(seen[:, 2:3] * self.rates())
        own, asked = self.features(seen), self.features(inputs["asked"])
        whole = sum(part.scale**2 for part in self.parts)
        noise = noise + np.maximum(whole - (own**2).sum(axis=1), 0.0)
        missed = np.maximum(whole - (asked**2).sum(axis=1), 0.0)
        phi = np.hstack([own * rho, own * np.sqrt(1 - rho**2)])
        query = np.hstack([asked, np.zeros_like(asked)])
        root = np.linalg.cholesky(np.eye(phi.shape[1]) + phi.T @ (phi / noise[:, None]))
        half = solve_triangular(root, query.T, lower=True)
        mean = half.T @ solve_triangular(root, phi.T @ (inputs["log_ratio"] / noise), lower=True)
        return {"mean": mean, "sd": np.sqrt((half**2).sum(axis=0) + missed + self.noise[0] ** 2)}


def graph(prior: Prior) -> onnx.ModelProto:
    """Any number of quotes seen and of options asked."""
    rate = prior.rates()
    size = 2 * len(rate)
    body = f"""
        <ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>
        surface_prior (double[seen, three] seen, double[seen] log_ratio, double[seen] noise, double[asked, two] asked)
            => (double[asked] mean, double[asked] sd)
        {{
            first = Constant <value_ints: ints = [1]> ()
            rows = Constant <value_ints: ints = [0]> ()
            seen_x = Slice (seen, zero_i, one_i, first)
            seen_days = Slice (seen, one_i, two_i, first)
            age = Slice (seen, two_i, three_i, first)
            asked_x = Slice (asked, zero_i, one_i, first)
            asked_days = Slice (asked, one_i, two_i, first)
            {_features("seen", prior)}
            {_features("asked", prior)}
            age_rate = Mul (age, rate)
            rho = Exp (age_rate)
            rho_square = Mul (rho, rho)
            left = Sub (one, rho_square)
            own = Sqrt (left)
            seen_shared = Mul (seen_phi, rho)
            seen_own = Mul (seen_phi, own)
            phi = Concat <axis = 1> (seen_shared, seen_own)
            nothing = Mul (asked_phi, none)
            query = Concat <axis = 1> (asked_phi, nothing)
            noise_square = Mul (noise, noise)
            noise_part = Mul (noise_square, noise_1)
            noise_quote = Add (noise_part, noise_0)
            seen_squares = Mul (seen_phi, seen_phi)
            seen_told = ReduceSum <keepdims = 0> (seen_squares, first)
            seen_rest = Sub (whole, seen_told)
            seen_missed = Max (seen_rest, none)
            noise_all = Add (noise_quote, seen_missed)
            asked_squares = Mul (asked_phi, asked_phi)
            asked_told = ReduceSum <keepdims = 0> (asked_squares, first)
            asked_rest = Sub (whole, asked_told)
            asked_missed = Max (asked_rest, none)
            noise_column = Unsqueeze (noise_all, first)
            weighted = Div (phi, noise_column)
            weighted_t = Transpose <perm = [1, 0]> (weighted)
            gram = MatMul (weighted_t, phi)
            system = Add (gram, eye)
            ratio_column = Unsqueeze (log_ratio, first)
            right = MatMul (weighted_t, ratio_column)
            query_t = Transpose <perm = [1, 0]> (query)
            m0 = Concat <axis = 1> (system, right, query_t)
            solved_m = Loop <body = eliminate (int64 k, bool going, double[rows, columns] m)
                => (bool on, double[rows, columns] m_out) {{
                on = Identity (going)
                row_at = Unsqueeze (k, rows)
                row_next = Add (row_at, one_i)
                row = Slice (m, row_at, row_next, rows)
                pivot = Slice (row, row_at, row_next, first)
                unit = Div (row, pivot)
                column = Slice (m, row_at, row_next, first)
                basis = Slice (eye, row_at, row_next, first)
                factor = Sub (column, basis)
                taken = MatMul (factor, unit)
                m_out = Sub (m, taken)
            }}> (steps, yes, m0)
            solved = Slice (solved_m, size_i, size_1_i, first)
            spread = Slice (solved_m, size_1_i, end_i, first)
            mean_column = MatMul (query, solved)
            mean = Squeeze (mean_column, first)
            products = Mul (query_t, spread)
            known = ReduceSum <keepdims = 0> (products, rows)
            known_floor = Max (known, none)
            latent = Add (known_floor, asked_missed)
            variance = Add (latent, noise_0)
            sd = Sqrt (variance)
        }}
    """
    model = onnx.parser.parse_model(body)
    constants: dict[str, NDArray[Any]] = {
        "rate": rate, "noise_0": np.array(prior.noise[0] ** 2), "noise_1": np.array(prior.noise[1] ** 2),
        "whole": np.array(sum(part.scale**2 for part in prior.parts)),
        "one": np.array(1.0), "none": np.array(0.0), "three": np.array(3.0), "eye": np.eye(size),
        "zero_i": np.array([0]), "one_i": np.array([1]), "two_i": np.array([2]), "three_i": np.array([3]),
        "size_i": np.array([size]), "size_1_i": np.array([size + 1]), "end_i": np.array([np.iinfo(np.int64).max]),
        "steps": np.array(size), "yes": np.array(True),
    }  # fmt: skip
    for i, part in enumerate(prior.parts):
        constants |= {
            f"centre_x{i}": part.centres[None, :, 0], f"centre_t{i}": part.centres[None, :, 1],
            f"along{i}": np.array(part.along), f"across{i}": np.array(part.across),
            f"order{i}": np.array(5.0 if part.smooth else 3.0), f"turn{i}": part.scale**2 * part.turn,
        }  # fmt: skip
        if not np.isfinite(part.along):
            del constants[f"centre_x{i}"], constants[f"along{i}"]
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def _features(of: str, prior: Prior) -> str:
    """`<of>_phi` out of `<of>_x` and `<of>_days`, both (n, 1)."""
    lines = []
    for i, part in enumerate(prior.parts):
        name = f"{of}_{i}"
        lines.append(f"""
            {name}_dt = Sub ({of}_days, centre_t{i})
            {name}_t = Div ({name}_dt, across{i})
            {name}_tt = Mul ({name}_t, {name}_t)""")
        if np.isfinite(part.along):
            lines.append(f"""
            {name}_dx = Sub ({of}_x, centre_x{i})
            {name}_s = Div ({name}_dx, along{i})
            {name}_ss = Mul ({name}_s, {name}_s)
            {name}_squares = Add ({name}_ss, {name}_tt)""")
        else:
            lines.append(f"""
            {name}_squares = Identity ({name}_tt)""")
        lines.append(f"""
            {name}_scaled = Mul ({name}_squares, order{i})
            {name}_r = Sqrt ({name}_scaled)
            {name}_minus = Neg ({name}_r)
            {name}_fall = Exp ({name}_minus)
            {name}_line = Add (one, {name}_r)""")
        if part.smooth:
            lines.append(f"""
            {name}_rr = Div ({name}_scaled, three)
            {name}_rise = Add ({name}_line, {name}_rr)""")
        else:
            lines.append(f"""
            {name}_rise = Identity ({name}_line)""")
        lines.append(f"""
            {name}_k = Mul ({name}_rise, {name}_fall)
            {name}_phi = MatMul ({name}_k, turn{i})""")
    joined = ", ".join(f"{of}_{i}_phi" for i in range(len(prior.parts)))
    return (
        "".join(lines)
        + f"""
            {of}_phi = Concat <axis = 1> ({joined})"""
    )
