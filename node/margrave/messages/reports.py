"""decide -> attest: what the chain holds, and what this node wants to put there."""

from __future__ import annotations

from margrave.lanes import Words
from margrave.messages.message import Message
from margrave.mirror.limits import PolicyWords, Timing
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.verdicts import HaltReason, HoldReason, MarketStatus, ReportKind, Trigger


class OnchainMarket(Message, frozen=True, kw_only=True):
    """What the oracle holds of one market, as of the block the state was read at."""

    words: Words
    observed_at_s: int
    """Zero where nothing was ever published."""
    status: MarketStatus


class Epoch(Message, frozen=True, kw_only=True):
    """What governance has decided, as it binds the rounds of one epoch."""

    number: int
    kind: ReportKind
    paused: bool
    """The guardian has stopped loosening; tightening and reading go on."""
    quorum: int
    members: tuple[str, ...]
    model_set: bytes
    policy_digest: bytes
    timing: Timing
    classes: tuple[PolicyWords, ...]
    class_of: bytes
    """One byte a market, by id; so are groups, where 0 is alone, and lengths of history rings."""
    group_of: bytes
    ring_of: bytes

    @property
    def markets(self) -> int:
        return len(self.class_of)

    def limits_of(self, market_id: int) -> PolicyWords:
        return self.classes[self.class_of[market_id]]


class ChainState(Message, frozen=True, kw_only=True):
    """The oracle contract at one block: what it holds, and who may sign under which rules, now and next."""

    block: int
    block_time_s: int
    period_s: int
    history_hash: bytes
    """20 bytes over everything that was ever published (`mirror.history`)."""
    epoch: Epoch
    next_epoch: Epoch | None
    """What was decided and does not bind yet."""
    next_from_round: int
    markets: tuple[OnchainMarket, ...]
    """By market id, of the epoch that lists more of them."""

    def binding(self, round_: int) -> Epoch:
        """The epoch under which a round is signed, however early: so a rotation costs no round."""
        if self.next_epoch is not None and round_ >= self.next_from_round:
            return self.next_epoch
        return self.epoch


class ReportRow(Message, frozen=True, kw_only=True):
    """One market of a report. An abstaining member signs zero words; the contract then skips that market."""

    market: str
    market_id: int
    trigger: Trigger | None
    """`None` where the member abstains."""
    words: Words


class MarketHalt(Message, frozen=True, kw_only=True):
    """A figure that the contract will answer with a halt. It is signed all the same: only a quorum can halt."""

    market: str
    reason: HaltReason
    detail: str


class Report(Message, frozen=True, kw_only=True):
    """What this node is willing to sign: the consecutive markets from `first_market`, own words."""

    round: int
    epoch: int
    first_market: int
    model_set: bytes
    policy_digest: bytes
    rows: tuple[ReportRow, ...]
    halts: tuple[MarketHalt, ...]
    attributions_hash: bytes = UNEXPLAINED
    """32 bytes over the attributions of its rows (`score.attribution`): what is signed beside the words."""
    due: bool
    """Whether this node would publish it. One that it would not is signed all the same: where figures lie close to a
    threshold some members find a market due and others do not yet, and the first need the others' signatures."""


class Hold(Message, frozen=True, kw_only=True):
    """Nothing to sign this round, and why."""

    round: int
    reason: HoldReason
    detail: str
