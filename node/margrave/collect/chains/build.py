"""From the tables of [chains] to running watches: the one place that knows every kind of watcher."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from margrave.chain.rpc import Rpc
from margrave.collect.board import Board
from margrave.collect.chains.checkpoint import CheckpointFile
from margrave.collect.chains.endpoint import Endpoint
from margrave.collect.chains.lending.aave import AaveLender
from margrave.collect.chains.lending.compound import CompoundV2Lender, CompoundV3Lender
from margrave.collect.chains.lending.lender import Lender
from margrave.collect.chains.lending.morpho_blue import MorphoLender
from margrave.collect.chains.lending.watcher import LendingWatcher
from margrave.collect.chains.markets import known_markets, market_watchers
from margrave.collect.chains.protocol import ProtocolWatcher
from margrave.collect.chains.provider import BoundedProvider
from margrave.collect.chains.reader import Reader
from margrave.collect.chains.watch import ChainWatch, Watcher
from margrave.collect.source import Clock
from margrave.errors import Fatal
from margrave.settings import ChainSettings, LendingSettings, WatchedChainSettings

PROTOCOL_REQUESTS_PER_MINUTE: Final = 6_000.0
"""A book of many accounts takes hundreds of calls at once, of endpoints that are the operator's."""
CHECKPOINTS: Final = "chains"
"""Folder in `state_dir`."""


def watches(
    chains: Mapping[str, WatchedChainSettings],
    markets: Collection[str],
    *,
    board: Board,
    clock: Clock,
    state_dir: Path | None,
) -> list[ChainWatch]:
    """One watch a table. Nothing is asked yet: a chain that is down is no reason not to start.

    Args:
        state_dir: where checkpoints are kept; `None` keeps none.

    Raises:
        Fatal: a table names a market that is not in markets.toml, or two are of one chain.
    """
    ids = [settings.chain_id for settings in chains.values()]
    if repeated := sorted({chain_id for chain_id in ids if ids.count(chain_id) > 1}):
        raise Fatal(f"two tables of [chains] have chain_id {repeated[0]}", advice="make them one, with both lists")
    return [_watch(name, chains[name], markets, board, clock, state_dir) for name in chains]


def _watch(
    name: str,
    settings: WatchedChainSettings,
    markets: Collection[str],
    board: Board,
    clock: Clock,
    state_dir: Path | None,
) -> ChainWatch:
    rpc = Rpc(settings, provider=BoundedProvider)
    reader = Reader(
        _endpoints(rpc, clock, settings.requests_per_minute, settings.timeout_s),
        chain_id=settings.chain_id,
        finality_blocks=settings.finality_blocks,
        witnesses=settings.witnesses,
    )
    watchers: list[Watcher] = [
        *(_lending(f"[[chains.{name}.lending]]", table, settings.chain_id, markets) for table in settings.lending),
        *market_watchers(f"chains.{name}", settings, markets),
    ]
    checkpoint = state_dir and CheckpointFile(
        state_dir / CHECKPOINTS / f"{settings.chain_id}.checkpoint", settings.chain_id
    )
    return ChainWatch(
        name=name,
        chain_id=settings.chain_id,
        reader=reader,
        watchers=distinct(watchers),
        board=board,
        clock=clock,
        checkpoint=checkpoint or None,
        every_s=settings.every_s,
        close=rpc.aclose,
    )


def protocol_watch(
    rpc: Rpc,
    settings: ChainSettings,
    clearinghouse: str,
    markets: Sequence[str],
    *,
    every_s: float,
    board: Board,
    clock: Clock,
) -> ChainWatch:
    """The options protocol's own book, over the endpoints that the node publishes through, which stay its own."""
    endpoints = _endpoints(rpc, clock, PROTOCOL_REQUESTS_PER_MINUTE, settings.timeout_s)
    watcher = ProtocolWatcher(chain_id=settings.chain_id, clearinghouse=clearinghouse, markets=markets)
    return ChainWatch(
        name="chain",
        chain_id=settings.chain_id,
        reader=Reader(endpoints, chain_id=settings.chain_id, finality_blocks=settings.confirmations),
        watchers=(watcher,),
        board=board,
        clock=clock,
        every_s=every_s,
    )


def _endpoints(rpc: Rpc, clock: Clock, requests_per_minute: float, timeout_s: float) -> list[Endpoint]:
    return [
        Endpoint(url, provider, clock=clock, requests_per_minute=requests_per_minute, timeout_s=timeout_s)
        for url, provider in rpc.providers
    ]


def distinct(watchers: Sequence[Watcher]) -> Sequence[Watcher]:
    """Raises `Fatal` where two would speak as one source: the board would keep only one of them."""
    sources = [watcher.source for watcher in watchers]
    if repeated := sorted({source for source in sources if sources.count(source) > 1}):
        raise Fatal(f"two tables are both {repeated[0]}", advice="give one of them a name of its own")
    return watchers


def _lending(where: str, table: LendingSettings, chain_id: int, markets: Collection[str]) -> LendingWatcher:
    known_markets(where, table.assets.values(), markets)
    return LendingWatcher(
        _lender(table),
        chain_id=chain_id,
        name=table.name or table.protocol,
        most_accounts=table.accounts,
        every_s=table.every_s,
        history_s=table.history_s,
    )


def _lender(table: LendingSettings) -> Lender:
    match table.protocol:
        case "aave_v2" | "aave_v3":
            version = 3 if table.protocol == "aave_v3" else 2
            return AaveLender(version=version, pool=table.address, assets=table.assets, dollar_feed=table.dollar_feed)
        case "compound_v2":
            return CompoundV2Lender(comptroller=table.address, assets=table.assets)
        case "compound_v3":
            return CompoundV3Lender(comet=table.address, assets=table.assets, dollar_feed=table.dollar_feed)
        case "morpho":
            return MorphoLender(address=table.address, assets=table.assets, dollar_feed=table.dollar_feed)
