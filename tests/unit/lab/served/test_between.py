"""The price at half past comes of finer bars of the same thing, and a move since the close is asked with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from margrave.lab.court.history import read
from margrave.lab.served import between
from margrave.lab.served.halves import half_past
from margrave.lab.served.rounds import FIRST_H
from margrave.spans import HOUR_MS
from tests.unit.lab.served.folders import START, framed, halves, hourly, put
from tests.unit.score import real

HOURS = FIRST_H + 60
START_MS = int(START.timestamp()) * 1_000


def test_the_price_at_half_past_is_the_finer_bars_close_then(tmp_path: Path) -> None:
    finer = halves(400, 1)
    put(hourly(finer), tmp_path, "some_perp", "BTCUSDT")
    put(finer.drop(index=[20, 41]), tmp_path, "finer_perp", "BTCUSDT")
    found = read(tmp_path)
    (told,) = half_past(tmp_path, found.stretches)
    assert told[5] == pytest.approx(finer["close"][10])
    assert np.isnan(told[10]), "the half hour is not there"
    assert np.isnan(told[20]), "nobody knows whether it closes the hour as the other does"
    assert np.isfinite(told).sum() == 398


def test_finer_bars_of_something_else_tell_no_half_hour(tmp_path: Path) -> None:
    finer = halves(400, 1)
    put(hourly(finer), tmp_path, "some_perp", "BTCUSDT")
    prices = ["open", "high", "low", "close"]
    put(finer.assign(**{name: 1.01 * finer[name] for name in prices}), tmp_path, "finer_spot", "BTCUSDT")
    put(hourly(finer), tmp_path, "again_perp", "BTCUSDT")
    (tmp_path / "some_perp" / "torn.parquet").write_bytes(b"PAR1 no more")
    found = [each for each in read(tmp_path).stretches if "some" in each.source or "again" in each.source]
    assert all(np.isnan(told).all() for told in half_past(tmp_path, found))


def rows_of(folder: Path, finer: pd.DataFrame) -> list[between.Row]:
    put(finer, folder, "finer_perp", "BTCUSDT")
    stretches = read(folder).stretches
    told = half_past(folder, stretches)
    return list(between.ask(real.forecaster(), stretches, told, START_MS, START_MS + HOURS * HOUR_MS))


def test_a_jump_within_the_hour_is_asked_with_and_only_then_is_the_ladder_another(tmp_path: Path) -> None:
    close = halves(HOURS, 3)["close"].to_numpy().copy()
    asked_at = [at for at in range(0, HOURS, between.STRIDE_H) if at >= FIRST_H]
    jumps = asked_at[2::4]
    for at in jumps:
        close[2 * at :] *= 0.93
    rows = rows_of(tmp_path, framed(close, 30))
    told = between.told(rows)
    assert len(rows) == len([at for at in asked_at if at + 4 < HOURS]), "none without an outcome"
    assert [row.moved for row in rows][2::4] == [True] * len(rows[2::4])
    assert told.moved.times + told.still.times == len(rows)
    assert told.still.closed == told.still.published
    assert all(not after or before for row in rows for before, after in zip(row.passed_closed, row.passed, strict=True))


def test_a_fall_after_a_move_passes_the_closed_bars_rung_and_not_the_larger_answers(tmp_path: Path) -> None:
    close = halves(HOURS, 3)["close"].to_numpy().copy()
    at = next(at for at in range(0, HOURS, between.STRIDE_H) if at >= FIRST_H + 10)
    close[2 * at :] *= 0.95
    close[2 * at + 2 :] *= 0.965
    rows = rows_of(tmp_path, framed(close, 30))
    told = between.told([row for row in rows if row.moved])
    assert (told.moved.closed["down_q975"] or 0.0) > (told.moved.published["down_q975"] or 0.0)


def test_of_nothing_nothing_is_told() -> None:
    told = between.told([])
    assert told.moved.times == 0
    assert told.moved.closed["down_q975"] is None
    assert told.unlike is None
    assert told.most_es99_where_unlike is None
