"""Swaps in one form, out of what chains keep of them: logs, or the calls of a trace.

Logs say all of a swap. A trace (parity's, as archives and mev-inspect write it) says what was called and what came
back: of a v3 pool both amounts, of a v2 pair what it sent out, and what it was paid only in the token transfers around
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from margrave.collect import checks
from margrave.collect.chains.abi import Call
from margrave.collect.chains.logs import Log, address_of, count_of, data_of, first_of, text_of_hash
from margrave.collect.chains.pools import uniswap_v2, uniswap_v3, uniswap_v4
from margrave.collect.chains.pools.uniswap_v2 import PairSwap
from margrave.collect.chains.pools.uniswap_v3 import PoolSwap
from margrave.errors import Rejected
from margrave.verdicts import Rejection

MAX_CALLDATA: Final = 1 << 20
MOST_CALLS: Final = 500_000
"""Of one block's traces; a full one has some 10,000."""


class Family(StrEnum):
    """Whose layout a swap has."""

    UNISWAP_V2 = "uniswap_v2"
    AERODROME_V2 = "aerodrome_v2"
    UNISWAP_V3 = "uniswap_v3"
    PANCAKESWAP_V3 = "pancakeswap_v3"
    UNISWAP_V4 = "uniswap_v4"


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap from the pool's side: what is above zero was paid in, what is below was sent out."""

    family: Family
    pool: str
    """Address; of v4 the pool's id."""
    amount0: int
    amount1: int
    block: int
    transaction: str
    sqrt_price_x96: int | None = None
    """After the swap; pairs and traces do not say."""
    tick: int | None = None
    liquidity: int | None = None
    fee_pips: int | None = None
    time_ms: int | None = None

    @property
    def paid_per_unit(self) -> float | None:
        """Smallest units of token 1 for one of token 0; `None` where one of them did not move."""
        return abs(self.amount1 / self.amount0) if self.amount0 and self.amount1 else None


EVENTS: Final = (
    (uniswap_v2.SWAP, Family.UNISWAP_V2),
    (uniswap_v2.AERODROME_SWAP, Family.AERODROME_V2),
    (uniswap_v3.SWAP, Family.UNISWAP_V3),
    (uniswap_v3.PANCAKE_SWAP, Family.PANCAKESWAP_V3),
)


def swap_of(log: Log) -> Swap | None:
    """The swap that a log tells, `None` where it tells something else.

    Raises:
        Rejected: a swap by its topic whose data are not one.
    """
    if uniswap_v4.SWAP.fits(log):
        managed = uniswap_v4.SWAP.decode(log)
        return _of_pool(Family.UNISWAP_V4, "0x" + managed.pool_id.hex(), managed.swap, log)
    for event, family in EVENTS:
        if event.fits(log):
            told = event.decode(log)
            if isinstance(told, PoolSwap):
                return _of_pool(family, log.address, told, log)
            return _of_pair(family, told, log)
    return None


def swaps_of_logs(logs: Iterable[Log]) -> Iterator[Swap | Rejected]:
    """Every swap among some logs, in their order; one that is broken stands as its refusal."""
    for log in logs:
        try:
            if (swap := swap_of(log)) is not None:
                yield swap
        except Rejected as rejected:
            yield rejected


def _of_pool(family: Family, pool: str, told: PoolSwap, log: Log) -> Swap:
    if told.sqrt_price_x96 <= 0 or told.amount0 * told.amount1 > 0:
        raise Rejected(Rejection.MALFORMED, f"a swap of {pool} with amounts {told.amount0} and {told.amount1}")
    return Swap(
        family,
        pool,
        told.amount0,
        told.amount1,
        log.block,
        log.transaction,
        told.sqrt_price_x96,
        told.tick,
        told.liquidity,
        told.fee_pips,
        log.time_ms,
    )


def _of_pair(family: Family, told: PairSwap, log: Log) -> Swap:
    moved0, moved1 = told.in0 - told.out0, told.in1 - told.out1
    return Swap(family, log.address, moved0, moved1, log.block, log.transaction, time_ms=log.time_ms)


# --- traces ---------------------------------------------------------------------------------------------------------

TRANSFER: Final = Call("transfer(address,uint256)", "(bool)", lambda done: done)
TRANSFER_FROM: Final = Call("transferFrom(address,address,uint256)", "(bool)", lambda done: done)


@dataclass(frozen=True, slots=True)
class Traced:
    """One call of a trace that did not fail, nor did any call around it."""

    to: str
    caller: str
    calldata: bytes
    returned: bytes
    path: tuple[int, ...]
    transaction: str
    block: int
    delegate: bool

    @property
    def done(self) -> tuple[int, ...]:
        """Orders the calls of one transaction by when they end: a call ends after all that it makes."""
        return (*self.path, MOST_CALLS)

    def within(self, other: Traced) -> bool:
        return self.transaction == other.transaction and self.path[: len(other.path)] == other.path


@dataclass(frozen=True, slots=True)
class Moved:
    """One transfer of a token, as a call asked for it."""

    token: str
    sender: str
    receiver: str
    amount: int
    call: Traced


@dataclass(frozen=True, slots=True)
class TracedSwap:
    """A swap as its call tells it, with the tokens that the transfers name."""

    swap: Swap
    call: Traced
    token_in: str
    token_out: str
    amount_in: int
    amount_out: int


def calls_of(body: object) -> list[Traced]:
    """The calls of a block's traces that took effect, in their order: those that failed, or lie within one that did,
    changed nothing.

    Args:
        body: a list of traces, or an object with `traces` or `result`; keys in snake or camel case.
    """
    if isinstance(body, dict):
        body = body.get("traces", body.get("result"))
    entries = checks.sequence(body, "traces")
    if len(entries) > MOST_CALLS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{len(entries)} traces are more than the {MOST_CALLS} that are read")
    failed: set[tuple[str, tuple[int, ...]]] = set()
    calls = []
    for entry in entries:
        told = checks.mapping(entry, "trace")
        action = told.get("action")
        if told.get("type") != "call" or not isinstance(action, dict):
            continue
        call = _traced(told, action)
        if told.get("error") or not isinstance(told.get("result"), dict):
            failed.add((call.transaction, call.path))
        calls.append(call)
    return [
        call
        for call in calls
        if not any((call.transaction, call.path[:depth]) in failed for depth in range(len(call.path) + 1))
    ]


def transfers_of(calls: Iterable[Traced]) -> list[Moved]:
    """Token transfers among calls. A token behind a proxy is called twice: only the call from outside is a transfer."""
    found = []
    for call in calls:
        if call.delegate:
            continue
        if call.calldata[:4] == TRANSFER.selector:
            receiver, amount = _words(call.calldata, 2)
            found.append(Moved(call.to, call.caller, _address(receiver), amount, call))
        elif call.calldata[:4] == TRANSFER_FROM.selector:
            sender, receiver, amount = _words(call.calldata, 3)
            found.append(Moved(call.to, _address(sender), _address(receiver), amount, call))
    return found


def swaps_of_traces(body: object) -> list[TracedSwap]:
    """Swaps of pairs and of v3 pools among a block's traces, where the tokens can be told from the transfers.

    Raises:
        Rejected: these are no traces.
    """
    calls = calls_of(body)
    transfers: dict[str, list[Moved]] = {}
    for moved in transfers_of(calls):
        transfers.setdefault(moved.call.transaction, []).append(moved)
    found: list[TracedSwap] = []
    for call in calls:
        near = transfers.get(call.transaction, [])
        if call.calldata[:4] == uniswap_v3.SWAP_CALL.selector and len(call.returned) >= 64:
            found += _pool_call(call, near)
        elif call.calldata[:4] == uniswap_v2.SWAP_CALL.selector:
            found += _pair_call(call, near)
    return found


def _pool_call(call: Traced, near: Sequence[Moved]) -> Iterator[TracedSwap]:
    amount0, amount1 = uniswap_v3.SWAP_CALL.decode(call.returned)
    _, zero_for_one = _words(call.calldata, 2)
    got, sent = (amount0, -amount1) if zero_for_one else (amount1, -amount0)
    inside = [moved for moved in near if moved.call.within(call)]
    out = _token(inside, sender=call.to, amount=sent)
    paid = _token(inside, receiver=call.to, amount=got)
    if call.delegate or out is None or paid is None:
        return
    swap = Swap(Family.UNISWAP_V3, call.to, amount0, amount1, call.block, call.transaction)
    yield TracedSwap(swap, call, paid.token, out.token, got, sent)


def _pair_call(call: Traced, near: Sequence[Moved]) -> Iterator[TracedSwap]:
    out0, out1 = _words(call.calldata, 2)
    if call.delegate or bool(out0) == bool(out1):
        return  # both at once is a flash loan that is given back
    sent = out0 or out1
    out = _token([moved for moved in near if moved.call.within(call)], sender=call.to, amount=sent)
    if out is None:
        return
    # Paid before the call as routers do, or in the callback: the last payment in another token that was done by the
    # call's end. A token that itself sells its takings while it is transferred has that swap inside the payment.
    to_pair = [moved for moved in near if moved.receiver == call.to and moved.call.done < call.done]
    paid = [moved for moved in to_pair if moved.token != out.token]
    if not paid:
        return
    last = max(paid, key=lambda moved: moved.call.done)
    amounts = (-sent, last.amount) if out0 else (last.amount, -sent)
    swap = Swap(Family.UNISWAP_V2, call.to, *amounts, call.block, call.transaction)
    yield TracedSwap(swap, call, last.token, out.token, last.amount, sent)


def _token(moves: Iterable[Moved], *, sender: str = "", receiver: str = "", amount: int) -> Moved | None:
    """The transfer of an amount from or to a pool. Who pays may pay more than was asked."""
    fits = [
        moved
        for moved in moves
        if sender in ("", moved.sender)
        and receiver in ("", moved.receiver)
        and (moved.amount == amount or (receiver and moved.amount > amount))
    ]
    return min(fits, key=lambda moved: moved.amount, default=None)


def _words(calldata: bytes, count: int) -> list[int]:
    """The first words behind the selector. Hand-made callers cut their calldata short: the EVM reads zeros beyond
    it."""
    padded = calldata[4 : 4 + 32 * count].ljust(32 * count, b"\0")
    return [int.from_bytes(padded[at : at + 32], "big") for at in range(0, len(padded), 32)]


def _address(word: int) -> str:
    return f"0x{word & (1 << 160) - 1:040x}"


def _traced(told: Mapping[str, object], action: Mapping[str, object]) -> Traced:
    result = told.get("result")
    returned = result.get("output") if isinstance(result, dict) else None
    path = checks.sequence(first_of(told, "trace_address", "traceAddress") or [], "trace address")
    return Traced(
        to=address_of(action.get("to"), "called"),
        caller=address_of(action.get("from"), "caller"),
        calldata=data_of(action.get("input") or "0x", "calldata", most=MAX_CALLDATA),
        returned=data_of(returned or "0x", "returned", most=MAX_CALLDATA),
        path=tuple(count_of(step, "trace address") for step in path),
        transaction=text_of_hash(first_of(told, "transaction_hash", "transactionHash")),
        block=count_of(first_of(told, "block_number", "blockNumber") or 0, "block"),
        delegate=action.get("callType", action.get("call_type")) == "delegatecall",
    )
