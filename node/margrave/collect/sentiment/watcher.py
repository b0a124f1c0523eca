"""Asks the sources of sentiment, each half hour, and puts what they say on the board. A source that fails is absent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog

from margrave.collect.board import Board
from margrave.collect.host import Host
from margrave.collect.recording.line import Tap
from margrave.collect.sentiment import fear_greed, headlines, tone
from margrave.collect.sentiment.positioning import Past
from margrave.collect.sentiment.tone import Headline
from margrave.collect.source import Asked, Clock, Item, VenueTrouble, decode
from margrave.errors import Rejected
from margrave.messages import EVERY_MARKET, Kind, ScalarReading
from margrave.ops import strict_json
from margrave.settings import SentimentSettings, VenueSettings
from margrave.spans import DAY_MS
from margrave.verdicts import Rejection

EVERY_S: Final = 1_800.0
NEWS: Final = "sentiment:news"
POSITIONING: Final = "sentiment:positioning"
MOST_HEADLINES: Final = 5_000

Reader = Callable[[bytes], Iterable[Item]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class SentimentWatcher:
    """`past_file` keeps the funding seen through restarts. `transport` takes the place of the network in tests."""

    settings: SentimentSettings
    markets: Sequence[str]
    board: Board
    clock: Clock
    past_file: Path
    tap: Tap | None = None
    transport: httpx2.AsyncBaseTransport | None = None
    _headlines: list[Headline] = field(default_factory=list)
    _hosts: dict[str, Host] = field(default_factory=dict)
    _past: Past | None = None

    async def watch(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.poll()
                await asyncio.sleep(self.clock.wall_s(EVERY_S))
        finally:
            await self.close()

    async def close(self) -> None:
        for host in self._hosts.values():
            await host.close()

    async def poll(self) -> None:
        """Ask each source once. Never raises but when cancelled."""
        if self.settings.fear_greed_url:
            await self._ask(fear_greed.SOURCE, self.settings.fear_greed_url, self._fear_greed)
        for outlet, url in self.settings.news.items():
            await self._ask(NEWS, url, partial(self._read_news, outlet))
        for item in (*self._tone(), *self._positioning()):
            self.board.put(item)

    async def _ask(self, source: str, url: str, read: Reader) -> None:
        host, parts = self._host(source, url), urlsplit(url)
        if host.resting(self.clock.now_ms()):
            return
        query = {"limit": 2} if source == fear_greed.SOURCE else {}
        try:
            payload = await host.get(parts.path or "/", query, what=f"{source} {url}", explained=lambda _: False)
        except VenueTrouble as trouble:
            host.failed(trouble, self.clock.now_ms())
            self.board.fail(source, trouble.problem, trouble.trouble)
            log.warning("sentiment not heard", source=source, problem=trouble.problem, advice=trouble.advice)
            return
        host.answered()
        try:
            for item in read(payload):
                self.board.put(item)
        except Rejected as rejected:
            self.board.put(self._asked(source).refusal(source, rejected))

    def _host(self, source: str, url: str) -> Host:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        if base not in self._hosts:
            settings = VenueSettings(base_url=base, timeout_s=self.settings.timeout_s, requests_per_minute=12)
            self._hosts[base] = Host(base, settings, transport=self.transport, source=source, tap=self.tap)
        return self._hosts[base]

    def _asked(self, source: str) -> Asked:
        return Asked(source=source, market=EVERY_MARKET, instrument="", seen_ms=self.clock.now_ms())

    def _fear_greed(self, payload: bytes) -> Iterator[Item]:
        yield from fear_greed.parse(self._asked(fear_greed.SOURCE), decode(payload))

    def _read_news(self, outlet: str, payload: bytes) -> Iterator[Item]:
        known = {(h.outlet, h.title) for h in self._headlines}
        fresh = [h for h in headlines.parse(outlet, payload) if (h.outlet, h.title) not in known]
        oldest_ms = self.clock.now_ms() - DAY_MS
        self._headlines = [h for h in (*self._headlines, *fresh) if h.published_ms > oldest_ms][-MOST_HEADLINES:]
        yield from ()

    def _tone(self) -> Iterator[Item]:
        now_ms = self.clock.now_ms()
        if not self.settings.news:
            return
        if (found := tone.of_day(self._headlines, now_ms)) is None:
            few = f"{len(self._headlines)} headlines of the last 24 h, {tone.LEAST_HEADLINES} different ones needed"
            yield self._asked(NEWS).refusal(Kind.NEWS_TONE, Rejected(Rejection.EMPTY, few))
            return
        newest_ms = max(h.published_ms for h in self._headlines if h.published_ms <= now_ms)
        yield self._scalar(NEWS, EVERY_MARKET, Kind.NEWS_TONE, found, newest_ms)

    def _positioning(self) -> Iterator[Item]:
        now_ms = self.clock.now_ms()
        before = self._past if self._past is not None else self._remembered()
        self._past = before.seen(self.board.readings(), now_ms)
        if self._past != before:
            self._remember(self._past)
        for market in self.markets:
            if (found := self._past.of(market)) is not None:
                yield self._scalar(POSITIONING, market, Kind.FUNDING_POSITIONING, found, now_ms)

    def _scalar(self, source: str, market: str, kind: Kind, value: float, venue_ms: int) -> ScalarReading:
        return ScalarReading(
            source=source,
            market=market,
            instrument="",
            venue_time_ms=venue_ms,
            seen_time_ms=self.clock.now_ms(),
            kind=kind,
            value=value,
        )

    def _remembered(self) -> Past:
        """An unreadable file is an empty past: thirty days later it is whole again."""
        try:
            return strict_json.decode(self.past_file.read_bytes(), Past)
        except (OSError, msgspec.DecodeError):
            return Past()

    def _remember(self, past: Past) -> None:
        fresh = self.past_file.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(past))
            fresh.replace(self.past_file)
        except OSError as error:
            log.warning(
                "funding not remembered",
                problem=f"{self.past_file}: {error.strerror}",
                advice="make state_dir writable; until then a restart begins the thirty days anew",
            )
