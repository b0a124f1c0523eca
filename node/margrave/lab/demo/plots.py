"""Pictures of a run for places without a browser: one wide figure for all markets, one for each.

The same columns, colours and order as the page; matplotlib, drawn off screen, PNG and SVG.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from margrave.lab.demo import charts, story, wording
from margrave.lab.demo.record import Summary
from margrave.lab.demo.series import Floats, Indices, MarketSeries, RunSeries, columns

INK: Final = "#1c1d1f"
SOFT: Final = "#5c5f66"
GRID: Final = "#ebe8e0"
PAPER: Final = "#fdfcf9"
BLUE: Final = "#0b62a8"
AMBER: Final = "#b35c00"
GREY: Final = "#85888f"
RED: Final = "#c8280b"

SERIF: Final = "DejaVu Serif"
MOST_SIDE_BY_SIDE: Final = 3
"""More markets than this would be unreadable in one picture; each has its own picture besides."""
PIXELS_PER_INCH: Final = 200
STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 7.0,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.facecolor": PAPER,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0.0,
    "lines.linewidth": 1.2,
    "lines.solid_joinstyle": "round",
    "legend.frameon": False,
    "svg.hashsalt": "margrave",
}

PanelDrawer = Callable[[Axes, "Clock", MarketSeries], None]


@dataclass(frozen=True, slots=True)
class Clock:
    """The shared time axis, in the page's coordinates: where rounds begin, and the end of the last at 1000."""

    starts: Floats
    ticks: tuple[charts.Tick, ...]
    mpor: str

    @property
    def edges(self) -> Floats:
        return np.append(self.starts, charts.BOX)


def write(summary: Summary, out: Path) -> list[Path]:
    """Write `demo.png`, `demo.svg` and one `<market>.png` and `.svg` a market into `out`; return their paths.

    `demo` shows the first three markets side by side. A run without rounds gives no pictures.
    """
    run = columns(summary)
    shown = [series for series in run.markets if series.present]
    if not shown:
        return []
    out.mkdir(parents=True, exist_ok=True)
    paths = _save(summary, run, shown[:MOST_SIDE_BY_SIDE], out / "demo")
    for series in shown:
        paths += _save(summary, run, [series], out / file_name(series.market))
    return paths


def file_name(market: str) -> str:
    """A market's name as a file name: lower case, nothing that a file system or a shell would trip over."""
    return re.sub(r"[^a-z0-9]+", "-", market.lower()).strip("-") or "market"


def _save(summary: Summary, run: RunSeries, shown: Sequence[MarketSeries], stem: Path) -> list[Path]:
    with rc_context(STYLE):
        figure = draw(summary, run, shown)
        paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
        figure.savefig(paths[0], dpi=PIXELS_PER_INCH, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def draw(summary: Summary, run: RunSeries, shown: Sequence[MarketSeries]) -> Figure:
    """A column a market, a row a question."""
    width, height = (6.4, 7.0) if len(shown) == 1 else (4.7 * len(shown), 7.0)
    figure = Figure(figsize=(width, height))
    header = _title(figure, summary, run)
    axes = figure.subplots(
        len(PANELS),
        len(shown),
        sharex=True,
        squeeze=False,
        gridspec_kw={
            "height_ratios": [1.5 if panel is _price else 1.0 for panel in PANELS],
            "left": 0.52 / width,
            "right": 1.0 - 0.2 / width,
            "top": 1.0 - (header + 0.5) / height,
            "bottom": 0.26 / height,
            "hspace": 0.42,
            "wspace": 0.17,
        },
    )
    clock = Clock(charts.positions(run), charts.time_ticks(run, most=6), wording.duration(summary.mpor_s))
    for column, series in enumerate(shown):
        for row, panel in enumerate(PANELS):
            axes[row, column].use_sticky_edges = False
            panel(axes[row, column], clock, series)
        axes[0, column].set_title(
            series.market, loc="left", fontsize=10, fontfamily="DejaVu Serif", pad=17, parse_math=False
        )
        axes[-1, column].set_xticks([tick.at * charts.BOX / 100 for tick in clock.ticks], [t.text for t in clock.ticks])
        axes[-1, column].set_xlim(0.0, charts.BOX)
    return figure


def _title(figure: Figure, summary: Summary, run: RunSeries) -> float:
    """Title and headline at the upper left; returns the height they take, in inches."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(story.headline(summary, run), int(width * 18.5))
    left, title, text = 0.14 / width, 1 - 0.22 / height, 1 - 0.4 / height
    figure.text(left, title, summary.title, fontsize=13, fontfamily=SERIF, va="center", parse_math=False)
    figure.text(left, text, "\n".join(lines), color=SOFT, va="top", linespacing=1.4, parse_math=False)
    return 0.4 + 0.142 * len(lines)


# --- panels ---------------------------------------------------------------------------------------------------------


def _price(ax: Axes, clock: Clock, series: MarketSeries) -> None:
    _band(ax, clock, series.corridor_low, series.corridor_high, f"ES 99% corridor set {clock.mpor} earlier")
    _line(ax, clock, series.price, color=INK, label="index price")
    _breaches(ax, clock, series.breach_ends, series.price, "outside it")
    _finish(ax, "Price", _usd)


def _volatility(ax: Axes, clock: Clock, series: MarketSeries) -> None:
    _line(ax, clock, series.sigma_forecast, color=BLUE, lw=1.6, label="forecast", zorder=4)
    _line(ax, clock, series.sigma_realised, color=GREY, label=f"realised, next {clock.mpor}")
    _line(ax, clock, series.sigma_implied, color=AMBER, ls=(0, (4, 2.5)), label="implied, 30 days")
    _finish(ax, "Volatility, a year", lambda value: wording.percent(value, 0), floor=0)


def _tail(ax: Axes, clock: Clock, series: MarketSeries) -> None:
    _band(ax, clock, series.down_es99, series.up_es99, "expected shortfall 99%")
    for edge in (series.down_es99, series.up_es99):
        _steps(ax, clock, edge, color=BLUE, lw=0.6, alpha=0.6)
    ax.axhline(0.0, color=GREY, lw=0.6)
    _line(ax, clock, series.move, color=GREY, label=f"move, next {clock.mpor}")
    _breaches(ax, clock, series.breach_starts, series.move, "beyond it")
    _finish(ax, "Tail risk", lambda value: "0" if abs(value) < 1e-9 else wording.signed_percent(value, 0))


def _score(ax: Axes, clock: Clock, series: MarketSeries) -> None:
    _steps(ax, clock, series.score, color=BLUE, lw=1.6, label="on chain, the members' median")
    _finish(ax, "Risk score", wording.count, floor=0)


def _requirement(ax: Axes, clock: Clock, series: MarketSeries) -> None:
    _steps(ax, clock, series.requirement, color=BLUE, lw=1.6, label="asked on chain", zorder=4)
    _steps(ax, clock, series.static_requirement, color=AMBER, ls=(0, (1, 1.2)), lw=1.4, label="fixed grid")
    _finish(ax, "Collateral requirement", _usd, floor=0)


PANELS: Final[tuple[PanelDrawer, ...]] = (_price, _volatility, _tail, _score, _requirement)


def _line(ax: Axes, clock: Clock, values: Floats, **style: Any) -> None:
    """A line, a dot where there is a single value, nothing where there is none."""
    known = int(np.isfinite(values).sum())
    if known:
        ax.plot(clock.starts, values, marker="o" if known == 1 else "", ms=3, clip_on=known > 1, **style)


def _steps(ax: Axes, clock: Clock, values: Floats, **style: Any) -> None:
    """Each value holds until the next round: what is on chain is on chain."""
    ax.stairs(values, clock.edges, baseline=None, **style)


def _band(ax: Axes, clock: Clock, low: Floats, high: Floats, label: str) -> None:
    if np.isfinite(low).any():
        ax.stairs(high, clock.edges, baseline=low, fill=True, color=BLUE, alpha=0.13, lw=0, label=label)


def _breaches(ax: Axes, clock: Clock, where: Indices, values: Floats, label: str) -> None:
    if where.size and np.isfinite(values[where]).any():
        ax.plot(clock.starts[where], values[where], "o", ms=3.4, mew=0, color=RED, label=label, zorder=5)


def _finish(ax: Axes, title: str, write: Callable[[float], str], floor: float | None = None) -> None:
    ax.margins(y=0.08)
    if floor is not None:
        ax.set_ylim(floor, max(float(ax.dataLim.y1), 1e-9) * 1.08)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    ax.text(0.0, 1.04, title, transform=ax.transAxes, fontweight="bold", va="bottom")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles,
        labels,
        loc="lower right",
        bbox_to_anchor=(1.012, 0.98),
        ncols=len(handles),
        fontsize=6,
        handlelength=1.6,
        handletextpad=0.45,
        columnspacing=1.1,
        borderaxespad=0.0,
        labelcolor=SOFT,
    )


def _usd(value: float) -> str:
    return f"${value / 1000:,.4g}k" if abs(value) >= 10_000 else wording.usd(value) if value else "$0"
