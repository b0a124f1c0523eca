from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from margrave.errors import Rejected
from margrave.score import features
from margrave.score.features import History, hourly_1
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.unit.score.history import bars, snapshot


def history(n: int = 2000, seed: int = 1) -> History:
    rng = np.random.default_rng(seed)
    return features.from_bars(bars(n, seed), rng.normal(1e-4, 1e-4, n), np.exp(rng.normal(-0.7, 0.1, n)))


def cut(whole: History, start: int, end: int) -> History:
    return History(*(getattr(whole, f.name)[start:end] for f in fields(History)))


def column(table: features.Table, name: str) -> features.Floats:
    return table.columns[:, features.NAMES.index(name)]


def test_the_last_row_of_a_short_window_has_the_bits_of_the_same_row_in_the_whole_series() -> None:
    whole = history()
    table = features.compute(whole)
    for end in (900, 1333, 2000):
        served = features.compute(cut(whole, end - features.LONG_H - 1, end))
        assert np.array_equal(served.columns[-1], table.columns[end - 1])
        assert served.log_level[-1] == table.log_level[end - 1]


def test_changing_the_future_changes_no_feature_of_the_past() -> None:
    whole = history()
    future = slice(1500, None)
    changed = replace(whole, **{f.name: getattr(whole, f.name).copy() for f in fields(History)})
    for name in ("open", "high", "low", "close"):
        getattr(changed, name)[future] *= 3
    changed.volume[future] *= 10
    changed.funding_8h[future] = 0.01
    changed.vol_index[future] = 2.0
    before, after = features.compute(whole), features.compute(changed)
    assert np.array_equal(before.columns[:1500], after.columns[:1500], equal_nan=True)
    assert not np.array_equal(before.columns[1500:], after.columns[1500:])


def test_features_do_not_depend_on_the_unit_of_price_or_volume() -> None:
    whole = history(800)
    scaled = replace(whole, volume=whole.volume * 1000)
    for name in ("open", "high", "low", "close"):
        object.__setattr__(scaled, name, getattr(whole, name) * 1e-3)
    assert np.allclose(features.compute(whole).columns[-1], features.compute(scaled).columns[-1], rtol=0, atol=1e-9)


def test_every_row_from_the_two_hundredth_bar_on_is_finite_and_none_before() -> None:
    table = features.compute(history(400))
    assert np.isfinite(table.columns[features.MIN_BARS - 1 :]).all()
    assert np.isnan(table.columns[: features.MIN_BARS - 1]).all()
    assert table.columns.shape == (400, len(features.NAMES))


def test_fewer_bars_than_needed_give_no_row_at_all() -> None:
    assert np.isnan(features.compute(history(150)).columns).all()


def test_what_is_absent_is_zero_under_a_zero_mask_bit_and_named() -> None:
    row = features.compute(features.from_snapshot(snapshot(bars(300), funding_8h=None, vol_index=None))).columns[-1]
    assert features.masked(row) == ("funding", "implied")
    for bit in ("has_funding", "has_implied"):
        assert row[features.NAMES.index(bit)] == 0
        assert all(row[features.NAMES.index(name)] == 0 for name in features.MASKS[bit])


def test_a_zero_funding_rate_is_not_an_absent_one() -> None:
    row = features.compute(features.from_snapshot(snapshot(bars(300), funding_8h=0.0))).columns[-1]
    assert "funding" not in features.masked(row)


def test_a_week_with_an_unknown_volume_masks_the_volume_group() -> None:
    whole = history(400)
    whole.volume[-50] = np.nan
    row = features.compute(whole).columns[-1]
    assert "volume" in features.masked(row)


def test_range_variance_is_garman_and_klass_on_a_bar_without_a_gap() -> None:
    whole = history(300)
    table = features.compute(whole)
    t = 250
    spread, body = np.log(whole.high[t] / whole.low[t]), np.log(whole.close[t] / whole.open[t])
    gap = np.log(whole.open[t] / whole.close[t - 1])
    assert table.range_variance[t] == pytest.approx(0.5 * spread**2 - (2 * np.log(2) - 1) * body**2 + gap**2)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 24, 72, 168, 672])
def test_trailing_sums_by_doubling_are_sums(window: int) -> None:
    x = np.random.default_rng(3).normal(size=800)
    expected = [x[max(0, t + 1 - window) : t + 1].sum() for t in range(800)]
    assert np.allclose(hourly_1._trailing_sum(x, window), expected, rtol=0, atol=1e-11)


def test_the_hour_of_the_week_is_new_yorks_in_summer_and_winter() -> None:
    zone = ZoneInfo("America/New_York")
    hours = np.arange(1_577_836_800, 1_798_761_600, 3600, dtype=np.int64)[::7]
    local = [datetime.fromtimestamp(int(h), UTC).astimezone(zone) for h in hours]
    expected = [moment.weekday() * 24 + moment.hour for moment in local]
    assert np.array_equal(features.new_york_hour_of_week(hours * 1000), expected)


def broken(reason: Rejection) -> History:
    whole = history(300)
    if reason is Rejection.NOT_FINITE:
        whole.close[120] = np.nan
    elif reason is Rejection.NOT_POSITIVE:
        whole.low[120] = 0.0
    elif reason is Rejection.OUT_OF_RANGE:
        whole.high[120] = whole.low[120] * 0.9
    elif reason is Rejection.MALFORMED:
        whole.open_time_ms[120:] += HOUR_MS
    else:
        for name in ("open", "high", "low", "close"):
            getattr(whole, name)[-20:] = 40_000.0
    return whole


@pytest.mark.parametrize(
    "reason",
    [
        Rejection.NOT_FINITE,
        Rejection.NOT_POSITIVE,
        Rejection.OUT_OF_RANGE,
        Rejection.MALFORMED,
        Rejection.FROZEN,
    ],
)
def test_bars_that_cannot_be_true_are_refused_with_the_reason(reason: Rejection) -> None:
    with pytest.raises(Rejected) as caught:
        features.compute(broken(reason))
    assert caught.value.reason is reason
