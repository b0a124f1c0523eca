"""The demonstration's account: short volatility, hedged, in every market; and what it must hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from eth_account import Account as Key
from web3 import Web3

from margrave import lanes
from margrave.chain import artifacts
from margrave.chain.deploy import Deployment
from margrave.chain.positions import OptionPosition, demonstration_positions, open_portfolio
from margrave.lab.demo import static_margin
from margrave.lab.demo.blocks import Anvil
from margrave.lab.demo.record import Position
from margrave.lanes import Words
from margrave.messages import EXPIRES_AT_H, ChainState, Surface
from margrave.mirror.clearinghouse import MICRO
from margrave.score.surface import implied_vol
from margrave.settings import MarketSettings
from margrave.spans import DAY_MS, HOUR_MS, YEAR_MS

NOTIONAL_USD: Final = 100_000.0
"""Per market."""
COLLATERAL_USD: Final = 200_000.0
EXPIRY_DAYS: Final = 30
EXPIRY_HOUR_MS: Final = EXPIRES_AT_H * HOUR_MS
"""Listed options expire at 08:00 UTC."""
ACCOUNT_KEY: Final = "0x" + "a1" * 32
MAKER_KEY: Final = "0x" + "b2" * 32
GAS_MONEY_ETHER: Final = 10


class DemoAccount:
    """Trades once, on the first figures that the chain has; afterwards only its requirement is read."""

    def __init__(self, anvil: Anvil, deployment: Deployment, markets: Mapping[str, MarketSettings]) -> None:
        self._anvil, self._deployment = anvil, deployment
        self._ids = {name: market.id for name, market in markets.items()}
        self._names = {market.id: name for name, market in markets.items()}
        self._contract = Web3().eth.contract(
            address=Web3.to_checksum_address(deployment.clearinghouse), abi=artifacts.load("OptionsClearinghouse").abi
        )
        self.positions: tuple[Position, ...] = ()

    async def open(self, state: ChainState, now_ms: int) -> None:
        """Fund the account and its counterparty, and trade at the mark of the words on chain.

        Raises:
            Fatal: the chain refuses, or a market has no figures yet.
        """
        for key in (ACCOUNT_KEY, MAKER_KEY):
            await self._anvil.fund(Key.from_key(key).address, GAS_MONEY_ETHER)
        expiry_ms = (now_ms // DAY_MS + EXPIRY_DAYS) * DAY_MS + EXPIRY_HOUR_MS
        wanted = [
            position
            for id_, market in enumerate(state.markets)
            for position in demonstration_positions(id_, lanes.price_usd(market.words), expiry_ms // 1000, NOTIONAL_USD)
        ]
        await asyncio.to_thread(
            open_portfolio,
            self._anvil.url,
            self._deployment,
            account_private_key=ACCOUNT_KEY,
            maker_private_key=MAKER_KEY,
            collateral_usd=COLLATERAL_USD,
            positions=wanted,
        )
        self.positions = tuple(self._record(position) for position in wanted)

    async def requirement_usd(self, market: str) -> float:
        """Initial margin in this market, as the clearinghouse computes it from the newest words."""
        call = self._contract.functions.requirementOf(Key.from_key(ACCOUNT_KEY).address, self._ids[market])
        data = call._encode_transaction_data()
        answer = await self._anvil.call("eth_call", {"to": self._contract.address, "data": data}, "latest")
        return int(answer[2:66], 16) / MICRO

    def static_requirement_usd(self, market: str, price_usd: float, words: Words, now_ms: int) -> float:
        """Initial margin that the fixed grid asks of the same positions, at the same price and implied volatilities."""
        surface = _surface(words)

        def sigma(strike: float, expiry_ms: int) -> float:
            return implied_vol(surface, price_usd, strike, (expiry_ms - now_ms) / YEAR_MS)

        mine = [position for position in self.positions if position.market == market]
        return static_margin.INITIAL_OVER_MAINTENANCE * static_margin.requirement(mine, price_usd, sigma, now_ms)

    def _record(self, position: OptionPosition) -> Position:
        return Position(
            market=self._names[position.market_id],
            expiry_ms=position.expiry_s * 1000,
            strike=position.strike,
            is_call=position.is_call,
            quantity=position.quantity,
        )


def _surface(words: Words) -> Surface:
    return Surface(
        total_vol_7d=lanes.decode(words, "total_vol_7d"),
        total_vol_30d=lanes.decode(words, "total_vol_30d"),
        total_vol_90d=lanes.decode(words, "total_vol_90d"),
        rho=lanes.decode(words, "ssvi_rho"),
        wing=lanes.decode(words, "ssvi_wing"),
        decay=lanes.decode(words, "ssvi_decay"),
        rmse_vol=0.0,
        quotes_used=0,
    )
