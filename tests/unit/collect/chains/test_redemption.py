from __future__ import annotations

import pytest

from margrave.collect.chains.abi import Call, one
from margrave.collect.chains.answers import DECIMALS
from margrave.collect.chains.redemption import (
    ASSET,
    CONVERT_TO_ASSETS,
    Rate,
    Redeemable,
    RedemptionWatcher,
    check_pace,
    checked_rate,
    vault_rate,
)
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind, Refusal, ScalarReading
from margrave.spans import DAY_S
from margrave.verdicts import Rejection
from tests.unit.collect.chains.fake import START_MS, FakeChain, FakeNode, reader
from tests.unit.collect.chains.pools_made import FEED, USDC, FeedBook, put_feed, put_tokens

WSTETH, RETH, SDAI = ("0x" + digit * 20 for digit in ("e1", "e2", "e3"))


def wad_rate(rate: Rate) -> Call[int]:
    return Call(f"{rate.value}()", "(uint256)", one)


@pytest.fixture
def chain() -> FakeChain:
    made = FakeChain()
    put_tokens(made)
    made.mine_many(20)
    put_feed(made, FeedBook(answer=2_000 * 10**8, updated_s=made.head.time_s))
    made.returns(WSTETH, wad_rate(Rate.WSTETH), 1_193_000_000_000_000_000)
    made.returns(RETH, wad_rate(Rate.GET_EXCHANGE_RATE), 1_130_000_000_000_000_000)
    made.returns(SDAI, DECIMALS, 18)
    made.returns(SDAI, ASSET, USDC)
    made.says(
        SDAI, CONVERT_TO_ASSETS, lambda data, _: (int.from_bytes(data, "big") * 112 // 10**14).to_bytes(32, "big")
    )
    return made


def watcher() -> RedemptionWatcher:
    return RedemptionWatcher(
        chain_id=1,
        assets=[
            Redeemable(market="WSTETH", address=WSTETH, rate=Rate.WSTETH, dollar_feed=FEED),
            Redeemable(market="RETH", address=RETH, rate=Rate.GET_EXCHANGE_RATE, dollar_feed=FEED),
            Redeemable(market="SDAI", address=SDAI, rate=Rate.ERC4626),
        ],
    )


async def read(chain: FakeChain, asked: RedemptionWatcher) -> dict[str, Item]:
    items = await asked.read(await reader(FakeNode(chain)).sweep(), START_MS)
    return {item.market: item for item in items if isinstance(item, ScalarReading | Refusal)}


async def test_a_wrapped_stake_is_worth_its_rate_in_ether_and_a_vaults_share_its_assets(chain: FakeChain) -> None:
    said = await read(chain, watcher())
    values = {market: item.value for market, item in said.items() if isinstance(item, ScalarReading)}
    # The vault: 18 decimals a share, 6 of its asset; 1.12 dollars for one whole share.
    assert values == {"WSTETH": 2_386.0, "RETH": pytest.approx(2_260.0), "SDAI": pytest.approx(1.12)}
    assert {item.kind for item in said.values() if isinstance(item, ScalarReading)} == {Kind.REDEMPTION_VALUE}


async def test_without_the_dollar_of_what_it_is_redeemed_in_nothing_is_said_of_an_asset(chain: FakeChain) -> None:
    put_feed(chain, FeedBook(answer=2_000 * 10**8, updated_s=chain.head.time_s - 9_000))
    said = await read(chain, watcher())
    assert isinstance(said["SDAI"], ScalarReading)
    for market in ("WSTETH", "RETH"):
        refused = said[market]
        assert isinstance(refused, Refusal)
        assert refused.reason is Rejection.STALE


async def test_a_rate_that_a_donation_has_doubled_is_not_believed(chain: FakeChain) -> None:
    asked = watcher()
    await read(chain, asked)
    chain.returns(RETH, wad_rate(Rate.GET_EXCHANGE_RATE), 2_260_000_000_000_000_000)
    chain.mine()
    said = await read(chain, asked)
    refused = said["RETH"]
    assert isinstance(refused, Refusal)
    assert refused.reason is Rejection.BREAKER
    assert "from 1.13 to 2.26, 100.00%; 0.20% is believed" in refused.detail
    assert isinstance(said["WSTETH"], ScalarReading)


def test_a_slashing_is_in_once_it_has_stood_for_days_and_a_yield_at_once() -> None:
    check_pace(1.0, 0, 1.0 + 0.001, 12)
    with pytest.raises(Rejected):
        check_pace(1.0, 0, 0.97, DAY_S)
    check_pace(1.0, 0, 0.97, 3 * DAY_S)


async def test_an_asset_that_does_not_answer_holds_up_no_other(chain: FakeChain) -> None:
    for call in (DECIMALS, ASSET):
        chain.contracts.pop((SDAI, call.selector))
    said = await read(chain, watcher())
    refused = said["SDAI"]
    assert isinstance(refused, Refusal)
    assert refused.reason is Rejection.EMPTY
    assert isinstance(said["RETH"], ScalarReading)


def test_a_rate_of_mistaken_decimals_is_refused() -> None:
    assert vault_rate(1_120_000, asset_decimals=6) == 1.12
    for mistaken in (1_120_000 / 10**18, 1.12e12, 0.0):
        with pytest.raises(Rejected, match="is outside"):
            checked_rate(mistaken)
