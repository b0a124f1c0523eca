"""What protocols decide about themselves: proposals, their queueing and execution, and calls that a timelock holds.

Governors of Compound's line (Alpha, Bravo) and OpenZeppelin's share one `ProposalCreated`; Aave's governance has its
own, and v3 tells only the hash of a text. Timelocks are Compound's or OpenZeppelin's. All become notices, because what
they mean for a market is for models and people to judge; what can be decoded of a call is written out, so that they
can.

Arrays of proposals are read by hand: pointers of strangers may overlap, and a general decoder would build the square of
what it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from margrave.collect.chains import calldata
from margrave.collect.chains.abi import MAX_LOG_BYTES, WORD, Event
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import Speaker, plain
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import EVERY_MARKET, NoticeReading
from margrave.verdicts import Rejection

MOST_ACTIONS: Final = 256
"""Of one proposal; governors allow 10 (Bravo) or what a block holds."""
MOST_SHOWN: Final = 4
MOST_DESCRIBED: Final = 120
"""Characters of a proposal's own words: its title, mostly."""

CREATED: Final = "governance.proposal.created"
QUEUED: Final = "governance.proposal.queued"
EXECUTED: Final = "governance.proposal.executed"
CANCELED: Final = "governance.proposal.canceled"
SCHEDULED: Final = "governance.timelock.scheduled"
RUN: Final = "governance.timelock.executed"
WITHDRAWN: Final = "governance.timelock.canceled"
DELAY: Final = "governance.timelock.delay"


@dataclass(frozen=True, slots=True)
class Action:
    target: str
    value_wei: int
    data: bytes
    signature: str = ""

    @property
    def text(self) -> str:
        return calldata.action(self.target, self.value_wei, self.data, signature=self.signature)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A `ProposalCreated`, whoever's."""

    id: int
    proposer: str
    actions: tuple[Action, ...]
    begins: int
    """Block or second at which voting begins, as the governor counts; so is `ends`."""
    ends: int
    description: str

    @property
    def text(self) -> str:
        shown = "; ".join(action.text for action in self.actions[:MOST_SHOWN])
        more = f"; and {len(self.actions) - MOST_SHOWN} more" if len(self.actions) > MOST_SHOWN else ""
        title = plain(self.description, MOST_DESCRIBED)
        return f"proposal {named(self.id)} by {self.proposer}: {shown or 'no action'}{more}: {title}"


class _Words:
    """ABI-encoded data read word by word; what is taken out never adds up to more than what is there."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_LOG_BYTES:
            raise Rejected(Rejection.MALFORMED, f"a proposal of {len(data)} bytes")
        self._data = data
        self._left = len(data)

    def word(self, at: int) -> int:
        if not 0 <= at <= len(self._data) - WORD:
            raise Rejected(Rejection.MALFORMED, f"{len(self._data)} bytes end before byte {at}")
        return int.from_bytes(self._data[at : at + WORD], "big")

    def address(self, at: int) -> str:
        return f"0x{self.word(at) & (1 << 160) - 1:040x}"

    def array(self, head: int) -> list[int]:
        """Where each entry of a dynamic array begins, its elements being words."""
        start = self.word(head)
        count = self.word(start)
        if count > MOST_ACTIONS:
            raise Rejected(Rejection.OUT_OF_RANGE, f"a proposal of {count} actions")
        return [start + WORD + WORD * entry for entry in range(count)]

    def blobs(self, head: int) -> list[bytes]:
        """A dynamic array of bytes or strings."""
        base = self.word(head) + WORD
        return [self.blob(base + self.word(at)) for at in self.array(head)]

    def blob(self, at: int) -> bytes:
        length = self.word(at)
        if length > self._left or at + WORD + length > len(self._data):
            raise Rejected(Rejection.MALFORMED, f"a part of {length} bytes in a proposal of {len(self._data)}")
        self._left -= length
        return self._data[at + WORD : at + WORD + length]


def _actions(words: _Words, first_head: int) -> tuple[Action, ...]:
    """Targets, values, signatures and calldatas: four arrays of one length, their heads in a row."""
    heads = [first_head + WORD * at for at in range(4)]
    targets = [words.address(at) for at in words.array(heads[0])]
    values = [words.word(at) for at in words.array(heads[1])]
    signatures = [blob.decode("utf-8", "replace") for blob in words.blobs(heads[2])]
    datas = words.blobs(heads[3])
    if not len(targets) == len(values) == len(datas) == len(signatures):
        raise Rejected(Rejection.MALFORMED, f"{len(targets)} targets, {len(values)} values, {len(datas)} calls")
    return tuple(map(Action, targets, values, datas, signatures))


def proposal_of(log: Log) -> Proposal:
    """A log that fits `PROPOSAL_CREATED` or `AAVE_PROPOSAL_CREATED`.

    Raises:
        Rejected: `MALFORMED` or `OUT_OF_RANGE`; no log makes us hold more than its own length.
    """
    words = _Words(log.data)
    if PROPOSAL_CREATED.fits(log):
        text = words.blob(words.word(8 * WORD)).decode("utf-8", "replace")
        actions = _actions(words, 2 * WORD)
        return Proposal(words.word(0), words.address(WORD), actions, words.word(6 * WORD), words.word(7 * WORD), text)
    creator = f"0x{log.topics[1][12:].hex()}"
    begins, ends, content = (words.word(at * WORD) for at in (6, 7, 9))
    return Proposal(words.word(0), creator, _actions(words, WORD), begins, ends, f"IPFS {content:064x}")


PROPOSAL_CREATED: Final = Event(
    "ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures,"
    " bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description)",
    lambda *_: None,
)
AAVE_PROPOSAL_CREATED: Final = Event(
    "ProposalCreated(uint256 id, address indexed creator, address indexed executor, address[] targets,"
    " uint256[] values, string[] signatures, bytes[] calldatas, bool[] withDelegatecalls, uint256 startBlock,"
    " uint256 endBlock, address strategy, bytes32 ipfsHash)",
    lambda *_: None,
)

Told = Callable[..., tuple[str, str]]
"""Arguments of an event -> topic and text."""


def _of_proposal(topic: str, word: str) -> Told:
    return lambda number, *_: (topic, f"proposal {named(number)} {word}")


def _queued(number: int, eta_s: int) -> tuple[str, str]:
    return QUEUED, f"proposal {named(number)} queued, may be executed from {eta_s} (Unix s)"


def _scheduled(
    number: bytes, index: int, target: str, value_wei: int, data: bytes, _before: bytes, delay_s: int
) -> tuple[str, str]:
    return SCHEDULED, f"{named(number)}/{index} in {delay_s} s: {calldata.action(target, value_wei, data)}"


def _run(number: bytes, index: int, target: str, value_wei: int, data: bytes) -> tuple[str, str]:
    return RUN, f"{named(number)}/{index}: {calldata.action(target, value_wei, data)}"


def _transaction(topic: str) -> Told:
    """Compound's timelock: all three of its events look alike."""

    def told(number: bytes, target: str, value_wei: int, signature: str, data: bytes, eta_s: int) -> tuple[str, str]:
        done = calldata.action(target, value_wei, data, signature=signature)
        return topic, f"{named(number)} for {eta_s} (Unix s): {done}"

    return told


_COMPOUND_ARGUMENTS: Final = (
    "(bytes32 indexed txHash, address indexed target, uint256 value, string signature, bytes data, uint256 eta)"
)
_SIMPLE: Final[Sequence[Event[tuple[str, str]]]] = (
    Event("ProposalQueued(uint256 id, uint256 eta)", _queued),
    Event("ProposalQueued(uint256 indexed id, uint128 votesFor, uint128 votesAgainst)", _of_proposal(QUEUED, "queued")),
    Event("ProposalQueued(uint256 id, uint256 executionTime, address indexed by)", lambda n, at, _: _queued(n, at)),
    *(
        Event(f"{name}(uint256 {indexed}id)", _of_proposal(topic, word))
        for indexed in ("", "indexed ")
        for name, topic, word in (
            ("ProposalExecuted", EXECUTED, "executed"),
            ("ProposalCanceled", CANCELED, "canceled"),
        )
    ),
    Event("ProposalExecuted(uint256 id, address indexed by)", _of_proposal(EXECUTED, "executed")),
    Event(
        "ProposalCreated(uint256 indexed id, address indexed creator, uint8 indexed accessLevel, bytes32 ipfsHash)",
        lambda number, creator, level, content: (
            CREATED,
            f"proposal {named(number)} by {creator}, access level {level}: IPFS {content.hex()}",
        ),
    ),
    Event(
        "CallScheduled(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data,"
        " bytes32 predecessor, uint256 delay)",
        _scheduled,
    ),
    Event("CallExecuted(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data)", _run),
    Event("Cancelled(bytes32 indexed id)", lambda number: (WITHDRAWN, f"{named(number)} is withdrawn")),
    Event(
        "MinDelayChange(uint256 oldDuration, uint256 newDuration)",
        lambda old, new: (DELAY, f"the least delay goes from {old} s to {new} s"),
    ),
    Event("NewDelay(uint256 indexed newDelay)", lambda new: (DELAY, f"the delay is {new} s now")),
    Event("QueueTransaction" + _COMPOUND_ARGUMENTS, _transaction(SCHEDULED)),
    Event("ExecuteTransaction" + _COMPOUND_ARGUMENTS, _transaction(RUN)),
    Event("CancelTransaction" + _COMPOUND_ARGUMENTS, _transaction(WITHDRAWN)),
)
EVENTS: Final[Sequence[Event[Any]]] = (PROPOSAL_CREATED, AAVE_PROPOSAL_CREATED, *_SIMPLE)
_BY_TOPIC: Final[Mapping[bytes, Sequence[Event[Any]]]] = {
    event.topic: [other for other in _SIMPLE if other.topic == event.topic] for event in _SIMPLE
}
TOPICS: Final = frozenset({*_BY_TOPIC, PROPOSAL_CREATED.topic, AAVE_PROPOSAL_CREATED.topic})


def decision_of(log: Log) -> tuple[str, str] | None:
    """Topic and text of what a log decides, `None` where it decides nothing.

    Raises:
        Rejected: an event of governance by its topic whose data are not one.
    """
    if PROPOSAL_CREATED.fits(log) or AAVE_PROPOSAL_CREATED.fits(log):
        return CREATED, proposal_of(log).text
    for event in _BY_TOPIC.get(log.topics[0], ()) if log.topics else ():
        if event.fits(log):
            topic, text = event.decode(log)
            return topic, text
    return None


def notice_of(log: Log, speaker: Speaker) -> NoticeReading | None:
    """What a log decides, as said by the contract that wrote it."""
    decided = decision_of(log)
    return None if decided is None else replace(speaker, instrument=log.address).notice(*decided)


def named(number: int | bytes) -> str:
    """A proposal's number; those that are hashes by their first digits."""
    if isinstance(number, bytes):
        return f"0x{number[:6].hex()}"
    return str(number) if number < 10**9 else f"0x{number.to_bytes(32, 'big')[:6].hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceWatcher:
    """Notices of some governors and timelocks, each for the markets that it may shake."""

    chain_id: int
    contracts: Mapping[str, Sequence[str]]
    """Address, lower case -> markets; none means all."""
    every_s: float = 3_600.0
    history_s: float = 0.0

    @property
    def source(self) -> str:
        return f"governance:{self.chain_id}"

    def wanted(self) -> LogFilter:
        return LogFilter(frozenset(self.contracts), TOPICS)

    def heard(self, log: Log, time_ms: int) -> Iterable[Item]:
        for market in self.contracts.get(log.address) or (EVERY_MARKET,):
            # The block's time for both: a proposal is not news again because a node has caught up.
            notice = notice_of(log, Speaker(self.source, time_ms, time_ms, market))
            if notice is not None:
                yield notice

    def withdrawn(self, log: Log) -> None:
        """A notice of an orphaned block stands until a newer one: what was proposed there will be proposed again."""

    def forget(self) -> None:
        """Nothing is kept."""

    async def read(self, sweep: Sweep, seen_ms: int) -> Iterable[Item]:  # noqa: ARG002 logs say it all
        return ()
