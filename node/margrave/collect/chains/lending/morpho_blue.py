"""Morpho Blue's isolated markets, those that are watched: each account in each market is a position of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from margrave.collect.chains.answers import DECIMALS
from margrave.collect.chains.lending import morpho
from margrave.collect.chains.lending.events import Borrowed, Lines, Liquidated
from margrave.collect.chains.lending.health import Position
from margrave.collect.chains.lending.lender import by_market, feed_usd, merged
from margrave.collect.chains.lending.window import Value
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import given
from margrave.errors import Rejected
from margrave.verdicts import Rejection

AT: Final = "@"
"""Between an account and its market id, in a key."""


class MorphoLender:
    """Args:
    address: the singleton.
    assets: market id (0x and 64 digits) -> market.
    dollar_feed: of the loan token; without one the loans are dollars themselves.
    """

    name = morpho.NAME

    def __init__(self, *, address: str, assets: Mapping[str, str], dollar_feed: str | None = None) -> None:
        self._address = address
        self._market_of = {bytes.fromhex(key.removeprefix("0x")): market for key, market in assets.items()}
        self.markets: dict[str, list[str]] = by_market(assets)
        self._dollar_feed = dollar_feed
        self._params: dict[bytes, morpho.Params] = {}
        self._states: dict[bytes, morpho.Market] = {}
        self._prices: dict[bytes, int] = {}
        self._unit_usd: dict[bytes, float] = {}
        self._lines = merged([morpho.POOL_LINES, morpho.CHANGE_LINES])

    @property
    def lines(self) -> Lines:
        return self._lines

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset({self._address})

    def key(self, borrowed: Borrowed) -> str:
        """Empty for a market that is not watched."""
        return f"{borrowed.account}{AT}0x{borrowed.market.hex()}" if borrowed.market in self._market_of else ""

    async def prepare(self, sweep: Sweep) -> None:
        ids = list(self._market_of)
        first: list[Any] = await sweep.ask(
            [Question(self._address, call, (id_,)) for id_ in ids for call in (morpho.PARAMS, morpho.MARKET)]
        )
        params: dict[bytes, morpho.Params] = {id_: given(p) for id_, p in zip(ids, first[::2], strict=True)}
        for id_, found in params.items():
            # The id is the hash of the parameters: an endpoint cannot make up either.
            if found.id != id_:
                raise Rejected(Rejection.WRONG_INSTRUMENT, f"morpho market 0x{id_.hex()[:12]} does not exist")
        second: list[Any] = await sweep.ask(
            [
                question
                for id_ in ids
                for question in (
                    Question(params[id_].oracle, morpho.PRICE),
                    Question(params[id_].loan, DECIMALS),
                )
            ]
        )
        loan_usd = 1.0 if self._dollar_feed is None else await feed_usd(sweep, self._dollar_feed)
        self._params = params
        self._states = {id_: given(s) for id_, s in zip(ids, first[1::2], strict=True)}
        self._prices = {id_: given(p) for id_, p in zip(ids, second[::2], strict=True)}
        self._unit_usd = {id_: loan_usd / 10 ** given(d) for id_, d in zip(ids, second[1::2], strict=True)}

    async def positions(self, sweep: Sweep, keys: Sequence[str]) -> tuple[dict[str, Position], list[Rejected]]:
        pairs = [(key.partition(AT)[0], bytes.fromhex(key.partition(AT)[2].removeprefix("0x"))) for key in keys]
        answers: list[Any] = await sweep.ask(
            [Question(self._address, morpho.POSITION, (id_, account)) for account, id_ in pairs]
        )
        read: dict[str, Position] = {}
        refused: list[Rejected] = []
        for key, (account, id_), held in zip(keys, pairs, answers, strict=True):
            try:
                position = morpho.position(
                    account,
                    given(held),
                    self._states[id_],
                    self._params[id_],
                    self._prices[id_],
                    self._unit_usd[id_],
                )
            except Rejected as rejected:
                refused.append(rejected)
            else:
                worth = position.collateral_usd[self._params[id_].collateral]
                # One collateral token may back several markets of ours: the id tells them apart.
                read[key] = Position(account, position.health, position.debt_usd, {"0x" + id_.hex(): worth})
        return read, refused

    def value(self, liquidated: Liquidated) -> Value:
        id_ = liquidated.market
        unit_usd = self._unit_usd.get(id_, 0.0)
        worth = liquidated.collateral_amount * self._prices.get(id_, 0) // morpho.ORACLE_SCALE
        return Value(self._market_of.get(id_), None, worth * unit_usd, liquidated.debt_amount * unit_usd)
