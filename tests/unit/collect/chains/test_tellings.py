from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains import answers, stablecoins, tellings
from margrave.collect.chains.pools import uniswap_v2, uniswap_v3, uniswap_v4
from margrave.collect.chains.recorded import items, parse_text
from margrave.collect.recorded import parse_file
from margrave.messages import Kind, NoticeReading, Refusal, ScalarReading
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded
from tests.unit.collect.chains.made import CONTRACT, HASH, RECEIVER, SENDER, ZERO, encoded, log, words
from tests.unit.collect.chains.recordings import files
from tests.unit.collect.chains.test_fees import answer

SEEN_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("told", "topic", "text"),
    [
        (
            log(uniswap_v3.SWAP, words(5, -7, 1 << 96, 9, 0), SENDER, SENDER),
            "pool.swap",
            f"uniswap_v3 {CONTRACT}: +5 of token 0, -7 of token 1, tick 0",
        ),
        (
            log(uniswap_v2.SWAP, words(5, 0, 0, 7), SENDER, SENDER),
            "pool.swap",
            f"uniswap_v2 {CONTRACT}: +5 of token 0, -7 of token 1",
        ),
        (
            log(uniswap_v4.SWAP, words(-5, 7, 1 << 96, 9, 0, 500), HASH, SENDER),
            "pool.swap",
            f"uniswap_v4 {HASH}: +5 of token 0, -7 of token 1, tick 0",
        ),
        (log(uniswap_v2.SYNC, words(5, 7)), "pool.reserves", "5 and 7"),
        (
            log(uniswap_v3.BURN, words(9, 1, 1), SENDER, "3c", "78"),
            "pool.liquidity",
            "-9 between ticks 60 and 120",
        ),
        (
            log(uniswap_v4.MODIFY_LIQUIDITY, words(-60, 60, 9, 0), HASH, SENDER),
            "pool.liquidity",
            "+9 between ticks -60 and 60",
        ),
        (log(uniswap_v3.INITIALIZE, words(1 << 96, 0)), "pool.created", "at tick 0"),
        (
            log(stablecoins.TRANSFER, words(5), SENDER, RECEIVER),
            "token.transfer",
            f"5 from {SENDER} to {RECEIVER}",
        ),
        (log(stablecoins.TRANSFER, words(5), ZERO, RECEIVER), "token.supply", f"5 from {ZERO} to {RECEIVER}"),
        (log(stablecoins.ISSUE, words(5)), "token.supply", "5 minted"),
        (log(answers.ANSWER_UPDATED, words(9), "5", "7"), "oracle.answer", "answer 5 in round 7"),
        (
            log(
                answers.NEW_TRANSMISSION,
                encoded(["int192", "address", "int192[]", "bytes", "bytes32"], 5, SENDER, [4, 5], b"", bytes(32)),
                "7",
            ),
            "oracle.answer",
            "answer 5 in round 7",
        ),
        (
            log(answers.PRICE_FEED_UPDATE, words(1_700_000_000, 5, 1), HASH),
            "oracle.answer",
            f"Pyth {HASH}: 5, give or take 1",
        ),
    ],
)
def test_each_event_says_what_it_can_by_itself(told: Any, topic: str, text: str) -> None:
    assert tellings.reads(told)
    notice = tellings.tell(told, SEEN_MS)
    assert isinstance(notice, NoticeReading)
    assert (notice.topic, notice.text, notice.venue_time_ms) == (topic, text, SEEN_MS)


def test_an_event_that_is_cut_is_refused_and_another_is_not_read() -> None:
    refused = tellings.tell(log(uniswap_v2.SYNC, words(5)), SEEN_MS)
    assert isinstance(refused, Refusal)
    assert refused.reason is Rejection.MALFORMED
    assert not tellings.reads(log(b"\1" * 32))


def test_a_fee_history_says_the_next_base_fee_and_the_tips() -> None:
    fee, tips = items(answer())
    assert isinstance(fee, ScalarReading)
    assert (fee.kind, fee.value, fee.instrument) == (Kind.BASE_FEE, 9e9, "block 19")
    assert isinstance(tips, NoticeReading)


POOL = {
    "address": CONTRACT,
    "sqrt_price_x96": str(1 << 96),
    "tick": 0,
    "liquidity": "1000000000000000000",
    "fee": 3_000,
    "tick_spacing": 60,
    "tick_data": {"-600": ["1000000000000000000", "1000000000000000000"], "600": {"liquidity_net": -(10**18)}},
}


def test_a_pools_state_says_its_price_and_depth_however_deep_it_lies() -> None:
    for body in (POOL, {"pools": {"one": POOL}}):
        (notice,) = items(body)
        assert isinstance(notice, NoticeReading)
        assert (notice.topic, notice.instrument) == ("pool.state", CONTRACT)
        assert notice.text.startswith("price 1 of token 1, 501256289338")


def test_a_subgraphs_way_of_writing_a_pool_is_understood() -> None:
    """Camel case, numbers as text, ticks as a list, no spacing: it follows from the fee."""
    body = {
        "id": CONTRACT,
        "address": CONTRACT,
        "feeTier": "3000",
        "liquidity": str(10**18),
        "sqrtPrice": str(1 << 96),
        "tick": "0",
        "ticks": [
            {"tickIdx": "-600", "liquidityGross": str(10**18), "liquidityNet": str(10**18), "price0": "0.94"},
            {"tickIdx": "600", "liquidityGross": str(10**18), "liquidityNet": str(-(10**18))},
        ],
        "token0": {"symbol": "A", "decimals": "18"},
        "totalValueLockedUSD": "1.5",
    }
    assert [getattr(item, "text", item) for item in items(body)] == [item.text for item in items(POOL)]  # type: ignore[union-attr]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([POOL, answer()["result"]]), st.data())
def test_a_field_of_any_value_is_read_or_refused(seed: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(seed)))
    assert list(items(seed | {field: data.draw(json_values)}))
    assert list(items({key: value for key, value in seed.items() if key != field}))


@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_read_or_refused(text: bytes) -> None:
    assert list(parse_text(text))


@needs_data
@pytest.mark.data
def test_what_recordings_of_chains_say_of_markets_is_counted() -> None:
    said: Counter[str] = Counter()
    paths = [
        *(path for path in recorded("eth_logs_ethereum_etl").rglob("*") if path.is_file()),
        *files("eth_blocks_traces_mevinspect", pattern="blocks_*.json.gz"),
        *files("fixtures_nautilus/blockchain", pattern="*.json"),
        *files("defi_state_degenbot", pattern="**/*.json*"),
    ]
    for path in paths:
        found = list(parse_file("chain", path))
        assert found, path
        said.update(item.topic for item in found if isinstance(item, NoticeReading))
        said.update(
            item.reason for item in found if isinstance(item, Refusal) and item.reason is Rejection.NOT_SIMULATED
        )
    del said["lending.liquidation"]
    assert said == {
        "pool.swap": 110 + 374 + 32 + 2,  # of traces, of two whole blocks, of one swap in two forms
        "pool.reserves": 27,
        "pool.protocol_fee": 2,
        "pool.state": 16,
        "token.transfer": 118,
        "token.supply": 7,
        "oracle.answer": 4,
        "not_simulated": 12,
    }
