"""What passes between the stages: frozen messages, one kind per arrow.

``collect -> Reading -> guard -> Snapshot -> score -> Scores
-> decide -> Report -> attest -> Bundle -> publish -> Receipt``

Times are Unix milliseconds, as integers: `venue_time_ms` is when the venue says it happened, `seen_time_ms` when this
node read it. Prices are US dollars, rates and volatilities fractions (0.62 is 62 %), sizes US dollars unless said.
Nothing here is edited after it is made: a stage makes the next kind.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import msgspec

from margrave.lanes import Words
from margrave.mirror.limits import PolicyWords, Timing
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.spans import YEAR_DAYS
from margrave.verdicts import (
    Doubt,
    DriftLevel,
    DriftReason,
    HaltReason,
    HoldReason,
    MarketStatus,
    Outcome,
    Regime,
    Rejection,
    ReportKind,
    Trigger,
)

Slot = tuple[str, str, str]
"""Source, market and what of it: one reading stands in each, the newest."""
EVERY_MARKET: Final = "*"
"""The market of a reading that is about all of them: gas, sentiment."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all messages: immutable, by keyword, encoded as JSON objects in the journal."""


# --- collect -> guard -----------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a scalar reading measures, with its unit."""

    INDEX_PRICE = "index_price"  # USD
    MARK_PRICE = "mark_price"  # USD, perpetual
    FUNDING_8H = "funding_8h"  # fraction of notional per 8 hours
    OPEN_INTEREST = "open_interest"  # USD, perpetual
    VOL_INDEX = "vol_index"  # annualised 30-day implied volatility, fraction
    COLLATERAL_RATIO = "collateral_ratio"  # collateral over maintenance margin of the protocol's accounts
    BASE_FEE = "base_fee"  # wei
    LONG_SHORT_RATIO = "long_short_ratio"  # accounts net long over accounts net short, perpetual
    TOP_LONG_SHORT_RATIO = "top_long_short_ratio"  # the same of the venue's largest accounts, by position
    TAKER_RATIO = "taker_ratio"  # volume bought from the asks over volume sold into the bids, perpetual
    OPTION_OPEN_INTEREST = "option_open_interest"  # USD of the underlying, of the options that an answer lists
    DELIVERY_PRICE = "delivery_price"  # USD at which a day's options and futures were settled
    SPOT_TWAP = "spot_twap"  # USD, time-weighted over the window that the source states (a pool's: 30 minutes)
    ORACLE_PRICE = "oracle_price"  # USD, another oracle's answer: a cross-check, never a venue
    REDEMPTION_VALUE = "redemption_value"  # USD, what its issuer gives for one unit of a wrapped or yield asset
    PEG = "peg"  # USD for one unit of a stablecoin
    SUPPLY_CHANGE_24H = "supply_change_24h"  # mints less burns over 24 hours, fraction of a stablecoin's supply
    TRANSFER_VELOCITY = "transfer_velocity"  # transferred in 24 hours over the supply
    HEALTH_AT_RISK = "health_at_risk"  # share of a lending protocol's debt with a health factor below 1.05
    LENDING_DEBT = "lending_debt"  # USD owed to a lending protocol against this market: what its buckets add up to
    FEAR_GREED = "fear_greed"  # 0 (extreme fear) to 100 (extreme greed)
    FUNDING_POSITIONING = "funding_positioning"  # funding against its own 30 days, standard deviations
    NEWS_TONE = "news_tone"  # mean tone of the day's headlines, -1 to 1


class Reading(Message, frozen=True, kw_only=True, tag_field="type"):
    """One thing a source said about one market. `source` is a venue ("binance") or a chain ("chain:31337")."""

    source: str
    market: str
    instrument: str
    venue_time_ms: int
    seen_time_ms: int

    @property
    def what(self) -> str:
        """What of its source and market this is, in the words of refusals and log lines."""
        raise NotImplementedError

    @property
    def slot(self) -> Slot:
        return (self.source, self.market, self.what)


SEVERAL_OF_ONE_SOURCE: Final = frozenset(
    {
        Kind.SPOT_TWAP,
        Kind.ORACLE_PRICE,
        Kind.REDEMPTION_VALUE,
        Kind.PEG,
        Kind.SUPPLY_CHANGE_24H,
        Kind.TRANSFER_VELOCITY,
        Kind.HEALTH_AT_RISK,
        Kind.LENDING_DEBT,
    }
)
"""Kinds of which one chain tells several at once (two oracles, three stablecoins): the instrument parts them."""


class ScalarReading(Reading, frozen=True, kw_only=True, tag="scalar"):
    kind: Kind
    value: float

    @property
    def what(self) -> str:
        return f"{self.kind.value} {self.instrument}" if self.kind in SEVERAL_OF_ONE_SOURCE else self.kind.value


class DepthBand(msgspec.Struct, frozen=True, array_like=True):
    """Depth between the mid and one distance from it, each side, USD."""

    distance_bp: float
    bid_usd: float
    ask_usd: float


class BookReading(Reading, frozen=True, kw_only=True, tag="book"):
    """Top of a spot or perpetual order book and its depth within 1 % of the mid, each side, in USD."""

    perpetual: bool
    bid: float
    ask: float
    bid_depth_usd: float
    ask_depth_usd: float
    bands: tuple[DepthBand, ...] = ()
    """Cumulative depth by distance from the mid, nearest first; empty where only the sum was taken."""
    imbalance: float | None = None
    """(bid - ask) / (bid + ask) of the depth within 1 %, in [-1, 1]."""
    slope_usd_per_bp: float | None = None
    """USD that the thinner side gains with each basis point of distance, least squares over the bands."""
    impact_buy: float | None = None
    """What a buyer of the market's reference size pays above the mid, fraction; `None` where the book is too thin."""
    impact_sell: float | None = None

    @property
    def what(self) -> str:
        return "perpetual book" if self.perpetual else "spot book"


class Bar(msgspec.Struct, frozen=True, array_like=True):
    """One closed or running hourly candle."""

    open_time_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class BarsReading(Reading, frozen=True, kw_only=True, tag="bars"):
    """Hourly candles, ascending; the last may still be running (`venue_time_ms` tells)."""

    perpetual: bool
    bars: tuple[Bar, ...]

    @property
    def what(self) -> str:
        return "perpetual bars" if self.perpetual else "spot bars"


class OptionQuote(msgspec.Struct, frozen=True, array_like=True):
    """One option of a chain; prices as fractions of the forward, `None` where nobody quotes."""

    expiry_ms: int
    strike: float
    is_call: bool
    forward: float
    bid: float | None
    ask: float | None
    mark_iv: float | None
    open_interest: float
    delta: float | None = None
    gamma: float | None = None
    """Per dollar of the underlying."""
    vega: float | None = None
    """Dollars per volatility point."""
    theta: float | None = None
    """Dollars per day."""


class ChainReading(Reading, frozen=True, kw_only=True, tag="chain"):
    """A whole option chain of one underlying in one answer."""

    quotes: tuple[OptionQuote, ...]

    @property
    def what(self) -> str:
        return "chain"


class TradesReading(Reading, frozen=True, kw_only=True, tag="trades"):
    """What was traded from `from_ms` (included) to `venue_time_ms` (the last trade's)."""

    perpetual: bool
    from_ms: int
    count: int
    buy_usd: float
    """Taken from the asks; the rest was sold into the bids."""
    sell_usd: float
    low: float
    high: float
    last: float
    vwap: float

    @property
    def what(self) -> str:
        return "perpetual trades" if self.perpetual else "spot trades"


class LiquidationsReading(Reading, frozen=True, kw_only=True, tag="liquidations"):
    """Positions closed by force from `from_ms` (included) to `venue_time_ms`, on a venue or a lending protocol."""

    from_ms: int
    count: int
    long_usd: float
    """Longs sold out: on a lending protocol, collateral seized."""
    short_usd: float
    largest_usd: float

    @property
    def what(self) -> str:
        return f"liquidations {self.instrument}"


class HealthReading(Reading, frozen=True, kw_only=True, tag="health"):
    """A lending protocol's debt against one collateral by health factor, at one block."""

    protocol: str
    edges: tuple[float, ...]
    """Ascending health factors that part the buckets: n edges, n + 1 buckets."""
    debt_usd: tuple[float, ...]
    collateral_usd: tuple[float, ...]
    block: int
    concentration: float | None = None
    """Share of the debt that the largest borrower owes, 0 to 1."""

    @property
    def what(self) -> str:
        return f"health {self.protocol}"


class PoolReading(Reading, frozen=True, kw_only=True, tag="pool"):
    """An automated market maker's price and depth at one block."""

    price: float
    bid_depth_usd: float
    """What can be sold into the pool until its price is 1 % lower; `ask_depth_usd` likewise bought."""
    ask_depth_usd: float
    fee: float
    """Fraction of a swap."""
    block: int

    @property
    def what(self) -> str:
        return f"pool {self.instrument}"


class NoticeReading(Reading, frozen=True, kw_only=True, tag="notice"):
    """Something that was decided or announced: a proposal, an execution, a changed reserve, a delisting."""

    topic: str
    """Dotted, from the general to the special: "governance.proposal.created", "lending.reserve.changed"."""
    text: str

    @property
    def what(self) -> str:
        return f"notice {self.topic} {self.instrument}"


AnyReading = (
    ScalarReading
    | BookReading
    | BarsReading
    | ChainReading
    | TradesReading
    | LiquidationsReading
    | HealthReading
    | PoolReading
    | NoticeReading
)


class ContractKind(StrEnum):
    """What an instrument is."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"
    COMBINATION = "combination"  # of several instruments: its price is a difference, never a market's
    OTHER = "other"  # a kind that a venue has added since


class Contract(Message, frozen=True, kw_only=True, tag_field="type", tag="contract"):
    """How one instrument's sizes are counted, as its venue lists it. It is no reading: it says nothing of the market,
    and stands until the venue says otherwise."""

    source: str
    instrument: str
    seen_time_ms: int
    kind: ContractKind
    unit_coins: float | None = 1.0
    """Coins in one unit of size; `None` where a unit is dollars."""
    unit_usd: float | None = None
    """Dollars in one unit of size, where the instrument is margined in coins (inverse)."""
    tick: float | None = None
    """Least step of its price."""
    price_digits: int | None = None
    """Decimals of prices and sizes as the venue writes them, where it takes a checksum over the text (Kraken)."""
    size_digits: int | None = None
    expiry_ms: int | None = None
    trading: bool = True

    def usd(self, size: float, price: float) -> float:
        """Dollars of a size at a price."""
        return size * self.unit_usd if self.unit_usd is not None else size * (self.unit_coins or 0.0) * price


class Refusal(Message, frozen=True, kw_only=True):
    """A reading or payload that was dropped: by whom, why, and the numbers behind it."""

    source: str
    market: str
    what: str
    reason: Rejection
    detail: str


# --- guard -> score -------------------------------------------------------------------------------------------------


class SourcePrice(Message, frozen=True, kw_only=True):
    source: str
    price: float
    weight: float
    distance_bp: float
    age_s: float


class Doubted(Message, frozen=True, kw_only=True):
    """One reason to trust a price less, with the numbers behind it."""

    reason: Doubt
    detail: str


class MarketSnapshot(Message, frozen=True, kw_only=True):
    """What the guard vouches for about one market at `as_of_ms`. `None` means nobody said it, never a default."""

    market: str
    price: float
    sources: tuple[SourcePrice, ...]
    half_spread: float | None
    """Fraction of the mid, median over venues."""
    depth_usd: float | None
    """Within 1 % of the mid, the thinner side, summed over the venues kept, each capped."""
    perp_basis: float | None
    """Perpetual mark over index, minus one."""
    funding_8h: float | None
    open_interest_usd: float | None
    vol_index: float | None
    collateral_ratio: float | None
    bars: tuple[Bar, ...]
    """Closed hourly bars, ascending and gap-free, the median over venues of each field."""
    disbelieved: tuple[int, ...] = ()
    """Opening times (ms) of those of `bars` with a jump that the guard did not believe: they judge no forecast."""
    quotes: tuple[OptionQuote, ...]
    chain_age_s: float | None
    doubts: tuple[Doubted, ...] = ()
    """Why the price, though vouched for, deserves less trust this round."""
    twap: float | None = None
    """USD over the last half hour: the pools' where any was read, else the guard's own."""
    oracle_price: float | None = None
    """Median of other oracles' answers, USD. It has no vote on `price`."""
    redemption_value: float | None = None
    peg: float | None = None
    """The stablecoin furthest from a dollar."""
    depth_bands: tuple[DepthBand, ...] = ()
    """Cumulative, by distance, summed over the venues kept, each capped; the distances that all of them gave."""
    imbalance: float | None = None
    slope_usd_per_bp: float | None = None
    impact_buy: float | None = None
    impact_sell: float | None = None
    traded_usd_per_hour: float | None = None
    buy_share: float | None = None
    """Of what was traded, what was taken from the asks."""
    liquidated_long_usd_per_hour: float | None = None
    liquidated_short_usd_per_hour: float | None = None
    long_short_ratio: float | None = None
    top_long_short_ratio: float | None = None
    taker_ratio: float | None = None
    option_open_interest_usd: float | None = None
    delivery_price: float | None = None
    base_fee_wei: float | None = None
    supply_change_24h: float | None = None
    transfer_velocity: float | None = None
    health_at_risk: float | None = None
    fear_greed: float | None = None
    funding_positioning: float | None = None
    news_tone: float | None = None
    health: tuple[HealthReading, ...] = ()
    pools: tuple[PoolReading, ...] = ()
    notices: tuple[NoticeReading, ...] = ()


class MarketHold(Message, frozen=True, kw_only=True):
    market: str
    reason: HoldReason
    detail: str


class Snapshot(Message, frozen=True, kw_only=True):
    """One round's view: markets that can be scored, markets that cannot and why, everything refused and why."""

    round: int
    as_of_ms: int
    markets: tuple[MarketSnapshot, ...]
    holds: tuple[MarketHold, ...]
    refusals: tuple[Refusal, ...]


# --- score -> decide ------------------------------------------------------------------------------------------------


class Ladder(Message, frozen=True, kw_only=True):
    """Quantiles and expected shortfalls of the simple return over the MPOR, both sides as positive magnitudes."""

    down_q975: float
    down_q995: float
    down_es99: float
    down_q9995: float
    down_es999: float
    up_q975: float
    up_q995: float
    up_es99: float
    up_q9995: float
    up_es999: float


class Surface(Message, frozen=True, kw_only=True):
    """SSVI: total volatility at three tenors, rho, wing b = eta (1 + |rho|), decay gamma, and how well it fits."""

    total_vol_7d: float
    total_vol_30d: float
    total_vol_90d: float
    rho: float
    wing: float
    decay: float
    rmse_vol: float
    """Root mean square error against the quotes used, in volatility (0.01 is one point)."""
    quotes_used: int
    """Zero where no chain was seen this round and the last surface is carried on; `rmse_vol` then grows."""
    basis: float = 0.0
    """Forward over index of the same chain, annualised."""

    @property
    def vol_30d(self) -> float:
        """At the money, annualised."""
        return self.total_vol_30d / math.sqrt(30 / YEAR_DAYS)


class Reason(Message, frozen=True, kw_only=True):
    """One additive part of the score, in score points, with a plain sentence."""

    name: str
    points: float
    sentence: str


class HurtPath(Message, frozen=True, kw_only=True):
    """One way that distress travels: where it begins, whom it reaches, and what it costs there."""

    source: str
    target: str
    loss: float
    """Share of the target's value."""


class Attributed(Message, frozen=True, kw_only=True):
    """What one group of inputs adds to the score against a reference, in score points; see `score.attribution`."""

    name: str
    points: float


class MarketScores(Message, frozen=True, kw_only=True):
    market: str
    price: float
    ladder: Ladder
    sigma_annual: float
    """The volatility forecast over the MPOR, annualised."""
    surface: Surface
    basis: float
    vol_up: float
    vol_down: float
    liquidity: float
    cascade_probability: float
    cascade_size: float
    contagion: float
    score: float
    confidence: float
    reasons: tuple[Reason, ...]
    """All parts of the score, largest first; their points sum to the score before it is capped."""
    fallback: bool
    """The baseline model spoke because the main one refused its input, or has drifted."""
    words: Words
    widening_down: float = 1.0
    """What experience and drift have put on the shortfall at 1 % of a fall, as a factor; it is in `ladder` already."""
    widening_up: float = 1.0
    drift: DriftLevel = DriftLevel.STEADY
    drift_reasons: tuple[DriftReason, ...] = ()
    """What the detectors found, while the level stands."""
    masked: tuple[str, ...] = ()
    """Inputs that nobody supplied this round, sorted; each lowers the confidence."""
    fallbacks: tuple[str, ...] = ()
    """Lanes beside the ladder on which a formula spoke and no learnt model: `cascade`, `contagion`."""
    cascade_probability_1h: float = 0.0
    contagion_rank: float | None = None
    """How much of all others' losses this market's distress would be, in [0, 1]; `None` where nobody can say."""
    contagion_paths: tuple[HurtPath, ...] = ()
    """Who hurts whom, the largest loss first."""
    regime: Regime | None = None
    """What kind of day the market has, in a word."""
    attribution: tuple[Attributed, ...] = ()
    """Which inputs made the score what it is; the points sum to the score less the reference's, uncapped."""


class Scores(Message, frozen=True, kw_only=True):
    round: int
    as_of_ms: int
    model_set: bytes
    markets: tuple[MarketScores, ...]
    holds: tuple[MarketHold, ...]


# --- decide -> attest -----------------------------------------------------------------------------------------------


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


# --- attest -> publish ----------------------------------------------------------------------------------------------


class Explained(msgspec.Struct, frozen=True, array_like=True):
    """A member's word for why its own words are what they are: a hash over its attributions, signed with the words'."""

    attributions_hash: bytes
    """32 bytes."""
    signature: bytes
    """64 bytes, r and vs (EIP-2098)."""


class Attestation(Message, frozen=True, kw_only=True):
    """One member's signed own words for one round."""

    member: str
    round: int
    epoch: int
    first_market: int
    words: tuple[int, ...]
    """risk, market, risk, market, … as signed."""
    signature: bytes
    """64 bytes, r and vs (EIP-2098)."""
    explained: Explained | None = None
    """Words count without it: who withholds it has its place in the evidence, and zeros there."""

    @property
    def explanation_hash(self) -> bytes:
        return UNEXPLAINED if self.explained is None else self.explained.attributions_hash


class Bundle(Message, frozen=True, kw_only=True):
    """A quorum of own words for one round, in the order of the member list."""

    round: int
    epoch: int
    attestations: tuple[Attestation, ...]

    @property
    def first_market(self) -> int:
        return self.attestations[0].first_market

    @property
    def markets(self) -> int:
        return len(self.attestations[0].words) // 2


class Stated(msgspec.Struct, frozen=True, array_like=True):
    """One member's own words in a proposal, by their hash (keccak over the packed words), and why, by that one's."""

    member: str
    words_hash: bytes
    explanation_hash: bytes = UNEXPLAINED
    """Of the explanation that the proposer holds of it."""


class Proposal(Message, frozen=True, kw_only=True):
    """The medians of a stated set of own words: what members co-sign, and can recompute."""

    round: int
    epoch: int
    first_market: int
    stated: tuple[Stated, ...]
    """A quorum, in the order of the member list."""
    words: tuple[int, ...]
    """risk, market, risk, market, …; zeros where a member of the set abstained."""


class CoSignature(Message, frozen=True, kw_only=True):
    member: str
    signature: bytes
    """64 bytes, r and vs (EIP-2098)."""


class CoSigned(Message, frozen=True, kw_only=True):
    """A proposal and who has signed it, in the order of the member list where it is to be published."""

    proposal: Proposal
    signatures: tuple[CoSignature, ...]

    @property
    def round(self) -> int:
        return self.proposal.round

    @property
    def epoch(self) -> int:
        return self.proposal.epoch

    @property
    def first_market(self) -> int:
        return self.proposal.first_market

    @property
    def markets(self) -> int:
        return len(self.proposal.words) // 2


AnyBundle = Bundle | CoSigned


class Receipt(Message, frozen=True, kw_only=True):
    round: int
    outcome: Outcome
    transaction: str | None
    block: int | None
    gas_used: int | None
    publisher: str | None
    detail: str
