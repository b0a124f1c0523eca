"""What the chamber of hedging prints and draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court import plots
from margrave.lab.court.chamber import Figure, Table
from margrave.lab.court.hedge.episodes import Kind, cvar
from margrave.lab.court.hedge.rivals import BAND, CLOCK, COSTS, UNHEDGED, WW
from margrave.lab.court.hedge.verdicts import SPAN_DAYS, Losses, Summary, Verdict, by_year
from margrave.lab.demo.plots import BLUE, GREY

Ints = NDArray[np.int64]
Cell = tuple[str | float | None, ...]


def told(verdicts: Sequence[Verdict], summaries: Mapping[tuple[str, float], Summary], since: str) -> str:
    ends = " and ".join(
        f"{summaries[CLOCK, cost].ratio:.3f} of the best clock's and {summaries[WW, cost].ratio:.3f} of the best "
        f"Whalley-Wilmott band's at {1e4 * cost:.0f} bp"
        for cost in COSTS
    )
    sold = sum(verdict.episodes for verdict in verdicts) // len(COSTS)
    return (
        f"{sold:,} options sold from {since} on, in {max(verdict.spans for verdict in verdicts)} spans of {SPAN_DAYS} "
        f"days: the policy's CVaR95, costs included, is {ends}, geometric means over "
        f"{len({verdict.kind for verdict in verdicts})} kinds of options."
    )


def tails(verdicts: Sequence[Verdict]) -> Table:
    rows: list[Cell] = []
    for v in verdicts:
        clock, ww, band = v.against[CLOCK], v.against[WW], v.against[BAND]
        rows.append(
            (
                v.kind.name, 1e4 * v.cost, v.episodes, 100 * v.against[UNHEDGED].cvar, 100 * clock.cvar,
                clock.rule.setting, 100 * ww.cvar, ww.rule.setting, 100 * band.cvar, 100 * v.ours, clock.ratio,
                _number(clock.low), _number(clock.high), ww.ratio,
            )
        )  # fmt: skip
    return Table(
        "CVaR95 of the hedging loss, costs included",
        (
            "option", "cost, bp", "sold", "unhedged, %", "best clock, %", "which", "best Whalley-Wilmott, %", "which ",
            "best fixed band, %", "policy, %", "over the clock's", "2.5 %", "97.5 %", "over Whalley-Wilmott's",
        ),
        tuple(rows),
        f"Of the spot at the sale. The best of each sort is found afterwards, on these hours, so that no rival could "
        f"have known it. Intervals: spans of {SPAN_DAYS} days drawn anew with all that was sold in them, all assets "
        f"together; one crash is one span, however many coins were in it.",
    )  # fmt: skip


def rules(heard: Mapping[Kind, tuple[Losses, Ints]]) -> Table:
    """Every rule on the kind that was sold most often, with what it costs on average."""
    kind = max(heard, key=lambda k: (k.life_h == 24 * 14, len(heard[k][1])))
    losses, _ = heard[kind]
    names = dict.fromkeys(rule for rule, _ in losses)
    rows: list[Cell] = [
        (
            rule.name,
            *(100 * part for cost in COSTS for part in (cvar(losses[rule, cost]), float(losses[rule, cost].mean()))),
        )
        for rule in sorted(names, key=lambda rule: cvar(losses[rule, COSTS[0]]))
    ]
    columns = [f"{word}, {1e4 * cost:.0f} bp, %" for cost in COSTS for word in ("CVaR95", "mean")]
    return Table(
        f"Every rule, {kind.name}",
        ("rule", *columns),
        tuple(rows),
        "A mean below zero is a gain: the premium is Black-Scholes at the forecast volatility, which was too high on "
        "the average of days.",
    )


def years(heard: Mapping[Kind, tuple[Losses, Ints]], unseen_ms: int) -> tuple[Table, ...]:
    """Ours over the best clock of each year, seen years too."""
    rows: list[Cell] = []
    for kind, (losses, times) in heard.items():
        for year in by_year(losses, times, COSTS[0]):
            at = int(np.datetime64(f"{year.year}-01-01", "ms").astype(np.int64))
            word = "no" if at >= unseen_ms else "yes"
            rows.append((kind.name, year.year, word, year.episodes, 100 * year.clock, 100 * year.ours, year.ratio))
    note = "At 5 bp, against the best clock of that year alone. Years that training or choosing saw prove nothing."
    columns = ("option", "year", "seen", "sold", "best clock, %", "policy, %", "ratio")
    return (Table("CVaR95 by year of sale", columns, tuple(rows), note),) if rows else ()


def figure(verdicts: Sequence[Verdict]) -> Figure:
    """Every kind's ratio with its interval."""
    names = [verdict.kind.name for verdict in verdicts if verdict.cost == COSTS[0]]
    drawn, axes = plots.side_by_side(len(COSTS), 0.2 * len(names) + 0.7)
    for axis, cost in zip(axes, COSTS, strict=True):
        for place, verdict in enumerate(v for v in verdicts if v.cost == cost):
            for against, colour, shift in ((verdict.against[CLOCK], BLUE, -0.12), (verdict.against[WW], GREY, 0.12)):
                axis.plot([against.low, against.high], [place + shift] * 2, color=colour, linewidth=1.4)
                axis.plot([against.ratio], [place + shift], color=colour, marker="o", markersize=4.2)
        axis.axvline(1.0, color=GREY, linewidth=0.8)
        axis.set_title(f"{1e4 * cost:.0f} bp", loc="left", fontsize=8)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_yticks(np.arange(len(names)), names if axis is axes[0] else [""] * len(names))
        axis.locator_params(axis="x", nbins=4)
    note = (
        "Left of the line the policy's tail is smaller. Blue: against the best clock; grey: the best Whalley-Wilmott."
    )
    return Figure("The policy's CVaR95 over its rivals'", plots.svg(drawn), note)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
