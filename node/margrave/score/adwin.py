"""ADWIN: a window over a stream that is cut wherever its two parts have different means.

Bifet and Gavalda (2007), "Learning from time-changing data with adaptive windowing", their ADWIN2: the window is kept
as an exponential histogram, rows of at most `MOST_BUCKETS` buckets that stand for 1, 2, 4, ... values each, so that
thousands of values are some sixty numbers. River's `drift.ADWIN` is the same to the last bit but two: its window has
no end, and it forgets everything at a finding where this one, as in the paper, keeps the newer part.
"""

from __future__ import annotations

import math
from typing import Final

from margrave.messages import Message

DELTA: Final = 0.002
"""Confidence: the authors', and river's."""
MOST_BUCKETS: Final = 5
MOST_ROWS: Final = 9
"""Of the histogram; so at most 5 (2^9 - 1) = 2555 values, fifteen weeks of hours. The oldest are dropped first."""
LEAST_PART: Final = 5
"""Values of the shorter part."""
LEAST_WIDTH: Final = 10
CHECKED_EVERY: Final = 4
"""Values between two looks for a cut."""

Bucket = tuple[float, float]
"""Sum of its values, and of their squared distances from their mean."""


class Adwin(Message, frozen=True, kw_only=True):
    """The window as numbers. `rows[i]` holds buckets of 2^i values, oldest first; the last row is the oldest."""

    rows: tuple[tuple[Bucket, ...], ...] = ((),)
    width: int = 0
    total: float = 0.0
    spread: float = 0.0
    """Sum of squared distances from the mean."""
    ticks: int = 0

    @property
    def mean(self) -> float:
        return self.total / self.width if self.width else 0.0

    def after(self, value: float, *, delta: float = DELTA, every: int = CHECKED_EVERY) -> tuple[Adwin, bool]:
        """(the window with one value in [0, 1] more, whether it was cut)."""
        window = _Window(self)
        window.add(value)
        ticks = (self.ticks + 1) % every
        cut = ticks == 0 and window.cut(delta)
        return window.frozen(ticks), cut


class _Window:
    """The same, while it changes."""

    def __init__(self, of: Adwin) -> None:
        self.rows = [list(row) for row in of.rows]
        self.width, self.total, self.spread = of.width, of.total, of.spread

    def frozen(self, ticks: int) -> Adwin:
        rows = tuple(tuple(row) for row in self.rows)
        return Adwin(rows=rows, width=self.width, total=self.total, spread=self.spread, ticks=ticks)

    def add(self, value: float) -> None:
        if self.width:
            self.spread += self.width * (value - self.total / self.width) ** 2 / (self.width + 1)
        self.width += 1
        self.total += value
        self.rows[0].append((value, 0.0))
        self._compress()

    def _compress(self) -> None:
        """Where a row is over-full its two oldest buckets become one of the next."""
        for place in range(MOST_ROWS):
            row = self.rows[place]
            if len(row) <= MOST_BUCKETS:
                return
            if place + 1 == MOST_ROWS:
                self._drop_oldest()
                return
            if place + 1 == len(self.rows):
                self.rows.append([])
            (a, a_spread), (b, b_spread) = row[:2]
            size = 2**place
            between = size * (a / size - b / size) ** 2 / 2
            self.rows[place + 1].append((a + b, a_spread + b_spread + between))
            del row[:2]

    def cut(self, delta: float) -> bool:
        """Drop the oldest bucket as long as some cut shows two means; whether any did."""
        found = False
        while self.width > LEAST_WIDTH and self._shows(delta):
            self._drop_oldest()
            found = True
        return found

    def _shows(self, delta: float) -> bool:
        old_count, old_total = 0, 0.0
        log_term = math.log(2 * math.log(self.width) / delta)
        variance = self.spread / self.width
        for place in range(len(self.rows) - 1, -1, -1):
            for total, _ in self.rows[place]:
                old_count += 2**place
                old_total += total
                new_count = self.width - old_count
                if old_count < LEAST_PART or new_count < LEAST_PART:
                    continue
                apart = abs(old_total / old_count - (self.total - old_total) / new_count)
                share = 1 / (old_count - LEAST_PART + 1) + 1 / (new_count - LEAST_PART + 1)
                if apart > math.sqrt(2 * share * variance * log_term) + 2 / 3 * log_term * share:
                    return True
        return False

    def _drop_oldest(self) -> None:
        place = len(self.rows) - 1
        total, spread = self.rows[place].pop(0)
        size = 2**place
        self.width -= size
        self.total -= total
        if self.width:
            between = size * self.width * (total / size - self.total / self.width) ** 2 / (size + self.width)
            self.spread = max(self.spread - spread - between, 0.0)
        while len(self.rows) > 1 and not self.rows[-1]:
            self.rows.pop()
