"""What is left in history of an hour that came and went."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from margrave.guard.winsor import winsorised

Fields = NDArray[np.float64]


def hours(count: int = 200, seed: int = 5, scale: float = 0.004) -> Fields:
    """A walk of `scale` an hour on a volume of one hundred."""
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(scale * draw.standard_normal(count)))
    open_ = np.append(100.0, close[:-1])
    wick = np.exp(scale / 2 * draw.random(count))
    return np.column_stack(
        [open_, np.maximum(open_, close) * wick, np.minimum(open_, close) / wick, close, np.full(count, 100.0)]
    )


def spiked(row: int, factor: float, volume: float = 100.0) -> Fields:
    fields = hours()
    fields[row, 1] = max(fields[row, 1], fields[row, 0] * factor)
    fields[row, 2] = min(fields[row, 2], fields[row, 0] * factor)
    fields[row, 4] = volume
    return fields


def bound(fields: Fields, **more: object) -> tuple[Fields, int]:
    return winsorised(fields, float(fields[-1, 3]), 4.0, 2.0, **more)  # type: ignore[arg-type]


def test_an_ordinary_history_is_left_as_it_is() -> None:
    bounded, touched = bound(hours())
    assert touched == 0
    assert bounded is not None
    assert np.array_equal(bounded, hours())


@pytest.mark.parametrize("factor", [24.0, 1.3, 0.7, 0.04])
def test_a_thin_hour_that_reverts_leaves_one_ordinary_move(factor: float) -> None:
    bounded, touched = bound(spiked(150, factor))
    assert touched == 1
    was, now = hours()[150], bounded[150]
    assert abs(np.log(now[1] / now[2])) < 4 * 0.004
    assert now[2] <= min(now[0], now[3]) <= max(now[0], now[3]) <= now[1]
    assert now[3] == was[3]


def test_an_hour_that_was_traded_stays_whole() -> None:
    fields = spiked(150, 1.3, volume=1_000.0)
    bounded, touched = bound(fields)
    assert touched == 0
    assert np.array_equal(bounded, fields)


def test_an_hour_that_was_traded_but_not_believed_does_not() -> None:
    assert bound(spiked(150, 1.3, volume=1_000.0), disbelieved={150})[1] == 1


def test_a_gap_that_stays_is_whole_from_the_first_hour() -> None:
    fields = hours()
    fields[150, 1:4] *= [1.0, 0.7, 0.7]
    fields[151:, :4] *= 0.7
    bounded, touched = bound(fields)
    assert touched == 0
    assert np.array_equal(bounded, fields)


def test_a_gap_in_the_last_hour_is_whole_while_the_price_is_there_and_gone_once_it_is_back() -> None:
    fields = hours()
    fields[-1, 1:4] *= [1.0, 0.7, 0.7]
    assert winsorised(fields, float(fields[-1, 3]), 4.0, 2.0)[1] == 0
    back, touched = winsorised(fields, float(fields[-1, 0]), 4.0, 2.0)
    assert touched == 1
    assert back[-1, 3] > 0.97 * fields[-1, 0]


def test_an_excursion_over_the_end_of_an_hour_is_taken_out_of_both() -> None:
    fields = hours()
    fields[150, [1, 3]] = 2_400.0
    fields[151, [0, 1]] = 2_400.0
    bounded, _ = bound(fields)
    assert bounded[150:152, :4].max() < 1.05 * hours()[150:152, :4].max()
    assert bounded[151, 1] >= max(bounded[151, 0], bounded[151, 3])


def test_without_volumes_nothing_is_known_to_be_thin() -> None:
    fields = spiked(150, 1.3)
    fields[:, 4] = 0.0
    assert bound(fields)[1] == 0


@settings(deadline=None, max_examples=60)
@given(st.integers(30, 199), st.floats(0.01, 100.0), st.floats(0, 1e4), st.integers(0, 50))
def test_whatever_is_bounded_stays_a_candle(row: int, factor: float, volume: float, seed: int) -> None:
    fields = hours(seed=seed)
    fields[row, 3] *= factor
    fields[row, 1], fields[row, 2] = max(fields[row, :4]), min(fields[row, :4])
    fields[row, 4] = volume
    bounded, _ = bound(fields)
    open_, high, low, close = bounded[:, :4].T
    assert np.isfinite(bounded).all()
    assert (low <= np.minimum(open_, close) * (1 + 1e-12)).all()
    assert (high >= np.maximum(open_, close) * (1 - 1e-12)).all()
