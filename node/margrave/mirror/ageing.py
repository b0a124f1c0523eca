"""How words tighten while nobody publishes, as contracts/src/oracle/Ageing.sol computes it, to the last unit.

From `aging_after_s` to `stale_after_s` every lane that tightens upwards grows by a share of itself, rounded up, to
twice itself at most, and confidence falls by that share of itself.
"""

from __future__ import annotations

from typing import Final

from margrave.lanes import BOXES, EXCESS, LANE_MAX, LANES, PRICE_SHIFT, Lane, Words
from margrave.mirror.fixed_point import ceiling_quotient
from margrave.mirror.words import RESUMED, flags

WHOLE: Final = 1 << 16


def effective(words: Words, age_s: int, *, aging_after_s: int, stale_after_s: int) -> Words:
    """Stored words as the oracle's `effective` gives them: those that wait for a report after a resumption are as old
    as can be, and a market that was never written stays empty."""
    if not words.market >> PRICE_SHIFT:
        return words
    share = WHOLE if flags(words) & RESUMED else share_up(age_s, aging_after_s, stale_after_s)
    return tightened_up(words, share) if share else words


def share_up(age_s: int, aging_after_s: int, stale_after_s: int) -> int:
    """How far an age has come from aging to stale, in 2^-16, rounded up."""
    if age_s <= aging_after_s:
        return 0
    if age_s >= stale_after_s:
        return WHOLE
    return ceiling_quotient((age_s - aging_after_s) * WHOLE, stale_after_s - aging_after_s)


def tightened_up(words: Words, share: int) -> Words:
    """Words that were coherent and within their lanes' meaning, tightened by a share of 2^16; stamps stay.

    A lane that its meaning bounds is held at that bound, as it is on the way in.
    """
    risk, market = words.risk, words.market
    for lane in LANES.values():
        if lane.stamped:
            continue
        word = risk if lane.word == "risk" else market
        value = word >> lane.shift & LANE_MAX
        grown = value + (ceiling_quotient(value * share, WHOLE) if lane.tightens == "up" else 0)
        tightened = min(grown, LANE_MAX, _highest(lane))
        if lane.name == "confidence":
            tightened -= ceiling_quotient(value * share, WHOLE)
        change = (tightened - value) << lane.shift
        risk, market = (risk + change, market) if lane.word == "risk" else (risk, market + change)
    return Words(risk=risk, market=market)


def _highest(lane: Lane) -> int:
    if lane.name not in BOXES:
        return LANE_MAX
    return round(BOXES[lane.name][1] / lane.unit) + (EXCESS if lane.signed else 0)
