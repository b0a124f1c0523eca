"""Portfolio margin of one account in one market, as contracts/src/margin/Portfolio.sol computes it to the last unit.

The scenarios and the add-ons are documented there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.lanes import Words, raw
from margrave.mirror import black76, surface
from margrave.mirror.fixed_point import WAD, ceiling_quotient, exp_wad, ln_wad, quotient
from margrave.mirror.surface import DAY_S, UNIT, Slice, Surface

LARGEST_FALL: Final = 99 * 10**16
LEAST_VOL: Final = WAD // 10
NAKED_FLOOR: Final = 4 * 10**15
TODAY: Final = 10
SCENARIOS: Final = 23


@dataclass(frozen=True, slots=True)
class Leg:
    """One option position; strike in dollars and quantity in contracts with 18 decimals, negative is short."""

    expiry_s: int
    strike: int
    is_call: bool
    quantity: int


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


def requirement(words: Words, legs: Sequence[Leg], now_s: int) -> Requirement:
    """What an account must hold for its legs in one market, rounded up.

    Args:
        words: the market as the oracle stores it.
        legs: positions; a series twice only with the same sign.
        now_s: Unix seconds, the block's; a leg that has expired counts at its intrinsic value.
    """
    if not legs:
        return Requirement(0, 0, 0, 0, 0)
    market = surface.unpack(words)
    grid = _grid(words)
    prices = [_prices(market, grid, leg, now_s) for leg in legs]
    values = [sum(leg.quantity * row[j] for leg, row in zip(legs, prices, strict=True)) for j in range(SCENARIOS)]
    worst, scenario = _worst(values)
    short = sum(-leg.quantity for leg in legs if leg.quantity < 0)
    closing = _ceil_product(_ceil_product(short, market.spot), raw(words, "liquidity") * UNIT)
    floor = _ceil_product(_ceil_product(_naked(legs), market.spot), NAKED_FLOOR)
    maintenance = max(worst + closing, floor)
    paid_for = sum(leg.quantity * row[TODAY] for leg, row in zip(legs, prices, strict=True) if leg.quantity > 0) // WAD
    initial = maintenance + (max(maintenance - paid_for, 0) + 3) // 4
    most = most_that_can_be_lost(legs)
    if most is not None:
        cap = max(ceiling_quotient(values[TODAY] + most, WAD), 0)
        maintenance, initial = min(maintenance, cap), min(initial, cap)
    return Requirement(
        initial=initial,
        maintenance=maintenance,
        value=values[TODAY] // WAD,
        worst_loss=worst,
        worst_scenario=scenario,
    )


def most_that_can_be_lost(legs: Sequence[Leg]) -> int | None:
    """The most that is owed at expiry whatever the price, 36 decimals; `None` where it has no bound."""
    most = 0
    for expiry in {leg.expiry_s for leg in legs}:
        group = [leg for leg in legs if leg.expiry_s == expiry]
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
    def share(name: str) -> int:
        return raw(words, name) * UNIT

    stretch = WAD + quotient(WAD - share("confidence"), 2)
    contagion = share("contagion")
    cascade = share("cascade_probability") * share("cascade_size") // WAD
    down = (share("down_es99") + contagion) * stretch // WAD
    up = (share("up_es99") + contagion) * stretch // WAD
    moves = [
        *(quotient(-down * i, 3) for i in (3, 2, 1)),
        *(up * i // 3 for i in range(4)),
        quotient(-(share("down_es999") + contagion + cascade) * stretch, WAD),
        (share("up_es999") + contagion + cascade) * stretch // WAD,
    ]
    factor = tuple(WAD + max(move, -LARGEST_FALL) for move in moves)
    return _Grid(
        factor=factor,
        log_factor=tuple(ln_wad(each) for each in factor),
        vol_up=share("vol_up") * stretch // WAD,
        vol_down=share("vol_down") * stretch // WAD,
    )


def _expiry(market: Surface, grid: _Grid, expiry_s: int, now_s: int) -> _Expiry:
    if expiry_s <= now_s:
        return _Expiry(Slice(forward=market.spot, log_forward=ln_wad(market.spot), theta=0, phi=0), WAD, WAD)
    time_s = expiry_s - now_s
    scale = exp_wad(quotient(ln_wad(30 * DAY_S * WAD // max(time_s, DAY_S)) * 3, 10))
    return _Expiry(
        slice=surface.cut(market, time_s),
        raised=WAD + grid.vol_up * scale // WAD,
        lowered=max(WAD - grid.vol_down * scale // WAD, LEAST_VOL),
    )


def _prices(market: Surface, grid: _Grid, leg: Leg, now_s: int) -> list[int]:
    """One contract's price in each scenario."""
    expiry = _expiry(market, grid, leg.expiry_s, now_s)
    log_moneyness = expiry.slice.log_forward - ln_wad(leg.strike)
    vol = surface.total_vol(market, expiry.slice, -log_moneyness) if expiry.slice.theta else 0
    vols = (vol * expiry.raised // WAD, vol, vol * expiry.lowered // WAD)
    prices = []
    for j in range(SCENARIOS):
        row, column = divmod(j, 3) if j < TODAY * 2 + 1 else (j - 14, 0)
        forward = expiry.slice.forward * grid.factor[row] // WAD
        price = black76.call(forward, leg.strike, log_moneyness + grid.log_factor[row], vols[column])
        prices.append(price if leg.is_call else price + leg.strike - forward)
    return prices


def _worst(values: Sequence[int]) -> tuple[int, int]:
    """Largest loss, rounded up, and where; the two extremes count half."""
    worst, scenario = 0, TODAY
    for j, each in enumerate(values):
        loss = ceiling_quotient(values[TODAY] - each, WAD if j < TODAY * 2 + 1 else 2 * WAD)
        if loss > worst:
            worst, scenario = loss, j
    return worst, scenario


def _ceil_product(x: int, y: int) -> int:
    return ceiling_quotient(x * y, WAD)
