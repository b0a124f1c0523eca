from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from margrave.collect.source import Asked
from margrave.collect.stream import Event, Heard
from margrave.collect.venues.binance import BINANCE
from margrave.collect.venues.binance.options import black, terms
from margrave.errors import Rejected
from margrave.messages import BookReading, ChainReading, Contract, ContractKind, Kind, OptionQuote, Refusal
from margrave.spans import YEAR_MS
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS, answer, only, refused, values

FORWARD = 71_234.5
NAME = "BTC-261225-{strike}-{side}"
EXPIRY_MS = 1_798_185_600_000
YEARS = (EXPIRY_MS - NOW_MS) / YEAR_MS
RATE = 0.02


def row(strike: int, side: str, *, volatility: float = 0.6, **changes: object) -> dict[str, object]:
    """What the venue would say of one option at our forward: marked with Black's formula, to a tick of 0.1."""
    is_call = side == "C"
    fair = math.exp(-RATE * YEARS) * black(FORWARD, strike, YEARS, volatility, is_call=is_call)
    d1 = math.log(FORWARD / strike) / (volatility * math.sqrt(YEARS)) + volatility * math.sqrt(YEARS) / 2
    delta = NormalDist().cdf(d1) - (0.0 if is_call else 1.0)
    return {
        "symbol": NAME.format(strike=strike, side=side),
        "markPrice": f"{fair:.1f}",
        "markIV": str(volatility),
        "bidIV": str(volatility - 0.02),
        "askIV": str(volatility + 0.02),
        "delta": f"{delta:.8f}",
        "gamma": "0.00001245",
        "vega": "30.63",
        "theta": "-164.26",
        "riskFreeInterest": str(RATE),
        **changes,
    }


CHAIN = [row(strike, side) for strike in (50_000, 60_000, 70_000, 80_000, 100_000) for side in "CP"]


def chain(*rows: object, instrument: str = "BTCUSDT") -> tuple[OptionQuote, ...]:
    return only(answer("binance", "option mark", list(rows), instrument=instrument), ChainReading).quotes


def test_a_name_gives_expiry_at_eight_strike_and_kind() -> None:
    option = terms("BTC-261225-70000-C")
    assert (option.base, option.expiry_ms, option.strike, option.is_call) == ("BTC", EXPIRY_MS, 70_000.0, True)


@pytest.mark.parametrize("name", ["BTCUSDT", "BTC-261325-1-C", "BTC-26122-1-C", "BTC-261225-0-C", "BTC-261225-1-X", ""])
def test_what_is_no_options_name_is_rejected(name: str) -> None:
    with pytest.raises(Rejected):
        terms(name)


def test_the_forward_follows_from_puts_and_calls_of_one_strike() -> None:
    assert [quote.forward for quote in chain(*CHAIN)] == [pytest.approx(FORWARD, rel=1e-5)] * len(CHAIN)


def test_where_a_strike_has_no_pair_its_delta_says_where_the_forward_is() -> None:
    for side in "CP":
        (quote,) = chain(row(75_000, side))
        assert quote.forward == pytest.approx(FORWARD, rel=1e-5)


def test_where_neither_says_it_the_option_is_refused_and_not_valued_at_a_guess() -> None:
    refusal = refused(answer("binance", "option mark", [row(75_000, "C", delta="0.9999")], instrument="BTCUSDT"))
    assert refusal.reason is Rejection.EMPTY
    assert "forward" in refusal.detail


def test_bid_and_ask_volatilities_are_prices_over_the_forward() -> None:
    quote = next(q for q in chain(*CHAIN) if q.strike == 70_000 and q.is_call)
    assert quote.bid is not None
    assert quote.ask is not None
    discounted = math.exp(-RATE * YEARS) / FORWARD
    assert quote.bid == pytest.approx(discounted * black(FORWARD, 70_000, YEARS, 0.58, is_call=True), rel=1e-3)
    assert quote.ask == pytest.approx(discounted * black(FORWARD, 70_000, YEARS, 0.62, is_call=True), rel=1e-3)
    assert (quote.mark_iv, quote.gamma, quote.vega, quote.theta) == (0.6, 0.00001245, 30.63, -164.26)


@pytest.mark.parametrize("nobody", ["-1.0", "0", None, ""])
def test_where_nobody_quotes_there_is_no_price(nobody: object) -> None:
    quote = next(q for q in chain(*CHAIN, row(90_000, "C", bidIV=nobody)) if q.strike == 90_000)
    assert quote.bid is None
    assert quote.ask is not None


def test_only_the_underlying_that_was_asked_for_is_taken_of_an_answer_about_all() -> None:
    others = [{**row(70_000, side), "symbol": f"ETH-261225-70000-{side}"} for side in "CP"]
    assert len(chain(*CHAIN, *others)) == len(CHAIN)
    both = answer("binance", "option mark", [*CHAIN, *others])
    assert [item.instrument for item in both if isinstance(item, ChainReading)] == ["BTC", "ETH"]
    refusal = refused(answer("binance", "option mark", others, instrument="BTCUSDT"))
    assert refusal.reason is Rejection.WRONG_INSTRUMENT


def test_bad_rows_are_refused_by_reason_and_the_chain_stands() -> None:
    bad = [
        row(65_000, "C", bidIV="0.9", askIV="0.5"),
        row(66_000, "C", markPrice="-5"),
        row(67_000, "C", markIV="NaN"),
        {**row(68_000, "C"), "symbol": "BTC-240101-68000-C"},
        row(69_000, "C", delta=1e12),
    ]
    items = answer("binance", "option mark", [*CHAIN, *bad], instrument="BTCUSDT")
    assert isinstance(items[0], ChainReading)
    assert len(items[0].quotes) == len(CHAIN)
    reasons = {item.reason for item in items if isinstance(item, Refusal)}
    assert reasons == {Rejection.CROSSED_BOOK, Rejection.OUT_OF_RANGE, Rejection.NOT_FINITE, Rejection.STALE}


def test_marks_without_the_time_they_were_heard_at_are_not_priced() -> None:
    endpoint = next(e for e in BINANCE.endpoints if e.name == "option mark")
    with pytest.raises(Rejected, match="without the time"):
        tuple(endpoint.parse(Asked("binance", "BTC", "BTCUSDT", 0), CHAIN))


def frames(*rows: dict[str, object]) -> tuple[Event, ...]:
    keys = {
        "s": "symbol",
        "mp": "markPrice",
        "vo": "markIV",
        "b": "bidIV",
        "a": "askIV",
        "d": "delta",
        "rf": "riskFreeInterest",
    }
    events = [
        {"e": "markPrice", "E": NOW_MS, "bo": "9000", "ao": "9100.5"} | {k: r[v] for k, v in keys.items()} for r in rows
    ]
    stream = next(s for s in BINANCE.streams if s.hears("", events))
    return tuple(stream.parse(Heard("binance", NOW_MS + 40, {"BTCUSDT": "BTC"}), events))


def test_a_frame_of_marks_is_a_chain_with_the_venues_own_prices_and_time() -> None:
    (reading,) = frames(*CHAIN)
    assert isinstance(reading, ChainReading)
    assert (reading.market, reading.venue_time_ms, reading.seen_time_ms) == ("BTC", NOW_MS, NOW_MS + 40)
    quote = reading.quotes[0]
    assert (quote.bid, quote.ask) == (pytest.approx(9_000 / quote.forward), pytest.approx(9_100.5 / quote.forward))


def test_the_other_answers_about_options() -> None:
    index = answer("binance", "option index", {"time": NOW_MS, "indexPrice": "70123.4"})
    assert values(index) == {Kind.INDEX_PRICE: 70_123.4}
    rows = [
        {"symbol": NAME.format(strike=k, side="C"), "sumOpenInterestUsd": "1000.5", "timestamp": NOW_MS} for k in (1, 2)
    ]
    interest = answer("binance", "option openInterest", rows)
    assert values(interest) == {Kind.OPTION_OPEN_INTEREST: 2_001.0}
    depth = {"T": NOW_MS, "u": 7, "bids": [["1000", "0.5"]], "asks": [["1010", "2"]]}
    book = only(answer("binance", "option depth", depth, instrument=NAME.format(strike=1, side="C")), BookReading)
    assert (book.bid, book.ask, book.bid_depth_usd, book.perpetual) == (1_000.0, 1_010.0, 500.0, False)
    listed = {
        "symbol": "BTC-261225-70000-C",
        "expiryDate": EXPIRY_MS,
        "strikePrice": "70000",
        "side": "CALL",
        "unit": 1,
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "5"}],
    }
    contract = only(answer("binance", "option exchangeInfo", {"optionSymbols": [listed]}), Contract)
    assert (contract.kind, contract.expiry_ms, contract.tick) == (ContractKind.OPTION, EXPIRY_MS, 5.0)
