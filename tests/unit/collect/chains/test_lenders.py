"""Each lending protocol watched on a chain: what is read of it at one block, and what its logs add."""

from __future__ import annotations

import math
from typing import Any

import pytest
from eth_abi.abi import encode
from structlog.testing import capture_logs

from margrave.collect.board import Board
from margrave.collect.chains.answers import DECIMALS
from margrave.collect.chains.lending import aave_v2, aave_v3, compound_v2, compound_v3, morpho
from margrave.collect.chains.lending.aave import PROVIDER_V2, AaveLender
from margrave.collect.chains.lending.compound import CompoundV2Lender, CompoundV3Lender
from margrave.collect.chains.lending.health import EDGES
from margrave.collect.chains.lending.lender import ROUND, Lender
from margrave.collect.chains.lending.morpho_blue import MorphoLender
from margrave.collect.chains.lending.watcher import LendingWatcher
from margrave.collect.chains.watch import ChainWatch
from margrave.errors import Rejected
from margrave.messages import HealthReading, Kind, LiquidationsReading, NoticeReading, ScalarReading
from margrave.verdicts import Rejection
from tests.unit.collect.chains.fake import CHAIN_ID, START_MS, FakeChain, FakeNode, Now, Reverts, reader
from tests.unit.collect.chains.test_lending import ALICE, BOB, USDC, WBTC, WETH, log_body

POOL_AT, ORACLE_AT, SEAT_AT, PROVIDER_AT, FEED = ("0x" + digit * 40 for digit in "12345")
A_WBTC, A_WETH = "0x" + "6" * 40, "0x" + "7" * 40
NOW_S = START_MS // 1000 - 100_000
BITMAP_WBTC = 7_300 | 7_800 << 16 | 10_500 << 32 | 8 << 48 | 1 << 56
BITMAP_WETH = 8_000 | 8_300 << 16 | 10_500 << 32 | 18 << 48 | 1 << 56
DEBT_FREE = 2**256 - 1


def watching(lender: Lender, chain: FakeChain, *, accounts: int = 100) -> ChainWatch:
    watcher = LendingWatcher(
        lender, chain_id=CHAIN_ID, name=lender.name, most_accounts=accounts, every_s=0.0, history_s=0.0
    )
    clock = Now()
    return ChainWatch(
        name="ethereum",
        chain_id=CHAIN_ID,
        reader=reader(FakeNode(chain), clock=clock),
        watchers=[watcher],
        board=Board(),
        clock=clock,
    )


async def polled(watch: ChainWatch) -> Board:
    """A poll, and a second one for what the first one's logs brought to light."""
    await watch.poll()
    await watch.poll()
    return watch.board


def health_of(board: Board, market: str) -> HealthReading:
    return next(r for r in board.readings() if isinstance(r, HealthReading) and r.market == market)


def at_risk(board: Board, market: str) -> float:
    [value] = [
        r.value
        for r in board.readings()
        if isinstance(r, ScalarReading) and r.kind is Kind.HEALTH_AT_RISK and r.market == market
    ]
    return value


def liquidated(board: Board, market: str) -> LiquidationsReading:
    return next(r for r in board.readings() if isinstance(r, LiquidationsReading) and r.market == market)


def bucket(reading: HealthReading) -> int:
    """The only bucket with a debt."""
    [at] = [at for at, debt in enumerate(reading.debt_usd) if debt]
    return at


def by_account(table: dict[str, Any], kinds: list[str]) -> Any:
    """A view function of one address."""

    def answer(arguments: bytes, _: int) -> bytes:
        account = "0x" + arguments[12:32].hex()
        return encode(kinds, table[account])

    return answer


# --- Aave ------------------------------------------------------------------------------------------------------------


def aave_chain(*, version: int = 3) -> FakeChain:
    """Alice has one bitcoin and ten ether against 60,000 dollars; Bob has repaid."""
    chain = FakeChain()
    is_v3 = version == 3
    chain.returns(POOL_AT, aave_v3.PROVIDER if is_v3 else PROVIDER_V2, PROVIDER_AT)
    chain.returns(PROVIDER_AT, aave_v3.ORACLE, ORACLE_AT)
    chain.returns(PROVIDER_AT, aave_v3.CONFIGURATOR if is_v3 else aave_v2.CONFIGURATOR, SEAT_AT)
    unit = 10**8 if is_v3 else 10**18
    ether_usd = 2_500
    per_dollar = unit if is_v3 else unit // ether_usd
    if is_v3:
        chain.returns(ORACLE_AT, aave_v3.BASE_UNIT, unit)
    else:
        chain.returns(FEED, ROUND, 1, ether_usd * 10**8, 0, NOW_S, 1)
        chain.returns(FEED, DECIMALS, 8)
    prices = {WBTC: 60_000 * per_dollar, WETH: ether_usd * per_dollar}
    chain.says(ORACLE_AT, aave_v3.PRICE, by_account({a: [p] for a, p in prices.items()}, ["uint256"]))
    rest = [0] * 5
    if is_v3:
        reserves = {
            WBTC: [BITMAP_WBTC, *rest, 1, 0, A_WBTC, BOB, BOB, BOB, 0, 0, 0],
            WETH: [BITMAP_WETH, *rest, 1, 1, A_WETH, BOB, BOB, BOB, 0, 0, 0],
        }
        data = aave_v3.RESERVE_DATA
    else:
        reserves = {
            WBTC: [BITMAP_WBTC, *rest, 1, A_WBTC, BOB, BOB, BOB, 0],
            WETH: [BITMAP_WETH, *rest, 1, A_WETH, BOB, BOB, BOB, 1],
        }
        data = aave_v2.RESERVE_DATA
    chain.says(POOL_AT, data, by_account(reserves, list(data._gives)))
    collateral, debt = 85_000 * per_dollar, 60_000 * per_dollar
    health = (60_000 * 78 + 25_000 * 83) * 10**16 // 60_000
    accounts = {ALICE: [collateral, debt, 0, 0, 0, health], BOB: [10 * per_dollar, 0, 0, 0, 0, DEBT_FREE]}
    chain.says(POOL_AT, aave_v3.ACCOUNT_DATA, by_account(accounts, ["uint256"] * 6))
    chain.says(POOL_AT, aave_v3.USER_CONFIGURATION, by_account({ALICE: [0b1010], BOB: [0b10]}, ["uint256"]))
    chain.says(A_WBTC, aave_v3.BALANCE, by_account({ALICE: [10**8]}, ["uint256"]))
    chain.says(A_WETH, aave_v3.BALANCE, by_account({ALICE: [10 * 10**18]}, ["uint256"]))
    return chain


def aave(version: int = 3, **more: Any) -> AaveLender:
    feed = None if version == 3 else FEED
    return AaveLender(version=version, pool=POOL_AT, assets={WBTC: "BTC", WETH: "ETH"}, **{"dollar_feed": feed} | more)


def borrow(account: str, version: int = 3) -> dict[str, Any]:
    event = aave_v3.BORROW if version == 3 else aave_v2.BORROW
    return log_body(event, USDC, account, account, 1, 2, 0, 0, address=POOL_AT)


@pytest.mark.parametrize("version", [3, 2])
async def test_aaves_borrowers_are_found_read_and_attributed(version: int) -> None:
    chain = aave_chain(version=version)
    watch = watching(aave(version), chain)
    await watch.poll()
    assert not [r for r in watch.board.readings() if isinstance(r, HealthReading)]  # nobody known is not «no debt»
    chain.mine(borrow(ALICE, version), borrow(BOB, version))
    board = await polled(watch)
    for market, share in (("BTC", 60 / 85), ("ETH", 25 / 85)):
        reading = health_of(board, market)
        assert sum(reading.debt_usd) == pytest.approx(60_000 * share)
        assert sum(reading.collateral_usd) == pytest.approx(85_000 * share)
        assert EDGES[bucket(reading) - 1] <= 1.1258 < EDGES[bucket(reading)]
        assert reading.block == chain.head.number
        assert reading.source == f"aave_v{version}:1"
        assert at_risk(board, market) == 0.0


async def test_a_borrower_near_liquidation_is_debt_at_risk() -> None:
    chain = aave_chain()
    accounts = {ALICE: [85_000 * 10**8, 60_000 * 10**8, 0, 0, 0, 102 * 10**16]}
    chain.says(POOL_AT, aave_v3.ACCOUNT_DATA, by_account(accounts, ["uint256"] * 6))
    watch = watching(aave(), chain)
    await watch.poll()
    chain.mine(borrow(ALICE))
    assert at_risk(await polled(watch), "BTC") == 1.0


async def test_aaves_liquidations_are_valued_by_its_own_oracle_and_withdrawn_with_their_block() -> None:
    chain = aave_chain()
    watch = watching(aave(), chain)
    await watch.poll()
    quiet = liquidated(watch.board, "BTC")
    assert (quiet.count, quiet.long_usd) == (0, 0.0)
    seized = log_body(aave_v3.LIQUIDATION_CALL, WBTC, WETH, ALICE, 10**19, 5 * 10**7, BOB, False, address=POOL_AT)
    chain.mine(seized)
    board = await polled(watch)
    bitcoin, ether = liquidated(board, "BTC"), liquidated(board, "ETH")
    assert (bitcoin.count, ether.count) == (1, 1)
    assert (bitcoin.long_usd, bitcoin.short_usd) == pytest.approx((30_000, 0.0))
    assert (ether.long_usd, ether.short_usd) == pytest.approx((0.0, 25_000))
    assert bitcoin.venue_time_ms - bitcoin.from_ms == 3_600_000
    chain.fork(1)
    chain.mine_many(2)
    board = await polled(watch)
    assert liquidated(board, "BTC").count == 0


async def test_an_old_liquidation_leaves_the_window() -> None:
    chain = aave_chain()
    watch = watching(aave(), chain)
    await watch.poll()
    chain.mine(log_body(aave_v3.LIQUIDATION_CALL, WBTC, USDC, ALICE, 1, 10**8, BOB, False, address=POOL_AT))
    assert liquidated(await polled(watch), "BTC").count == 1
    chain.mine_many(3_600 // 12 + 1)
    assert liquidated(await polled(watch), "BTC").count == 0


async def test_a_changed_reserve_is_a_notice_of_its_market_only() -> None:
    chain = aave_chain()
    watch = watching(aave(), chain)
    await watch.poll()
    line = next(
        line
        for found in aave_v3.CHANGE_LINES.values()
        for line in found
        if line.event.name == "CollateralConfigurationChanged"
    )
    chain.mine(log_body(line.event, WBTC, 0, 7_000, 11_000, address=SEAT_AT))
    chain.mine(log_body(line.event, USDC, 0, 7_000, 11_000, address=SEAT_AT))
    notices = [r for r in (await polled(watch)).readings() if isinstance(r, NoticeReading)]
    assert [(n.market, n.topic) for n in notices] == [("BTC", "lending.reserve.changed")]
    assert "liquidationThreshold 7000" in notices[0].text


async def test_events_of_a_contract_that_is_not_the_pools_are_not_heard() -> None:
    # Attack: anybody can emit a LiquidationCall from a contract of their own.
    chain = aave_chain()
    watch = watching(aave(), chain)
    await watch.poll()
    chain.mine(log_body(aave_v3.LIQUIDATION_CALL, WBTC, USDC, ALICE, 1, 10**12, BOB, False, address="0x" + "ee" * 20))
    assert liquidated(await polled(watch), "BTC").count == 0


async def test_an_oracle_that_does_not_answer_in_dollars_needs_a_feed() -> None:
    chain = aave_chain(version=2)
    watch = watching(aave(2, dollar_feed=None), chain)
    with capture_logs():
        await watch.poll()
    [refusal] = [r for r in watch.board.refusals() if r.source == "aave_v2:1"]
    assert refusal.reason is Rejection.OUT_OF_RANGE
    assert "does not answer in dollars" in refusal.detail


@pytest.mark.parametrize(
    ("answer", "updated_s", "reason"),
    [(0, NOW_S, Rejection.NOT_POSITIVE), (-5, NOW_S, Rejection.NOT_POSITIVE), (10**8, 1, Rejection.STALE)],
)
async def test_a_dollar_feed_that_is_frozen_or_empty_values_nothing(
    answer: int, updated_s: int, reason: Rejection
) -> None:
    chain = aave_chain(version=2)
    chain.returns(FEED, ROUND, 1, answer, 0, updated_s, 1)
    watch = watching(aave(2), chain)
    await watch.poll()
    assert [r.reason for r in watch.board.refusals()] == [reason]
    assert watch.board.readings() == ()


async def test_a_price_of_zero_values_nothing() -> None:
    chain = aave_chain()
    chain.says(ORACLE_AT, aave_v3.PRICE, by_account({WBTC: [0], WETH: [1]}, ["uint256"]))
    watch = watching(aave(), chain)
    await watch.poll()
    assert [r.reason for r in watch.board.refusals()] == [Rejection.NOT_POSITIVE]


async def test_an_account_that_cannot_be_read_is_refused_and_the_others_are_read() -> None:
    chain = aave_chain()
    held = chain.contracts[(POOL_AT, aave_v3.ACCOUNT_DATA.selector)]

    def moody(arguments: bytes, block: int) -> bytes:
        if arguments[12:32].hex() == BOB[2:]:
            raise Reverts("out of sorts")
        return held(arguments, block)

    chain.says(POOL_AT, aave_v3.ACCOUNT_DATA, moody)
    watch = watching(aave(), chain)
    await watch.poll()
    chain.mine(borrow(ALICE), borrow(BOB))
    board = await polled(watch)
    assert sum(health_of(board, "BTC").debt_usd) > 0
    assert {(r.what, r.reason) for r in board.refusals()} == {("position", Rejection.VENUE_ERROR)}


async def test_a_pool_that_is_none_is_refused_and_says_so() -> None:
    watch = watching(aave(), FakeChain())
    await watch.poll()
    [refusal] = watch.board.refusals()
    assert refusal.reason is Rejection.EMPTY
    assert "no such function" in refusal.detail


# --- Compound v2 -----------------------------------------------------------------------------------------------------

C_WBTC, C_USDC, C_OLD = ("0x" + digit * 40 for digit in "89d")


def compound_chain() -> FakeChain:
    """Alice has one bitcoin against 40,000 dollars; a third market has lost its price."""
    chain = FakeChain()
    chain.returns(POOL_AT, compound_v2.MARKETS, [C_WBTC, C_USDC, C_OLD])
    chain.returns(POOL_AT, compound_v2.ORACLE, ORACLE_AT)
    factors = {C_WBTC: [True, 72 * 10**16], C_USDC: [True, 80 * 10**16], C_OLD: [False, 0]}
    chain.says(POOL_AT, compound_v2.MARKET, by_account(factors, ["bool", "uint256"]))
    prices = {C_WBTC: [60_000 * 10**28], C_USDC: [10**30], C_OLD: [0]}
    chain.says(ORACLE_AT, compound_v2.PRICE, by_account(prices, ["uint256"]))
    for token, rate in ((C_WBTC, 2 * 10**16), (C_USDC, 10**18), (C_OLD, 10**18)):
        chain.returns(token, compound_v2.EXCHANGE_RATE, rate)
    chain.says(POOL_AT, compound_v2.ASSETS_IN, by_account({ALICE: [[C_WBTC, C_USDC]], BOB: [[C_OLD]]}, ["address[]"]))
    four = ["uint256"] * 4
    chain.says(C_WBTC, compound_v2.SNAPSHOT, by_account({ALICE: [0, 50 * 10**8, 0, 2 * 10**16]}, four))
    chain.says(C_USDC, compound_v2.SNAPSHOT, by_account({ALICE: [0, 0, 40_000 * 10**6, 10**18]}, four))
    chain.says(C_OLD, compound_v2.SNAPSHOT, by_account({BOB: [0, 5, 5, 10**18]}, four))
    return chain


async def test_compound_v2_is_read_account_by_account_and_market_by_market() -> None:
    chain = compound_chain()
    watch = watching(CompoundV2Lender(comptroller=POOL_AT, assets={C_WBTC: "BTC"}), chain)
    await watch.poll()
    chain.mine(
        log_body(compound_v2.BORROW, ALICE, 1, 1, 1, address=C_USDC),
        log_body(compound_v2.BORROW, BOB, 1, 1, 1, address=C_USDC),
        # Half a bitcoin's worth of cTokens seized for 25,000 dollars repaid.
        log_body(compound_v2.LIQUIDATE_BORROW, BOB, ALICE, 25_000 * 10**6, C_WBTC, 25 * 10**8, address=C_USDC),
    )
    board = await polled(watch)
    reading = health_of(board, "BTC")
    assert sum(reading.debt_usd) == pytest.approx(40_000)
    assert EDGES[bucket(reading) - 1] < 60_000 * 0.72 / 40_000 < EDGES[bucket(reading)]
    assert at_risk(board, "BTC") == 0.0
    assert liquidated(board, "BTC").long_usd == pytest.approx(30_000)
    # Bob is in a market that nobody can price: he is refused, not rounded.
    assert {(r.what, r.reason) for r in board.refusals()} == {("position", Rejection.VENUE_ERROR)}


# --- Compound v3 -----------------------------------------------------------------------------------------------------


def comet_chain() -> FakeChain:
    chain = FakeChain()
    base_feed, bitcoin_feed = "0x" + "8" * 40, "0x" + "9" * 40
    chain.returns(POOL_AT, compound_v3.ASSET_COUNT, 1)
    chain.returns(POOL_AT, compound_v3.BASE_FEED, base_feed)
    chain.returns(POOL_AT, compound_v3.BASE_SCALE, 10**6)
    chain.returns(POOL_AT, compound_v3.BASE_TOKEN, USDC)
    info = (0, WBTC, bitcoin_feed, 10**8, 70 * 10**16, 77 * 10**16, 95 * 10**16, 10**12)
    chain.returns(POOL_AT, compound_v3.ASSET, info)
    chain.says(
        POOL_AT, compound_v3.PRICE, by_account({base_feed: [10**8], bitcoin_feed: [60_000 * 10**8]}, ["uint256"])
    )
    chain.says(POOL_AT, compound_v3.DEBT, by_account({ALICE: [45_000 * 10**6], BOB: [0]}, ["uint256"]))
    chain.says(POOL_AT, compound_v3.COLLATERAL, by_account({ALICE: [10**8]}, ["uint128"]))
    return chain


async def test_comet_is_read_at_its_liquidation_factors_and_states_what_it_absorbs() -> None:
    chain = comet_chain()
    watch = watching(CompoundV3Lender(comet=POOL_AT, assets={WBTC: "BTC"}), chain)
    await watch.poll()
    chain.mine(
        log_body(compound_v3.WITHDRAW, ALICE, ALICE, 1, address=POOL_AT),
        log_body(compound_v3.WITHDRAW, BOB, BOB, 1, address=POOL_AT),
        log_body(compound_v3.ABSORB_COLLATERAL, BOB, ALICE, WBTC, 10**8, 60_000 * 10**8, address=POOL_AT),
        log_body(compound_v3.ABSORB_DEBT, BOB, ALICE, 45_000 * 10**6, 45_000 * 10**8, address=POOL_AT),
    )
    board = await polled(watch)
    assert sum(health_of(board, "BTC").debt_usd) == pytest.approx(45_000)
    assert at_risk(board, "BTC") == 1.0  # 60,000 * 0.77 / 45,000 = 1.027
    assert liquidated(board, "BTC").count == 1
    assert liquidated(board, "BTC").long_usd == pytest.approx(60_000)


async def test_a_comet_that_counts_in_ether_is_valued_by_a_feed() -> None:
    chain = comet_chain()
    chain.returns(FEED, ROUND, 1, 2_500 * 10**8, 0, NOW_S, 1)
    chain.returns(FEED, DECIMALS, 8)
    watch = watching(CompoundV3Lender(comet=POOL_AT, assets={WBTC: "BTC"}, dollar_feed=FEED), chain)
    await watch.poll()
    chain.mine(log_body(compound_v3.WITHDRAW, ALICE, ALICE, 1, address=POOL_AT))
    assert sum(health_of(await polled(watch), "BTC").debt_usd) == pytest.approx(45_000 * 2_500)


# --- Morpho ----------------------------------------------------------------------------------------------------------

PARAMS = morpho.Params(USDC, WBTC, ORACLE_AT, BOB, 86 * 10**16)


def morpho_chain() -> FakeChain:
    chain = FakeChain()
    chain.returns(POOL_AT, morpho.PARAMS, USDC, WBTC, ORACLE_AT, BOB, 86 * 10**16)
    chain.returns(POOL_AT, morpho.MARKET, 0, 0, 50_000 * 10**6, 50_000 * 10**12, 0, 0)
    chain.returns(POOL_AT, morpho.POSITION, 0, 50_000 * 10**12, 10**8)
    chain.returns(ORACLE_AT, morpho.PRICE, 60_000 * 10**34)
    chain.returns(USDC, DECIMALS, 6)
    return chain


async def test_morphos_market_is_read_by_its_id_and_other_markets_are_not_ours() -> None:
    chain = morpho_chain()
    watch = watching(MorphoLender(address=POOL_AT, assets={"0x" + PARAMS.id.hex(): "BTC"}), chain)
    await watch.poll()
    other = b"\x07" * 32
    chain.mine(
        log_body(morpho.BORROW, PARAMS.id, ALICE, ALICE, ALICE, 1, 1, address=POOL_AT),
        log_body(morpho.BORROW, other, ALICE, ALICE, ALICE, 1, 1, address=POOL_AT),
        log_body(morpho.LIQUIDATE, PARAMS.id, BOB, ALICE, 10**9, 0, 5 * 10**7, 0, 0, address=POOL_AT),
        log_body(morpho.LIQUIDATE, other, BOB, ALICE, 10**9, 0, 5 * 10**7, 0, 0, address=POOL_AT),
    )
    board = await polled(watch)
    assert sum(health_of(board, "BTC").debt_usd) == pytest.approx(50_000, rel=1e-6)
    assert at_risk(board, "BTC") == 1.0  # 60,000 * 0.86 / 50,000 = 1.032
    assert liquidated(board, "BTC").count == 1
    assert liquidated(board, "BTC").long_usd == pytest.approx(30_000)


async def test_parameters_that_are_not_the_ids_are_refused() -> None:
    # Attack: an endpoint that makes up a market with an oracle of its own.
    chain = morpho_chain()
    watch = watching(MorphoLender(address=POOL_AT, assets={"0x" + "12" * 32: "BTC"}), chain)
    await watch.poll()
    assert [r.reason for r in watch.board.refusals()] == [Rejection.WRONG_INSTRUMENT]


# --- what is remembered ----------------------------------------------------------------------------------------------


async def test_tracked_accounts_survive_a_restart() -> None:
    chain = aave_chain()
    first = LendingWatcher(aave(), chain_id=1, name="aave_v3", most_accounts=10, every_s=0, history_s=0)
    watch = watching(aave(), chain)
    await watch.poll()
    chain.mine(borrow(ALICE))
    await polled(watch)
    [held] = watch.watchers
    assert isinstance(held, LendingWatcher)
    first.restore(held.state())
    assert first.accounts == 1


@pytest.mark.parametrize("state", [None, [], {}, {"tracked": []}, {"tracked": {"a": "b"}}, {"tracked": {"a": [1]}}])
def test_a_state_that_is_none_is_refused(state: Any) -> None:
    watcher = LendingWatcher(aave(), chain_id=1, name="aave_v3", most_accounts=10, every_s=0, history_s=0)
    with pytest.raises(Rejected, match="not one of tracked accounts"):
        watcher.restore(state)


def test_an_account_without_debt_has_an_infinite_health() -> None:
    assert math.isinf(aave()._position(ALICE, aave_v3.AccountData(1, 0, 0, 0, 0, DEBT_FREE), {}).health)
