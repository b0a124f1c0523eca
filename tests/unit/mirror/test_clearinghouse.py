"""Order digests against eth-account's own EIP-712 encoder; what settlements pay never sums to more than came in."""

from __future__ import annotations

import pytest
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from margrave.mirror.clearinghouse import (
    Order,
    Settled,
    claim_paid,
    collateral_value,
    net_payoff,
    order_digest,
    premium,
    series_id,
)

DESK = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
OTHER = "0x" + "11" * 20
ORDER = Order(maker=DESK, series=5, quantity=-7, price=8, deadline=9, salt=10)

positions = st.builds(
    Settled, strike=st.integers(1, 10**14), is_call=st.booleans(), quantity=st.integers(-(10**15), 10**15)
)


def hashed(message: SignableMessage) -> bytes:
    return bytes(_hash_eip191_message(message))


def test_orders_hash_as_eip712_says() -> None:
    names = {"maker": "address", "series": "uint256", "quantity": "int256", "price": "uint128", "deadline": "uint256"}
    message = encode_typed_data(
        {"name": "Margrave Clearinghouse", "version": "1", "chainId": 1, "verifyingContract": DESK},
        {"Order": [{"name": name, "type": kind} for name, kind in {**names, "salt": "uint256"}.items()]},
        {"maker": DESK, "series": 5, "quantity": -7, "price": 8, "deadline": 9, "salt": 10},
    )
    assert order_digest(1, DESK, ORDER) == hashed(message)


@pytest.mark.parametrize(
    ("chain_id", "desk", "order"),
    [
        (2, DESK, ORDER),
        (1, OTHER, ORDER),
        (1, DESK, Order(maker=OTHER, series=5, quantity=-7, price=8, deadline=9, salt=10)),
        (1, DESK, Order(maker=DESK, series=6, quantity=-7, price=8, deadline=9, salt=10)),
        (1, DESK, Order(maker=DESK, series=5, quantity=7, price=8, deadline=9, salt=10)),
        (1, DESK, Order(maker=DESK, series=5, quantity=-7, price=9, deadline=9, salt=10)),
        (1, DESK, Order(maker=DESK, series=5, quantity=-7, price=8, deadline=8, salt=10)),
        (1, DESK, Order(maker=DESK, series=5, quantity=-7, price=8, deadline=9, salt=11)),
    ],
)
def test_chain_desk_and_every_field_are_part_of_the_digest(chain_id: int, desk: str, order: Order) -> None:
    assert order_digest(chain_id, desk, order) != order_digest(1, DESK, ORDER)


def test_a_series_is_its_terms() -> None:
    terms = [(0, 1, 1, True), (0, 1, 1, False), (1, 1, 1, True), (0, 2, 1, True), (0, 1, 2, True)]
    assert len({series_id(market, at, strike, is_call=call) for market, at, strike, call in terms}) == len(terms)


@given(st.lists(positions, min_size=1, max_size=8), st.lists(st.integers(0, 7), max_size=8), st.integers(1, 10**14))
def test_settling_both_sides_never_owes_more_than_is_due(book: list[Settled], owners: list[int], price: int) -> None:
    """Every position has a writer and a holder; accounts net theirs; rounding is always against the account."""
    accounts: dict[int, list[Settled]] = {}
    for i, position in enumerate(book):
        accounts.setdefault(owners[i] if i < len(owners) else 0, []).append(position)
        opposite = Settled(position.strike, position.is_call, -position.quantity)
        accounts.setdefault(100 + i % 3, []).append(opposite)
    nets = [net_payoff(positions, price) for positions in accounts.values()]
    assert -len(nets) < sum(nets) <= 0


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=6), st.integers(0, 5), st.integers(0, 10**16))
def test_claims_never_take_more_than_came_in(claims: list[int], dust: int, came: int) -> None:
    due = sum(claims) + dust
    paid = min(came, due)
    assert sum(claim_paid(claim, due, paid) for claim in claims) <= paid


@given(st.integers(1, 10**15), st.integers(0, 10**18))
def test_a_premium_rounds_up_for_the_buyer_by_less_than_one_unit(quantity: int, price: int) -> None:
    paid, received = premium(quantity, price)
    assert 0 <= paid - received <= 1
    assert received * 10**6 <= quantity * price <= paid * 10**6


@given(st.integers(0, 10**30), st.integers(1, 10**14), st.integers(0, 10_000), st.integers(0, 32_767))
def test_a_stablecoin_counts_no_more_than_its_peg_and_less_when_it_is_lost(
    amount: int, price: int, haircut_bp: int, liquidity_bp: int
) -> None:
    peg = 10**8
    counted = collateral_value(amount, 18, price, peg, haircut_bp, liquidity_bp)
    assert counted <= collateral_value(amount, 18, peg, 0, haircut_bp, liquidity_bp)
    assert counted <= collateral_value(amount, 18, price, 0, haircut_bp, liquidity_bp)
    assert 0 <= counted <= amount * price // 10**20
