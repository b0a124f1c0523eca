"""A goal that was set beforehand, and how it turned out: met, missed by how much, or not measured and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One goal. `holds` and `missed_by` are None where nothing was measured."""

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
        if self.holds or self.missed_by is None:
            return "met"
        return f"missed by {self.missed_by:,.0f}" if self.missed_by >= 1_000 else f"missed by {self.missed_by:.3g}"


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted, before anybody measured it: at most `target`, or at least."""

    name: str
    target: float
    unit: str = ""
    at_least: bool = False

    def measured(self, value: float, note: str = "") -> Target:
        if not math.isfinite(value):
            return self.unmeasured("no number came of it")
        short = self.target - value if self.at_least else value - self.target
        return Target(self.name, self.target, value, self.unit, short <= 0, max(short, 0.0), note)

    def unmeasured(self, why: str) -> Target:
        return Target(self.name, self.target, None, self.unit, None, None, why)


def unmeasured(goals: Sequence[Goal], why: str) -> tuple[Target, ...]:
    return tuple(goal.unmeasured(why) for goal in goals)
