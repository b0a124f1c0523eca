"""How far a venue's clock is from ours, as far as that can be known from listening.

Every message has the venue's time and ours. Their difference, the lag, is the way here plus the clocks' offset; the way
varies and is never negative, so the least lag of the last minutes is the offset plus the shortest way: the lower
envelope. Below zero it is the venue's clock that runs ahead, by at least so much. Far above zero it runs behind, or
everything it says is old: whichever it is, what it says cannot be placed in time.
"""

from __future__ import annotations

from collections import deque
from typing import Final

BUCKET_MS: Final = 10_000
BUCKETS: Final = 30
"""Five minutes: long enough to hold a quick answer, short enough to follow a clock that is set right."""
MAX_AHEAD_MS: Final = 5_000
"""A venue's stamps may be so far ahead of our clock; the guard allows as much."""
MAX_BEHIND_MS: Final = 60_000
"""The least lag may be so large. No way to a venue takes a minute."""


class Skew:
    """Lower envelope of one source's lag over the last minutes."""

    __slots__ = ("_least",)

    def __init__(self) -> None:
        self._least: deque[tuple[int, int]] = deque(maxlen=BUCKETS)

    def heard(self, lag_ms: int, now_ms: int) -> None:
        """One message with the lag (our time less the venue's), read at `now_ms`."""
        bucket = now_ms // BUCKET_MS
        if self._least and self._least[-1][0] == bucket:
            self._least[-1] = (bucket, min(lag_ms, self._least[-1][1]))
            return
        self._least.append((bucket, lag_ms))
        while self._least[0][0] <= bucket - BUCKETS:
            self._least.popleft()

    @property
    def ms(self) -> int | None:
        """Our clock less the venue's, at most; `None` before anything was heard."""
        return min((least for _, least in self._least), default=None)
