"""A chain that lives in memory: blocks with parents, logs and contracts, and nodes that tell of it, well or badly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak

from margrave.collect.chains.endpoint import Endpoint
from margrave.collect.chains.multicall import AGGREGATE3, MULTICALL3
from margrave.collect.chains.reader import Reader

CHAIN_ID = 1
START_MS = 1_700_000_000_000
BLOCK_S = 12
TOPIC = keccak(text="Happened(uint256)")
POOL = "0x" + "11" * 20
GAS_OF_A_CALL = 5_000

Answering = Callable[[bytes, int], bytes]
"""(arguments, block number) -> what the contract returns; raises `Reverts`."""


class Reverts(Exception):
    """A contract refuses."""


@dataclass
class Now:
    """A clock that stands until it is moved."""

    ms: int = START_MS

    def now_ms(self) -> int:
        return self.ms

    def wall_s(self, clock_seconds: float) -> float:
        return clock_seconds


@dataclass(frozen=True)
class RawBlock:
    number: int
    hash: bytes
    parent: bytes
    time_s: int
    logs: tuple[dict[str, Any], ...]

    def header(self) -> dict[str, Any]:
        return {
            "number": hex(self.number),
            "hash": "0x" + self.hash.hex(),
            "parentHash": "0x" + self.parent.hex(),
            "timestamp": hex(self.time_s),
            "baseFeePerGas": hex(10**10),
            "gasUsed": hex(15_000_000),
            "gasLimit": hex(30_000_000),
            "somethingNew": None,
        }


@dataclass
class FakeChain:
    """The truth. `mine` makes a block with logs, `fork` gives up the newest ones."""

    blocks: dict[bytes, RawBlock] = field(default_factory=dict)
    canonical: list[bytes] = field(default_factory=list)
    contracts: dict[tuple[str, bytes], Answering] = field(default_factory=dict)
    salt: int = 0
    has_multicall: bool = True

    def __post_init__(self) -> None:
        self.mine()

    @property
    def head(self) -> RawBlock:
        return self.blocks[self.canonical[-1]]

    def mine(self, *logs: dict[str, Any] | int) -> RawBlock:
        """A block; an integer is a `Happened` of the pool with that number."""
        number = len(self.canonical)
        parent = self.canonical[-1] if self.canonical else bytes(32)
        block_hash = keccak(parent + number.to_bytes(8, "big") + self.salt.to_bytes(8, "big"))
        raw = tuple(
            self._log(happened(each) if isinstance(each, int) else each, number, block_hash, at)
            for at, each in enumerate(logs)
        )
        block = RawBlock(number, block_hash, parent, START_MS // 1000 - 100_000 + number * BLOCK_S, raw)
        self.blocks[block_hash] = block
        self.canonical.append(block_hash)
        return block

    def mine_many(self, count: int) -> None:
        for _ in range(count):
            self.mine()

    def fork(self, depth: int) -> None:
        """The newest `depth` blocks are orphans now; what is mined next stands in their place."""
        del self.canonical[-depth:]
        self.salt += 1

    def says(self, to: str, call: Any, answer: Answering | bytes) -> None:
        """Put a view function at an address."""
        self.contracts[(to.lower(), call.selector)] = answer if callable(answer) else lambda *_: answer

    def returns(self, to: str, call: Any, *values: object) -> None:
        """The same with values of the types that it returns."""
        self.says(to, call, abi_encode(call._gives, values))

    @staticmethod
    def _log(body: dict[str, Any], number: int, block_hash: bytes, at: int) -> dict[str, Any]:
        return body | {
            "blockNumber": hex(number),
            "blockHash": "0x" + block_hash.hex(),
            "transactionHash": "0x" + keccak(block_hash + at.to_bytes(2, "big")).hex(),
            "transactionIndex": hex(at),
            "logIndex": hex(at),
            "removed": False,
        }


def happened(number: int, address: str = POOL) -> dict[str, Any]:
    return {"address": address, "topics": ["0x" + TOPIC.hex()], "data": "0x" + number.to_bytes(32, "big").hex()}


@dataclass
class FakeNode:
    """One endpoint's view of a chain, with its faults. Lists of methods asked, for the tests to count."""

    chain: FakeChain
    behind: int = 0
    """Its head is so many blocks late."""
    chain_id: int = CHAIN_ID
    most_logs: int | None = None
    widest: int | None = None
    most_gas: int | None = None
    starves_after: int | None = None
    """So many calls of a multicall have gas; the others fail without a word."""
    faults: list[BaseException | dict[str, Any] | Any] = field(default_factory=list)
    """Told instead of the next answers, in order."""
    lies: Callable[[str, Any, Any], Any] | None = None
    """(method, params, the truth) -> what it says."""
    dead: bool = False
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def make_request(self, method: str, params: Any) -> Any:
        self.asked.append((method, params))
        if self.dead:
            raise ConnectionRefusedError
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, BaseException):
                raise fault
            return fault
        try:
            result = self._answer(method, list(params))
        except Complained as complained:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": complained.code, "message": str(complained)}}
        if self.lies is not None:
            result = self.lies(method, params, result)
        return {"jsonrpc": "2.0", "id": 1, "result": result}

    def _answer(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_getBlockByNumber":
                block = self._by_number(params[0])
                return None if block is None else block.header()
            case "eth_getBlockByHash":
                found = self.chain.blocks.get(bytes.fromhex(params[0][2:]))
                return None if found is None or found.number > self._newest else found.header()
            case "eth_getLogs":
                return self._logs(params[0])
            case "eth_call":
                return self._call(params[0], params[1])
        raise Complained(-32601, f"the method {method} does not exist")

    @property
    def _newest(self) -> int:
        return len(self.chain.canonical) - 1 - self.behind

    def _by_number(self, tag: str) -> RawBlock | None:
        number = self._newest if tag == "latest" else int(tag, 16)
        return self.chain.blocks[self.chain.canonical[number]] if number <= self._newest else None

    def _logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in wanted:
            found = self.chain.blocks.get(bytes.fromhex(wanted["blockHash"][2:]))
            if found is None or found.number > self._newest:
                raise Complained(-32000, "unknown block")
            blocks = [found]
        else:
            first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
            if self.widest is not None and last - first + 1 > self.widest:
                raise Complained(-32000, f"block range is too wide, limited to {self.widest}")
            blocks = [self.chain.blocks[h] for h in self.chain.canonical[first : min(last, self._newest) + 1]]
        topics = set(wanted["topics"][0])
        logs = [
            log
            for block in blocks
            for log in block.logs
            if log["address"] in wanted["address"] and log["topics"][0] in topics
        ]
        if self.most_logs is not None and len(logs) > self.most_logs:
            raise Complained(-32005, f"query returned more than {self.most_logs} results")
        return logs

    def _call(self, call: dict[str, str], where: dict[str, Any]) -> str:
        block_hash = bytes.fromhex(where["blockHash"][2:])
        if block_hash not in self.chain.canonical:
            raise Complained(-32000, "hash is not currently canonical")
        block = self.chain.blocks[block_hash]
        data = bytes.fromhex(call["data"][2:])
        if call["to"] == MULTICALL3:
            return "0x" + (self._multicall(data, block) if self.chain.has_multicall else b"").hex()
        try:
            return "0x" + self._one(call["to"], data, block).hex()
        except Reverts as reverts:
            raise Complained(3, f"execution reverted: {reverts}") from reverts

    def _multicall(self, data: bytes, block: RawBlock) -> bytes:
        assert data[:4] == AGGREGATE3.selector
        answers: list[tuple[bool, bytes]] = []
        calls: Sequence[tuple[str, bool, bytes]] = abi_decode(["(address,bool,bytes)[]"], data[4:])[0]
        if self.most_gas is not None and len(calls) * GAS_OF_A_CALL > self.most_gas:
            raise Complained(-32000, "out of gas")
        for at, (to, may_fail, inner) in enumerate(calls):
            assert may_fail
            if self.starves_after is not None and at >= self.starves_after:
                answers.append((False, b""))
                continue
            try:
                answers.append((True, self._one(to, inner, block)))
            except Reverts as reverts:
                reason = abi_encode(["string"], [str(reverts)])
                answers.append((False, bytes.fromhex("08c379a0") + reason))
        return abi_encode(["(bool,bytes)[]"], [answers])

    def _one(self, to: str, data: bytes, block: RawBlock) -> bytes:
        answering = self.chain.contracts.get((to.lower(), data[:4]))
        return b"" if answering is None else answering(data[4:], block.number)


class Complained(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def endpoint(node: FakeNode, clock: Now, name: str = "one", *, timeout_s: float = 5.0) -> Endpoint:
    return Endpoint(f"https://{name}/key", node, clock=clock, requests_per_minute=1e7, timeout_s=timeout_s)


def reader(
    *nodes: FakeNode, clock: Now | None = None, finality: int = 8, witnesses: int = 1, widest: int = 10_000
) -> Reader:
    """A reader over these nodes, named one, two, three, ..."""
    names = ("one", "two", "three", "four", "five")
    now = clock or Now()
    return Reader(
        [endpoint(node, now, name) for node, name in zip(nodes, names, strict=False)],
        chain_id=CHAIN_ID,
        finality_blocks=finality,
        witnesses=witnesses,
        widest_range=widest,
    )
