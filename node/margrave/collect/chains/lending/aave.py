"""One Aave deployment, v2 or v3: prices, health and collateral of its borrowers at one block.

Three rounds of multicalls for prices and parameters, two for the accounts: totals and which reserves each uses as
collateral, then the balances of those that are watched. The protocol's own oracle values everything, so that the health
factor and the shares are of one pricing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from margrave.collect.chains.abi import Call, one
from margrave.collect.chains.lending import aave_v2, aave_v3
from margrave.collect.chains.lending.aave_v3 import AccountData, Configuration, Reserve
from margrave.collect.chains.lending.events import Borrowed, Lines, Liquidated
from margrave.collect.chains.lending.health import Position
from margrave.collect.chains.lending.lender import by_market, feed_usd, merged
from margrave.collect.chains.lending.window import Value
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import given
from margrave.errors import Rejected
from margrave.verdicts import Rejection

PROVIDER_V2: Final[Call[str]] = Call("getAddressesProvider()", "(address)", one)
WEI: Final = 10**18
NO_DEBT: Final = 2**255
"""Health factors from here on are «infinite»."""


class AaveLender:
    """Aave.

    Args:
        pool: the (Lending)Pool.
        assets: reserve -> market, of what is watched as collateral.
        dollar_feed: of the oracle's base currency, where that is not the dollar (v2 on Ethereum: ether).
    """

    def __init__(self, *, version: int, pool: str, assets: Mapping[str, str], dollar_feed: str | None = None) -> None:
        self.name = aave_v3.NAME if version == 3 else aave_v2.NAME
        self.markets = by_market(assets)
        self._is_v3 = version == 3
        self._pool = pool
        self._assets = dict(assets)
        self._dollar_feed = dollar_feed
        self._addresses = frozenset({pool})
        self._reserves: dict[str, Reserve] = {}
        self._configurations: dict[str, Configuration] = {}
        self._prices_usd: dict[str, float] = {}
        self._base_unit_usd = 0.0
        module = aave_v3 if self._is_v3 else aave_v2
        self._lines = merged([module.POOL_LINES, module.CHANGE_LINES])

    @property
    def lines(self) -> Lines:
        return self._lines

    @property
    def addresses(self) -> frozenset[str]:
        return self._addresses

    def key(self, borrowed: Borrowed) -> str:
        return borrowed.account

    async def prepare(self, sweep: Sweep) -> None:
        first: list[Any] = await sweep.ask([Question(self._pool, aave_v3.PROVIDER if self._is_v3 else PROVIDER_V2)])
        provider = given(first[0])
        seats: list[Any] = await sweep.ask(
            [
                Question(provider, aave_v3.ORACLE),
                Question(provider, aave_v3.CONFIGURATOR if self._is_v3 else aave_v2.CONFIGURATOR),
            ]
        )
        oracle = given(seats[0])
        self._addresses = frozenset({self._pool, oracle, given(seats[1])})
        data = aave_v3.RESERVE_DATA if self._is_v3 else aave_v2.RESERVE_DATA
        read: list[Any] = await sweep.ask(
            [Question(oracle, aave_v3.BASE_UNIT)]
            + [Question(self._pool, data, (asset,)) for asset in self._assets]
            + [Question(oracle, aave_v3.PRICE, (asset,)) for asset in self._assets]
        )
        count = len(self._assets)
        reserves = {a: given(r) for a, r in zip(self._assets, read[1 : count + 1], strict=True)}
        prices = {a: given(p) for a, p in zip(self._assets, read[count + 1 :], strict=True)}
        self._base_unit_usd = await self._dollars(sweep, read[0])
        self._configurations = {a: aave_v3.configuration(reserve.configuration) for a, reserve in reserves.items()}
        self._reserves = reserves
        self._prices_usd = {a: self._price_usd(a, price) for a, price in prices.items()}

    async def positions(self, sweep: Sweep, keys: Sequence[str]) -> tuple[dict[str, Position], list[Rejected]]:
        totals: list[Any] = await sweep.ask(
            [
                Question(self._pool, call, (account,))
                for account in keys
                for call in (aave_v3.ACCOUNT_DATA, aave_v3.USER_CONFIGURATION)
            ]
        )
        refused: list[Rejected] = []
        debtors: dict[str, AccountData] = {}
        wanted: list[tuple[str, str]] = []
        read: dict[str, Position] = {}
        for account, data, used in zip(keys, totals[::2], totals[1::2], strict=True):
            if isinstance(data, Rejected) or isinstance(used, Rejected):
                refused.append(data if isinstance(data, Rejected) else used)
            elif data.debt == 0:
                read[account] = Position(account, math.inf, 0.0)
            else:
                debtors[account] = data
                wanted += [
                    (account, asset)
                    for asset, reserve in self._reserves.items()
                    if aave_v3.used_as_collateral(used, reserve.id)
                ]
        answers: list[Any] = await sweep.ask(
            [Question(self._reserves[asset].a_token, aave_v3.BALANCE, (account,)) for account, asset in wanted]
        )
        held: dict[str, dict[str, float]] = {account: {} for account in debtors}
        for (account, asset), balance in zip(wanted, answers, strict=True):
            if isinstance(balance, Rejected):
                refused.append(balance)
            else:
                held[account][asset] = self._worth(asset, balance)
        return read | {a: self._position(a, data, held[a]) for a, data in debtors.items()}, refused

    def value(self, liquidated: Liquidated) -> Value:
        return Value(
            self._assets.get(liquidated.collateral),
            self._assets.get(liquidated.debt),
            self._worth(liquidated.collateral, liquidated.collateral_amount),
            self._worth(liquidated.debt, liquidated.debt_amount),
        )

    def _position(self, account: str, data: AccountData, held: dict[str, float]) -> Position:
        health = math.inf if data.health_wad >= NO_DEBT else data.health_wad / WEI
        total_usd = data.collateral * self._base_unit_usd
        # Balances and totals are of one block and one oracle; what rounding makes of the difference is not a holding.
        other_usd = max(total_usd - sum(held.values()), 0.0)
        return Position(account, health, data.debt * self._base_unit_usd, held, other_usd)

    def _worth(self, asset: str, amount: int) -> float:
        """Dollars; 0 for an asset that is not watched, which no market counts."""
        if asset not in self._prices_usd:
            return 0.0
        return float(amount / 10 ** self._configurations[asset].decimals * self._prices_usd[asset])

    def _price_usd(self, asset: str, price: int) -> float:
        if price <= 0:
            raise Rejected(Rejection.NOT_POSITIVE, f"{self.name}: the oracle says {price} for {asset}")
        return price * self._base_unit_usd

    async def _dollars(self, sweep: Sweep, base_unit: int | Rejected) -> float:
        """Dollars of the oracle's smallest unit. Older oracles do not state theirs: it is a wei."""
        unit = WEI if isinstance(base_unit, Rejected) else base_unit
        if self._dollar_feed is not None:
            return await feed_usd(sweep, self._dollar_feed) / unit
        if isinstance(base_unit, Rejected) or unit == WEI:
            raise Rejected(
                Rejection.OUT_OF_RANGE,
                f"{self.name}: the oracle of {self._pool} does not answer in dollars",
                advice="set dollar_feed of this table to the Chainlink feed of its base currency",
            )
        return 1.0 / unit
