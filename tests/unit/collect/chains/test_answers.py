from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains.answers import AGGREGATOR as AGGREGATOR_CALL
from margrave.collect.chains.answers import (
    ANSWER_UPDATED,
    GET_PRICE_UNSAFE,
    LATEST_ROUND_DATA,
    NEW_TRANSMISSION,
    NEW_TRANSMISSION_2,
    PRICE_FEED_UPDATE,
    Bounds,
    ChainlinkWatcher,
    Feed,
    PythPrice,
    PythWatcher,
    Round,
    chainlink_price,
    check_sequencer,
    pyth_price,
)
from margrave.collect.chains.pools.swaps import calls_of
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind, Refusal, ScalarReading
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded
from tests.unit.collect.chains.fake import START_MS, FakeChain, FakeNode, reader
from tests.unit.collect.chains.pools_made import FEED, FeedBook, put_feed
from tests.unit.collect.chains.recordings import files, opened

NOW_S = 1_700_000_000


def asked(
    answer: int = 2_000 * 10**8, *, age_s: int = 60, behind: int = 0, low: int = 10**6, high: int = 10**12
) -> float:
    told = Round(5, answer, NOW_S - age_s, NOW_S - age_s, 5 - behind)
    return chainlink_price(told, 8, block_s=NOW_S, max_age_s=3_600, bounds=Bounds(low, high))


def reason(**changed: int) -> Rejection:
    with pytest.raises(Rejected) as refused:
        asked(**changed)
    return refused.value.reason


def test_an_answer_is_a_price_in_the_feeds_unit() -> None:
    assert asked() == 2_000.0


def test_an_answer_at_the_bound_that_its_aggregator_clamps_to_is_never_passed_on() -> None:
    assert reason(answer=10**6) is Rejection.AT_BOUND
    assert reason(answer=10**12) is Rejection.AT_BOUND
    assert reason(answer=10**12 + 5) is Rejection.AT_BOUND


def test_lunas_answer_of_may_2022_is_refused_although_it_stood_above_its_bound() -> None:
    """0.107 dollars, the lowest answer 0.10, the market at 0.01: Venus lost 11 million dollars to it."""
    assert reason(answer=10_700_000, low=10_000_000) is Rejection.AT_BOUND
    assert asked(answer=11_100_000, low=10_000_000) == pytest.approx(0.111)


def test_a_feed_without_bounds_is_read_all_the_same() -> None:
    told = Round(5, 7 * 10**8, NOW_S, NOW_S, 5)
    assert chainlink_price(told, 8, block_s=NOW_S, max_age_s=60) == 7.0


def test_an_incomplete_or_carried_over_round_is_refused() -> None:
    assert reason(behind=1) is Rejection.UNSETTLED
    with pytest.raises(Rejected, match="round 5 is not complete"):
        chainlink_price(Round(5, 1, 0, 0, 5), 8, block_s=NOW_S, max_age_s=3_600)


def test_an_old_answer_and_one_from_the_future_are_refused_with_their_age() -> None:
    assert reason(age_s=3_601) is Rejection.STALE
    assert reason(age_s=-61) is Rejection.FUTURE
    assert asked(age_s=-60) == 2_000.0
    with pytest.raises(Rejected, match="3601 s old, the feed allows 3600"):
        asked(age_s=3_601)


@pytest.mark.parametrize("answer", [0, -1, -(1 << 255)])
def test_a_price_that_is_not_positive_is_refused(answer: int) -> None:
    assert reason(answer=answer) is Rejection.NOT_POSITIVE


def test_a_feed_of_absurd_decimals_is_refused() -> None:
    with pytest.raises(Rejected, match="200 decimals"):
        chainlink_price(Round(5, 1, NOW_S, NOW_S, 5), 200, block_s=NOW_S, max_age_s=60)


def test_a_rollup_without_its_sequencer_gives_no_answers_and_none_for_an_hour_after() -> None:
    check_sequencer(Round(1, 0, NOW_S - 3_600, NOW_S, 1), block_s=NOW_S)
    with pytest.raises(Rejected, match="the sequencer is down"):
        check_sequencer(Round(1, 1, NOW_S - 9_999, NOW_S, 1), block_s=NOW_S)
    with pytest.raises(Rejected, match="up for 3599 s only"):
        check_sequencer(Round(1, 0, NOW_S - 3_599, NOW_S, 1), block_s=NOW_S)


words = st.integers(0, (1 << 256) - 1)


@given(st.builds(Round, words, st.integers(-(1 << 255), (1 << 255) - 1), words, words, words), st.integers(0, 255))
def test_no_round_whatsoever_is_anything_but_a_price_or_a_named_refusal(told: Round, decimals: int) -> None:
    try:
        price = chainlink_price(told, decimals, block_s=NOW_S, max_age_s=3_600, bounds=Bounds(1, 1 << 190))
    except Rejected:
        return
    assert price > 0


# --- Pyth -----------------------------------------------------------------------------------------------------------


def pyth(price: int = 2_000 * 10**8, confidence: int = 10**8, exponent: int = -8, age_s: int = 5) -> float:
    return pyth_price(PythPrice(price, confidence, exponent, NOW_S - age_s), block_s=NOW_S, max_age_s=60)


def test_pyths_price_is_a_multiple_of_ten_to_its_exponent() -> None:
    assert pyth() == pytest.approx(2_000.0)
    assert pyth(price=5, confidence=0, exponent=2) == 500.0


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"price": 0}, Rejection.NOT_POSITIVE),
        ({"price": -5}, Rejection.NOT_POSITIVE),
        ({"confidence": 21 * 10**8}, Rejection.WIDE_SPREAD),
        ({"exponent": 13}, Rejection.OUT_OF_RANGE),
        ({"exponent": -31}, Rejection.OUT_OF_RANGE),
        ({"age_s": 61}, Rejection.STALE),
        ({"age_s": -61}, Rejection.FUTURE),
    ],
)
def test_pyths_doubts_are_ours(changed: dict[str, int], expected: Rejection) -> None:
    with pytest.raises(Rejected) as refused:
        pyth(**changed)
    assert refused.value.reason is expected


def test_the_topics_are_those_that_the_contracts_log() -> None:
    """As indexers list them."""
    assert ANSWER_UPDATED.topic.hex() == "0559884fd3a460db3073b7fc896cc77986f16e378210ded43186175bf646fc5f"
    assert NEW_TRANSMISSION.topic.hex() == "f6a97944f31ea060dfde0566e4167c1a1082551e64b60ecb14d599a9d023d451"
    assert NEW_TRANSMISSION_2.topic.hex() == "c797025feeeaf2cd924c99e9205acb8ec04d5cad21c41ce637a38fb6dee6016a"
    assert PRICE_FEED_UPDATE.topic.hex() == "d06a6b7f4918494b3719217d1802786c1f5112a6c1d88fe2cfec00b4584f6aec"


# --- watching -------------------------------------------------------------------------------------------------------

BTC_FEED, BTC_AGGREGATOR = "0x" + "b1" * 20, "0x" + "b2" * 20
PYTH, PRICE_ID = "0x" + "d1" * 20, bytes(range(32))


@pytest.fixture
def chain() -> FakeChain:
    made = FakeChain()
    made.mine_many(20)
    return made


async def read(chain: FakeChain, watcher: ChainlinkWatcher | PythWatcher) -> list[Item]:
    return await watcher.read(await reader(FakeNode(chain)).sweep(), START_MS)


def chainlink(**changed: Any) -> ChainlinkWatcher:
    feeds = [Feed(market="ETH", address=FEED), Feed(market="BTC", address=BTC_FEED)]
    return ChainlinkWatcher(chain_id=1, feeds=feeds, **changed)


async def test_feeds_are_read_together_with_their_own_time_and_one_refusal_stops_no_other(chain: FakeChain) -> None:
    put_feed(chain, FeedBook(answer=2_000 * 10**8, updated_s=chain.head.time_s - 600))
    clamped = FeedBook(answer=10**6, updated_s=chain.head.time_s)
    put_feed(chain, clamped, BTC_FEED, BTC_AGGREGATOR)
    ether, bitcoin = await read(chain, chainlink())
    assert isinstance(ether, ScalarReading)
    assert (ether.source, ether.market, ether.instrument, ether.kind, ether.value) == (
        "chainlink:1",
        "ETH",
        FEED,
        Kind.ORACLE_PRICE,
        2_000.0,
    )
    assert ether.venue_time_ms == (chain.head.time_s - 600) * 1000
    assert isinstance(bitcoin, Refusal)
    assert (bitcoin.reason, bitcoin.market, bitcoin.what) == (Rejection.AT_BOUND, "BTC", f"oracle_price {BTC_FEED}")


async def test_a_feed_whose_aggregator_states_no_bounds_or_that_has_none_is_read(chain: FakeChain) -> None:
    put_feed(chain, FeedBook(answer=10**6, updated_s=chain.head.time_s, bounds=None))
    put_feed(chain, FeedBook(answer=10**6, updated_s=chain.head.time_s, bounds=None), BTC_FEED)
    chain.contracts.pop((BTC_FEED, AGGREGATOR_CALL.selector))
    values = [item.value for item in await read(chain, chainlink()) if isinstance(item, ScalarReading)]
    assert values == [0.01, 0.01]


async def test_while_a_rollups_sequencer_is_down_no_feed_is_believed(chain: FakeChain) -> None:
    put_feed(chain, FeedBook(answer=2_000 * 10**8, updated_s=chain.head.time_s))
    put_feed(chain, FeedBook(answer=2_000 * 10**8, updated_s=chain.head.time_s), BTC_FEED)
    uptime = FeedBook(answer=1, updated_s=chain.head.time_s, started_s=chain.head.time_s - 9_000)
    put_feed(chain, uptime, PYTH)
    with pytest.raises(Rejected, match="the sequencer is down"):
        await read(chain, chainlink(sequencer=PYTH))
    uptime.answer = 0
    assert len(await read(chain, chainlink(sequencer=PYTH))) == 2


async def test_a_stablecoins_feed_is_its_peg_until_it_says_otherwise(chain: FakeChain) -> None:
    put_feed(chain, FeedBook(answer=97_000_000, updated_s=chain.head.time_s - 80_000))
    feed = Feed(market="*", address=FEED, kind=Kind.PEG, max_age_s=90_000)
    (peg,) = await read(chain, ChainlinkWatcher(chain_id=1, feeds=[feed]))
    assert isinstance(peg, ScalarReading)
    assert peg.kind is Kind.PEG
    assert peg.value == pytest.approx(0.97)
    assert peg.venue_time_ms == chain.head.time_s * 1000  # what it said yesterday stands until it deviates


async def test_pyths_price_is_read_with_its_publish_time_and_its_doubt_is_a_refusal(chain: FakeChain) -> None:
    watcher = PythWatcher(chain_id=1, feeds=[Feed(market="ETH", address=PYTH, id=PRICE_ID, max_age_s=60)])
    published_s = chain.head.time_s - 9
    chain.returns(PYTH, GET_PRICE_UNSAFE, 184_512_345_678, 95_000_000, -8, published_s)
    (price,) = await read(chain, watcher)
    assert isinstance(price, ScalarReading)
    assert (price.source, price.instrument) == ("pyth:1", "0x" + PRICE_ID.hex())
    assert price.value == pytest.approx(1_845.12345678)
    assert price.venue_time_ms == published_s * 1000
    chain.returns(PYTH, GET_PRICE_UNSAFE, 184_512_345_678, 5_000_000_000, -8, published_s)
    (doubt,) = await read(chain, watcher)
    assert isinstance(doubt, Refusal)
    assert (doubt.reason, doubt.detail) == (Rejection.WIDE_SPREAD, "Pyth is sure to 2.71% only, 1.00% is allowed")


# --- recordings -----------------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.data
def test_every_round_that_was_read_in_the_recorded_blocks_is_a_price() -> None:
    said: Counter[str] = Counter()
    for path in files("eth_blocks_traces_mevinspect", pattern="blocks_*.json.gz"):
        body = opened(path.relative_to(recorded()))
        for call in calls_of(body):
            if call.calldata[:4] != LATEST_ROUND_DATA.selector:
                continue
            told = LATEST_ROUND_DATA.decode(call.returned)
            # The block's own time is not in the recording: a day of slack around the answer's.
            price = chainlink_price(told, 8, block_s=told.updated_s + 60, max_age_s=3_600)
            assert 0 < price < 10**12
            said["through a proxy" if call.delegate else "read"] += 1
    assert said == {"read": 20}
