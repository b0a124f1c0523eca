"""What it costs to act on a chain: the base fee, how full blocks are, and what others pay on top (eth_feeHistory).

EIP-1559 gives the next block's base fee with certainty, so that is what is said. Tips are percentiles that the endpoint
takes over each block's transactions; the median over the blocks is what a patient, a normal and a hasty sender pay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from margrave.collect import checks
from margrave.collect.chains.logs import amount_of, count_of
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import MAX_BASE_FEE_WEI, ReadsOnly, Speaker
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.verdicts import Rejection

BLOCKS: Final = 20
PERCENTILES: Final = (10.0, 50.0, 90.0)
MOST_BLOCKS: Final = 1_024
"""Of one answer: what nodes give at most."""
GWEI: Final = 1e9
TOPIC: Final = "chain.fees"


@dataclass(frozen=True, slots=True)
class Fees:
    """Some blocks' fees, and the base fee of the one after them."""

    oldest_block: int
    next_base_fee_wei: int
    base_fees_wei: tuple[int, ...]
    full: tuple[float, ...]
    """Gas used over the limit, by block; half is the target."""
    tips_wei: tuple[float, ...]
    """By percentile asked for, the median over the blocks that have transactions; empty where none were asked."""

    @property
    def text(self) -> str:
        """For an operator: the tips are what `max_fee_gwei` must leave room for."""
        tips = ", ".join(f"{wei / GWEI:.3g}" for wei in self.tips_wei) or "not told"
        full = sum(self.full) / len(self.full) if self.full else 0.0
        base = self.next_base_fee_wei / GWEI
        return f"base fee {base:.3g} gwei, tips {tips} gwei, blocks {full:.0%} full over {len(self.full)}"


def fees_of(body: object) -> Fees:
    """An answer to `eth_feeHistory`, with or without the JSON-RPC frame.

    Raises:
        Rejected: `MALFORMED` or `OUT_OF_RANGE` with the field, `EMPTY` where there is no block in it.
    """
    told: Mapping[str, object] = checks.mapping(body, "fee history")
    if "result" in told:
        told = checks.mapping(told["result"], "fee history")
    base_fees = [_base_fee(fee) for fee in _listed(told.get("baseFeePerGas"), "base fees")]
    full = [checks.within(ratio, "gas used ratio", 0.0, 1.0) for ratio in _listed(told.get("gasUsedRatio"), "ratios")]
    if not full or len(base_fees) != len(full) + 1:
        reason = Rejection.MALFORMED if base_fees and full else Rejection.EMPTY
        raise Rejected(reason, f"{len(base_fees)} base fees for {len(full)} blocks and the next")
    rewards = told.get("reward")
    rows = [] if rewards is None else [_listed(row, "tips of a block") for row in _listed(rewards, "tips")]
    return Fees(
        oldest_block=count_of(told.get("oldestBlock"), "oldest block"),
        next_base_fee_wei=base_fees[-1],
        base_fees_wei=tuple(base_fees[:-1]),
        full=tuple(full),
        tips_wei=_medians(rows, full),
    )


def _medians(rows: Sequence[Sequence[object]], full: Sequence[float]) -> tuple[float, ...]:
    """Blocks without a transaction say zero, which is no price."""
    used = [[amount_of(tip, "tip") for tip in row] for row, share in zip(rows, full, strict=False) if share > 0 and row]
    if not used or len({len(row) for row in used}) != 1:
        return ()
    return tuple(float(median(column)) for column in zip(*used, strict=True))


def _base_fee(value: object) -> int:
    fee = amount_of(value, "base fee")
    if fee > MAX_BASE_FEE_WEI:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a base fee of {fee} wei")
    return fee


def _listed(value: object, what: str) -> Sequence[object]:
    entries = checks.sequence(value, what)
    if len(entries) > MOST_BLOCKS + 1:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{len(entries)} {what}")
    return entries


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeWatcher(ReadsOnly):
    """Base fee and tips of one chain at the sweep's block."""

    chain_id: int
    every_s: float = 60.0

    @property
    def source(self) -> str:
        return f"fees:{self.chain_id}"

    async def read(self, sweep: Sweep, seen_ms: int) -> list[Item]:
        params = [hex(BLOCKS), hex(sweep.block.number), list(PERCENTILES)]
        body = await sweep.reader.first(sweep.endpoints, lambda endpoint: endpoint.ask("eth_feeHistory", params))
        fees = fees_of(body)
        if fees.oldest_block + len(fees.full) - 1 != sweep.block.number:
            last = fees.oldest_block + len(fees.full) - 1
            raise Rejected(Rejection.WRONG_INSTRUMENT, f"fees up to block {last}, asked for {sweep.block.number}")
        speaker = Speaker(self.source, sweep.block.time_ms, seen_ms, instrument=f"chain {self.chain_id}")
        return [speaker.scalar(Kind.BASE_FEE, fees.next_base_fee_wei), speaker.notice(TOPIC, fees.text)]
