from __future__ import annotations

import asyncio
import builtins
from dataclasses import dataclass, field
from typing import Any

import pytest

from margrave.collect.board import Board
from margrave.collect.source import Asked, Trouble
from margrave.collect.venues import breadth
from margrave.collect.venues.breadth import Breadth, trouble_of
from margrave.errors import Fatal, Rejected
from margrave.messages import BookReading, Contract, ContractKind, Kind, Refusal, ScalarReading
from margrave.settings import BreadthSettings, Instruments, MarketSettings
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS

SWAP = {"symbol": "BTC/USDT:USDT", "type": "swap", "contractSize": 0.01, "linear": True, "inverse": False}
SPOT = {"symbol": "BTC/USDT", "type": "spot", "contractSize": None, "active": True}
BOOK = {"bids": [[70_000.0, 200.0]], "asks": [[70_010.0, 100.0]], "timestamp": NOW_MS - 40}


def named(name: str) -> type[Exception]:
    return type(name, (Exception,), {})


@dataclass
class Clock:
    at_ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.at_ms

    def wall_s(self, clock_seconds: float) -> float:
        return clock_seconds


@dataclass
class Fake:
    """As much of a ccxt exchange as is used."""

    error: Exception | None = None
    hangs: bool = False
    rate: object = field(
        default_factory=lambda: {"fundingRate": 0.0001, "interval": "4h", "markPrice": 70_005.0, "timestamp": NOW_MS}
    )
    has: dict[str, object] = field(
        default_factory=lambda: {"fetchOrderBook": True, "fetchFundingRate": True, "fetchOpenInterest": True}
    )
    markets: dict[str, Any] | None = None
    loads: int = 0
    closed: int = 0

    async def load_markets(self) -> dict[str, Any]:
        self.loads += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.error:
            raise self.error
        return {"BTC/USDT": SPOT, "BTC/USDT:USDT": SWAP}

    def set_markets(self, markets: object) -> object:
        return markets

    async def fetch_order_book(self, symbol: str, _limit: int | None = None) -> object:
        return BOOK | {"symbol": symbol}

    async def fetch_ticker(self, symbol: str) -> object:
        return {"symbol": symbol, "bid": 70_000.0, "bidVolume": 2.0, "ask": 70_010.0, "askVolume": 1.0}

    async def fetch_funding_rate(self, _symbol: str) -> object:
        return self.rate

    async def fetch_open_interest(self, symbol: str) -> object:
        return {"symbol": symbol, "openInterestAmount": 100.0, "timestamp": NOW_MS}

    async def close(self) -> None:
        self.closed += 1


def breadth_of(fakes: dict[str, Fake], **settings: object) -> Breadth:
    names = Instruments(spot="BTC/USDT", perpetual="BTC/USDT:USDT")
    markets = {"BTC": MarketSettings(id=0, reference_size_usd=1e6, instruments={"ccxt": names})}
    return Breadth(
        BreadthSettings.model_validate({"exchanges": list(fakes), **settings}),
        markets,
        Board(),
        Clock(),
        make=lambda name, _settings: fakes[name],  # type: ignore[arg-type, return-value]
    )


def test_one_turn_brings_books_funding_and_open_interest_of_what_an_exchange_lists() -> None:
    fake = Fake()
    b = breadth_of({"gate": fake})
    asyncio.run(b.poll())
    readings = b.board.readings()
    books = {r.perpetual: r for r in readings if isinstance(r, BookReading)}
    assert {r.source for r in readings} == {"ccxt:gate"}
    assert books[False].bid_depth_usd == pytest.approx(200 * 70_000)
    assert books[True].bid_depth_usd == pytest.approx(200 * 0.01 * 70_000), "sizes of swaps are contracts"
    assert {r.kind: r.value for r in readings if isinstance(r, ScalarReading)} == {
        Kind.MARK_PRICE: 70_005,
        Kind.FUNDING_8H: pytest.approx(0.0002),
        Kind.OPEN_INTEREST: pytest.approx(100 * 70_005),
    }
    contract = b.board.contract("ccxt:gate", "BTC/USDT:USDT")
    assert contract is not None
    assert contract.kind is ContractKind.PERPETUAL
    assert fake.closed == 1


def test_markets_are_loaded_once_and_kept() -> None:
    fake = Fake()
    b = breadth_of({"gate": fake})
    asyncio.run(b.poll())
    asyncio.run(b.poll())
    assert (fake.loads, fake.closed) == (1, 2)


def test_an_exchange_that_fails_is_named_and_left_alone_and_the_others_are_heard() -> None:
    sick = Fake(error=named("DDoSProtection")("gate 429"))
    b = breadth_of({"gate": sick, "kucoin": Fake()})
    asyncio.run(b.poll())
    assert b.board.health_of("ccxt:gate").trouble is Trouble.RATE_LIMITED
    assert b.board.health_of("ccxt:kucoin").trouble is None
    asyncio.run(b.poll())
    assert sick.loads == 1, "it rests"
    assert isinstance(b.clock, Clock)
    b.clock.at_ms += 61_000
    asyncio.run(b.poll())
    assert sick.loads == 2


def test_a_turn_ends_in_its_time_although_an_exchange_hangs() -> None:
    b = breadth_of({"gate": Fake(hangs=True), "kucoin": Fake()}, turn_s=0.3)
    asyncio.run(b.poll())
    assert b.turns_cut == 1
    assert b.board.health_of("ccxt:gate").trouble is Trouble.TIMEOUT
    assert {r.source for r in b.board.readings()} == {"ccxt:kucoin"}


def test_a_stop_ends_the_turn_under_way() -> None:
    async def stopped() -> None:
        b = breadth_of({"gate": Fake(hangs=True)}, turn_s=600)
        task = asyncio.create_task(b.watch())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(stopped(), 30))


def test_without_an_order_book_a_ticker_is_a_book_of_one_level() -> None:
    b = breadth_of({"gate": Fake(has={"fetchTicker": True})})
    asyncio.run(b.poll())
    assert {type(r) for r in b.board.readings()} == {BookReading}


def test_names_of_one_exchange_come_before_those_for_all() -> None:
    market = MarketSettings(
        id=0,
        reference_size_usd=1.0,
        instruments={"ccxt": Instruments(spot="BTC/USDT"), "ccxt:bitstamp": Instruments(spot="BTC/USD")},
    )
    found = [market.names_at(source) for source in ("ccxt:bitstamp", "ccxt:gate", "okx")]
    assert [names and names.spot for names in found] == ["BTC/USD", "BTC/USDT", None]


@pytest.mark.parametrize(
    ("error", "said", "trouble"),
    [
        ("RateLimitExceeded", "gate 429", Trouble.RATE_LIMITED),
        ("ExchangeNotAvailable", "gate GET https://x 451  restricted location", Trouble.GEO_BLOCKED),
        ("OnMaintenance", "gate", Trouble.MAINTENANCE),
        ("RequestTimeout", "gate", Trouble.TIMEOUT),
        ("NetworkError", "gate", Trouble.UNREACHABLE),
        ("BadSymbol", "gate does not have market symbol X", None),
        ("KeyError", "'x'", Trouble.BAD_STATUS),
    ],
)
def test_what_ccxt_raises_is_named_in_our_words(error: str, said: str, trouble: Trouble | None) -> None:
    assert trouble_of(named(error)(said)) is trouble


def test_a_question_that_an_exchange_cannot_answer_is_a_refusal_and_not_a_trouble() -> None:
    fake = Fake()

    async def unknown(_symbol: str) -> object:
        raise named("NotSupported")("gate fetchOpenInterest is not supported yet")

    fake.fetch_open_interest = unknown  # type: ignore[method-assign]
    b = breadth_of({"gate": fake})
    asyncio.run(b.poll())
    (refusal,) = b.board.refusals()
    assert (refusal.source, refusal.reason) == ("ccxt:gate", Rejection.VENUE_ERROR)
    assert b.board.health_of("ccxt:gate").trouble is None


@pytest.mark.parametrize("name", ["binanceusdm", "okx", "krakenfutures", "coinbaseexchange"])
def test_a_venue_with_an_adapter_of_its_own_is_not_heard_twice(name: str) -> None:
    with pytest.raises(Fatal, match="has an adapter of its own"):
        breadth_of({name: Fake()})


def test_without_ccxt_the_operator_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("ccxt"):
            raise ImportError("No module named ccxt")
        return real(name, *args, **kwargs)

    def missing(_name: str) -> Any:
        raise ImportError("No module named ccxt")

    monkeypatch.setattr(breadth, "import_module", missing)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Fatal, match=r"margrave\[breadth\]"):
        Breadth(BreadthSettings(exchanges=["gate"]), {}, Board(), Clock())


def test_without_exchanges_nothing_is_imported_and_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breadth, "import_module", lambda name: pytest.fail(f"{name} is not needed"))
    asyncio.run(Breadth(BreadthSettings(), {}, Board(), Clock()).watch())


ASKED = Asked("ccxt:gate", "BTC", "BTC/USDT", NOW_MS)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BOOK | {"bids": [[70_020.0, 1.0]]}, Rejection.CROSSED_BOOK),
        (BOOK | {"bids": []}, Rejection.EMPTY),
        (BOOK | {"bids": [["NaN", 1.0]]}, Rejection.NOT_FINITE),
        (BOOK | {"asks": [[70_010.0, 1e30]]}, Rejection.OUT_OF_RANGE),
        (BOOK | {"timestamp": NOW_MS // 1000}, Rejection.OUT_OF_RANGE),
        (BOOK | {"symbol": "ETH/USDT"}, Rejection.WRONG_INSTRUMENT),
        (None, Rejection.MALFORMED),
    ],
)
def test_a_bad_unified_book_is_refused_for_its_reason(body: object, reason: Rejection) -> None:
    with pytest.raises(Rejected) as caught:
        list(breadth.parse_order_book(ASKED, body))
    assert caught.value.reason is reason


def test_an_inverse_contract_counts_dollars() -> None:
    contract = breadth.parse_market("ccxt:x", NOW_MS, SWAP | {"inverse": True, "contractSize": 100})
    assert isinstance(contract, Contract)
    assert contract.usd(3, 70_000) == 300


def test_a_rate_of_an_unreadable_period_is_refused_and_the_mark_is_kept() -> None:
    items = list(breadth.parse_funding_rate(ASKED, {"fundingRate": 1e-4, "interval": "soon", "markPrice": 5.0}))
    assert isinstance(items[0], Refusal)
    assert [item.value for item in items[1:] if isinstance(item, ScalarReading)] == [5.0]


BITSTAMP = {
    "markets": [
        {
            "name": "ETH/USD",
            "market_symbol": "ethusd",
            "base_currency": "ETH",
            "base_decimals": 8,
            "counter_currency": "USD",
            "counter_decimals": 2,
            "minimum_order_value": "10",
            "trading": "Enabled",
            "instant_and_market_orders": "Enabled",
            "description": "Ether / U.S. dollar",
            "market_type": "SPOT",
        }
    ],
    "order_book": {
        "timestamp": "1770299999",
        "microtimestamp": "1770299999500000",
        "bids": [["3802.90", "0.60000000"], ["3802.89", "3.23948640"]],
        "asks": [["3803.90", "1.50000000"]],
    },
}
"""What its documented endpoints answer."""


def test_ccxt_itself_turns_a_venues_answer_into_a_book() -> None:
    pytest.importorskip("ccxt", reason="the extra `breadth` is not installed")

    def made(name: str, settings: BreadthSettings) -> breadth.Exchange:
        exchange: Any = breadth.by_ccxt(name, settings)

        async def fetch(url: str, *_: object) -> object:
            return next(body for part, body in BITSTAMP.items() if part in url)

        exchange.fetch = fetch
        return exchange  # type: ignore[no-any-return]

    instruments = {"ccxt": Instruments(spot="ETH/USD", perpetual="ETH/USD:USD")}
    markets = {"ETH": MarketSettings(id=0, reference_size_usd=1e6, instruments=instruments)}
    b = Breadth(BreadthSettings(exchanges=["bitstamp"]), markets, Board(), Clock(), make=made)
    asyncio.run(b.poll())
    (book,) = b.board.readings()
    assert isinstance(book, BookReading)
    assert (book.source, book.market, book.instrument, book.bid, book.ask) == (
        "ccxt:bitstamp",
        "ETH",
        "ETH/USD",
        3802.9,
        3803.9,
    )
    assert book.venue_time_ms == 1_770_299_999_500
    assert b.board.health_of("ccxt:bitstamp").trouble is None


def test_an_answer_that_nests_too_deep_never_reaches_ccxts_decoder() -> None:
    pytest.importorskip("ccxt", reason="the extra `breadth` is not installed")

    async def refused() -> None:
        exchange: Any = breadth.by_ccxt("bitstamp", BreadthSettings(exchanges=["bitstamp"]))
        with pytest.raises(ValueError, match="nests too deep"):
            exchange.on_json_response("[" * 100_000)
        assert exchange.on_json_response('{"a": [1]}') == {"a": [1]}
        await exchange.close()

    asyncio.run(refused())


def test_an_exchange_that_ccxt_does_not_know_is_one_clear_line() -> None:
    pytest.importorskip("ccxt", reason="the extra `breadth` is not installed")
    with pytest.raises(Fatal, match="ccxt has no exchange mtgox"):
        Breadth(BreadthSettings(exchanges=["mtgox"]), {}, Board(), Clock())
