from __future__ import annotations

import asyncio
from collections import defaultdict

import httpx2
import msgspec
import pytest

from margrave.collect.board import Board
from margrave.collect.poller import Poller
from margrave.collect.source import Trouble, VenueTrouble
from margrave.collect.stream import BOOK, TRADES, BookSnapshot, Channel, Heard, Trade
from margrave.collect.venues.hyperliquid import HYPERLIQUID
from margrave.errors import Rejected
from margrave.messages import BarsReading, BookReading, Kind, ScalarReading
from margrave.ops.clock import Clock
from margrave.settings import Instruments, MarketSettings, VenueSettings
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded
from tests.unit.collect.ask import NOW_MS, answer, refused, values
from tests.unit.collect.recordings import files
from tests.unit.collect.samples.hyperliquid import CONTEXT, HL_TRADE, L2

(STREAM,) = HYPERLIQUID.streams
BOTH = [{"universe": [{"name": "BTC"}, {"name": "ETH"}]}, [CONTEXT, CONTEXT | {"markPx": "2000", "oraclePx": "2001"}]]


def test_contexts_stand_in_step_with_the_coins_and_funding_is_of_an_hour() -> None:
    items = answer("hyperliquid", "metaAndAssetCtxs", BOTH, instrument="ETH", perpetual=True)
    assert values(items) == {
        Kind.MARK_PRICE: 2000,
        Kind.INDEX_PRICE: 2001,
        Kind.FUNDING_8H: pytest.approx(0.0001),
        Kind.OPEN_INTEREST: pytest.approx(2_000_000),
    }


def test_lists_that_are_out_of_step_are_refused() -> None:
    refusal = refused(answer("hyperliquid", "metaAndAssetCtxs", [BOTH[0], [CONTEXT]], instrument="ETH"))
    assert refusal.reason is Rejection.MALFORMED


def test_a_coin_that_is_not_listed_is_the_wrong_instrument_or_the_venues_own_null() -> None:
    refusal = refused(answer("hyperliquid", "metaAndAssetCtxs", BOTH, instrument="DOGE"))
    assert refusal.reason is Rejection.WRONG_INSTRUMENT
    assert refused(answer("hyperliquid", "l2Book", None, instrument="DOGE")).reason is Rejection.VENUE_ERROR


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ([L2[1], L2[0]], Rejection.CROSSED_BOOK),
        ([[{"px": "NaN", "sz": "1", "n": 1}], L2[1]], Rejection.NOT_FINITE),
        ([[{"px": "-1", "sz": "1", "n": 1}], L2[1]], Rejection.NOT_POSITIVE),
        ([[{"px": "1", "sz": "1e30", "n": 1}], L2[1]], Rejection.OUT_OF_RANGE),
        ([[], L2[1]], Rejection.EMPTY),
        ([L2[0]], Rejection.MALFORMED),
        (None, Rejection.MALFORMED),
    ],
)
def test_a_bad_book_is_refused_for_its_reason(levels: object, reason: Rejection) -> None:
    body = {"coin": "BTC", "time": NOW_MS, "levels": levels}
    assert refused(answer("hyperliquid", "l2Book", body, instrument="BTC")).reason is reason


def test_every_question_is_a_post_to_one_address_and_the_answers_are_read() -> None:
    asked: list[dict[str, object]] = []
    candles = [{"t": NOW_MS // HOUR_MS * HOUR_MS, "s": "BTC", "o": "1", "h": "3", "l": "1", "c": "2", "v": "9"}]
    says = {
        "l2Book": {"coin": "BTC", "time": NOW_MS, "levels": list(L2)},
        "metaAndAssetCtxs": BOTH,
        "meta": BOTH[0],
        "candleSnapshot": candles,
    }

    def venue(request: httpx2.Request) -> httpx2.Response:
        assert (request.method, request.url.path) == ("POST", "/info")
        asked.append(msgspec.json.decode(request.content))
        return httpx2.Response(200, json=says[str(asked[-1]["type"])])

    async def poll() -> Board:
        board = Board()
        names = {"hyperliquid": Instruments(perpetual="BTC")}
        poller = Poller(
            HYPERLIQUID,
            VenueSettings(base_url="https://hl.test"),
            {"BTC": MarketSettings(id=0, reference_size_usd=1e6, instruments=names)},
            board=board,
            clock=Clock(origin_ms=NOW_MS, wall_origin_ms=NOW_MS, speed=1.0),
            transport=httpx2.MockTransport(venue),
        )
        await poller.poll()
        await poller.close()
        return board

    board = asyncio.run(poll())
    assert board.refusals() == ()
    assert {type(r) for r in board.readings()} == {BookReading, BarsReading, ScalarReading}
    assert board.contract("hyperliquid", "BTC") is not None
    assert {str(body["type"]) for body in asked} == says.keys()


def test_a_socket_subscribes_coin_by_coin() -> None:
    channels = list(STREAM.channels("BTC", Instruments(perpetual="BTC")))
    assert channels == [Channel(BOOK, "BTC", "BTC", True), Channel(TRADES, "BTC", "BTC", True)]
    said = [msgspec.json.decode(message) for message in STREAM.subscribe(channels)]
    assert [m["subscription"] for m in said] == [{"type": "l2Book", "coin": "BTC"}, {"type": "trades", "coin": "BTC"}]


def test_a_coin_that_was_not_subscribed_to_is_refused() -> None:
    heard = Heard(source="hyperliquid", seen_ms=NOW_MS, market_of={"ETH": "ETH"})
    with pytest.raises(Rejected) as caught:
        list(STREAM.parse(heard, {"channel": "trades", "data": [HL_TRADE]}))
    assert caught.value.reason is Rejection.WRONG_INSTRUMENT


def test_every_frame_of_the_book_is_a_whole_book() -> None:
    frame = {"channel": "l2Book", "data": {"coin": "BTC", "time": NOW_MS, "levels": list(L2)}}
    (book,) = STREAM.parse(Heard(source="hyperliquid", seen_ms=NOW_MS), frame)
    assert isinstance(book, BookSnapshot)
    assert (book.bids, book.asks, book.depth) == ([(70_000.0, 2.5)], [(70_001.0, 1.0)], 20)


@pytest.mark.parametrize(("said", "trouble"), [("rate limited: too many requests", Trouble.RATE_LIMITED)])
def test_troubles_are_told_from_errors(said: str, trouble: Trouble) -> None:
    with pytest.raises(VenueTrouble) as caught:
        list(STREAM.parse(Heard(source="hyperliquid", seen_ms=NOW_MS), {"channel": "error", "data": said}))
    assert caught.value.trouble is trouble
    with pytest.raises(Rejected) as refusal:
        list(STREAM.parse(Heard(source="hyperliquid", seen_ms=NOW_MS), {"channel": "error", "data": "Invalid coin"}))
    assert refusal.value.reason is Rejection.VENUE_ERROR


FILES = {
    "hyperliquid_2023/non_mm_trades.parquet": "fills of accounts, read below as the trades that their takers made",
    "hyperliquid_2023/liquidations.parquet": "a ledger: the venue tells liquidations of single accounts only",
    "hyperliquid_2023/non_mm_ledger_updates.parquet": "a ledger: deposits and withdrawals",
}


@needs_data
@pytest.mark.data
def test_recorded_fills_are_trades_and_ledgers_are_listed_as_what_they_are() -> None:
    pandas = pytest.importorskip("pandas", reason="the extra `lab` reads Parquet")
    assert files("hyperliquid_2023", "*") == FILES.keys()
    rows = pandas.read_parquet(recorded("hyperliquid_2023/non_mm_trades.parquet"))
    takers = rows[rows["crossed"]]
    frame = [
        {
            "coin": row.coin,
            "side": {"Bid": "B", "Ask": "A"}[row.side],
            "px": str(row.px),
            "sz": str(row.sz),
            "time": int(row.ts.timestamp() * 1000),
            "tid": i,
        }
        for i, row in enumerate(takers.itertuples())
    ]
    bought: dict[str, float] = defaultdict(float)
    events = list(STREAM.parse(Heard(source="hyperliquid", seen_ms=NOW_MS), {"channel": "trades", "data": frame}))
    for event in events:
        assert isinstance(event, Trade)
        bought[event.instrument] += event.size_usd if event.buyer_takes else 0.0
    assert len(events) == len(takers) == 1884
    said = takers[takers["side"] == "Bid"].assign(usd=lambda d: d.px * d.sz).groupby("coin")["usd"].sum()
    assert {coin: usd for coin, usd in bought.items() if usd} == pytest.approx(said.to_dict())
