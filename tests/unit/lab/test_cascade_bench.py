"""What the benchmark of cascades compares follows the same rules, whoever is faster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from margrave.errors import Fatal
from margrave.lab.bench import cascade
from margrave.score.cascade import Depth, Positions
from tests.unit.score.cascade.books import depths, positions, shocks


def test_all_three_agree_over_several_rounds_of_the_workload_with_bad_debt_in_it() -> None:
    book, depth = cascade.workload(300)
    ours = cascade.columns(book, depth, cascade.SHOCK)
    assert len(ours.called) >= 3
    assert ours.bad_debt_usd > 0
    for name, version in (("pandas", cascade.frames), ("loop", cascade.loop)):
        cascade.agree(ours, version(book, depth, cascade.SHOCK), name)


@settings(max_examples=25, deadline=None)
@given(positions(most=4), depths(), shocks())
def test_the_rivals_are_the_rules_too(book: Positions, depth: Depth, shock: list[float]) -> None:
    named = replace(book, assets=("A", "B", "USD"))
    ours = cascade.columns(named, depth, tuple(shock))
    for name, version in (("pandas", cascade.frames), ("loop", cascade.loop)):
        cascade.agree(ours, version(named, depth, tuple(shock)), name)


def test_versions_that_disagree_are_not_timed() -> None:
    ours = cascade.columns(*cascade.workload(50), cascade.SHOCK)
    with pytest.raises(Fatal, match="pandas says"):
        cascade.agree(ours, replace(ours, repaid_usd=ours.repaid_usd * 1.001), "pandas")
    with pytest.raises(Fatal, match="loop says"):
        cascade.agree(ours, replace(ours, called=(1,)), "loop")


def test_a_measure_has_all_versions_in_it() -> None:
    row = cascade.measure(*cascade.workload(100), runs=1, rival_runs=1)
    assert {"ours_ms", "clear_ms", "pandas_ms", "loop_ms", "positions_s", "rounds"} <= row.keys()
