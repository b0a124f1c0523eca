"""The table [guard] of policy.toml: what is believed, and which of the guard's layers are on."""

from __future__ import annotations

from pydantic import Field

from margrave.sections import Positive, Section, Share


class Layers(Section):
    """The guard's layers, each by itself on or off: so that what one is worth can be measured (`scripts/bench
    gauntlet`). A node that publishes has them all on; `margrave check` fails where one is off."""

    range: bool = True
    """Values outside what their kind can be, crossed, wide and thin books. Off, only what is no number is refused."""
    staleness: bool = True
    """Stamps too old or of the future, and feeds that repeat themselves."""
    quorum: bool = True
    """At least `min_sources` venues before anything is aggregated."""
    weight_cap: bool = True
    outliers: bool = True
    """The MAD band."""
    middle: bool = True
    """The price lies between the middle order statistics of all venues."""
    breaker: bool = True
    """A jump that too few venues share is not believed."""
    extraordinary: bool = True
    """A move that is too large for venues alone waits for a witness, or until it has lasted."""
    cost_to_move: bool = True
    """Volume alone is no witness where a move gains more than it costs."""
    twap: bool = True
    basis: bool = True
    redemption: bool = True
    oracles: bool = True
    levels: bool = True
    """A volatility index, open interest or health that jumps by itself is masked."""
    winsor: bool = True
    """A thin hour that reverts leaves a bounded trace in history."""


class GuardPolicy(Section):
    layers: Layers = Layers()
    min_sources: int = Field(default=3, ge=1)
    max_age_s: Positive
    max_future_s: Positive = 5.0
    max_chain_age_s: Positive
    max_spread: Share = 0.02
    min_depth_usd: float = Field(default=10_000.0, ge=0)
    weight_cap: Share = 0.25
    mad_multiple: Positive = 6.0
    mad_floor_bp: Positive = 20.0
    breaker_per_sqrt_hour: Positive = 0.10
    """A lone venue's jump beyond this times the square root of the hours since it was last accepted is not believed."""
    min_bars: int = Field(default=200, ge=2)
    extraordinary_move: Positive = 0.5
    """Log distance from the half-hour average beyond which venues alone do not vouch for a price: -39 %, +65 %."""
    extraordinary_discount: Positive = 0.2
    """The same against redemption value: a wrapped asset has no reason of its own to move."""
    witness_volume: Positive = 2.0
    """Times the usual volume that an honest jump is made with, at least."""
    cost_multiple: Positive = 1.0
    """A move is cheap where open interest times the move is more than this many times what making it costs."""
    max_twap_gap: Share = 0.05
    max_basis: Share = 0.05
    max_redemption_gap: Share = 0.03
    max_oracle_gap: Share = 0.03
    """Large feeds answer anew at deviations of 0.5 to 1 %."""
    winsor_sigmas: Positive = 4.0
    """Beyond its neighbours, at which an hour that nobody traded on is left out of history."""
