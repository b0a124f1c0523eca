"""One reading alone: every refusal has its reason and its numbers."""

from __future__ import annotations

import math

import msgspec
import pytest

from margrave.guard import checks
from margrave.messages import AnyReading, Kind, OptionQuote
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.unit.guard.sample import POLICY, T0_MS, book, chain, flat_bars, history, scalar

QUOTE = OptionQuote(T0_MS + 7 * 86_400_000, 70_000.0, True, 70_100.0, 0.02, 0.022, 0.6, 1.0)


def reason(reading: AnyReading, now_ms: int = T0_MS) -> Rejection | None:
    flaw = checks.flaw(reading, now_ms, POLICY)
    return None if flaw is None else flaw.reason


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (book("okx", 70_000), None),
        (scalar("deribit", Kind.INDEX_PRICE, 70_000), None),
        (scalar("deribit", Kind.INDEX_PRICE, math.nan), Rejection.NOT_FINITE),
        (scalar("deribit", Kind.INDEX_PRICE, math.inf), Rejection.NOT_FINITE),
        (scalar("deribit", Kind.INDEX_PRICE, -1.0), Rejection.OUT_OF_RANGE),
        (scalar("deribit", Kind.INDEX_PRICE, 0.0), Rejection.OUT_OF_RANGE),
        (scalar("deribit", Kind.VOL_INDEX, 62.0), Rejection.OUT_OF_RANGE),
        (scalar("okx", Kind.FUNDING_8H, 1.0), Rejection.OUT_OF_RANGE),
        (msgspec.structs.replace(book("okx", 70_000), bid=math.nan), Rejection.NOT_FINITE),
        (msgspec.structs.replace(book("okx", 70_000), bid_depth_usd=math.inf), Rejection.NOT_FINITE),
        (msgspec.structs.replace(book("okx", 70_000), bid=0.0), Rejection.NOT_POSITIVE),
        (msgspec.structs.replace(book("okx", 70_000), bid=70_100.0), Rejection.CROSSED_BOOK),
        (book("okx", 1e12), Rejection.OUT_OF_RANGE),
        (book("okx", 70_000, spread=0.021), Rejection.WIDE_SPREAD),
        (book("okx", 70_000, depth_usd=9_999), Rejection.THIN_BOOK),
        (history("okx", []), Rejection.EMPTY),
        (chain([]), Rejection.EMPTY),
    ],
)
def test_a_reading_is_judged_by_its_own_numbers(reading: AnyReading, expected: Rejection | None) -> None:
    assert reason(reading) == expected


def test_a_stale_reading_is_refused_with_its_age() -> None:
    flaw = checks.flaw(book("okx", 70_000), T0_MS + 200_000, POLICY)
    assert flaw == checks.Flaw(Rejection.STALE, "201 s old, 120 s allowed")


def test_a_reading_from_the_future_is_refused_and_a_slightly_fast_clock_is_not() -> None:
    reading = book("okx", 70_000)
    assert reason(reading, T0_MS - 1_000 - 5_000) is None
    assert reason(reading, T0_MS - 1_000 - 5_001) is Rejection.FUTURE


def test_slow_inputs_may_be_older_than_prices() -> None:
    later = T0_MS + HOUR_MS
    assert reason(scalar("deribit", Kind.VOL_INDEX, 0.6), later) is None
    assert reason(scalar("deribit", Kind.INDEX_PRICE, 70_000), later) is Rejection.STALE
    assert reason(chain([QUOTE]), T0_MS + 800_000) is None
    assert reason(chain([QUOTE]), T0_MS + 900_000) is Rejection.STALE
    assert reason(history("okx", flat_bars(3)), later) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"forward": math.nan}, Rejection.NOT_FINITE),
        ({"ask": math.inf}, Rejection.NOT_FINITE),
        ({"expiry_ms": T0_MS}, Rejection.STALE),
        ({"strike": 0.0}, Rejection.NOT_POSITIVE),
        ({"bid": -0.01}, Rejection.NOT_POSITIVE),
        ({"forward": 700_000.0}, Rejection.OUT_OF_RANGE),
        ({"mark_iv": 60.0}, Rejection.OUT_OF_RANGE),
        ({"bid": 0.03}, Rejection.CROSSED_BOOK),
    ],
)
def test_junk_quotes_are_dropped_and_counted_while_the_others_stay(
    change: dict[str, object], expected: Rejection
) -> None:
    junk = msgspec.structs.replace(QUOTE, strike=80_000.0)
    junk = msgspec.structs.replace(junk, **change)
    kept, dropped = checks.sound_quotes([junk, QUOTE], T0_MS, 70_000)
    assert kept == (QUOTE,)
    assert dropped == {expected: 1}


def test_quotes_come_out_in_one_order_and_without_repeats() -> None:
    other = msgspec.structs.replace(QUOTE, strike=60_000.0, is_call=False)
    assert checks.sound_quotes([QUOTE, other, QUOTE], T0_MS, 70_000)[0] == (other, QUOTE)
