"""What every benchmark has: a figure as a line of its answer, and the least time of several runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def figure(
    name: str, value: float, unit: str, most: float | None = None, *, least: float | None = None
) -> dict[str, Any]:
    """One of the answer's `targets`; wanted is at most `most`, or at least `least`, or nothing."""
    goal = most if least is None else least
    holds = None if goal is None else value <= goal if least is None else value >= goal
    return {"name": name, "value": value, "unit": unit, "target": goal, "holds": holds}


def quickest(work: Callable[[], T], runs: int) -> tuple[T, float]:
    """What it gives, and the least seconds of the processor of several runs: what the machine can do when nobody
    disturbs it."""
    least = math.inf
    for _ in range(runs):
        begun = time.process_time()
        found = work()
        least = min(least, time.process_time() - begun)
    return found, least
