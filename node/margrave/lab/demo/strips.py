"""Strips of cells, a column a round: which reasons made the score, who signed, what was out of the ordinary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from margrave.lab.demo import wording
from margrave.lab.demo.charts import BOX, positions
from margrave.lab.demo.record import Summary
from margrave.lab.demo.series import Floats, RunSeries
from margrave.verdicts import DriftLevel, Regime

SHADES: Final = 6
MOST_REASONS: Final = 6
REGIMES: Final = tuple(regime.value for regime in Regime)
"""From the quietest to the gravest."""
LEAST_POINTS: Final = 1.0
LEVELS: Final = tuple(level.name.lower() for level in DriftLevel)
WORTH_SHOWING: Final = 0.005
"""Of a factor: less is no widening to speak of."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of cells; `paths` are pairs of a style and a path in a box of 1000 × 10."""

    name: str
    paths: tuple[tuple[str, str], ...]
    remark: str
    values: tuple[str, ...]


def reasons(summary: Summary, run: RunSeries, market: str) -> tuple[Row, ...]:
    """The largest parts of a market's score over the run, darker where they weigh more."""
    points: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(summary.rounds))
    for index, row in enumerate(summary.rounds):
        for reason in row.markets[market].reasons if market in row.markets else ():
            points[reason.name][index] += reason.points
    peak = max((abs(value) for values in points.values() for value in values), default=0.0)
    largest = sorted(points, key=lambda name: (-sum(abs(value) for value in points[name]), name))[:MOST_REASONS]
    return tuple(_shaded(name.replace("_", " "), points[name], peak, positions(run)) for name in largest)


def inputs(summary: Summary, run: RunSeries, market: str) -> tuple[Row, ...]:
    """What each input adds to a market's score against a calm day, darker where it adds (or takes) more."""
    points: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(summary.rounds))
    for index, row in enumerate(summary.rounds):
        for share in row.markets[market].attribution if market in row.markets else ():
            points[share.name][index] = share.points
    peak = max((abs(value) for values in points.values() for value in values), default=0.0)
    largest = sorted(points, key=lambda name: (-sum(abs(value) for value in points[name]), name))
    shown = [name for name in largest if max(map(abs, points[name])) >= LEAST_POINTS]
    return tuple(_shaded(name.replace("_", " "), points[name], peak, positions(run)) for name in shown)


def _shaded(name: str, points: list[float], peak: float, x: Floats) -> Row:
    shades = [round(SHADES * abs(value) / peak) if peak > 0 else 0 for value in points]
    by_shade = ((shade, [i for i, own in enumerate(shades) if own == shade]) for shade in range(1, SHADES + 1))
    paths = tuple((f"shade-{shade}", cells(x, members)) for shade, members in by_shade if members)
    most = wording.count(max(points, key=abs, default=0.0))
    return Row(name, paths, f"up to {most}", tuple(f"{value:+,.0f}" for value in points))


def trust(summary: Summary, run: RunSeries, market: str) -> tuple[Row, ...]:
    """The market's regime, and how far the models were trusted: the level of drift, and the factor that experience put
    on each side."""
    rows = [row.markets.get(market) for row in summary.rounds]
    x, top = positions(run), len(LEVELS) - 1
    levels = [LEVELS.index(row.drift) if row else 0 for row in rows]
    paths = tuple(
        (f"shade-{round(SHADES * level / top)}", cells(x, where))
        for level in range(1, top + 1)
        if (where := [i for i, own in enumerate(levels) if own == level])
    )
    found = [Row("drift", paths, LEVELS[max(levels, default=0)], tuple(LEVELS[level] for level in levels))]
    if any(row and row.regime for row in rows):
        found.insert(0, _regimes([row.regime if row else None for row in rows], x))
    factors = [
        ("falls widened", [row.widening_down if row else 1.0 for row in rows]),
        ("rises widened", [row.widening_up if row else 1.0 for row in rows]),
    ]
    most = max((abs(factor - 1) for _, side in factors for factor in side), default=0.0)
    for name, side in factors:
        shades = [round(SHADES * abs(factor - 1) / most) if most >= WORTH_SHOWING else 0 for factor in side]
        drawn = ((shade, [i for i, own in enumerate(shades) if own == shade]) for shade in range(1, SHADES + 1))
        found.append(
            Row(
                name,
                tuple((f"shade-{shade}", cells(x, where)) for shade, where in drawn if where),
                f"up to × {max(side, default=1.0):.2f}",
                tuple(f"× {factor:.3f}" for factor in side),
            )
        )
    return tuple(found)


def _regimes(told: Sequence[str | None], x: Floats) -> Row:
    """Darker as it gets graver; a round of which nobody told it is left light."""
    grave = [REGIMES.index(regime) if regime in REGIMES else 0 for regime in told]
    most = len(REGIMES) - 1
    paths = tuple(
        (f"shade-{round(SHADES * level / most)}", cells(x, where))
        for level in range(1, most + 1)
        if (where := [i for i, own in enumerate(grave) if own == level])
    )
    return Row("regime", paths, f"up to {REGIMES[max(grave)]}", tuple(regime or "–" for regime in told))


def signatures(summary: Summary, run: RunSeries) -> tuple[Row, ...]:
    """Each member's row: signed, signed and published, or neither."""
    x, rows = positions(run), []
    for member in summary.members:
        signed = [i for i, row in enumerate(summary.rounds) if member in row.signers]
        published = [i for i, row in enumerate(summary.rounds) if row.publisher == member]
        only_signed = sorted(set(signed) - set(published))
        styles = (("signed", only_signed), ("published", published))
        paths = tuple((style, cells(x, where)) for style, where in styles if where)
        words = ["published" if i in set(published) else "signed" if i in set(signed) else "–" for i in range(x.size)]
        rows.append(Row(member, paths, f"{len(signed)} signed, {len(published)} sent", tuple(words)))
    return tuple(rows)


def oddities(summary: Summary, run: RunSeries, market: str) -> tuple[Row, ...]:
    """Rounds in which a market was not simply published; kinds that never occurred have no row."""
    rows = [row.markets.get(market) for row in summary.rounds]
    kinds = {
        "step limit": [i for i, row in enumerate(rows) if row is not None and row.limited],
        "cascade by formula": [i for i, row in enumerate(rows) if row is not None and "cascade" in row.fallbacks],
        "contagion by formula": [i for i, row in enumerate(rows) if row is not None and "contagion" in row.fallbacks],
        "baseline model": [i for i, row in enumerate(rows) if row is not None and row.fallback],
        "not fresh": [i for i, row in enumerate(rows) if row is not None and row.status != "fresh"],
        "not published": [i for i, row in enumerate(summary.rounds) if not row.published],
    }
    x = positions(run)
    return tuple(
        Row(
            kind,
            (("odd", cells(x, where)),),
            f"{len(where)} of {x.size}",
            tuple("yes" if i in set(where) else "" for i in range(x.size)),
        )
        for kind, where in kinds.items()
        if where
    )


def cells(x: Floats, where: Sequence[int]) -> str:
    """Rectangles from each round to the next, with a hair of air between them."""
    ends = [float(value) for value in x[1:]] + [BOX]
    air = min(1.2, 0.12 * BOX / max(x.size, 1))
    return "".join(f"M{x[i]:.1f} 0H{max(ends[i] - air, x[i] + 0.2):.1f}V10H{x[i]:.1f}Z" for i in where)
