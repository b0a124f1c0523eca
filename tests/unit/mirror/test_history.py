"""The rolling hash: who has the publications can prove that none is missing, changed or in another order."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from margrave.mirror.history import BEGINNING, fold

digests = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=5)


def folded(publications: list[list[bytes]]) -> bytes:
    history_hash = BEGINNING
    for publication in publications:
        history_hash = fold(history_hash, publication)
    return history_hash


@given(st.binary(min_size=20, max_size=20), digests)
def test_it_is_what_solidity_s_abi_encode_hashes(before: bytes, published: list[bytes]) -> None:
    packed = keccak(b"".join(published))
    assert fold(before, published) == keccak(encode(["bytes20", "bytes32"], [before, packed]))[:20]


@given(st.lists(digests, min_size=2, max_size=5, unique_by=lambda d: b"".join(d)))
def test_a_publication_left_out_or_moved_shows(publications: list[list[bytes]]) -> None:
    whole = folded(publications)
    assert folded(publications[1:]) != whole
    assert folded(publications[:-1]) != whole
    assert folded(publications[::-1]) != whole
