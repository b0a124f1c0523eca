"""The inputs beside the published ones: the estimators by their papers, VPIN by hand, and both forms alike."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Rejected
from margrave.messages import Bar
from margrave.score.features import beside
from margrave.score.features.beside import BESIDE, BESIDE_NAMES, columns_of, years_of
from margrave.score.features.hours import Hours
from margrave.score.features.observed import FIELDS, Observed, from_snapshot, of_bar
from margrave.score.features.recent import Recent, carried
from margrave.score.features.vpin import BUCKETS, Flow, bought_share, vpin_of
from margrave.spans import HOUR_MS
from tests.history import needs_data
from tests.unit.score.history import bars, snapshot

from .series import drawn, hour, real, with_holes

AGREE = 1e-9
FROM_BARS = tuple(FIELDS[:7])
FROM_HOURS = ("vol_index", "funding_8h")


def fields_of(hours: Hours, seed: int) -> dict[str, np.ndarray]:
    """All that the bars do not tell, drawn; a twentieth is missing, and the second asset never says some."""
    rng = np.random.default_rng(seed)
    shape = hours.close.shape
    found: dict[str, np.ndarray] = {}
    for name in FIELDS:
        if name in (*FROM_BARS, *FROM_HOURS, "vpin"):
            continue
        values = np.exp(rng.normal(0.0, 1.0, shape))
        if name in ("basis", "imbalance", "news_tone", "supply_change_24h"):
            values = np.tanh(rng.normal(0.0, 0.3, shape))
        values[rng.random(shape) < 0.002] = np.nan
        if name in ("peg", "open_interest_usd"):
            values[:, 1] = np.nan
        found[name] = values
    return found


def compare(hours: Hours, fields: dict[str, np.ndarray], asked: list[int], restart: int) -> None:
    columns = np.stack(list(columns_of(years_of(hours, fields)).values()), axis=-1)
    states = {asset: Recent(market=name) for asset, name in enumerate(hours.assets)}
    closes: dict[int, tuple[int, float]] = {}
    for row in range(max(asked) + 1):
        for asset in states:
            if (one := hour(hours, row, asset)) is None:
                continue
            before = closes.get(asset)
            close_before = before[1] if before is not None and before[0] == row - 1 else None
            closes[asset] = row, one.bar.close
            told = {name: float(values[row, asset]) for name, values in fields.items()}
            seen = msgspec.structs.replace(
                of_bar(one.bar, close_before),
                vol_index=one.vol_index,
                funding_8h=one.funding_8h,
                **{name: value for name, value in told.items() if np.isfinite(value)},
            )
            states[asset] = states[asset].after(one.bar.open_time_ms, seen)
        if row == restart:
            states = {k: msgspec.json.decode(msgspec.json.encode(s), type=Recent) for k, s in states.items()}
        if row in asked:
            here = [asset for asset in states if states[asset].open_ms == hours.open_ms[row]]
            found = carried([states[asset] for asset in here])
            wrong = np.argwhere(~(np.abs(found - columns[row, here]) <= AGREE))
            assert not len(wrong), [(BESIDE_NAMES[j], found[i, j], columns[row, here][i, j]) for i, j in wrong[:5]]


def silenced(hours: Hours, fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Where there is no bar, nothing is observed."""
    return {name: np.where(np.isfinite(hours.close), values, np.nan) for name, values in fields.items()}


@given(
    seed=st.integers(0, 2**32 - 1),
    holes=st.lists(st.tuples(st.integers(1, 700), st.integers(1, 250), st.integers(0, 2)), max_size=3),
    restart=st.integers(0, 799),
)
@settings(max_examples=10)
def test_hour_by_hour_gives_the_columns_of_years_whatever_is_missing(
    seed: int, holes: list[tuple[int, int, int]], restart: int
) -> None:
    hours = with_holes(drawn(800, seed), holes, [])
    compare(hours, silenced(hours, fields_of(hours, seed)), [3, 30, 170, 400, 555, 799], restart)


@pytest.mark.data
@needs_data
def test_on_real_series_both_forms_agree() -> None:
    hours = real(["BTC", "ETH", "SOL"], "2021-05-01", "2021-06-20")
    hours = with_holes(hours, [(500, 3, 1)], [])
    move = np.diff(np.log(hours.close), axis=0, prepend=np.nan)
    share, dollars = bought_share(move, np.full(move.shape, 0.01)), hours.volume * hours.close
    compare(hours, {"bought_usd": share * dollars, "sold_usd": (1 - share) * dollars}, [*range(170, 1_100, 97)], 600)


def test_each_estimator_is_right_on_a_walk_and_only_some_under_drift() -> None:
    rng = np.random.default_rng(0)
    sigma, days, steps = 0.01, 3_000, 400

    def mean_of(drift: float) -> dict[str, float]:
        path = np.cumsum(rng.normal(drift / steps, sigma / np.sqrt(steps), (days, steps)), axis=1)
        parts: dict[str, list[float]] = {}
        for row in np.exp(np.concatenate((np.zeros((days, 1)), path), axis=1)):
            seen = of_bar(Bar(0, row[0], row.max(), row.min(), row[-1], 1.0), None)
            for name in ("garman_klass", "parkinson", "rogers_satchell"):
                parts.setdefault(name, []).append(getattr(seen, name))
        return {name: float(np.mean(values)) / sigma**2 for name, values in parts.items()}

    still, drifting = mean_of(0.0), mean_of(0.02)
    # 400 looks a bar miss some of the range: Garman and Klass (1980) give .92 of it for so many
    assert all(0.85 < value < 1.02 for value in still.values())
    assert drifting["parkinson"] > 1.6
    assert 0.85 < drifting["rogers_satchell"] < 1.02


def test_vpin_counts_buckets_of_equal_volume_by_hand() -> None:
    state = Flow()
    for k in range(7 * 24):
        state = state.after(k * HOUR_MS, 100.0, 0.0)
    first = 7 * 24
    state = state.after(first * HOUR_MS, 30.0, 10.0)
    assert state.size_usd == 48.0  # a fiftieth of 24 hours of 100
    assert (state.filled_usd, state.buckets) == (40.0, ())
    state = state.after((first + 1) * HOUR_MS, 0.0, 16.0)
    # 40 of which 30 were bought, then 8 sold: 30 against 18
    assert state.buckets == (pytest.approx(12.0 / 48.0),)
    assert (state.filled_usd, state.bought_usd) == (pytest.approx(8.0), pytest.approx(0.0))
    assert np.isnan(state.vpin)


def test_one_sided_trading_has_a_vpin_of_one_and_even_trading_of_zero() -> None:
    times = HOUR_MS * np.arange(24 * 12, dtype=np.int64)
    dollars = np.full(len(times), 1e6)
    assert vpin_of(times, dollars, 0.0 * dollars)[-1] == pytest.approx(1.0)
    assert vpin_of(times, dollars, dollars)[-1] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(vpin_of(times, dollars, dollars)[: 7 * 24]).all()
    state = Flow()
    for at in times:
        state = state.after(int(at), 1e12, 0.0)
    assert len(state.buckets) == BUCKETS, "bounded, whatever is traded"


def test_a_rise_is_classified_as_bought() -> None:
    share = bought_share(np.array([-0.02, 0.0, 0.02]), np.full(3, 0.01))
    assert share[1] == 0.5
    assert share[0] < 0.05 < 0.95 < share[2]


def test_a_snapshot_is_mapped_field_by_field_and_what_it_lacks_is_masked() -> None:
    market = msgspec.structs.replace(
        snapshot(bars(300), funding_8h=2e-4, vol_index=0.6),
        perp_basis=-3e-4,
        open_interest_usd=5e9,
        half_spread=1e-4,
        depth_usd=2e7,
        imbalance=-0.25,
        slope_usd_per_bp=1.5e5,
        traded_usd_per_hour=8e7,
        buy_share=0.25,
        liquidated_long_usd_per_hour=3e5,
        liquidated_short_usd_per_hour=0.0,
        peg=0.98,
        transfer_velocity=0.4,
        supply_change_24h=-0.01,
        fear_greed=20.0,
    )
    seen = from_snapshot(market)
    assert (seen.bought_usd, seen.sold_usd) == (2e7, 6e7)
    assert seen.finer_square is None, "a node reads no finer bars"
    state = Recent(market="BTC").after(market.bars[-1].open_time_ms, seen)
    row = dict(zip(BESIDE_NAMES, carried([state])[0], strict=True))
    assert row["peg_distance"] == 0.0, "its mean of a day is not there yet, and the group goes together"
    assert row["has_peg"] == 0.0
    assert row["has_finer"] == row["has_news"] == row["has_book"] == 0.0
    later = state
    for k in range(1, 25):
        later = later.after(state.open_ms + k * HOUR_MS, seen)
    row = dict(zip(BESIDE_NAMES, carried([later])[0], strict=True))
    assert row["peg_distance"] == pytest.approx(np.arcsinh(200.0))
    assert row["basis"] == pytest.approx(np.arcsinh(-3.0))
    assert row["book_imbalance"] == -0.25
    assert row["half_spread"] == pytest.approx(0.0)
    assert row["book_slope"] == pytest.approx(np.log(0.75))
    assert row["fear_greed"] == pytest.approx(-0.6)
    assert row["liquidated_24h"] == pytest.approx(np.log1p(300.0))
    assert row["bought_share_24h"] == pytest.approx(-0.25)
    assert row["supply_change_24h"] == pytest.approx(-1.0)
    assert row["has_news"] == 0.0


def test_every_input_is_finite_and_zero_under_its_zero_bit() -> None:
    hours = drawn(500)
    columns = columns_of(years_of(hours, {}))
    assert tuple(columns) == BESIDE_NAMES
    for feature in BESIDE:
        assert np.isfinite(columns[feature.name]).all()
        if feature.mask is not None:
            assert (columns[feature.name][columns[feature.mask] == 0.0] == 0.0).all()
    assert columns["has_book"].max() == 0.0
    assert columns["has_cross"][400, hours.assets.index("BTC")] == 0.0, "the leader does not follow itself"
    assert columns["has_cross"][400, hours.assets.index("ETH")] == 1.0


def test_an_hour_that_does_not_follow_is_refused() -> None:
    state = Recent(market="BTC").after(10 * HOUR_MS, Observed())
    for wrong in (10 * HOUR_MS, 9 * HOUR_MS, 11 * HOUR_MS + 1):
        with pytest.raises(Rejected):
            state.after(wrong, Observed())


def test_no_input_beside_has_the_name_of_a_published_one_but_those_that_are_one() -> None:
    assert len(set(BESIDE_NAMES)) == len(BESIDE)
    assert beside.LEADER == "BTC"
