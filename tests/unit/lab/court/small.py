"""Two small families that are real (an EWMA of squared returns, historical simulation), and a small chamber."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from margrave.lab.court import plots
from margrave.lab.court.chamber import Case, Figure, Ruling, Table
from margrave.lab.court.families import Kind, Listed, Role
from margrave.lab.court.family import LEVELS, Tails
from margrave.lab.court.panel import Panel
from margrave.lab.court.target import Goal, unmeasured


@dataclass(frozen=True)
class Ewma:
    decay: float = 0.97
    least_hours: int = 24 * 20

    @property
    def name(self) -> str:
        return f"EWMA {self.decay}"

    def fit(self, past: Panel) -> Ewma:
        return self

    def variance(self, panel: Panel, rows: np.ndarray, horizon_h: int) -> np.ndarray:
        squares = np.nan_to_num(panel.log_return) ** 2
        return horizon_h * lfilter([1 - self.decay], [1.0, -self.decay], squares, axis=0)[rows]


@dataclass(frozen=True)
class Historical:
    """Of the last `hours` hourly returns, scaled by the root of the horizon; times `factor` (a bad forecaster's)."""

    hours: int = 24 * 20
    factor: float = 1.0

    @property
    def name(self) -> str:
        return "historical" if self.factor == 1 else f"historical x {self.factor}"

    @property
    def least_hours(self) -> int:
        return self.hours + 1

    def fit(self, past: Panel) -> Historical:
        return self

    def tails(self, panel: Panel, rows: np.ndarray, assets: np.ndarray, horizon_h: int) -> Tails:
        found = np.empty((len(rows), 2, 2, len(LEVELS)))
        for place, (row, asset) in enumerate(zip(rows, assets, strict=True)):
            window = panel.log_return[row - self.hours + 1 : row + 1, asset]
            for side, losses in enumerate((-window, window)):
                ordered = np.sort(losses)[::-1]
                for k, p in enumerate(LEVELS):
                    count = max(int(p * len(ordered)), 1)
                    found[place, :, side, k] = ordered[count - 1], ordered[:count].mean()
        found = np.maximum(found, 1e-6) * self.factor * horizon_h**0.5
        return Tails(found[:, 0], found[:, 1])


CALLED = (
    Listed(Ewma(0.97), Role.OURS, Kind.VOLATILITY),
    Listed(Ewma(0.5), Role.BASELINE, Kind.VOLATILITY),
    Listed(Historical(), Role.OURS, Kind.TAILS),
    Listed(Historical(factor=0.5), Role.REFERENCE, Kind.TAILS),
)


@dataclass(frozen=True)
class Zeroes:
    """Counts hours in which the price stood still."""

    kind: str = "zeroes"
    about: str = "hours without a move"
    goals: tuple[Goal, ...] = (Goal("share of hours without a move", 0.01, "share"),)

    def judge(self, case: Case) -> Ruling:
        moves = case.panel.log_return[case.panel.present & np.isfinite(case.panel.log_return)]
        if not len(moves):
            why = "there are no bars"
            return Ruling(self.kind, "Hours without a move", "", targets=unmeasured(self.goals, why), silent=(why,))
        still = float((moves == 0).mean())
        figure, (axis,) = plots.side_by_side(1, 1.5)
        axis.hist(moves, bins=20)
        return Ruling(
            self.kind,
            "Hours without a move",
            f"{still:.2%} of {len(moves)} hours.",
            (Table("By asset", ("Asset", "Share", "Venue"), (("AAA & co", still, "any"), ("none", None, "no <b>"))),),
            (Figure("Moves", plots.svg(figure)),),
            (self.goals[0].measured(still),),
        )
