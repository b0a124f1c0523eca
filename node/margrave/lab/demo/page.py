"""The page of a run: one HTML file that carries its style, drawings and script, and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from margrave.lab.demo import charts, falls, hurting, story, strips, wording
from margrave.lab.demo.record import Position, RoundRow, Summary
from margrave.lab.demo.series import Floats, MarketSeries, RunSeries, columns

FILE_NAME: Final = "index.html"


@dataclass(frozen=True, slots=True)
class MarketSection:
    """Everything that the page says about one market."""

    name: str
    sentence: str
    panels: tuple[charts.Panel, ...]
    reasons: tuple[strips.Row, ...]
    inputs: tuple[strips.Row, ...]
    trust: tuple[strips.Row, ...]
    oddities: tuple[strips.Row, ...]
    moments: tuple[story.Moment, ...]
    fall: falls.Drawn | None


def write(summary: Summary, out: Path) -> Path:
    """Write `index.html` into the folder `out`, which is made if need be, and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / FILE_NAME
    path.write_text(render(summary), encoding="utf-8")
    return path


def render(summary: Summary) -> str:
    """The page as text. Every name in the summary is escaped: venue and member names come from outside."""
    environment = Environment(
        loader=PackageLoader("margrave.lab.demo", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "usd": wording.usd,
        "percent": wording.percent,
        "volatility": wording.volatility,
        "count": wording.count,
        "seconds": wording.seconds,
        "moment": wording.moment,
        "short_moment": wording.short_moment,
        "abbreviated": wording.abbreviated,
        "listing": wording.listing,
    }
    return environment.get_template("page.html.j2").render(_contents(summary))


def _contents(summary: Summary) -> Mapping[str, object]:
    run = columns(summary)
    x = charts.positions(run)
    return {
        "summary": summary,
        "headline": story.headline(summary, run),
        "figures": story.key_figures(summary, run),
        "total": charts.requirement_panel(x, run.requirement, run.static_requirement, "All positions", 170),
        "markets": [_section(summary, run, series) for series in run.markets],
        "fall_box": (falls.WIDTH, falls.HEIGHT, falls.BASE),
        "web": hurting.web(summary),
        "web_width": hurting.WIDTH,
        "web_box": hurting.BOX_W,
        "time_ticks": charts.time_ticks(run),
        "x": [f"{value:.1f}" for value in x],
        "when": [wording.moment(row.time_ms) for row in summary.rounds],
        "mpor": wording.duration(summary.mpor_s),
        "period": wording.duration(summary.period_s),
        "signatures": strips.signatures(summary, run),
        "notes": [(row, note) for row in summary.rounds for note in row.notes],
        "positions": [_position(position) for position in summary.portfolio],
        "command": command(summary),
        "any_refused": any(row.refusals for row in summary.rounds),
        "rounds": [_round(row) for row in summary.rounds],
    }


def _section(summary: Summary, run: RunSeries, series: MarketSeries) -> MarketSection:
    members = member_scores(summary, series.market)
    return MarketSection(
        name=series.market,
        sentence=story.market_sentence(summary, series),
        panels=charts.market_panels(run, series, members, wording.duration(summary.mpor_s)) if series.present else (),
        reasons=strips.reasons(summary, run, series.market),
        inputs=strips.inputs(summary, run, series.market),
        trust=strips.trust(summary, run, series.market) if series.present else (),
        oddities=strips.oddities(summary, run, series.market) if series.present else (),
        moments=story.moments(summary, series),
        fall=next((falls.drawn(fall) for fall in summary.falls if fall.market == series.market), None),
    )


def member_scores(summary: Summary, market: str) -> Floats:
    """What each member signed as the score, shape (members, rounds); NaN where it signed nothing."""
    scores = [[_own_score(row, market, member) for row in summary.rounds] for member in summary.members]
    return np.array(scores, dtype=np.float64).reshape(len(summary.members), len(summary.rounds))


def _own_score(row: RoundRow, market: str, member: str) -> float:
    return row.markets[market].member_scores.get(member, np.nan) if market in row.markets else np.nan


def _position(position: Position) -> tuple[str, str, str, str, str]:
    """Side and size, market, kind, strike, expiry."""
    side = "long" if position.quantity > 0 else "short"
    kind = "call" if position.is_call else "put"
    size = f"{side} {abs(position.quantity):g}"
    return size, position.market, kind, wording.usd(position.strike), wording.moment(position.expiry_ms)


def _round(row: RoundRow) -> tuple[RoundRow, str, str]:
    """The row, its signers in words, and its notes in one line."""
    return row, wording.listing(list(row.signers)) or wording.ABSENT, " ".join(row.notes)


def command(summary: Summary) -> str:
    """The line that repeats the run; a live run shows other prices, of course."""
    source = {"drill": "", "recording": " --recording DIR", "live": " --live"}[summary.input]
    return f"scripts/demo{source} --rounds {summary.rounds_attempted} --speed {summary.speed:g} --out OUT"
