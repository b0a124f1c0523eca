"""How long the court sits over 30 assets and four years of hours, and how long plain `arch` loops take for its GARCH.

The series are simulated, so that anybody measures the same work: GARCH(1,1) with Student's t, one seed an asset. The
court is timed whole, from the panel to the report. `arch` holds two of its families (GARCH-t and GJR-GARCH-t: fit on
the last year, forecast every judged hour at the four horizons) on a stated fraction of (refit, asset) pairs and is
extrapolated in proportion, which is fair because each pair is the same work: a year to fit, a month to forecast. The
court's own time for the same two families is measured whole and in one process, as `arch` is.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.signal import lfilter

from margrave.lab.bench.measured import figure
from margrave.lab.court import report
from margrave.lab.court.answers import panel_digest
from margrave.lab.court.engine import Local
from margrave.lab.court.families import Kind, Listed, everyone
from margrave.lab.court.panel import COLUMNS, Panel
from margrave.lab.court.study import Study, collect, schedule
from margrave.spans import HOUR_MS, JULIAN_YEAR_H

ASSETS: Final = 30
HOURS: Final = 4 * JULIAN_YEAR_H
WORKERS: Final = 2
MOST_S: Final = 1_800.0
ARCH_PAIRS: Final = 12
FIT_H: Final = 8_760
ALIKE: Final = {"garch_t": 0, "gjr_garch_t": 1}
"""The court's family -> `o` of arch_model."""


def run(
    say: Callable[[str], None],
    *,
    assets: int = ASSETS,
    hours: int = HOURS,
    pairs: int = ARCH_PAIRS,
    among: Sequence[Listed] | None = None,
) -> dict[str, Any]:
    called = everyone() if among is None else among
    panel, study = simulated(assets, hours), Study()
    say(f"the court: {len(called)} families, {assets} assets, {hours} hours, {WORKERS} processes")
    whole_s = _court(panel, called, study, WORKERS, say)
    alike = [listed for listed in called if listed.name in ALIKE]
    mine_s = _court(panel, alike, study, 1, say) if alike else float("nan")
    legs = schedule(panel, study)
    many = min(pairs, len(legs) * assets)
    say(f"arch: {len(ALIKE)} models on {many} of {len(legs) * assets} (refit, asset) pairs")
    arch_s = _arch(panel, study, many) * len(legs) * assets / many
    return {
        "assets": assets,
        "hours": hours,
        "families": [listed.name for listed in called],
        "refits": len(legs),
        "simulated": True,
        "arch_fraction": many / (len(legs) * assets),
        "arch_extrapolated_s": arch_s,
        "court_same_two_families_s": mine_s,
        "targets": [
            figure(f"the court, {WORKERS} processes", whole_s, "s", MOST_S),
            figure("the court's GARCH-t and GJR-GARCH-t, 1 process", mine_s, "s"),
            figure(f"the same in arch loops, from {many} pairs", arch_s, "s"),
            figure("arch loops over the court", arch_s / mine_s, "x"),
        ],
    }


def simulated(assets: int, hours: int) -> Panel:
    """GARCH(1,1)-t prices with a wick around each bar; shape (hours, assets)."""
    returns = np.empty((hours, assets))
    for place in range(assets):
        rng = np.random.default_rng(place)
        shocks = rng.standard_t(5, hours) * np.sqrt(3 / 5)
        variance = 1.0
        for row in range(hours):
            returns[row, place] = variance**0.5 * shocks[row]
            variance = 0.02 + 0.08 * returns[row, place] ** 2 + 0.90 * variance
    returns *= 0.006
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    opened = np.vstack([np.full((1, assets), 100.0), close[:-1]])
    wick = np.abs(np.random.default_rng(assets).normal(0, 0.002, (2, hours, assets)))
    columns = dict.fromkeys(COLUMNS, np.full(close.shape, np.nan)) | {
        "open": opened,
        "close": close,
        "high": np.maximum(opened, close) * (1 + wick[0]),
        "low": np.minimum(opened, close) * (1 - wick[1]),
        "volume": 1.0 + lfilter([0.1], [1.0, -0.9], np.abs(returns), axis=0),
    }
    names = tuple(f"S{place:02d}" for place in range(assets))
    return Panel(np.arange(hours, dtype=np.int64) * HOUR_MS, names, **columns)


def _court(panel: Panel, called: Sequence[Listed], study: Study, workers: int, say: Callable[[str], None]) -> float:
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        answers = collect(panel, called, study, Path(folder), Local(workers), say)
        facts = report.facts(
            command="scripts/bench backtest",
            data="simulated",
            digest=panel_digest(panel),
            panel=panel,
            sources=(),
            left_out=(),
            study=study,
            called=called,
        )
        report.write(report.report(facts, panel, called, answers), Path(folder))
    return time.perf_counter() - begun


def _arch(panel: Panel, study: Study, pairs: int) -> float:
    """Seconds of the plain loop over so many (refit, asset) pairs, spread over the study."""
    from arch import arch_model

    legs = schedule(panel, study)
    begun = time.perf_counter()
    for place in np.linspace(0, len(legs) * len(panel.assets) - 1, pairs).astype(np.int64):
        leg, asset = legs[int(place) // len(panel.assets)], int(place) % len(panel.assets)
        first = max(leg.fit_row - FIT_H, 1)
        percent = 100.0 * panel.log_return[first : leg.end_row, asset]
        for skew in ALIKE.values():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a fit that did not converge costs what it costs
                model = arch_model(percent, mean="Zero", vol="GARCH", p=1, o=skew, q=1, dist="t", rescale=False)
                fit = model.fit(last_obs=leg.fit_row - first, disp="off")
                horizon_h = max(study.horizons_h(Kind.VOLATILITY))
                paths = fit.forecast(horizon=horizon_h, start=leg.fit_row - first, reindex=False).variance.to_numpy()
            total = np.cumsum(paths, axis=1)
            for horizon in study.horizons_h(Kind.VOLATILITY):
                rows = leg.rows(panel, horizon) - leg.fit_row
                assert np.isfinite(total[rows, horizon - 1]).all()
    return time.perf_counter() - begun
