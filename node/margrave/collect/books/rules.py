"""How a venue's book messages follow one another, and why a kept book is given up and begun again."""

from __future__ import annotations

from enum import StrEnum


class SequenceRule(StrEnum):
    """What a difference must state to be applied to a book that stands at `held`; absolute sizes in all of them."""

    SPAN = "span"
    """`first <= held + 1 <= last` (Binance spot). What ends at or before `held` is old, and nothing else."""
    PREVIOUS = "previous"
    """`previous == held` (Deribit, OKX, Binance futures). Numbers may be skipped, and may fall after maintenance. A
    difference that names none is taken where its checksum vouches for it (OKX before 2023)."""
    NEXT = "next"
    """`first == held + 1` for each instrument (Bybit, Kraken futures)."""
    CONNECTION = "connection"
    """One count over all messages of the socket (Coinbase Advanced): the parser says it as `Counted`, and a number that
    is missing costs every book of the socket."""
    CHECKSUM = "checksum"
    """No numbers: the checksum in the message is all there is (Kraken spot). Under other rules it is verified too."""
    SNAPSHOTS = "snapshots"
    """Every message is a whole book (Hyperliquid)."""
    NONE = "none"
    """Neither numbers nor checksums (Coinbase Exchange): only a crossed book can show that something was missed."""


class Resync(StrEnum):
    """Why a kept book was thrown away and asked for again. Until it is whole it says nothing: old depth is no depth."""

    GAP = "gap"  # a difference does not follow the one before
    OUT_OF_ORDER = "out_of_order"  # a number that goes back by more than a repeat does
    CROSSED = "crossed"  # best bid at or above best ask: a removal was missed
    CHECKSUM = "checksum"  # the venue's own sum of the top says otherwise
    SNAPSHOT_TOO_OLD = "snapshot_too_old"  # the REST snapshot ends before the first difference that was heard
    SNAPSHOT_FAILED = "snapshot_failed"  # the venue did not answer with one
    OVERFLOW = "overflow"  # we were too slow and dropped a message of it
    NARROW = "narrow"  # the price has left the part of the book that the snapshot showed
    RECONNECTED = "reconnected"  # the socket was lost, and with it everything that was said meanwhile
    BAD_MESSAGE = "bad_message"  # a difference of it was refused, so the book lacks it
