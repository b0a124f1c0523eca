"""What a collector hears from venues on real sockets is recorded; served again, another collector hears the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import pyarrow.parquet as pq
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from margrave.collect.collector import Collector
from margrave.collect.recording.line import Line, What
from margrave.collect.recording.recorder import Recorder, recorder_of
from margrave.lab import dataset
from margrave.lab.feed.recording import load_recording
from margrave.lab.feed.scenario import load_scenario
from margrave.lab.feed.server import Feed
from margrave.lab.feed.serving import serving
from margrave.messages import AnyReading, BarsReading, ChainReading
from margrave.operate.replay_feed import WEBSOCKETS, Replay
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import PROJECT_ROOT, NodeSettings, RecordingSettings, VenueSettings
from tests.devnet.venue_bench import MARKETS, node_of

CRASH_MS = 1_621_429_500_000
DATA = Path(os.environ.get("MARGRAVE_DATA", "nowhere"))
pytestmark = pytest.mark.devnet


@contextlib.asynccontextmanager
async def replaying(folder: Path, *, start_ms: int | None = None, speed: float = 1.0) -> AsyncIterator[Replay]:
    """A recording on a free port."""
    replay = Replay.of(folder, start_ms=start_ms, speed=speed, here="http://127.0.0.1:0")
    config = uvicorn.Config(replay.feed().app(), port=0, ws=WEBSOCKETS, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Replay(replay.recording, replay.clock, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await running


def pointed(node: NodeSettings, replay: Replay) -> NodeSettings:
    venues = {name: VenueSettings.model_validate(urls) for name, urls in replay.venues().items()}
    return node.model_copy(update={"venues": venues})


def without_times_of_reading(readings: tuple[AnyReading, ...]) -> set[str]:
    """What was said, without when it was read: a venue that gives no time is stamped with that."""
    said = set()
    for reading in readings:
        stamped = reading.venue_time_ms == reading.seen_time_ms
        kept = {"seen_time_ms": 0} | ({"venue_time_ms": 0} if stamped else {})
        said.add(repr(msgspec.structs.replace(reading, **kept)))
    return said


async def test_a_recording_served_again_gives_the_same_readings(tmp_path: Path) -> None:
    tape = load_scenario(PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml")
    clock = Clock(origin_ms=CRASH_MS, wall_origin_ms=wall_ms(), speed=1.0)
    async with serving(Feed(tape, MARKETS, now_ms=lambda: CRASH_MS)) as url:
        node = node_of(url)
        async with recorder_of(node, RecordingSettings(folder=tmp_path), clock) as tap:
            live = Collector(node, MARKETS, clock=clock, interval_s=60, tap=tap)
            await live.collect_once()
    async with replaying(tmp_path, speed=0.1) as replay:  # or it ends before a busy machine has asked everything
        again = Collector(pointed(node, replay), MARKETS, clock=replay.clock, interval_s=60)
        await again.collect_once()
    assert len(live.board.readings()) > 40
    assert all(health.failures == 0 for health in again.board.health().values())
    assert without_times_of_reading(again.board.readings()) == without_times_of_reading(live.board.readings())


async def test_what_the_node_read_becomes_research_data_of_the_same_layout(tmp_path: Path) -> None:
    tape, kept, out = (
        load_scenario(PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml"),
        tmp_path / "r",
        tmp_path / "p",
    )
    clock = Clock(origin_ms=CRASH_MS, wall_origin_ms=wall_ms(), speed=1.0)
    async with serving(Feed(tape, MARKETS, now_ms=lambda: CRASH_MS)) as url:
        node = node_of(url)
        async with recorder_of(node, RecordingSettings(folder=kept), clock) as tap:
            live = Collector(node, MARKETS, clock=clock, interval_s=60, tap=tap)
            await live.collect_once()
    written = dataset.write(kept, out)
    assert list(dataset.readings(kept)), "the recording holds what the board took"
    chains = [r for r in live.board.readings() if isinstance(r, ChainReading) and r.source == "deribit"]
    assert written["deribit_option_chain_snapshots/2021-05.parquet"] == sum(len(c.quotes) for c in chains) > 100
    again = load_recording(out, CRASH_MS - 3 * 3_600_000, CRASH_MS)
    bars = again.bars("okx", "BTC", perpetual=True, since_ms=CRASH_MS - 30 * 3_600_000, t_ms=CRASH_MS)
    heard = next(
        r.bars
        for r in live.board.readings()
        if isinstance(r, BarsReading) and r.slot == ("okx", "BTC", "perpetual bars")
    )
    volumes = {bar.open_time_ms: bar.volume for bar in heard}
    assert bars
    assert all(volumes[bar.open_time_ms] == pytest.approx(bar.volume, rel=1e-6) for bar in bars[:-1])


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="MARGRAVE_DATA names no folder with market history")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("ohlcv_venues_perp_1h/candles", "ohlcv_7venues_2025_2026/candles.parquet"),
        ("funding_venues/funding", "funding_7venues_2025_2026/funding.parquet"),
        ("open_interest_venues/open_interest", "open_interest_7venues_2025_2026/open_interest.parquet"),
        ("deribit_option_chain_snapshots/2026-01", "deribit_option_chain_snapshots_2026/2026-01.parquet"),
    ],
)
def test_columns_and_types_are_those_of_the_research_data(ours: str, theirs: str) -> None:
    layout = pq.read_schema(DATA / theirs)
    schema = dataset.schema_of(ours)
    assert schema.names == layout.names
    assert schema.types == layout.types


async def test_what_was_never_asked_is_said_and_not_invented(tmp_path: Path) -> None:
    clock = Clock(origin_ms=CRASH_MS, wall_origin_ms=wall_ms(), speed=1.0)
    async with Recorder(tmp_path, clock=clock, header='{"venues":{}}') as tap:
        tap.hear(What.ANSWER, "okx", "https://www.okx.com/api/v5/market/books?instId=BTC-USDT", "{}", status=200)
        tap.hear(What.FRAME, "okx", "wss://ws.okx.com/ws/v5/public", "{}")
    async with replaying(tmp_path, speed=0.001) as replay, httpx2.AsyncClient(base_url=replay.here) as client:
        known = await client.get("/okx/www.okx.com/api/v5/market/books?instId=BTC-USDT")
        unknown = await client.get("/okx/www.okx.com/api/v5/market/books?instId=DOGE-USDT")
        status = (await client.get("/_feed/status")).json()
    assert (known.status_code, unknown.status_code) == (200, 404)
    assert "DOGE-USDT" in unknown.text
    assert (status["served"], status["unknown"]) == (1, 1)


async def test_a_refusal_is_served_again_as_one(tmp_path: Path) -> None:
    clock = Clock(origin_ms=CRASH_MS, wall_origin_ms=wall_ms(), speed=1.0)
    async with Recorder(tmp_path, clock=clock, header='{"venues":{}}') as tap:
        limited = {"retry-after": "7", "set-cookie": "who=us"}
        tap.hear(What.ANSWER, "okx", "https://www.okx.com/a", b"\x1f\x8b\x00 no text", status=429, headers=limited)
        tap.hear(What.ANSWER, "okx", "https://www.okx.com/b", "{}", status=200)
    async with replaying(tmp_path, speed=0.001) as replay, httpx2.AsyncClient(base_url=replay.here) as client:
        answer = await client.get("/okx/www.okx.com/a")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.content == b"\x1f\x8b\x00 no text"
    assert "set-cookie" not in answer.headers


async def test_a_websocket_hears_the_past_at_once_and_the_rest_in_its_time(tmp_path: Path) -> None:
    clock = Clock(origin_ms=CRASH_MS, wall_origin_ms=wall_ms(), speed=1.0)
    url = "wss://stream.venue.test:443/ws?streams=a/b"
    heard = [
        Line(seen_ms=CRASH_MS, what=What.OPENED, source="v", url=url),
        Line(seen_ms=CRASH_MS + 1, what=What.FRAME, source="v", url=url, text="snapshot"),
        Line(seen_ms=CRASH_MS + 2, what=What.FRAME, source="v", url=url, raw=b"\xff\x00garbage"),
        Line(seen_ms=CRASH_MS + 60_000, what=What.FRAME, source="v", url=url, text="later"),
        Line(seen_ms=CRASH_MS + 60_001, what=What.CLOSED, source="v", url=url, text="1000"),
    ]
    async with Recorder(tmp_path, clock=clock, header='{"venues":{}}') as tap:
        for line in heard:
            tap.keep(line)
    async with replaying(tmp_path, start_ms=CRASH_MS + 1_000, speed=200.0) as replay:
        address = replay.here.replace("http", "ws") + "/v/stream.venue.test:443/ws?streams=a/b"
        frames, began = [], wall_ms()
        async with connect(address) as socket:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    frames.append(await socket.recv())
                    if len(frames) == 2:
                        past_ms = wall_ms() - began
    assert frames == ["snapshot", b"\xff\x00garbage", "later"]
    assert past_ms <= wall_ms() - began


async def test_a_socket_that_was_never_opened_is_refused(tmp_path: Path) -> None:
    clock = Clock(origin_ms=CRASH_MS, wall_origin_ms=wall_ms(), speed=1.0)
    async with Recorder(tmp_path, clock=clock, header='{"venues":{}}') as tap:
        tap.hear(What.OPENED, "v", "wss://venue.test/ws")
        tap.hear(What.FRAME, "v", "wss://venue.test/ws", "{}")
    async with replaying(tmp_path, speed=0.001) as replay:
        with pytest.raises(Exception, match=r"403|1008"):
            async with connect(replay.here.replace("http", "ws") + "/v/other.test/ws") as socket:
                await socket.recv()
