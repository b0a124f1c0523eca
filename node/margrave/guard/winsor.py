"""One thin hour that comes and goes leaves a bounded trace in history.

The median over venues takes out what a minority writes into an hour. What all of them show and take back within the
hour or the next, on no more than the usual volume, nobody could have traded on: what is left of it is one ordinary move
beyond its neighbours. So is an hour that the guard itself did not believe, however it was traded, and that came back.
Nothing is held back otherwise: an hour that stays where it went, or that was traded, is there in full from the first
round that sees it (a limit on the size of updates would under-react to every true gap).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.middle import median

Fields = NDArray[np.float64]

LOOK_BACK_H: Final = 168
MIN_LOOK_BACK_H: Final = 24
MAD_TO_SIGMA: Final = 1.4826
SCALE_FLOOR: Final = 1e-4
"""Per hour: a market that has not moved for a week is still not exact to the basis point."""


def winsorised(
    fields: Fields, price_now: float, sigmas: float, witness_volume: float, disbelieved: Collection[int] = ()
) -> tuple[Fields, int]:
    """Hours of shape (n, 5), open, high, low, close, volume, ascending; and how many were bounded.

    An hour's excursion is its distance beyond both the close before it and the close after it (for the last hour, the
    price agreed now). Beyond `sigmas` times the scale of the hours before it, median |log return| / 0.6745, it is
    bounded at that scale. `disbelieved` are rows, which no volume vouches for.
    """
    n = len(fields)
    if n <= MIN_LOOK_BACK_H:
        return fields, 0
    log_close = np.log(fields[:, 3])
    after = np.append(log_close[1:], np.log(price_now))
    before = np.concatenate([log_close[:1], log_close[:-1]])
    top, bottom = np.maximum(before, after), np.minimum(before, after)
    excursion = np.maximum(np.log(fields[:, 1]) - top, bottom - np.log(fields[:, 2]))
    returns = np.abs(np.diff(log_close, prepend=log_close[0]))
    # half the overall scale: few hours pass, and only those are looked at closely
    usual = max(MAD_TO_SIGMA * median(returns), SCALE_FLOOR)
    bounded = fields
    touched = 0
    for t in np.flatnonzero(excursion[MIN_LOOK_BACK_H:] > sigmas * usual / 2) + MIN_LOOK_BACK_H:
        window = slice(max(0, t - LOOK_BACK_H), t)
        scale = max(MAD_TO_SIGMA * median(returns[window]), SCALE_FLOOR)
        # without volumes (all zero) nothing is known to be thin, and risk is not made smaller on no evidence
        traded = fields[t, 4] >= witness_volume * median(fields[window, 4])
        if excursion[t] <= sigmas * scale or (traded and t not in disbelieved):
            continue
        if not touched:
            bounded = fields.copy()
        low, high = np.exp(bottom[t] - scale), np.exp(top[t] + scale)
        bounded[t, :4] = np.clip(bounded[t, :4], low, high)
        if t + 1 < n and not low <= bounded[t + 1, 0] <= high:
            bounded[t + 1, 0] = np.clip(bounded[t + 1, 0], low, high)  # it opens where that hour closed
            bounded[t + 1, 1] = max(bounded[t + 1, 0], bounded[t + 1, 3], min(bounded[t + 1, 1], high))
            bounded[t + 1, 2] = min(bounded[t + 1, 0], bounded[t + 1, 3], max(bounded[t + 1, 2], low))
        touched += 1
    return bounded, touched
