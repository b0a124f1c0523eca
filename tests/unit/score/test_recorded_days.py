"""Guard and score over three recorded days, 4 to 6 February 2026, when BTC fell from 76,000 to 60,000 and came back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from margrave.guard.snapshot import Memory, take
from margrave.messages import AnyReading, Bar, MarketScores, Surface
from margrave.mirror.limits import is_coherent, policy_words, within_bounds
from margrave.score.carried import Carried
from margrave.score.registry import model_set_hash
from margrave.score.scores import Scorer
from margrave.settings import MARKETS_FILE, POLICY_FILE, load_markets, load_policy
from margrave.spans import HOUR_MS
from tests.unit.guard.sample import book, chain, history
from tests.unit.score import real
from tests.unit.score.chains import data_dir, recorded

START_MS = 1_770_163_200_000
"""2026-02-04 00:00 UTC."""
POLICY = load_policy(POLICY_FILE)
MARKETS = load_markets(MARKETS_FILE)


def candles() -> Mapping[str, tuple[Bar, ...]]:
    import pandas as pd

    table = pd.read_parquet(data_dir() / "ohlcv_7venues_2025_2026")
    table = table[(table.coin == "BTC") & table.venue.isin(["binance", "okx", "bybit", "kraken"])]
    found: dict[str, tuple[Bar, ...]] = {}
    for venue, rows in table.sort_values("ts").groupby("venue"):
        times = rows.ts.dt.as_unit("ms").astype("int64").tolist()
        fields = rows[["open", "high", "low", "close", "volume"]].astype(np.float64).to_numpy().T.tolist()
        found[str(venue)] = tuple(map(Bar, times, *fields))
    return found


def scored_hours() -> Iterator[tuple[int, MarketScores]]:
    forecaster = real.forecaster()
    scorer = Scorer(forecaster, MARKETS, POLICY, model_set_hash(forecaster.models))
    histories = candles()
    chains = list(recorded("2026-02", "BTC", every=1))
    memory, surfaces, carried = Memory(), dict[str, Surface](), dict[str, Carried]()
    for hour in range(0, 72, 3):
        at_ms = START_MS + hour * HOUR_MS
        readings: list[AnyReading] = []
        for venue, all_bars in histories.items():
            bars = [b for b in all_bars if b.open_time_ms < at_ms][-720:]
            readings.append(book(venue, bars[-1].close, at_ms, perpetual=True, depth_usd=2e7))
            readings.append(history(venue, bars, at_ms, perpetual=True))
        seen = [quotes for as_of_ms, _, quotes in chains if at_ms - 3 * HOUR_MS < as_of_ms <= at_ms]
        if seen:
            readings.append(chain(seen[-1], at_ms))
        snapshot, memory = take(at_ms // 300_000, at_ms, readings, MARKETS, POLICY.guard, memory)
        scores, carried = scorer.score(snapshot, surfaces, carried)
        surfaces |= {m.market: m.surface for m in scores.markets}
        yield from ((hour, m) for m in scores.markets)


@pytest.mark.data
def test_the_score_rises_into_the_crash_falls_after_it_and_the_contract_would_take_every_word() -> None:
    hours = dict(scored_hours())
    bounds = policy_words(POLICY.limits.lanes, POLICY.limits.max_price_move)
    assert len(hours) > 15
    for row in hours.values():
        assert is_coherent(row.words)
        assert within_bounds(row.words, bounds)
        assert abs(min(sum(r.points for r in row.reasons), 10_000) - row.score) < 1e-6
    calm = [m.score for hour, m in hours.items() if hour < 12]
    crash = [m.score for hour, m in hours.items() if 39 <= hour <= 51]  # the afternoon and night of the 5th
    assert np.median(calm) < 4_000
    assert max(crash) > max(8_000, 1.5 * max(calm))  # the first hour still remembers the fall of the 3rd
    assert hours[max(hours)].score < max(crash)
    assert min(m.price for m in hours.values()) < 65_000


@pytest.mark.data
def test_hours_without_a_chain_are_less_trusted_than_hours_with_one() -> None:
    rows = [m for _, m in scored_hours()]
    with_chain = [m.confidence for m in rows if m.surface.quotes_used]
    without = [m.confidence for m in rows if not m.surface.quotes_used]
    assert with_chain
    assert without
    assert max(without) < min(with_chain)
