"""The digests against eth-account's own EIP-712 encoder."""

from __future__ import annotations

import pytest
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data

from margrave.mirror.typed_data import Order, order_digest, own_words_digest, series_id

ORACLE = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
WORDS = (1, 2**255 - 1, 3, 4)
MODEL_SET, POLICY = bytes(range(32)), bytes(range(32, 64))


def hashed(message: SignableMessage) -> bytes:
    return bytes(_hash_eip191_message(message))


def test_own_words_hash_as_eip712_says() -> None:
    message = encode_typed_data(
        {"name": "Margrave", "version": "1", "chainId": 31337, "verifyingContract": ORACLE},
        {
            "OwnWords": [
                {"name": "epoch", "type": "uint32"},
                {"name": "round", "type": "uint32"},
                {"name": "firstMarket", "type": "uint16"},
                {"name": "modelSet", "type": "bytes32"},
                {"name": "policy", "type": "bytes32"},
                {"name": "words", "type": "uint256[]"},
            ]
        },
        {"epoch": 4, "round": 9, "firstMarket": 2, "modelSet": MODEL_SET, "policy": POLICY, "words": list(WORDS)},
    )
    assert own_words_digest(31337, ORACLE, 4, 9, 2, MODEL_SET, POLICY, WORDS) == hashed(message)


def test_orders_hash_as_eip712_says() -> None:
    order = Order(maker=ORACLE, series=5, quantity=-7, price=8, deadline=9, salt=10)
    names = {"maker": "address", "series": "uint256", "quantity": "int256", "price": "uint128", "deadline": "uint256"}
    message = encode_typed_data(
        {"name": "Margrave Clearinghouse", "version": "1", "chainId": 1, "verifyingContract": ORACLE},
        {"Order": [{"name": name, "type": kind} for name, kind in {**names, "salt": "uint256"}.items()]},
        {"maker": ORACLE, "series": 5, "quantity": -7, "price": 8, "deadline": 9, "salt": 10},
    )
    assert order_digest(1, ORACLE, order) == hashed(message)


@pytest.mark.parametrize("change", range(8))
def test_every_field_is_part_of_the_digest(change: int) -> None:
    fields = [31337, ORACLE, 4, 9, 2, MODEL_SET, POLICY, WORDS]
    others = [1, "0x" + "11" * 20, 5, 10, 3, POLICY, MODEL_SET, WORDS[:3]]
    changed = [*fields[:change], others[change], *fields[change + 1 :]]
    assert own_words_digest(*fields) != own_words_digest(*changed)  # type: ignore[arg-type]


def test_a_series_is_its_terms() -> None:
    terms = [(0, 1, 1, True), (0, 1, 1, False), (1, 1, 1, True), (0, 2, 1, True), (0, 1, 2, True)]
    assert len({series_id(market, at, strike, is_call=call) for market, at, strike, call in terms}) == len(terms)
