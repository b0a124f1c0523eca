"""guard -> score: what of the readings is believed."""

from __future__ import annotations

from margrave.messages.message import Message
from margrave.messages.readings import Bar, DepthBand, HealthReading, NoticeReading, OptionQuote, PoolReading, Refusal
from margrave.verdicts import Doubt, HoldReason


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
