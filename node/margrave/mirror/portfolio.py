"""Portfolio margin of one account in one market, as contracts/src/margin computes it, to the last unit.

The scenarios and the add-ons are documented in Portfolio.sol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

from margrave.lanes import Words, raw
from margrave.mirror import black76, corners, surface
from margrave.mirror.fixed_point import BITS, ONE, WAD, ceiling_quotient, exp, ln, ln_wad, quotient
from margrave.mirror.surface import FORWARD_BITS, PAR, Slice, Surface
from margrave.spans import DAY_S

LARGEST_FALL: Final = ONE * 99 // 100
LEAST_VOL: Final = ONE // 10
NAKED_FLOOR_BP: Final = 40
MOST_MULTIPLIER: Final = (1 << 32) - 1
TODAY: Final = corners.TODAY
MOVES: Final = 7
_STRETCHED: Final = 2 * PAR * PAR


@dataclass(frozen=True)
class Leg:
    """One option position: strike in dollars with 8 decimals, quantity in contracts with 6, negative is short."""

    expiry_s: int
    strike: int
    is_call: bool
    quantity: int

    @cached_property
    def log_strike(self) -> int:
        """ln of the strike in dollars, 40 fractional bits, as the leg's slot keeps it."""
        return quotient(ln_wad(self.strike * 10**10) * ONE, WAD)

    def packed(self) -> int:
        """The slot, as Leg.sol packs it."""
        return (
            self.log_strike % (1 << 64)
            | self.strike << 64
            | self.expiry_s << 128
            | int(self.is_call) << 168
            | self.quantity % (1 << 64) << 192
        )


@dataclass(frozen=True, slots=True)
class Requirement:
    """Dollars with 18 decimals. Equity is collateral plus `value`; it must not be below a requirement.

    `worst_scenario` is 3 * row + column of the grid (10 is today), 21 and 22 are the extremes down and up.
    """

    initial: int
    maintenance: int
    value: int
    worst_loss: int
    worst_scenario: int


@dataclass(frozen=True, slots=True)
class _Grid:
    factor: tuple[int, ...]
    log_factor: tuple[int, ...]
    vol_up: int
    vol_down: int


@dataclass(frozen=True, slots=True)
class _Expiry:
    slice: Slice
    raised: int
    lowered: int


def requirement(
    words: Words,
    legs: Sequence[Leg],
    now_s: int,
    multiplier_bp: int = PAR,
    *,
    scenarios: Sequence[int] | None = None,
) -> Requirement:
    """What an account must hold for its legs in one market, rounded up.

    Args:
        words: the market as the oracle's `effective` gives it.
        legs: positions; a series twice only with the same sign.
        now_s: Unix seconds, the block's; a leg that has expired counts at its intrinsic value.
        multiplier_bp: the account's own, in basis points, held between 10,000 and 2^32 - 1.
        scenarios: those that count, ascending and with today: unless said, those of `corners`.
    """
    if scenarios is None:
        scenarios = corners.scenarios((leg.is_call, leg.quantity) for leg in legs)
    market = surface.unpack(words)
    if not legs or market.spot == 0:
        return Requirement(0, 0, 0, 0, 0)
    grid = _grid(words)
    expiries = {expiry_s: _expiry(market, grid, expiry_s - now_s) for expiry_s in {leg.expiry_s for leg in legs}}
    calls = [_call_prices(grid, expiries[leg.expiry_s], leg, scenarios) for leg in legs]
    values = _values(grid, expiries, legs, calls, scenarios)
    today = values[TODAY]
    worst, scenario = _worst(values)
    short = [leg for leg in legs if leg.quantity < 0]
    closing = sum(-leg.quantity for leg in short) * market.spot * raw(words, "liquidity")
    gaps = sum(
        -leg.quantity * abs(expiries[leg.expiry_s].slice.forward - (market.spot << FORWARD_BITS)) for leg in short
    )
    basis = ceiling_quotient(gaps * PAR, 4 << FORWARD_BITS)
    maintenance = max(worst + closing + basis, _naked(legs) * market.spot * NAKED_FLOOR_BP)
    paid_for = _dollars_down(
        sum(
            leg.quantity * (row[TODAY] + _parity(expiries[leg.expiry_s], leg))
            for leg, row in zip(legs, calls, strict=True)
            if leg.quantity > 0
        )
    )
    initial = maintenance + ceiling_quotient(max(maintenance - paid_for, 0), 4)
    multiplier = min(max(multiplier_bp, PAR), MOST_MULTIPLIER)
    maintenance, initial = (ceiling_quotient(each * multiplier, PAR) for each in (maintenance, initial))
    value = _dollars_down(today)
    most = most_that_can_be_lost(legs)
    if most is not None:
        cap = max(value + most * PAR, 0)
        maintenance, initial = min(maintenance, cap), min(initial, cap)
    return Requirement(initial=initial, maintenance=maintenance, value=value, worst_loss=worst, worst_scenario=scenario)


def most_that_can_be_lost(legs: Sequence[Leg]) -> int | None:
    """The most that is owed at expiry whatever the price, 14 decimals; `None` where it has no bound."""
    most = 0
    for _, found in groupby(sorted(legs, key=lambda leg: leg.expiry_s), key=lambda leg: leg.expiry_s):
        group = list(found)
        if sum(leg.quantity for leg in group if leg.is_call) < 0:
            return None
        most -= min(_payoff(group, price) for price in (0, *(leg.strike for leg in group)))
    return most


def _payoff(legs: Iterable[Leg], price: int) -> int:
    return sum(leg.quantity * max(price - leg.strike if leg.is_call else leg.strike - price, 0) for leg in legs)


def _naked(legs: Sequence[Leg]) -> int:
    calls = sum(leg.quantity for leg in legs if leg.is_call)
    puts = sum(leg.quantity for leg in legs if not leg.is_call)
    return max(-calls, 0) + max(-puts, 0)


def _grid(words: Words) -> _Grid:
    def lane(name: str) -> int:
        return raw(words, name)

    stretch = 3 * PAR - min(lane("confidence"), PAR)
    contagion = lane("contagion")
    cascade = lane("cascade_probability") * lane("cascade_size")
    fall = (lane("down_es99") + contagion) * stretch * ONE
    rise = (lane("up_es99") + contagion) * stretch * ONE
    moves = [
        quotient(-fall, _STRETCHED),
        quotient(-fall * 2, 3 * _STRETCHED),
        quotient(-fall, 3 * _STRETCHED),
        0,
        rise // (3 * _STRETCHED),
        rise * 2 // (3 * _STRETCHED),
        rise // _STRETCHED,
        quotient(-((lane("down_es999") + contagion) * PAR + cascade) * stretch * ONE, _STRETCHED * PAR),
        ((lane("up_es999") + contagion) * PAR + cascade) * stretch * ONE // (_STRETCHED * PAR),
    ]
    factor = tuple(ONE + max(move, -LARGEST_FALL) for move in moves)
    return _Grid(
        factor=factor,
        log_factor=tuple(ln(each) for each in factor),
        vol_up=lane("vol_up") * stretch * ONE // _STRETCHED,
        vol_down=lane("vol_down") * stretch * ONE // _STRETCHED,
    )


def _expiry(market: Surface, grid: _Grid, time_s: int) -> _Expiry:
    left_s = max(time_s, 0)
    scale = exp(quotient(ln(30 * DAY_S * ONE // max(left_s, DAY_S)) * 3, 10))
    return _Expiry(
        slice=surface.cut(market, left_s),
        raised=ONE + (grid.vol_up * scale >> BITS),
        lowered=max(ONE - (grid.vol_down * scale >> BITS), LEAST_VOL),
    )


def _call_prices(grid: _Grid, expiry: _Expiry, leg: Leg, scenarios: Iterable[int]) -> dict[int, int]:
    """A call of the leg's terms in each of the scenarios, in `black76.ONE` of the forward's unit."""
    strike = leg.strike << FORWARD_BITS
    moneyness = expiry.slice.log_forward - leg.log_strike
    vol = 0
    if expiry.slice.theta:
        vol = min(surface.total_vol(expiry.slice, -moneyness), black76.MOST_VOL)
    vols = (min(vol * expiry.raised >> BITS, black76.MOST_VOL), vol, vol * expiry.lowered >> BITS)
    prices = {}
    for j in scenarios:
        row, column = _row(j), j % 3 if j < 3 * MOVES else 0
        forward = expiry.slice.forward * grid.factor[row] >> BITS
        if vols[-1] < black76.LEAST_VOL:
            prices[j] = black76.intrinsic(forward, strike)
        else:
            prices[j] = black76.call(forward, strike, moneyness + grid.log_factor[row], vols[column])
    return prices


def _parity(expiry: _Expiry, leg: Leg) -> int:
    """What the leg is worth today beyond a call of its terms."""
    return 0 if leg.is_call else ((leg.strike << FORWARD_BITS) - expiry.slice.forward) * black76.ONE


def _values(
    grid: _Grid,
    expiries: Mapping[int, _Expiry],
    legs: Sequence[Leg],
    calls: Sequence[Mapping[int, int]],
    scenarios: Iterable[int],
) -> dict[int, int]:
    """The portfolio in each of the scenarios: its legs as calls, and for its puts the strikes less the forwards."""
    puts = [leg for leg in legs if not leg.is_call]
    strikes = sum(leg.quantity * leg.strike for leg in puts) << FORWARD_BITS
    forwards = sum(leg.quantity * expiries[leg.expiry_s].slice.forward for leg in puts)
    values = {}
    for j in scenarios:
        parity = strikes - (forwards * grid.factor[_row(j)] >> BITS)
        values[j] = sum(leg.quantity * row[j] for leg, row in zip(legs, calls, strict=True)) + parity * black76.ONE
    return values


def _row(scenario: int) -> int:
    return scenario // 3 if scenario < 3 * MOVES else scenario - 2 * MOVES


def _worst(values: Mapping[int, int]) -> tuple[int, int]:
    """Largest loss, rounded up, and where; the two extremes count half."""
    worst, scenario = 0, TODAY
    for j, each in values.items():
        loss = values[TODAY] - each if j < 3 * MOVES else values[TODAY] - each + 1 >> 1
        if loss > worst:
            worst, scenario = loss, j
    return -_dollars_down(-worst), scenario


def _dollars_down(x: int) -> int:
    """From sums of quantity times price to dollars with 18 decimals: 6 + 8 of them are there."""
    return (x >> FORWARD_BITS) * PAR // black76.ONE
