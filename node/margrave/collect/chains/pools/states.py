"""A pool's state written down as JSON, recognised by its shape: to be simulated, or refused by name.

Recordings differ in where they put things (`scalars` inside or not, ticks as lists or objects, numbers as text), so
each figure is looked for where any of them has it. Curves that we do not compute (Balancer, most of Curve, Aerodrome's
stable pools, pools with meddling hooks) are refused as `not_simulated`, which is not the same as a broken file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from margrave.collect import checks
from margrave.collect.chains.pools.concentrated import MOST_TICKS, Concentrated, concentrated
from margrave.collect.chains.pools.constant_product import ConstantProduct, FeeRule, constant_product
from margrave.collect.chains.pools.stable_swap import StableSwap, stable_swap
from margrave.collect.chains.pools.uniswap_v3 import known_between
from margrave.collect.chains.pools.uniswap_v4 import check_simulated, swap_fee
from margrave.errors import Rejected
from margrave.verdicts import Rejection

_3POOL_VARIANT: Final = 2
_UNLIKE_CURVE: Final = ("gamma", "base_pool", "redemption_price", "base_balances")
"""What pools of unlike coins and metapools have beside an amplification."""
MAX_DIGITS: Final = 80
"""Of a decimal number: 2^256 has 78."""

SPACINGS: Final[Mapping[int, int]] = {100: 1, 500: 10, 2_500: 50, 3_000: 60, 10_000: 200}
"""Of v3's fees, by the factories of Uniswap and PancakeSwap; for states that do not say it."""
_PARTS: Final = ("scalars", "immutable", "slot0")
_SYNONYMS: Final[Mapping[str, str]] = {
    "sqrt_price": "sqrt_price_x96",
    "fee_tier": "fee",
    "ticks": "tick_data",
    "hook_address": "hooks",
}

_FOREIGN: Final[Mapping[str, tuple[str, ...]]] = {
    "a Curve pool": ("a_coefficient", "initial_a", "gamma", "base_pool", "redemption_price"),
    "a Balancer pool": ("weights", "amp", "pow_version", "scaling_factors"),
}


def pool_of(body: object, *, zero_for_one: bool = True) -> Concentrated | ConstantProduct | StableSwap:
    """The pool of one document.

    Args:
        zero_for_one: the direction that will be swapped, where the protocol fee depends on it (v4).

    Raises:
        Rejected: `NOT_SIMULATED` for a curve or hook that is known and not computed, `UNKNOWN_SHAPE` for no pool at
            all, and what the figures themselves are refused for.
    """
    told = _flat(body)
    if "sqrt_price_x96" in told:
        return _concentrated(told, zero_for_one=zero_for_one)
    if "a_coefficient" in told and not any(told.get(mark) for mark in _UNLIKE_CURVE):
        return _stable_swap(told)
    for name, marks in _FOREIGN.items():
        if any(mark in told for mark in marks):
            raise Rejected(Rejection.NOT_SIMULATED, f"{name} is recognised, its curve is not computed")
    if told.get("stable") is True:
        raise Rejected(Rejection.NOT_SIMULATED, "a stable pool of Aerodrome is recognised, its curve is not computed")
    reserve0, reserve1 = _first(told, "reserve0", "reserves_token0"), _first(told, "reserve1", "reserves_token1")
    if reserve0 is None or reserve1 is None:
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"no pool that is read: {', '.join(sorted(told)[:6])}")
    rule = FeeRule.BEFORE if "stable" in told else FeeRule.WITHIN
    return constant_product(
        integer(reserve0, "reserve 0"), integer(reserve1, "reserve 1"), fee_per_myriad=_pair_fee(told), rule=rule
    )


def _flat(body: object) -> dict[str, object]:
    """One level, names in snake case: `sqrtPriceX96` and `feeTier` are what a subgraph calls them."""
    told = checks.mapping(body, "pool")
    parts = [told, *(checks.mapping(told[part], part) for part in _PARTS if told.get(part) is not None)]
    flat = {_snake(key): value for part in parts for key, value in part.items()}
    return flat | {ours: flat[theirs] for theirs, ours in _SYNONYMS.items() if theirs in flat and ours not in flat}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _concentrated(told: Mapping[str, object], *, zero_for_one: bool) -> Concentrated:
    nets = _nets(told.get("tick_data", {}))
    fee = integer(_first(told, "lp_fee", "fee", "fee_currency0", "fee_token0"), "fee")
    if hooks := told.get("hooks"):
        check_simulated(fee=fee, hooks=checks.text(hooks, "hooks"))
    protocol = _protocol_fee(told)
    stated = _first(told, "tick_spacing")
    spacing = integer(SPACINGS.get(fee) if stated is None else stated, "tick spacing")
    return concentrated(
        sqrt_price_x96=integer(told["sqrt_price_x96"], "square-root price"),
        tick=integer(told.get("tick"), "tick"),
        liquidity=integer(told.get("liquidity"), "liquidity"),
        fee_pips=swap_fee(fee, protocol, zero_for_one=zero_for_one) if protocol else fee,
        tick_spacing=spacing,
        nets=nets,
        known=_known(told, spacing),
    )


def _stable_swap(told: Mapping[str, object]) -> StableSwap:
    """A plain pool of Curve's; of the ways in which its generations find their invariant, 3pool's."""
    if any(checks.sequence(told.get("use_lending", []), "use_lending")):
        raise Rejected(Rejection.NOT_SIMULATED, "a Curve pool is recognised, which lends its coins: not computed")
    variant = checks.mapping(told.get("strategies", {}), "strategies").get("d_variant", _3POOL_VARIANT)
    if variant != _3POOL_VARIANT:
        raise Rejected(Rejection.NOT_SIMULATED, f"a Curve pool is recognised, of variant {variant!r}: not computed")
    coins = [checks.mapping(coin, "a coin") for coin in checks.sequence(told.get("tokens"), "coins")]
    return stable_swap(
        [integer(held, "balance") for held in checks.sequence(told.get("balances"), "balances")],
        [integer(coin.get("decimals"), "decimals") for coin in coins],
        integer(told["a_coefficient"], "amplification"),
        integer(told.get("fee"), "fee"),
    )


def _known(told: Mapping[str, object], spacing: int) -> tuple[int, int]:
    """A document with the words that were read tells how far its map is complete; one without is taken to be whole."""
    words = told.get("tick_bitmap")
    if not isinstance(words, dict) or not words:
        return known_between(range(-(1 << 15), 1 << 15), spacing)
    read = sorted(integer(word, "word") for word in words)
    whole = range(read[0], read[-1] + 1)
    # Dumps of a whole pool leave out the empty words; those of a neighbourhood have them in a row.
    return known_between(whole if len(read) == len(whole) else range(-(1 << 15), 1 << 15), spacing)


def _protocol_fee(told: Mapping[str, object]) -> int:
    if (both := _first(told, "protocol_fee")) is not None:
        return integer(both, "protocol fee")
    down, up = (told.get(f"protocol_fee_{way}", 0) for way in ("zero_for_one", "one_for_zero"))
    return integer(down, "protocol fee") | integer(up, "protocol fee") << 12


def _pair_fee(told: Mapping[str, object]) -> int:
    """Of 10,000. Documents say 3 of 1,000, or 30."""
    fee = integer(_first(told, "fee_token0", "fee_raw", "fee") or 30, "fee")
    return fee * 10_000 // max(integer(told.get("fee_denominator", 10_000), "fee denominator"), 1)


def _nets(ticks: object) -> dict[int, int]:
    """An object by tick, or a list of ticks that name themselves."""
    if isinstance(ticks, dict):
        entries: list[tuple[object, object]] = list(ticks.items())
    else:
        rows = [checks.mapping(row, "a tick") for row in checks.sequence(ticks, "ticks")]
        entries = [(_first(row, "tickIdx", "tick_idx", "tick", "index"), row) for row in rows]
    if len(entries) > MOST_TICKS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{len(entries)} ticks")
    return {integer(tick, "tick"): _net(entry) for tick, entry in entries}


def _net(entry: object) -> int:
    """[gross, net, block] or {liquidity_net: …}."""
    if isinstance(entry, list):
        return integer(checks.sequence(entry, "a tick", least=2)[1], "net liquidity")
    found = checks.mapping(entry, "a tick")
    return integer(_first(found, "liquidity_net", "liquidityNet"), "net liquidity")


def integer(value: object, what: str) -> int:
    """A whole number of up to 256 bits, as a number or as text.

    Raises:
        Rejected: `MALFORMED`; a float is refused, for it has lost the last units already.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 256:
        return value
    if isinstance(value, str) and len(value) <= MAX_DIGITS and "_" not in value:
        try:
            return int(value, 16 if value[:2] in ("0x", "0X") else 10)
        except ValueError:
            pass
    shown = repr(value)[:40]
    raise Rejected(Rejection.MALFORMED, f"{what} is {shown}, not a whole number")


def _first(told: Mapping[str, object], *names: str) -> object:
    return next((told[name] for name in names if told.get(name) is not None), None)
