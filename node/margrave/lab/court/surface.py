"""The surface chamber: are holes of the implied surface filled well and without arbitrage, is an option's fair value
right and its interval honest, does calibration take longer than it must, and does anybody know tomorrow's surface."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from margrave.errors import Fatal
from margrave.lab.court import chains, surface_plots
from margrave.lab.court.chamber import Case, Figure, Ruling, Table
from margrave.lab.court.families.surface import cells, filling, starting, valuing
from margrave.lab.court.families.surface.cells import Shot
from margrave.lab.court.families.surface.filling import HALF, HOLES, Filling
from margrave.lab.court.families.surface.foretelling import Foretold, foretold
from margrave.lab.court.families.surface.indicators import HORIZONS_DAYS
from margrave.lab.court.families.surface.starting import Started
from margrave.lab.court.families.surface.valuing import Valued
from margrave.lab.court.target import Goal, Target, unmeasured
from margrave.score import completion, surface_forecast
from margrave.score.registry import Model, open_model
from margrave.settings import REGISTRY

MODELS: Final = (f"{completion.FAMILY}/1", f"{surface_forecast.FAMILY}/1", f"{starting.FAMILY}/1")
COMPLETED: Final = Goal("surface completion RMSE at half the cells hidden", 0.8, "vol points")
SOUND: Final = Goal("static arbitrage among listed options after completion", 0.0, "constraints")
AHEAD: Final[Mapping[tuple[str, int], Goal]] = {
    (quantity, horizon): Goal(f"{quantity} RMSE over the last surface's, {horizon} d", wanted, "x")
    for horizon, wanted in zip(HORIZONS_DAYS, (0.98, 0.95), strict=True)
    for quantity in ("skew", "slope")
}
MOST_SHOTS: Final = 30
"""Of one asset, evenly spread: holes of more add little."""
QUICK_SHOTS: Final = 6
NO_CHAINS: Final = "the folder holds no option chains (times, options, volatilities or prices, forwards)"
NO_PRIOR: Final = "the registry's prior did not open"
SAID: Final = 6


@dataclass(frozen=True)
class SurfaceChamber:
    registry: Path = REGISTRY
    kind: str = "surface"
    about: str = "holes filled, options valued, surfaces fitted and foretold, from option chains"
    goals: tuple[Goal, ...] = (COMPLETED, SOUND, *AHEAD.values())

    def judge(self, case: Case) -> Ruling:
        found = chains.read(case.data)
        silent = [*found.left_out[:SAID]]
        if not len(found):
            return self._nothing([*silent, NO_CHAINS])
        case.say(f"surface: {len(found)} chains of {', '.join(found.by_asset)}")
        shots: dict[str, list[Shot]] = {}
        for asset, mine in found.by_asset.items():
            shots[asset], refused = cells.shots(cells.regular(mine))
            silent += refused[:SAID]
        if not any(shots.values()):
            return self._nothing([*silent, "no chain has quotes enough for a surface"])
        models, why = self._models()
        prior, forecast, start = (models.get(name) for name in MODELS)
        most = QUICK_SHOTS if case.study.quick else MOST_SHOTS
        filled = filling.filling(shots, most, prior, case.say)
        valued = None if prior is None else valuing.valued(shots, prior, most)
        began = starting.started(shots, start, most // 2)
        told = foretold(shots, forecast)
        return Ruling(
            kind=self.kind,
            title="Implied surface and fair value",
            summary=_summary(shots, filled, told),
            tables=(*_filled(filled), *_valued(valued), *_began(began), *_told(told)),
            figures=tuple(_figures(filled, valued, told)),
            targets=(*_completed(filled), *_ahead(told)),
            silent=(*silent, *why, *filled.silent, *told.silent),
        )

    def _models(self) -> tuple[dict[str, Model], list[str]]:
        opened, why = {}, []
        for name in MODELS:
            try:
                opened[name] = open_model(self.registry, name)
            except Fatal as error:
                why.append(f"{name}: {error}")
        return opened, why

    def _nothing(self, silent: Sequence[str]) -> Ruling:
        return Ruling(
            kind=self.kind,
            title="Implied surface and fair value",
            summary=f"Nothing was judged: {silent[-1]}.",
            targets=unmeasured(self.goals, silent[-1]),
            silent=tuple(silent),
        )


def _summary(shots: Mapping[str, Sequence[Shot]], filled: Filling, told: Foretold) -> str:
    count = ", ".join(f"{len(found)} chains of {asset}" for asset, found in shots.items() if found)
    told_words = (
        "Forecasts could not be judged."
        if not told.rows
        else f"A week ahead, {told.ours} has {_ratio(told, 'skew', 7)} of the last surface's skew error and "
        f"{_ratio(told, 'slope', 7)} of its slope error."
    )
    scores = filled.scores[HALF]
    best = min(scores, key=lambda name: scores[name].rmse, default=None)
    filled_words = (
        "No hole could be made."
        if best is None
        else f"With half the cells hidden the best answer ({best}) is off by {scores[best].rmse:.2f} vol points, "
        f"an SSVI refit by {scores['SSVI refit'].rmse:.2f}."
    )
    return f"{count}. {filled_words} {told_words}"


def _ratio(told: Foretold, quantity: str, horizon: int) -> str:
    row = told.rows.get((quantity, horizon), {}).get(told.ours or "")
    return "–" if row is None else f"{row.ratio:.3f}"


# --- holes ------------------------------------------------------------------------------------------------------------


def _filled(filled: Filling) -> Iterator[Table]:
    names = sorted({name for found in filled.scores.values() for name in found})
    if not names:
        return
    names.sort(key=lambda name: filled.scores[HALF][name].rmse if name in filled.scores[HALF] else np.inf)
    rows = []
    for name in names:
        scored = [filled.scores[kind].get(name) for kind in HOLES]
        half = filled.scores[HALF].get(name)
        against = filled.against(HALF, name)
        rows.append(
            (
                name,
                *(None if one is None else one.rmse for one in scored),
                None if half is None else half.rmse_quotes,
                None if half is None else half.broken / max(half.chains, 1),
                None if against is None or name == filled.ours else against.t,
            )
        )
    yield Table(
        "Hidden cells",
        ("", *(f"{kind} hidden" for kind in HOLES), "each quote, 50 %", "arbitrage a chain, 50 %", "ours less this, t"),
        tuple(rows),
        note=(
            f"RMSE in vol points over hidden cells ({filled.chains} chains; a cell is a tenor by a range of standard "
            "moves, and its error the mean over its quotes). Arbitrage: constraints that the answers break among all "
            "listed options, vertical, butterfly and calendar. t: Diebold and Mariano on mean squares of chains."
        ),
    )


def _completed(filled: Filling) -> Iterator[Target]:
    scored = None if filled.ours is None else filled.scores[HALF].get(filled.ours)
    if scored is None:
        why = NO_PRIOR if filled.ours is None else "no chain has cells enough"
        why = filled.silent[0] if filled.silent else why
        yield from unmeasured((COMPLETED, SOUND), why)
        return
    mean = f"{scored.chains} chains, each quote {scored.rmse_quotes:.2f}"
    yield COMPLETED.measured(scored.rmse, mean)
    yield SOUND.measured(scored.broken, f"{scored.chains_broken} of {scored.chains} chains")


# --- values -----------------------------------------------------------------------------------------------------------


def _valued(valued: Valued | None) -> Iterator[Table]:
    if valued is None or not len(valued):
        return
    tenors = cells.TENORS_DAYS
    parts = [("all", np.ones(len(valued), dtype=np.bool_))]
    parts += [
        (f"{low:g} to {high:.0f} d", (valued.days >= low) & (valued.days < high))
        for low, high in itertools.pairwise(tenors)
    ]
    rows: list[tuple[str | float | None, ...]] = []
    for words, mine in parts:
        if not mine.any():
            continue
        error, spread = valued.error_points[mine], valued.spread_points[mine]
        rows.append(
            (
                words,
                float(mine.sum()),
                float(np.sqrt(np.mean(error**2))),
                float(np.sqrt(np.mean(valued.surface_points[mine] ** 2))),
                float(np.median(np.abs(error) / np.maximum(spread, 1e-6))),
                float(np.mean(np.abs(error) <= spread / 2)),
                float(valued.within[mine].mean()),
                float(np.median(valued.width_points[mine])),
                float(np.median(spread)),
            )
        )
    yield Table(
        "Fair value of quotes kept back",
        (
            "expiry", "options", "RMSE, vol points", "SSVI alone", "median error in spreads", "between bid and ask",
            "mid in our interval (of 0.90)", "interval, vol points", "spread, vol points",
        ),
        tuple(rows),
        note="A tenth of each chain's two-sided quotes is kept back and valued from the others of the same chain.",
    )  # fmt: skip


# --- calibration ------------------------------------------------------------------------------------------------------


def _began(rows: Sequence[Started]) -> Iterator[Table]:
    if rows:
        yield Table(
            "Calibration",
            (
                "",
                "quotes",
                "ms",
                "fit error, vol points",
                "loss over the best's",
                "share worse than the best",
                "chains",
            ),
            tuple(
                (row.name, row.quotes, row.milliseconds, row.rmse_points, row.loss, row.worse, float(row.chains))
                for row in rows
            ),
            note=(
                "The optimiser is SciPy's least_squares; the polish, Levenberg and Marquardt's steps on the same loss. "
                "Times are of one thread of this machine, the least of three, the median over chains; worse: a loss a "
                "thousandth above the best of all."
            ),
        )


# --- what comes -------------------------------------------------------------------------------------------------------


def _told(told: Foretold) -> Iterator[Table]:
    for horizon in HORIZONS_DAYS:
        quantities = [q for q in surface_forecast.QUANTITIES if (q, horizon) in told.rows]
        if not quantities:
            continue
        names = list(dict.fromkeys(name for q in quantities for name in told.rows[q, horizon]))
        rows: list[tuple[str | float | None, ...]] = []
        for name in names:
            cells_of = [told.rows[q, horizon].get(name) for q in quantities]
            rows.append(
                (name, *(value for one in cells_of for value in ((None, None) if one is None else (one.ratio, one.t))))
            )
        base = ", ".join(f"{q} {told.rows[q, horizon]['last surface'].rmse_points:.2f}" for q in quantities)
        yield Table(
            f"{horizon} d ahead",
            ("", *(words for q in quantities for words in (q, f"{q}, t"))),
            tuple(rows),
            note=(
                f"RMSE over the last surface's (whose own, in volatility points: {base}), all tenors and assets; t of "
                "Diebold and Mariano, a time one observation, Newey-West over the horizon's chains."
            ),
        )
    if told.tenors:
        yield Table(
            "By tenor",
            ("", "d ahead", "tenor, d", "last surface, vol points", "ours over it"),
            tuple(told.tenors),
            note=f"Ours: {told.ours}. A slope is the next tenor's volatility less this one's.",
        )


def _ahead(told: Foretold) -> Iterator[Target]:
    for (quantity, horizon), goal in AHEAD.items():
        row = told.rows.get((quantity, horizon), {}).get(told.ours or "")
        if row is None:
            yield goal.unmeasured(told.silent[0] if told.silent else "too few chains a horizon apart")
        else:
            yield goal.measured(row.ratio, f"{told.ours}, {row.times} times, t {row.t:.1f}")


def _figures(filled: Filling, valued: Valued | None, told: Foretold) -> Iterator[Figure]:
    half = filled.scores[HALF]
    shown = [name for name in ("SSVI refit", "last surface", filled.ours) if name is not None and name in half]
    if shown:
        lines = {
            name: [filled.scores[kind][name].rmse for kind in HOLES]
            for name in half
            if all(name in filled.scores[kind] for kind in HOLES) and "alone" not in name
        }
        yield Figure(
            "What is hidden, and how far the answers are off",
            surface_plots.by_share(lines, list(HOLES), filled.ours),
            "Volatility points, on a logarithmic scale; dotted, what was to be reached at half.",
        )
        yield Figure(
            "Where the answers are off, half the cells hidden",
            surface_plots.by_cell({name: filling.grid(half[name]) for name in shown}, 4.0),
            "RMSE in volatility points by tenor and standard moves.",
        )
    if valued is not None and len(valued):
        yield Figure(
            "Fair value against quotes kept back",
            surface_plots.values(valued),
            "Inside the wedge our volatility lies between bid and ask.",
        )
    if told.rows:
        ratios = {
            f"{q}, {h} d": {name: row.ratio for name, row in found.items()} for (q, h), found in told.rows.items()
        }
        yield Figure(
            "RMSE over the last surface's", surface_plots.ahead(ratios, told.ours), "Left of the line is better."
        )
