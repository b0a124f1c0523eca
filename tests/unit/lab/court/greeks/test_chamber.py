"""The greeks chamber: it finds the delta that a made world asks for, and says what it cannot judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from margrave.lab.court import chains
from margrave.lab.court.chamber import Case, Ruling
from margrave.lab.court.chambers import CHAMBERS
from margrave.lab.court.greeks import GreeksChamber
from margrave.lab.court.greeks.against import Ratios, learned, ratios
from margrave.lab.court.greeks.chamber import AVERAGE, WORST
from margrave.lab.court.greeks.held import Held, held
from margrave.lab.court.panel import no_panel
from margrave.lab.court.study import quick
from margrave.score.greeks import moves
from margrave.spans import HOUR_MS
from tests.unit.lab.court.greeks.world import EVERY_H, lay
from tests.unit.lab.court.surface.made import put, quotes_at
from tests.unit.score.sample import CALM


def judged(folder: Path) -> Ruling:
    return GreeksChamber().judge(Case(folder, no_panel(), quick(), folder / "answers", lambda _: None))


@pytest.fixture(scope="module")
def leaning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which volatility falls as the forward rises."""
    folder = tmp_path_factory.mktemp("leaning")
    lay(folder, steps=64, leverage=-0.35)
    return folder


@pytest.fixture(scope="module")
def ruling(leaning: Path) -> Ruling:
    return judged(leaning)


@pytest.fixture(scope="module")
def found(leaning: Path) -> Held:
    return held(chains.read(leaning).by_asset)[0]


def heard(found: Held, extra: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Ratios:
    one = ratios(found, extra)
    assert one is not None
    return one


def test_it_sits() -> None:
    assert any(chamber.kind == "greeks" for chamber in CHAMBERS)


def test_where_volatility_falls_with_the_forward_the_served_delta_leaves_less(ruling: Ruling) -> None:
    assert [target.name for target in ruling.targets] == [AVERAGE.name, WORST.name]
    average = ruling.targets[0]
    assert average.value is not None
    assert average.value < 0.9
    assert "no day of it was chosen on" in average.note
    assert all(len(row) == len(table.columns) for table in ruling.tables for row in table.rows)
    assert {table.title for table in ruling.tables} >= {"Where it helps least", "Served over Black's, by month"}
    assert ruling.figures[0].svg.startswith("<svg")
    assert any("no bars" in why for why in ruling.silent)


def test_where_volatility_stays_the_same_rule_is_found_worse_than_blacks(tmp_path: Path) -> None:
    lay(tmp_path, steps=64, leverage=0.0)
    found = judged(tmp_path)
    assert found.targets[0].value is not None
    assert found.targets[0].value > 1
    assert found.targets[1].holds is False


def test_a_delta_that_knows_the_worlds_rule_leaves_next_to_nothing_but_gamma(found: Held) -> None:
    true = found.vega * -0.35 * np.sqrt(30 / found.days)
    assert heard(found, true).mean < heard(found, found.served).mean
    long = found.only(found.days > 30)
    assert heard(long, long.vega * -0.35 * np.sqrt(30 / long.days)).mean < 0.35


def test_what_adds_nothing_is_blacks_and_what_is_silent_is_not_judged(found: Held) -> None:
    assert heard(found, np.zeros(len(found))).mean == pytest.approx(1.0)
    assert ratios(found, np.full(len(found), np.nan)) is None
    half = np.where(found.is_call, found.served, np.nan)
    assert all(bucket.is_call for bucket in heard(found, half).buckets)


def test_the_learnt_delta_knows_no_day_that_is_to_come(found: Held) -> None:
    extra = learned(found)
    days = found.from_ms // 86_400_000
    first = np.unique(days)[:10]
    assert np.isnan(extra[np.isin(days, first)]).all()
    cut = np.unique(days)[12]
    again = learned(found.only(days <= cut))
    np.testing.assert_array_equal(again, extra[days <= cut])


def test_a_hedge_is_held_until_the_next_chain_and_its_error_is_what_is_left(found: Held) -> None:
    assert found.hours == pytest.approx(EVERY_H)
    assert (found.days >= 1).all()
    assert ((found.call_delta >= 0.02) & (found.call_delta <= 0.98)).all()
    calls, puts = (found.only(found.is_call == side) for side in (True, False))
    np.testing.assert_allclose(calls.error, puts.error, atol=1e-12)  # parity: one forward hedges both
    assert found.two_sided.all()
    assert not found.told.any()


def test_a_ladder_changes_the_served_delta_and_nothing_else(leaning: Path, found: Held) -> None:
    told, silent = held(chains.read(leaning).by_asset, lambda _, at_ms: moves(CALM) if at_ms % 2 == 0 else None)
    assert silent == ()
    assert told.told.all()
    np.testing.assert_array_equal(told.error, found.error)
    np.testing.assert_array_equal(told.smile, found.served)
    assert (told.served != found.served).any()


def test_one_chain_holds_nothing_and_is_said(tmp_path: Path) -> None:
    put(tmp_path, [quotes_at(0)], asset="AAA")
    found = judged(tmp_path)
    assert all(target.value is None for target in found.targets)
    assert "follow each other" in found.summary


def test_a_few_days_are_too_few(tmp_path: Path) -> None:
    lay(tmp_path, steps=6, leverage=0.0)
    assert "too few options" in judged(tmp_path).summary


def test_chains_days_apart_are_not_held_across(tmp_path: Path) -> None:
    put(tmp_path, [quotes_at(step, every_h=40.0) for step in range(5)], asset="AAA")
    found = judged(tmp_path)
    assert any("within 26 hours" in why for why in found.silent)


def test_a_folder_without_chains_is_said_and_nothing_measured(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ts": [1], "open": [1.0], "close": [1.0]}), tmp_path / "bars.parquet")
    found = judged(tmp_path)
    assert all(target.value is None for target in found.targets)
    assert "no option chains" in found.summary


def test_unsorted_and_repeated_rows_and_marks_that_are_none_change_nothing_else(tmp_path: Path, leaning: Path) -> None:
    rows = pq.read_table(next(leaning.rglob("*.parquet")))
    few = rows.slice(0, rows.num_rows // 4)
    random = np.random.default_rng(2).permutation(few.num_rows)
    shuffled = pa.concat_tables([few.take(random), few.slice(0, 500)])
    for name, table in (("plain", few), ("shuffled", shuffled)):
        (tmp_path / name).mkdir()
        pq.write_table(table, tmp_path / name / "chains.parquet")
    one, other = (held(chains.read(tmp_path / name).by_asset)[0] for name in ("plain", "shuffled"))
    assert len(one) == len(other)
    assert np.sum(one.error**2) == pytest.approx(np.sum(other.error**2))
    gone = few.to_pandas()
    gone.loc[gone.index % 3 == 0, "mark_iv"] = float("nan")
    (tmp_path / "gone").mkdir()
    pq.write_table(pa.Table.from_pandas(gone), tmp_path / "gone" / "chains.parquet")
    left = held(chains.read(tmp_path / "gone").by_asset)[0]
    assert 0 < len(left) < len(one)
    assert np.isfinite(left.error).all()


def test_a_price_that_never_moves_is_no_ratio_and_no_fault(tmp_path: Path) -> None:
    time_ms, quotes = quotes_at(0)
    put(tmp_path, [(time_ms + step * 6 * HOUR_MS, quotes) for step in range(4)], asset="AAA")
    found = judged(tmp_path)
    assert found.targets[0].value is None or np.isfinite(found.targets[0].value)
