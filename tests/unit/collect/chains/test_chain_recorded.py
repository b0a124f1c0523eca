"""`margrave parse chain`: whatever somebody wrote down of a chain is read or refused, never skipped."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.collect.chains.blocks import block_of
from margrave.collect.chains.lending.aave_v3 import LIQUIDATION_CALL
from margrave.collect.chains.lending.traces import A_TOKEN_BURN, VARIABLE_DEBT_BURN
from margrave.collect.chains.lending.traces import LIQUIDATION_CALL as LIQUIDATION_CALLED
from margrave.collect.chains.logs import Log, log_of
from margrave.collect.chains.recorded import items, parse_text
from margrave.collect.chains.trace_forms import as_parity
from margrave.collect.recorded import parse_file
from margrave.errors import Rejected
from margrave.messages import Kind, NoticeReading, Refusal, ScalarReading
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded
from tests.unit.collect.chains.recordings import files, opened, opened_lines
from tests.unit.collect.chains.test_lending import ALICE, BOB, USDC, WBTC, log_body

LOG = log_body(LIQUIDATION_CALL, WBTC, USDC, ALICE, 10**9, 5_000, BOB, False)


BARE = {key: LOG[key] for key in ("address", "topics", "data")}


def said(body: object) -> list[Any]:
    return list(parse_text(json.dumps(body).encode()))


@pytest.mark.parametrize(
    "body",
    [
        LOG,
        [LOG],
        {"jsonrpc": "2.0", "id": 1, "result": [LOG]},
        [{"jsonrpc": "2.0", "id": 1, "result": [LOG]}],
        {"jsonrpc": "2.0", "id": 1, "result": {"transactionHash": "0x1", "logs": [LOG], "status": "0x1"}},
        {"jsonrpc": "2.0", "id": 1, "result": [{"logs": [LOG]}]},
        LOG | {"somethingNew": {"a": 1}, "blockTimestamp": "0x645100af", "removed": None},
        LOG | {"blockHash": None, "transactionHash": None},
        BARE | {"type": "log", "block_number": 7, "log_index": 3},
        BARE | {"topics": [*LOG["topics"], None], "block_number": "0x7", "log_index": "0x3"},
    ],
)
def test_a_liquidation_is_read_in_every_wrapping(body: object) -> None:
    [item] = said(body)
    assert isinstance(item, NoticeReading)
    assert item.topic == "lending.liquidation"
    assert item.market == WBTC
    assert "5000 of" in item.text


def test_json_lines_and_tables_are_read_row_by_row() -> None:
    lines = "\n".join(json.dumps(LOG) for _ in range(3)).encode()
    assert [type(item) for item in parse_text(lines)] == [NoticeReading] * 3
    head = "log_index,transaction_hash,address,data,topics,block_number"
    row = f'3,0x{"66" * 32},{LOG["address"]},{LOG["data"]},"{",".join(LOG["topics"])}",7'
    assert [type(item) for item in parse_text(f"{head}\n{row}\n{row}\n".encode())] == [NoticeReading] * 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Rejection.EMPTY),
        (b"\xff\xfe", Rejection.MALFORMED),
        (b"[" * 200_000, Rejection.MALFORMED),
        (b'{"a":' * 200_000, Rejection.MALFORMED),
        (b"{}", Rejection.UNKNOWN_SHAPE),
        (b'"0x00"', Rejection.UNKNOWN_SHAPE),
        (b'{"jsonrpc":"2.0","id":1,"result":[]}', Rejection.EMPTY),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', Rejection.UNKNOWN_SHAPE),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"rate limit"}}', Rejection.VENUE_ERROR),
        (b'{"topics":[],"address":"0x1","data":"0x"}', Rejection.MALFORMED),
        (b'{"traces":[{"action":{}}]}', Rejection.EMPTY),
        (b'{"traces":[{"action":5}]}', Rejection.MALFORMED),
        (b'{"hash":"0x12","parentHash":"0x"}', Rejection.MALFORMED),
    ],
)
def test_what_is_not_read_is_refused_with_its_reason(text: bytes, reason: Rejection) -> None:
    found = list(parse_text(text))
    assert [item.reason for item in found if isinstance(item, Refusal)] == [reason] * len(found)
    assert found


def test_a_subscription_and_an_export_of_several_parts_are_opened() -> None:
    told = {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": LOG}}
    assert [type(item) for item in said(told)] == [NoticeReading]
    exported = {"block": HEADER, "receipts": [{"status": "0x1", "logs": [LOG, LOG]}]}
    assert [type(item) for item in said(exported)] == [ScalarReading, NoticeReading, NoticeReading]


def test_a_log_that_was_taken_back_is_refused() -> None:
    [item] = said(LOG | {"removed": True})
    assert isinstance(item, Refusal)
    assert item.reason is Rejection.STALE


CALL = "0x" + LIQUIDATION_CALLED.encode(WBTC, USDC, ALICE, 2**256 - 1, False).hex()
BURNT = "0x" + A_TOKEN_BURN.encode(ALICE, BOB, 5_000, 1).hex()
REPAID = "0x" + VARIABLE_DEBT_BURN.encode(ALICE, 77, 1).hex()
POOL, TOKEN = "0x" + "12" * 20, "0x" + "34" * 20


def geth(kind: str, to: str, data: str, *calls: object, **more: object) -> dict[str, object]:
    return {
        "type": kind,
        "from": BOB,
        "to": to,
        "input": data,
        "output": "0x",
        "calls": list(calls),
        "gas": "0x1",
    } | more


NESTED = geth(
    "CALL", POOL, CALL, geth("DELEGATECALL", TOKEN, CALL, geth("CALL", TOKEN, BURNT), geth("CALL", TOKEN, REPAID))
)


@pytest.mark.parametrize(
    "body",
    [
        {"jsonrpc": "2.0", "id": 1, "result": NESTED},
        {"jsonrpc": "2.0", "id": 1, "result": [{"txHash": "0x" + "12" * 32, "result": NESTED}]},
        {"jsonrpc": "2.0", "id": 1, "result": [{"transactionHash": "0x" + "12" * 32, "trace": as_parity(NESTED)}]},
        {"traces": as_parity(NESTED)},
    ],
)
def test_a_liquidation_is_found_in_the_traces_of_every_node(body: object) -> None:
    [item] = said(body)
    assert isinstance(item, NoticeReading)
    assert item.text.startswith(f"5000 of {WBTC} seized from {ALICE}, 77 of debt repaid")


def test_what_is_called_within_a_call_that_failed_was_not_done() -> None:
    [item] = said(geth("CALL", TOKEN, "0x", NESTED, error="execution reverted"))
    assert isinstance(item, Refusal)
    assert item.reason is Rejection.EMPTY


def test_calls_nested_as_deep_as_json_may_be_are_walked_without_recursion() -> None:
    deep = geth("CALL", TOKEN, "0x")
    for _ in range(5_000):
        deep = geth("CALL", TOKEN, "0x", deep)
    assert len(as_parity(deep)) == 5_001


HEADER: dict[str, Any] = {
    "number": "0x10", "hash": "0x" + "ab" * 32, "parentHash": "0x" + "cd" * 32, "timestamp": "0x645100af",
    "baseFeePerGas": "0x3b9aca00", "gasUsed": "0x1", "gasLimit": "0x2", "transactions": [], "newField": None,
}  # fmt: skip


def test_a_block_says_its_base_fee() -> None:
    [item] = said({"jsonrpc": "2.0", "id": 1, "result": HEADER})
    assert isinstance(item, ScalarReading)
    assert (item.kind, item.value, item.venue_time_ms) == (Kind.BASE_FEE, 1e9, 0x645100AF * 1000)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([LOG, HEADER]), st.data())
def test_a_field_of_any_value_is_read_or_refused(seed: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(seed)))
    changed = seed | {field: data.draw(json_values)}
    assert list(items(changed))
    gone = {key: value for key, value in seed.items() if key != field}
    assert list(items(gone))


@given(json_values)
def test_any_json_at_all_is_read_or_refused(body: Any) -> None:
    assert list(items({"jsonrpc": "2.0", "result": body}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blockNumber", -1),
        ("blockNumber", 2**60),
        ("blockNumber", "9" * 400),
        ("blockNumber", 1.5),
        ("blockNumber", True),
        ("logIndex", "x"),
        ("address", "0x1234"),
        ("address", None),
        ("data", "0x" + "00" * 70_000),
        ("data", "deadbeef"),
        ("topics", ["0x12"]),
        ("topics", ["0x" + "00" * 32] * 5),
        ("topics", [7]),
        ("blockTimestamp", 10**13),
    ],
)
def test_numbers_and_hashes_that_no_chain_has_are_refused(field: str, value: object) -> None:
    with pytest.raises(Rejected):
        log_of(LOG | {field: value})


@pytest.mark.parametrize(("number", "same"), [("0x10", 16), (16, 16), ("16", 16), (16.0, 16)])
def test_numbers_are_taken_in_each_writing(number: object, same: int) -> None:
    assert block_of(HEADER | {"number": number}).number == same
    assert log_of(LOG | {"blockNumber": number}).block == same


# --- real recordings -------------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.data
def test_the_real_logs_of_two_blocks_are_read_as_ethereum_etl_wrote_them() -> None:
    rows = opened_lines("eth_logs_ethereum_etl", "test_stream", "blocks_17173049_17173050", "expected_logs.json.gz")
    logs = [log_of(row) for row in rows]
    assert len(logs) == 271
    assert {(log.block, log.time_ms) for log in logs} == {(17_173_049, 1_683_029_999_000)}
    assert [log.index for log in logs] == list(range(271))
    blocks = opened_lines("eth_logs_ethereum_etl", "test_stream", "blocks_17173049_17173050", "expected_blocks.json")
    assert {log.block_hash for log in logs} == {block_of(row).hash for row in blocks}


@needs_data
@pytest.mark.data
def test_one_swap_is_the_same_log_from_an_rpc_and_from_an_indexer() -> None:
    compared = 0
    for rpc in files("fixtures_nautilus", "blockchain", pattern="*_rpc.json"):
        indexed = rpc.with_name(rpc.name.replace("_rpc", "_hypersync"))
        a, b = log_of(opened(rpc)), log_of(opened(indexed))
        assert a.block_hash != b.block_hash == b""
        assert Log(**{f: getattr(a, f) for f in a.__slots__} | {"block_hash": b""}) == b
        compared += 1
    assert compared == 2


@needs_data
@pytest.mark.data
def test_every_file_that_was_written_down_of_a_chain_is_read_or_refused() -> None:
    """No file ends in an exception or in silence, and each kind says what it holds."""
    found: Counter[str] = Counter()
    paths = [
        *(p for p in recorded("eth_logs_ethereum_etl").rglob("*") if p.is_file()),
        *files("eth_blocks_traces_mevinspect", pattern="blocks_*.json.gz"),
        *files("fixtures_nautilus", "blockchain", pattern="*.json"),
    ]
    for path in paths:
        read = list(parse_file("chain", path))
        assert read, path
        found.update(type(item).__name__ for item in read)
        found.update(item.topic for item in read if isinstance(item, NoticeReading))
    assert len(paths) == 64 + 19 + 4
    assert found["lending.liquidation"] == 15


@needs_data
@pytest.mark.data
def test_blocks_of_all_ages_are_read() -> None:
    fees = 0
    for path in (p for p in recorded("eth_logs_ethereum_etl").rglob("*getBlockByNumber*") if p.is_file()):
        body = opened(path)["result"]
        block = block_of(body)
        assert block.hash.hex() == body["hash"][2:]
        fees += block.base_fee_wei is not None
    assert fees == 0  # all of them are older than EIP-1559
    new = opened_lines("eth_logs_ethereum_etl", "test_stream", "blocks_17173049_17173050", "expected_blocks.json")
    assert [block_of(row).base_fee_wei for row in new] == [row["base_fee_per_gas"] for row in new]


def test_a_gzip_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "logs.json.gz").write_bytes(gzip.compress(json.dumps([LOG]).encode()))
    assert [type(item) for item in parse_file("chain", tmp_path / "logs.json.gz")] == [NoticeReading]


ODD: list[Any] = [
    None, True, -1, 0, 1.5, 1e308, 2**70, "", "0x", "0xzz", "9" * 500, [], {}, [[]], {"a": 1}, "0x" + "f" * 64,
]  # fmt: skip


@cache
def seeds() -> list[Any]:
    """A real transaction's traces, real logs, and every JSON-RPC answer on record."""
    block = opened("eth_blocks_traces_mevinspect", "blocks_13376024.json.gz")
    liquidating = "0xde551a73e813f1a1e5c843ac2c6a0e40d71618f4040bb7d0cd7cf7b2b6cf4633"
    calls = [call for call in block["traces"] if call["transaction_hash"] == liquidating]
    logs = opened_lines("eth_logs_ethereum_etl", "test_stream", "blocks_17173049_17173050", "expected_logs.json.gz")
    answers = [opened(path) for path in sorted(recorded("eth_logs_ethereum_etl").rglob("web3_response*.json"))]
    return [{"traces": calls}, logs[:20], *answers]


def places(body: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        yield from places(value, (*at, key))


@needs_data
@pytest.mark.data
@settings(max_examples=400)
@given(st.integers(0, 2**32))
def test_a_real_payload_with_anything_in_any_place_is_read_or_refused(seed: int) -> None:
    random_ = random.Random(seed)
    body = copy.deepcopy(random_.choice(seeds()))
    *way, last = random_.choice([at for at in places(body) if at])
    holder = body
    for key in way:
        holder = holder[key]
    if isinstance(holder, dict) and random_.random() < 0.2:
        del holder[last]
    else:
        holder[last] = random_.choice(ODD)
    assert list(items(body))
