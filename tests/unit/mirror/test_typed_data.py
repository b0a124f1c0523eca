"""The digests against eth-account's own EIP-712 encoder."""

from __future__ import annotations

import pytest
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data
from eth_utils.crypto import keccak

from margrave.mirror.typed_data import (
    UNEXPLAINED,
    co_signed_digest,
    evidence_root,
    explanation_digest,
    own_words_digest,
    words_hash,
)

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


def test_co_signed_medians_hash_as_eip712_says() -> None:
    root = bytes(range(64, 96))
    fields = ("epoch", "round", "firstMarket", "modelSet", "policy", "evidenceRoot", "words")
    types = ("uint32", "uint32", "uint16", "bytes32", "bytes32", "bytes32", "uint256[]")
    message = encode_typed_data(
        {"name": "Margrave", "version": "1", "chainId": 31337, "verifyingContract": ORACLE},
        {"CoSigned": [{"name": name, "type": kind} for name, kind in zip(fields, types, strict=True)]},
        dict(zip(fields, (4, 9, 2, MODEL_SET, POLICY, root, list(WORDS)), strict=True)),
    )
    assert co_signed_digest(31337, ORACLE, 4, 9, 2, MODEL_SET, POLICY, root, WORDS) == hashed(message)


def test_explanations_hash_as_eip712_says() -> None:
    own, why = words_hash(WORDS), keccak(text="why")
    fields = ("epoch", "round", "firstMarket", "wordsHash", "attributionsHash")
    types = ("uint32", "uint32", "uint16", "bytes32", "bytes32")
    message = encode_typed_data(
        {"name": "Margrave", "version": "1", "chainId": 31337, "verifyingContract": ORACLE},
        {"Explanation": [{"name": name, "type": kind} for name, kind in zip(fields, types, strict=True)]},
        dict(zip(fields, (4, 9, 2, own, why), strict=True)),
    )
    assert explanation_digest(31337, ORACLE, 4, 9, 2, own, why) == hashed(message)


def test_the_evidence_root_names_whose_own_words_why_and_in_which_order() -> None:
    a, b, x, y = (keccak(text=each) for each in "abxy")
    sets = ([(0, a, x), (1, b, x)], [(1, b, x), (0, a, x)], [(0, a, x)], [(0, b, x), (1, a, x)], [(0, a, y), (1, b, x)])
    assert len({evidence_root(stated) for stated in sets}) == len(sets)
    told = evidence_root([(0, a, x), (3, b, UNEXPLAINED)])
    assert told == keccak(b"\x00" + a + x + b"\x03" + b + bytes(32))


@pytest.mark.parametrize("change", range(8))
def test_every_field_is_part_of_the_digest(change: int) -> None:
    fields = [31337, ORACLE, 4, 9, 2, MODEL_SET, POLICY, WORDS]
    others = [1, "0x" + "11" * 20, 5, 10, 3, POLICY, MODEL_SET, WORDS[:3]]
    changed = [*fields[:change], others[change], *fields[change + 1 :]]
    assert own_words_digest(*fields) != own_words_digest(*changed)  # type: ignore[arg-type]
