"""A scorer that lives through bars hour by hour, with all that a node carries from round to round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from margrave.messages import Bar, MarketScores, Snapshot
from margrave.score.carried import Carried
from margrave.score.scores import Scorer
from margrave.spans import HOUR_MS
from tests.unit.score.chains import TRUE
from tests.unit.score.sample import market, snapshot

SEEN_H = 700


def at_close(bars: Sequence[Bar], end: int, name: str = "BTC") -> Snapshot:
    """The round at the close of bar `end` - 1: no chain is quoted, the index stands at the last close."""
    seen = tuple(bars[max(end - SEEN_H, 0) : end])
    at_ms = seen[-1].open_time_ms + HOUR_MS
    taken = snapshot(market(name, bars=seen, price=seen[-1].close, quotes=(), chain_age_s=None))
    return msgspec.structs.replace(taken, as_of_ms=at_ms, round=at_ms // 300_000)


def lived_through(scorer: Scorer, bars: Sequence[Bar], first: int) -> Iterator[tuple[MarketScores, Carried]]:
    """A round at the close of each bar from `first` on, with a surface that stands still."""
    carried: dict[str, Carried] = {}
    for end in range(first + 1, len(bars) + 1):
        scores, carried = scorer.score(at_close(bars, end), {"BTC": TRUE}, carried)
        assert scores.holds == (), scores.holds
        yield scores.markets[0], carried["BTC"]
