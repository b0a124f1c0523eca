"""scripts/bench models measures every model and the whole of a market; what they cost is not asserted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from margrave.lab.bench import models as bench
from margrave.score.registry import open_model
from margrave.spans import HOUR_MS


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in (("RUNS", 3), ("BATCH_RUNS", 2), ("BATCH", 3), ("HOURS", 3), ("WARM_HOURS", 1)):
        monkeypatch.setattr(bench, name, few)
    monkeypatch.setattr(bench, "BUNDLE_BATCH_RUNS", 1)


@pytest.mark.usefixtures("short")
def test_every_model_and_the_bundle_have_their_rows_and_their_targets() -> None:
    said: list[str] = []
    found = bench.run(said.append)
    names = bench.registered()
    assert [each["name"] for each in found["models"]] == names
    rows = {row["name"]: row for row in found["targets"]}
    for name in names:
        assert any(row.startswith(f"{name}, parity") for row in rows)
    assert rows["bundle, one market, p99 of the processor"]["target"] == bench.MOST_BUNDLE_MS
    assert rows["memory added"]["value"] > 1
    for row in rows.values():
        assert row["value"] >= 0
        assert row["holds"] is (None if row["target"] is None else row["value"] <= row["target"])
    assert found["bundle"]["models"]
    assert said == [*names, "the bundle"]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", bench.registered())
def test_a_model_computes_here_what_it_computed_when_it_was_published(name: str) -> None:
    found = bench.model(open_model(bench.REGISTRY, name))
    assert max(found.golden, found.parity or 0.0) <= bench.MOST_PARITY[found.dtype]


def test_the_hours_of_the_drill_follow_each_other() -> None:
    with bench.drill() as work:
        hours = bench._hours(work.market, 4)
    ends = [hour.bars[-1].open_time_ms for hour in hours]
    assert [b - a for a, b in pairwise(ends)] == [HOUR_MS] * 3
    assert all(hour.price == hour.bars[-1].close for hour in hours)
