"""The loop of one chain: logs handed out, state read when due, one bad watcher alone with its trouble, restarts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from margrave.collect.board import Board
from margrave.collect.chains.blocks import block_of
from margrave.collect.chains.checkpoint import CheckpointFile
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.watch import ChainWatch, Watcher
from margrave.collect.source import Item
from margrave.errors import Rejected, Transient
from margrave.messages import Kind, ScalarReading
from margrave.verdicts import Rejection
from tests.unit.collect.chains.fake import CHAIN_ID, POOL, TOPIC, FakeChain, FakeNode, Now, happened, reader


@dataclass
class Sums:
    """Adds up what the pool's events say."""

    name: str = "sums"
    every_s: float = 0.0
    history_s: float = 0.0
    addresses: frozenset[str] = frozenset({POOL})
    wrong: Exception | None = None
    seen: list[int] = field(default_factory=list)
    forgotten: int = 0
    reads: int = 0
    restored: Any = None

    @property
    def source(self) -> str:
        return f"{self.name}:1"

    def wanted(self) -> LogFilter:
        return LogFilter(self.addresses, frozenset({TOPIC}))

    def heard(self, log: Log, _time_ms: int) -> Iterable[Item]:
        if self.wrong is not None:
            raise self.wrong
        self.seen.append(int.from_bytes(log.data, "big"))
        return ()

    def withdrawn(self, log: Log) -> None:
        self.seen.remove(int.from_bytes(log.data, "big"))

    def forget(self) -> None:
        self.forgotten += 1
        self.seen.clear()

    async def read(self, sweep: Sweep, seen_ms: int) -> Iterable[Item]:
        self.reads += 1
        if self.wrong is not None:
            raise self.wrong
        return [
            ScalarReading(
                source=self.source,
                market="BTC",
                instrument=POOL,
                venue_time_ms=sweep.block.time_ms,
                seen_time_ms=seen_ms,
                kind=Kind.PEG,
                value=float(sum(self.seen)),
            )
        ]

    def state(self) -> Any:
        return {"seen": len(self.seen)}

    def restore(self, state: Any) -> None:
        self.restored = state


def watch(
    chain: FakeChain, *watchers: Watcher, file: Path | None = None, clock: Now | None = None, finality: int = 8
) -> ChainWatch:
    now = clock or Now()
    return ChainWatch(
        name="ethereum",
        chain_id=CHAIN_ID,
        reader=reader(FakeNode(chain), clock=now, finality=finality),
        watchers=watchers,
        board=Board(),
        clock=now,
        checkpoint=None if file is None else CheckpointFile(file, CHAIN_ID),
    )


def said(board: Board) -> dict[str, float]:
    return {r.source: r.value for r in board.readings() if isinstance(r, ScalarReading)}


async def test_logs_and_state_are_of_one_sweep() -> None:
    chain, sums = FakeChain(), Sums()
    watching = watch(chain, sums)
    await watching.poll()
    chain.mine(5)
    chain.mine(7)
    await watching.poll()
    assert said(watching.board) == {"sums:1": 12.0}
    assert watching.logs_told == 2


async def test_history_is_read_at_the_start_as_far_back_as_somebody_wants_it() -> None:
    chain = FakeChain()
    for number in range(100):
        chain.mine(number)
    sums = Sums(history_s=12.0 * 20)
    watching = watch(chain, sums, finality=8)
    await watching.poll()
    assert sums.seen == list(range(72, 100))  # 20 blocks of history and 8 above them


async def test_far_back_only_those_are_asked_whose_history_reaches_there() -> None:
    chain = FakeChain()
    other = "0x" + "22" * 20
    for number in range(100):
        chain.mine(number, happened(1_000 + number, other))
    far, near = Sums("far", history_s=12.0 * 80), Sums("near", history_s=12.0 * 10, addresses=frozenset({other}))
    watching = watch(chain, far, near, finality=8)
    await watching.poll()
    assert far.seen == list(range(12, 100))
    assert near.seen == list(range(1_082, 1_100))
    [node] = [endpoint._provider for endpoint in watching.reader.endpoints]
    assert isinstance(node, FakeNode)
    ranges = [params[0] for method, params in node.asked if method == "eth_getLogs" and "fromBlock" in params[0]]
    assert [(r["fromBlock"], r["toBlock"], len(r["address"])) for r in ranges] == [
        (hex(13), hex(82), 1),
        (hex(83), hex(92), 2),
    ]


async def test_orphans_are_taken_back() -> None:
    chain, sums = FakeChain(), Sums()
    watching = watch(chain, sums)
    await watching.poll()
    chain.mine(5)
    await watching.poll()
    chain.fork(1)
    chain.mine(6)
    chain.mine()
    await watching.poll()
    assert sums.seen == [6]
    assert watching.logs_withdrawn == 1


async def test_a_reorganisation_beyond_finality_makes_everybody_forget_and_listen_again() -> None:
    chain, sums = FakeChain(), Sums(history_s=10_000.0)
    for number in range(30):
        chain.mine(number)
    watching = watch(chain, sums)
    await watching.poll()
    chain.fork(20)
    for number in range(200, 230):
        chain.mine(number)
    await watching.poll()
    assert watching.restarts == 1
    assert sums.forgotten == 2
    assert sums.seen == [*range(10), *range(200, 230)]


@pytest.mark.parametrize(
    "wrong", [ZeroDivisionError("a fault of ours"), Rejected(Rejection.MALFORMED, "odd"), Transient("no", advice="-")]
)
async def test_one_bad_watcher_stops_no_other(wrong: Exception) -> None:
    chain = FakeChain()
    bad, good = Sums("bad", wrong=wrong), Sums("good")
    watching = watch(chain, bad, good)
    with capture_logs() as told:
        for number in (1, 2, 3, 4, 5, 6):
            chain.mine(number)
            await watching.poll()
    assert isinstance(wrong, Rejected) or {entry["source"] for entry in told} == {"bad:1"}
    assert said(watching.board) == {"good:1": float(sum(good.seen))}
    # The logs waited a while for the one that could not read, then went on without it.
    assert good.seen[-1] == 6
    health = watching.board.health()["bad:1"]
    assert health.failures + health.refusals >= 6


async def test_a_chain_that_does_not_answer_is_counted_and_nothing_else() -> None:
    chain, sums = FakeChain(), Sums()
    watching = watch(chain, sums)
    watching.reader.endpoints[0]._provider = FakeNode(chain, dead=True)
    await watching.poll()
    assert watching.board.health()["chain:1"].failures == 1
    assert sums.reads == 0


async def test_a_fault_of_ours_ends_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, sums = FakeChain(), Sums()
    watching = watch(chain, sums)

    async def broken(*_: object) -> None:
        raise AssertionError("a fault of ours")

    with monkeypatch.context() as for_now, capture_logs():
        for_now.setattr(watching.reader, "sweep", broken)
        await watching.poll()
    assert watching.board.health()["chain:1"].last_error == "chain:1: AssertionError: a fault of ours"
    await watching.poll()
    assert sums.reads == 1


async def test_a_watcher_is_read_at_its_own_pace() -> None:
    chain, clock = FakeChain(), Now()
    slow, quick = Sums("slow", every_s=60.0), Sums("quick")
    watching = watch(chain, slow, quick, clock=clock)
    for _ in range(10):
        await watching.poll()
        clock.ms += 12_000
    assert (slow.reads, quick.reads) == (2, 10)


async def test_a_restart_goes_on_where_the_last_run_stopped(tmp_path: Path) -> None:
    chain, clock, file = FakeChain(), Now(), tmp_path / "chain"
    for number in range(20):
        chain.mine(number)
    first = Sums(history_s=10_000.0)
    await watch(chain, first, file=file, clock=clock).poll()
    for number in range(20, 60):
        chain.mine(number)
    second = Sums()
    again = watch(chain, second, file=file, clock=clock)
    await again.poll()
    assert second.seen == list(range(12, 60))  # from the last final block, what was above it again
    assert second.restored == {"seen": 20}


async def test_a_checkpoint_of_a_block_that_is_gone_is_not_trusted(tmp_path: Path) -> None:
    chain, file = FakeChain(), tmp_path / "chain"
    for number in range(20):
        chain.mine(number)
    await watch(chain, Sums(), file=file).poll()
    other = FakeChain(salt=9)
    for number in range(20):
        other.mine(number)
    second = Sums()
    await watch(other, second, file=file).poll()
    assert second.restored is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-7],
        lambda raw: raw.replace(b"number", b"numbre"),
        lambda _: b"",
        lambda _: b"\x00" * 50,
        lambda raw: raw[:32] + b"\n" + b"[" * 100_000,
    ],
)
def test_a_damaged_checkpoint_is_set_aside(tmp_path: Path, damage: Any) -> None:
    file = CheckpointFile(tmp_path / "chain", CHAIN_ID)
    assert file.load() is None
    block = block_of(FakeChain().head.header())
    file.save(block, {"sums:1": {"seen": 3}})
    kept = file.load()
    assert kept is not None
    assert kept.of(block)
    assert kept.states == {"sums:1": {"seen": 3}}
    (tmp_path / "chain").write_bytes(damage((tmp_path / "chain").read_bytes()))
    assert file.load() is None


def test_a_checkpoint_of_another_chain_is_set_aside(tmp_path: Path) -> None:
    CheckpointFile(tmp_path / "chain", 1).save(block_of(FakeChain().head.header()), {})
    assert CheckpointFile(tmp_path / "chain", 10).load() is None


async def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CheckpointFile, "save", full)
    chain, sums = FakeChain(), Sums()
    watching = watch(chain, sums, file=tmp_path / "chain")
    await watching.poll()
    assert sums.reads == 1
