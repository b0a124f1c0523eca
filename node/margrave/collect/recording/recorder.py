"""Writes what it hears to disk, in the background and within bounds: the round never waits for it.

What the disk is too slow for is dropped, newest first, and the recording says so itself with a GAP line, so that a hole
is never read as silence. Files rotate by size and time; the oldest are removed beyond `keep_bytes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self, Unpack

import msgspec
import structlog

from margrave.collect.recording import tape
from margrave.collect.recording.line import Answer, Line, What, encode, said
from margrave.collect.source import Clock
from margrave.errors import Fatal
from margrave.settings import NodeSettings, RecordingSettings
from margrave.spans import HOUR_MS

MEMBER_BYTES: Final = 1 << 20
MEMBER_S: Final = 1.0
FILE_BYTES: Final = 64 << 20
FILE_MS: Final = HOUR_MS
QUEUE_BYTES: Final = 64 << 20
"""Waiting to be written; venues say a few megabytes a second at the worst of times."""
GZIP_LEVEL: Final = 6

log = structlog.get_logger(__name__)


class Recorder:
    """A `Tap`. `async with Recorder(...)` writes until the block ends, then seals the last file.

    Args:
        folder: where to; made if missing. What a killed recorder left open there is cut at its last whole member and
            sealed first.
        header: what is recorded (venues and their addresses), as JSON; begins every file.
        keep_bytes: the oldest sealed files are removed beyond so much; `None` keeps all.

    Raises:
        Fatal: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        header: str = "",
        keep_bytes: int | None = None,
        file_bytes: int = FILE_BYTES,
        file_ms: int = FILE_MS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._header = header
        self._keep_bytes = keep_bytes
        self._file_bytes, self._file_ms, self._queue_bytes = file_bytes, file_ms, queue_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._missing = 0
        self._file: Path | None = None
        self._began_ms = 0
        self._writer: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self.lines = 0
        self.dropped = 0
        self.bytes_written = 0

    async def __aenter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in sorted(self._folder.glob(f"*{tape.OPEN}")):
                self._seal(left)
        except OSError as error:
            raise Fatal(
                f"{self._folder}: {error.strerror}", advice="give --out a folder that can be written"
            ) from error
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        self._wake.set()
        if self._writer is not None:
            await self._writer

    def hear(self, what: What, source: str, url: str, body: bytes | str = "", **answer: Unpack[Answer]) -> None:
        """See `Tap`; the line is stamped with this recorder's clock."""
        self.keep(said(self._clock.now_ms(), what, source, url, body, **answer))

    def keep(self, line: Line) -> None:
        """Queue one line, or count it as missing where the queue is full."""
        row = encode(line)
        if self._waiting_bytes + len(row) > self._queue_bytes:
            self._missing += 1
            self.dropped += 1
            return
        if self._missing:
            gap = encode(Line(seen_ms=line.seen_ms, what=What.GAP, missing=self._missing))
            self._waiting.append(gap)
            self._waiting_bytes += len(gap)
            self._missing = 0
        self._waiting.append(row)
        self._waiting_bytes += len(row)
        self.lines += 1
        if self._waiting_bytes >= MEMBER_BYTES:
            self._wake.set()

    async def _write(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), MEMBER_S)
            self._wake.clear()
            ending = self._stopping
            rows = self._take()
            try:
                # gzip and fsync in a thread: neither may hold up the loop that rounds run on.
                await asyncio.to_thread(self._put, rows, ending)
            except OSError as error:
                self.dropped += len(rows)
                self._missing += len(rows)
                log.error(
                    "recording failed",
                    problem=f"{self._folder}: {error.strerror}",
                    lines_lost=len(rows),
                    advice="free space on the disk or lower --keep-gb; it goes on when there is room",
                )
            if ending:
                return

    def _take(self) -> list[bytes]:
        if self._missing and self._waiting_bytes < self._queue_bytes:
            self._waiting.append(encode(Line(seen_ms=self._clock.now_ms(), what=What.GAP, missing=self._missing)))
            self._missing = 0
        rows, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return rows

    def _put(self, rows: list[bytes], ending: bool) -> None:
        for member in _members(rows):
            self._append(member)
        if self._file is not None and (ending or self._is_full(self._file)):
            done, self._file = self._file, None
            self._seal(done)
            self._prune()

    def _is_full(self, file: Path) -> bool:
        return file.stat().st_size >= self._file_bytes or self._clock.now_ms() - self._began_ms >= self._file_ms

    def _append(self, member: bytes) -> None:
        if self._file is None:
            self._began_ms = self._clock.now_ms()
            self._file = self._folder / (_name(self._began_ms) + tape.OPEN)
            header = Line(seen_ms=self._began_ms, what=What.HEADER, text=self._header)
            member = gzip.compress(encode(header), GZIP_LEVEL, mtime=0) + member
        with self._file.open("ab") as opened:
            opened.write(member)
        self.bytes_written += len(member)

    def _seal(self, file: Path) -> None:
        """Cut a torn end off, make it durable, name it, add its checksum. An empty one is removed."""
        whole = tape.whole_bytes(file)
        if not whole:
            file.unlink()
            return
        with file.open("r+b") as opened:
            opened.truncate(whole)
            os.fsync(opened.fileno())
        sealed = file.with_name(file.name.removesuffix(".part"))
        file.rename(sealed)
        with (self._folder / tape.SUMS).open("a", encoding="ascii") as manifest:
            manifest.write(f"{tape.sha256(sealed)}  {sealed.name}\n")
            manifest.flush()
            os.fsync(manifest.fileno())

    def _prune(self) -> None:
        if self._keep_bytes is None:
            return
        sealed = sorted(self._folder.glob(f"*{tape.SEALED}"), key=lambda f: f.name)
        sizes = {file: file.stat().st_size for file in sealed}
        excess = sum(sizes.values()) - self._keep_bytes
        gone = set()
        for file in sealed[:-1]:
            if excess <= 0:
                break
            file.unlink()
            gone.add(file.name)
            excess -= sizes[file]
        if gone:
            kept = {name: digest for name, digest in tape.sums(self._folder).items() if name not in gone}
            fresh = self._folder / f"{tape.SUMS}.new"
            fresh.write_text("".join(f"{digest}  {name}\n" for name, digest in kept.items()), encoding="ascii")
            fresh.replace(self._folder / tape.SUMS)


def recorder_of(node: NodeSettings, to: RecordingSettings, clock: Clock) -> Recorder:
    """Its files begin with the venues' addresses, so that a feed of them can be dialled in their place."""
    addresses = {"base_url", "futures_url", "stream_url", "futures_stream_url"}
    venues = {
        name: venue.model_dump(include=addresses, exclude_none=True)
        for name, venue in node.venues.items()
        if venue.enabled
    }
    header = msgspec.json.encode({"node": node.name, "venues": venues}).decode()
    keep_bytes = None if to.keep_gb is None else int(to.keep_gb * 1e9)
    return Recorder(Path(to.folder), clock=clock, header=header, keep_bytes=keep_bytes)


def _members(rows: list[bytes]) -> list[bytes]:
    packed, block, size = [], [], 0
    for row in rows:
        block.append(row)
        size += len(row)
        if size >= MEMBER_BYTES:
            packed.append(gzip.compress(b"".join(block), GZIP_LEVEL, mtime=0))
            block, size = [], 0
    if block:
        packed.append(gzip.compress(b"".join(block), GZIP_LEVEL, mtime=0))
    return packed


def _name(at_ms: int) -> str:
    """Sorts by time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.") + f"{at_ms % 1000:03d}Z"
