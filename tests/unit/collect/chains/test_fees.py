from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains.fees import FeeWatcher, fees_of
from margrave.errors import Rejected
from margrave.messages import EVERY_MARKET, Kind, NoticeReading, ScalarReading
from margrave.verdicts import Rejection
from tests.unit.collect.chains.fake import START_MS, FakeChain, FakeNode, reader

GWEI = 10**9


def answer(**changed: Any) -> dict[str, Any]:
    """As the execution API specification shows it."""
    told = {
        "oldestBlock": "0x10",
        "baseFeePerGas": [hex(10 * GWEI), hex(11 * GWEI), hex(12 * GWEI), hex(9 * GWEI)],
        "gasUsedRatio": [0.5, 1, 0.0],
        "reward": [[hex(1), hex(GWEI), hex(5 * GWEI)], [hex(3), hex(2 * GWEI), hex(6 * GWEI)], ["0x0", "0x0", "0x0"]],
    }
    return {"jsonrpc": "2.0", "id": 1, "result": told | changed}


def test_the_next_blocks_base_fee_is_told_and_tips_are_medians_over_blocks_with_transactions() -> None:
    fees = fees_of(answer())
    assert (fees.next_base_fee_wei, fees.oldest_block, fees.full) == (9 * GWEI, 16, (0.5, 1.0, 0.0))
    assert fees.tips_wei == (2.0, 1.5 * GWEI, 5.5 * GWEI)
    assert fees.text == "base fee 9 gwei, tips 2e-09, 1.5, 5.5 gwei, blocks 50% full over 3"


@pytest.mark.parametrize("reward", [None, [], [[], [], []], [["0x1"], ["0x1", "0x2"], []]])
def test_without_percentiles_of_one_length_there_are_no_tips(reward: object) -> None:
    assert fees_of(answer(reward=reward)).tips_wei == ()


def test_unknown_fields_are_left_and_the_frame_may_be_missing() -> None:
    body = answer(baseFeePerBlobGas=["0x1"] * 4, blobGasUsedRatio=[0, 0, 0], somethingNew=None)["result"]
    assert fees_of(body).next_base_fee_wei == 9 * GWEI


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"baseFeePerGas": None}, Rejection.MALFORMED),
        ({"baseFeePerGas": []}, Rejection.EMPTY),
        ({"baseFeePerGas": ["0x1"]}, Rejection.MALFORMED),
        ({"gasUsedRatio": []}, Rejection.EMPTY),
        ({"gasUsedRatio": [0.5, 0.5, "NaN"]}, Rejection.NOT_FINITE),
        ({"gasUsedRatio": [0.5, 0.5, 1.5]}, Rejection.OUT_OF_RANGE),
        ({"baseFeePerGas": ["0x1", "0x1", "0x1", hex(10**30)]}, Rejection.OUT_OF_RANGE),
        ({"baseFeePerGas": ["0x1", "0x1", "0x1", "-0x1"]}, Rejection.MALFORMED),
        ({"baseFeePerGas": ["0x1"] * 5_000}, Rejection.OUT_OF_RANGE),
        ({"oldestBlock": "latest"}, Rejection.MALFORMED),
    ],
)
def test_a_history_that_cannot_be_is_refused(changed: dict[str, object], reason: Rejection) -> None:
    with pytest.raises(Rejected) as refused:
        fees_of(answer(**changed))
    assert refused.value.reason is reason


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(answer()["result"], json)))
def test_no_answer_whatsoever_is_anything_but_fees_or_a_refusal(body: dict[str, object]) -> None:
    try:
        fees = fees_of(body)
    except Rejected:
        return
    assert fees.next_base_fee_wei >= 0
    assert fees.text


# --- watching -------------------------------------------------------------------------------------------------------


class FeeNode(FakeNode):
    """A node that tells fees: of its own head whatever was asked, where it is `ahead`."""

    ahead = 0

    def _answer(self, method: str, params: list[Any]) -> Any:
        if method != "eth_feeHistory":
            return super()._answer(method, params)
        blocks, newest = int(params[0], 16), int(params[1], 16) + self.ahead
        return {
            "oldestBlock": hex(newest - blocks + 1),
            "baseFeePerGas": [hex(GWEI)] * blocks + [hex(2 * GWEI)],
            "gasUsedRatio": [0.5] * blocks,
            "reward": [[hex(10**8)] * len(params[2])] * blocks,
        }


async def test_fees_are_read_of_the_sweeps_block_and_told_with_their_tips() -> None:
    chain = FakeChain()
    chain.mine_many(40)
    fee, notice = await FeeWatcher(chain_id=1).read(await reader(FeeNode(chain)).sweep(), START_MS)
    assert isinstance(fee, ScalarReading)
    assert (fee.source, fee.market, fee.kind, fee.value) == ("fees:1", EVERY_MARKET, Kind.BASE_FEE, 2.0 * GWEI)
    assert isinstance(notice, NoticeReading)
    assert (notice.topic, notice.text) == (
        "chain.fees",
        "base fee 2 gwei, tips 0.1, 0.1, 0.1 gwei, blocks 50% full over 20",
    )


async def test_fees_of_another_block_than_asked_for_are_refused() -> None:
    chain = FakeChain()
    chain.mine_many(40)
    node = FeeNode(chain)
    node.ahead = 1
    with pytest.raises(Rejected, match="fees up to block 41, asked for 40"):
        await FeeWatcher(chain_id=1).read(await reader(node).sweep(), START_MS)
