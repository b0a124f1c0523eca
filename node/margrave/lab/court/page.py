"""The court's page: one HTML file that carries its style and drawings, and asks nobody for anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from margrave.lab.court import plots
from margrave.lab.court.chamber import Ruling
from margrave.lab.court.families import Kind, Role
from margrave.lab.court.family import LEVELS
from margrave.lab.court.judge_tails import MAIN, SIDES, TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict
from margrave.lab.court.report import Report
from margrave.lab.court.target import Target

FILE_NAME: Final = "index.html"
SURELY: Final = 0.05
MAIN_LEVEL: Final = LEVELS.index(MAIN)


@dataclass(frozen=True, slots=True)
class Drawing:
    title: str
    note: str
    svg: Markup
    key: tuple[tuple[str, str], ...] = ()
    """(colour's variable, name)."""


def write(found: Report, out: Path) -> Path:
    """Write `index.html` into the folder `out`, which is made if need be, and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / FILE_NAME
    path.write_text(render(found), encoding="utf-8")
    return path


def render(found: Report) -> str:
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("margrave.lab.court", "templates"), PackageLoader("margrave.lab.demo", "templates")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "chance": chance, "share": share, "cell": cell, "figure": figure}
    return environment.get_template("court.html.j2").render(
        report=found,
        facts=found.facts,
        headline=headline(found),
        targets=[(target, _said(target)) for target in found.targets],
        volatility_drawings=_volatility(found),
        tail_drawings=_tails(found),
        minute=minute(found),
        figures=_figures,
        apart_volatility=_apart(found.volatility_apart, found.volatility, _kept_beside(found)),
        apart_tails=_apart(found.tails_apart, found.tails, _kept_beside(found)),
        level=MAIN_LEVEL,
        sides=tuple(SIDES),
        reference=_named(found, Kind.TAILS, Role.REFERENCE),
        ours=(_named(found, Kind.VOLATILITY, Role.OURS), _named(found, Kind.TAILS, Role.OURS)),
    )


def headline(found: Report) -> str:
    measured = [target for target in found.targets if target.holds is not None]
    met = sum(bool(target.holds) for target in measured)
    elsewhere = len(found.targets) - len(measured)
    sample = "A quick look at a subset, which proves nothing. " if found.facts.study.quick else ""
    if not measured:
        return f"{sample}No family of ours was judged: the {elsewhere} targets were not measured."
    whole = f"{sample}{met} of the {len(measured)} targets measured here are met"
    return f"{whole}; {elsewhere} {'was' if elsewhere == 1 else 'were'} not measured." if elsewhere else f"{whole}."


def minute(found: Report) -> list[tuple[str, str, str]]:
    """(section, title, one sentence) of each kind that was judged: what a committee reads."""
    lines = []
    ours = _named(found, Kind.VOLATILITY, Role.OURS)
    over = [(v.horizon_h, *v.over_best[ours]) for v in found.volatility if ours in v.over_best] if ours else []
    if over:
        parts = [f"{number(ratio, 2)} at {_hours(horizon_h)} (t {number(d.t, 1)})" for horizon_h, ratio, d in over]
        words = f"QLIKE of {ours} over that of the best baseline, which is chosen for each asset afterwards: "
        lines.append(("volatility", "Volatility", words + ", ".join(parts) + "."))
    lines += _minute_of_tails(found)
    lines += [(ruling.kind, ruling.title, ruling.summary) for ruling in found.rulings if ruling.summary]
    return lines


def _minute_of_tails(found: Report) -> list[tuple[str, str, str]]:
    ours, reference = _named(found, Kind.TAILS, Role.OURS), _named(found, Kind.TAILS, Role.REFERENCE)
    judged = [(v, label) for v in found.tails for label in SIDES if ours in v.families]
    if ours is None or not judged:
        return []
    levels = [v.families[ours].sides[label].levels[MAIN_LEVEL] for v, label in judged]
    rows = [a for v in found.tails for a in v.against if (a.family, a.other) == (ours, reference)]
    cells = [cell.passes for level in levels for cell in level.cells]
    parts = [f"hits of {ours} at 1 %: {', '.join(share(level.hit_rate) for level in levels)}"]
    if rows:
        better = sum(row.difference < 0 for row in rows)
        surely = sum(row.difference < 0 and row.holm_p < SURELY for row in rows)
        parts.append(f"FZ0 below {reference}'s in {better} of {len(rows)} horizons and tails, surely in {surely}")
    if cells:
        parts.append(f"{sum(cells)} of {len(cells)} cells pass all tests")
    words = "; ".join(parts)
    return [("tails", "VaR and expected shortfall", f"{words[0].upper()}{words[1:]}.")]


def _hours(horizon_h: int) -> str:
    return f"{horizon_h // 24} d" if horizon_h % 24 == 0 else f"{horizon_h} h"


def number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def chance(value: float) -> str:
    """A p-value."""
    if not math.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def cell(value: str | float | None) -> str:
    """Of a chamber's table."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else figure(value)


def figure(value: float) -> str:
    """Four figures that count, and no more."""
    if not math.isfinite(value):
        return "–"
    rounded = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    return rounded.replace("-", "−")


def share(value: float) -> str:
    return f"{value:.2%}" if math.isfinite(value) else "–"


def _figures(ruling: Ruling) -> list[Drawing]:
    return [Drawing(f.title, f.note, Markup(f.svg)) for f in ruling.figures]  # noqa: S704 - drawn by `plots.svg`


def _said(target: Target) -> tuple[str, str]:
    """(verdict's class, its words)."""
    styles = {None: "unpublished", True: "met", False: "missed"}
    return styles[target.holds], target.verdict


def _named(found: Report, kind: Kind, role: Role) -> str | None:
    rows: Mapping[str, Mapping[str, str]] = found.facts.families
    return next((name for name, row in rows.items() if row["kind"] == kind and row["role"] == role), None)


def _volatility(found: Report) -> list[Drawing]:
    verdicts = [verdict for verdict in found.volatility if verdict.over_best]
    if not verdicts:
        return []
    ours = _named(found, Kind.VOLATILITY, Role.OURS)
    drawings = [
        Drawing(
            "QLIKE over the best baseline's",
            "Left of 1 is better. The best baseline is chosen for each asset, afterwards; bars are 95 % (Newey–West).",
            Markup(plots.skill(verdicts, ours)),  # noqa: S704 - our own drawing; names in it are escaped by matplotlib
        )
    ]
    best = _best_single(found)
    if ours is not None and best is not None:
        keyed = (("--blue", ours), ("--amber", best))
        drawings.append(
            Drawing(
                "Realised over forecast variance",
                "By tenths of the forecast, low to high: 1 is right.",
                Markup(plots.calibration(verdicts, (ours, best))),  # noqa: S704
                keyed,
            )
        )
        drawings += [
            Drawing(
                f"{ours} over {best}, QLIKE by month, {verdict.horizon_h} h",
                "Below 1 is better.",
                Markup(plots.months(verdict, ours, best)),  # noqa: S704
            )
            for verdict in verdicts
            if verdict.horizon_h in (4, 24) and ours in verdict.by_month and best in verdict.by_month
        ]
    return drawings


def _kept_beside(found: Report) -> set[str | None]:
    """Whom those judged apart are shown beside."""
    return {
        *(_named(found, kind, Role.OURS) for kind in Kind),
        _named(found, Kind.TAILS, Role.REFERENCE),
        _best_single(found),
    }


def _apart(
    verdicts: Sequence[VolatilityVerdict] | Sequence[TailVerdict],
    whole: Sequence[VolatilityVerdict] | Sequence[TailVerdict],
    beside: set[str | None],
) -> list[tuple[VolatilityVerdict | TailVerdict, set[str]]]:
    """(verdict, whom to show)."""
    heard = {verdict.horizon_h: set(verdict.families) for verdict in whole}
    return [(v, {n for n in v.families if n in beside or n not in heard.get(v.horizon_h, ())}) for v in verdicts]


def _best_single(found: Report) -> str | None:
    """The baseline that is best on most assets at a day, or at the longest horizon there is before it."""
    for verdict in sorted(found.volatility, key=lambda v: abs(v.horizon_h - 24)):
        chosen = list(verdict.best_by_asset.values())
        if chosen:
            return max(sorted(set(chosen)), key=chosen.count)
    return None


def _tails(found: Report) -> list[Drawing]:
    verdicts = list(found.tails)
    if not verdicts:
        return []
    ours, reference = _named(found, Kind.TAILS, Role.OURS), _named(found, Kind.TAILS, Role.REFERENCE)
    names = [name for name in (ours, reference) if name is not None] or list(verdicts[0].families)[:3]
    keyed = tuple(zip(("--blue", "--amber", "--grey"), names, strict=False))
    drawings = []
    if reference is not None and any(a.other == reference for a in verdicts[0].against):
        drawings.append(
            Drawing(
                f"FZ0 at 1 % less {reference}'s",
                "Left of 0 is better; bars are 95 % (Newey–West).",
                Markup(plots.shortfall(verdicts, reference, ours)),  # noqa: S704
            )
        )
    drawings += [
        Drawing(
            "Hits over stated hits",
            "By level, per cent: 1 is right, above it the quantile is too shallow.",
            Markup(plots.hits(verdicts, names)),  # noqa: S704
            keyed,
        ),
        Drawing(
            "PIT: outcomes between two quantiles, found over stated",
            "From the lowest interval to the highest: flat at 1 is right.",
            Markup(plots.pit(verdicts, names)),  # noqa: S704
            keyed,
        ),
    ]
    for name in names[:1]:
        drawn = plots.cells(verdicts, name)
        if drawn is not None:
            note = "Blue: Kupiec, Christoffersen and DQ all accept at 5 %; red cross: one does not."
            drawings.append(Drawing(f"Cells at 1 %, {name}", note, Markup(drawn)))  # noqa: S704
    return drawings
