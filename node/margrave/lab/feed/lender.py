"""A lending protocol beside the venues: an Aave v3 deployment on a chain of its own, spoken over JSON-RPC.

The prices are the tape's; the borrowers are generated, with a fixed seed: they open loans against each market's coin
in the weeks before the tape and all along it. Every ten minutes one in `NERVOUS` of those near liquidation adds
collateral, and whoever's health factor is below one has half of the debt repaid and five percent more than that seized,
as Aave's rules say. So a fall of the tape eats the health of exactly those whom it would have eaten, and the reader
that watches real deployments reads this one.

The chain has a block every ten minutes of the tape, whose hash holds its number: there are no forks, and several nodes
ask the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak
from numpy.typing import NDArray

from margrave.collect.chains.abi import Event
from margrave.collect.chains.lending import aave_v3
from margrave.collect.chains.multicall import AGGREGATE3, MULTICALL3
from margrave.lab.feed.tape import Tape
from margrave.spans import DAY_MS

Floats = NDArray[np.float64]

CHAIN_ID: Final = 1_337_001
BLOCK_S: Final = 600
STEP_MS: Final = BLOCK_S * 1000
BEFORE_MS: Final = 21 * DAY_MS
"""How long before the tape begins the first loan may be."""
BORROWERS: Final = 60
"""A market."""
SEED: Final = 20_200_109  # Aave's first day
MEDIAN_DEBT_USD: Final = 1_000_000.0
DEBT_SPREAD: Final = 1.0
"""Standard deviation of log debts: a few owe most."""
LEAST_HEALTH: Final = 1.15
MEAN_ABOVE: Final = 0.9
"""Health factors of new loans: exponential above the least."""
NERVOUS: Final = 60
NEAR: Final = 1.25
TOPPED_UP: Final = 1.5
"""Health factors: below the first they may add collateral up to the second."""
THRESHOLD_BP: Final = 8_000
BONUS: Final = 1.05
CLOSE_FACTOR: Final = 0.5
MOST_KEPT: Final = 64
"""Answers: four nodes ask the same of a block."""
UNIT: Final = 10**8
"""Of the protocol's oracle: US dollars with 8 decimals."""
NO_DEBT: Final = 2**256 - 1
DECIMALS: Final = 18
_BITMAP: Final = 7_500 | THRESHOLD_BP << 16 | 10_500 << 32 | DECIMALS << 48 | 1 << 56 | 1 << 58


def _address(name: str) -> str:
    return "0x" + keccak(text=f"margrave lab: {name}")[:20].hex()


def assets(markets: Sequence[str]) -> dict[str, str]:
    """Reserve -> market, as a node's settings name them."""
    return {_address(f"reserve {market}"): market for market in markets}


POOL: Final = _address("pool")
_PROVIDER, _ORACLE, _CONFIGURATOR, _DOLLARS = map(_address, ("provider", "oracle", "configurator", "dollars"))


@dataclass(frozen=True, slots=True)
class _Book:
    """One market's borrowers, step by step."""

    accounts: tuple[str, ...]
    opened: NDArray[np.int64]
    """By step, of which the first is `BEFORE_MS` before the tape."""
    coins: Floats
    """(steps, accounts): collateral after the step's liquidations, zero before the loan; `debts_usd` likewise."""
    debts_usd: Floats
    liquidations: tuple[tuple[int, int, float, float], ...]
    """(step, account, repaid USD, seized coins)."""


class Lender:
    """Answers a chain reader about one tape. Pure: the same question at the same moment has one answer."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.assets = assets(tape.markets)
        self._called = lru_cache(MOST_KEPT)(self._ask)
        self._tokens = {_address(f"claim on {market}"): market for market in tape.markets}

    def answer(self, asked: Any, now_ms: int) -> dict[str, Any]:
        """One JSON-RPC question."""
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            return {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no JSON-RPC request"}}
        try:
            result = self._answer(asked["method"], list(asked.get("params") or []), now_ms // 1000 // BLOCK_S)
        except (LookupError, TypeError, ValueError) as error:
            return {"jsonrpc": "2.0", "id": asked.get("id"), "error": {"code": -32602, "message": str(error)}}
        return {"jsonrpc": "2.0", "id": asked.get("id"), "result": result}

    def _answer(self, method: str, params: list[Any], head: int) -> Any:
        match method:
            case "eth_chainId":
                return hex(CHAIN_ID)
            case "eth_blockNumber":
                return hex(head)
            case "eth_getBlockByNumber":
                number = head if params[0] in ("latest", "safe", "finalized") else int(params[0], 16)
                return _header(number) if number <= head else None
            case "eth_getBlockByHash":
                return _header(number) if (number := _number(params[0])) <= head else None
            case "eth_getLogs":
                return self._logs(params[0], head)
            case "eth_call":
                return self._call(params[0], params[1], head)
        raise LookupError(f"the method {method} does not exist")

    # --- the books --------------------------------------------------------------------------------------------------

    @cached_property
    def books(self) -> Mapping[str, _Book]:
        return {market: self._book(market, place) for place, market in enumerate(self.tape.markets)}

    def _book(self, market: str, place: int) -> _Book:
        rng = np.random.default_rng((SEED, place))
        prices = np.array([self.tape.price(market, self._first_ms + step * STEP_MS) for step in range(self._steps)])
        opened = np.sort(rng.integers(0, self._steps, BORROWERS))
        first_usd = rng.lognormal(np.log(MEDIAN_DEBT_USD), DEBT_SPREAD, BORROWERS)
        health = LEAST_HEALTH + rng.exponential(MEAN_ABOVE, BORROWERS)
        share = THRESHOLD_BP / 10_000
        coins, debts = np.zeros((self._steps, BORROWERS)), np.zeros((self._steps, BORROWERS))
        liquidated = []
        held, owed = np.zeros(BORROWERS), np.zeros(BORROWERS)
        for step, price in enumerate(prices):
            new = opened == step
            held[new], owed[new] = first_usd[new] * health[new] / share / price, first_usd[new]
            adds = (rng.random(BORROWERS) < 1 / NERVOUS) & (held * price * share < NEAR * owed)
            held[adds] = np.maximum(held[adds], TOPPED_UP * owed[adds] / share / price)
            for account in np.flatnonzero(held * price * share < owed):
                repaid = min(owed[account] * CLOSE_FACTOR, held[account] * price / BONUS)
                seized = repaid * BONUS / price
                held[account], owed[account] = held[account] - seized, owed[account] - repaid
                liquidated.append((step, int(account), float(repaid), float(seized)))
            coins[step], debts[step] = held, owed
        accounts = tuple(_address(f"borrower {market} {number}") for number in range(BORROWERS))
        return _Book(accounts, opened, coins, debts, tuple(liquidated))

    @property
    def _first_ms(self) -> int:
        return self.tape.start_ms - BEFORE_MS

    @property
    def _steps(self) -> int:
        return (self.tape.end_ms - self._first_ms) // STEP_MS + 1

    def step(self, number: int) -> int:
        """The last step at a block."""
        return int(min(max((number * BLOCK_S * 1000 - self._first_ms) // STEP_MS, 0), self._steps - 1))

    # --- logs -------------------------------------------------------------------------------------------------------

    @cached_property
    def _told(self) -> tuple[tuple[int, dict[str, Any]], ...]:
        """(block, log), ascending."""
        found: list[tuple[int, str, list[str], bytes]] = []
        for reserve, market in self.assets.items():
            book = self.books[market]
            for account, step in zip(book.accounts, book.opened, strict=True):
                lending = (_DOLLARS, account, account, 1, 2, 0, 0)
                found.append((self._block(int(step)), *_event(aave_v3.BORROW, lending)))
            for step, place, repaid, seized in book.liquidations:
                account = book.accounts[place]
                seizing = (reserve, _DOLLARS, account, round(repaid * 10**6), round(seized * 10**18), POOL, False)
                found.append((self._block(step), *_event(aave_v3.LIQUIDATION_CALL, seizing)))
        found.sort(key=lambda each: (each[0], each[1]))
        logs, at = [], 0
        for place, (number, _, topics, data) in enumerate(found):
            at = at + 1 if place and found[place - 1][0] == number else 0
            logs.append((number, _log(number, at, topics, data)))
        return tuple(logs)

    def _block(self, step: int) -> int:
        """The first block that is no earlier than a step."""
        return -(-(self._first_ms + step * STEP_MS) // (BLOCK_S * 1000))

    def _logs(self, wanted: Mapping[str, Any], head: int) -> list[dict[str, Any]]:
        if "blockHash" in wanted:
            first = last = _number(wanted["blockHash"])
        else:
            first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        topics = set(_several(wanted["topics"][0])) if wanted.get("topics") else None
        if POOL not in {each.lower() for each in _several(wanted.get("address", POOL))}:
            return []
        return [
            log
            for number, log in self._told
            if first <= number <= min(last, head) and (topics is None or log["topics"][0] in topics)
        ]

    # --- calls ------------------------------------------------------------------------------------------------------

    def _call(self, call: Mapping[str, str], where: Any, head: int) -> str:
        tag = where["blockHash"] if isinstance(where, dict) else where
        number = head if tag == "latest" else _number(tag) if len(tag) == 66 else int(tag, 16)
        return self._called(call["to"].lower(), call.get("data") or call["input"], number)

    def _ask(self, to: str, text: str, number: int) -> str:
        data = bytes.fromhex(text[2:])
        if to != MULTICALL3:
            return "0x" + self._one(to, data, number).hex()
        calls: Sequence[tuple[str, bool, bytes]] = abi_decode(["(address,bool,bytes)[]"], data[4:])[0]
        if data[:4] != AGGREGATE3.selector:
            raise LookupError("only aggregate3 is known here")
        answers = [(True, self._one(target.lower(), inner, number)) for target, _, inner in calls]
        return "0x" + abi_encode(["(bool,bytes)[]"], [answers]).hex()

    def _one(self, to: str, data: bytes, number: int) -> bytes:
        """What a contract returns; nothing where there is none, as a chain does."""
        selector, argument = data[:4], "0x" + data[16:36].hex()
        found: Mapping[tuple[str, bytes], Callable[[], bytes]] = {
            (POOL, aave_v3.PROVIDER.selector): lambda: abi_encode(["address"], [_PROVIDER]),
            (_PROVIDER, aave_v3.ORACLE.selector): lambda: abi_encode(["address"], [_ORACLE]),
            (_PROVIDER, aave_v3.CONFIGURATOR.selector): lambda: abi_encode(["address"], [_CONFIGURATOR]),
            (_ORACLE, aave_v3.BASE_UNIT.selector): lambda: abi_encode(["uint256"], [UNIT]),
            (_ORACLE, aave_v3.PRICE.selector): lambda: abi_encode(["uint256"], [self._price(argument, number)]),
            (POOL, aave_v3.RESERVE_DATA.selector): lambda: self._reserve(argument),
            (POOL, aave_v3.ACCOUNT_DATA.selector): lambda: self._totals(argument, number),
            (POOL, aave_v3.USER_CONFIGURATION.selector): lambda: abi_encode(["uint256"], [self._uses(argument)]),
        }
        if to in self._tokens and selector == aave_v3.BALANCE.selector:
            return abi_encode(["uint256"], [self._balance(self._tokens[to], argument, number)])
        return found.get((to, selector), bytes)()

    def _price(self, reserve: str, number: int) -> int:
        return round(self.tape.price(self.assets[reserve], number * BLOCK_S * 1000) * UNIT)

    def _reserve(self, reserve: str) -> bytes:
        place, token = list(self.assets).index(reserve), _address(f"claim on {self.assets[reserve]}")
        rest = [0] * 5
        return abi_encode(
            list(aave_v3.RESERVE_DATA._gives), [_BITMAP, *rest, 0, place, token, POOL, POOL, POOL, 0, 0, 0]
        )

    @cached_property
    def _places(self) -> Mapping[str, tuple[str, int]]:
        return {a: (market, place) for market, book in self.books.items() for place, a in enumerate(book.accounts)}

    def _uses(self, account: str) -> int:
        """Two bits a reserve: the higher says that it is collateral."""
        if account not in self._places:
            return 0
        return 1 << 2 * list(self.assets.values()).index(self._places[account][0]) + 1

    def _balance(self, market: str, account: str, number: int) -> int:
        held_in, place = self._places.get(account, ("", 0))
        return round(self.books[market].coins[self.step(number), place] * 10**DECIMALS) if held_in == market else 0

    def _totals(self, account: str, number: int) -> bytes:
        collateral = debt = 0.0
        if account in self._places:
            market, place = self._places[account]
            step = self.step(number)
            collateral = self.books[market].coins[step, place] * self.tape.price(market, number * BLOCK_S * 1000)
            debt = float(self.books[market].debts_usd[step, place])
        health = round(collateral * THRESHOLD_BP / 10_000 / debt * 10**18) if debt > 0 else NO_DEBT
        totals = [round(collateral * UNIT), round(debt * UNIT), 0, THRESHOLD_BP, 7_500, health]
        return abi_encode(["uint256"] * 6, totals)


def _hash(number: int) -> bytes:
    return keccak(number.to_bytes(8, "big"))[:24] + number.to_bytes(8, "big")


def _number(block_hash: str) -> int:
    raw = bytes.fromhex(block_hash[2:])
    number = int.from_bytes(raw[24:], "big")
    if raw != _hash(number):
        raise ValueError("unknown block")
    return number


def _header(number: int) -> dict[str, Any]:
    return {
        "number": hex(number),
        "hash": "0x" + _hash(number).hex(),
        "parentHash": "0x" + _hash(number - 1).hex(),
        "timestamp": hex(number * BLOCK_S),
        "baseFeePerGas": hex(10**10),
        "gasUsed": hex(0),
        "gasLimit": hex(30_000_000),
    }


def _event(event: Event[Any], values: Sequence[object]) -> tuple[str, list[str], bytes]:
    """(transaction's name, topics, data) of an event with these values, in the order of its declaration."""
    parts = [part.split() for part in event.declaration.partition("(")[2].rstrip(")").split(",")]
    pairs = list(zip(parts, values, strict=True))
    topics = [event.topic, *(abi_encode([p[0]], [v]) for p, v in pairs if "indexed" in p)]
    plain = [(p[0], v) for p, v in pairs if "indexed" not in p]
    data = abi_encode([kind for kind, _ in plain], [value for _, value in plain])
    return event.name + str(values[2]), ["0x" + topic.hex() for topic in topics], data


def _log(number: int, at: int, topics: list[str], data: bytes) -> dict[str, Any]:
    return {
        "address": POOL,
        "topics": topics,
        "data": "0x" + data.hex(),
        "blockNumber": hex(number),
        "blockHash": "0x" + _hash(number).hex(),
        "transactionHash": "0x" + keccak(_hash(number) + at.to_bytes(2, "big")).hex(),
        "transactionIndex": hex(at),
        "logIndex": hex(at),
        "removed": False,
    }


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
