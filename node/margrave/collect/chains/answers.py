"""What other oracles answer: Chainlink's feeds and Pyth's prices. A cross-check for the guard, never a venue.

An oracle's worst answer is one that looks like any other. So an answer is refused, with its numbers, when its round is
not complete or carried over (docs.chain.link, "Using data feeds"), when it is older than the feed's heartbeat, when it
stands at the bound that its aggregator clamps to, or when Pyth itself is unsure (docs.pyth.network, "Confidence
intervals").

A feed does not always stop *at* its bound. In May 2022 LUNA's stood at 0.107 dollars, 7 % above its lowest answer of
0.10, while the market fell to 0.01, and lenders paid the difference: near the lower bound is refused like at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import ReadsOnly, Speaker, given
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.verdicts import Rejection

LOWER_MARGIN: Final = 1.10
"""Below this multiple of its lowest answer a feed is taken to be clamped."""
MAX_FUTURE_S: Final = 60
"""How far a feed's time may lie ahead of the block it was read at: clocks of publishers and validators differ."""
MAX_DECIMALS: Final = 36
EXPONENTS: Final = (-30, 12)
"""Of Pyth's prices; all known ones lie from -12 to 0."""
SEQUENCER_GRACE_S: Final = 3_600
"""After a rollup's sequencer is back: feeds catch up, and liquidations that waited come first."""


# --- Chainlink ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Round:
    """`latestRoundData`."""

    round_id: int
    answer: int
    started_s: int
    updated_s: int
    answered_in: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an aggregator clamps its answers to, in the feed's own units."""

    low: int
    high: int


LATEST_ROUND_DATA: Final = Call("latestRoundData()", "(uint80,int256,uint256,uint256,uint80)", Round)
DECIMALS: Final[Call[int]] = Call("decimals()", "(uint8)", one)
AGGREGATOR: Final[Call[str]] = Call("aggregator()", "(address)", one)
MIN_ANSWER: Final[Call[int]] = Call("minAnswer()", "(int192)", one)
MAX_ANSWER: Final[Call[int]] = Call("maxAnswer()", "(int192)", one)


def chainlink_price(
    told: Round, decimals: int, *, block_s: int, max_age_s: float, bounds: Bounds | None = None
) -> float:
    """The answer in the feed's quote unit.

    Args:
        block_s: time of the block that it was read at.
        max_age_s: the feed's heartbeat and a little; Chainlink publishes it for each feed.

    Raises:
        Rejected: with the reason and the numbers; see the module.
    """
    if told.updated_s == 0:
        raise Rejected(Rejection.UNSETTLED, f"round {told.round_id} is not complete")
    if told.answered_in < told.round_id:
        detail = f"round {told.round_id} carries the answer of round {told.answered_in}"
        raise Rejected(Rejection.UNSETTLED, detail)
    if told.answer <= 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"the answer is {told.answer}")
    if decimals > MAX_DECIMALS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a feed of {decimals} decimals")
    check_age(told.updated_s, block_s=block_s, max_age_s=max_age_s)
    if bounds is not None:
        if told.answer <= bounds.low * LOWER_MARGIN:
            raise Rejected(Rejection.AT_BOUND, f"answer {told.answer} is at its lowest, {bounds.low}")
        if told.answer >= bounds.high:
            raise Rejected(Rejection.AT_BOUND, f"answer {told.answer} is at its highest, {bounds.high}")
    return float(told.answer / 10**decimals)


def check_sequencer(told: Round, *, block_s: int) -> None:
    """A rollup's uptime feed: raise while the sequencer is down, and an hour after it is back.

    Raises:
        Rejected: `UNSETTLED`. While nobody else can write, answers are old and cannot be acted upon.
    """
    if told.answer != 0:
        raise Rejected(Rejection.UNSETTLED, "the sequencer is down")
    if (up_s := block_s - told.started_s) < SEQUENCER_GRACE_S:
        raise Rejected(Rejection.UNSETTLED, f"the sequencer has been up for {up_s} s only")


def check_age(updated_s: int, *, block_s: int, max_age_s: float) -> None:
    age_s = block_s - updated_s
    if age_s < -MAX_FUTURE_S:
        raise Rejected(Rejection.FUTURE, f"the answer is {-age_s} s ahead of its block")
    if age_s > max_age_s:
        raise Rejected(Rejection.STALE, f"the answer is {age_s} s old, the feed allows {max_age_s:g}")


# --- Pyth -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PythPrice:
    """`PythStructs.Price`: price and confidence are multiples of ten to the exponent."""

    price: int
    confidence: int
    exponent: int
    publish_s: int


GET_PRICE_UNSAFE: Final = Call("getPriceUnsafe(bytes32)", "(int64,uint64,int32,uint256)", PythPrice)
"""The one that does not revert where the price is old: how old is said by us, with the number."""


def pyth_price(told: PythPrice, *, block_s: int, max_age_s: float, max_confidence: float = 0.01) -> float:
    """The price in the feed's quote unit.

    Args:
        max_confidence: half-width of Pyth's interval over the price, beyond which it does not know either.

    Raises:
        Rejected: with the reason and the numbers; see the module.
    """
    if told.price <= 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"the price is {told.price}")
    if not EXPONENTS[0] <= told.exponent <= EXPONENTS[1]:
        raise Rejected(Rejection.OUT_OF_RANGE, f"an exponent of {told.exponent}")
    check_age(told.publish_s, block_s=block_s, max_age_s=max_age_s)
    if (share := told.confidence / told.price) > max_confidence:
        raise Rejected(Rejection.WIDE_SPREAD, f"Pyth is sure to {share:.2%} only, {max_confidence:.2%} is allowed")
    return float(told.price * 10.0**told.exponent)


# --- what feeds tell in logs ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answered:
    """A new answer as its event tells it; the decimals and the bounds are the contract's."""

    answer: int
    round_id: int
    updated_s: int | None = None
    """`None` where the event does not say (OCR): then the block's time is it."""


ANSWER_UPDATED: Final = Event(
    "AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt)", Answered
)
NEW_TRANSMISSION: Final = Event(
    "NewTransmission(uint32 indexed aggregatorRoundId, int192 answer, address transmitter, int192[] observations,"
    " bytes observers, bytes32 rawReportContext)",
    lambda round_id, answer, *_: Answered(answer, round_id),
)
NEW_TRANSMISSION_2: Final = Event(
    "NewTransmission(uint32 indexed aggregatorRoundId, int192 answer, address transmitter,"
    " uint32 observationsTimestamp, int192[] observations, bytes observers, int192 juelsPerFeeCoin,"
    " bytes32 configDigest, uint40 epochAndRound)",
    lambda round_id, answer, _transmitter, observed_s, *_: Answered(answer, round_id, observed_s),
)
PRICE_FEED_UPDATE: Final = Event(
    "PriceFeedUpdate(bytes32 indexed id, uint64 publishTime, int64 price, uint64 conf)",
    lambda feed, publish_s, price, confidence: (feed, PythPrice(price, confidence, 0, publish_s)),
)
"""The exponent is the contract's."""


# --- watching -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One feed that an operator wants compared with a market."""

    market: str
    address: str
    """Of the proxy (Chainlink) or of the one contract (Pyth)."""
    max_age_s: float = 4_500.0
    """An hour, the heartbeat of most large feeds, and a quarter for its being late."""
    id: bytes = b""
    """Pyth's, 32 bytes."""
    max_confidence: float = 0.01
    kind: Kind = Kind.ORACLE_PRICE
    """`PEG` for a stablecoin's own feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainlinkWatcher(ReadsOnly):
    """Chainlink's feeds on one chain, each with its own verdict: a feed that is refused holds up no other."""

    chain_id: int
    feeds: Sequence[Feed]
    sequencer: str | None = None
    every_s: float = 60.0

    @property
    def source(self) -> str:
        return f"chainlink:{self.chain_id}"

    async def read(self, sweep: Sweep, seen_ms: int) -> list[Item]:
        if self.sequencer is not None:
            uptime: list[Any] = await sweep.ask([Question(self.sequencer, LATEST_ROUND_DATA)])
            check_sequencer(given(uptime[0]), block_s=sweep.block.time_ms // 1000)
        items: list[Item] = []
        for feed, answer in zip(self.feeds, await chainlink_answers(sweep, self.feeds), strict=True):
            speaker = Speaker(self.source, sweep.block.time_ms, seen_ms, feed.market, feed.address)
            if isinstance(answer, Rejected):
                items.append(speaker.refusal(feed.kind.value, answer))
            else:
                price, updated_s = answer
                items.append(replace(speaker, venue_ms=said_ms(feed, updated_s, sweep)).scalar(feed.kind, price))
        return items


def said_ms(feed: Feed, updated_s: int, sweep: Sweep) -> int:
    """When an answer was given. A stablecoin's feed speaks once a day and when it deviates: until then it stands."""
    return sweep.block.time_ms if feed.kind is Kind.PEG else updated_s * 1000


async def chainlink_answers(sweep: Sweep, feeds: Sequence[Feed]) -> list[tuple[float, int] | Rejected]:
    """Price and time of each feed at the sweep's block, or why it is refused.

    Raises:
        Transient: no endpoint answers.
    """
    questions: list[Any] = [
        Question(feed.address, call) for feed in feeds for call in (LATEST_ROUND_DATA, DECIMALS, AGGREGATOR)
    ]
    answers: list[Any] = await sweep.ask(questions)
    told = [answers[at : at + 3] for at in range(0, len(answers), 3)]
    bounds = await _bounds(sweep, [aggregator for _, _, aggregator in told])
    judged: list[tuple[float, int] | Rejected] = []
    for feed, (round_, decimals, aggregator) in zip(feeds, told, strict=True):
        try:
            latest: Round = given(round_)
            price = chainlink_price(
                latest,
                given(decimals),
                block_s=sweep.block.time_ms // 1000,
                max_age_s=feed.max_age_s,
                bounds=bounds.get(aggregator),
            )
            judged.append((price, latest.updated_s))
        except Rejected as rejected:
            judged.append(rejected)
    return judged


async def _bounds(sweep: Sweep, aggregators: Iterable[object]) -> Mapping[object, Bounds]:
    """Of each aggregator that states them; the newest do without. Read at each sweep: governance may change them."""
    stated = [address for address in dict.fromkeys(aggregators) if isinstance(address, str)]
    questions: list[Any] = [Question(address, call) for address in stated for call in (MIN_ANSWER, MAX_ANSWER)]
    answers: list[Any] = await sweep.ask(questions) if questions else []
    pairs = zip(stated, answers[::2], answers[1::2], strict=True)
    return {at: Bounds(low, high) for at, low, high in pairs if isinstance(low, int) and isinstance(high, int)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PythWatcher(ReadsOnly):
    """Pyth's prices as somebody last brought them on chain."""

    chain_id: int
    feeds: Sequence[Feed]
    every_s: float = 60.0

    @property
    def source(self) -> str:
        return f"pyth:{self.chain_id}"

    async def read(self, sweep: Sweep, seen_ms: int) -> list[Item]:
        block_s = sweep.block.time_ms // 1000
        told: list[Any] = await sweep.ask([Question(feed.address, GET_PRICE_UNSAFE, (feed.id,)) for feed in self.feeds])
        items: list[Item] = []
        for feed, price in zip(self.feeds, told, strict=True):
            speaker = Speaker(self.source, sweep.block.time_ms, seen_ms, feed.market, "0x" + feed.id.hex())
            try:
                latest: PythPrice = given(price)
                value = pyth_price(
                    latest, block_s=block_s, max_age_s=feed.max_age_s, max_confidence=feed.max_confidence
                )
            except Rejected as rejected:
                items.append(speaker.refusal(feed.kind.value, rejected))
            else:
                items.append(replace(speaker, venue_ms=said_ms(feed, latest.publish_s, sweep)).scalar(feed.kind, value))
        return items
