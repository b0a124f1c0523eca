"""One Compound deployment: the v2 Comptroller with its cTokens, or one v3 Comet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from margrave.collect.chains.lending import compound_v2, compound_v3
from margrave.collect.chains.lending.events import Borrowed, Lines, Liquidated
from margrave.collect.chains.lending.health import Position
from margrave.collect.chains.lending.lender import by_market, feed_usd, merged
from margrave.collect.chains.lending.window import Value
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import given
from margrave.errors import Rejected
from margrave.verdicts import Rejection


class CompoundV2Lender:
    """Args:
    comptroller: its address.
    assets: cToken -> market, of what is watched as collateral.
    """

    name = compound_v2.NAME

    def __init__(self, *, comptroller: str, assets: Mapping[str, str]) -> None:
        self.markets = by_market(assets)
        self._comptroller = comptroller
        self._assets = dict(assets)
        self._addresses = frozenset({comptroller, *assets})
        self._listed: dict[str, compound_v2.Market] = {}
        self._rates: dict[str, int] = {}
        self._lines = merged([compound_v2.POOL_LINES, compound_v2.CHANGE_LINES])

    @property
    def lines(self) -> Lines:
        return self._lines

    @property
    def addresses(self) -> frozenset[str]:
        return self._addresses

    def key(self, borrowed: Borrowed) -> str:
        return borrowed.account

    async def prepare(self, sweep: Sweep) -> None:
        first: list[Any] = await sweep.ask(
            [Question(self._comptroller, compound_v2.MARKETS), Question(self._comptroller, compound_v2.ORACLE)]
        )
        tokens, oracle = given(first[0]), given(first[1])
        questions: list[Question[Any]] = []
        for token in tokens:
            questions += [
                Question(self._comptroller, compound_v2.MARKET, (token,)),
                Question(oracle, compound_v2.PRICE, (token,)),
                Question(token, compound_v2.EXCHANGE_RATE),
            ]
        read: list[Any] = await sweep.ask(questions)
        listed: dict[str, compound_v2.Market] = {}
        rates: dict[str, int] = {}
        for at, token in enumerate(tokens):
            factor, price, rate = read[3 * at : 3 * at + 3]
            # A market whose price is gone makes the accounts in it unreadable, not all the others.
            if not any(isinstance(answer, Rejected) for answer in (factor, price, rate)):
                listed[token] = compound_v2.Market(price, factor)
                rates[token] = rate
        if not listed:
            raise Rejected(Rejection.EMPTY, f"{self.name}: no market of {self._comptroller} can be priced")
        self._listed, self._rates = listed, rates
        self._addresses = frozenset({self._comptroller, *self._assets, *tokens})

    async def positions(self, sweep: Sweep, keys: Sequence[str]) -> tuple[dict[str, Position], list[Rejected]]:
        entered: list[Any] = await sweep.ask(
            [Question(self._comptroller, compound_v2.ASSETS_IN, (account,)) for account in keys]
        )
        refused = [answer for answer in entered if isinstance(answer, Rejected)]
        pairs = [
            (account, token)
            for account, tokens in zip(keys, entered, strict=True)
            if not isinstance(tokens, Rejected)
            for token in tokens
        ]
        answers: list[Any] = await sweep.ask(
            [Question(token, compound_v2.SNAPSHOT, (account,)) for account, token in pairs]
        )
        snapshots: dict[str, dict[str, compound_v2.Snapshot]] = {
            account: {} for account, tokens in zip(keys, entered, strict=True) if not isinstance(tokens, Rejected)
        }
        for (account, token), answer in zip(pairs, answers, strict=True):
            if isinstance(answer, Rejected):
                refused.append(answer)
                snapshots.pop(account, None)  # half an account has no health
            elif account in snapshots:
                snapshots[account][token] = answer
        read: dict[str, Position] = {}
        for account, mine in snapshots.items():
            try:
                read[account] = compound_v2.position(account, mine, self._listed, frozenset(self._assets))
            except Rejected as rejected:
                refused.append(rejected)
        return read, refused

    def value(self, liquidated: Liquidated) -> Value:
        return Value(
            self._assets.get(liquidated.collateral),
            self._assets.get(liquidated.debt),
            self._worth(
                liquidated.collateral,
                liquidated.collateral_amount * self._rates.get(liquidated.collateral, 0) // compound_v2.MANTISSA,
            ),
            self._worth(liquidated.debt, liquidated.debt_amount),
        )

    def _worth(self, token: str, underlying: int) -> float:
        market = self._listed.get(token)
        return 0.0 if market is None else underlying * market.price / 1e36


class CompoundV3Lender:
    """Args:
    comet: one market's address.
    assets: collateral -> market; the base token too, where its debt is to be told.
    dollar_feed: where the market's feeds are not in dollars (the ether market).
    """

    name = compound_v3.NAME

    def __init__(self, *, comet: str, assets: Mapping[str, str], dollar_feed: str | None = None) -> None:
        self.markets = by_market(assets)
        self._comet = comet
        self._assets = dict(assets)
        self._dollar_feed = dollar_feed
        self._listed: dict[str, compound_v3.Asset] = {}
        self._prices_usd: dict[str, float] = {}
        self._base_token = ""
        self._base_unit_usd = 0.0
        self._unit_usd = 1.0
        self._lines = merged([compound_v3.POOL_LINES, compound_v3.CHANGE_LINES])

    @property
    def lines(self) -> Lines:
        return self._lines

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset({self._comet})

    def key(self, borrowed: Borrowed) -> str:
        return borrowed.account

    async def prepare(self, sweep: Sweep) -> None:
        calls = (compound_v3.ASSET_COUNT, compound_v3.BASE_FEED, compound_v3.BASE_SCALE, compound_v3.BASE_TOKEN)
        first: list[Any] = await sweep.ask([Question(self._comet, call) for call in calls])
        count, base_feed, base_scale, base_token = (given(answer) for answer in first)
        infos: list[Any] = await sweep.ask([Question(self._comet, compound_v3.ASSET, (at,)) for at in range(count)])
        listed = {info.asset: info for info in map(given, infos)}
        feeds = (base_feed, *(info.feed for info in listed.values()))
        prices: list[Any] = await sweep.ask([Question(self._comet, compound_v3.PRICE, (feed,)) for feed in feeds])
        self._unit_usd = 1.0 if self._dollar_feed is None else await feed_usd(sweep, self._dollar_feed)
        scale = self._unit_usd / compound_v3.PRICE_UNIT
        base_price, *asset_prices = (given(price) for price in prices)
        if min(base_price, *asset_prices, base_scale) <= 0:
            raise Rejected(Rejection.NOT_POSITIVE, f"{self.name}: {self._comet} has a price of zero")
        self._base_unit_usd = base_price * scale / base_scale
        self._prices_usd = {asset: price * scale for asset, price in zip(listed, asset_prices, strict=True)}
        self._listed, self._base_token = listed, base_token

    async def positions(self, sweep: Sweep, keys: Sequence[str]) -> tuple[dict[str, Position], list[Rejected]]:
        debts: list[Any] = await sweep.ask([Question(self._comet, compound_v3.DEBT, (account,)) for account in keys])
        refused = [answer for answer in debts if isinstance(answer, Rejected)]
        owed = {a: d for a, d in zip(keys, debts, strict=True) if not isinstance(d, Rejected)}
        pairs = [(account, asset) for account, debt in owed.items() if debt for asset in self._listed]
        answers: list[Any] = await sweep.ask([Question(self._comet, compound_v3.COLLATERAL, pair) for pair in pairs])
        balances: dict[str, dict[str, int]] = {account: {} for account in owed}
        for (account, asset), balance in zip(pairs, answers, strict=True):
            if isinstance(balance, Rejected):
                refused.append(balance)
                balances.pop(account, None)
            elif account in balances:
                balances[account][asset] = balance
        watched = frozenset(self._assets)
        return {
            account: compound_v3.position(
                account, owed[account] * self._base_unit_usd, mine, self._listed, self._prices_usd, watched
            )
            for account, mine in balances.items()
        }, refused

    def value(self, liquidated: Liquidated) -> Value:
        """As the event states it: Comet values what it absorbs."""
        usd = (liquidated.usd or 0.0) * self._unit_usd
        if liquidated.collateral:
            return Value(self._assets.get(liquidated.collateral), None, usd, 0.0)
        return Value(None, self._assets.get(self._base_token), 0.0, usd)
