"""Lending protocols' events, arithmetic and windows: what is decoded is what the contracts declare."""

from __future__ import annotations

import math
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains.abi import Event
from margrave.collect.chains.lending import aave_v2, aave_v3, compound_v2, compound_v3, morpho, tables
from margrave.collect.chains.lending.events import Borrowed, Changed, Liquidated, say
from margrave.collect.chains.lending.health import Position, Tracked, distribution, health_factor, weighted
from margrave.collect.chains.lending.window import Value, Window
from margrave.collect.chains.logs import Log, log_of
from margrave.errors import Rejected
from margrave.messages import NoticeReading
from margrave.verdicts import Rejection

WBTC, WETH, USDC = ("0x" + digit * 40 for digit in "abc")
ALICE, BOB = "0x" + "a1" * 20, "0x" + "b0" * 20
ID = bytes(range(32))


def log_body(event: Event[Any], *values: object, address: str = "0x" + "99" * 20, block: int = 7) -> dict[str, Any]:
    """What a node would send of an event with these arguments, in the order of the declaration."""
    kinds = [part.split()[0] for part in event.declaration.partition("(")[2].rstrip(")").split(",")]
    indexed = ["indexed" in part.split() for part in event.declaration.partition("(")[2].rstrip(")").split(",")]
    topics = [event.topic, *(encode([k], [v]) for k, v, i in zip(kinds, values, indexed, strict=True) if i)]
    plain = [(k, v) for k, v, i in zip(kinds, values, indexed, strict=True) if not i]
    return {
        "address": address,
        "topics": ["0x" + topic.hex() for topic in topics],
        "data": "0x" + encode([k for k, _ in plain], [v for _, v in plain]).hex(),
        "blockNumber": hex(block),
        "blockHash": "0x" + "55" * 32,
        "transactionHash": "0x" + "66" * 32,
        "logIndex": "0x3",
        "removed": False,
    }


def log(event: Event[Any], *values: object, address: str = "0x" + "99" * 20) -> Log:
    return log_of(log_body(event, *values, address=address))


@pytest.mark.parametrize(
    ("event", "topic"),
    [
        (aave_v3.LIQUIDATION_CALL, "e413a321e8681d831f4dbccbca790d2952b56f977908e45be37335533e005286"),
        (aave_v3.BORROW, "b3d084820fb1a9decffb176436bd02558d15fac9b0ddfed8c465bc7359d7dce0"),
        (aave_v2.BORROW, "c6a898309e823ee50bac64e45ca8adba6690e99e7841c45d754e2a38e9019d9b"),
        (compound_v2.LIQUIDATE_BORROW, "298637f684da70674f26509b10f07ec2fbc77a335ab1e7d6215a4b2484d8bb52"),
        (compound_v2.BORROW, "13ed6866d4e1ee6da46f845c46d7e54120883d75c5ea9a2dacc1c4ca8984ab80"),
        (compound_v3.ABSORB_COLLATERAL, "9850ab1af75177e4a9201c65a2cf7976d5d28e40ef63494b44366f86b2f9412e"),
        (compound_v3.WITHDRAW, "9b1bfa7fa9ee420a16e124f794c35ac9f90472acc99140eb2f6447c714cad8eb"),
        (morpho.LIQUIDATE, "a4946ede45d0c6f06a0f5ce92c9ad3b4751452d2fe0e25010783bcab57a67e41"),
    ],
)
def test_topics_are_those_on_chain(event: Event[Any], topic: str) -> None:
    assert event.topic.hex() == topic


SAID = [
    (
        log(aave_v3.LIQUIDATION_CALL, WBTC, USDC, ALICE, 10**9, 5_000, BOB, False),
        Liquidated(ALICE, BOB, WBTC, USDC, 5_000, 10**9),
    ),
    (log(aave_v3.BORROW, USDC, BOB, ALICE, 7, 2, 10**25, 0), Borrowed(ALICE, USDC, 7)),
    (log(aave_v2.BORROW, USDC, BOB, ALICE, 7, 2, 10**25, 0), Borrowed(ALICE, USDC, 7)),
    (
        log(compound_v2.LIQUIDATE_BORROW, BOB, ALICE, 11, WBTC, 22, address=USDC),
        Liquidated(ALICE, BOB, WBTC, USDC, 22, 11),
    ),
    (log(compound_v2.BORROW, ALICE, 5, 6, 7, address=USDC), Borrowed(ALICE, USDC, 5)),
    (
        log(compound_v3.ABSORB_COLLATERAL, BOB, ALICE, WETH, 10**18, 2_500 * 10**8, address=USDC),
        Liquidated(ALICE, BOB, WETH, "", 10**18, 0, usd=2_500.0),
    ),
    (
        log(compound_v3.ABSORB_DEBT, BOB, ALICE, 2_000_000, 2 * 10**8, address=USDC),
        Liquidated(ALICE, BOB, "", USDC, 0, 2_000_000, usd=2.0),
    ),
    (log(compound_v3.WITHDRAW, ALICE, BOB, 9, address=USDC), Borrowed(ALICE, USDC, 9)),
    (
        log(morpho.LIQUIDATE, ID, BOB, ALICE, 100, 200, 300, 0, 0),
        Liquidated(ALICE, BOB, "", "", 300, 100, market=ID),
    ),
    (log(morpho.BORROW, ID, BOB, ALICE, BOB, 8, 9), Borrowed(ALICE, "", 8, market=ID)),
]


@pytest.mark.parametrize(("entry", "said"), SAID)
def test_each_event_is_decoded_in_the_order_of_its_declaration(entry: Log, said: object) -> None:
    assert list(tables.decode_logs([entry])) == [(entry, said)]
    notice = tables.tell(entry, 5)
    assert isinstance(notice, NoticeReading)
    assert notice.venue_time_ms == 5


def test_a_changed_reserve_is_told_in_the_events_own_words() -> None:
    line = next(
        line
        for found in aave_v3.CHANGE_LINES.values()
        for line in found
        if line.event.name == "CollateralConfigurationChanged"
    )
    said = say(tables.ALL_LINES, log(line.event, WBTC, 7_300, 7_800, 10_500))
    assert said == Changed(
        "lending.reserve.changed",
        WBTC,
        f"collateral configuration changed: asset {WBTC}, ltv 7300, liquidationThreshold 7800, liquidationBonus 10500",
    )


def test_every_line_of_every_table_decodes_what_its_declaration_encodes() -> None:
    values = {"address": WBTC, "bool": True, "string": "ETH correlated", "bytes32": ID}
    count = 0
    for module in (aave_v3, aave_v2, compound_v2, compound_v3, morpho):
        for found in (*module.POOL_LINES.values(), *module.CHANGE_LINES.values()):
            for line in found:
                kinds = [part.split()[0] for part in line.event.declaration.partition("(")[2].rstrip(")").split(",")]
                entry = log(line.event, *(values.get(kind, 3) for kind in kinds))
                [(_, said)] = tables.decode_logs([entry])
                assert not isinstance(said, Rejected), (line.event.declaration, said)
                count += 1
    assert count == 11 + 50


def test_of_two_events_with_one_signature_the_indexed_arguments_decide() -> None:
    # ReserveInterestRateStrategyChanged has one signature per version; LiquidationCall is the same in both.
    entry = log(aave_v3.LIQUIDATION_CALL, WBTC, USDC, ALICE, 1, 2, BOB, True)
    fewer = log_of(
        log_body(aave_v3.LIQUIDATION_CALL, WBTC, USDC, ALICE, 1, 2, BOB, True)
        | {"topics": ["0x" + entry.topics[0].hex()]}
    )
    [(_, said)] = tables.decode_logs([fewer])
    assert isinstance(said, Rejected)
    assert said.reason is Rejection.UNKNOWN_SHAPE


@given(st.sampled_from([entry for entry, _ in SAID]), st.binary(max_size=200), st.integers(0, 4))
def test_no_log_of_any_bytes_breaks_the_decoders(entry: Log, data: bytes, topics: int) -> None:
    changed = Log(entry.address, entry.topics[:topics], data, 1, b"", "", 0)
    [(_, said)] = tables.decode_logs([changed])
    assert isinstance(said, Liquidated | Borrowed | Changed | Rejected)


def test_data_longer_than_any_event_is_refused_before_it_is_decoded() -> None:
    entry = log(aave_v3.LIQUIDATION_CALL, WBTC, USDC, ALICE, 1, 2, BOB, True)
    long = Log(entry.address, entry.topics, bytes(100_000), 1, b"", "", 0)
    [(_, said)] = tables.decode_logs([long])
    assert isinstance(said, Rejected)
    assert said.reason is Rejection.MALFORMED


# --- configuration ---------------------------------------------------------------------------------------------------


def test_a_reserves_bitmap_is_unpacked_bit_by_bit() -> None:
    bitmap = (
        8_050 | 8_300 << 16 | 10_500 << 32 | 18 << 48 | 1 << 56 | 1 << 58 | 1 << 63 | 1_500 << 64
        | 2_700_000 << 80 | 3_000_000 << 116 | 1_000 << 152 | 5 << 212 | 1 << 252
    )  # fmt: skip
    assert aave_v3.configuration(bitmap) == aave_v3.Configuration(
        ltv_bp=8_050,
        threshold_bp=8_300,
        bonus_bp=10_500,
        decimals=18,
        active=True,
        frozen=False,
        borrowing=True,
        paused=False,
        borrowable_in_isolation=False,
        siloed=False,
        flash_loans=True,
        reserve_factor_bp=1_500,
        borrow_cap=2_700_000,
        supply_cap=3_000_000,
        protocol_fee_bp=1_000,
        debt_ceiling=5,
        virtual_accounting=True,
    )


@given(st.integers(0, 2**256 - 1))
def test_any_bitmap_is_unpacked_within_range_or_refused(bitmap: int) -> None:
    try:
        found = aave_v3.configuration(bitmap)
    except Rejected:
        return
    assert found.threshold_bp <= 10_000
    assert found.decimals <= 77


def test_two_bits_a_reserve_say_what_backs_a_debt() -> None:
    assert aave_v3.used_as_collateral(0b10_01_11, 0)
    assert not aave_v3.used_as_collateral(0b10_01_11, 1)
    assert aave_v3.used_as_collateral(0b10_01_11, 2)


# --- health ----------------------------------------------------------------------------------------------------------


def test_a_health_factor_is_collateral_at_its_thresholds_over_debt() -> None:
    assert health_factor(weighted({WBTC: 100.0, WETH: 50.0, USDC: 9.0}, {WBTC: 0.8, WETH: 0.5}), 50.0) == 2.1
    assert health_factor(1.0, 0.0) == math.inf


def test_compounds_health_is_its_comptrollers_sum() -> None:
    markets = {
        WBTC: compound_v2.Market(price=60_000 * 10**28, factor=7 * 10**17),  # 8 decimals: 36 - 8
        USDC: compound_v2.Market(price=10**30, factor=8 * 10**17),
    }
    snapshots = {
        WBTC: compound_v2.Snapshot(0, tokens=50 * 10**8, debt=0, exchange_rate=2 * 10**16),  # one bitcoin
        USDC: compound_v2.Snapshot(0, tokens=0, debt=40_000 * 10**6, exchange_rate=10**18),
    }
    found = compound_v2.position(ALICE, snapshots, markets, frozenset({WBTC}))
    assert found.health == pytest.approx(60_000 * 0.7 / 40_000)
    assert found.debt_usd == pytest.approx(40_000)
    assert found.collateral_usd == {WBTC: pytest.approx(60_000)}


@pytest.mark.parametrize("error", [compound_v2.Snapshot(3, 0, 0, 0)])
def test_an_account_that_cannot_be_valued_whole_has_no_health(error: compound_v2.Snapshot) -> None:
    with pytest.raises(Rejected, match="cannot be valued"):
        compound_v2.position(ALICE, {WBTC: error}, {WBTC: compound_v2.Market(1, 1)}, frozenset())
    with pytest.raises(Rejected, match="cannot be valued"):
        compound_v2.position(ALICE, {WBTC: compound_v2.Snapshot(0, 1, 0, 1)}, {}, frozenset())


def test_morphos_debt_is_rounded_up_and_its_health_is_the_contracts() -> None:
    params = morpho.Params(USDC, WBTC, BOB, BOB, lltv=86 * 10**16)
    market = morpho.Market(0, 0, borrow_assets=1_000_000, borrow_shares=10**12, last_update_s=0, fee=0)
    held = morpho.Held(0, borrow_shares=3 * 10**9, collateral=2 * 10**8)
    # toAssetsUp: ceil(3e9 * 1,000,001 / (1e12 + 1e6)) = ceil(3,000.0000...) = 3,001 or 3,000 as the virtual share says
    assert morpho.borrowed_assets(held, market) == -(-3 * 10**9 * 1_000_001 // (10**12 + 10**6))
    found = morpho.position(ALICE, held, market, params, price=60_000 * 10**34, loan_unit_usd=1e-6)
    worth = 2 * 60_000.0
    assert found.collateral_usd == {WBTC: pytest.approx(worth)}
    assert found.health == pytest.approx(worth * 0.86 / (morpho.borrowed_assets(held, market) * 1e-6), rel=1e-9)


def test_a_morpho_markets_id_is_the_hash_of_its_parameters() -> None:
    # wstETH/USDC, 86 %, on Ethereum.
    params = morpho.Params(
        loan="0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        collateral="0x7f39c581f595b53c5cb19bd0b3f8da6c935e2ca0",
        oracle="0x48f7e36eb6b826b2df4b2e630b62cd25e89e40e2",
        rate_model="0x870ac11d48b15db9a138cf899d20f13f79ba00bc",
        lltv=860000000000000000,
    )
    assert params.id.hex() == "b323495f7e4148be5643a4ea4a8221eef163e4bccfdedc2a6f4696baacbc86cc"


def test_debt_is_attributed_by_the_collaterals_value() -> None:
    mixed = Position(ALICE, 1.04, 60.0, {WBTC: 50.0, WETH: 25.0}, other_usd=25.0)
    safe = Position(BOB, 2.5, 30.0, {WBTC: 100.0})
    idle = Position(BOB, math.inf, 0.0, {WBTC: 900.0})
    found = distribution([mixed, safe, idle], [WBTC], edges=(1.0, 1.05, 2.0))
    assert found.debt_usd == (0.0, 30.0, 0.0, 30.0)
    assert found.collateral_usd == (0.0, 50.0, 0.0, 100.0)
    assert found.at_risk == 0.5
    assert found.concentration == 0.5


def test_no_debt_is_no_debt_at_risk() -> None:
    assert distribution([], [WBTC]).at_risk == 0.0
    assert distribution([], [WBTC]).concentration == 0.0


positions = st.lists(
    st.builds(
        Position,
        account=st.sampled_from([ALICE, BOB]),
        health=st.floats(0.1, 20) | st.just(math.inf),
        debt_usd=st.floats(0, 1e9),
        collateral_usd=st.dictionaries(st.sampled_from([WBTC, WETH, USDC]), st.floats(0, 1e9)),
        other_usd=st.floats(0, 1e9),
    )
)


@given(positions)
def test_debts_against_all_collaterals_add_up_to_no_more_than_the_debt(found: list[Position]) -> None:
    against = [sum(distribution(found, [asset]).debt_usd) for asset in (WBTC, WETH, USDC)]
    whole = sum(distribution(found, [WBTC, WETH, USDC]).debt_usd)
    assert sum(against) == pytest.approx(whole, rel=1e-6, abs=1e-3)
    assert whole <= sum(p.debt_usd for p in found) * (1 + 1e-9) + 1e-3
    assert 0 <= distribution(found, [WBTC]).at_risk <= 1


# --- who is tracked --------------------------------------------------------------------------------------------------


def test_the_largest_debts_are_kept() -> None:
    tracked = Tracked(8)
    for n in range(8):
        tracked.add(str(n))
    tracked.measured({str(n): 1_000.0 * (n + 1) for n in range(8)}, dust_usd=1.0)
    tracked.add("new")
    assert set(tracked.accounts()) == {"new", *(str(n) for n in range(1, 8))}
    assert tracked.dropped == 1


def test_a_crowd_of_new_accounts_pushes_out_no_large_debt() -> None:
    # Attack: ten thousand accounts with dust, so that the node no longer watches the whale.
    tracked = Tracked(100)
    tracked.add("whale")
    tracked.measured({"whale": 1e9}, dust_usd=100.0)
    for n in range(10_000):
        tracked.add(f"dust {n}")
    assert "whale" in tracked.accounts()
    assert len(tracked.accounts()) <= 100


def test_an_account_that_has_repaid_is_let_go() -> None:
    tracked = Tracked(4)
    tracked.add("a")
    tracked.measured({"a": 5.0}, dust_usd=100.0)
    assert tracked.accounts() == ()
    assert tracked.dropped == 0


@given(st.lists(st.tuples(st.integers(0, 300), st.none() | st.floats(0, 1e6)), max_size=400), st.integers(1, 40))
def test_what_is_tracked_is_bounded_whatever_comes(steps: list[tuple[int, float | None]], most: int) -> None:
    tracked = Tracked(most)
    for account, debt in steps:
        if debt is None:
            tracked.add(str(account))
        else:
            tracked.measured({str(account): debt}, dust_usd=1.0)
        assert len(tracked) <= 2 * most
    assert len(tracked.accounts()) <= most


# --- the window ------------------------------------------------------------------------------------------------------


def entry(index: int) -> Log:
    return Log(ALICE, (), b"", 1, b"\x01" * 32, "", index)


HELD = Liquidated(ALICE, BOB, WBTC, USDC, 1, 1)


def test_a_window_adds_up_both_sides_and_forgets_what_is_older() -> None:
    window = Window(3_600_000)
    for index, (time_ms, value) in enumerate(
        [
            (1_000_000, Value("BTC", None, 100.0, 90.0)),
            (2_000_000, Value("BTC", "ETH", 50.0, 40.0)),
            (4_000_000, Value("ETH", "ETH", 7.0, 6.0)),
        ]
    ):
        window.add(entry(index), HELD, time_ms)
        window.value(entry(index).key, value)
    sums = window.sums(4_500_000, ["BTC", "ETH"])
    assert (sums["BTC"].count, sums["BTC"].long_usd, sums["BTC"].short_usd, sums["BTC"].largest_usd) == (2, 150, 0, 100)
    assert (sums["ETH"].count, sums["ETH"].long_usd, sums["ETH"].short_usd, sums["ETH"].largest_usd) == (2, 7, 46, 40)
    assert window.sums(5_000_000, ["BTC"])["BTC"].count == 1
    assert len(window) == 2


def test_a_liquidation_of_an_orphan_is_taken_back() -> None:
    window = Window(3_600_000)
    window.add(entry(0), HELD, 1_000)
    window.value(entry(0).key, Value("BTC", None, 100.0, 0.0))
    window.take_back(entry(0))
    window.take_back(entry(1))  # one that was never told
    assert window.sums(2_000, ["BTC"])["BTC"].count == 0


def test_what_is_not_valued_yet_is_not_counted_as_nothing() -> None:
    window = Window(3_600_000)
    window.add(entry(0), HELD, 1_000)
    assert [key for key, _ in window.unvalued()] == [entry(0).key]
    assert window.sums(2_000, ["BTC"])["BTC"].count == 0
    window.value(entry(0).key, Value(None, None, 0.0, 0.0))
    assert window.unwatched == 1
