"""The chamber of the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court import plots
from margrave.lab.court.chamber import Case, Figure, Ruling, Table, unjudged
from margrave.lab.court.panel import Panel
from margrave.lab.court.score import alarms, crashes, regimes, told, trust
from margrave.lab.court.score.alarms import Precise, Record
from margrave.lab.court.score.calibration import Calibrated, calibrated, falls
from margrave.lab.court.score.crashes import Crash
from margrave.lab.court.score.regimes import Spent
from margrave.lab.court.score.told import Told
from margrave.lab.court.score.trust import Trusted
from margrave.lab.court.target import Goal, Target
from margrave.lab.demo.plots import AMBER, BLUE, GREY
from margrave.score.regime import ORDER
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from margrave.spans import DAY_MS
from margrave.verdicts import Regime

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POOLED: Final = Goal("score: worst 1 % of straddle losses over the price part, away from one", 0.10)
NEAR: Final = (0.6, 1.5)
SPREAD: Final = Goal(
    f"score: markets' years whose ratio lies in {NEAR[0]:g} to {NEAR[1]:g}", 0.90, "share", at_least=True
)
RISING: Final = Goal("score: tenths of the price part that lost less than the one below", 0)
IN_TIME: Final = Goal("regime: crashes that it was elevated before half of", 0.80, "share", at_least=True)
IN_VAIN: Final = Goal("regime: alarms in vain, a year of a market", 12)
PRECISION: Final = Goal(
    "score: average precision before crashes over the best usual measure's", 1.0, "x", at_least=True
)
TITLE: Final = "The score"
SCORE: Final = "score"
NAMED: Final = (
    ("2020-03-12", "Black Thursday"),
    ("2021-05-19", "the May deleveraging"),
    ("2022-05-11", "Terra"),
    ("2022-06-13", "Celsius"),
    ("2022-11-08", "FTX"),
    ("2024-08-05", "the yen carry trade"),
    ("2025-10-10", "the tariff announcement"),
    ("2026-02-05", "February 2026"),
)
"""Shown where the folder has them; crashes are counted by the rule."""
AROUND_MS: Final = 2 * DAY_MS


@dataclass(frozen=True)
class ScoreChamber:
    kind: str = "score"
    about: str = "the risk score: what it means across markets and years, and what it said before crashes"
    goals: tuple[Goal, ...] = (POOLED, SPREAD, RISING, IN_TIME, IN_VAIN, PRECISION)
    registry: Path = REGISTRY

    def judge(self, case: Case) -> Ruling:
        panel = case.panel
        if panel.hours <= told.LEAST_H:
            return unjudged(
                self, TITLE, f"{panel.hours} hours of bars: a market's first score comes after {told.LEAST_H}"
            )
        case.say(f"score: the ladder of {len(panel.assets)} assets, hour by hour")
        said = told.tell(panel, case.study, case.answers, self.registry)
        meaning = calibrated(panel, said, open_model(self.registry, told.MAIN).card.left_out)
        if meaning is None:
            return unjudged(self, TITLE, "no market has hours enough without a gap to be scored and judged")
        case.say("score: crashes and alarms")
        fallen = crashes.crashes(panel)
        lived = regimes.lived(panel, said.points)
        records = _records(panel, said, lived, fallen)
        precise = _precise(panel, said, fallen)
        case.say("score: confidence")
        trusted = trust.trusted(panel, self.registry)
        return self._ruling(panel, fallen, lived, meaning, records, precise, trusted)

    def _ruling(
        self,
        panel: Panel,
        fallen: Sequence[Crash],
        lived: Ints,
        meaning: Calibrated,
        records: Mapping[str, Record],
        precise: Sequence[Precise],
        trusted: tuple[list[Trusted], list[Trusted]] | str,
    ) -> Ruling:
        elevated = records[Regime.ELEVATED]
        silent = [] if precise else ["alarms: no crash follows an hour that every measure has"]
        tables = [
            *_meaning_tables(meaning),
            _alarm_table(list(records.values())),
            *([_precision_table(precise)] if precise else []),
            _regime_table(regimes.spent(lived)),
            _named_table(panel, fallen, lived),
        ]
        if isinstance(trusted, str):
            silent.append(trusted)
        else:
            tables += [_trust_table(rows, what) for rows, what in zip(trusted, TRUSTED, strict=True)]
        return Ruling(
            kind=self.kind,
            title=TITLE,
            summary=(
                f"Over {meaning.hours:,} hours the reference straddle's worst hundredth of losses was "
                f"{meaning.pooled:.2f} of what the score's price part said. {len(elevated.leads)} of {len(fallen)} "
                f"crashes fell in hours with a score; half of the fall was still ahead in {elevated.in_time:.0%} of "
                f"them when the regime was elevated, and {elevated.in_vain_a_year:.1f} alarms a year of a market were "
                "in vain."
            ),
            tables=tuple(table for table in tables if table.rows),
            figures=_figures(meaning),
            targets=_targets(meaning, elevated, precise),
            silent=tuple(silent),
        )


def _targets(meaning: Calibrated, elevated: Record, precise: Sequence[Precise]) -> tuple[Target, ...]:
    cells = [cell.ratio for cell in meaning.counted]
    near = [NEAR[0] <= ratio <= NEAR[1] for ratio in cells]
    crashed = f"{len(elevated.leads)} crashes in {elevated.years:.1f} years of markets"
    return (
        POOLED.measured(abs(meaning.pooled - 1), f"the ratio is {meaning.pooled:.3f}, {meaning.hours:,} hours"),
        SPREAD.measured(float(np.mean(near)), f"{len(cells)} years of markets")
        if cells
        else SPREAD.unmeasured("no market has half a year"),
        RISING.measured(falls(meaning.tenths)) if meaning.tenths else RISING.unmeasured("too few hours for tenths"),
        IN_TIME.measured(elevated.in_time, crashed) if elevated.leads else IN_TIME.unmeasured("no crash was scored"),
        IN_VAIN.measured(elevated.in_vain_a_year, f"{elevated.alarms} alarms, {crashed}"),
        PRECISION.measured(
            precise[0].over_best[0],
            f"against {precise[0].best}; 95 % of months drawn anew give {precise[0].over_best[1]:.2f} to "
            f"{precise[0].over_best[2]:.2f}",
        )
        if precise
        else PRECISION.unmeasured("no crash follows an hour that every measure has"),
    )


# --- who is asked -----------------------------------------------------------------------------------------------------


def _records(panel: Panel, said: Told, lived: Ints, fallen: Sequence[Crash]) -> dict[str, Record]:
    scored = np.isfinite(said.points)
    found: dict[str, Record] = {}
    for name, figure in {SCORE: said.points, **alarms.usual_measures(panel)}.items():
        if not np.isfinite(figure).any():
            continue
        limit = _by_asset(figure, alarms.ALARMED)
        could = scored & np.isfinite(figure) & np.isfinite(limit)
        with np.errstate(invalid="ignore"):
            found[name] = alarms.record(name, (figure > limit) & could, could, fallen)
    could = lived != regimes.UNKNOWN
    for regime in (Regime.ELEVATED, Regime.STRESSED, Regime.CRISIS):
        found[regime] = alarms.record(f"regime {regime}", lived >= ORDER.index(regime), could, fallen)
    return found


def _precise(panel: Panel, said: Told, fallen: Sequence[Crash]) -> list[Precise]:
    """Of all assets; and of those with an implied volatility index, with it."""
    figures = {SCORE: said.points, **alarms.usual_measures(panel)}
    over = {}
    for name, figure in figures.items():
        with np.errstate(invalid="ignore"):
            over[name] = figure / _by_asset(figure, 0.5)
    implied = over.popitem()
    asked = (alarms.precise(over, fallen), alarms.precise(over | dict([implied]), fallen))
    return [found for found in asked if found is not None]


def _by_asset(figure: Floats, level: float) -> Floats:
    return np.stack([alarms.own_year(column, level) for column in figure.T], axis=1)


# --- tables -----------------------------------------------------------------------------------------------------------

TRUSTED: Final = (
    "Confidence as the folder has its inputs, on hours that the model has not seen",
    "The same hours with inputs taken away",
)


def _meaning_tables(meaning: Calibrated) -> list[Table]:
    years = sorted({cell.year for cell in meaning.cells})
    by = {(cell.asset, cell.year): cell for cell in meaning.cells}
    pegs = {cell.asset for cell in meaning.cells if cell.pegged}
    rows = []
    for asset in dict.fromkeys(cell.asset for cell in meaning.cells):
        ratios = [by[asset, year].ratio if (asset, year) in by else None for year in years]
        rows.append((f"{asset}{' (pegged, not counted)' if asset in pegs else ''}", *ratios))
    return [
        Table(
            "Worst 1 % of straddle losses over the score's price part, by market and year",
            ("market", *(str(year) for year in years)),
            tuple(rows),
            "One is right; above it the score said too little. Years of at least half a year of hours.",
        ),
        Table(
            "The same by the height of the score",
            ("tenth", "price part, mean points", "worst 1 % of losses, points", "losses over price part"),
            tuple((str(at + 1), t.said, t.found, t.ratio) for at, t in enumerate(meaning.tenths)),
        ),
        Table(
            "The same with the published map of the price part and without it",
            ("hours of", "hours", "with", "without", "tenths with, lowest", "highest", "without, lowest", "highest"),
            tuple((p.what, float(p.hours), p.mapped, p.raw, *p.mapped_tenths, *p.raw_tenths) for p in meaning.parts),
            "Losses over the price part: one is right.",
        ),
    ]


def _alarm_table(records: Sequence[Record]) -> Table:
    return Table(
        "Alarms and crashes",
        (
            "signal", "market years", "alarmed, share of hours", "crashes", "alarmed before half of the fall, share",
            "before it began, share", "median lead to the half, h", "median lead to the trough, h",
            "alarms a market year", "of them in vain",
        ),
        tuple(
            (
                r.name, r.years, r.on, len(r.leads), _cell(r.in_time), _cell(r.before_peak),
                _cell(r.median_to_half_h), _cell(r.median_to_trough_h),
                _cell(r.alarms / r.years if r.years else np.nan), _cell(r.in_vain_a_year),
            )
            for r in records
        ),
        f"A figure is an alarm above the {alarms.ALARMED:.0%} quantile of its own last year, until a day has passed "
        f"without; in vain if no half of a crash's fall comes within {alarms.AHEAD_H} h, nor while it stands. Leads "
        f"are {alarms.AHEAD_H} h at most, and of crashes with an alarm. The implied volatility index has fewer markets "
        "and years.",
    )  # fmt: skip


def _precision_table(precise: Sequence[Precise]) -> Table:
    return Table(
        f"Average precision: whether half of a crash's fall comes within {alarms.AHEAD_H} h",
        ("hours", "signal", "average precision", "share of hours before crashes"),
        tuple(
            (float(p.hours), name, value, p.base) for p in precise for name, value in zip(p.names, p.value, strict=True)
        ),
        "Each figure over its own median of the last year. Of one that knows nothing it is the share in the last "
        "column.",
    )


def _regime_table(spent: Sequence[Spent]) -> Table:
    return Table(
        "Regimes",
        ("regime", "share of hours", "entered, times a market year", "mean stay, days"),
        tuple((s.regime, s.share, s.entered_a_year, _cell(s.mean_h / 24)) for s in spent),
        "By score and funding; liquidations and drift, which a node knows, are not in a history of prices.",
    )


def _named_table(panel: Panel, fallen: Sequence[Crash], lived: Ints) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for day, what in NAMED:
        at_ms = int(np.datetime64(day, "ms").astype(np.int64))
        mine = [c for c in fallen if abs(int(panel.known_ms[c.half]) - at_ms) <= AROUND_MS]
        known = [c for c in mine if lived[c.peak, c.asset] != regimes.UNKNOWN]
        if not known:
            continue
        elevated = ORDER.index(Regime.ELEVATED)
        rows.append(
            (
                f"{day}, {what}", len(known), max(c.fall for c in known),
                _share([lived[c.peak, c.asset] >= elevated for c in known]),
                _share([lived[c.half, c.asset] >= elevated for c in known]),
                _share([lived[c.trough, c.asset] >= elevated for c in known]),
                _share([lived[c.trough, c.asset] >= ORDER.index(Regime.STRESSED) for c in known]),
            )
        )  # fmt: skip
    return Table(
        "Crashes that have names",
        (
            "crash", "markets that crashed", "the deepest", "elevated at the peak, share", "at half of the fall",
            "at the trough", "stressed or worse at the trough",
        ),
        tuple(rows),
        "Markets that had a score and crashed by the rule within two days of it. The regime at half of the fall is "
        "told of the hour that closed there.",
    )  # fmt: skip


def _trust_table(rows: Sequence[Trusted], what: str) -> Table:
    return Table(
        what,
        (
            "confidence" if what == TRUSTED[0] else "inputs", "mean confidence", "forecasts", "outcomes beyond VaR 1 %",
            "losses over price part", "pinball, bp",
        ),
        tuple((t.what, t.confidence, t.forecasts, t.hits, t.ratio, t.pinball_bp) for t in rows),
        "Of both sides: 0.02 and 1 are right. Of the doubts a history knows two: inputs missing (0.97 each) and inputs "
        "unlike the training data.",
    )  # fmt: skip


def _figures(meaning: Calibrated) -> tuple[Figure, ...]:
    figure, (tenths, years) = plots.side_by_side(2, 2.0, share_y=True)
    tenths.plot(np.arange(1, len(meaning.tenths) + 1), [t.ratio for t in meaning.tenths], color=BLUE, marker="o")
    tenths.set_title("by tenth of the price part", loc="left", fontsize=8)
    found = meaning.counted
    years.scatter([c.year for c in found], [c.ratio for c in found], color=AMBER, s=8, linewidths=0)
    years.set_title("by year, a dot a market", loc="left", fontsize=8)
    for axis in (tenths, years):
        axis.axhline(1.0, color=GREY, linewidth=0.8)
    tenths.set_ylim(0.0, 2.5)
    note = "One is right. Markets beyond the frame are in the table."
    return (Figure("Worst losses over what the score's price part said", plots.svg(figure), note),)


def _share(flags: Sequence[bool]) -> float:
    return float(np.mean(flags))


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
