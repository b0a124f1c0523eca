"""Folders as nobody ordered them: what cannot be judged is said in one line, what can be is, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from margrave.errors import Fatal
from margrave.lab.court import backtest as court
from margrave.lab.court import page
from margrave.lab.court.backtest import Wish
from margrave.lab.court.report import Report
from tests.unit.lab.court.small import CALLED
from tests.unit.lab.court.test_history import bars, put

PRICES = ["open", "high", "low", "close"]
MIDDLE_OF_2022 = pd.Timestamp("2022-06-17T05:00", tz="UTC")


def judged(data: Path, out: Path) -> Report:
    return court.backtest(Wish(data=data, out=out, workers=1), print, CALLED, ())


def nothing(folder: Path) -> None:
    (folder / "deep" / "down").mkdir(parents=True)
    (folder / "notes.txt").write_text("no data here")


def four_hours(folder: Path) -> None:
    put(folder, "ohlcv_4h/AAAUSDT", bars(5_000, freq="4h"))


def days(folder: Path) -> None:
    put(folder, "ohlcv_1d/AAAUSDT", bars(2_000, start=pd.Timestamp("2018-01-01", tz="UTC"), freq="1D"))


def sixty_days(folder: Path) -> None:
    put(folder, "ohlcv_1h/AAAUSDT", bars(1_440))


def a_gap_every_day(folder: Path) -> None:
    frame = bars(9_000, start=MIDDLE_OF_2022)
    put(folder, "ohlcv_1h/AAAUSDT", frame[frame["ts"].dt.hour != 3])


def indices_alone(folder: Path) -> None:
    put(folder, "dvol_aaa_1h/AAA", bars(9_000, price=60.0, start=MIDDLE_OF_2022).drop(columns="volume"))


def constant(folder: Path) -> None:
    put(folder, "ohlcv_1h/AAAUSDT", bars(6_000, start=MIDDLE_OF_2022).assign(**dict.fromkeys(PRICES, 1.0)))


def broken(folder: Path) -> None:
    put(folder, "ohlcv_1h/AAAUSDT", bars(6_000, start=MIDDLE_OF_2022))
    path = folder / "ohlcv_1h" / "AAAUSDT.parquet"
    path.write_bytes(path.read_bytes()[:2_000])


@pytest.mark.parametrize(
    ("laid", "said"),
    [
        (nothing, "no bars"),
        (four_hours, "no bars"),
        (days, "no bars"),
        (sixty_days, "1440 hours are too few"),
        (a_gap_every_day, "no bars"),
        (indices_alone, "no bars"),
        (constant, "no bars"),
        (broken, "no bars"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(laid: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    laid(tmp_path / "data")
    with pytest.raises(Fatal, match=said) as refused:
        judged(tmp_path / "data", tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert refused.value.advice


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """From the middle of 2022: one good series, and one of each fault."""
    folder, out = tmp_path_factory.mktemp("dirty"), tmp_path_factory.mktemp("out")
    rng = np.random.default_rng(7)
    frames = {
        name: bars(6_000, start=MIDDLE_OF_2022, seed=place) for place, name in enumerate(["GOOD", "BLIND", "MIXED"])
    }
    put(folder, "perp_1h/GOODUSDT", frames["GOOD"])
    frames["BLIND"].loc[rng.choice(6_000, 3, replace=False), "close"] = np.nan
    put(folder, "perp_1h/BLINDUSDT", frames["BLIND"])
    mixed = frames["MIXED"].drop(index=range(3_000, 3_200))
    mixed = pd.concat([mixed, mixed.iloc[100:400]]).sample(frac=1.0, random_state=1)
    put(folder, "perp_1h/MIXEDUSDT", mixed)
    rescaled = bars(6_000, start=MIDDLE_OF_2022, seed=8)
    rescaled.loc[2_500:, PRICES] *= 1e6
    put(folder, "perp_1h/RESCALEDUSDT", rescaled)
    put(folder, "perp_1h/STILLUSDT", bars(6_000, start=MIDDLE_OF_2022).assign(**dict.fromkeys(PRICES, 1.0)))
    quarters = bars(6_000 * 2, start=MIDDLE_OF_2022, freq="30min", seed=9)
    put(folder, "perp_30m/HALVESUSDT", quarters)
    put(folder, "perp_4h/COARSEUSDT", bars(3_000, start=MIDDLE_OF_2022, freq="4h"))
    put(folder, "perp_1h/YOUNGUSDT", bars(700, start=MIDDLE_OF_2022 + pd.Timedelta("4000h"), seed=10))
    return folder, judged(folder, out)


def test_faults_cost_what_is_faulty_and_no_more(dirty: tuple[Path, Report]) -> None:
    _, found = dirty
    assert set(found.facts.assets) == {"GOOD", "BLIND", "MIXED", "RESCALED", "HALVES", "YOUNG"}
    left = "; ".join(found.facts.left_out)
    for said in (
        "BLINDUSDT: 3 bars that are no prices",
        "STILL: 100% of its hours stand still",
        "COARSEUSDT: bars of 4 hours",
    ):
        assert said in left
    assert found.facts.begins == "2022-06-17"
    day = next(verdict for verdict in found.volatility if verdict.horizon_h == 24)
    assert set(day.families["EWMA 0.97"].by_asset) == {"GOOD", "BLIND", "MIXED", "RESCALED", "HALVES", "YOUNG"}


def test_no_number_of_a_dirty_folder_is_absurd(dirty: tuple[Path, Report]) -> None:
    """Steps into another unit or over a gap would show as losses of hundreds."""
    _, found = dirty
    losses = [x for v in found.volatility for row in v.families.values() for x in row.by_asset.values()]
    assert np.isfinite(losses).all()
    assert max(losses) < 10
    levels = [x for v in found.tails for row in v.families.values() for t in row.sides.values() for x in t.levels]
    assert all(np.isfinite([x.pinball_bp, x.fz0, x.z2]).all() for x in levels)
    assert max(level.pinball_bp for level in levels) < 100


def test_a_dirty_folders_page_lists_what_was_left_out(dirty: tuple[Path, Report]) -> None:
    html = page.render(dirty[1])
    for line in dirty[1].facts.left_out:
        assert line.split(":")[0] in html


def test_one_asset_alone_is_judged_without_what_takes_two(tmp_path: Path) -> None:
    put(tmp_path / "data", "perp_1h/AAAUSDT", bars(5_000, start=MIDDLE_OF_2022))
    found = judged(tmp_path / "data", tmp_path / "out")
    assert found.facts.assets == ("AAA",)
    assert all(np.isnan(row.energy) for v in found.volatility for row in v.families.values())
    assert "–" in page.render(found)
