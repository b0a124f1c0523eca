from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains.logs import Log, log_of
from margrave.collect.chains.stablecoins import (
    BUCKET_MS,
    DESTROYED_PLAIN,
    ISSUE,
    REDEEM,
    TRANSFER,
    Day,
    Flow,
    StablecoinWatcher,
    Token,
    Window,
    flow_of,
    transfer_of,
    transfers_of,
)
from margrave.errors import Rejected
from margrave.spans import DAY_MS
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded
from tests.unit.collect.chains.made import CONTRACT, HASH, RECEIVER, SENDER, ZERO, log, words
from tests.unit.collect.chains.recordings import opened, opened_lines

NOW_MS = 1_700_000_000_000


def moved(amount: int = 5, sender: str = SENDER, receiver: str = RECEIVER, index: int = 1) -> Log:
    return replace(log(TRANSFER, words(amount), sender, receiver), index=index)


@pytest.mark.parametrize(
    ("told", "flow", "amount"),
    [
        (moved(), Flow.MOVED, 5),
        (moved(sender=ZERO), Flow.MINTED, 5),
        (moved(receiver=ZERO), Flow.BURNED, 5),
        (log(ISSUE, words(7)), Flow.MINTED, 7),
        (log(REDEEM, words(7)), Flow.BURNED, 7),
        (log(DESTROYED_PLAIN, words(1, 9)), Flow.BURNED, 9),
    ],
)
def test_what_a_log_does_to_a_supply(told: Log, flow: Flow, amount: int) -> None:
    assert flow_of(told) == (flow, amount)


def test_other_events_do_nothing_to_it() -> None:
    assert flow_of(log(b"\1" * 32, words(5))) is None
    assert flow_of(replace(moved(), topics=())) is None


def test_usdcs_mint_event_is_not_counted_beside_its_transfer() -> None:
    assert (
        StablecoinWatcher(chain_id=1, tokens=[])
        .wanted()
        .topics.isdisjoint({bytes.fromhex("ab8530f87dc9b59234c4623bf917212bb2536d647574c8e7e5da92c2ede0c9f8")})
    )


def test_the_forms_of_a_transfer_are_one_and_a_numbered_token_counts_as_one() -> None:
    topic = TRANSFER.topic
    sender, receiver = int(SENDER, 16), int(RECEIVER, 16)
    plain = transfer_of(log(topic, words(sender, receiver, 5)))
    half = transfer_of(log(topic, words(receiver, 5), SENDER))
    numbered = transfer_of(log(topic, "0x", SENDER, RECEIVER, "0x1234"))
    for transfer, amount in ((plain, 5), (half, 5), (numbered, 1)):
        assert transfer is not None
        assert (transfer.sender, transfer.receiver, transfer.amount) == (SENDER, RECEIVER, amount)


def test_a_broken_transfer_stands_as_its_refusal() -> None:
    found = list(transfers_of([moved(), log(TRANSFER, "0x1234", SENDER, RECEIVER), moved(index=2)]))
    assert [type(item).__name__ for item in found] == ["Transfer", "Rejected", "Transfer"]


# --- a day of them --------------------------------------------------------------------------------------------------


def full_day(*, every_ms: int = 600_000, amount: int = 10) -> Window:
    window = Window()
    for at, time_ms in enumerate(range(NOW_MS - DAY_MS, NOW_MS + 1, every_ms)):
        window.add(moved(index=at), Flow.MOVED, amount, time_ms)
    return window


def test_a_day_is_what_was_heard_in_the_last_24_hours() -> None:
    window = full_day()
    window.add(moved(index=9_000), Flow.MINTED, 300, NOW_MS)
    window.add(moved(index=9_001), Flow.BURNED, 100, NOW_MS)
    day = window.day(NOW_MS)
    assert day.moved == pytest.approx(1_440, rel=0.01)
    assert (day.minted, day.burned) == (300, 100)
    assert day.velocity(2_880) == pytest.approx(0.5, rel=0.01)
    assert day.change(1_200) == pytest.approx(0.2)
    later = window.day(NOW_MS + 3_000_000)
    assert later.moved < day.moved


def test_nothing_is_said_of_less_than_a_day_nor_while_logs_lag_behind() -> None:
    young = Window()
    young.add(moved(), Flow.MOVED, 5, NOW_MS - DAY_MS // 2)
    for window, now_ms, reason, words_ in (
        (Window(), NOW_MS, Rejection.EMPTY, "0.0 hours"),
        (young, NOW_MS, Rejection.EMPTY, "12.0 hours of transfers have been heard, 24 are needed"),
        (full_day(), NOW_MS + 3_700_000, Rejection.STALE, "62 minutes old"),
    ):
        with pytest.raises(Rejected, match=words_) as refused:
            window.day(now_ms)
        assert refused.value.reason is reason


def test_a_log_is_counted_once_and_taken_back_once() -> None:
    window = full_day()
    extra = moved(index=9_000)
    before = window.day(NOW_MS).moved
    window.add(extra, Flow.MOVED, 1_000, NOW_MS)
    window.add(extra, Flow.MOVED, 1_000, NOW_MS)
    assert window.day(NOW_MS).moved == before + 1_000
    window.withdraw(extra)
    window.withdraw(extra)
    assert window.day(NOW_MS).moved == before


def test_more_burned_in_a_day_than_there_was_is_refused() -> None:
    with pytest.raises(Rejected, match="a supply of 5"):
        replace(full_day().day(NOW_MS), minted=10, burned=0).change(5)


tellings = st.tuples(st.integers(0, 200), st.integers(1, 10**30), st.sampled_from(Flow), st.booleans())


@given(st.lists(tellings, max_size=60))
def test_any_order_of_telling_and_taking_back_leaves_what_was_not_taken_back(
    told: list[tuple[int, int, Flow, bool]],
) -> None:
    window = full_day(every_ms=3_600_000, amount=0)
    logs = [moved(index=10_000 + at) for at in range(len(told))]
    for each, (minutes, amount, flow, _) in zip(logs, told, strict=True):
        window.add(each, flow, amount, NOW_MS - minutes * 60_000)
    for each, (_, _, _, back) in zip(logs, told, strict=True):
        if back:
            window.withdraw(each)
    day = window.day(NOW_MS)
    kept = Counter(dict.fromkeys(Flow, 0))
    for _, amount, flow, back in told:
        kept[flow] += 0 if back else amount
    assert (day.moved, day.minted, day.burned) == tuple(kept[flow] for flow in Flow)


def test_a_window_is_bounded_and_keeps_no_older_than_a_day() -> None:
    window = Window()
    for at in range(2_000):
        window.add(moved(index=at), Flow.MOVED, 1, NOW_MS + at * BUCKET_MS)
    assert len(window._buckets) <= DAY_MS // BUCKET_MS + 2


def test_a_watcher_hears_its_tokens_takes_back_and_forgets() -> None:
    watcher = StablecoinWatcher(chain_id=1, tokens=[Token(address=CONTRACT, markets=("ETH",))])
    assert watcher.wanted().wants(moved())
    assert not watcher.wanted().wants(replace(moved(), address=SENDER))
    assert list(watcher.heard(moved(), NOW_MS)) == []
    assert watcher._windows[CONTRACT]._last_ms == NOW_MS
    watcher.withdrawn(moved())
    watcher.forget()
    with pytest.raises(Rejected, match=r"0\.0 hours"):
        watcher._windows[CONTRACT].day(NOW_MS)


# --- over a restart -------------------------------------------------------------------------------------------------


def at_block(block: int, index: int = 0, fork: int = 0) -> Log:
    return replace(moved(index=index), block=block, block_hash=bytes([fork]) * 32)


def busy_watcher() -> StablecoinWatcher:
    """A day in a hundred blocks, with a transfer each."""
    watcher = StablecoinWatcher(chain_id=1, tokens=[Token(address=CONTRACT, markets=("ETH",))], finality_blocks=8)
    for block in range(101):
        watcher.heard(at_block(block), NOW_MS - (100 - block) * 864_000)
    return watcher


def resumed(watcher: StablecoinWatcher) -> StablecoinWatcher:
    """Another watcher, of what the first one wrote down as JSON."""
    again = StablecoinWatcher(chain_id=1, tokens=watcher.tokens, finality_blocks=8)
    assert again.history_s == 86_400
    again.restore(json.loads(json.dumps(watcher.state())))
    assert again.history_s == 0.0
    return again


def day_of(watcher: StablecoinWatcher) -> Day:
    return watcher._windows[CONTRACT].day(NOW_MS)


def test_a_restart_counts_what_is_told_again_once_and_keeps_the_day() -> None:
    before = busy_watcher()
    after = resumed(before)
    for block in range(93, 101):
        after.heard(at_block(block), NOW_MS - (100 - block) * 864_000)
    assert day_of(after) == day_of(before)


def test_what_a_restart_finds_orphaned_is_taken_back() -> None:
    before = busy_watcher()
    after = resumed(before)
    for block in range(93, 99):
        after.heard(at_block(block), NOW_MS - (100 - block) * 864_000)
    # The chain has another block 99, and block 100 moved nothing on it; 101 did.
    after.heard(at_block(99, fork=1), NOW_MS - 864_000)
    after.heard(at_block(101, fork=1), NOW_MS)
    assert day_of(after) == day_of(before)  # two are gone, two have come


def test_a_state_of_other_tokens_or_of_another_kind_is_refused_and_nothing_is_kept_of_it() -> None:
    watcher = busy_watcher()
    good = watcher.state()
    torn = good[CONTRACT] | {"sums": [[1, "x"]]}
    states: list[Any] = [None, {}, {SENDER: good[CONTRACT]}, {CONTRACT: {}}, {CONTRACT: 5}, {CONTRACT: torn}]
    for state in states:
        with pytest.raises(Rejected):
            watcher.restore(state)
    assert watcher.history_s == 86_400


def test_a_state_is_small_whatever_the_day_was() -> None:
    watcher = busy_watcher()
    assert len(watcher.state()[CONTRACT]["recent"]) == 8


# --- recordings -----------------------------------------------------------------------------------------------------

STREAM = "eth_logs_ethereum_etl/test_stream"


@needs_data
@pytest.mark.data
def test_every_transfer_of_two_whole_blocks_agrees_with_the_exported_table() -> None:
    folder = f"{STREAM}/blocks_17173049_17173050"
    logs = [log_of(line) for line in opened_lines(folder, "expected_logs.json.gz")]
    table = {
        (row["block_number"], row["log_index"]): row
        for row in opened_lines(folder, "expected_token_transfers.json.gz")
        if row["type"] == "token_transfer"
    }
    compared: Counter[str] = Counter()
    for transfer in transfers_of(logs):
        assert not isinstance(transfer, Rejected)
        row = table.pop((transfer.log.block, transfer.log.index))
        assert (transfer.token, transfer.sender, transfer.receiver) == (
            row["token_address"],
            row["from_address"],
            row["to_address"],
        )
        numbered = len(transfer.log.topics) == 4
        assert transfer.amount == (1 if numbered else row["value"])
        assert transfer.log.time_ms == row["block_timestamp"] * 1000
        compared["numbered" if numbered else "amount"] += 1
    assert not table
    assert compared == Counter(amount=106, numbered=8)


@needs_data
@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "logs_file", "count"),
    [
        ("test_export_token_transfers_job/block_with_transfers", "web3_response.eth_getFilterLogs_0x0.json", 2),
        ("test_extract_token_transfers_job/logs", "logs.csv", 2),
    ],
)
def test_transfers_of_answers_and_tables_agree_with_the_exported_table(folder: str, logs_file: str, count: int) -> None:
    folder = f"eth_logs_ethereum_etl/{folder}"
    path = recorded(folder, logs_file)
    if path.suffix == ".csv":
        with path.open(newline="") as lines:
            logs = [log_of(dict(row)) for row in csv.DictReader(lines)]
    else:
        logs = [log_of(body) for body in opened(folder, logs_file)["result"]]
    with recorded(folder, "expected_token_transfers.csv").open(newline="") as lines:
        table = [
            (row["token_address"], row["from_address"], row["to_address"], int(row["value"]), int(row["log_index"]))
            for row in csv.DictReader(lines)
        ]
    ours = [
        (found.token, found.sender, found.receiver, found.amount, found.log.index)
        for found in transfers_of(logs)
        if not isinstance(found, Rejected)
    ]
    assert ours == table
    assert len(ours) == count


@needs_data
@pytest.mark.data
def test_a_transfer_in_an_old_receipt_agrees_with_the_exported_table() -> None:
    folder = f"{STREAM}/blocks_1755634_1755635"
    receipts = [
        opened(path.relative_to(recorded()))["result"]
        for path in sorted(recorded(folder).glob("*eth_getTransactionReceipt*"))
    ]
    (row,) = opened_lines(folder, "expected_token_transfers.json")
    logs = [log_of(body) for receipt in receipts for body in receipt["logs"]]
    (found,) = [transfer for transfer in transfers_of(logs) if not isinstance(transfer, Rejected)]
    assert (found.token, found.sender, found.receiver, found.amount) == (
        row["token_address"],
        row["from_address"],
        row["to_address"],
        row["value"],
    )
    assert HASH != found.log.transaction == row["transaction_hash"]
