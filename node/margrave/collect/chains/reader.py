"""One chain over many endpoints: the head they agree on, and everything else read at the hash of that one block.

An endpoint can be late (its head lies behind), ahead of everybody (its head is not believed), on another fork, or lie.
`agree` decides from the heads and from one common block's hash who is heard in a sweep; a `Sweep` then asks only those,
always by block hash (EIP-1898), so that a balance and the price it is valued at are of one state of the world, whoever
answers. Where endpoints contradict each other about a final block and no majority says which is right, nothing is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from margrave.collect import checks
from margrave.collect.chains import multicall
from margrave.collect.chains.blocks import Block, block_of
from margrave.collect.chains.endpoint import Complaint, Endpoint, RpcComplaint
from margrave.collect.chains.heads import agree, majority
from margrave.collect.chains.logs import Log, LogFilter, data_of, in_order, log_of
from margrave.collect.chains.multicall import MULTICALL3, Question
from margrave.errors import Rejected, Transient
from margrave.ops import log as our_log
from margrave.verdicts import Rejection

T = TypeVar("T")

BATCH: Final = 250
"""Reads a multicall: a few million gas, which every node's `eth_call` allows."""
SMALLEST_BATCH: Final = 16
"""Below it a batch is not made smaller for the next sweep: some calls revert without a reason whatever one does."""
WIDEST_RANGE: Final = 10_000
"""Blocks of one `eth_getLogs`; halved where the endpoint wants less, and grown again slowly."""
MOST_LOGS: Final = 20_000
"""Of one answer."""
MAX_CALL_BYTES: Final = 4 * 1024 * 1024


class Reader:
    """Reads one chain. Holds no state of the chain, only what it knows of its endpoints.

    Args:
        endpoints: in the operator's order of preference.
        chain_id: asked of each endpoint before anything else; one of another chain is never heard.
        finality_blocks: a block so deep is taken to be final.
        witnesses: how many endpoints must give the same answer to each read (1: the first that answers is believed).
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        chain_id: int,
        finality_blocks: int,
        witnesses: int = 1,
        batch: int = BATCH,
        widest_range: int = WIDEST_RANGE,
    ) -> None:
        self.endpoints = tuple(endpoints)
        for at, endpoint in enumerate(self.endpoints):  # two keys at one provider
            same = sum(other.name.partition("#")[0] == endpoint.name for other in self.endpoints[:at])
            endpoint.name += f"#{same + 1}" if same else ""
        self.chain_id = chain_id
        self.finality_blocks = finality_blocks
        self._verified: set[str] = set()
        self._has_multicall = True
        self._witnesses = witnesses
        self._batch = batch
        self._widest = widest_range
        self._range = widest_range

    async def sweep(self) -> Sweep:
        """The newest block that the endpoints agree on, and those that are heard about it.

        Raises:
            Transient: nobody answers, or they contradict each other and there is no majority.
        """
        answers = await self._everybody(self.endpoints, self._head)
        heads = {endpoint.name: block for endpoint, block in answers}
        agreed = agree([(endpoint.name, block.number) for endpoint, block in answers])
        newest = max(block.number for block in heads.values())
        for endpoint, block in answers:
            endpoint.conduct.lag_blocks = newest - block.number
        for name, why in agreed.left_out:
            our_log.get().warning("rpc_lag", endpoint=name, problem=why, advice="it is not heard until it is level")
        heard = [endpoint for endpoint, _ in answers if endpoint.name in agreed.heard]
        level = [(e, heads[e.name]) for e in heard if heads[e.name].number == agreed.number]
        behind = [e for e in heard if heads[e.name].number != agreed.number]
        level += await self._some(behind, lambda endpoint: self._block(endpoint, hex(agreed.number)))
        block_hash, others = majority([(endpoint.name, block.hash) for endpoint, block in level])
        if block_hash is None or others:
            block_hash = await self._settle(level, block_hash)
        by_name = {endpoint.name: block for endpoint, block in level if block.hash == block_hash}
        among = tuple(endpoint for endpoint in self.endpoints if endpoint.name in by_name)
        return Sweep(self, by_name[among[0].name], among)

    async def block_by_hash(self, block_hash: bytes, among: Sequence[Endpoint]) -> Block:
        """A header by its hash; an answer with another hash is a lie that counts as no answer."""

        async def ask(endpoint: Endpoint) -> Block:
            block = _block(endpoint, await endpoint.ask("eth_getBlockByHash", ["0x" + block_hash.hex(), False]))
            if block.hash != block_hash:
                raise endpoint.contradicts(f"asked for 0x{block_hash.hex()[:12]} it gives {block}")
            return block

        return await self.first(among, ask)

    async def block_by_number(self, number: int, among: Sequence[Endpoint]) -> Block:
        """A header by its number: for blocks that are final, others may be orphaned while they are read."""
        return await self.first(among, lambda endpoint: self._block(endpoint, hex(number)))

    async def logs_of_block(self, wanted: LogFilter, block: Block, among: Sequence[Endpoint]) -> list[Log]:
        """The logs of one block by its hash (EIP-234): an endpoint that lacks the block says so, not «none»."""
        where: dict[str, object] = {"blockHash": "0x" + block.hash.hex()}
        found = await self.first(among, lambda endpoint: _logs(endpoint, wanted, where))
        if wrong := next((entry for entry in found if entry.block_hash != block.hash), None):
            raise Transient(
                f"a log of block 0x{wrong.block_hash.hex()[:12]} in an answer about {block}", advice="no action"
            )
        return found

    async def logs_of_range(
        self, wanted: LogFilter, first: int, last: int, among: Sequence[Endpoint]
    ) -> tuple[list[Log], int]:
        """Logs from block `first` on, of final blocks only, and the last block that they cover.

        Covers as many blocks as the endpoints give at a time: the range is halved until they do, and remembered.

        Raises:
            Transient: nobody answers, or one block alone is too much.
        """
        while True:
            until = min(last, first + self._range - 1)
            where: dict[str, object] = {"fromBlock": hex(first), "toBlock": hex(until)}
            try:
                found = await self.first(among, lambda endpoint, at=where: _logs(endpoint, wanted, at))  # type: ignore[misc]
            except RpcComplaint as complained:
                if complained.meant is not Complaint.TOO_WIDE or until == first:
                    raise
                self._range = max(1, (until - first + 1) // 2)
                continue
            if stray := next((entry for entry in found if not first <= entry.block <= until), None):
                raise Transient(
                    f"a log of block {stray.block} in an answer about {first} to {until}", advice="no action"
                )
            self._range = min(self._widest, max(self._range + self._range // 4, self._range + 1))
            return found, until

    async def call(self, to: str, data: bytes, block: Block, among: Sequence[Endpoint]) -> bytes:
        """One `eth_call` at a block's hash, as `witnesses` endpoints agree on it.

        Raises:
            Transient: too few endpoints answer, or they contradict each other.
        """
        params = [
            {"to": to, "data": "0x" + data.hex()},
            {"blockHash": "0x" + block.hash.hex(), "requireCanonical": True},
        ]

        async def ask(endpoint: Endpoint) -> bytes:
            try:
                return data_of(await endpoint.ask("eth_call", params), "eth_call", most=MAX_CALL_BYTES)
            except Rejected as rejected:
                raise RpcComplaint(Complaint.OTHER, f"{endpoint.name}: {rejected.problem}") from rejected

        if self._witnesses == 1:
            return await self.first(among, ask)
        return await self._witnessed(among, ask, f"eth_call of {to} at {block}")

    async def first(self, among: Sequence[Endpoint], ask: Callable[[Endpoint], Awaitable[T]]) -> T:
        """The first answer in the operator's order.

        Raises:
            Transient: none answers; where the last said was an error of the protocol, that one.
        """
        failures: list[Transient] = []
        for endpoint in self._awake(among):
            try:
                return await ask(endpoint)
            except RpcComplaint as complained:
                # A contract that refuses and a question that is too wide are answers: the next one would say the same.
                if complained.meant in (Complaint.REVERTED, Complaint.TOO_WIDE):
                    raise
                failures.append(complained)
            except Transient as trouble:
                failures.append(trouble)
        raise failures[-1] if failures else self._nobody(among)

    async def _witnessed(
        self, among: Sequence[Endpoint], ask: Callable[[Endpoint], Awaitable[bytes]], what: str
    ) -> bytes:
        said: list[tuple[Endpoint, bytes]] = []
        waiting = list(self._awake(among))
        while waiting and len(said) < self._witnesses:
            asked, waiting = waiting[: self._witnesses - len(said)], waiting[self._witnesses - len(said) :]
            said += await self._some(asked, ask)
        if len(said) < self._witnesses:
            raise Transient(
                f"{what}: {len(said)} of {self._witnesses} witnesses answer", advice="add RPC endpoints to [chains]"
            )
        if len({answer for _, answer in said}) > 1:
            names = ", ".join(endpoint.name for endpoint, _ in said)
            for endpoint, _ in said:
                endpoint.conduct.disagreements += 1
            raise Transient(f"{what}: {names} contradict each other", advice="add a third endpoint, remove the liar")
        return said[0][1]

    async def _settle(self, level: Sequence[tuple[Endpoint, Block]], near_head: bytes | None) -> bytes:
        """Different hashes at the head may be two forks of a moment; at a final depth one side is wrong for good."""
        number = max(level[0][1].number - self.finality_blocks, 0)
        deep = await self._some([e for e, _ in level], lambda endpoint: self._block(endpoint, hex(number)))
        if not deep:
            raise self._nobody([endpoint for endpoint, _ in level])
        final_hash, others = majority([(endpoint.name, block.hash) for endpoint, block in deep])
        if final_hash is None:
            for endpoint, block in deep:
                endpoint.conduct.disagreements += 1
                our_log.get().error(
                    "rpc_disagreement",
                    endpoint=endpoint.name,
                    problem=f"says {block}",
                    advice="compare with a block explorer and remove the wrong endpoint from [chains]",
                )
            raise Transient(f"RPC endpoints contradict each other about final block {number}", advice="add a third one")
        for endpoint, block in deep:
            if endpoint.name in others:
                lie = endpoint.contradicts(f"final {block}")
                our_log.get().error("rpc_disagreement", problem=lie.problem, advice="remove it from [chains]")
        agreeing = {endpoint.name for endpoint, _ in deep} - set(others)
        left = [(endpoint, block) for endpoint, block in level if endpoint.name in agreeing]
        if not left:
            raise self._nobody([endpoint for endpoint, _ in level])
        if near_head is not None and any(block.hash == near_head for _, block in left):
            return near_head
        return left[0][1].hash  # two forks of a moment: the preferred endpoint's, and a reorganisation if it is wrong

    async def _everybody(
        self, endpoints: Sequence[Endpoint], ask: Callable[[Endpoint], Awaitable[T]]
    ) -> list[tuple[Endpoint, T]]:
        answers = await self._some(self._awake(endpoints), ask)
        if not answers:
            raise self._nobody(endpoints)
        return answers

    async def _some(
        self, endpoints: Iterable[Endpoint], ask: Callable[[Endpoint], Awaitable[T]]
    ) -> list[tuple[Endpoint, T]]:
        """All that answer, in order; who does not is in a pause, counted and named by itself."""
        asked = list(endpoints)
        answers = await asyncio.gather(*(ask(endpoint) for endpoint in asked), return_exceptions=True)
        read: list[tuple[Endpoint, T]] = []
        for endpoint, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Transient):
                continue
            if isinstance(answer, BaseException):
                raise answer
            read.append((endpoint, answer))
        return read

    async def _head(self, endpoint: Endpoint) -> Block:
        if endpoint.name not in self._verified:
            said = await endpoint.ask("eth_chainId", [])
            if said != hex(self.chain_id):
                lie = endpoint.contradicts(f"it is chain {str(said)[:20]}, not {hex(self.chain_id)}")
                our_log.get().error("rpc_chain", problem=lie.problem, advice="correct rpc or chain_id of this table")
                raise lie
            self._verified.add(endpoint.name)
        return await self._block(endpoint, "latest")

    @staticmethod
    def _awake(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        return [endpoint for endpoint in endpoints if not endpoint.resting()]

    @staticmethod
    async def _block(endpoint: Endpoint, tag: str) -> Block:
        return _block(endpoint, await endpoint.ask("eth_getBlockByNumber", [tag, False]))

    @staticmethod
    def _nobody(endpoints: Sequence[Endpoint]) -> Transient:
        tried = ", ".join(f"{e.name}: {e.conduct.last_error or 'in a pause'}" for e in endpoints)[:400]
        return Transient(f"no RPC endpoint answers ({tried})", advice="check the endpoints; the node keeps trying")

    async def ask(
        self, questions: Sequence[Question[Any]], block: Block, among: Sequence[Endpoint]
    ) -> list[Any | Rejected]:
        """Answers to view calls at one block, in order, each a value or why there is none.

        A batch that an endpoint finds too much is halved, down to single calls; a chain without Multicall3 is asked
        one by one.
        """
        answers: list[Any | Rejected] = []
        while len(answers) < len(questions):  # the batch may get smaller on the way
            answers += await self._batched(questions[len(answers) : len(answers) + self._batch], block, among)
        return answers

    async def one(self, question: Question[T], block: Block, among: Sequence[Endpoint]) -> T | Rejected:
        """One view call by itself: for an answer that takes all the gas that a call may have."""
        try:
            return question.answered(True, await self.call(question.to, question.calldata, block, among))
        except RpcComplaint as complained:
            if complained.meant not in (Complaint.REVERTED, Complaint.TOO_WIDE):
                raise
            return Rejected(Rejection.VENUE_ERROR, f"{question.call.name} of {question.to}: {complained.problem}")

    async def _batched(
        self, questions: Sequence[Question[Any]], block: Block, among: Sequence[Endpoint]
    ) -> list[Any | Rejected]:
        if len(questions) == 1 or not self._has_multicall:
            return [await self.one(question, block, among) for question in questions]
        try:
            data = await self.call(MULTICALL3, multicall.calldata(questions), block, among)
            if not data:
                self._has_multicall = False
                return await self._batched(questions, block, among)
            read = multicall.results(data, len(questions))
        except RpcComplaint as complained:
            if complained.meant not in (Complaint.TOO_WIDE, Complaint.REVERTED):
                raise
            half = len(questions) // 2
            before = await self._batched(questions[:half], block, among)
            return before + await self._batched(questions[half:], block, among)
        except Rejected as rejected:
            return [rejected for _ in questions]
        answers: list[Any | Rejected] = [q.answered(*answer) for q, answer in zip(questions, read, strict=True)]
        starved = [at for at, (success, said) in enumerate(read) if not success and not said]
        if starved:
            # A revert without a reason, or the batch's gas spent by those before it: alone it will show which.
            if starved[0] == len(questions) - len(starved):  # all from one on: that is what a batch has gas for
                self._batch = max(min(self._batch, starved[0]), SMALLEST_BATCH)
            for start in range(0, len(starved), half := max(len(questions) // 4, 1)):
                some = starved[start : start + half]
                again = await self._batched([questions[at] for at in some], block, among)
                for at, answer in zip(some, again, strict=True):
                    answers[at] = answer
        return answers


@dataclass(frozen=True, slots=True)
class Sweep:
    """One block, and the endpoints that are heard about it: everything a round of watching reads is read here."""

    reader: Reader
    block: Block
    endpoints: tuple[Endpoint, ...]

    async def ask(self, questions: Sequence[Question[T]]) -> list[T | Rejected]:
        """View calls at this block, in order.

        Raises:
            Transient: no endpoint answers, or the block was orphaned meanwhile: the next sweep will do.
        """
        return await self.reader.ask(questions, self.block, self.endpoints)

    async def one(self, question: Question[T]) -> T | Rejected:
        """One view call at this block that is too large to share a multicall. Raises as `ask` does."""
        return await self.reader.one(question, self.block, self.endpoints)


def _block(endpoint: Endpoint, body: object) -> Block:
    try:
        if body is None:
            raise RpcComplaint(Complaint.UNKNOWN_BLOCK, f"{endpoint.name} does not have the block")
        return block_of(body)
    except Rejected as rejected:
        raise RpcComplaint(Complaint.OTHER, f"{endpoint.name}: {rejected.problem}") from rejected


async def _logs(endpoint: Endpoint, wanted: LogFilter, where: dict[str, object]) -> list[Log]:
    """Only what was asked for, each once: an endpoint that adds logs of others would add liquidations."""
    answer = await endpoint.ask("eth_getLogs", [wanted.params() | where])
    try:
        entries = checks.sequence(answer, "eth_getLogs")
        if len(entries) > MOST_LOGS:
            raise RpcComplaint(Complaint.TOO_WIDE, f"{endpoint.name}: {len(entries)} logs in one answer")
        found = [log_of(entry) for entry in entries]
    except Rejected as rejected:
        raise RpcComplaint(Complaint.OTHER, f"{endpoint.name}: {rejected.problem}") from rejected
    return in_order(log for log in found if wanted.wants(log) and not log.removed)
