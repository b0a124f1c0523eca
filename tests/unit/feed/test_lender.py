"""The lab's lending protocol: read by the very reader of real deployments, eaten by a fall, the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from margrave.collect.board import Board
from margrave.collect.chains.lending.aave import AaveLender
from margrave.collect.chains.lending.health import EDGES
from margrave.collect.chains.lending.watcher import LendingWatcher
from margrave.collect.chains.reader import Reader
from margrave.collect.chains.watch import ChainWatch
from margrave.lab.feed.lender import BEFORE_MS, BORROWERS, CHAIN_ID, POOL, STEP_MS, Lender
from margrave.lab.feed.scenario import load_scenario
from margrave.messages import HealthReading, LiquidationsReading
from margrave.settings import PROJECT_ROOT
from margrave.spans import HOUR_MS
from tests.unit.collect.chains.fake import Now, endpoint

TAPE = load_scenario(PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml")
LENDER = Lender(TAPE)
CRASH_MS = 1_621_429_800_000
"""2021-05-19, 13:10 UTC."""


@dataclass
class Node:
    clock: Now

    async def make_request(self, method: str, params: Any) -> Any:
        return LENDER.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, self.clock.ms)


async def read_at(at_ms: int) -> Board:
    """What a node hears that begins then, and reads twice."""
    clock = Now(at_ms)
    lender = AaveLender(version=3, pool=POOL, assets=dict(LENDER.assets))
    watcher = LendingWatcher(
        lender, chain_id=CHAIN_ID, name="aave_v3", most_accounts=1_000, every_s=0.0, history_s=60 * 24 * 3_600
    )
    reader = Reader([endpoint(Node(clock), clock)], chain_id=CHAIN_ID, finality_blocks=2)
    watch = ChainWatch(name="lab", chain_id=CHAIN_ID, reader=reader, watchers=[watcher], board=Board(), clock=clock)
    for _ in range(6):
        await watch.poll()
        clock.ms += 1_000
    return watch.board


def health(board: Board, market: str) -> HealthReading:
    (found,) = (r for r in board.readings() if isinstance(r, HealthReading) and r.market == market)
    return found


def near(reading: HealthReading) -> float:
    """Share of the debt below a health factor of 1.2."""
    return sum(reading.debt_usd[: EDGES.index(1.2) + 1]) / sum(reading.debt_usd)


async def test_the_reader_of_real_deployments_reads_the_books_of_this_one() -> None:
    at_ms = TAPE.opens_ms + 30 * 60_000
    board = await read_at(at_ms)
    assert board.health()["aave_v3:1337001"].last_error is None
    for market in TAPE.markets:
        book, told = LENDER.books[market], health(board, market)
        step = LENDER.step(told.block)
        assert 0 < (book.opened <= step).sum() < BORROWERS
        assert sum(told.debt_usd) == pytest.approx(book.debts_usd[step].sum(), rel=1e-6)
        worth = book.coins[step].sum() * TAPE.price(market, told.block * STEP_MS)
        assert sum(told.collateral_usd) == pytest.approx(worth, rel=1e-6)


async def test_a_fall_brings_debt_nearer_to_liquidation_and_liquidates_what_is_below_one() -> None:
    before, after = await read_at(CRASH_MS - 26 * HOUR_MS), await read_at(CRASH_MS)
    assert near(health(after, "BTC")) > 2 * near(health(before, "BTC"))
    (seized,) = (
        r
        for r in (await read_at(CRASH_MS + HOUR_MS // 2)).readings()
        if isinstance(r, LiquidationsReading) and r.market == "ETH"
    )
    assert seized.count > 0
    assert seized.long_usd > seized.largest_usd > 0


def test_whoever_is_below_one_is_liquidated_at_once_by_half() -> None:
    for market, book in LENDER.books.items():
        assert len(book.liquidations) > 5
        for step, account, repaid, seized in book.liquidations:
            price = TAPE.price(market, TAPE.start_ms - BEFORE_MS + step * STEP_MS)
            debt = book.debts_usd[step, account] + repaid
            assert (book.coins[step, account] + seized) * price * 0.8 < debt
            assert repaid == pytest.approx(debt / 2)
            assert seized * price == pytest.approx(1.05 * repaid)


@pytest.mark.parametrize("asked", [None, 3, {}, {"method": 7}, {"method": "eth_sendRawTransaction", "params": []}])
def test_what_is_no_question_is_answered_as_nodes_answer_it(asked: Any) -> None:
    assert "error" in LENDER.answer(asked, TAPE.opens_ms)
    assert "error" in LENDER.answer({"method": "eth_getBlockByHash", "params": ["0x" + "11" * 32]}, TAPE.opens_ms)
