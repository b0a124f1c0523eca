"""Books rebuilt from the exchange's raw messages, against what the exchange itself said was best.

Binance's bookTicker states best bid and ask with their sizes and the update id `u` after which they stood. A depth
message ends at an update id too, so the book after it must show exactly what the last bookTicker at or before that id
said: no timestamps need to be lined up, and nothing is left to tolerance.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

import pytest

from margrave.collect.books.keeper import Keeper
from margrave.collect.books.rules import Resync
from tests.history import needs_data
from tests.unit.collect import l2

COUNTS = {
    "cm_btcusd_perp_20240808.gz": {"compared": 26_823, "laid_over": 2, "old": 23, "tickers": 19_136, "trades": 2_286},
    "usdm_btcusdt_20240808.gz": {"compared": 6_546, "laid_over": 2, "old": 4, "tickers": 66_089, "trades": 21_313},
    "spot_btcusdt_20240808.gz": {"compared": 3_449, "laid_over": 1, "old": 2, "tickers": 28_040, "trades": 9_757},
    "spot_ethusdt_20240808.gz": {"compared": 3_433, "laid_over": 0, "old": 2, "tickers": 24_077, "trades": 6_106},
}
"""Books compared, one after each message; messages that were laid over the snapshot together with the one after them,
and so have no book of their own; messages that ended before the snapshot; and all else in the file."""


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("name", sorted(COUNTS))
def test_a_rebuilt_book_shows_what_the_exchange_said_was_best_after_every_message(name: str) -> None:
    counts: Counter[str] = Counter()
    keeper = Keeper(l2.RULES[name], by_rest=True)
    shown: list[tuple[int, tuple[float | None, ...]]] = []
    tickers: list[tuple[int, tuple[float, ...]]] = []
    for message in l2.messages(name):
        applied = keeper.applied
        match message:
            case {"lastUpdateId": _}:
                assert keeper.snapshot(l2.snapshot(message)) is None
            case {"U": _, "u": _}:
                assert keeper.diff(l2.diff(message)) is None
            case {"u": at, "b": bid, "B": bid_size, "a": ask, "A": ask_size}:
                tickers.append((at, (float(bid), float(bid_size), float(ask), float(ask_size))))
            case {"e": "trade"}:
                counts["trades"] += 1
            case _:
                pytest.fail(f"a message that nobody reads: {message}")
        if keeper.applied > applied:
            bids, asks = keeper.ladder.bids, keeper.ladder.asks
            best = (bids.best, bids.sizes.get(bids.best or 0), asks.best, asks.sizes.get(asks.best or 0))
            shown.append((keeper.sequence, best))
    ids = [at for at, _ in tickers]
    assert ids == sorted(ids)
    for last, best in shown:
        said = tickers[bisect_right(ids, last) - 1]
        assert said[0] <= last
        assert best == said[1], f"after update {last}: the exchange said {said[1]} at {said[0]}"
    assert keeper.resyncs == Counter[Resync]()
    assert keeper.forgotten == 0
    laid_over = keeper.applied - len(shown)
    counts.update(compared=len(shown), laid_over=laid_over, old=keeper.repeats, tickers=len(tickers))
    assert counts == COUNTS[name]


@needs_data
@pytest.mark.data
def test_one_lost_message_is_noticed_at_the_next_one() -> None:
    keeper = Keeper(l2.RULES["spot_ethusdt_20240808.gz"], by_rest=True)
    applied = 0
    for message in l2.messages("spot_ethusdt_20240808.gz"):
        if "lastUpdateId" in message:
            keeper.snapshot(l2.snapshot(message))
        elif "U" in message:
            applied += 1
            if applied == 1_000:
                continue
            if keeper.diff(l2.diff(message)) is not None:
                break
    assert applied == 1_001
    assert keeper.resyncs == Counter({Resync.GAP: 1})
    assert not keeper.whole
    assert keeper.ladder.levels == 0
