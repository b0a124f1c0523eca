"""Recordings of OKX, Bybit, Kraken, Coinbase and Hyperliquid over a real websocket, into a node's books and sums."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from margrave.collect.board import Board
from margrave.collect.books.rules import SequenceRule
from margrave.collect.listener import Listener
from margrave.collect.recorded import Payload, parse_file, payloads
from margrave.collect.recorded import _text as text_of
from margrave.collect.socket import MAX_WAITING, Socket
from margrave.collect.source import Request, Trouble, VenueTrouble
from margrave.collect.stream import BOOK, TRADES, Channel, Event, Heard, Stream
from margrave.collect.venues import VENUES
from margrave.messages import BookReading, Contract, TradesReading
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import VenueSettings
from tests.history import needs_data, recorded
from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples.hyperliquid import HL_TRADE

pytestmark = pytest.mark.devnet
RAW = "fixtures_cryptofeed_raw/"


@dataclass(frozen=True, slots=True)
class Tape:
    """One recorded session: what it is played with, and what a node must have made of it."""

    venue: str
    file: str
    listed_in: str
    books: Sequence[str]
    trades: Sequence[str]
    applied: int
    """Messages of books."""
    verified: int
    """Checksums that agreed."""
    taken: int
    """Trades of the instruments that are listened to."""
    perpetual: bool = False
    changed: Callable[[Stream], Stream] = lambda stream: stream


def unnumbered(stream: Stream) -> Stream:
    """The recording is older than the numbers that the stream has today."""
    return replace(stream, sequence=SequenceRule.NONE)


OKX_NAMES = ("BTC-USDT", "BTC-USD-220527", "UNI-USD-SWAP")
BYBIT_NAMES = tuple(f"{coin}USDT" for coin in ("BCH", "XTZ", "UNI", "LTC", "DOT", "LINK", "ADA", "ETH"))
KRAKEN_NAMES = ("WAVES/EUR", "XMR/USD", "KSM/XBT", "GRT/ETH", "SC/EUR", "ETH/CHF", "OCEAN/XBT", "OMG/USD")
KRAKEN_NAMES += ("XBT/CHF", "ADA/XBT")
COINBASE_NAMES = ("SKL-USD", "SKL-BTC", "BAND-GBP", "NMR-EUR", "BAND-BTC", "YFI-BTC", "DASH-BTC", "NU-GBP")
COINBASE_NAMES += ("CRV-EUR", "SKL-GBP")
TAPES = (
    Tape("okx", "OKX.ws.1.0.gz", "OKX.0.gz", OKX_NAMES, OKX_NAMES, 3 + 287, 3 + 287, 74),
    Tape("bybit", "BYBIT.ws.25.0.gz", "BYBIT.0.gz", BYBIT_NAMES, BYBIT_NAMES, 8 + 3252, 0, 101, True, unnumbered),
    Tape("kraken", "KRAKEN.ws.50.0.gz", "KRAKEN.0.gz", KRAKEN_NAMES, (), 10 + 4269, 4269, 0),
    Tape("coinbase", "COINBASE.ws.28.0.gz", "COINBASE.0.gz", COINBASE_NAMES, COINBASE_NAMES, 10 + 9719, 0, 107),
)


@asynccontextmanager
async def played(frames: Sequence[str], heard: Callable[[], int]) -> AsyncIterator[tuple[str, list[str]]]:
    """A venue that says its tape to whoever subscribes, as fast as it is understood: its address, what it was told."""
    told: list[str] = []

    async def play(ws: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            told.append(str(await ws.recv()))
            for number, frame in enumerate(frames):
                while number - heard() > MAX_WAITING // 2:  # noqa: ASYNC110 the listener is no coroutine
                    await asyncio.sleep(0.005)
                await ws.send(frame)
            await ws.wait_closed()

    async with serve(play, "127.0.0.1", 0, compression=None, close_timeout=0.1, max_size=2**24) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", told


async def no_snapshots(request: Request) -> bytes:
    raise VenueTrouble(Trouble.UNREACHABLE, f"{request.path} is not asked: the channel begins with its book")


async def listened(listener: Listener, board: Board, clock: Clock, frames: Sequence[str]) -> tuple[Socket, list[str]]:
    """Listen until everything is understood; what was put on the board by then is on it."""
    async with played(frames, lambda: listener.frames) as (url, told):
        settings = VenueSettings(base_url="http://unused", stream_url=url)
        socket = Socket(listener, settings, board=board, clock=clock, fetch=no_snapshots)
        task = asyncio.create_task(socket.run())
        try:
            async with asyncio.timeout(120):
                while listener.frames < len(frames):  # noqa: ASYNC110 nor does it tell when
                    await asyncio.sleep(0.01)
            socket.tell()
        finally:
            task.cancel()
            await asyncio.wait((task,))
    return socket, told


def frames_of(tape: Tape) -> list[Payload]:
    return [p for p in payloads(text_of(recorded(RAW + tape.file))) if not p.url]


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("tape", TAPES, ids=lambda tape: tape.venue)
async def test_a_recorded_session_ends_in_whole_books_and_in_all_its_trades(tape: Tape) -> None:
    frames, venue = frames_of(tape), VENUES[tape.venue]
    stream, parse = tape.changed(venue.streams[0]), venue.streams[0].parse
    count: Counter[str] = Counter()

    def counting(heard: Heard, body: object) -> Iterator[Event]:
        for event in parse(heard, body):
            count[type(event).__name__] += 1
            yield event

    # The contracts are on the board already.
    stream = replace(stream, parse=counting, needs_contracts=False)
    # All of it is said within a moment, at the end of what it tells of.
    clock = Clock(origin_ms=frames[-1].seen_ms, wall_origin_ms=wall_ms(), speed=1.0)
    board = Board()
    for contract in parse_file(tape.venue, recorded(RAW + tape.listed_in)):
        assert isinstance(contract, Contract)
        board.put(contract)
    channels = [Channel(BOOK, name, name, tape.perpetual) for name in tape.books]
    channels += [Channel(TRADES, name, name, tape.perpetual) for name in tape.trades]
    listener = Listener(venue, stream, channels, board=board)
    socket, told = await listened(listener, board, clock, [frame.body.decode() for frame in frames])
    keepers = {name: book.keeper for name, book in listener.books.items()}
    assert told
    assert (socket.dropped, socket.opened) == (0, 1)
    assert {name: dict(k.resyncs) for name, k in keepers.items() if set(k.resyncs) - {"reconnected"}} == {}
    assert sum(k.applied for k in keepers.values()) == tape.applied
    assert sum(k.verified for k in keepers.values()) == tape.verified
    readings = board.readings()
    books = {r.market for r in readings if isinstance(r, BookReading)}
    assert books == set(tape.books)
    assert count["Trade"] == tape.taken
    assert listener.refused == 0


async def test_hyperliquids_whole_books_and_trades_over_a_socket() -> None:
    venue = VENUES["hyperliquid"]
    (stream,) = venue.streams
    board, clock = Board(), Clock(origin_ms=NOW_MS, wall_origin_ms=wall_ms(), speed=1.0)
    frames = ["Websocket connection established."]
    for i in range(50):
        levels = [[{"px": str(70_000 + i), "sz": "2", "n": 1}], [{"px": str(70_001 + i), "sz": "1", "n": 1}]]
        book = {"coin": "BTC", "time": NOW_MS + i, "levels": levels}
        trade = HL_TRADE | {"tid": i, "time": NOW_MS + i}
        frames += [
            msgspec.json.encode({"channel": c, "data": d}).decode() for c, d in (("l2Book", book), ("trades", [trade]))
        ]
    frames.append('{"channel":"pong"}')
    channels = [Channel(BOOK, "BTC", "BTC", True), Channel(TRADES, "BTC", "BTC", True)]
    listener = Listener(venue, stream, channels, board=board)
    _, told = await listened(listener, board, clock, frames)
    assert msgspec.json.decode(told[0]) == {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}}
    assert listener.refused == 0
    assert listener.quiet["plain"] == 1
    (book_reading,) = [r for r in board.readings() if isinstance(r, BookReading)]
    (trades,) = [r for r in board.readings() if isinstance(r, TradesReading)]
    assert (book_reading.bid, book_reading.ask, book_reading.perpetual) == (70_049, 70_050, True)
    assert (trades.count, trades.buy_usd) == (50, 0.0)
    assert trades.sell_usd == pytest.approx(50 * 35_000)
