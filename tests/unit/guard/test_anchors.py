"""What else says where the price should be: doubts, never votes."""

from __future__ import annotations

import msgspec
import pytest

from margrave.messages import Kind
from margrave.verdicts import Doubt
from tests.unit.guard.sample import VENUES, book, judged_with, scalar


@pytest.mark.parametrize(
    ("kind", "near", "far", "doubt"),
    [
        (Kind.SPOT_TWAP, 96.0, 94.0, Doubt.OFF_TWAP),
        (Kind.ORACLE_PRICE, 102.0, 104.0, Doubt.OFF_ORACLES),
        (Kind.REDEMPTION_VALUE, 98.0, 104.0, Doubt.OFF_REDEMPTION),
    ],
)
def test_an_anchor_that_lies_far_off_raises_its_doubt_and_moves_nothing(
    kind: Kind, near: float, far: float, doubt: Doubt
) -> None:
    assert judged_with(scalar("chain:1", kind, near)).doubts == ()
    market = judged_with(scalar("chain:1", kind, far))
    assert [d.reason for d in market.doubts] == [doubt]
    assert f"{far:g}" in market.doubts[0].detail
    assert market.price == 100.0


def test_perpetuals_away_from_the_index_are_told() -> None:
    near = [book(v, 103.0, perpetual=True) for v in VENUES[:3]]
    far = [book(v, 94.0, perpetual=True) for v in VENUES[:3]]
    assert judged_with(*near).doubts == ()
    (doubt,) = judged_with(*far).doubts
    assert doubt.reason is Doubt.OFF_INDEX
    assert "-6.00% off" in doubt.detail


def test_several_oracles_of_one_chain_are_several_answers() -> None:
    said = [
        msgspec.structs.replace(scalar("chain:1", Kind.ORACLE_PRICE, price), instrument=name)
        for name, price in (("chainlink", 100.0), ("pyth", 100.4), ("third", 250.0))
    ]
    market = judged_with(*said)
    assert market.oracle_price == pytest.approx(100.4)
    assert market.doubts == ()


def test_the_pools_average_stands_before_the_guards_own() -> None:
    assert judged_with(scalar("chain:1", Kind.SPOT_TWAP, 99.0)).twap == 99.0
    assert judged_with().twap == 100.0


def test_a_chain_that_nobody_lists_is_heard_on_anchors_and_a_stranger_is_not() -> None:
    assert judged_with(scalar("chain:10", Kind.ORACLE_PRICE, 200.0)).doubts != ()
    assert judged_with(scalar("stranger", Kind.ORACLE_PRICE, 200.0)).doubts == ()
