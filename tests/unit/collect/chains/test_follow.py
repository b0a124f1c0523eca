"""Every log once and in order, and taken back when its block is orphaned."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.collect.chains.blocks import block_of
from margrave.collect.chains.follow import Advance, Follower
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.reader import Reader
from margrave.errors import Transient
from tests.unit.collect.chains.fake import POOL, TOPIC, FakeChain, FakeNode, reader

WANTED = LogFilter(frozenset({POOL}), frozenset({TOPIC}))
FINALITY = 8


class Listener:
    """What a watcher would know: told logs added, withdrawn ones removed."""

    def __init__(self, over: Reader) -> None:
        self.over = over
        self.follower = Follower(over)
        self.logs: list[Log] = []
        self.restarts = 0

    async def begin(self, chain: FakeChain, number: int = 0) -> None:
        self.follower.start_after(block_of(chain.blocks[chain.canonical[number]].header()))

    async def advance(self) -> None:
        sweep = await self.over.sweep()
        for _ in range(100):
            step = await self.follower.step(sweep, WANTED)
            self.apply(step)
            if step.complete or step.restarted:
                return
        raise AssertionError("it never gets there")

    def apply(self, step: Advance) -> None:
        self.restarts += step.restarted
        for orphan in step.withdrawn:
            self.logs.remove(orphan)  # raises where it was never told
        for told in step.heard:
            assert told.log not in self.logs, "told twice"
            self.logs.append(told.log)

    @property
    def heard(self) -> list[int]:
        return [int.from_bytes(log.data, "big") for log in self.logs]


async def listening(node: FakeNode) -> Listener:
    """From the first block on, and up to the head."""
    listener = Listener(reader(node, finality=FINALITY))
    await listener.begin(node.chain)
    await listener.advance()
    return listener


def truth(chain: FakeChain) -> list[int]:
    return [int(log["data"], 16) for h in chain.canonical for log in chain.blocks[h].logs]


async def test_a_range_of_final_blocks_then_each_block_above_it() -> None:
    chain = FakeChain()
    for number in range(50):
        chain.mine(number)
    node = FakeNode(chain)
    listener = await listening(node)
    assert listener.heard == list(range(50))
    by_hash = [params for method, params in node.asked if method == "eth_getLogs" and "blockHash" in params[0]]
    assert len(by_hash) == FINALITY
    assert listener.follower.kept == FINALITY


async def test_nothing_is_asked_again_while_the_head_stands() -> None:
    chain = FakeChain()
    chain.mine(1)
    node = FakeNode(chain)
    listener = await listening(node)
    asked = len(node.asked)
    await listener.advance()
    assert [method for method, _ in node.asked[asked:]] == ["eth_getBlockByNumber"]


async def test_logs_of_orphaned_blocks_are_withdrawn_newest_first() -> None:
    chain = FakeChain()
    for number in range(5):
        chain.mine(number, 100 + number)
    listener = await listening(FakeNode(chain))
    chain.fork(2)
    chain.mine(33)
    chain.mine_many(2)
    step = await listener.follower.step(await listener.over.sweep(), WANTED)
    assert [int.from_bytes(log.data, "big") for log in step.withdrawn] == [104, 4, 103, 3]
    assert [int.from_bytes(told.log.data, "big") for told in step.heard] == [33]


async def test_a_reorganisation_while_the_node_was_away_is_settled() -> None:
    chain = FakeChain()
    for number in range(10):
        chain.mine(number)
    listener = await listening(FakeNode(chain))
    chain.fork(3)
    for number in range(60, 100):
        chain.mine(number)
    await listener.advance()
    assert listener.heard == truth(chain)
    assert listener.restarts == 0


async def test_a_head_a_little_behind_is_no_reorganisation() -> None:
    chain = FakeChain()
    for number in range(5):
        chain.mine(number)
    node = FakeNode(chain)
    listener = await listening(node)
    node.behind = 2
    step = await listener.follower.step(await listener.over.sweep(), WANTED)
    assert step == Advance()


async def test_a_reorganisation_deeper_than_finality_is_told_and_read_again() -> None:
    chain = FakeChain()
    for number in range(30):
        chain.mine(number)
    listener = await listening(FakeNode(chain))
    chain.fork(20)
    for number in range(200, 225):
        chain.mine(number)
    await listener.advance()
    assert listener.restarts == 1
    assert not listener.follower.started


async def test_a_step_that_fails_changes_nothing() -> None:
    chain = FakeChain()
    for number in range(5):
        chain.mine(number)
    node = FakeNode(chain)
    listener = await listening(node)
    chain.fork(1)
    chain.mine(77)
    sweep = await listener.over.sweep()
    node.dead = True
    with pytest.raises(Transient):
        await listener.follower.step(sweep, WANTED)
    assert listener.heard == [0, 1, 2, 3, 4]  # nothing lost, nothing told twice
    assert listener.follower.kept == 5


async def test_an_endpoint_that_does_not_have_the_block_cannot_say_that_it_is_empty() -> None:
    chain = FakeChain()
    chain.mine(1)
    listener = Listener(reader(FakeNode(chain), finality=FINALITY))
    await listener.begin(chain)
    chain.mine(2)
    sweep = await listener.over.sweep()
    late = FakeNode(chain, behind=1)
    listener.over.endpoints[0]._provider = late
    with pytest.raises(Transient, match="unknown block"):
        await listener.follower.step(sweep, WANTED)


async def test_a_log_of_another_fork_in_an_answer_by_hash_is_not_taken() -> None:
    chain = FakeChain()
    chain.mine(1)

    def of_another(method: str, _: object, said: object) -> object:
        if method == "eth_getLogs" and isinstance(said, list):
            return [log | {"blockHash": "0x" + "77" * 32} for log in said]
        return said

    listener = Listener(reader(FakeNode(chain, lies=of_another), finality=FINALITY))
    await listener.begin(chain)
    with pytest.raises(Transient, match="a log of block 0x7777"):
        await listener.advance()


async def test_times_of_a_final_range_lie_between_its_ends() -> None:
    chain = FakeChain()
    for number in range(40):
        chain.mine(number)
    listener = Listener(reader(FakeNode(chain), finality=FINALITY))
    await listener.begin(chain)
    step = await listener.follower.step(await listener.over.sweep(), WANTED)
    exact = [chain.blocks[told.log.block_hash].time_s * 1000 for told in step.heard]
    assert [told.time_ms for told in step.heard] == exact  # blocks of one length: interpolation is exact


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 12))
async def test_whatever_happens_within_finality_what_was_heard_is_what_is_on_the_chain(
    seed: int, finality: int
) -> None:
    random_ = random.Random(seed)
    chain = FakeChain()
    numbers: Iterator[int] = iter(range(10_000))
    listener = Listener(reader(FakeNode(chain), finality=finality))
    await listener.begin(chain)
    for _ in range(12):
        for _ in range(random_.randrange(0, 2 * finality)):
            chain.mine(*(next(numbers) for _ in range(random_.randrange(0, 3))))
        if random_.random() < 0.5:
            depth = random_.randrange(0, max(min(finality, len(chain.canonical) - 1), 1))
            if depth:
                chain.fork(depth)
                for _ in range(depth + 1):  # a fork wins by being longer
                    chain.mine(*(next(numbers) for _ in range(random_.randrange(0, 3))))
        if random_.random() < 0.7:
            await listener.advance()
    await listener.advance()
    assert listener.heard == truth(chain)
    assert listener.restarts == 0
    assert listener.follower.kept <= finality
