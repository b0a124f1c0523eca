"""One book of one socket: snapshot and differences by the venue's rule, or nothing at all.

A kept book is either whole or it is not a book: whatever shows that a message was missed empties it, with the reason
counted, and it says nothing until a new snapshot is in. What repeats something old is ignored and counted. Pure: the
socket asks for the snapshots.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from margrave.collect.books import checksums
from margrave.collect.books.checksums import Checksum
from margrave.collect.books.ladder import Ladder
from margrave.collect.books.rules import Resync, SequenceRule
from margrave.collect.stream import BookDiff, BookSnapshot

MAX_BUFFERED: Final = 2_000
"""Differences kept while a REST snapshot is fetched: minutes of a busy book. Of more the oldest are dropped: a later
snapshot holds what they said."""
REACH_LEFT: Final = 0.5
"""Of the distance from the mid to which a snapshot reached: with less left on a side, a new one is fetched."""

NUMBERED: Final = frozenset({SequenceRule.SPAN, SequenceRule.PREVIOUS, SequenceRule.NEXT})


class Keeper:
    """Follows one instrument's book messages.

    Args:
        rule: how differences follow.
        by_rest: snapshots come from a REST answer, so that differences before it are kept and laid over it.
        checksum: the venue's sum over its best levels, where it has one.
    """

    def __init__(self, rule: SequenceRule, *, by_rest: bool = False, checksum: Checksum | None = None) -> None:
        self._rule = rule
        self._by_rest = by_rest
        self._checksum = checksum
        self._waiting: deque[BookDiff] = deque(maxlen=MAX_BUFFERED)
        self._held = 0
        self._joining = False
        self._depth: int | None = None
        self._reach = 0.0
        self.ladder = Ladder()
        self.whole = False
        self.venue_ms = 0
        """Of the newest message in the book."""
        self.unit = 1.0
        self.sizes_in_usd = False
        self.applied = 0
        self.repeats = 0
        """Messages that said nothing new: older than the book, or said before."""
        self.early = 0
        """Differences that came before there was a book to apply them to, and were not kept."""
        self.verified = 0
        """Checksums that agreed."""
        self.unverified = 0
        """Checksums that could not be made again, because the text of the levels is not known."""
        self.resyncs: Counter[Resync] = Counter()

    @property
    def sequence(self) -> int:
        """Where the book stands."""
        return self._held

    @property
    def forgotten(self) -> int:
        return self.ladder.forgotten

    def snapshot(self, said: BookSnapshot) -> Resync | None:
        """Begin again from a whole book; why it must be asked for once more, if it must."""
        if self.whole and said.venue_ms < self.venue_ms:
            self.repeats += 1
            return None
        bids, asks = self.ladder.bids, self.ladder.asks
        bids.replace(said.bids, said.raw_bids)
        asks.replace(said.asks, said.raw_asks)
        self._held, self.venue_ms = said.sequence, said.venue_ms
        self._depth, self.unit, self.sizes_in_usd = said.depth, said.unit, said.sizes_in_usd
        self._joining, self.whole = self._by_rest, True
        self.applied += 1
        if wrong := self._wrong(said.checksum):
            return self.give_up(wrong)
        self._reach = self._reaches()
        return self._lay_over() if self._by_rest else None

    def diff(self, said: BookDiff) -> Resync | None:
        """Apply a difference; why the book was given up, if it was."""
        if not self.whole:
            self._before_the_snapshot(said)
            return None
        if (missed := self._follows(said)) is not None:
            return self.give_up(missed)
        if self._is_old(said):
            self.repeats += 1
            return None
        return self._apply(said)

    def give_up(self, why: Resync) -> Resync:
        """Empty the book, because it can no longer be trusted."""
        self.resyncs[why] += 1
        self.whole = False
        if why is not Resync.SNAPSHOT_TOO_OLD:
            self._waiting.clear()
        self.ladder = _emptied(self.ladder)
        return why

    def forget_waiting(self) -> None:
        """Drop differences that no snapshot can follow on any more."""
        self._waiting.clear()

    def narrow(self) -> bool:
        """Whether the price has moved so far that the side it moved to is known for less than half of what it was."""
        return self.whole and self._by_rest and self._reaches() < REACH_LEFT * self._reach

    def _before_the_snapshot(self, said: BookDiff) -> None:
        if not self._by_rest:
            self.early += 1
            return
        if len(self._waiting) == MAX_BUFFERED:
            self.early += 1
        self._waiting.append(said)

    def _lay_over(self) -> Resync | None:
        """What was heard while the snapshot was fetched, in its order."""
        waiting, self._waiting = self._waiting, deque(maxlen=MAX_BUFFERED)
        while waiting:
            said = waiting.popleft()
            if said.last <= self._held:
                self.repeats += 1
                continue
            if self._joining and self._follows(said) is Resync.GAP:
                # What lies between the snapshot and this was never heard. It stays for the next snapshot.
                waiting.appendleft(said)
                self._waiting = waiting
                return self.give_up(Resync.SNAPSHOT_TOO_OLD)
            if (why := self.diff(said)) is not None:
                return why
        return None

    def _follows(self, said: BookDiff) -> Resync | None:
        """Why a difference cannot be applied; `None` where it can, or is old."""
        held = self._held
        match self._rule:
            case SequenceRule.SPAN:
                return Resync.GAP if said.first > held + 1 else None
            case SequenceRule.PREVIOUS:
                if said.previous is None:
                    return Resync.GAP if said.checksum is None else None
                if said.previous == held or said.last <= held:
                    return None
                return None if self._joining and said.previous <= held else Resync.GAP
            case SequenceRule.NEXT:
                return Resync.GAP if said.first > held + 1 else None
            case SequenceRule.NONE:
                return Resync.OUT_OF_ORDER if said.venue_ms < self.venue_ms else None
            case SequenceRule.CONNECTION | SequenceRule.CHECKSUM | SequenceRule.SNAPSHOTS:
                return None

    def _is_old(self, said: BookDiff) -> bool:
        if self._rule is SequenceRule.PREVIOUS and said.previous in (self._held, None):
            return False  # a number may fall after maintenance (OKX), or stay where nothing changed, or be absent
        if self._rule is SequenceRule.CHECKSUM:
            # Old messages said again agree with their own sums one after the other: only their time gives them away.
            return said.venue_ms < self.venue_ms
        return self._rule in NUMBERED and said.last <= self._held

    def _apply(self, said: BookDiff) -> Resync | None:
        bids, asks = self.ladder.bids, self.ladder.asks
        bids.apply(said.bids)
        asks.apply(said.asks)
        if self._checksum is not None and (said.raw_bids or said.raw_asks):
            bids.apply_raw(said.bids, said.raw_bids)
            asks.apply_raw(said.asks, said.raw_asks)
        if self._depth is not None:
            bids.truncate(self._depth)
            asks.truncate(self._depth)
        # A REST answer may carry our own time: the first difference says what the venue's is.
        self.venue_ms = said.venue_ms if self._joining else max(self.venue_ms, said.venue_ms)
        self._held, self._joining = said.last, False
        self.applied += 1
        wrong = self._wrong(said.checksum)
        return self.give_up(wrong) if wrong else None

    def _wrong(self, stated: int | None) -> Resync | None:
        """What the book itself says against being the venue's."""
        ladder = self.ladder
        if ladder.crossed():
            return Resync.CROSSED
        if stated is None or self._checksum is None:
            return None
        if not (ladder.bids.raw or ladder.asks.raw):
            self.unverified += 1  # nobody knows the venue's decimals yet
            return None
        ours = self._checksum(ladder.bids.nearest_raw(checksums.LEVELS), ladder.asks.nearest_raw(checksums.LEVELS))
        if not checksums.agrees(ours, stated):
            return Resync.CHECKSUM
        self.verified += 1
        return None

    def _reaches(self) -> float:
        """Distance from the mid to which both sides are known, USD; 0 of a side without levels."""
        bids, asks = self.ladder.bids, self.ladder.asks
        if bids.best is None or asks.best is None or bids.horizon is None or asks.horizon is None:
            return 0.0
        mid = (bids.best + asks.best) / 2
        return max(0.0, min(mid - bids.horizon, asks.horizon - mid))


def numbers(keepers: Sequence[Keeper]) -> Counter[Resync]:
    """Resyncs of several books together, by reason."""
    total: Counter[Resync] = Counter()
    for keeper in keepers:
        total.update(keeper.resyncs)
    return total


def _emptied(ladder: Ladder) -> Ladder:
    """A ladder without levels that remembers how many were forgotten."""
    fresh = Ladder()
    fresh.bids.forgotten, fresh.asks.forgotten = ladder.bids.forgotten, ladder.asks.forgotten
    return fresh
