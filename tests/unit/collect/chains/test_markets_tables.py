"""The tables of [chains] about markets, as an operator writes them."""

from __future__ import annotations

import tomllib

import pytest

from margrave.collect.chains.markets import market_watchers
from margrave.collect.chains.pools.watcher import PoolWatcher
from margrave.collect.chains.redemption import Rate
from margrave.errors import Fatal
from margrave.settings import PROJECT_ROOT, WatchedChainSettings

MARKETS = ("BTC", "ETH", "WSTETH")
PAGE = PROJECT_ROOT / "docs" / "chains.md"


def documented() -> WatchedChainSettings:
    text = PAGE.read_text().partition("```toml\n")[2].partition("```")[0]
    return WatchedChainSettings.model_validate(tomllib.loads(text)["chains"]["ethereum"])


def test_the_documented_tables_are_watchers() -> None:
    watchers = {watcher.source: watcher for watcher in market_watchers("chains.ethereum", documented(), MARKETS)}
    assert set(watchers) == {
        f"{kind}:1" for kind in ("pools", "curve", "chainlink", "stablecoins", "redemption", "governance", "fees")
    }
    pools = watchers["pools:1"]
    assert isinstance(pools, PoolWatcher)
    # The id by which Uniswap itself lists ETH/USDC 0.05 %.
    assert pools.pools[1].instrument == "0x21c67e77068de97969ba93d4aab21826d33ca12bb9f565d8496e8fda8a82ca27"


def test_a_market_that_nobody_scores_is_one_clear_line() -> None:
    with pytest.raises(
        Fatal, match=r"\[\[chains\.ethereum\.redemptions\]\]: WSTETH is not in markets\.toml — use one of"
    ):
        list(market_watchers("chains.ethereum", documented(), ("BTC", "ETH")))


def test_an_empty_table_of_a_chain_watches_nothing() -> None:
    assert list(market_watchers("chains.x", WatchedChainSettings(rpc=["http://x"], chain_id=1), MARKETS)) == []


def test_every_way_of_asking_for_a_rate_can_be_written_down() -> None:
    for rate in Rate:
        table = {"market": "ETH", "address": "0x" + "11" * 20, "rate": rate.value}
        settings = WatchedChainSettings.model_validate({"rpc": ["http://x"], "chain_id": 1, "redemptions": [table]})
        assert len(list(market_watchers("chains.x", settings, MARKETS))) == 1
