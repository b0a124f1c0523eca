"""Liquidations in the call traces of whole blocks, as parity and its heirs write them (`trace_block`).

A trace tells what was asked, and its inner calls tell what was done: the amount that Aave's caller offers may be any
number (2^256 - 1 for «all»); the debt token's `burn` and the aToken's `burn` or `transferOnLiquidation` have the real
ones, in v1 the core's `updateStateOnLiquidation`. Proxies repeat a call by delegation; only the outer one counts, and
nothing inside a call that failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from margrave.collect import checks
from margrave.collect.chains.abi import MAX_ANSWER_BYTES, Call
from margrave.collect.chains.lending.events import Liquidated
from margrave.collect.chains.logs import address_of, amount_of, count_of, data_of, first_of, text_of_hash
from margrave.errors import Rejected
from margrave.verdicts import Rejection

MOST_TRACES: Final = 100_000
"""Of one block; the busiest have a few thousand."""
MOST_DEPTH: Final = 1_024
"""The EVM's own."""


def _nothing(*_: object) -> None: ...


LIQUIDATION_CALL: Final = Call("liquidationCall(address,address,address,uint256,bool)", "", _nothing)
"""Aave v1 to v3."""
LIQUIDATE_BORROW: Final = Call("liquidateBorrow(address,uint256,address)", "(uint256)", _nothing)
LIQUIDATE_BORROW_ETHER: Final = Call("liquidateBorrow(address,address)", "", _nothing)
"""Compound's cEther: the amount is the value sent."""
SEIZE: Final = Call("seize(address,address,uint256)", "(uint256)", _nothing)
A_TOKEN_BURN: Final = Call("burn(address,address,uint256,uint256)", "", _nothing)
A_TOKEN_TRANSFER: Final = Call("transferOnLiquidation(address,address,uint256)", "", _nothing)
VARIABLE_DEBT_BURN: Final = Call("burn(address,uint256,uint256)", "", _nothing)
STABLE_DEBT_BURN: Final = Call("burn(address,uint256)", "", _nothing)
V1_STATE: Final = Call(
    "updateStateOnLiquidation(address,address,address,uint256,uint256,uint256,uint256,uint256,bool)", "", _nothing
)
"""Aave v1: debt, collateral, borrower, debt repaid, collateral seized, ..."""
DONE: Final[Mapping[bytes, tuple[Call[None], int]]] = {
    A_TOKEN_BURN.selector: (A_TOKEN_BURN, 2),
    A_TOKEN_TRANSFER.selector: (A_TOKEN_TRANSFER, 2),
}
"""Calls of the aToken that take the collateral, and which argument is the amount."""
REPAID: Final[Mapping[bytes, tuple[Call[None], int]]] = {
    VARIABLE_DEBT_BURN.selector: (VARIABLE_DEBT_BURN, 1),
    STABLE_DEBT_BURN.selector: (STABLE_DEBT_BURN, 1),
}


@dataclass(frozen=True, slots=True)
class Trace:
    """One call of a block."""

    sender: str
    to: str
    data: bytes
    value: int
    kind: str
    """call, delegatecall, staticcall, callcode; empty for what is no call."""
    path: tuple[int, ...]
    transaction: str
    block: int
    output: bytes
    failed: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A liquidation, and where."""

    liquidated: Liquidated
    protocol: str
    contract: str
    block: int
    transaction: str


def traces_of(body: object) -> list[Trace]:
    """From a `trace_block` result, or an object that holds one as `traces`; any case of key.

    Raises:
        Rejected: it is not a list of traces, or longer than any block's.
    """
    if isinstance(body, dict):
        body = body.get("traces")
    rows = checks.sequence(body, "traces")
    if len(rows) > MOST_TRACES:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{len(rows)} traces in one block")
    return [_trace(row) for row in rows]


def liquidations(traces: Sequence[Trace]) -> Iterator[Found | Rejected]:
    """All that were carried out, in the block's order; one whose calldata does not decode is told as such."""
    failed = {(t.transaction, t.path) for t in traces if t.failed}
    for at, trace in enumerate(traces):
        if trace.kind != "call" or _within(trace, failed):
            continue
        try:
            if found := _found(trace, traces, at):
                yield found
        except Rejected as rejected:
            yield rejected


def _found(trace: Trace, traces: Sequence[Trace], at: int) -> Found | None:
    selector = trace.data[:4]
    if selector == LIQUIDATION_CALL.selector:
        liquidated, protocol = _aave(trace, traces, at), "aave"
    elif selector == LIQUIDATE_BORROW.selector:
        borrower, amount, collateral = LIQUIDATE_BORROW.arguments(trace.data)
        if int.from_bytes(trace.output[:32], "big"):
            return None  # Compound returns an error code instead of reverting
        liquidated, protocol = _compound(trace, traces, at, borrower, amount, collateral), "compound_v2"
    elif selector == LIQUIDATE_BORROW_ETHER.selector:
        borrower, collateral = LIQUIDATE_BORROW_ETHER.arguments(trace.data)
        liquidated, protocol = _compound(trace, traces, at, borrower, trace.value, collateral), "compound_v2"
    else:
        return None
    return Found(liquidated, protocol, trace.to, trace.block, trace.transaction)


def _aave(trace: Trace, traces: Sequence[Trace], at: int) -> Liquidated:
    collateral, debt, borrower, _offered, _in_a_token = LIQUIDATION_CALL.arguments(trace.data)
    seized = repaid = 0
    for inner in _inside(trace, traces, at):
        if inner.kind != "call":
            continue
        if inner.data[:4] == V1_STATE.selector:
            done = V1_STATE.arguments(inner.data)
            repaid, seized = repaid + done[3], seized + done[4]
        elif (known := DONE.get(inner.data[:4])) and known[0].arguments(inner.data)[0] == borrower:
            seized += known[0].arguments(inner.data)[known[1]]
        elif (known := REPAID.get(inner.data[:4])) and known[0].arguments(inner.data)[0] == borrower:
            repaid += known[0].arguments(inner.data)[known[1]]
    if not seized and not repaid:
        # v1 answers with an error code where others revert; what moves nothing is no liquidation.
        raise Rejected(Rejection.EMPTY, f"a liquidation of {borrower} that moved nothing")
    return Liquidated(borrower, trace.sender, collateral, debt, seized, repaid)


def _compound(
    trace: Trace, traces: Sequence[Trace], at: int, borrower: str, amount: int, collateral: str
) -> Liquidated:
    seized = next(
        (
            SEIZE.arguments(inner.data)[2]
            for inner in _inside(trace, traces, at)
            if inner.kind == "call" and inner.data[:4] == SEIZE.selector
        ),
        0,  # where the collateral is the cToken itself, it seizes without a call
    )
    return Liquidated(borrower, trace.sender, collateral, trace.to, seized, amount)


def _inside(trace: Trace, traces: Sequence[Trace], at: int) -> Iterator[Trace]:
    """Calls made by this one, which follow it in the list."""
    depth = len(trace.path)
    for inner in traces[at + 1 :]:
        if inner.transaction != trace.transaction or inner.path[:depth] != trace.path:
            return
        if not inner.failed:
            yield inner


def _within(trace: Trace, failed: set[tuple[str, tuple[int, ...]]]) -> bool:
    return any((trace.transaction, trace.path[:depth]) in failed for depth in range(len(trace.path) + 1))


def _trace(row: object) -> Trace:
    entry = checks.mapping(row, "trace")
    action = checks.mapping(entry.get("action") or {}, "trace action")
    result: Any = entry.get("result")
    output = result.get("output") if isinstance(result, dict) else None
    path = checks.sequence(first_of(entry, "traceAddress", "trace_address") or [], "trace address")
    if len(path) > MOST_DEPTH:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a call {len(path)} deep")
    is_call = first_of(entry, "type") == "call"
    to, sender = first_of(action, "to"), first_of(action, "from")
    return Trace(
        sender=address_of(sender, "trace sender") if is_call else "",
        to=address_of(to, "trace target") if is_call and to else "",
        data=data_of(first_of(action, "input") or "0x", "trace input", most=MAX_ANSWER_BYTES) if is_call else b"",
        value=amount_of(first_of(action, "value") or 0, "trace value"),
        kind=str(first_of(action, "callType", "call_type") or "") if is_call else "",
        path=tuple(count_of(step, "trace address") for step in path),
        transaction=text_of_hash(first_of(entry, "transactionHash", "transaction_hash")),
        block=count_of(first_of(entry, "blockNumber", "block_number") or 0, "trace block"),
        output=data_of(output, "trace output", most=MAX_ANSWER_BYTES) if isinstance(output, str) else b"",
        failed=bool(entry.get("error")),
    )
