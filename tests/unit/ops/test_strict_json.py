from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.ops.strict_json import MAX_NESTING, decode, nesting


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_endless_nesting_is_refused_even_where_python_would_allow_it(opening: bytes) -> None:
    # What importing py_ecc does to the whole process: without our own bound this is a segmentation fault.
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(msgspec.DecodeError, match="nests deeper"):
            decode(opening * 100_000)
    finally:
        sys.setrecursionlimit(before)


def test_what_venues_send_is_not_too_deep() -> None:
    body = b"[" * MAX_NESTING + b"1" + b"]" * MAX_NESTING
    assert decode(body)


@given(depth=st.integers(1, 500), width=st.integers(1, 50))
def test_depth_is_never_under_estimated(depth: int, width: int) -> None:
    assert nesting(b"[" + b",".join([b"[" * depth + b"]" * depth] * width) + b"]") >= min(depth + 1, MAX_NESTING)


def test_many_shallow_brackets_are_not_deep() -> None:
    assert nesting(b"[" + b",".join([b"[1,2]"] * 10_000) + b"]") == 2


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"\xff", b'{"a": 1,}'])
def test_what_is_not_json_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(body)
