"""How many book events a second one core takes, from a recorded frame to a changed book: Binance's raw streams.

An event is a change of one level; messages are counted too. Four figures a stream, each the best of several runs over
the whole file: the whole path that the node itself runs (`Listener.frame`: decoding, checking, sequence, ladder, every
frame of the recording, trades and tickers included), the depth messages alone by that path, the same decoded before
the clock starts, and the ladder alone. Two other ladders run beside ours on the same changes: sorted containers, and
a dictionary that looks for its best price anew. Seconds are this process's own on its core, so that a busy machine does
not count.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from margrave.collect.board import Board
from margrave.collect.books.keeper import Keeper
from margrave.collect.books.ladder import Side
from margrave.collect.books.levels import Levels
from margrave.collect.listener import Listener
from margrave.collect.stream import BOOK, TRADES, BookDiff, BookSnapshot, Channel, Event, Heard, Stream
from margrave.collect.venues import VENUES
from margrave.errors import Fatal
from margrave.lab.bench.measured import figure
from margrave.messages import Contract, ContractKind
from margrave.ops import strict_json

TARGET_EVENTS_S: Final = 100_000.0
RUNS: Final = 3
FOLDER: Final = "l2_raw_ws_binance_2024_08_08"
RECORDINGS: Final = {
    "cm_btcusd_perp_20240808.gz": ("coin-margined", "BTCUSD_PERP"),
    "usdm_btcusdt_20240808.gz": ("futures books", "BTCUSDT"),
    "spot_btcusdt_20240808.gz": ("spot", "BTCUSDT"),
    "spot_ethusdt_20240808.gz": ("spot", "ETHUSDT"),
}
"""File to (stream, instrument)."""
COIN_MARGINED: Final = Contract(
    source="binance",
    instrument="BTCUSD_PERP",
    seen_time_ms=0,
    kind=ContractKind.PERPETUAL,
    unit_coins=None,
    unit_usd=100.0,
)
"""As the venue lists it; the recording holds no listing."""
HEARD: Final = Heard(source="binance", seen_ms=0, contracts={COIN_MARGINED.instrument: COIN_MARGINED})
REFERENCE_USD: Final = 1_000_000.0
MEASURES: Final = 200


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: its frames in order, and which of them change the book."""

    name: str
    stream: Stream
    instrument: str
    snapshot: bytes
    frames: Sequence[bytes]
    """From the snapshot on; what came before it is laid over it and not timed."""
    before: Sequence[bytes]

    @property
    def depth(self) -> list[bytes]:
        return [frame for frame in self.frames if b'"depthUpdate"' in frame[:200]]


def run(say: Callable[[str], None]) -> dict[str, Any]:
    root = os.environ.get("MARGRAVE_DATA")
    if root is None or not (folder := Path(root) / FOLDER).is_dir():
        raise Fatal(f"no {FOLDER} in MARGRAVE_DATA", advice="set MARGRAVE_DATA to the folder of market history")
    rows = {}
    for file in RECORDINGS:
        say(file)
        rows[file] = _measure(_load(folder / file))
    slowest = min(rows.values(), key=lambda row: row["events_s"])
    return {
        "recordings": rows,
        "targets": [
            *(
                figure(
                    f"book events a second, {file.partition('_2024')[0]}", row["events_s"], "1/s", least=TARGET_EVENTS_S
                )
                for file, row in rows.items()
            ),
            figure("depth messages a second", slowest["messages_s"], "1/s"),
            figure("frames a second, all of the recording", slowest["frames_s"], "1/s"),
            figure("book events a second, decoded before", slowest["decoded_events_s"], "1/s"),
            figure("book events a second, ladder alone", slowest["ladder_events_s"], "1/s"),
            figure("the same, sorted containers", slowest["sorted_events_s"], "1/s"),
            figure("the same, best found anew", slowest["anew_events_s"], "1/s"),
            figure("measures of one book", max(row["measures_us"] for row in rows.values()), "µs"),
        ],
    }


def _load(file: Path) -> Recording:
    name, instrument = RECORDINGS[file.name]
    stream = next(s for s in VENUES["binance"].streams if s.name == name)
    frames = [line.split(b" ", 1)[1].strip() for line in gzip.decompress(file.read_bytes()).splitlines()]
    at = next(i for i, frame in enumerate(frames) if frame.startswith(b'{"lastUpdateId"'))
    later = [frame for frame in frames[at + 1 :] if not frame.startswith(b'{"lastUpdateId"')]
    return Recording(file.name, stream, instrument, frames[at], later, frames[:at])


def _measure(recording: Recording) -> dict[str, float]:
    depth = recording.depth
    diffs = _diffs(recording, depth)
    events = sum(len(diff.bids) + len(diff.asks) for diff in diffs)
    kept, whole_s = _best_of(lambda: _listen(recording, recording.frames))
    _, path_s = _best_of(lambda: _listen(recording, depth))
    _, decoded_s = _best_of(lambda: _keep(recording, diffs))
    ours_s, sorted_s, anew_s = (_best_of(partial(_climb, kind, diffs))[1] for kind in (Side, _Sorted, _Anew))
    return {
        "messages": float(len(depth)),
        "events": float(events),
        "events_s": events / path_s,
        "messages_s": len(depth) / path_s,
        "frames_s": len(recording.frames) / whole_s,
        "decoded_events_s": events / decoded_s,
        "ladder_events_s": events / ours_s,
        "sorted_events_s": events / sorted_s,
        "anew_events_s": events / anew_s,
        "levels_held": float(kept.ladder.levels),
        "measures_us": _measures_us(kept),
    }


def _best_of(work: Callable[[], tuple[Keeper, float]]) -> tuple[Keeper, float]:
    """The least seconds of several runs: what the machine can do when nobody disturbs it."""
    runs = [work() for _ in range(RUNS)]
    return runs[0][0], min(seconds for _, seconds in runs)


def _listen(recording: Recording, frames: Sequence[bytes]) -> tuple[Keeper, float]:
    """Frames as a socket hands them over, through everything but the socket."""
    channels = [
        Channel(what, recording.instrument, "BENCH", perpetual=recording.stream.futures_host) for what in (BOOK, TRADES)
    ]
    board = Board()
    board.put(COIN_MARGINED)
    listener = Listener(VENUES["binance"], recording.stream, channels, board=board)
    listener.opened(0)
    (book,) = listener.books.values()
    for frame in recording.before:
        listener.frame(frame)
    listener.snapshot(book, recording.snapshot, 0)
    begun = time.process_time()
    for frame in frames:
        listener.frame(frame)
    took_s = time.process_time() - begun
    if not book.keeper.whole or book.keeper.resyncs:
        raise Fatal(f"{recording.name}: the book was lost: {book.keeper.resyncs}", advice="mend the book engine")
    return book.keeper, took_s


def _events(recording: Recording, frame: bytes) -> list[Event]:
    return list(recording.stream.parse(HEARD, strict_json.decode(frame)))


def _diffs(recording: Recording, depth: Sequence[bytes]) -> list[BookDiff]:
    return [event for frame in depth for event in _events(recording, frame) if isinstance(event, BookDiff)]


def _snapshot(recording: Recording) -> BookSnapshot:
    assert recording.stream.read_snapshot is not None
    channel = Channel(BOOK, recording.instrument, "BENCH", perpetual=recording.stream.futures_host)
    return recording.stream.read_snapshot(HEARD, channel, strict_json.decode(recording.snapshot))


def _keep(recording: Recording, diffs: Sequence[BookDiff]) -> tuple[Keeper, float]:
    """Events that were decoded and checked before, into a kept book."""
    keeper = Keeper(recording.stream.sequence, by_rest=True)
    for early in _diffs(recording, [frame for frame in recording.before if b'"depthUpdate"' in frame[:200]]):
        keeper.diff(early)
    keeper.snapshot(_snapshot(recording))
    begun = time.process_time()
    for diff in diffs:
        keeper.diff(diff)
    return keeper, time.process_time() - begun


# --- ladders --------------------------------------------------------------------------------------------------------


class _Mapped:
    """A side of a book as a dictionary of sizes by price."""

    _sizes: Any

    def apply(self, levels: Levels) -> None:
        sizes = self._sizes
        for price, size in levels:
            if size:
                sizes[price] = size
            else:
                sizes.pop(price, None)


class _Sorted(_Mapped):
    """A sorted dictionary, as the well-kept library offers it."""

    def __init__(self, *, bids: bool) -> None:
        try:
            from sortedcontainers import SortedDict
        except ModuleNotFoundError as missing:
            raise Fatal("sortedcontainers is not installed", advice="install the [dev] extra") from missing
        self._end = -1 if bids else 0
        self._sizes = SortedDict()

    @property
    def best(self) -> float | None:
        return self._sizes.peekitem(self._end)[0] if self._sizes else None


class _Anew(_Mapped):
    """A plain dictionary, whose best is looked for whenever it is wanted."""

    def __init__(self, *, bids: bool) -> None:
        self._best = max if bids else min
        self._sizes = {}

    @property
    def best(self) -> float | None:
        return self._best(self._sizes, default=None)


def _climb(kind: type[Side] | type[_Sorted] | type[_Anew], diffs: Sequence[BookDiff]) -> tuple[Keeper, float]:
    """Both sides of every message, and the best of both after it, as a kept book must know."""
    bids, asks = kind(bids=True), kind(bids=False)
    begun = time.process_time()
    for diff in diffs:
        bids.apply(diff.bids)
        asks.apply(diff.asks)
        _ = bids.best, asks.best
    return Keeper(VENUES["binance"].streams[0].sequence), time.process_time() - begun


def _measures_us(keeper: Keeper) -> float:
    begun = time.process_time()
    for _ in range(MEASURES):
        keeper.ladder.measures(unit=1.0, sizes_in_usd=False, reference_usd=REFERENCE_USD)
    return (time.process_time() - begun) / MEASURES * 1e6
