"""collect -> guard: what one source said of one market, and what of it was refused."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from margrave.messages.message import Message
from margrave.verdicts import Rejection

Slot = tuple[str, str, str]
"""Source, market and what of it: one reading stands in each, the newest."""
EVERY_MARKET: Final = "*"
"""The market of a reading that is about all of them: gas, sentiment."""


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


EXPIRES_AT_H: Final = 8
"""UTC, where every venue that a node reads settles its options."""


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
