"""How a token moves: transfers, mints and burns out of its logs, and what a day of them says of a stablecoin.

A stablecoin under a run is redeemed (its supply falls) and passed on (it is transferred more than usual) hours before
its price gives. Both are shares of the supply, so that they can be compared between coins.

Standard tokens mint from and burn to the zero address. Tether does neither: `Issue` and `Redeem` stand alone, and so
does the destruction of blacklisted funds. USDC tells mints twice (`Mint` beside the transfer), so that event is not
counted.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from margrave.addresses import NOBODY
from margrave.collect.chains.abi import WORD, Call, Event, address, one
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import Speaker, given
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.spans import DAY_MS, HOUR_MS
from margrave.verdicts import Rejection

BUCKET_MS: Final = 300_000
MOST_REMEMBERED: Final = 50_000
"""Logs that can still be withdrawn: more than all transfers of a busy token within any chain's finality depth."""
BEGIN_SLACK_MS: Final = HOUR_MS
"""A day is taken to be covered although the first transfer heard was so much after it began."""
IDLE_MS: Final = HOUR_MS
"""A coin that nobody moved for so long: rather the logs have not caught up."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A token changed hands. Amounts are in its smallest unit."""

    token: str
    sender: str
    receiver: str
    amount: int
    log: Log

    @property
    def minted(self) -> bool:
        return self.sender == NOBODY

    @property
    def burned(self) -> bool:
        return self.receiver == NOBODY


_PLAIN: Final = tuple(
    Event(f"Transfer(address {a}sender, address {b}receiver, uint256 {c}amount)", lambda *told: told)
    for a, b, c in (
        ("indexed ", "indexed ", ""),
        ("", "", ""),  # tokens of 2016, written before the standard was agreed
        ("indexed ", "", ""),
        ("indexed ", "indexed ", "indexed "),  # ERC-721: the last is a token's number, not an amount
    )
)
TRANSFER: Final = _PLAIN[0]
_NUMBERED_TOPICS: Final = 4
ISSUE: Final[Event[int]] = Event("Issue(uint256 amount)", one)
REDEEM: Final[Event[int]] = Event("Redeem(uint256 amount)", one)
DESTROYED: Final[Event[int]] = Event("DestroyedBlackFunds(address indexed user, uint256 balance)", lambda _, held: held)
DESTROYED_PLAIN: Final[Event[int]] = Event("DestroyedBlackFunds(address user, uint256 balance)", lambda _, held: held)
EVENTS: Final[tuple[Event[Any], ...]] = (*_PLAIN, ISSUE, REDEEM, DESTROYED, DESTROYED_PLAIN)

TOTAL_SUPPLY: Final[Call[int]] = Call("totalSupply()", "(uint256)", one)


def transfer_of(log: Log) -> Transfer | None:
    """The transfer that a log tells, `None` where it tells something else; of an ERC-721 token the amount is 1.

    Raises:
        Rejected: a transfer by its topic whose data are not one.
    """
    if not log.topics or log.topics[0] != TRANSFER.topic:
        return None
    # By hand: a busy token's day is hundreds of thousands of these, and a decoder takes ten times as long.
    given = b"".join(log.topics[1:]) + log.data[: 3 * WORD]
    if len(given) < 3 * WORD:
        raise Rejected(Rejection.MALFORMED, f"Transfer of {log.address}: {len(given)} bytes of {3 * WORD}")
    sender, receiver = address(given[:WORD]), address(given[WORD : 2 * WORD])
    amount = 1 if len(log.topics) == _NUMBERED_TOPICS else int.from_bytes(given[2 * WORD : 3 * WORD], "big")
    return Transfer(log.address, sender, receiver, amount, log)


def transfers_of(logs: Iterable[Log]) -> Iterator[Transfer | Rejected]:
    """Every transfer among some logs, in their order; one that is broken stands as its refusal."""
    for log in logs:
        try:
            if (transfer := transfer_of(log)) is not None:
                yield transfer
        except Rejected as rejected:
            yield rejected


class Flow(StrEnum):
    """What a log does to a supply."""

    MOVED = "moved"
    MINTED = "minted"
    BURNED = "burned"


def flow_of(log: Log) -> tuple[Flow, int] | None:
    """What one log of a fungible token moves, mints or burns; `None` for other logs.

    Raises:
        Rejected: data that are not of the event.
    """
    transfer = transfer_of(log)
    if transfer is not None:
        flow = Flow.MINTED if transfer.minted else Flow.BURNED if transfer.burned else Flow.MOVED
        return flow, transfer.amount
    for event, flow in (
        (ISSUE, Flow.MINTED),
        (REDEEM, Flow.BURNED),
        (DESTROYED, Flow.BURNED),
        (DESTROYED_PLAIN, Flow.BURNED),
    ):
        if event.fits(log):
            return flow, event.decode(log)
    return None


LogKey = tuple[bytes, int, int]
"""`Log.key`: hash and number of the block, and the log's place in it."""


@dataclass(slots=True)
class _Bucket:
    start_ms: int
    sums: dict[Flow, int] = field(default_factory=lambda: dict.fromkeys(Flow, 0))


@dataclass(frozen=True, slots=True)
class Day:
    """Sums of the last 24 hours, smallest units."""

    moved: int
    minted: int
    burned: int

    def velocity(self, supply: int) -> float:
        """Transferred over the supply."""
        return self.moved / supply

    def change(self, supply: int) -> float:
        """Mints less burns over the supply of a day ago."""
        net = self.minted - self.burned
        if (before := supply - net) <= 0:
            raise Rejected(Rejection.OUT_OF_RANGE, f"a supply of {supply} after {net} in a day")
        return net / before


class Window:
    """A day of one token's flows in buckets of five minutes; a log whose block is orphaned is taken back."""

    def __init__(self) -> None:
        self._buckets: deque[_Bucket] = deque()
        self._told: OrderedDict[LogKey, tuple[int, Flow, int]] = OrderedDict()
        self._doubted: set[LogKey] = set()
        """Counted before a restart, of blocks that may be orphans by now: the chain will tell them again, or not."""
        self._resumed = False
        self._first_ms: int | None = None
        self._last_ms = 0

    def add(self, log: Log, flow: Flow, amount: int, time_ms: int) -> None:
        """Count one log once."""
        if self._resumed:
            # The first that is told again: from its block on, what is not told again is of an orphan.
            self._doubted, self._resumed = {key for key in self._told if key[1] >= log.block}, False
        if self._doubted:
            self._doubted.discard(log.key)
            for orphan in [key for key in self._doubted if key[1] < log.block]:
                self._doubted.discard(orphan)
                self._take_back(orphan)
        if log.key in self._told:
            return
        start_ms = time_ms - time_ms % BUCKET_MS
        bucket = self._bucket(start_ms)
        if bucket is None:
            return  # older than the day
        bucket.sums[flow] += amount
        self._first_ms = time_ms if self._first_ms is None else min(self._first_ms, time_ms)
        self._last_ms = max(self._last_ms, time_ms)
        self._told[log.key] = (start_ms, flow, amount)
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)

    def withdraw(self, log: Log) -> None:
        """Take a log back, if it was counted and its bucket still is."""
        self._take_back(log.key)

    def state(self, finality_blocks: int) -> dict[str, Any]:
        """As plain JSON: the sums, and one by one the logs that may still be told again or withdrawn."""
        newest = max((block for _, block, _ in self._told), default=0)
        return {
            "first_ms": self._first_ms,
            "last_ms": self._last_ms,
            "sums": [[each.start_ms, *(str(each.sums[flow]) for flow in Flow)] for each in self._buckets],
            "recent": [
                [key[0].hex(), key[1], key[2], start_ms, flow.value, str(amount)]
                for key, (start_ms, flow, amount) in self._told.items()
                if key[1] > newest - finality_blocks
            ],
        }

    @classmethod
    def of(cls, state: Any) -> Window:
        """A window as it was written down; of its last blocks the logs will be told again.

        Raises:
            Rejected: `MALFORMED`, it is not one of these.
        """
        fresh = cls()
        try:
            fresh._first_ms = None if state["first_ms"] is None else int(state["first_ms"])
            fresh._last_ms = int(state["last_ms"])
            for start_ms, *sums in state["sums"]:
                amounts = dict(zip(Flow, (int(amount) for amount in sums), strict=True))
                fresh._buckets.append(_Bucket(int(start_ms), amounts))
            for block_hash, block, index, start_ms, flow, amount in state["recent"]:
                key = (bytes.fromhex(block_hash), int(block), int(index))
                fresh._told[key] = (int(start_ms), Flow(flow), int(amount))
        except (KeyError, TypeError, ValueError) as error:
            raise Rejected(Rejection.MALFORMED, f"the state is not one of flows: {error}") from error
        fresh._resumed = True
        return fresh

    def _take_back(self, key: LogKey) -> None:
        told = self._told.pop(key, None)
        if told is None:
            return
        start_ms, flow, amount = told
        for bucket in reversed(self._buckets):
            if bucket.start_ms == start_ms:
                bucket.sums[flow] -= amount
                return

    def day(self, now_ms: int) -> Day:
        """The 24 hours before.

        Raises:
            Rejected: `EMPTY` until a day has been heard, and while the logs lag behind.
        """
        while self._buckets and self._buckets[0].start_ms + BUCKET_MS <= now_ms - DAY_MS:
            self._buckets.popleft()
        if self._first_ms is None or now_ms - self._first_ms < DAY_MS - BEGIN_SLACK_MS:
            hours = 0.0 if self._first_ms is None else (now_ms - self._first_ms) / 3.6e6
            raise Rejected(Rejection.EMPTY, f"{hours:.1f} hours of transfers have been heard, 24 are needed")
        if now_ms - self._last_ms > IDLE_MS:
            minutes = (now_ms - self._last_ms) / 60_000
            raise Rejected(Rejection.STALE, f"the last transfer heard is {minutes:.0f} minutes old")
        return Day(*(sum(bucket.sums[flow] for bucket in self._buckets) for flow in Flow))

    def _bucket(self, start_ms: int) -> _Bucket | None:
        """The one that begins then, made where it is missing; logs come in order, nearly always into the last."""
        at = len(self._buckets)
        while at and self._buckets[at - 1].start_ms > start_ms:
            at -= 1
        if at and self._buckets[at - 1].start_ms == start_ms:
            return self._buckets[at - 1]
        if self._buckets and start_ms < self._buckets[-1].start_ms - DAY_MS:
            return None
        bucket = _Bucket(start_ms)
        self._buckets.insert(at, bucket)
        while self._buckets[0].start_ms < self._buckets[-1].start_ms - DAY_MS - BUCKET_MS:
            self._buckets.popleft()
        return bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One stablecoin on one chain, and the markets that a run on it would shake."""

    address: str
    markets: Sequence[str]


@dataclass(slots=True, kw_only=True)
class StablecoinWatcher:
    """Velocity and change of supply of some tokens. It needs a day of their logs, which it asks for at the start."""

    chain_id: int
    tokens: Sequence[Token]
    finality_blocks: int = 64
    every_s: float = 300.0
    _windows: dict[str, Window] = field(init=False)
    _restored: bool = False

    def __post_init__(self) -> None:
        self.forget()

    @property
    def source(self) -> str:
        return f"stablecoins:{self.chain_id}"

    @property
    def history_s(self) -> float:
        """A day, but for what a checkpoint remembers."""
        return 0.0 if self._restored else DAY_MS / 1000

    def wanted(self) -> LogFilter:
        topics = {event.topic for event in (TRANSFER, ISSUE, REDEEM, DESTROYED)}
        return LogFilter(frozenset(self._windows), frozenset(topics))

    def heard(self, log: Log, time_ms: int) -> Iterable[Item]:
        window, flow = self._windows.get(log.address), flow_of(log)
        if window is not None and flow is not None:
            window.add(log, *flow, time_ms)
        return ()

    def withdrawn(self, log: Log) -> None:
        if (window := self._windows.get(log.address)) is not None:
            window.withdraw(log)

    def forget(self) -> None:
        self._windows = {token.address: Window() for token in self.tokens}
        self._restored = False

    def state(self) -> Any:
        return {token: window.state(self.finality_blocks) for token, window in self._windows.items()}

    def restore(self, state: Any) -> None:
        if not isinstance(state, dict) or state.keys() != self._windows.keys():
            raise Rejected(Rejection.MALFORMED, f"the state of {self.source} is of other tokens")
        self._windows = {token: Window.of(told) for token, told in state.items()}
        self._restored = True

    async def read(self, sweep: Sweep, seen_ms: int) -> list[Item]:
        supplies: list[Any] = await sweep.ask([Question(token.address, TOTAL_SUPPLY) for token in self.tokens])
        items: list[Item] = []
        for token, supply in zip(self.tokens, supplies, strict=True):
            speakers = [
                Speaker(self.source, sweep.block.time_ms, seen_ms, market, token.address) for market in token.markets
            ]
            try:
                if (held := given(supply)) <= 0:
                    raise Rejected(Rejection.NOT_POSITIVE, f"a supply of {held}")
                day = self._windows[token.address].day(sweep.block.time_ms)
                velocity, change = day.velocity(held), day.change(held)
            except Rejected as rejected:
                items += [speaker.refusal("flows", rejected) for speaker in speakers]
            else:
                for speaker in speakers:
                    items.append(speaker.scalar(Kind.TRANSFER_VELOCITY, velocity))
                    items.append(speaker.scalar(Kind.SUPPLY_CHANGE_24H, change))
        return items
