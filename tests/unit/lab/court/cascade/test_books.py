"""What is read of a folder's liquidations, and what debts are told from prices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from margrave.lab.court import history
from margrave.lab.court.cascade import books, questions
from margrave.lab.court.cascade.leverage import WARM_H, response, told
from margrave.lab.court.panel import Panel, panel_of
from margrave.score.cascade.inputs import CASCADE, EDGES
from margrave.spans import HOUR_MS
from tests.unit.lab.court.cascade import made

HOURS = 24 * 130


def panel(folder: Path, close: np.ndarray, asset: str = "BTC") -> Panel:
    made.bars(folder, asset, close)
    return panel_of(history.read(folder))


@pytest.fixture(scope="module")
def close() -> np.ndarray:
    return made.prices(HOURS)


@pytest.fixture(scope="module")
def usd(close: np.ndarray) -> np.ndarray:
    return made.liquidated(close)


def test_a_liquidation_told_by_two_collections_counts_once(tmp_path: Path, close: np.ndarray, usd: np.ndarray) -> None:
    made.liquidations(tmp_path, "one/liquidations.parquet", usd)
    made.liquidations(tmp_path, "two/others.parquet", usd)
    made.days(tmp_path, usd)
    (book,) = books.read(tmp_path, panel(tmp_path, close)).books
    assert (book.name, book.asset) == ("WBTC V3", "BTC")
    assert book.liquidated_usd.sum() == pytest.approx(usd.sum())


def test_raw_amounts_are_tokens_at_the_hours_price_and_no_second_book(
    tmp_path: Path, close: np.ndarray, usd: np.ndarray
) -> None:
    grid = panel(tmp_path, close)
    hours = np.flatnonzero(usd)
    raw = {
        "ts": made.stamps(hours),
        "user": [f"0x{hour:040x}" for hour in hours],
        "collateralReserve": ["WBTC"] * len(hours),
        "collateralAmount": [str(int(usd[hour] / close[hour] * 1e8)) for hour in hours],
    }
    made.write(tmp_path, "raw/v2.parquet", raw)
    (alone,) = books.read(tmp_path, grid).books
    assert alone.name == "WBTC"
    assert alone.liquidated_usd.sum() == pytest.approx(usd.sum(), rel=1e-4)
    made.liquidations(tmp_path, "again/versioned.parquet", usd)
    assert [book.name for book in books.read(tmp_path, grid).books] == ["WBTC V3"]


def test_a_day_whose_liquidations_are_missing_was_not_seen(tmp_path: Path, close: np.ndarray, usd: np.ndarray) -> None:
    held = usd.copy()
    cut = HOURS - 24 * 20
    held[cut:] = 0.0
    made.liquidations(tmp_path, "one/liquidations.parquet", held)
    made.days(tmp_path, usd)
    (book,) = books.read(tmp_path, panel(tmp_path, close)).books
    assert book.seen[:cut].all()
    assert not book.seen[cut:][usd[cut:] > 0].any()


def test_a_days_deposits_are_known_when_it_is_over(tmp_path: Path, close: np.ndarray, usd: np.ndarray) -> None:
    made.liquidations(tmp_path, "one/liquidations.parquet", usd)
    made.days(tmp_path, usd)
    (book,) = books.read(tmp_path, panel(tmp_path, close)).books
    assert np.isnan(book.deposits_usd[:23]).all()
    assert (book.deposits_usd[23:HOURS] == made.DEPOSITS_USD).all()


def test_collateral_without_a_price_and_odd_files_are_said(tmp_path: Path, close: np.ndarray, usd: np.ndarray) -> None:
    made.liquidations(tmp_path, "one/liquidations.parquet", usd, symbol="wXYZ")
    (tmp_path / "one/broken.parquet").write_bytes(b"no parquet")
    grid = panel(tmp_path, close)
    found = books.read(tmp_path, grid)
    assert not found.books
    assert any("no prices" in line for line in found.left_out)
    assert any("broken.parquet" in line for line in found.left_out)


def test_unsorted_repeated_and_broken_rows_change_nothing(tmp_path: Path, close: np.ndarray, usd: np.ndarray) -> None:
    made.liquidations(tmp_path, "one/liquidations.parquet", usd)
    made.days(tmp_path, usd)
    grid = panel(tmp_path, close)
    (before,) = books.read(tmp_path, grid).books
    table = pq.read_table(tmp_path / "one/liquidations.parquet")
    broken = table.slice(0, 3).set_column(4, "amount_usd", pa.array([float("nan"), -5.0, float("inf")]))
    mixed = pa.concat_tables([table.take(np.arange(len(table))[::-1]), table.slice(0, 9), broken])
    pq.write_table(mixed, tmp_path / "two.parquet")
    made.write(
        tmp_path, "three.parquet", {"ts": ["noon"], "liquidatee": ["0x1"], "collateral": ["wBTC"], "amount_usd": ["x"]}
    )
    found = books.read(tmp_path, grid)
    (after,) = found.books
    assert np.array_equal(after.liquidated_usd, before.liquidated_usd)
    assert any(line.startswith("three.parquet") for line in found.left_out)


def test_a_wrapped_token_is_its_asset() -> None:
    assets = ("BTC", "ETH", "LINK")
    named = {"wBTC": "BTC", "cbBTC": "BTC", "tBTC": "BTC", "WETH": "ETH", "LINK": "LINK", "USDC": None}
    assert {symbol: books.underlying(symbol, assets) for symbol in named} == named


def test_a_wrapped_leader_is_the_leader_though_the_wrapped_coin_had_a_market_too() -> None:
    assert books.underlying("WBTC", ("BTC", "WBTC")) == "BTC"
    assert books.underlying("WBTC", ("WBTC",)) == "WBTC"
    assert books.underlying("XTZ", ("TZ", "XTZ")) == "XTZ"


# --- leverage ---------------------------------------------------------------------------------------------------------


def test_debts_lie_below_the_price_and_a_low_sweeps_what_it_passes(close: np.ndarray) -> None:
    found = told(close, close * 0.999, EDGES)
    assert np.isnan(found.below[:WARM_H]).all()
    known = found.below[WARM_H:]
    assert ((known >= 0) & (known <= 1)).all()
    assert (np.diff(known, axis=1) >= 0).all()
    crashed = close.copy()
    crashed[-2:] *= 0.6
    after = told(crashed, crashed * 0.999, EDGES)
    assert after.swept[-2] > 0.05 > 10 * found.swept[-2]
    # the same price again passes nobody but those who came in between
    assert after.swept[-1] < 0.001


def test_nothing_told_of_an_hour_knows_a_later_one(close: np.ndarray) -> None:
    cut = 24 * 100
    other = close.copy()
    other[cut:] *= np.linspace(1.0, 0.5, len(close) - cut)
    first, second = (told(series, series * 0.999, EDGES) for series in (close, other))
    # the grid begins elsewhere, so a debt may lie a step off
    assert np.allclose(first.below[WARM_H:cut], second.below[WARM_H:cut], atol=0.01)


def test_the_response_is_what_was_liquidated_of_what_was_swept() -> None:
    swept = np.full(3_000, 0.01)
    often, never = response(swept, 0.3 * swept), response(swept, 0.0 * swept)
    assert often[0] == pytest.approx(0.1, abs=0.1)
    assert often[-1] == pytest.approx(0.3, abs=0.01)
    assert never[-1] < 0.001
    unseen = response(swept, np.full(3_000, np.nan))
    assert (unseen == unseen[0]).all()


# --- questions --------------------------------------------------------------------------------------------------------


def test_a_cascade_is_a_thousandth_of_deposits_in_the_hours_that_follow(
    tmp_path: Path, close: np.ndarray, usd: np.ndarray
) -> None:
    made.liquidations(tmp_path, "one/liquidations.parquet", usd)
    made.days(tmp_path, usd)
    grid = panel(tmp_path, close)
    asked = questions.ask(books.read(tmp_path, grid).books, grid)
    rows = (asked.known_ms - made.START_MS) // HOUR_MS - 1
    for row, hour in list(zip(range(len(asked)), rows, strict=True))[::97]:
        for place, horizon in enumerate((1, 24)):
            if np.isfinite(asked.cascade[row, place]):
                ahead = usd[hour + 1 : hour + 1 + horizon].sum() / made.DEPOSITS_USD
                assert asked.liquidated[row, place] == pytest.approx(ahead, abs=1e-12)
                assert asked.cascade[row, place] == (ahead >= CASCADE)
    assert asked.cascade[np.isfinite(asked.cascade)].sum() > 20


def test_inputs_of_an_hour_do_not_change_with_what_follows(tmp_path: Path, close: np.ndarray, usd: np.ndarray) -> None:
    cut = 24 * 110
    found = []
    for name, count in (("long", HOURS), ("short", cut)):
        folder = tmp_path / name
        made.liquidations(folder, "one/liquidations.parquet", usd[:count])
        made.days(folder, usd[:count])
        grid = panel(folder, close[:count])
        found.append(questions.ask(books.read(folder, grid).books, grid))
    long, short = found
    both = long.only(np.isin(long.known_ms, short.known_ms))
    assert np.allclose(both.mass, short.mass, rtol=0.2, atol=2e-4)
    assert np.array_equal(both.ranges, short.ranges)
    assert np.array_equal(both.over_depth, short.over_depth)
