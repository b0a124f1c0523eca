from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from margrave.collect.chains.logs import log_of
from margrave.collect.chains.pools import uniswap_v2, uniswap_v3, uniswap_v4
from margrave.collect.chains.pools.constant_product import constant_product
from margrave.collect.chains.pools.swaps import Family, calls_of, swap_of, swaps_of_logs, swaps_of_traces
from margrave.collect.chains.pools.ticks import tick_at
from margrave.errors import Rejected
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded
from tests.unit.collect.chains.made import CONTRACT, HASH, SENDER, log, words
from tests.unit.collect.chains.recordings import files, opened, opened_lines

V3 = (5 * 10**17, -(10**18), 1 << 96, 10**20, -3)


def test_a_v3_swap_says_price_tick_and_liquidity() -> None:
    swap = swap_of(log(uniswap_v3.SWAP, words(*V3), SENDER, SENDER))
    assert swap is not None
    assert (swap.family, swap.pool, swap.amount0, swap.amount1) == (Family.UNISWAP_V3, CONTRACT, V3[0], V3[1])
    assert (swap.sqrt_price_x96, swap.liquidity, swap.tick, swap.paid_per_unit) == (1 << 96, 10**20, -3, 2.0)


def test_pancakeswaps_two_words_more_change_nothing() -> None:
    swap = swap_of(log(uniswap_v3.PANCAKE_SWAP, words(*V3, 7, 8), SENDER, SENDER))
    assert swap is not None
    assert (swap.family, swap.tick) == (Family.PANCAKESWAP_V3, -3)


def test_a_v4_swap_is_turned_to_the_pools_side_and_names_its_pool_and_fee() -> None:
    swap = swap_of(log(uniswap_v4.SWAP, words(-5, 10, 1 << 96, 10**20, -3, 500), HASH, SENDER))
    assert swap is not None
    assert (swap.family, swap.pool, swap.amount0, swap.amount1, swap.fee_pips) == (Family.UNISWAP_V4, HASH, 5, -10, 500)


@pytest.mark.parametrize(
    ("event", "family"), [(uniswap_v2.SWAP, Family.UNISWAP_V2), (uniswap_v2.AERODROME_SWAP, Family.AERODROME_V2)]
)
def test_a_pairs_swap_is_what_came_in_less_what_went_out(event: Any, family: Family) -> None:
    swap = swap_of(log(event, words(100, 3, 0, 50), SENDER, SENDER))
    assert swap is not None
    assert (swap.family, swap.amount0, swap.amount1, swap.sqrt_price_x96) == (family, 100, -47, None)


def test_another_event_is_no_swap_and_a_broken_one_stands_as_its_refusal() -> None:
    good = log(uniswap_v3.SWAP, words(*V3), SENDER, SENDER)
    other = log(uniswap_v3.MINT, words(1), SENDER, SENDER, SENDER)
    cut = log(uniswap_v3.SWAP, words(*V3[:3]), SENDER, SENDER)
    free = log(uniswap_v3.SWAP, words(1, 1, *V3[2:]), SENDER, SENDER)
    found = list(swaps_of_logs([other, good, cut, free]))
    assert [getattr(item, "reason", "swap") for item in found] == ["swap", Rejection.MALFORMED, Rejection.MALFORMED]


# --- recordings -----------------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.data
def test_the_rpc_and_the_indexers_form_of_one_swap_are_one_swap() -> None:
    folder = "fixtures_nautilus/blockchain"
    rpc, indexer = (
        swap_of(log_of(opened(folder, f"pancakeswap_v3_swap_{form}.json"))) for form in ("rpc", "hypersync")
    )
    assert rpc is not None
    assert rpc == indexer
    assert rpc.family is Family.PANCAKESWAP_V3
    assert rpc.sqrt_price_x96 is not None
    assert rpc.tick == tick_at(rpc.sqrt_price_x96) == -63_769
    assert (rpc.amount0, rpc.amount1) == (0x1FCD5B7DDA1AE49C, -(0x100000000000000 - 0xF22743D8DEE163))


@needs_data
@pytest.mark.data
def test_the_rpc_and_the_indexers_form_of_a_changed_protocol_fee_are_one() -> None:
    folder = "fixtures_nautilus/blockchain"
    for form in ("rpc", "hypersync"):
        told = log_of(opened(folder, f"uniswap_v3_set_fee_protocol_{form}.json"))
        assert uniswap_v3.SET_FEE_PROTOCOL.fits(told)
        assert uniswap_v3.SET_FEE_PROTOCOL.decode(told) == uniswap_v3.ProtocolFee(0, 0, 6, 6)


@needs_data
@pytest.mark.data
def test_every_swap_of_two_whole_blocks_is_read_and_its_tick_is_its_prices() -> None:
    lines = opened_lines("eth_logs_ethereum_etl/test_stream/blocks_17173049_17173050/expected_logs.json.gz")
    logs = [log_of(line) for line in lines]
    topics = {event.topic for event in (uniswap_v2.SWAP, uniswap_v3.SWAP, uniswap_v3.PANCAKE_SWAP)}
    expected = sum(entry.topics[0] in topics for entry in logs if entry.topics)
    swaps = list(swaps_of_logs(logs))
    assert len(swaps) == expected > 0
    by_family: Counter[Family] = Counter()
    for swap in swaps:
        assert not isinstance(swap, Rejected)
        by_family[swap.family] += 1
        if swap.sqrt_price_x96 is not None:
            assert swap.tick == tick_at(swap.sqrt_price_x96)
    assert by_family == {Family.UNISWAP_V2: 27, Family.UNISWAP_V3: 5}


BLOCKS = "eth_blocks_traces_mevinspect"


@needs_data
@pytest.mark.data
def test_every_swap_call_of_the_recorded_blocks_is_a_swap_and_every_slot0_has_its_prices_tick() -> None:
    said: Counter[str] = Counter()
    for path in files(BLOCKS, pattern="blocks_*.json.gz"):
        body = opened(path.relative_to(recorded()))
        calls, swaps = calls_of(body), swaps_of_traces(body)
        for swap in swaps:
            said[swap.swap.family] += 1
        for call in calls:
            if call.calldata[:4] == uniswap_v3.SWAP_CALL.selector:
                said["v3 calls"] += 1
            if call.calldata[:4] == uniswap_v2.SWAP_CALL.selector:
                said["v2 calls"] += 1
            if call.calldata[:4] == uniswap_v3.SLOT0.selector and len(call.returned) >= 128:
                slot0 = uniswap_v3.SLOT0.decode(call.returned)
                assert slot0.tick == tick_at(slot0.sqrt_price_x96)
                said["slot0"] += 1
            if call.calldata[:4] == uniswap_v3.OBSERVE.selector:
                ((window, now),) = uniswap_v3.OBSERVE.arguments(call.calldata)
                assert now == 0
                assert uniswap_v3.twap_tick(uniswap_v3.OBSERVE.decode(call.returned), window) in (-81_859, -78_082)
                said["observe"] += 1
    assert said == {
        Family.UNISWAP_V2: 374,
        "v2 calls": 374,
        Family.UNISWAP_V3: 110,
        "v3 calls": 110,
        "slot0": 15,
        "observe": 7,
    }


@needs_data
@pytest.mark.data
def test_what_pairs_gave_in_the_recorded_blocks_is_what_we_compute_from_the_reserves_read_before() -> None:
    """A pair gives what it is asked for, if its product holds: we are exact where a router asked for the most."""
    said: Counter[str] = Counter()
    for path in files(BLOCKS, pattern="blocks_*.json.gz"):
        body = opened(path.relative_to(recorded()))
        calls, swaps = calls_of(body), swaps_of_traces(body)
        for swap in swaps:
            call = swap.call
            if swap.swap.family is not Family.UNISWAP_V2:
                continue
            before = [
                other
                for other in calls
                if other.transaction == call.transaction
                and other.to == call.to
                and other.calldata[:4] == uniswap_v2.GET_RESERVES.selector
                and other.path < call.path
                and not other.delegate
            ]
            if not before:
                said["reserves not read in its transaction"] += 1
                continue
            reserves = uniswap_v2.GET_RESERVES.decode(before[-1].returned)
            most = constant_product(reserves.reserve0, reserves.reserve1).amount_out(
                swap.amount_in, zero_for_one=swap.swap.amount0 > 0
            )
            if swap.amount_out > most:
                fork = constant_product(reserves.reserve0, reserves.reserve1, fee_per_myriad=25)
                assert fork.amount_out(swap.amount_in, zero_for_one=swap.swap.amount0 > 0) == swap.amount_out
                said["exactly the most, at 0.25 %"] += 1
            else:
                said["exactly the most" if swap.amount_out == most else "less than the most"] += 1
    assert said == {
        "exactly the most": 291,
        "exactly the most, at 0.25 %": 1,
        "less than the most": 47,
        "reserves not read in its transaction": 35,
    }


@needs_data
@pytest.mark.data
def test_the_swaps_of_a_block_agree_with_its_decoded_table() -> None:
    """Of the recorded blocks one has a decoded table; those of the larger table are of other blocks."""
    (sandwich,) = opened(BLOCKS, "sandwiches_12775690.json.gz")
    table = [sandwich["frontrun_swap"], sandwich["backrun_swap"], *sandwich["sandwiched_swaps"]]
    ours = {
        (swap.call.transaction, swap.call.path): swap
        for swap in swaps_of_traces(opened(BLOCKS, "blocks_12775690.json.gz"))
    }
    compared = 0
    for row in table:
        swap = ours[row["transaction_hash"], tuple(row["trace_address"])]
        assert (swap.swap.family, swap.swap.pool) == (row["protocol"], row["contract_address"])
        assert (swap.token_in, swap.amount_in) == (row["token_in_address"], row["token_in_amount"])
        assert (swap.token_out, swap.amount_out) == (row["token_out_address"], row["token_out_amount"])
        compared += 1
    assert compared == 6


def test_calls_that_failed_and_all_within_them_are_no_swaps() -> None:
    def call(path: list[int], calldata: str, **more: object) -> dict[str, object]:
        return {
            "type": "call",
            "action": {"from": SENDER, "to": CONTRACT, "callType": "call", "input": calldata},
            "result": {"output": "0x"},
            "traceAddress": path,
            "transactionHash": HASH,
            "blockNumber": "0x10",
        } | more

    traces = [
        call([], "0x"),
        call([0], "0xaaaaaaaa", error="Reverted", result=None),
        call([0, 1], "0xbbbbbbbb"),
        call([1], "0xcccccccc"),
        {"type": "reward", "action": {"author": CONTRACT}},
        {"type": "create", "action": {"init": "0x"}, "result": None},
    ]
    assert [entry.calldata.hex() for entry in calls_of({"result": json.loads(json.dumps(traces))})] == ["", "cccccccc"]


@pytest.mark.parametrize("body", [None, 5, {"traces": 5}, {"result": [5]}, [{"type": "call", "action": {"to": "0x"}}]])
def test_what_is_no_trace_is_refused(body: object) -> None:
    with pytest.raises(Rejected):
        calls_of(body)
