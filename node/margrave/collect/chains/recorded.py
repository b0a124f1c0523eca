"""`margrave parse chain FILE…`: the live decoders over what somebody wrote down of a chain.

Recognised by shape, compressed or not: JSON-RPC answers (one, a batch, or one a line), logs and receipts in any case of
key, ethereum-etl's JSON lines and CSV tables, block headers, call traces. Nothing is skipped in silence: what no
decoder reads is a refusal, `UNKNOWN_SHAPE`. What one log says by itself has no price in it: most of it is a notice.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from margrave.collect.chains import tellings
from margrave.collect.chains.blocks import block_of, looks_like_block
from margrave.collect.chains.endpoint import complaint
from margrave.collect.chains.lending import tables, traces
from margrave.collect.chains.lending.events import LIQUIDATION
from margrave.collect.chains.logs import Log, log_of, looks_like_log
from margrave.collect.chains.trace_forms import as_parity, looks_like_traces
from margrave.collect.source import Item, decode
from margrave.errors import Rejected
from margrave.messages import Kind, NoticeReading, Refusal, ScalarReading
from margrave.ops import strict_json
from margrave.verdicts import Rejection

SOURCE: Final = "chain"
MOST_NESTED: Final = 8
"""Answers in answers: a batch of receipts with logs is three deep."""


HOLDERS: Final = ("result", "params", "block", "blocks", "receipt", "receipts", "logs")
"""Keys under which answers, subscriptions and exports hold what they tell."""


@dataclass(frozen=True, slots=True)
class Teller:
    """A family of events: whether it reads a log, and the item that it makes of one."""

    reads: Callable[[Log], bool]
    tell: Callable[[Log, int], Item]


@dataclass(frozen=True, slots=True)
class Shape:
    """Something other than a log, recognised by its keys."""

    name: str
    fits: Callable[[object], bool]
    items: Callable[[object, int], Iterable[Item]]
    """(body, seen in ms). May raise `Rejected`."""


def _liquidations(body: object, seen_ms: int) -> Iterator[Item]:
    """Those carried out in a block's traces."""
    for each in traces.liquidations(traces.traces_of(body)):
        if isinstance(each, Rejected):
            yield refusal("traces", each)
            continue
        yield NoticeReading(
            source=each.protocol,
            market=each.liquidated.collateral,
            instrument=each.contract,
            venue_time_ms=seen_ms,
            seen_time_ms=seen_ms,
            topic=LIQUIDATION,
            text=f"{each.liquidated.text}, block {each.block}",
        )


def _traces(body: object, seen_ms: int) -> Iterator[Item]:
    """All that is read of a block's traces; where that is nothing, it says so: traces hold much else."""
    calls = as_parity(body)
    found: list[Item] = []
    for read in TRACE_READERS:
        try:
            found += read(calls, seen_ms)
        except Rejected as rejected:
            found.append(refusal("traces", rejected))
    yield from found or [refusal("traces", Rejected(Rejection.EMPTY, "traces in which nothing is read"))]


def _block(body: object, seen_ms: int) -> Iterator[Item]:
    block = block_of(body)
    if block.base_fee_wei is None:
        raise Rejected(Rejection.EMPTY, f"block {block.number} is older than base fees")
    yield ScalarReading(
        source=SOURCE,
        market="*",
        instrument=f"block {block.number}",
        venue_time_ms=block.time_ms,
        seen_time_ms=seen_ms,
        kind=Kind.BASE_FEE,
        value=float(block.base_fee_wei),
    )


TELLERS: Final[tuple[Teller, ...]] = (Teller(tables.reads, tables.tell), Teller(tellings.reads, tellings.tell))
TRACE_READERS: Final[tuple[Callable[[object, int], Iterable[Item]], ...]] = (_liquidations, tellings.traced_swaps)
SHAPES: Final[tuple[Shape, ...]] = (
    Shape("traces", looks_like_traces, _traces),
    Shape("block", looks_like_block, _block),
    Shape("fees", tellings.looks_like_fees, tellings.fee_history),
    Shape("pool", tellings.looks_like_pools, tellings.pool_states),
)


def parse_text(text: bytes, seen_ms: int = 0) -> Iterator[Item]:
    """All that one file says, in its order.

    Args:
        seen_ms: when it was recorded; 0 where nobody knows.
    """
    for body in bodies(text):
        if isinstance(body, Rejected):
            yield refusal("payload", body)
        else:
            yield from items(body, seen_ms)


def items(body: object, seen_ms: int = 0, *, depth: int = 0) -> Iterator[Item]:
    """What one decoded payload says."""
    if depth > MOST_NESTED:
        yield refusal("payload", Rejected(Rejection.MALFORMED, f"answers nested deeper than {MOST_NESTED}"))
        return
    shape = next((shape for shape in SHAPES if shape.fits(body)), None)
    if shape is not None:
        try:
            yield from shape.items(body, seen_ms)
        except Rejected as rejected:
            yield refusal(shape.name, rejected)
    elif looks_like_log(body):
        yield _told(body, seen_ms)
    elif isinstance(body, dict) and body.get("error") is not None and "jsonrpc" in body:
        meant, said = complaint(body["error"])
        yield refusal("answer", Rejected(Rejection.VENUE_ERROR, f"{meant}: {said}"))
    elif (inner := _inner(body)) is not None:
        if not inner:
            yield refusal("answer", Rejected(Rejection.EMPTY, "the answer holds nothing"))
        for each in inner:
            yield from items(each, seen_ms, depth=depth + 1)
    else:
        shown = ", ".join(sorted(map(str, body))[:6]) if isinstance(body, dict) else type(body).__name__
        yield refusal("payload", Rejected(Rejection.UNKNOWN_SHAPE, f"nothing of a chain that is read: {shown}"))


def bodies(text: bytes) -> Iterator[object]:
    """The payloads of a file: one JSON body, one a line, or the rows of a table; `Rejected` for what is none."""
    try:
        yield decode(text)
        return
    except Rejected as rejected:
        whole = rejected
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].lstrip()[:1] in (b"{", b"["):
        for line in lines:
            try:
                yield strict_json.decode(line)
            except msgspec.DecodeError as error:
                yield Rejected(Rejection.MALFORMED, f"a line of {len(line)} bytes is not JSON: {str(error)[:60]}")
    elif lines and b"," in lines[0]:
        yield from _rows(text)
    else:
        yield whole


def refusal(what: str, rejected: Rejected) -> Refusal:
    return Refusal(source=SOURCE, market="*", what=what, reason=rejected.reason, detail=rejected.problem)


def _told(body: object, seen_ms: int) -> Item:
    try:
        log = log_of(body)
    except Rejected as rejected:
        return refusal("log", rejected)
    if log.removed:
        return refusal("log", Rejected(Rejection.STALE, f"a log of block {log.block} that was taken back"))
    teller = next((teller for teller in TELLERS if teller.reads(log)), None)
    if teller is not None:
        return teller.tell(log, seen_ms)
    first = "0x" + log.topics[0].hex() if log.topics else "no topic"
    return refusal("log", Rejected(Rejection.UNKNOWN_SHAPE, f"no event that is read: {first} of {log.address}"))


def _inner(body: object) -> list[object] | None:
    """What an answer, a receipt or a list holds."""
    if isinstance(body, list):
        return body
    if isinstance(body, dict):
        held = [body[key] for key in HOLDERS if isinstance(body.get(key), list | dict)]
        return [each for one in held for each in (one if isinstance(one, list) else [one])] if held else None
    return None


def _rows(text: bytes) -> Iterator[object]:
    reader = csv.DictReader(io.StringIO(text.decode("utf-8", "replace"), newline=""))
    try:
        for row in reader:
            yield {key: value for key, value in row.items() if key and value not in (None, "")}
    except csv.Error as error:
        yield Rejected(Rejection.MALFORMED, f"line {reader.line_num} of a table: {error}")
    if reader.line_num <= 1:
        yield Rejected(Rejection.EMPTY, "a table without a row")
