"""What an attack did to what was published, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from margrave.lab.gauntlet.attacks import BEGIN, Attack, Sort
from margrave.lab.gauntlet.feeds import Feeds
from margrave.lab.gauntlet.rules import Published

MOST: Final = 1.10
"""Published over clean that an unflagged bar may reach."""
THERE: Final = 0.005
"""A price this close to the truth (log) has arrived."""


@dataclass(frozen=True, slots=True)
class Score:
    damage: float
    """Largest published over clean (or its inverse), over the unflagged bars: ES99, or the attacked figure."""
    damage_flagged: float
    """The same over all bars."""
    price_error: float
    """Largest log distance from the truth, over the unflagged bars."""
    flagged: int
    """Bars flagged from the attack on."""
    latency: int | None
    """Bars after the first at its full size until the published price is at the truth, and stays; `None` where it
    never is."""


def score(attack: Attack, attacked: Feeds, published: Published, clean: Published) -> Score:
    """Compare what was published under attack with what the same rule publishes without it.

    For a true move there is nothing clean to compare with: damage is then what of the median's answer is missing,
    given as `clean`.
    """
    after = slice(BEGIN, None)
    calm = ~published.flagged[after]
    if attack.sort is Sort.FIGURE and attack.figure in published.figures:
        ratio = published.figures[attack.figure][after] / clean.figures[attack.figure][after]
    else:
        ratio = published.es99[after] / clean.es99[after]
    ratio = np.where(np.isfinite(ratio), np.maximum(ratio, 1 / ratio), 1.0)
    error = np.abs(np.log(published.price / attacked.truth))[after]
    error = np.where(np.isfinite(error), error, 0.0)
    return Score(
        damage=float(ratio[calm].max(initial=1.0)),
        damage_flagged=float(ratio.max(initial=1.0)),
        price_error=float(error[calm].max(initial=0.0)),
        flagged=int(published.flagged[after].sum()),
        latency=_latency(attacked, published),
    )


def _latency(attacked: Feeds, published: Published) -> int | None:
    away = np.flatnonzero(~(np.abs(np.log(published.price / attacked.truth)) <= THERE))
    if not len(away) or away[-1] < BEGIN:
        return 0
    return None if away[-1] == len(published.price) - 1 else int(away[-1]) + 1 - BEGIN
