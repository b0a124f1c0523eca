"""The wire table: what each lane of a market's two words means. Python, Solidity and the docs are generated from it.

A word is 256 bits. A lane is 16 bits: 15 bits of value under one guard bit that is zero on the wire, so that one
subtraction of two words compares all their lanes at once. The price has one wide lane (63 bits under a guard bit); the
stamp is written by the contract and is zero on the wire, like every lane marked `stamped`.

Coordinates are chosen so that coherence is an order or a box, because medians keep orders and boxes:

* each side of the return ladder is one ascending chain, q97.5 <= q99.5 <= ES99 <= q99.95 <= ES99.9
  (true of every distribution with a tail no lighter than the normal's and a tail index above 2);
* volatility is published as total volatility, sigma * sqrt(T): no calendar arbitrage is an ascending chain;
* SSVI's wing as b = eta * (1 + |rho|): no butterfly arbitrage is b <= 2 (Gatheral and Jacquier 2014, with
  phi(theta) = eta / (theta^gamma (1 + theta)^(1 - gamma)), 0 < gamma <= 1/2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from margrave.errors import Rejected
from margrave.verdicts import Rejection

LANE_BITS: Final = 16
LANE_MAX: Final = 0x7FFF
EXCESS: Final = 16_384
"""Signed lanes are stored in excess-16384: value + 16384."""

PRICE_BITS: Final = 63
PRICE_SHIFT: Final = 192
PRICE_UNIT_USD: Final = 1e-8
STAMP_BITS: Final = 32
STAMP_SHIFT: Final = 160

WordName = Literal["risk", "market"]


@dataclass(frozen=True, slots=True)
class Lane:
    """One 16-bit field: `unit` is the size of one count, so `value = (raw - excess) * unit`."""

    name: str
    word: WordName
    index: int
    unit: float
    signed: bool
    meaning: str
    tightens: Literal["up", "down", "either", "none"] = "up"
    """In which direction the lane must move for margin to rise: the side of the step limit that is loose."""
    stamped: bool = False

    @property
    def shift(self) -> int:
        return self.index * LANE_BITS


def _risk(index: int, name: str, meaning: str) -> Lane:
    return Lane(name=name, word="risk", index=index, unit=1e-4, signed=False, meaning=meaning)


RISK_LANES: Final = (
    _risk(0, "down_q975", "loss of the index over the MPOR that is exceeded with probability 2.5 %"),
    _risk(1, "down_q995", "the same at 0.5 %"),
    _risk(2, "down_es99", "expected shortfall of the lower tail, 1 %"),
    _risk(3, "down_q9995", "the same loss at 0.05 %"),
    _risk(4, "down_es999", "expected shortfall of the lower tail, 0.1 %"),
    _risk(5, "up_q975", "gain of the index over the MPOR that is exceeded with probability 2.5 %"),
    _risk(6, "up_q995", "the same at 0.5 %"),
    _risk(7, "up_es99", "expected gain in the upper tail, 1 %"),
    _risk(8, "up_q9995", "the same gain at 0.05 %"),
    _risk(9, "up_es999", "expected gain in the upper tail, 0.1 %"),
    _risk(10, "vol_up", "rise of 30-day implied volatility over the MPOR, relative, 99 %"),
    _risk(11, "vol_down", "fall of 30-day implied volatility over the MPOR, relative, 99 %"),
    _risk(12, "liquidity", "half-spread plus impact of closing the reference size, share of notional"),
    _risk(13, "cascade_probability", "probability of a liquidation cascade within 24 h"),
    _risk(14, "cascade_size", "price impact of that cascade, share of price"),
    _risk(15, "contagion", "add-on for losses that arrive from other markets and protocols, share of notional"),
)

MARKET_LANES: Final = (
    Lane("score", "market", 0, 1.0, False, "composite risk score, 0 (calm) to 10,000", "up"),
    Lane("confidence", "market", 1, 1e-4, False, "how far the node trusts this row, 0 to 1", "down"),
    Lane("flags", "market", 2, 1.0, False, "contract flags and model-set index", "none", stamped=True),
    Lane("total_vol_7d", "market", 3, 5e-5, False, "at-the-money sigma * sqrt(T) at 7 days", "up"),
    Lane("total_vol_30d", "market", 4, 5e-5, False, "the same at 30 days", "up"),
    Lane("total_vol_90d", "market", 5, 5e-5, False, "the same at 90 days", "up"),
    Lane("ssvi_rho", "market", 6, 1e-4, True, "SSVI correlation rho, -1 to 1", "either"),
    Lane("ssvi_wing", "market", 7, 1e-4, False, "SSVI wing b = eta * (1 + |rho|), at most 2", "either"),
    Lane("ssvi_decay", "market", 8, 1e-4, False, "SSVI decay gamma, above 0 to 1/2", "either"),
    Lane("basis", "market", 9, 1e-4, True, "forward over index, annualised", "either"),
)

LANES: Final[Mapping[str, Lane]] = {lane.name: lane for lane in RISK_LANES + MARKET_LANES}

ASCENDING: Final = (
    ("down_q975", "down_q995", "down_es99", "down_q9995", "down_es999"),
    ("up_q975", "up_q995", "up_es99", "up_q9995", "up_es999"),
    ("total_vol_7d", "total_vol_30d", "total_vol_90d"),
)
"""Chains that every honest word obeys, and that medians therefore keep."""

BOXES: Final[Mapping[str, tuple[float, float]]] = {
    "score": (0, 10_000),
    "confidence": (0, 1),
    "cascade_probability": (0, 1),
    "cascade_size": (0, 1),
    "ssvi_rho": (-1, 1),
    "ssvi_wing": (0, 2),
    "ssvi_decay": (0, 0.5),
}
"""Bounds that follow from a lane's meaning, in its own unit; governance's bounds lie inside them."""

TENORS_DAYS: Final[Mapping[str, int]] = {"total_vol_7d": 7, "total_vol_30d": 30, "total_vol_90d": 90}


@dataclass(frozen=True, slots=True)
class Words:
    """One market's two words as integers, as they are signed (stamped lanes zero) or stored (stamped lanes filled)."""

    risk: int
    market: int


def encode(values: Mapping[str, float], price_usd: float) -> Words:
    """Quantise to the wire: round half to even, then refuse what does not fit rather than clamp it.

    Args:
        values: every lane that is not stamped, by name, in its own unit (shares as fractions, volatility as total vol).
        price_usd: index price in US dollars, above zero.

    Raises:
        Rejected: a lane is missing, not finite, or does not fit 15 bits; the price does not fit 63 bits.
    """
    words = {"risk": 0, "market": 0}
    for lane in LANES.values():
        if lane.stamped:
            continue
        if lane.name not in values:
            raise Rejected(Rejection.EMPTY, f"lane {lane.name} has no value")
        value = values[lane.name]
        if value != value or value in (float("inf"), float("-inf")):
            raise Rejected(Rejection.NOT_FINITE, f"lane {lane.name} is {value}")
        raw = round(value / lane.unit) + (EXCESS if lane.signed else 0)
        if not 0 <= raw <= LANE_MAX:
            raise Rejected(Rejection.OUT_OF_RANGE, f"lane {lane.name} = {value:g} exceeds 15 bits of {lane.unit:g}")
        words[lane.word] |= raw << lane.shift
    if not 0 < price_usd < float("inf"):
        raise Rejected(Rejection.NOT_POSITIVE, f"price is {price_usd}")
    price = round(price_usd / PRICE_UNIT_USD)
    if not 0 < price < 1 << PRICE_BITS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"price {price_usd:g} USD does not fit 63 bits of {PRICE_UNIT_USD:g}")
    return Words(risk=words["risk"], market=words["market"] | price << PRICE_SHIFT)


def raw(words: Words, name: str) -> int:
    """The 15-bit count of one lane, without its unit or excess."""
    lane = LANES[name]
    word = words.risk if lane.word == "risk" else words.market
    return word >> lane.shift & LANE_MAX


def decode(words: Words, name: str) -> float:
    """One lane in its own unit."""
    lane = LANES[name]
    return (raw(words, name) - (EXCESS if lane.signed else 0)) * lane.unit


def price_usd(words: Words) -> float:
    return (words.market >> PRICE_SHIFT & (1 << PRICE_BITS) - 1) * PRICE_UNIT_USD


def observed_at_s(words: Words) -> int:
    """The time that the contract stamped, in Unix seconds; zero on the wire."""
    return words.market >> STAMP_SHIFT & (1 << STAMP_BITS) - 1


def table() -> list[Mapping[str, object]]:
    """The rows that docs and Solidity are generated from."""
    rows: list[Mapping[str, object]] = [
        {"word": x.word, "lane": x.index, "name": x.name, "unit": x.unit, "signed": x.signed, "meaning": x.meaning}
        for x in LANES.values()
    ]
    rows.append(
        {
            "word": "market",
            "lane": "10-11",
            "name": "time",
            "unit": 1,
            "signed": False,
            "meaning": "observed, Unix s",
        }
    )
    rows.append(
        {
            "word": "market",
            "lane": "12-15",
            "name": "price",
            "unit": 1e-8,
            "signed": False,
            "meaning": "index, USD",
        }
    )
    return rows
