"""Call traces in the one form that is read (parity's `trace_block`), from the forms that other nodes give.

* `trace_replayBlockTransactions`: `[{"transactionHash", "trace": [...]}]`, the inner list as `trace_block` has it;
* geth's call tracer: `{"type": "CALL", "from", "to", "input", "output", "error", "calls": [...]}`, nested, or a list of
  `{"txHash", "result": {...}}`. Its blocks have no number, which stays 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from margrave.errors import Rejected
from margrave.verdicts import Rejection

MOST_CALLS: Final = 100_000
"""Of one block; the busiest have a few thousand."""
CALLS: Final = frozenset({"CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"})
CREATIONS: Final = frozenset({"CREATE", "CREATE2", "SELFDESTRUCT"})


def looks_like_traces(body: object) -> bool:
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return False
    held = first.get("traces")
    return (
        "action" in first
        or (isinstance(held, list) and bool(held) and isinstance(held[0], dict) and "action" in held[0])
        or (isinstance(first.get("trace"), list) and "action" in _first(first["trace"]))
        or _is_geth(first)
        or _is_geth(first.get("result"))
    )


def as_parity(body: object) -> list[object]:
    """The same calls as `trace_block` would list them; what is of that form already is returned as it is.

    Raises:
        Rejected: `OUT_OF_RANGE` for more calls than any block has, `MALFORMED` for what has none of the forms.
    """
    if isinstance(body, dict) and isinstance(body.get("traces"), list):
        return list(body["traces"])
    rows = body if isinstance(body, list) else [body]
    found: list[object] = []
    for at, row in enumerate(rows):
        found += _of(row, at)
        if len(found) > MOST_CALLS:
            raise Rejected(Rejection.OUT_OF_RANGE, f"more than {MOST_CALLS} calls in one block")
    return found


def _of(row: object, at: int) -> list[object]:
    if isinstance(row, dict) and isinstance(row.get("trace"), list):
        return [
            {"transactionHash": row.get("transactionHash"), "blockNumber": 0} | call
            for call in row["trace"]
            if isinstance(call, dict)
        ]
    if _is_geth(row):
        return list(_geth(row, at, None))
    if isinstance(row, dict) and _is_geth(row.get("result")):
        return list(_geth(row["result"], at, row.get("txHash")))
    return [row]


def _geth(root: Any, at: int, transaction: object) -> Iterator[object]:
    """Outermost first, each before the calls that it makes. Without recursion: a stranger's nesting is his own."""
    waiting: list[tuple[Mapping[str, Any], list[int]]] = [(root, [])]
    seen = 0
    while waiting:
        call, path = waiting.pop()
        if (seen := seen + 1) > MOST_CALLS:
            raise Rejected(Rejection.OUT_OF_RANGE, f"more than {MOST_CALLS} calls in one transaction")
        kind = str(call.get("type", "")).upper()
        yield {
            "type": "call" if kind in CALLS else "create",
            "action": {
                "callType": kind.lower(),
                "from": call.get("from"),
                "to": call.get("to"),
                "input": call.get("input"),
                "value": call.get("value"),
            },
            "result": {"output": call.get("output")},
            "error": call.get("error"),
            "traceAddress": path,
            "transactionHash": transaction,
            "blockNumber": 0,
            "transactionPosition": at,
        }
        inner = call.get("calls")
        if isinstance(inner, list):
            made = [(each, [*path, place]) for place, each in enumerate(inner) if isinstance(each, dict)]
            waiting += reversed(made)


def _is_geth(row: object) -> bool:
    if not isinstance(row, dict) or "from" not in row or "input" not in row:
        return False
    return isinstance(kind := row.get("type"), str) and kind in CALLS | CREATIONS


def _first(rows: list[object]) -> Mapping[str, object]:
    return rows[0] if rows and isinstance(rows[0], dict) else {}
