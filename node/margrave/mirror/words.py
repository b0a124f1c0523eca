"""Lanes of a word as lists of integers: the plain view of what contracts/src/oracle/LaneMath.sol does all at once."""

from __future__ import annotations

from typing import Final, NamedTuple

from margrave.lanes import LANE_MAX, LANES, PRICE_BITS, PRICE_SHIFT, STAMP_SHIFT, WordName, Words

PRICE_MAX: Final = (1 << PRICE_BITS) - 1

LIMITED: Final = 1
HALT: Final = 2
RESUMED: Final = 4
MODEL_SET_SHIFT: Final = 3
"""Contract flags in the flags lane, and where the model-set index begins."""


class Field(NamedTuple):
    """Where a value lies in its word; the bit above it is its guard."""

    name: str
    shift: int
    largest: int


FIELDS: Final[dict[WordName, tuple[Field, ...]]] = {
    "risk": tuple(Field(x.name, x.shift, LANE_MAX) for x in LANES.values() if x.word == "risk"),
    "market": (
        *(Field(x.name, x.shift, LANE_MAX) for x in LANES.values() if x.word == "market" and not x.stamped),
        Field("price", PRICE_SHIFT, PRICE_MAX),
    ),
}
"""What members sign: every lane that the contract does not stamp, and the price."""


def value(word: int, field: Field) -> int:
    return word >> field.shift & field.largest


def signed_bits(name: WordName) -> int:
    """The bits a member may set; anything else on the wire is refused, because a guard bit corrupts its neighbour."""
    return sum(field.largest << field.shift for field in FIELDS[name])


def on_wire(words: Words) -> bool:
    """Whether the words carry nothing but what a member may sign."""
    return not (words.risk & ~signed_bits("risk") or words.market & ~signed_bits("market"))


def unstamped(words: Words) -> Words:
    """Stored words without the contract's time and flags."""
    return Words(risk=words.risk, market=words.market & signed_bits("market"))


def flags(words: Words) -> int:
    return words.market >> LANES["flags"].shift & LANE_MAX


def is_limited(words: Words) -> bool:
    """Whether a step limit held a lane of the stored words back."""
    return bool(flags(words) & LIMITED)


def stamped(words: Words, observed_at_s: int, *, limited: bool, model_set_index: int) -> Words:
    """What the contract stores of words that passed its limits."""
    lane = (LIMITED if limited else 0) | model_set_index << MODEL_SET_SHIFT
    return Words(risk=words.risk, market=words.market | observed_at_s << STAMP_SHIFT | lane << LANES["flags"].shift)
