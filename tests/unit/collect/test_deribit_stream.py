from __future__ import annotations

import json

import pytest

from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Trouble, VenueTrouble
from margrave.collect.stream import BookDiff, BookSnapshot, Event, Heard, Liquidation, Quiet, Reply, Trade
from margrave.collect.venues.deribit import DERIBIT
from margrave.errors import Rejected
from margrave.messages import BookReading, Kind, Refusal, ScalarReading
from margrave.settings import Instruments
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS

(STREAM,) = DERIBIT.streams
NAMES = Instruments(index="btc_usd", perpetual="BTC-PERPETUAL", options="BTC", vol_index="BTC")


def heard(channel: str, data: object, *, subscribed: bool = True) -> tuple[Event, ...]:
    frame = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
    market_of = {"BTC-PERPETUAL": "BTC", "btc_usd": "BTC"} if subscribed else {}
    return tuple(STREAM.parse(Heard("deribit", NOW_MS, market_of), frame))


def book(**changes: object) -> dict[str, object]:
    return {
        "type": "change",
        "timestamp": NOW_MS,
        "instrument_name": "BTC-PERPETUAL",
        "change_id": 12,
        "prev_change_id": 11,
        "bids": [["change", 69_999.5, 1_000.0]],
        "asks": [["delete", 70_000.0, 0.0], ["new", 70_000.5, "20"]],
        **changes,
    }


def test_book_trades_and_liquidations_are_heard_over_two_channels_and_a_heartbeat_is_asked_for() -> None:
    channels = tuple(STREAM.channels("BTC", NAMES))
    assert {channel.name for channel in channels} == {"book", "trades", "liquidations"}
    beat, subscription = (json.loads(message) for message in STREAM.subscribe(channels))
    assert (beat["method"], beat["params"]) == ("public/set_heartbeat", {"interval": 10})
    assert subscription["method"] == "public/subscribe"
    assert subscription["params"]["channels"] == ["book.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms"]
    assert not tuple(STREAM.channels("BTC", Instruments(options="BTC")))


def test_a_new_snapshot_is_had_by_subscribing_anew() -> None:
    (channel, *_) = STREAM.channels("BTC", NAMES)
    assert STREAM.resubscribe is not None
    methods = [json.loads(message)["method"] for message in STREAM.resubscribe(channel)]
    assert methods == ["public/unsubscribe", "public/subscribe"]
    assert STREAM.sequence is SequenceRule.PREVIOUS


def test_a_change_names_the_one_before_and_what_is_deleted_has_no_size() -> None:
    assert heard("book.BTC-PERPETUAL.100ms", book()) == (
        BookDiff("BTC-PERPETUAL", True, NOW_MS, 12, 12, 11, [(69_999.5, 1_000.0)], [(70_000.0, 0.0), (70_000.5, 20.0)]),
    )
    (event,) = heard("book.BTC-PERPETUAL.100ms", book(bids=[["delete", 1.0, 7.0]], asks=[]))
    assert isinstance(event, BookDiff)
    assert event.bids == [(1.0, 0.0)]


def test_a_snapshot_of_an_inverse_perpetual_is_in_dollars() -> None:
    (event,) = heard("book.BTC-PERPETUAL.100ms", book(type="snapshot", prev_change_id=None))
    assert isinstance(event, BookSnapshot)
    assert (event.sequence, event.sizes_in_usd, event.unit) == (12, True, 1.0)


def test_a_grouped_book_is_whole_in_every_message() -> None:
    grouped = {key: value for key, value in book().items() if key not in ("type", "prev_change_id")}
    (event,) = heard("book.BTC-PERPETUAL.none.10.100ms", {**grouped, "bids": [[9.5, 1.0]], "asks": [[10.0, 2.0]]})
    assert isinstance(event, BookSnapshot)
    assert (event.bids, event.asks) == ([(9.5, 1.0)], [(10.0, 2.0)])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instrument_name": "ETH-PERPETUAL"}, Rejection.WRONG_INSTRUMENT),
        ({"instrument_name": None}, Rejection.MALFORMED),
        ({"prev_change_id": None}, Rejection.MALFORMED),
        ({"change_id": 1.5}, Rejection.MALFORMED),
        ({"timestamp": NOW_MS // 1000}, Rejection.OUT_OF_RANGE),
        ({"bids": [["new", -1.0, 5.0]]}, Rejection.NOT_POSITIVE),
        ({"bids": [["new", 1.0, 1e30]]}, Rejection.OUT_OF_RANGE),
        ({"bids": [["new", "NaN", 1.0]]}, Rejection.NOT_FINITE),
        ({"bids": [["new", 1.0]]}, Rejection.MALFORMED),
        ({"type": "patch"}, Rejection.UNKNOWN_SHAPE),
    ],
)
def test_a_bad_book_message_is_refused_whole(changes: dict[str, object], reason: Rejection) -> None:
    with pytest.raises(Rejected) as caught:
        heard("book.BTC-PERPETUAL.100ms", book(**changes))
    assert caught.value.reason is reason


def test_the_book_of_a_combination_is_no_book() -> None:
    with pytest.raises(Rejected, match="its price is a difference"):
        heard("book.BTC-FS-25DEC26_PERP.100ms", book(instrument_name="BTC-FS-25DEC26_PERP"), subscribed=False)


def test_trades_tell_liquidations_too_and_a_bad_one_refuses_itself() -> None:
    row = {
        "instrument_name": "BTC-PERPETUAL",
        "timestamp": NOW_MS,
        "price": 70_000.0,
        "amount": 500.0,
        "direction": "sell",
        "trade_id": "1",
    }
    events = heard("trades.BTC-PERPETUAL.100ms", [{**row, "liquidation": "T"}, {**row, "price": 0}, row])
    assert events[0] == Trade("BTC-PERPETUAL", True, NOW_MS, 70_000.0, 500.0, False, "1")
    assert events[1] == Liquidation("BTC-PERPETUAL", NOW_MS, True, 70_000.0, 500.0)
    assert isinstance(events[2], Refusal)
    assert (events[2].market, events[2].reason) == ("BTC", Rejection.NOT_POSITIVE)
    assert isinstance(events[3], Trade)
    assert len(events) == 4


def test_who_does_not_answer_a_test_request_is_cut_off_so_it_is_answered() -> None:
    frame = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
    (reply,) = STREAM.parse(Heard("deribit", NOW_MS), frame)
    assert isinstance(reply, Reply)
    assert json.loads(reply.body)["method"] == "public/test"
    (beat,) = STREAM.parse(Heard("deribit", NOW_MS), {**frame, "params": {"type": "heartbeat"}})
    assert beat == Quiet("heartbeat")


def test_tickers_quotes_and_indices_are_readings() -> None:
    ticker = {"instrument_name": "BTC-PERPETUAL", "timestamp": NOW_MS, "mark_price": 7e4, "funding_8h": 1e-5}
    said = [e for e in heard("ticker.BTC-PERPETUAL.100ms", ticker) if isinstance(e, ScalarReading)]
    assert {(e.kind, e.market, e.value) for e in said} == {
        (Kind.MARK_PRICE, "BTC", 7e4),
        (Kind.FUNDING_8H, "BTC", 1e-5),
    }
    index = {"index_name": "btc_usd", "timestamp": NOW_MS}
    (price,) = heard("deribit_price_index.btc_usd", {**index, "price": 7e4})
    (volatility,) = heard("deribit_volatility_index.btc_usd", {**index, "volatility": 55.5})
    assert isinstance(price, ScalarReading)
    assert isinstance(volatility, ScalarReading)
    assert (price.kind, price.value) == (Kind.INDEX_PRICE, 7e4)
    assert (volatility.kind, volatility.value) == (Kind.VOL_INDEX, pytest.approx(0.555))
    sides = {"best_bid_price": 9.0, "best_bid_amount": 90.0, "best_ask_price": 10.0, "best_ask_amount": 50.0}
    (quote,) = heard("quote.BTC-PERPETUAL", {"instrument_name": "BTC-PERPETUAL", "timestamp": NOW_MS, **sides})
    assert isinstance(quote, BookReading)
    assert (quote.bid, quote.ask, quote.perpetual) == (9.0, 10.0, True)


def test_an_accounts_own_channel_is_refused_by_name_and_an_unknown_one_by_shape() -> None:
    for channel, reason in (("user.portfolio.any", Rejection.NOT_READ), ("weather.btc_usd", Rejection.UNKNOWN_SHAPE)):
        with pytest.raises(Rejected) as caught:
            heard(channel, {})
        assert caught.value.reason is reason
        assert channel in caught.value.problem


def test_an_acknowledgement_is_quiet_and_too_many_requests_are_trouble() -> None:
    (event,) = STREAM.parse(
        Heard("deribit", NOW_MS), {"jsonrpc": "2.0", "id": 2, "result": ["book.BTC-PERPETUAL.100ms"]}
    )
    assert event == Quiet("answer")
    with pytest.raises(VenueTrouble) as caught:
        STREAM.parse(Heard("deribit", NOW_MS), {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many"}})
    assert caught.value.trouble is Trouble.RATE_LIMITED
