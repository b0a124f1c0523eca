from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave import lanes
from margrave.errors import Rejected
from margrave.lanes import EXCESS, LANE_MAX, LANES, Words
from margrave.verdicts import Rejection

NAMES = [name for name, lane in LANES.items() if not lane.stamped]


def values(draw: st.DrawFn) -> dict[str, float]:
    return {
        name: (draw(st.integers(0, LANE_MAX)) - (EXCESS if LANES[name].signed else 0)) * LANES[name].unit
        for name in NAMES
    }


@given(data=st.data(), cents=st.integers(1, 10**11))
def test_what_is_encoded_is_decoded(data: st.DataObject, cents: int) -> None:
    given_values = data.draw(st.composite(values)())
    words = lanes.encode(given_values, cents / 100)
    for name in NAMES:
        assert lanes.decode(words, name) == pytest.approx(given_values[name], abs=LANES[name].unit / 1e6)
    assert lanes.price_usd(words) == pytest.approx(cents / 100, rel=1e-12)


@given(data=st.data())
def test_guard_bits_and_stamped_lanes_are_zero_on_the_wire(data: st.DataObject) -> None:
    words = lanes.encode(data.draw(st.composite(values)()), 1.0)
    guards = sum(1 << 16 * lane + 15 for lane in range(16))
    assert words.risk & guards == 0
    assert words.market & sum(1 << 16 * lane + 15 for lane in range(10)) == 0
    assert words.market >> 255 == 0
    assert lanes.observed_at_s(words) == 0
    assert lanes.raw(words, "flags") == 0


def middle() -> dict[str, float]:
    return dict.fromkeys(NAMES, 0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"down_es99": math.nan}, Rejection.NOT_FINITE),
        ({"down_es99": math.inf}, Rejection.NOT_FINITE),
        ({"down_es99": -0.0002}, Rejection.OUT_OF_RANGE),
        ({"down_es99": 3.2768}, Rejection.OUT_OF_RANGE),
        ({"ssvi_rho": -1.7}, Rejection.OUT_OF_RANGE),
        ({"basis": 1.7}, Rejection.OUT_OF_RANGE),
    ],
)
def test_what_does_not_fit_is_refused_and_never_clamped(change: dict[str, float], reason: Rejection) -> None:
    with pytest.raises(Rejected) as refused:
        lanes.encode(middle() | change, 1.0)
    assert refused.value.reason is reason


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, 1e11])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    with pytest.raises(Rejected):
        lanes.encode(middle(), price)


def test_a_forgotten_lane_is_refused_by_name() -> None:
    incomplete = middle()
    del incomplete["contagion"]
    with pytest.raises(Rejected, match="contagion"):
        lanes.encode(incomplete, 1.0)


def test_every_lane_has_its_own_place() -> None:
    places = [(lane.word, lane.index) for lane in LANES.values()]
    assert len(set(places)) == len(places)
    assert all(0 <= index < (16 if word == "risk" else 10) for word, index in places)


def test_the_stamp_and_the_price_are_read_from_stored_words() -> None:
    stored = Words(risk=0, market=123 * 10**8 << lanes.PRICE_SHIFT | 1_770_000_000 << lanes.STAMP_SHIFT | 5 << 32)
    assert lanes.price_usd(stored) == 123.0
    assert lanes.observed_at_s(stored) == 1_770_000_000
    assert lanes.raw(stored, "flags") == 5
