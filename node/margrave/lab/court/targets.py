"""What was to be reached, what was, and by how much it was missed. A target that is not measured here says so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.lab.court.families import Kind, Listed, Role
from margrave.lab.court.family import LEVELS, TAIL_HORIZONS_H
from margrave.lab.court.judge_tails import MAIN, SIDES, TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict

QLIKE_RATIO: Final[Mapping[int, float]] = {4: 0.93, 24: 0.92}
BEATEN_T: Final = -1.96
FZ0_BELOW: Final = -0.15
Z2_WITHIN: Final = 0.15
CELLS: Final = 0.96
ELSEWHERE: Final = (
    ("conformal coverage after planted breaks", 0.87, "of 0.90"),
    ("conformal width over the oracle's", 1.10, "x"),
    ("basket VaR pinball against the best baseline", -0.03, "fraction"),
    ("surface completion RMSE at half the cells hidden", 0.8, "vol points"),
    ("skew and slope RMSE over the last surface's, 1 d", 0.98, "x"),
    ("skew and slope RMSE over the last surface's, 7 d", 0.95, "x"),
    ("ONNX parity, float32", 1e-5, "abs"),
    ("ONNX parity, float64", 1e-12, "abs"),
)
"""(name, target, unit) of what other commands measure."""


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the issue. `holds` and `missed_by` are None where nothing was measured."""

    name: str
    target: float
    value: float | None
    unit: str
    holds: bool | None
    missed_by: float | None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.holds is None:
            return "not measured"
        return "met" if self.holds else f"missed by {self.missed_by:.3g}"


def targets(
    called: Sequence[Listed], volatility: Sequence[VolatilityVerdict], tails: Sequence[TailVerdict]
) -> list[Target]:
    """Every target of the issue, measured on our family of each kind."""
    found = list(_volatility(_one(called, Kind.VOLATILITY, Role.OURS), volatility))
    found += _tails(_one(called, Kind.TAILS, Role.OURS), _one(called, Kind.TAILS, Role.REFERENCE), tails)
    return [
        *found,
        *(_unmeasured(name, target, unit, "not judged by this command") for name, target, unit in ELSEWHERE),
    ]


def _one(called: Sequence[Listed], kind: Kind, role: Role) -> str | None:
    return next((listed.name for listed in called if listed.kind is kind and listed.role is role), None)


def _volatility(ours: str | None, verdicts: Sequence[VolatilityVerdict]) -> Iterator[Target]:
    by_horizon = {verdict.horizon_h: verdict for verdict in verdicts}
    for horizon_h, goal in QLIKE_RATIO.items():
        names = (f"QLIKE over the best baseline's, {horizon_h} h", f"its Diebold–Mariano t, {horizon_h} h")
        verdict = by_horizon.get(horizon_h)
        if ours is None or verdict is None or ours not in verdict.over_best:
            why = _why(ours, verdict is not None)
            yield _unmeasured(names[0], goal, "x", why)
            yield _unmeasured(names[1], BEATEN_T, "t", why)
            continue
        ratio, difference = verdict.over_best[ours]
        note = "the best is chosen for each asset, afterwards"
        yield _at_most(names[0], goal, ratio, "x", note)
        yield _at_most(names[1], BEATEN_T, difference.t, "t", f"{difference.times} times, Newey–West")


def _tails(ours: str | None, reference: str | None, verdicts: Sequence[TailVerdict]) -> Iterator[Target]:
    by_horizon = {verdict.horizon_h: verdict for verdict in verdicts}
    cells: list[bool] = []
    for horizon_h in TAIL_HORIZONS_H:
        verdict = by_horizon.get(horizon_h)
        for label in SIDES:
            name = f"FZ0 at 1 % less the reference's, {horizon_h} h {label}"
            depth = f"|Z2| at 1 %, {horizon_h} h {label}"
            if ours is None or verdict is None or ours not in verdict.families:
                yield _unmeasured(name, FZ0_BELOW, "FZ0", _why(ours, verdict is not None))
                yield _unmeasured(depth, Z2_WITHIN, "", _why(ours, verdict is not None))
                continue
            row = next(
                (a for a in verdict.against if (a.family, a.other) == (ours, reference) and a.loss.endswith(label)),
                None,
            )
            if row is None:
                yield _unmeasured(name, FZ0_BELOW, "FZ0", "no reference was called")
            else:
                yield _at_most(name, FZ0_BELOW, row.difference, "FZ0", f"against {reference}, t {row.t:.1f}")
            level = verdict.families[ours].sides[label].levels[LEVELS.index(MAIN)]
            yield _at_most(depth, Z2_WITHIN, abs(level.z2), "", f"Z2 {level.z2:+.3f}, p {level.z2_p:.3f}")
            cells += [cell.passes for cell in level.cells]
    share = "cells with Kupiec, Christoffersen and DQ p > 0.05, at 1 %"
    if not cells:
        yield _unmeasured(share, CELLS, "share", "no asset has forecasts enough" if ours else _why(ours, True))
        return
    value = sum(cells) / len(cells)
    yield Target(
        share,
        CELLS,
        value,
        "share",
        value >= CELLS,
        max(CELLS - value, 0.0),
        f"{sum(cells)} of {len(cells)} asset x horizon x tail cells",
    )


def _why(ours: str | None, judged: bool) -> str:
    if ours is None:
        return "no family of ours was called"
    return "our family was silent on more than half" if judged else "this horizon was not judged"


def _at_most(name: str, goal: float, value: float, unit: str, note: str) -> Target:
    if not math.isfinite(value):
        return _unmeasured(name, goal, unit, "no number came of it")
    return Target(name, goal, value, unit, value <= goal, max(value - goal, 0.0), note)


def _unmeasured(name: str, goal: float, unit: str, why: str) -> Target:
    return Target(name, goal, None, unit, None, None, why)
