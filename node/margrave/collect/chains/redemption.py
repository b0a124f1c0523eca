"""What an issuer gives for one unit of a wrapped or yield-bearing asset: the anchor that its market price is held
against.

Wrapped stakes and vault shares are worth a rate times what they are redeemed in. On 10 October 2025 a venue priced
wBETH at a tenth of it and liquidated against that price; nobody who had looked at the rate would have.

The rate itself can be pushed: shares of a vault are worth more after a donation (Cream's yUSD doubled in October
2021). A rate accrues slowly, so one that moves faster than any yield is not believed at once, in either direction; the
longer it stands, the more of a move is allowed, and a slashing or a genuine payout is in within days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from margrave.collect.chains.abi import Call, one
from margrave.collect.chains.answers import DECIMALS, Feed, chainlink_answers
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import ReadsOnly, Speaker, given
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.mirror.fixed_point import WAD
from margrave.spans import DAY_S
from margrave.verdicts import Rejection

RATES: Final = (0.01, 1_000.0)
"""Units of the underlying for one of the asset; beyond, decimals were mistaken."""
MOVE_A_DAY: Final = 0.01
"""Of a rate: some thirty times what staking pays in a day."""
MOVE_AT_ONCE: Final = 0.002


class Rate(StrEnum):
    """How an asset is asked for its rate; all but vaults answer with 18 decimals."""

    WSTETH = "stEthPerToken"
    GET_EXCHANGE_RATE = "getExchangeRate"  # rETH
    EXCHANGE_RATE = "exchangeRate"  # cbETH, wBETH
    GET_RATE = "getRate"  # weETH, rsETH, and Balancer's rate providers
    ERC4626 = "convertToAssets"  # vaults: sDAI, sUSDe, sfrxETH


CONVERT_TO_ASSETS: Final[Call[int]] = Call("convertToAssets(uint256)", "(uint256)", one)
ASSET: Final[Call[str]] = Call("asset()", "(address)", one)
_WAD_RATES: Final[dict[Rate, Call[int]]] = {
    rate: Call(f"{rate.value}()", "(uint256)", one) for rate in Rate if rate is not Rate.ERC4626
}


def vault_rate(assets: int, *, asset_decimals: int) -> float:
    """Units of the underlying for one whole share, from `convertToAssets(10^decimals of the share)`."""
    return checked_rate(assets / 10**asset_decimals)


def checked_rate(rate: float) -> float:
    if not RATES[0] <= rate <= RATES[1]:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a rate of {rate:g} is outside [{RATES[0]:g}, {RATES[1]:g}]")
    return rate


def check_pace(before: float, before_s: int, rate: float, now_s: int) -> None:
    """Raise where a rate has moved faster than any yield since it was last believed.

    Raises:
        Rejected: `BREAKER`, with the move and what is allowed by now.
    """
    allowed = MOVE_AT_ONCE + MOVE_A_DAY * max(now_s - before_s, 0) / DAY_S
    if (moved := abs(rate / before - 1)) > allowed:
        raise Rejected(
            Rejection.BREAKER, f"the rate went from {before:.6g} to {rate:.6g}, {moved:.2%}; {allowed:.2%} is believed"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemable:
    """One wrapped or yield asset."""

    market: str
    address: str
    rate: Rate
    dollar_feed: str | None = None
    """Chainlink's feed of what it is redeemed in; `None` where that is a dollar."""
    feed_max_age_s: float = 4_500.0


@dataclass(slots=True, kw_only=True)
class RedemptionWatcher(ReadsOnly):
    """Redemption values of some assets at the sweep's block."""

    chain_id: int
    assets: Sequence[Redeemable]
    every_s: float = 300.0
    _believed: dict[str, tuple[float, int]] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return f"redemption:{self.chain_id}"

    async def read(self, sweep: Sweep, seen_ms: int) -> list[Item]:
        rates = await self._rates(sweep)
        addresses = list(dict.fromkeys(asset.dollar_feed for asset in self.assets if asset.dollar_feed is not None))
        ages = {asset.dollar_feed: asset.feed_max_age_s for asset in self.assets}
        feeds = [Feed(market="", address=address, max_age_s=ages[address]) for address in addresses]
        dollars = dict(zip(addresses, await chainlink_answers(sweep, feeds), strict=True))
        items: list[Item] = []
        for asset, rate in zip(self.assets, rates, strict=True):
            speaker = Speaker(self.source, sweep.block.time_ms, seen_ms, asset.market, asset.address)
            try:
                usd, usd_s = (
                    (1.0, speaker.venue_ms // 1000) if asset.dollar_feed is None else given(dollars[asset.dollar_feed])
                )
                value = self._believe(asset, given(rate), sweep.block.time_ms // 1000) * usd
            except Rejected as rejected:
                items.append(speaker.refusal(Kind.REDEMPTION_VALUE.value, rejected))
            else:
                items.append(replace(speaker, venue_ms=usd_s * 1000).scalar(Kind.REDEMPTION_VALUE, value))
        return items

    def _believe(self, asset: Redeemable, rate: float, now_s: int) -> float:
        if (held := self._believed.get(asset.address)) is not None:
            check_pace(*held, rate, now_s)
        self._believed[asset.address] = (rate, now_s)
        return rate

    async def _rates(self, sweep: Sweep) -> list[float | Rejected]:
        """One for each asset: of wad rates at once, of vaults by way of their decimals."""
        first: list[Any] = []
        for asset in self.assets:
            call = _WAD_RATES.get(asset.rate)
            first += (
                [Question(asset.address, call)] if call else [Question(asset.address, c) for c in (DECIMALS, ASSET)]
            )
        answers = iter(await sweep.ask(first))
        told = [(next(answers), None if asset.rate in _WAD_RATES else next(answers)) for asset in self.assets]
        second: list[Any] = []
        for asset, (decimals, underlying) in zip(self.assets, told, strict=True):
            if isinstance(decimals, int) and isinstance(underlying, str):
                second.append(Question(asset.address, CONVERT_TO_ASSETS, (10 ** min(decimals, 36),)))
                second.append(Question(underlying, DECIMALS))
        more = iter(await sweep.ask(second) if second else [])
        return [_rate(answer, underlying, more) for answer, underlying in told]


def _rate(answer: Any, underlying: Any, more: Any) -> float | Rejected:
    try:
        if underlying is None:
            return checked_rate(given(answer) / WAD)
        given(answer)
        given(underlying)
        assets, decimals = next(more), next(more)
        return vault_rate(given(assets), asset_decimals=given(decimals))
    except Rejected as rejected:
        return rejected
