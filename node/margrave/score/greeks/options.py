"""The options that Greeks are asked of, checked at the door: what a formula gets is an option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from margrave.errors import Rejected
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIDES = {"C": True, "CALL": True, "P": False, "PUT": False}
ADVICE = "leave the row out, or mend it"


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Columns of one length (n,), or single numbers for all rows; `n` may be zero.

    Raises:
        Rejected: a forward, strike or time to expiry that is not finite or not positive (an expired option among them),
            a side that is no truth value, or columns of different lengths; with the first row that is to blame.
    """

    forward: Floats
    """USD, of the option's own expiry."""
    strike: Floats
    """USD."""
    years: Floats
    """To expiry, of 365 days."""
    is_call: Bools
    log_moneyness: Floats = field(init=False)
    """k = ln(K / F)."""

    def __init__(self, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, is_call: ArrayLike) -> None:
        sides = np.asarray(is_call)
        if sides.dtype != np.bool_:
            raise Rejected(
                Rejection.MALFORMED, "a side is neither call nor put", advice="give truth values, or words to `sides`"
            )
        try:
            columns = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (forward, strike, years)), sides)
        except ValueError as error:
            raise Rejected(Rejection.MALFORMED, f"the columns do not fit: {error}", advice=ADVICE) from error
        flat = [np.atleast_1d(column) for column in columns]
        for name, values in zip(("forward", "strike", "time to expiry"), flat[:3], strict=True):
            positive(name, np.asarray(values, dtype=np.float64))
        for name, values in zip(("forward", "strike", "years", "is_call"), flat, strict=True):
            object.__setattr__(self, name, values)
        object.__setattr__(self, "log_moneyness", np.log(self.strike / self.forward))

    def __len__(self) -> int:
        return len(self.strike)


def positive(name: str, values: Floats) -> None:
    """
    Raises:
        Rejected: a value is not finite, or not positive; with its row.
    """
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        raise Rejected(Rejection.NOT_FINITE, f"row {row}: {name} is {values[row]}", advice=ADVICE)
    above = values > 0
    if not above.all():
        row = int(np.argmin(above))
        raise Rejected(
            Rejection.NOT_POSITIVE, f"row {row}: {name} is {values[row]:g}, and must be above zero", advice=ADVICE
        )


def sides(words: Sequence[str]) -> Bools:
    """From C, P, call or put in any case.

    Raises:
        Rejected: a word is none of these; with its row.
    """
    found = np.empty(len(words), dtype=np.bool_)
    for row, word in enumerate(words):
        side = SIDES.get(word.strip().upper())
        if side is None:
            raise Rejected(
                Rejection.MALFORMED, f"row {row}: {word!r} is neither call nor put", advice="write C, P, call or put"
            )
        found[row] = side
    return found
