"""Settings out of their blob: every field where the contract's layout has it, and nothing believed that is not one."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.chain.settings_blob import decode
from margrave.errors import Rejected
from margrave.messages import Epoch
from margrave.mirror.limits import PolicyWords, Timing
from margrave.verdicts import Rejection, ReportKind

word = st.integers(0, (1 << 256) - 1)
seconds = st.integers(0, (1 << 32) - 1)
address = st.integers(1, (1 << 160) - 1)


def word_bytes(value: int) -> bytes:
    return value.to_bytes(32, "big")


@st.composite
def blobs(draw: st.DrawFn) -> tuple[bytes, Epoch]:
    """Code of a blob as Config.sol writes it, and what it says."""
    members = draw(st.lists(address, max_size=31, unique=True))
    classes = [PolicyWords(*draw(st.tuples(*[word] * 11))) for _ in range(draw(st.integers(0, 3)))]
    keys = draw(st.lists(st.tuples(*[st.integers(0, 255)] * 3), max_size=20))
    kind, paused = draw(st.sampled_from(ReportKind)), draw(st.booleans())
    quorum, timing = draw(st.integers(0, 31)), Timing(*draw(st.tuples(seconds, seconds, seconds)))
    model_set, digest = draw(st.binary(min_size=32, max_size=32)), draw(st.binary(min_size=32, max_size=32))
    header = quorum | len(members) << 8 | len(classes) << 16 | len(keys) << 24 | draw(st.integers(0, 511)) << 40
    header |= list(ReportKind).index(kind) << 56 | paused << 57
    header |= timing.max_skew << 64 | timing.max_report_age << 96 | timing.min_interval << 128
    code = b"\0" + word_bytes(header) + model_set + digest + b"".join(map(word_bytes, members))
    code += b"".join(word_bytes(each) for limits in classes for each in astuple(limits))
    code += b"".join(map(bytes, keys))
    said = Epoch(
        number=7,
        kind=kind,
        paused=paused,
        quorum=quorum,
        members=tuple(_checksummed(member) for member in members),
        model_set=model_set,
        policy_digest=digest,
        timing=timing,
        classes=tuple(classes),
        class_of=bytes(key[0] for key in keys),
        group_of=bytes(key[1] for key in keys),
        ring_of=bytes(key[2] for key in keys),
    )
    return code, said


def _checksummed(member: int) -> str:
    from web3 import Web3

    return str(Web3.to_checksum_address(member.to_bytes(20, "big")))


@given(blobs())
def test_every_field_is_where_the_contract_puts_it(drawn: tuple[bytes, Epoch]) -> None:
    code, said = drawn
    assert decode(7, code) == said


@given(blobs(), st.integers(-40, 40).filter(bool))
def test_a_blob_that_is_cut_or_goes_on_is_none(drawn: tuple[bytes, Epoch], by: int) -> None:
    code, _ = drawn
    with pytest.raises(Rejected) as refused:
        decode(7, code[:by] if by < 0 else code + bytes(by))
    assert refused.value.reason is Rejection.MALFORMED


@pytest.mark.parametrize("code", [b"", b"\0", b"\x60" + bytes(96), b"\x60\x80\x60\x40" * 40])
def test_code_that_is_no_blob_is_none(code: bytes) -> None:
    with pytest.raises(Rejected, match="no settings of epoch 3"):
        decode(3, code)
