"""The tables of [chains] in node.toml: which chains are watched, and for what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from margrave.addresses import NOBODY
from margrave.sections import Address, Handle, Id, Positive, Section, Share


class LendingSettings(Section):
    """One lending protocol on one chain. Several deployments of one protocol are several tables."""

    protocol: Literal["aave_v2", "aave_v3", "compound_v2", "compound_v3", "morpho"]
    name: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,32}$")
    """Where one protocol is deployed more than once (two Comets): what the readings' source is then called."""
    address: Address
    """Pool (Aave), Comptroller (Compound v2), Comet (Compound v3), the singleton (Morpho)."""
    assets: dict[Handle, str] = Field(min_length=1)
    """What is watched as collateral, and which market it belongs to: reserves (Aave, Compound v3), cTokens (Compound
    v2), market ids (Morpho)."""
    dollar_feed: Address | None = None
    """Chainlink feed of the unit that the protocol's own oracle answers in, where that is not the dollar."""
    accounts: int = Field(default=1_000, ge=1, le=20_000)
    """Borrowers that are watched, largest debts first."""
    every_s: Positive = 60.0
    history_s: float = Field(default=259_200.0, ge=0)
    """How far back borrowers are looked for at the first start; afterwards a checkpoint remembers them."""

    @model_validator(mode="after")
    def handles_fit(self) -> LendingSettings:
        length = 66 if self.protocol == "morpho" else 42
        if odd := next((asset for asset in self.assets if len(asset) != length), None):
            wanted = "a market id of 32 bytes" if length == 66 else "an address"
            raise ValueError(f"asset {odd[:12]}… of {self.protocol} is not {wanted}")
        return self


class PoolKeySettings(Section):
    """What a Uniswap v4 pool is known by."""

    currency0: Address
    """The zero address is the chain's own coin."""
    currency1: Address
    fee: int = Field(ge=0, le=0x800000)
    """Pips; 8388608 where hooks set it."""
    tick_spacing: int = Field(ge=1, le=32_767)
    hooks: Address = NOBODY


class PoolSettings(Section):
    """One pool whose price, depth and half-hour average are compared with a market's."""

    layout: Literal["uniswap_v2", "aerodrome_v2", "uniswap_v3", "uniswap_v4"]
    """Whose calls it answers: SushiSwap's and PancakeSwap v2's pairs are `uniswap_v2`, PancakeSwap v3 and Slipstream
    `uniswap_v3`, Velodrome's pools `aerodrome_v2`."""
    market: str
    address: Address
    """Of the pool; of v4 that of StateView, or of the PoolManager with `from_storage`."""
    base_token: Literal[0, 1]
    """Which of the two tokens is the market's."""
    dollar_feed: Address | None = None
    """Chainlink feed of the other token, where that is not a dollar."""
    feed_max_age_s: Positive = 4_500.0
    fee_per_myriad: int = Field(default=30, ge=0, lt=10_000)
    """Of pairs (v2), which do not tell it."""
    key: PoolKeySettings | None = None
    from_storage: bool = False
    peg: bool = False
    """The base token is a stablecoin: its peg is what is wanted, not a market's price."""

    @model_validator(mode="after")
    def key_fits(self) -> PoolSettings:
        if (self.key is None) == (self.layout == "uniswap_v4"):
            raise ValueError("a pool of layout uniswap_v4 has a key, and no other has")
        return self


class CurveSettings(Section):
    """A plain pool of Curve's, and one of its coins measured in another, which is taken for a dollar."""

    market: str
    address: Address
    base_coin: int = Field(ge=0, le=3)
    quote_coin: int = Field(ge=0, le=3)
    peg: bool = True
    """The base coin is a stablecoin: its peg is what is wanted, not a market's price."""

    @model_validator(mode="after")
    def coins_differ(self) -> CurveSettings:
        if self.base_coin == self.quote_coin:
            raise ValueError("base_coin and quote_coin are one coin")
        return self


class FeedSettings(Section):
    """One Chainlink feed."""

    market: str
    address: Address
    max_age_s: Positive = 4_500.0
    """Its heartbeat and a little."""
    peg: bool = False
    """It is a stablecoin's."""


class PythSettings(Section):
    """One Pyth price."""

    market: str
    address: Address
    id: Id
    max_age_s: Positive = 120.0
    max_confidence: Share = 0.01
    """Half-width of Pyth's own interval over the price."""
    peg: bool = False


class StablecoinSettings(Section):
    """A token whose transfers, mints and burns are added up over a day."""

    address: Address
    markets: list[str] = Field(min_length=1)


class RedemptionSettings(Section):
    """A wrapped or yield asset, and how its contract is asked what it is redeemed for."""

    market: str
    address: Address
    rate: Literal["stEthPerToken", "getExchangeRate", "exchangeRate", "getRate", "convertToAssets"]
    dollar_feed: Address | None = None
    """Chainlink feed of what it is redeemed in, where that is not a dollar."""
    feed_max_age_s: Positive = 4_500.0


class GovernanceSettings(Section):
    """A governor or a timelock."""

    address: Address
    markets: list[str] = []
    """Which it may shake; none means all."""


class WatchedChainSettings(Section):
    """A chain that is watched for what happens on it; the chain that is published to is [chain]."""

    rpc: list[str] = Field(min_length=1)
    """HTTP endpoints, first is preferred; with three or more, one that lags or lies is found out."""
    chain_id: int = Field(gt=0)
    finality_blocks: int = Field(default=64, ge=0, le=1_024)
    """A block so deep is taken to be final. On a chain of fast blocks with one sequencer, 0 spares many requests."""
    witnesses: int = Field(default=1, ge=1)
    """Endpoints that must give the same answer to every read."""
    every_s: Positive = 12.0
    timeout_s: Positive = 10.0
    requests_per_minute: Positive = 600.0
    """Of each endpoint."""
    lending: list[LendingSettings] = []
    pools: list[PoolSettings] = []
    curve: list[CurveSettings] = []
    chainlink: list[FeedSettings] = []
    sequencer: Address | None = None
    """A rollup's uptime feed: while its sequencer is down, no feed of `chainlink` is believed."""
    pyth: list[PythSettings] = []
    stablecoins: list[StablecoinSettings] = []
    redemptions: list[RedemptionSettings] = []
    governance: list[GovernanceSettings] = []
    fees: bool = False
    """Base fee and tips."""

    @model_validator(mode="after")
    def witnesses_there(self) -> WatchedChainSettings:
        if self.witnesses > len(self.rpc):
            raise ValueError(f"witnesses {self.witnesses} are more than the {len(self.rpc)} endpoints of rpc")
        return self
