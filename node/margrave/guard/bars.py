"""Hourly history that the venues agree on: closed bars only, ascending, without gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.messages import Bar
from margrave.middle import median
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

MAX_BARS: Final = 31 * 24
"""A month: longer than any feature looks back."""
LATE_HOURS: Final = 1
"""The newest hour may still be missing: venues serve a closed candle some seconds to minutes late."""
MAX_STEP: Final = 1_000.0
"""Inside one bar, high over low beyond this is a wrong unit, not a market: an hour of x24 has been one, and refused it
would part history for a month."""
TORN: Final = 0.02
"""Two middle venues further apart than this agree on nothing."""

Fields = NDArray[np.float64]
"""Shape (hours, 5): open, high, low, close, volume; NaN where the venue has no sound bar."""


def consensus(
    histories: Mapping[str, Sequence[Bar]],
    now_ms: int,
    min_sources: int,
    bound: Callable[[Fields, int], Fields] = lambda fields, _: fields,
) -> tuple[tuple[Bar, ...], Mapping[str, Mapping[Rejection, int]]]:
    """The median over venues of each field, hour by hour, and the bars refused, counted by source and reason. Volumes
    are compared in each venue's own usual hours, and given in those of the venue in the middle.

    An hour counts if enough of the venues have it that a minority cannot write history alone: liars could otherwise
    offer hours that nobody else serves. The result is the newest gap-free run; it is empty if the hour before last is
    not in it. Medians keep low <= open, close <= high; so must `bound(fields, time of the first)`, which is
    applied at the end.
    """
    last_open_ms = now_ms // HOUR_MS * HOUR_MS - HOUR_MS
    first_open_ms = last_open_ms - (MAX_BARS - 1) * HOUR_MS
    grids: list[Fields] = []
    refused: dict[str, Mapping[Rejection, int]] = {}
    for source in sorted(histories):
        grid, dropped = _on_grid(histories[source], first_open_ms)
        grids.append(grid)
        if dropped:
            refused[source] = dropped
    if not grids:
        return (), refused
    stack = np.stack(grids)
    counts = np.isfinite(stack[:, :, 3]).sum(axis=0)
    begin, end = _newest_run(counts >= max(min_sources, witnesses(len(grids))))
    if end < MAX_BARS - LATE_HOURS or begin == end:
        return (), refused
    usual = _like_each_other(stack[:, begin:end])
    fields = _median_over_venues(stack[:, begin:end], counts[begin:end])
    fields[:, 4] *= usual
    fields = bound(fields, first_open_ms + begin * HOUR_MS)
    times = range(first_open_ms + begin * HOUR_MS, first_open_ms + end * HOUR_MS, HOUR_MS)
    return tuple(map(Bar, times, *fields.T.tolist())), refused


def witnesses(venues: int) -> int:
    """How many of so many venues must have an hour: more than half, and an honest majority if a third lie."""
    liars = (venues - 1) // 3
    return max(venues // 2 + 1, 2 * liars + 1)


def _on_grid(bars: Sequence[Bar], first_open_ms: int) -> tuple[Fields, Mapping[Rejection, int]]:
    """One venue's closed bars on the common hours. Of two bars for one hour the later in the sequence stands."""
    times = np.array([b.open_time_ms for b in bars], dtype=np.int64)
    columns = ([b.open for b in bars], [b.high for b in bars], [b.low for b in bars], [b.close for b in bars])
    fields = np.array([*columns, [b.volume for b in bars]], dtype=np.float64).T
    hours, rest = np.divmod(times - first_open_ms, HOUR_MS)
    wanted = (hours >= 0) & (hours < MAX_BARS)
    crooked = wanted & (rest != 0)
    not_finite = wanted & ~np.isfinite(fields).all(axis=1)
    open_, high, low, close, volume = fields.T
    with np.errstate(invalid="ignore"):
        not_positive = wanted & ~not_finite & ((low <= 0) | (volume < 0))
        disordered = (low > np.minimum(open_, close)) | (high < np.maximum(open_, close)) | (high > MAX_STEP * low)
    out_of_range = wanted & ~not_finite & ~not_positive & disordered
    sound = wanted & ~(crooked | not_finite | not_positive | out_of_range)
    grid = np.full((MAX_BARS, 5), np.nan)
    grid[hours[sound]] = fields[sound]
    counted = {
        Rejection.MALFORMED: int(crooked.sum()),
        Rejection.NOT_FINITE: int(not_finite.sum()),
        Rejection.NOT_POSITIVE: int(not_positive.sum()),
        Rejection.OUT_OF_RANGE: int(out_of_range.sum()),
    }
    return grid, {reason: count for reason, count in counted.items() if count}


def _newest_run(present: NDArray[np.bool_]) -> tuple[int, int]:
    """Begin and end of the last unbroken run of hours."""
    if not present.any():
        return 0, 0
    end = MAX_BARS - int(np.argmax(present[::-1]))
    gaps = np.flatnonzero(~present[:end])
    return (int(gaps[-1]) + 1 if gaps.size else 0), end


def _like_each_other(stack: NDArray[np.float64]) -> float:
    """Scale each venue's volumes, in place, to its own usual hour; returns the usual hour of the venue in the middle.

    Volumes differ a thousandfold between venues. Unscaled, an hour in which the largest is missing would look dead.
    """
    usual = np.ones(len(stack))
    for venue, volumes in enumerate(stack[:, :, 4]):
        traded = volumes[volumes > 0]  # NaN is not
        usual[venue] = median(traded) if traded.size else 1.0
        stack[venue, :, 4] /= usual[venue]
    return median(usual)


def _median_over_venues(stack: NDArray[np.float64], counts: NDArray[np.int64]) -> Fields:
    """NaN-aware median over axis 0 of (venues, hours, 5).

    Venues are few and hours many: a bubble sort of whole planes is several times faster than a sort of each column.
    """
    ordered = np.where(np.isfinite(stack), stack, np.inf)
    for unsorted in range(len(ordered) - 1, 0, -1):
        for i in range(unsorted):
            lower, upper = np.minimum(ordered[i], ordered[i + 1]), np.maximum(ordered[i], ordered[i + 1])
            ordered[i], ordered[i + 1] = lower, upper
    middle = [np.take_along_axis(ordered, rank[None, :, None], axis=0)[0] for rank in ((counts - 1) // 2, counts // 2)]
    between: Fields = (middle[0] + middle[1]) / 2
    for row in np.flatnonzero(np.max(middle[1][:, :4] / middle[0][:, :4], axis=1) > 1 + TORN):
        # half against half: who stays closer to where the market was is believed, and no compromise is made up
        before = between[row - 1, 3] if row else between[row, 0]
        between[row] = min((m[row] for m in middle), key=lambda m: float(np.abs(np.log(m[:4] / before)).max()))
    return between
