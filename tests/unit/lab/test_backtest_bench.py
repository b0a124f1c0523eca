"""The court's benchmark measures what it says, on a small study."""

from __future__ import annotations

from margrave.lab.bench.backtest import ALIKE, run, simulated
from margrave.lab.court.families import everyone


def test_the_benchmark_says_what_fraction_of_arch_it_measured() -> None:
    two = [listed for listed in everyone() if listed.name in ALIKE]
    assert len(two) == len(ALIKE), "the families that arch holds too are still called so"
    found = run(lambda line: None, assets=2, hours=4_500, pairs=2, among=two)  # noqa: ARG005
    assert found["arch_fraction"] == 2 / (2 * found["refits"])
    assert all(target["value"] > 0 for target in found["targets"])
    assert found["targets"][0]["holds"] is True


def test_simulated_series_are_the_same_for_everybody_and_are_sound_bars() -> None:
    one, two = simulated(2, 500), simulated(3, 500)
    assert (one.close == two.close[:, :2]).all()
    assert (one.low <= one.close).all()
    assert (one.high >= one.open).all()
