"""The drawings of the court's page: SVG that takes its colours from the page, and so is read by day and by night."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from margrave.lab.court.family import LEVELS
from margrave.lab.court.judge_tails import MAIN, SIDES, TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict
from margrave.lab.demo.plots import AMBER, BLUE, GREY, GRID, INK, PAPER, RED, SOFT, STYLE

VARIABLES: Final = {
    INK: "--ink", SOFT: "--soft", GRID: "--grid", PAPER: "--paper", BLUE: "--blue", AMBER: "--amber", GREY: "--grey",
    RED: "--red",
}  # fmt: skip
WIDTH_IN: Final = 9.0
ROW_IN: Final = 0.2

CI: Final = 1.96


def skill(verdicts: Sequence[VolatilityVerdict], ours: str | None) -> str:
    """Every family's QLIKE over that of the best baseline of each asset, horizons side by side."""
    names = _order({name: row[0] for name, row in verdicts[0].over_best.items()})
    figure, axes = side_by_side(len(verdicts), ROW_IN * len(names) + 0.7)
    for axis, verdict in zip(axes, verdicts, strict=True):
        for place, name in enumerate(names):
            if name not in verdict.over_best:
                continue
            ratio, difference = verdict.over_best[name]
            # the mean of the bound is what turns a difference into a ratio
            scale = (ratio - 1.0) / difference.mean if difference.mean else 0.0
            wide = abs(CI * difference.mean / difference.t * scale) if difference.t else 0.0
            _whisker(axis, place, ratio, wide, name == ours)
        axis.axvline(1.0, color=GREY, linewidth=0.8)
        axis.set_title(f"{verdict.horizon_h} h", loc="left", color=INK, fontsize=8)
    _name_rows(axes, names, ours)
    return svg(figure)


def months(verdict: VolatilityVerdict, ours: str, against: str) -> str:
    """Our mean QLIKE over one baseline's, month by month."""
    labels = sorted(set(verdict.by_month[ours]) & set(verdict.by_month[against]))
    ratio = [verdict.by_month[ours][m] / verdict.by_month[against][m] for m in labels]
    figure, (axis,) = side_by_side(1, 1.7)
    place = np.arange(len(labels))
    colours = [BLUE if value <= 1 else AMBER for value in ratio]
    axis.bar(place, np.array(ratio) - 1.0, bottom=1.0, color=colours, width=0.75)
    axis.axhline(1.0, color=GREY, linewidth=0.8)
    step = max(len(labels) // 12, 1)
    axis.set_xticks(place[::step], labels[::step])
    return svg(figure)


def calibration(verdicts: Sequence[VolatilityVerdict], names: Sequence[str]) -> str:
    """Mean realised over mean forecast variance by tenths of the forecast: 1 is right."""
    figure, axes = side_by_side(len(verdicts), 1.9, share_y=True)
    for axis, verdict in zip(axes, verdicts, strict=True):
        for name, colour in zip(names, (BLUE, AMBER, GREY), strict=False):
            if name in verdict.families:
                rows = np.array(verdict.families[name].calibration)
                axis.plot(np.arange(1, len(rows) + 1), rows[:, 1] / rows[:, 0], color=colour, marker="o", markersize=3)
        axis.axhline(1.0, color=GREY, linewidth=0.8)
        axis.set_title(f"{verdict.horizon_h} h", loc="left", color=INK, fontsize=8)
        axis.set_xticks([1, 5, 10])
    return svg(figure)


def shortfall(verdicts: Sequence[TailVerdict], reference: str, ours: str | None) -> str:
    """FZ0 at the main level less the reference's, with 95 % intervals, a column for each horizon and tail."""
    columns = [(verdict, label) for verdict in verdicts for label in SIDES]
    rows = {
        (verdict.horizon_h, label): {
            a.family: a for a in verdict.against if a.other == reference and a.loss.endswith(label)
        }
        for verdict, label in columns
    }
    first = rows[columns[0][0].horizon_h, columns[0][1]]
    names = _order({name: row.difference for name, row in first.items()})
    figure, axes = side_by_side(len(columns), ROW_IN * len(names) + 0.7)
    for axis, (verdict, label) in zip(axes, columns, strict=True):
        for place, name in enumerate(names):
            row = rows[verdict.horizon_h, label].get(name)
            if row is not None:
                _whisker(axis, place, row.difference, abs(CI * row.difference / row.t) if row.t else 0.0, name == ours)
        axis.axvline(0.0, color=GREY, linewidth=0.8)
        axis.set_title(f"{verdict.horizon_h} h {label}", loc="left", color=INK, fontsize=8)
    _name_rows(axes, names, ours)
    return svg(figure)


def hits(verdicts: Sequence[TailVerdict], names: Sequence[str]) -> str:
    """How often a quantile was crossed over how often it says, by level: 1 is right."""
    columns = [(verdict, label) for verdict in verdicts for label in SIDES]
    figure, axes = side_by_side(len(columns), 1.9, share_y=True)
    ticks = [f"{p * 100:g}" for p in LEVELS]
    for axis, (verdict, label) in zip(axes, columns, strict=True):
        for name, colour in zip(names, (BLUE, AMBER, GREY), strict=False):
            if name in verdict.families:
                levels = verdict.families[name].sides[label].levels
                axis.plot(ticks, [x.hit_rate / x.p for x in levels], color=colour, marker="o", markersize=3)
        axis.axhline(1.0, color=GREY, linewidth=0.8)
        axis.set_title(f"{verdict.horizon_h} h {label}", loc="left", color=INK, fontsize=8)
    axes[0].set_ylim(bottom=0)
    return svg(figure)


def pit(verdicts: Sequence[TailVerdict], names: Sequence[str]) -> str:
    """How often outcomes fell between two quantiles over how often they should have: flat at 1 is right."""
    figure, axes = side_by_side(len(verdicts), 1.9, share_y=True)
    for axis, verdict in zip(axes, verdicts, strict=True):
        for name, colour in zip(names, (BLUE, AMBER, GREY), strict=False):
            if name in verdict.families:
                rows = np.array(verdict.families[name].pit)
                axis.step(np.arange(len(rows)), rows[:, 1] / rows[:, 0], where="mid", color=colour)
        axis.axhline(1.0, color=GREY, linewidth=0.8)
        axis.set_title(f"{verdict.horizon_h} h", loc="left", color=INK, fontsize=8)
        axis.set_xticks([0, len(LEVELS), 2 * len(LEVELS)], ["lowest", "middle", "highest"])
    axes[0].set_ylim(bottom=0)
    return svg(figure)


def cells(verdicts: Sequence[TailVerdict], name: str) -> str | None:
    """Asset by horizon and tail: which pass all three tests at the main level. `None` where no cell was counted."""
    columns = [(verdict, label) for verdict in verdicts for label in SIDES if name in verdict.families]
    held: dict[str, dict[int, bool]] = {}
    for place, (verdict, label) in enumerate(columns):
        for cell in verdict.families[name].sides[label].levels[LEVELS.index(MAIN)].cells:
            held.setdefault(cell.asset, {})[place] = cell.passes
    if not held:
        return None
    assets = sorted(held)
    figure, (axis,) = side_by_side(1, 0.2 * len(columns) + 0.6)
    for passes, colour, marker in ((True, BLUE, "o"), (False, RED, "X")):
        points = [(at, row) for at, asset in enumerate(assets) for row, p in held[asset].items() if p is passes]
        if points:
            x, y = np.array(points).T
            axis.scatter(x, y, color=colour, marker=marker, s=22 if passes else 42, linewidths=0)
    axis.set_xticks(np.arange(len(assets)), assets, rotation=60 if len(assets) > 16 else 0)
    axis.set_yticks(np.arange(len(columns)), [f"{verdict.horizon_h} h {label}" for verdict, label in columns])
    axis.set_ylim(len(columns) - 0.4, -0.6)
    axis.set_xlim(-0.7, max(len(assets), 12) - 0.3)
    return svg(figure)


# --- house style ------------------------------------------------------------------------------------------------------


def side_by_side(count: int, height_in: float, *, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """As wide as the page, `count` axes in a row."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        axes = figure.subplots(1, count, squeeze=False, sharey=share_y)[0]
    return figure, list(axes)


_STYLE: Final[dict[Any, Any]] = STYLE | {"svg.fonttype": "none", "font.size": 7.5, "font.family": "sans-serif"}


def _order(values: Mapping[str, float]) -> list[str]:
    return sorted(values, key=lambda name: values[name])


def _whisker(axis: Axes, place: int, value: float, wide: float, ours: bool) -> None:
    colour = BLUE if ours else GREY
    axis.plot([value - wide, value + wide], [place, place], color=colour, linewidth=1.4)
    axis.plot([value], [place], color=colour, marker="o", markersize=4.2)


def _name_rows(axes: Sequence[Axes], names: Sequence[str], ours: str | None) -> None:
    for axis in axes:
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.grid(axis="x", color=GRID)
        axis.set_yticks(np.arange(len(names)), names if axis is axes[0] else [""] * len(names))
        axis.locator_params(axis="x", nbins=4)
    for label, name in zip(axes[0].get_yticklabels(), names, strict=True):
        label.set_color(INK if name == ours else SOFT)


def svg(figure: Figure) -> str:
    """The drawing alone, as wide as its place, without a ground, in the page's colours and fonts."""
    held = io.StringIO()
    with rc_context(_STYLE):
        figure.savefig(held, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = held.getvalue()
    text = text[text.index("<svg") :]
    for size in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    return re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
