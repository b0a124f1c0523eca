"""Watchers of everything that is about markets rather than lending: pools, other oracles, stablecoins, and the like.

Each kind of table makes one watcher a chain, however many entries it has: all of them are read in the same multicalls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from margrave.collect.chains.answers import ChainlinkWatcher, Feed, PythWatcher
from margrave.collect.chains.fees import FeeWatcher
from margrave.collect.chains.governance import GovernanceWatcher
from margrave.collect.chains.pools.curve import Basket, CurveWatcher
from margrave.collect.chains.pools.uniswap_v4 import PoolKey
from margrave.collect.chains.pools.watcher import Layout, PoolWatcher, Watched
from margrave.collect.chains.redemption import Rate, Redeemable, RedemptionWatcher
from margrave.collect.chains.stablecoins import StablecoinWatcher, Token
from margrave.collect.chains.watch import Watcher
from margrave.errors import Fatal
from margrave.messages import EVERY_MARKET, Kind
from margrave.watching import FeedSettings, PoolSettings, PythSettings, RedemptionSettings, WatchedChainSettings


def market_watchers(where: str, settings: WatchedChainSettings, markets: Collection[str]) -> Iterator[Watcher]:
    """One watcher for each kind of table that has entries.

    Raises:
        Fatal: an entry names a market that nobody scores (`*` is for pegs: all), or two are of one pool.
    """
    for table in ("pools", "curve", "chainlink", "pyth", "redemptions"):
        entries = getattr(settings, table)
        named = {
            entry.market for entry in entries if not (entry.market == EVERY_MARKET and getattr(entry, "peg", False))
        }
        known_markets(f"[[{where}.{table}]]", named, markets)
    for table in ("stablecoins", "governance"):
        named = {market for entry in getattr(settings, table) for market in entry.markets}
        known_markets(f"[[{where}.{table}]]", named, markets)
    chain_id = settings.chain_id
    if settings.pools:
        yield PoolWatcher(chain_id=chain_id, pools=_pools(where, settings.pools))
    if settings.curve:
        baskets = [
            Basket(
                market=table.market,
                address=table.address,
                base_coin=table.base_coin,
                quote_coin=table.quote_coin,
                peg=table.peg,
            )
            for table in settings.curve
        ]
        yield CurveWatcher(chain_id=chain_id, pools=baskets)
    if settings.chainlink:
        feeds = [_feed(table) for table in settings.chainlink]
        yield ChainlinkWatcher(chain_id=chain_id, feeds=feeds, sequencer=settings.sequencer)
    if settings.pyth:
        yield PythWatcher(chain_id=chain_id, feeds=[_feed(table) for table in settings.pyth])
    if settings.stablecoins:
        tokens = [Token(address=table.address, markets=table.markets) for table in settings.stablecoins]
        yield StablecoinWatcher(chain_id=chain_id, tokens=tokens, finality_blocks=settings.finality_blocks)
    if settings.redemptions:
        yield RedemptionWatcher(chain_id=chain_id, assets=[_redeemable(table) for table in settings.redemptions])
    if settings.governance:
        contracts = {table.address: table.markets for table in settings.governance}
        yield GovernanceWatcher(chain_id=chain_id, contracts=contracts)
    if settings.fees:
        yield FeeWatcher(chain_id=chain_id)


def known_markets(where: str, named: Iterable[str], markets: Collection[str]) -> None:
    """Raises `Fatal` for a market that nobody scores: a typing error would leave it unwatched in silence."""
    if unknown := sorted(set(named) - set(markets)):
        raise Fatal(f"{where}: {unknown[0]} is not in markets.toml", advice=f"use one of {', '.join(sorted(markets))}")


def _pools(where: str, tables: Iterable[PoolSettings]) -> list[Watched]:
    pools = [_pool(table) for table in tables]
    instruments = [pool.instrument for pool in pools]
    if repeated := sorted({each for each in instruments if instruments.count(each) > 1}):
        raise Fatal(f"[[{where}.pools]]: {repeated[0]} is there twice", advice="remove one of them")
    return pools


def _pool(table: PoolSettings) -> Watched:
    told = table.key
    key = told and PoolKey(told.currency0, told.currency1, told.fee, told.tick_spacing, told.hooks)
    return Watched(
        market=table.market,
        layout=Layout(table.layout),
        address=table.address,
        base_token=table.base_token,
        key=key or None,
        from_storage=table.from_storage,
        fee_per_myriad=table.fee_per_myriad,
        dollar_feed=table.dollar_feed,
        feed_max_age_s=table.feed_max_age_s,
        peg=table.peg,
    )


def _feed(table: FeedSettings | PythSettings) -> Feed:
    kind = Kind.PEG if table.peg else Kind.ORACLE_PRICE
    if isinstance(table, FeedSettings):
        return Feed(market=table.market, address=table.address, max_age_s=table.max_age_s, kind=kind)
    return Feed(
        market=table.market,
        address=table.address,
        max_age_s=table.max_age_s,
        id=bytes.fromhex(table.id.removeprefix("0x")),
        max_confidence=table.max_confidence,
        kind=kind,
    )


def _redeemable(table: RedemptionSettings) -> Redeemable:
    return Redeemable(
        market=table.market,
        address=table.address,
        rate=Rate(table.rate),
        dollar_feed=table.dollar_feed,
        feed_max_age_s=table.feed_max_age_s,
    )
