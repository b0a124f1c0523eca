"""Whatever a venue sends, a parser answers with sound readings and named refusals: it never raises, and never passes
on a number that the next stage would have to doubt. Seeds are whole answers of all endpoints, mutated anywhere."""

from __future__ import annotations

import copy
import json
import math
from contextlib import suppress
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.collect.board import Board
from margrave.collect.books.levels import MAX_LEVEL_PRICE
from margrave.collect.recorded import parse_text
from margrave.collect.source import Asked, Item, Request, VenueTrouble
from margrave.collect.stream import BookDiff, BookSnapshot, Counted, Event, Liquidation, Quiet, Reply, Trade
from margrave.collect.venues import VENUES
from margrave.lab.feed.scenario import load_scenario
from margrave.lab.feed.server import Feed
from margrave.lab.feed.venues import DIALECTS
from margrave.messages import (
    BarsReading,
    BookReading,
    ChainReading,
    Contract,
    HealthReading,
    LiquidationsReading,
    NoticeReading,
    PoolReading,
    Refusal,
    ScalarReading,
    TradesReading,
)
from margrave.settings import MARKETS_FILE, PROJECT_ROOT, load_markets
from margrave.spans import HOUR_MS

MARKETS = load_markets(MARKETS_FILE)
Seed = tuple[str, Request, bytes]


@cache
def seeds() -> tuple[Seed, ...]:
    """One whole answer of each request that the five adapters make for one market, with little history."""
    tape = load_scenario(PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml")
    t_ms = tape.start_ms + 61 * HOUR_MS + 1_234_567
    feed = Feed(tape, MARKETS, now_ms=lambda: t_ms)
    found = []
    for name in DIALECTS:
        venue = VENUES[name]
        for request in venue.requests("BTC", MARKETS["BTC"].instruments[name], t_ms, few_bars):
            query = {key: str(value) for key, value in request.params.items()}
            status, body = feed.answer(name, request.path, query, t_ms)
            assert status == 200, (name, request.path, body)
            found.append((name, request, shortened(body)))
    return tuple(found)


def few_bars(_market: str, *, perpetual: bool) -> int:
    return 4 if perpetual else 3


def shortened(body: bytes) -> bytes:
    """A chain of hundreds of options with forty: mutations are copies."""
    answer = msgspec.json.decode(body)
    if isinstance(answer, dict) and isinstance(answer.get("result"), list):
        answer["result"] = answer["result"][::20]
    return msgspec.json.encode(answer)


def read(seed: Seed, payload: bytes) -> tuple[Item, ...]:
    name, request, _ = seed
    asked = Asked(name, "BTC", request.instrument, 1_621_430_000_000, request.perpetual, HOUR_MS, mark_price=40_000.0)
    return VENUES[name].read(request.endpoint, asked, payload)


def assert_sound(items: tuple[Item, ...]) -> None:
    assert items, "nothing said and nothing refused is a silent skip"
    for item in items:
        match item:
            case ScalarReading():
                assert math.isfinite(item.value)
            case BookReading():
                assert 0 < item.bid < item.ask < 1e9
                assert math.isfinite(item.bid_depth_usd + item.ask_depth_usd)
            case BarsReading():
                times = [bar.open_time_ms for bar in item.bars]
                assert times == sorted(set(times))
                assert all(0 < bar.low <= min(bar.open, bar.close) <= bar.high < 1e9 for bar in item.bars)
            case ChainReading():
                for quote in item.quotes:
                    assert quote.forward > 0
                    assert quote.strike > 0
                    assert quote.bid is None or quote.ask is None or 0 < quote.bid <= quote.ask
                    assert quote.mark_iv is None or 0 < quote.mark_iv < 10
            case TradesReading():
                assert 0 < item.low <= item.vwap <= item.high < 1e9
                assert item.count > 0
            case LiquidationsReading():
                assert 0 <= item.largest_usd <= item.long_usd + item.short_usd
            case HealthReading() | PoolReading() | NoticeReading():
                assert item.source
            case Contract():
                assert (item.unit_usd is None) != (item.unit_coins is None)
                assert item.usd(1.0, 1.0) > 0
            case Refusal():
                assert item.detail
        if not isinstance(item, Refusal | Contract):
            assert 1_230_768_000_000 <= item.venue_time_ms <= 4_102_444_800_000


def assert_sound_event(
    event: BookSnapshot | BookDiff | Trade | Liquidation | Reply | Quiet | Counted,
) -> None:
    match event:
        case BookSnapshot() | BookDiff():
            levels = (*event.bids, *event.asks)
            assert all(0 < price <= MAX_LEVEL_PRICE and 0 <= size <= 1e13 for price, size in levels)
            assert event.venue_ms >= 0
        case Trade() | Liquidation():
            assert 0 < event.price <= 1e9
            assert 0 <= event.size_usd <= 1e13
            assert 1_230_768_000_000 <= event.venue_ms <= 4_102_444_800_000
        case Reply():
            assert event.body
        case Quiet():
            assert event.why
        case Counted():
            assert type(event.number) is int, "a number that goes back costs the socket its books, and no more"


POISON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**20),
    st.sampled_from([0, -1, -0.5, 1e30, 1e-300, 10**400, "NaN", "inf", "-1", "1e30", "0", "", "x" * 5000, "１２"]),
    st.sampled_from([[], {}, [[]], [None], {"a": 1}, [[1, 2, 3, 4, 5, 6, 7, 8]]]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)


KEYS = (
    "result",
    "data",
    "arg",
    "topic",
    "type",
    "params",
    "channel",
    "list",
    "instId",
    "tickers",
    "candles",
    "code",
    "msg",
)


def places(body: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of every value, only the first few entries of long lists."""
    found = [path] if path else []
    if isinstance(body, dict):
        for key, value in body.items():
            found += places(value, (*path, key))
    elif isinstance(body, list):
        for i, value in enumerate(body[:3]):
            found += places(value, (*path, i))
    return found


def changed(body: object, path: tuple[str | int, ...], value: object, *, drop: bool) -> object:
    edited = copy.deepcopy(body)
    holder: object = edited
    for step in path[:-1]:
        holder = holder[step]  # type: ignore[index]
    if drop:
        del holder[path[-1]]  # type: ignore[attr-defined]
    else:
        holder[path[-1]] = value  # type: ignore[index]
    return edited


def encoded(body: object) -> bytes:
    """JSON, with integers of any length, which msgspec's encoder does not write."""
    return json.dumps(body).encode()


@pytest.mark.parametrize("index", range(len(seeds())), ids=lambda i: f"{seeds()[i][0]}-{seeds()[i][1].endpoint.name}")
def test_whole_answers_are_read_without_a_refusal(index: int) -> None:
    items = read(seeds()[index], seeds()[index][2])
    assert_sound(items)
    assert not [item for item in items if isinstance(item, Refusal)]


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_an_answer_changed_anywhere_gives_sound_readings_or_named_refusals(data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds()))
    body = msgspec.json.decode(seed[2])
    for _ in range(data.draw(st.integers(1, 3))):
        if paths := places(body):
            path = data.draw(st.sampled_from(paths))
            body = changed(body, path, data.draw(POISON), drop=data.draw(st.booleans()))
    board = Board()
    with suppress(VenueTrouble):
        items = read(seed, encoded(body))
        assert_sound(items)
        for item in items:
            board.put(item)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_cut_and_scrambled_bytes_are_refused(data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds()))
    cut = seed[2][: data.draw(st.integers(0, len(seed[2]) - 1))]
    items = read(seed, cut + data.draw(st.binary(max_size=12)))
    assert_sound(items)


@settings(max_examples=200, deadline=None)
@given(payload=st.one_of(st.binary(max_size=200), st.recursive(POISON, st.lists).map(encoded)))
def test_any_bytes_at_all_are_survived_by_every_parser(payload: bytes) -> None:
    for seed in seeds():
        with suppress(VenueTrouble):
            assert_sound(read(seed, payload))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_recording_changed_anywhere_is_accounted_for_and_never_raises(data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds()))
    body = msgspec.json.decode(seed[2])
    if paths := places(body):
        body = changed(body, data.draw(st.sampled_from(paths)), data.draw(POISON), drop=data.draw(st.booleans()))
    frame = data.draw(
        st.sampled_from([body, {"params": {"channel": "ticker.X", "data": body}}, {"arg": {}, "data": body}])
    )
    assert_recorded(tuple(parse_text(VENUES[seed[0]], encoded(frame))))


@settings(max_examples=200, deadline=None)
@given(
    venue=st.sampled_from(sorted(VENUES)),
    lines=st.lists(
        st.one_of(
            st.binary(max_size=60),
            POISON.map(encoded),
            st.recursive(POISON, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner)).map(encoded),
            st.just(b"1633998512.5: {}"),
            st.just(b"https://x/api/v3/depth?symbol=X -> 1633998512.5: {"),
        ),
        max_size=5,
    ),
)
def test_any_file_at_all_is_survived(venue: str, lines: list[bytes]) -> None:
    assert_recorded(tuple(parse_text(VENUES[venue], b"\n".join(lines))))


def assert_recorded(events: tuple[Event, ...]) -> None:
    """Recordings may lack a time, which then is zero; everything else is as sound as live."""
    for event in events:
        match event:
            case BookSnapshot() | BookDiff() | Trade() | Liquidation() | Reply() | Quiet() | Counted():
                assert_sound_event(event)
            case Contract() | Refusal():
                assert_sound((event,))
            case _:
                assert event.venue_time_ms >= 0
                if event.venue_time_ms:
                    assert_sound((event,))
