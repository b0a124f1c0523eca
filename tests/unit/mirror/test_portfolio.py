"""Portfolio margin: what must be true of every portfolio, and the whole engine against floating point."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from margrave import lanes
from margrave.lanes import Words
from margrave.mirror.portfolio import Leg, Requirement, most_that_can_be_lost, requirement
from margrave.mirror.surface import PAR
from tests.vectors.make import NOW_S, any_words, honest, random_leg

SEEDS = st.integers(0, 2**32)


def drawn(seed: int, count: int) -> tuple[Words, list[Leg]]:
    rng = random.Random(seed)
    words = honest(rng)
    return words, [random_leg(rng, words) for _ in range(count)]


def of(words: Words, legs: Sequence[Leg]) -> Requirement:
    return requirement(words, legs, NOW_S)


@given(SEEDS, st.integers(1, 6))
def test_a_requirement_is_ordered_and_within_what_can_be_lost(seed: int, count: int) -> None:
    words, legs = drawn(seed, count)
    result = of(words, legs)
    assert 0 <= result.maintenance <= result.initial
    assert result.worst_loss >= 0
    most = most_that_can_be_lost(legs)
    if most is None:
        assert result.maintenance >= result.worst_loss
    else:
        assert result.initial <= max(result.value + most * PAR, 0)


@given(SEEDS, st.integers(1, 6))
def test_no_words_are_too_strange_to_be_margined(seed: int, count: int) -> None:
    rng = random.Random(seed)
    words = any_words(rng)
    legs = [random_leg(rng, words) for _ in range(count)]
    result = of(words, legs)
    assert 0 <= result.maintenance <= result.initial


@given(SEEDS, st.integers(10_000, 65_535))
def test_an_account_s_multiplier_multiplies_what_has_no_bound(seed: int, multiplier: int) -> None:
    words, (leg,) = drawn(seed, 1)
    naked = Leg(leg.expiry_s, leg.strike, True, -abs(leg.quantity))
    alone, multiplied = of(words, [naked]), requirement(words, [naked], NOW_S, multiplier)
    assert multiplied.maintenance == -(-alone.maintenance * multiplier // PAR)
    assert requirement(words, [naked], NOW_S, multiplier // 10) == alone


@given(SEEDS, st.integers(1, 4))
def test_adding_a_long_option_never_raises_maintenance_beyond_its_premium(seed: int, count: int) -> None:
    words, legs = drawn(seed, count + 1)
    last = legs[-1]
    longer = [*legs[:-1], Leg(last.expiry_s, last.strike, last.is_call, abs(last.quantity))]
    before, then = of(words, legs[:-1]), of(words, longer)
    assert then.maintenance <= before.maintenance + then.value - before.value + grain(last)


@given(SEEDS, st.integers(1, 6))
def test_long_options_need_nothing_beyond_their_mark(seed: int, count: int) -> None:
    words, legs = drawn(seed, count)
    result = of(words, [Leg(x.expiry_s, x.strike, x.is_call, abs(x.quantity)) for x in legs])
    assert result.initial <= result.value


@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_legs_changes_no_digit(seed: int, rng: random.Random) -> None:
    words, legs = drawn(seed, 5)
    turned = list(legs)
    rng.shuffle(turned)
    assert of(words, legs) == of(words, turned)


@given(SEEDS, st.integers(2, 9))
def test_splitting_a_leg_changes_no_digit(seed: int, divisor: int) -> None:
    words, legs = drawn(seed, 3)
    first = legs[0]
    part = first.quantity // divisor
    halves = [Leg(first.expiry_s, first.strike, first.is_call, each) for each in (part, first.quantity - part) if each]
    assert of(words, legs) == of(words, [*halves, *legs[1:]])


@example(1798559, 3)
@given(SEEDS, st.integers(2, 5))
def test_a_portfolio_needs_no_more_than_its_legs(seed: int, count: int) -> None:
    words, legs = drawn(seed, count)
    alone = [of(words, [leg]) for leg in legs]
    # The cap at what can be lost is the one term that is no maximum of sums: see contracts/invariants.md.
    assume(not any(capped(each, leg) for each, leg in zip(alone, legs, strict=True)))
    whole = of(words, legs)
    # A leg alone is priced at the corners that its sign leaves. One left out may lose more by the table's error: M10.
    spot = words.market >> lanes.PRICE_SHIFT
    slack = sum(grain(leg) + abs(leg.quantity) * spot * PAR // CORNER_SHARE for leg in legs)
    assert whole.maintenance <= sum(each.maintenance for each in alone) + slack
    assert whole.initial <= sum(each.initial for each in alone) + slack


CORNER_SHARE = 10**5
"""Of the price of a contract, the bound of what a scenario left out may lose more."""


def capped(result: Requirement, leg: Leg) -> bool:
    most = most_that_can_be_lost([leg])
    return leg.quantity < 0 and most is not None and result.initial >= result.value + most * PAR


@given(SEEDS)
def test_an_expired_leg_is_worth_its_intrinsic_value(seed: int) -> None:
    words, (leg,) = drawn(seed, 1)
    spot = words.market >> lanes.PRICE_SHIFT
    expired = Leg(NOW_S, leg.strike, leg.is_call, 10**6)
    assert of(words, [expired]).value == max(spot - leg.strike if leg.is_call else leg.strike - spot, 0) * 10**10


def test_no_legs_need_nothing() -> None:
    words, _ = drawn(1, 1)
    assert of(words, []) == Requirement(0, 0, 0, 0, 0)


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 5))
def test_the_engine_agrees_with_floating_point(seed: int, count: int) -> None:
    words, legs = drawn(seed, count)
    got, wanted = of(words, legs), reference(words, legs)
    scale = sum(size(leg) * (lanes.price_usd(words) * 4 + leg.strike / 1e8) for leg in legs)
    for name, value in wanted.items():
        assert getattr(got, name) / 1e18 == pytest.approx(value, abs=3e-6 * scale), name


def grain(leg: Leg) -> int:
    """A put's parity is taken with the moved forward, a call's price with that rounded down: by 2^-24 of 1e-8."""
    return abs(leg.quantity) // 1000 + 2


def size(leg: Leg) -> float:
    return abs(leg.quantity) / 1e6


# --- the same engine in floating point, written from the documentation of Portfolio.sol -----------------------------


def reference(words: Words, legs: Sequence[Leg]) -> dict[str, float]:
    lane = {name: lanes.decode(words, name) for name in lanes.LANES}
    spot = lanes.price_usd(words)
    stretch = 1 + (1 - lane["confidence"]) / 2
    cascade = lane["cascade_probability"] * lane["cascade_size"]
    scenarios = []
    for third in range(-3, 4):
        side = lane["down_es99"] if third < 0 else lane["up_es99"]
        move = third / 3 * (side + lane["contagion"]) * stretch
        scenarios += [(move, vol, 1.0) for vol in ("up", "same", "down")]
    for sign, name in ((-1, "down_es999"), (1, "up_es999")):
        scenarios.append((sign * (lane[name] + lane["contagion"] + cascade) * stretch, "up", 0.5))

    def portfolio(move: float, vol: str) -> float:
        return sum(leg.quantity / 1e6 * price(lane, spot, leg, max(move, -0.99), vol, stretch) for leg in legs)

    value = portfolio(0.0, "same")
    loss = max(0.0, *((value - portfolio(move, vol)) * weight for move, vol, weight in scenarios))
    short = sum(max(-leg.quantity, 0) for leg in legs) / 1e6
    calls = sum(leg.quantity for leg in legs if leg.is_call) / 1e6
    puts = sum(leg.quantity for leg in legs if not leg.is_call) / 1e6
    naked = max(-calls, 0) + max(-puts, 0)
    gaps = sum(max(-leg.quantity, 0) / 1e6 * abs(forward_of(lane, spot, leg) - spot) for leg in legs)
    maintenance = max(loss + short * spot * lane["liquidity"] + gaps / 4, 0.004 * naked * spot)
    paid_for = sum(
        leg.quantity / 1e6 * price(lane, spot, leg, 0.0, "same", stretch) for leg in legs if leg.quantity > 0
    )
    initial = maintenance + max(maintenance - paid_for, 0) / 4
    most = most_that_can_be_lost(legs)
    cap = math.inf if most is None else max(value + most / 1e14, 0)
    return {
        "value": value,
        "worst_loss": loss,
        "maintenance": min(maintenance, cap),
        "initial": min(initial, cap),
    }


def forward_of(lane: dict[str, float], spot: float, leg: Leg) -> float:
    return spot * min(max(1 + lane["basis"] * max(leg.expiry_s - NOW_S, 0) / 31_536_000, 0.1), 10)


def price(lane: dict[str, float], spot: float, leg: Leg, move: float, vol: str, stretch: float) -> float:
    strike = leg.strike / 1e8
    time_s = leg.expiry_s - NOW_S
    if time_s <= 0:
        forward, total = spot * (1 + move), 0.0
    else:
        now = forward_of(lane, spot, leg)
        total = ssvi_total_vol(lane, math.log(strike / now), time_s / 86_400)
        tilt = (30 / max(time_s / 86_400, 1)) ** 0.3
        total *= {"up": 1 + lane["vol_up"] * stretch * tilt, "same": 1.0}.get(
            vol, max(1 - lane["vol_down"] * stretch * tilt, 0.1)
        )
        forward = now * (1 + move)
    if total == 0:
        call = max(forward - strike, 0)
    else:
        d1 = math.log(forward / strike) / total + total / 2
        call = forward * float(ndtr(d1)) - strike * float(ndtr(d1 - total))
    return call if leg.is_call else call - forward + strike


def ssvi_total_vol(lane: dict[str, float], k: float, days: float) -> float:
    week, month, quarter = (lane[name] ** 2 for name in lanes.TENORS_DAYS)
    if days <= 7:
        theta = week * days / 7
    elif days <= 30:
        theta = week + (month - week) * (days - 7) / 23
    else:
        theta = month + (quarter - month) * (days - 30) / 60
    rho, gamma = lane["ssvi_rho"], lane["ssvi_decay"]
    phi = lane["ssvi_wing"] / (1 + abs(rho)) / (theta**gamma * (1 + theta) ** (1 - gamma))
    return math.sqrt(theta / 2 * (1 + rho * phi * k + math.sqrt((phi * k + rho) ** 2 + 1 - rho**2)))
