"""Paths that a hedge is learnt on: hours of the early years put together anew, and a fitted model's.

Three kinds, each as series of hourly bars that the node's own code then reads:

* real: the hours as they were;
* bootstrapped: blocks of them of random length in random order (Politis and Romano 1994, J. American Statistical
  Association 89), each turned upside down half of the time, so that nothing is learnt of where these years went;
* simulated: stochastic volatility with jumps (Bates 1996, Review of Financial Studies 9), fitted by moments.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.hedge.episodes import Episodes, joined, of_bars
from margrave.lab.court.panel import Panel
from margrave.score.hedge.market import LEAST_HOURS
from margrave.spans import DAY_H, HOUR_MS, YEAR_H

Floats = NDArray[np.float64]
Generator = np.random.Generator

MEAN_BLOCK_H: Final = 240
SCALES: Final = (0.6, 1.7)
"""A bootstrapped series' moves are multiplied by a draw from between: other coins are livelier than these two."""
JUMP_SD: Final = 5.0
STEPS_AN_HOUR: Final = 4


@dataclass(frozen=True, slots=True)
class Bars:
    """Consecutive hours as log prices over the close before, (hours, 4): open, high, low, close."""

    moves: Floats

    def mirrored(self) -> Bars:
        return Bars(-self.moves[:, [0, 2, 1, 3]])

    def prices(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Opens, highs, lows and closes, from a price of one on."""
        closes = np.exp(np.cumsum(self.moves[:, 3]))
        before = closes / np.exp(self.moves[:, 3])
        opens, highs, lows = (before * np.exp(self.moves[:, column]) for column in range(3))
        return opens, highs, lows, closes


@dataclass(frozen=True, slots=True)
class Bates:
    """dS/S = sqrt(v) dW + J dN - compensation, dv = kappa (theta - v) dt + xi sqrt(v) dZ, d<W, Z> = rho dt; a year."""

    kappa: float
    theta: float
    xi: float
    rho: float
    jumps_a_year: float
    jump_mean: float
    jump_sd: float

    def parameters(self) -> dict[str, float]:
        return {f"bates_{name}": value for name, value in asdict(self).items()}


def stretches(panel: Panel, until_ms: int) -> list[Bars]:
    """Every run of hours without a gap that is long enough for an episode, before a moment.

    Raises:
        Fatal: there is none.
    """
    found = []
    past = panel.upto(int(np.searchsorted(panel.known_ms, until_ms, side="right")))
    for place in range(len(past.assets)):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], past.present[:, place].astype(np.int64), [0]))))
        for first, end in edges.reshape(-1, 2):
            if end - first > LEAST_HOURS + 30 * DAY_H:
                run = slice(int(first), int(end))
                columns = [np.log(getattr(past, n)[run, place]) for n in ("open", "high", "low", "close")]
                found.append(Bars(np.stack(columns, axis=1)[1:] - columns[3][:-1, None]))
    if not found:
        raise Fatal("no asset has two months of hours before the training end", advice="give an earlier history")
    return found


def bootstrapped(known: list[Bars], hours: int, rng: Generator) -> Bars:
    """A series of blocks, drawn with the weight of their stretches' lengths."""
    lengths = np.array([len(bars.moves) for bars in known])
    pieces: list[Floats] = []
    have = 0
    while have < hours:
        bars = known[int(rng.choice(len(known), p=lengths / lengths.sum()))]
        bars = bars.mirrored() if rng.random() < 0.5 else bars
        first = int(rng.integers(len(bars.moves)))
        piece = bars.moves[first : first + int(rng.geometric(1.0 / MEAN_BLOCK_H))]
        pieces.append(piece)
        have += len(piece)
    scale = float(np.exp(rng.uniform(*np.log(SCALES))))
    return Bars(scale * np.concatenate(pieces)[:hours])


def fitted(known: list[Bars]) -> Bates:
    """By moments: jumps are hours beyond `JUMP_SD` deviations of the day before; speed and size of the variance's moves
    from the autocovariances of daily realised variance at one day and six; the correlation from days' returns and the
    change of variance."""
    jumps, quiet, days_var, days_move = [], [], [], []
    for bars in known:
        moves = bars.moves[:, 3]
        before = np.sqrt(np.convolve(moves**2, np.ones(DAY_H) / DAY_H)[: len(moves)])
        jumped = np.zeros(len(moves), dtype=bool)
        jumped[DAY_H:] = np.abs(moves[DAY_H:]) > JUMP_SD * before[DAY_H - 1 : -1]
        jumps.append(moves[jumped])
        calm = np.where(jumped, 0.0, moves)
        quiet.append(calm)
        days = len(moves) // DAY_H
        days_var.append((calm[: days * DAY_H] ** 2).reshape(days, DAY_H).sum(axis=1) * 365.0)
        days_move.append(moves[: days * DAY_H].reshape(days, DAY_H).sum(axis=1))
    years = sum(len(q) for q in quiet) / YEAR_H
    jump = np.concatenate(jumps)
    theta = float(np.mean(np.concatenate(days_var)))
    near, far = (_autocovariance(days_var, theta, lag) for lag in (1, 6))
    kappa = float(np.clip(np.log(near / max(far, 1e-9)) / (5 / 365.0), 2.0, 100.0))
    spread = near * np.exp(kappa / 365.0)
    change = np.concatenate([np.diff(var) for var in days_var])
    move = np.concatenate([m[1:] for m in days_move])
    return Bates(
        kappa=kappa,
        theta=theta,
        xi=float(np.sqrt(2 * kappa * spread / theta)),
        rho=float(np.corrcoef(change, move)[0, 1]),
        jumps_a_year=len(jump) / years,
        jump_mean=float(jump.mean()),
        jump_sd=float(jump.std()),
    )


def simulated(model: Bates, hours: int, rng: Generator) -> Bars:
    """Euler with full truncation (Lord, Koekkoek and van Dijk 2010, Quantitative Finance 10), four steps an hour, the
    bars from these steps."""
    steps = hours * STEPS_AN_HOUR
    dt = 1.0 / (YEAR_H * STEPS_AN_HOUR)
    first, second = rng.standard_normal((2, steps)) * np.sqrt(dt)
    shock = model.rho * first + np.sqrt(1 - model.rho**2) * second
    count = rng.poisson(model.jumps_a_year * dt, steps)
    jump = count * model.jump_mean + np.sqrt(count) * model.jump_sd * rng.standard_normal(steps)
    drift = model.jumps_a_year * (np.exp(model.jump_mean + 0.5 * model.jump_sd**2) - 1.0)
    variance, moves = model.theta, np.empty(steps)
    for step in range(steps):
        positive = max(variance, 0.0)
        moves[step] = -(drift + 0.5 * positive) * dt + np.sqrt(positive) * first[step] + jump[step]
        variance += model.kappa * (model.theta - positive) * dt + model.xi * np.sqrt(positive) * shock[step]
    within = np.cumsum(moves.reshape(hours, STEPS_AN_HOUR), axis=1)
    high, low = np.maximum(within.max(axis=1), 0.0), np.minimum(within.min(axis=1), 0.0)
    return Bars(np.stack([np.zeros(hours), high, low, within[:, -1]], axis=1))


def sales(series: list[Bars], life_h: int, every_h: int, name: str) -> Episodes:
    """Episodes on some series, as the court would make them."""
    parts = []
    for place, bars in enumerate(series):
        opens, highs, lows, closes = bars.prices()
        rows = np.arange(LEAST_HOURS - 1 + place % every_h, len(closes) - life_h, every_h)
        known_ms = np.arange(len(closes), dtype=np.int64) * HOUR_MS
        parts.append(of_bars(opens, highs, lows, closes, rows, life_h, known_ms, f"{name} {place}"))
    return joined(parts)


def _autocovariance(series: list[Floats], mean: float, lag: int) -> float:
    return float(np.mean(np.concatenate([(x[lag:] - mean) * (x[:-lag] - mean) for x in series])))
