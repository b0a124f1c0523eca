from __future__ import annotations

import pytest

from margrave.collect import checks
from margrave.errors import Rejected
from margrave.verdicts import Rejection


@pytest.mark.parametrize("value", [42, 42.0, "42", "42.000", " 42 "])
def test_a_number_may_come_as_a_number_or_as_text(value: object) -> None:
    assert checks.number(value, "x") == 42.0


@pytest.mark.parametrize("value", [None, "", True, "forty", "4_2", [], {}, "0x2a"])
def test_what_is_no_number_is_malformed(value: object) -> None:
    with pytest.raises(Rejected) as caught:
        checks.number(value, "x")
    assert caught.value.reason is Rejection.MALFORMED


@pytest.mark.parametrize("value", ["NaN", "nan", "inf", "-Infinity", float("nan"), "1e999"])
def test_what_is_not_finite_is_refused_as_such(value: object) -> None:
    with pytest.raises(Rejected) as caught:
        checks.number(value, "x")
    assert caught.value.reason is Rejection.NOT_FINITE


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0, Rejection.NOT_POSITIVE),
        ("-1.5", Rejection.NOT_POSITIVE),
        (1e10, Rejection.OUT_OF_RANGE),
        (10**400, Rejection.OUT_OF_RANGE),
    ],
)
def test_a_price_is_above_zero_and_below_what_anything_costs(value: object, reason: Rejection) -> None:
    with pytest.raises(Rejected) as caught:
        checks.price(value, "bid")
    assert caught.value.reason is reason


@pytest.mark.parametrize("value", [1_770_300_000_000, "1770300000000", 1_770_300_000_000.0, "2026-02-05T14:00:00Z"])
def test_a_time_is_read_in_every_form_that_a_venue_uses(value: object) -> None:
    assert checks.time_ms(value, "ts") == 1_770_300_000_000


@pytest.mark.parametrize(
    ("value", "unit"), [(1_770_300_000, "seconds"), (1_770_300_000_000_000, "microseconds"), ("1.77e18", "nanoseconds")]
)
def test_a_time_in_another_unit_is_refused_and_the_unit_is_named(value: object, unit: str) -> None:
    with pytest.raises(Rejected, match=unit) as caught:
        checks.time_ms(value, "ts")
    assert caught.value.reason is Rejection.OUT_OF_RANGE


@pytest.mark.parametrize("value", ["2026-02-05T14:00:00", "2026-13-05T14:00:00Z", "T"])
def test_a_date_without_zone_or_sense_is_malformed(value: object) -> None:
    with pytest.raises(Rejected) as caught:
        checks.time_ms(value, "ts")
    assert caught.value.reason is Rejection.MALFORMED


def test_a_size_that_no_market_holds_is_out_of_range() -> None:
    with pytest.raises(Rejected, match=r"1e\+30") as caught:
        checks.size(1e30, "size")
    assert caught.value.reason is Rejection.OUT_OF_RANGE


def test_a_long_value_is_shortened_in_the_refusal() -> None:
    with pytest.raises(Rejected) as caught:
        checks.number("x" * 10_000, "bid")
    assert len(caught.value.problem) < 80


@pytest.mark.parametrize("value", [7, "7", 7.0, "7.0", -1, "-1", 2**63 - 1, str(2**63 - 1)])
def test_a_whole_number_is_taken_exactly_in_any_writing(value: object) -> None:
    assert checks.whole(value, "u") == int(float(value) if "." in str(value) else str(value))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1.5, "1.5", True, None, "", "--1", "²", 2**63, str(2**63), -(2**63), 2.0**60, "NaN"])
def test_what_is_no_whole_number_of_64_bits_is_refused(value: object) -> None:
    with pytest.raises(Rejected):
        checks.whole(value, "u")
