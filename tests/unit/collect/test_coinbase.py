from __future__ import annotations

import msgspec
import pytest

from margrave.collect.books.keeper import Keeper
from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Trouble, VenueTrouble
from margrave.collect.stream import BOOK, TRADES, BookDiff, BookSnapshot, Channel, Counted, Heard, Trade
from margrave.collect.venues.coinbase import COINBASE
from margrave.errors import Rejected
from margrave.messages import BarsReading, BookReading, Contract, ContractKind
from margrave.settings import Instruments
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS, answer, only, refused
from tests.unit.collect.samples.coinbase import CB_TRADE, advanced
from tests.unit.collect.samples.sample import HOUR, ISO

(STREAM,) = COINBASE.streams
BOOK_ANSWER = {
    "product_id": "BTC-USD",
    "bids": [{"price": "70000", "size": "1"}],
    "asks": [{"price": "70001", "size": "2"}],
    "time": ISO,
}
NANO = Contract(
    source="coinbase",
    instrument="BIP-20DEC30-CDE",
    seen_time_ms=NOW_MS,
    kind=ContractKind.PERPETUAL,
    unit_coins=0.01,
)


def heard(**contracts: Contract) -> Heard:
    return Heard(source="coinbase", seen_ms=NOW_MS, contracts={c.instrument: c for c in contracts.values()})


def updates(*rows: tuple[str, str, str]) -> list[dict[str, str]]:
    return [{"side": s, "price_level": p, "new_quantity": q, "event_time": ISO} for s, p, q in rows]


@pytest.mark.parametrize(
    ("book", "reason"),
    [
        ({"bids": [{"price": "70002", "size": "1"}]}, Rejection.CROSSED_BOOK),
        ({"bids": []}, Rejection.EMPTY),
        ({"bids": [{"price": "70000", "size": "0"}]}, Rejection.EMPTY),
        ({"bids": [{"price": "NaN", "size": "1"}]}, Rejection.NOT_FINITE),
        ({"bids": [{"price": "0", "size": "1"}]}, Rejection.NOT_POSITIVE),
        ({"bids": [{"price": "70000", "size": "1e30"}]}, Rejection.OUT_OF_RANGE),
        ({"bids": [{"size": "1"}]}, Rejection.MALFORMED),
        ({"bids": None}, Rejection.MALFORMED),
        ({"product_id": "ETH-USD"}, Rejection.WRONG_INSTRUMENT),
        ({"time": NOW_MS // 1000}, Rejection.OUT_OF_RANGE),
    ],
)
def test_a_bad_book_is_refused_for_its_reason(book: dict[str, object], reason: Rejection) -> None:
    body = {"pricebook": BOOK_ANSWER | book}
    assert refused(answer("coinbase", "product_book", body, instrument="BTC-USD")).reason is reason


def test_sizes_of_futures_are_contracts_and_are_not_guessed() -> None:
    body = {"pricebook": BOOK_ANSWER | {"product_id": "BIP-20DEC30-CDE"}}
    ask = {"instrument": "BIP-20DEC30-CDE", "perpetual": True}
    book = only(answer("coinbase", "product_book", body, contract=NANO, **ask), BookReading)  # type: ignore[arg-type]
    assert book.bid_depth_usd == pytest.approx(700)
    assert refused(answer("coinbase", "product_book", body, **ask)).reason is Rejection.WRONG_INSTRUMENT  # type: ignore[arg-type]


def test_candles_come_newest_first_with_their_low_before_their_high() -> None:
    rows = [[HOUR // 1000, 9, 12, 10, 11, 5], [HOUR // 1000 - 3_600, 8, 11, 9, 10, 4]]
    bars = only(answer("coinbase", "exchange candles", rows), BarsReading).bars
    assert [(b.open, b.high, b.low, b.close, b.volume) for b in bars] == [(9, 11, 8, 10, 4), (10, 12, 9, 11, 5)]


def test_a_month_of_candles_is_asked_in_pages_that_meet() -> None:
    def wanted(_market: str, *, perpetual: bool) -> int:
        return 744

    asked = [r for r in COINBASE.requests("BTC", Instruments(spot="BTC-USD"), NOW_MS, wanted) if "start" in r.params]
    hours = [h for r in asked for h in range(int(r.params["start"]), int(r.params["end"]) + 1, 3600)]
    assert sorted(hours) == [HOUR // 1000 - 3_600 * i for i in reversed(range(744))], "each hour once"
    assert {r.path for r in asked} == {"/api/v3/brokerage/market/products/BTC-USD/candles"}


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        ({"error": "RESOURCE_EXHAUSTED", "message": "too many requests"}, Trouble.RATE_LIMITED),
        ({"type": "error", "message": "Rate limit exceeded"}, Trouble.RATE_LIMITED),
        ({"error": "UNAVAILABLE", "message": "under maintenance"}, Trouble.MAINTENANCE),
    ],
)
def test_troubles_are_told_from_errors(body: object, trouble: Trouble) -> None:
    with pytest.raises(VenueTrouble) as caught:
        answer("coinbase", "product_book", body)
    assert caught.value.trouble is trouble
    unknown = {"error": "NOT_FOUND", "error_details": "valid product_id is required", "message": "not found"}
    assert refused(answer("coinbase", "product_book", unknown)).reason is Rejection.VENUE_ERROR


def test_a_socket_asks_for_heartbeats_first_and_each_channel_once() -> None:
    channels = list(STREAM.channels("BTC", Instruments(spot="BTC-USD")))
    assert channels == [Channel(BOOK, "BTC-USD", "BTC", False), Channel(TRADES, "BTC-USD", "BTC", False)]
    assert [msgspec.json.decode(message) for message in STREAM.subscribe(channels)] == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "level2"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"},
    ]


def test_every_message_is_counted_before_what_it_says() -> None:
    event = {"type": "snapshot", "product_id": "BTC-USD", "updates": updates(("bid", "1", "2"), ("offer", "2", "1"))}
    counted, book = STREAM.parse(heard(), advanced("l2_data", event))
    assert counted == Counted(number=4)
    assert isinstance(book, BookSnapshot)
    assert (book.bids, book.asks, book.venue_ms) == ([(1.0, 2.0)], [(2.0, 1.0)], NOW_MS)


def test_a_book_is_kept_from_a_snapshot_and_its_updates() -> None:
    keeper = Keeper(SequenceRule.CONNECTION)
    whole = {"type": "snapshot", "product_id": "BTC-USD", "updates": updates(("bid", "1", "2"), ("offer", "3", "1"))}
    change = {"type": "update", "product_id": "BTC-USD", "updates": updates(("bid", "1", "0"), ("bid", "2", "5"))}
    for event in (
        *STREAM.parse(heard(), advanced("l2_data", whole)),
        *STREAM.parse(heard(), advanced("l2_data", change)),
    ):
        if isinstance(event, BookSnapshot):
            assert keeper.snapshot(event) is None
        elif isinstance(event, BookDiff):
            assert keeper.diff(event) is None
    assert (keeper.ladder.bids.best, keeper.ladder.asks.best, keeper.applied) == (2.0, 3.0, 2)


def test_trades_of_futures_are_valued_by_their_contract() -> None:
    row = CB_TRADE | {"product_id": "BIP-20DEC30-CDE", "size": "3", "side": "BUY"}
    _, trade = STREAM.parse(heard(nano=NANO), advanced("market_trades", {"trades": [row]}))
    assert isinstance(trade, Trade)
    assert (trade.size_usd, trade.buyer_takes, trade.perpetual) == (pytest.approx(2_100), False, True)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({"type": "error", "message": "channel is not valid"}, Rejection.VENUE_ERROR),
        (advanced("user", {"orders": []}), Rejection.NOT_READ),
        ({"type": "open", "product_id": "BTC-USD", "order_id": "x"}, Rejection.NOT_READ),
        (advanced("l2_data", {"type": "update", "updates": []}), Rejection.MALFORMED),
        (advanced("market_trades", {"trades": [CB_TRADE | {"price": "-1"}]}), Rejection.NOT_POSITIVE),
        (advanced("market_trades", {"trades": [CB_TRADE | {"side": "SIDEWAYS"}]}), Rejection.MALFORMED),
        (advanced("market_trades", {"trades": [CB_TRADE | {"time": NOW_MS // 1000}]}), Rejection.OUT_OF_RANGE),
        (advanced("auctions", {}), Rejection.UNKNOWN_SHAPE),
        ([], Rejection.MALFORMED),
    ],
)
def test_a_bad_frame_is_refused_for_its_reason(frame: object, reason: Rejection) -> None:
    with pytest.raises(Rejected) as caught:
        list(STREAM.parse(heard(), frame))
    assert caught.value.reason is reason


def test_candles_of_a_push_are_bars() -> None:
    row = {"start": str(HOUR // 1000), "high": "3", "low": "1", "open": "1", "close": "2", "volume": "9"}
    _, bars = STREAM.parse(heard(), advanced("candles", {"candles": [row | {"product_id": "BTC-USD"}]}))
    assert isinstance(bars, BarsReading)
    assert bars.bars[0].open_time_ms == HOUR
    assert HOUR % HOUR_MS == 0
