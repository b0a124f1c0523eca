from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from margrave.errors import Fatal
from margrave.lab.feed.book import levels, tick_of
from margrave.lab.feed.recording import load_recording
from margrave.lab.feed.scenario import Scenario, ScenarioTape, load_scenario
from margrave.lab.feed.tape import Quote
from margrave.lab.feed.waypoints import main
from margrave.settings import PROJECT_ROOT, load_section
from margrave.spans import HOUR_MS
from tests.history import needs_data, recorded

SCENARIOS = sorted((PROJECT_ROOT / "config" / "scenarios").glob("*.toml"))
MAY = PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml"
CRASH_MS = 1_621_429_800_000  # 2021-05-19 13:10 UTC, the waypoint of the low
VENUES = ("deribit", "binance", "okx", "bybit", "kraken")


@pytest.fixture(scope="module")
def may() -> ScenarioTape:
    return load_scenario(MAY)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_every_scenario_has_thirty_days_of_history_before_it_starts_and_says_what_is_generated(path: Path) -> None:
    tape = load_scenario(path)
    assert tape.real
    assert tape.generated
    assert tape.source
    for market in tape.markets:
        for venue in VENUES:
            for perpetual in (False, True):
                bars = tape.bars(venue, market, perpetual=perpetual, since_ms=0, t_ms=tape.start_ms)
                assert bars is not None
                assert len(bars) > 720


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_the_history_of_a_scenario_is_as_restless_as_options_said(path: Path) -> None:
    """A bridge calmer than its market would teach every model of the drill that crashes come out of stillness."""
    tape = load_scenario(path)
    for market in tape.markets:
        bars = tape.bars("binance", market, perpetual=False, since_ms=0, t_ms=tape.start_ms)
        assert bars is not None
        realised = np.std(np.diff(np.log([bar.close for bar in bars]))) * np.sqrt(24 * 365)
        implied = np.mean([tape.implied(market, bar.open_time_ms) for bar in bars])
        assert 0.75 < realised / implied < 1.35


def test_at_a_waypoint_the_index_is_the_waypoint(may: ScenarioTape) -> None:
    assert may.price("BTC", CRASH_MS) == pytest.approx(30_000)
    assert may.implied("BTC", 1_621_425_600_000) == pytest.approx(1.402), "DVOL at 12:00"


def test_the_same_file_makes_the_same_tape(may: ScenarioTape) -> None:
    again = load_scenario(MAY)
    for t_ms in range(may.start_ms, may.end_ms, 7 * HOUR_MS + 12_345):
        assert again.quote("okx", "ETH", perpetual=True, t_ms=t_ms) == may.quote(
            "okx", "ETH", perpetual=True, t_ms=t_ms
        )
        assert again.chain("deribit", "BTC", t_ms) == may.chain("deribit", "BTC", t_ms)


def test_venues_stay_within_a_percent_and_a_half_of_the_index_even_in_the_crash(may: ScenarioTape) -> None:
    for t_ms in range(may.start_ms, may.end_ms, 11 * 60_000):
        for market in may.markets:
            quotes = [may.quote(v, market, perpetual=p, t_ms=t_ms) for v in VENUES for p in (False, True)]
            mids = np.array([q.mid for q in quotes if q is not None])
            assert len(mids) == 10
            assert np.abs(mids / may.price(market, t_ms) - 1).max() < 0.015


def test_books_thin_and_spreads_widen_when_the_market_falls(may: ScenarioTape) -> None:
    calm = may.quote("binance", "BTC", perpetual=False, t_ms=may.start_ms)
    crash = may.quote("binance", "BTC", perpetual=False, t_ms=CRASH_MS)
    assert calm is not None
    assert crash is not None
    assert crash.depth_usd < calm.depth_usd / 4
    assert crash.half_spread > calm.half_spread * 3


def test_the_perpetual_goes_below_the_index_when_the_market_falls(may: ScenarioTape) -> None:
    state = may.perpetual("binance", "BTC", CRASH_MS)
    assert state is not None
    assert state.index is not None
    assert state.mark < state.index * 0.995


def test_funding_is_the_last_one_settled(may: ScenarioTape) -> None:
    before, after = may.perpetual("okx", "ETH", 1_621_439_999_000), may.perpetual("okx", "ETH", 1_621_440_001_000)
    assert before is not None
    assert after is not None
    assert (before.funding_8h, after.funding_8h) == (0.0005331, -0.003563), "settled at 16:00 on 19 May"


def test_a_venue_that_the_scenario_does_not_know_says_nothing(may: ScenarioTape) -> None:
    assert may.quote("mtgox", "BTC", perpetual=False, t_ms=CRASH_MS) is None
    assert may.bars("mtgox", "BTC", perpetual=False, since_ms=0, t_ms=CRASH_MS) is None
    assert may.chain("deribit", "DOGE", CRASH_MS) is None


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("seed = 20210519", 'seed = "x"', "seed"),
        ("seed = 20210519", "seeed = 1", "unknown key seeed"),
        ("correlation = 0.85", "correlation = 1.5", "correlation"),
        ("[2021-05-17T00:00:00Z, 46430]", "[2021-05-19T00:00:00Z, 46430]", "ascending"),
        ("[2021-05-17T00:00:00Z, 46430]", "[2021-05-17T00:00:00Z, -1]", "prices"),
        ("[2021-05-17T00:00:00Z, 46430]", "[2021-05-17T00:00:00, 46430]", "prices"),
    ],
)
def test_a_wrong_scenario_is_one_clear_line(tmp_path: Path, line: str, wrong: str, message: str) -> None:
    text = MAY.read_text(encoding="utf-8")
    assert line in text
    broken = tmp_path / "broken.toml"
    broken.write_text(text.replace(line, wrong), encoding="utf-8")
    with pytest.raises(Fatal, match=message):
        load_scenario(broken)


@pytest.mark.parametrize("mid", [3.5, 130.0, 2_000.0, 40_000.0])
@pytest.mark.parametrize("half_spread", [1e-5, 3e-4, 2e-2])
def test_a_books_levels_are_ordered_uncrossed_and_as_deep_as_asked(mid: float, half_spread: float) -> None:
    bids, asks = levels(Quote(mid, half_spread, 1e6), tick_of(mid))
    assert bids[0][0] < mid < asks[0][0]
    assert [p for p, _ in bids] == sorted({p for p, _ in bids}, reverse=True)
    assert [p for p, _ in asks] == sorted({p for p, _ in asks})
    if half_spread < 0.01:
        near = sum(price * size for price, size in bids if price >= mid * 0.99)
        assert near == pytest.approx(1e6, rel=0.15)


# --- recorded history ------------------------------------------------------------------------------------------------

FROM_MS, TO_MS = 1_770_163_200_000, 1_770_422_400_000  # 2026-02-04 to 2026-02-07


@needs_data
@pytest.mark.data
def test_a_recording_holds_its_days_and_a_month_before() -> None:
    tape = load_recording(recorded(), FROM_MS, TO_MS)
    assert tape.markets == ("BTC", "ETH")
    for venue in ("binance", "okx", "bybit", "kraken"):
        bars = tape.bars(venue, "BTC", perpetual=True, since_ms=0, t_ms=FROM_MS)
        assert bars is not None
        assert len(bars) > 720
        assert tape.bars(venue, "BTC", perpetual=False, since_ms=0, t_ms=FROM_MS) is None
    assert tape.chain("deribit", "BTC", FROM_MS) is not None, "one from before the first moment"
    assert tape.vol_index("deribit", "BTC", FROM_MS) is None


@needs_data
@pytest.mark.data
def test_venues_of_a_recording_move_together_within_the_hour() -> None:
    """Each follows its own candles, yet at any minute they agree: nobody could tell a stale venue from these if not."""
    tape = load_recording(recorded(), FROM_MS, TO_MS)
    for t_ms in range(FROM_MS, TO_MS, 17 * 60_000):
        quotes = [tape.quote(v, "BTC", perpetual=True, t_ms=t_ms) for v in ("binance", "okx", "bybit", "kraken")]
        mids = np.array([q.mid for q in quotes if q is not None])
        assert np.abs(mids / np.median(mids) - 1).max() < 0.01


@needs_data
@pytest.mark.data
def test_funding_of_one_hour_is_told_as_of_eight() -> None:
    tape = load_recording(recorded(), FROM_MS, TO_MS)
    rates = [tape.perpetual(v, "BTC", TO_MS - 1) for v in ("binance", "okx", "bybit", "kraken")]
    assert all(state is not None and state.funding_8h is not None and abs(state.funding_8h) < 1e-3 for state in rates)
    assert all(state is not None and state.open_interest_usd is None for state in rates)


@needs_data
@pytest.mark.data
def test_a_period_that_was_not_recorded_is_one_clear_line() -> None:
    with pytest.raises(Fatal, match="choose another"):
        load_recording(recorded(), FROM_MS - 3650 * 86_400_000, TO_MS - 3650 * 86_400_000)


@needs_data
@pytest.mark.data
@pytest.mark.parametrize(
    ("scenario", "folder", "dense"),
    [
        ("may-2021", "ohlcv_binance_spot_1h_2021_2023", ("2021-05-19", 24)),
        ("march-2020", "ohlcv_binance_spot_1h_2017_2020", ("2020-03-12", 30)),
    ],
)
def test_the_waypoints_are_what_the_command_reads_out_of_the_recorded_candles(
    scenario: str, folder: str, dense: tuple[str, int]
) -> None:
    """The documented half of a scenario is real to the digit: nobody has touched it up since."""
    shape = load_section(PROJECT_ROOT / "config" / "scenarios" / f"{scenario}.toml", Scenario)
    app = typer.Typer()
    app.command()(main)
    for market, kept in shape.market.items():
        candles = recorded(folder, f"{market}USDT.parquet")
        span = ("--from", f"{shape.start:%Y-%m-%d}", "--to", f"{shape.end:%Y-%m-%d}")
        hours = ("--dense", dense[0], "--dense-hours", str(dense[1]))
        said = CliRunner().invoke(app, ["--prices", f"{market}={candles}", *span, *hours])
        assert said.exit_code == 0, said.output
        assert tomllib.loads(said.stdout)["market"][market]["prices"] == [[when, price] for when, price in kept.prices]
