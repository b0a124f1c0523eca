"""An exposure graph as a drawing: what is held on the left, who holds it, whom they owe, who lends on the right.

Places follow from kinds and sizes alone, so the same graph is drawn the same. A circle is as large as what its node
has, and as red as what it loses; a line is as thick as what is at stake. Of each column the largest are drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from margrave.lab.court import plots
from margrave.lab.demo.plots import AMBER, BLUE, GREY, INK, PIXELS_PER_INCH, RED, SERIF, SOFT, STYLE
from margrave.score.contagion.graph import Evidence, Exposures, Floats, NodeKind

MOST: Final = 14
"""Of a column."""
HEIGHT_IN: Final = 4.2
LOST: Final = 0.01
BADLY: Final = 0.25


def columns(graph: Exposures) -> list[list[int]]:
    """Places of nodes: assets, forced holders, protocols and venues, and who is behind them; the largest first."""
    parts: list[list[int]] = [[], [], [], []]
    for place, kind in enumerate(graph.kinds):
        column = 0 if graph.priced[place] else 1 if graph.forced[place] else 3 if kind is NodeKind.ACCOUNTS else 2
        parts[column].append(place)
    by_size = [sorted(part, key=lambda place: (-graph.size[place], graph.names[place])) for part in parts]
    return [part[:MOST] for part in by_size if part]


def svg(graph: Exposures, loss: Floats) -> str:
    """Of one scenario; `loss` (N,)."""
    figure, (axis,) = plots.side_by_side(1, HEIGHT_IN)
    drawn(axis, graph, loss)
    return plots.svg(figure)


def write(graph: Exposures, loss: Floats, title: str, folder: Path) -> list[Path]:
    """`contagion-….png` and `.svg` in `folder`, by their title."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "contagion-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, HEIGHT_IN + 0.4), layout="constrained")
        axis = figure.subplots()
        drawn(axis, graph, loss)
        axis.set_title(title, loc="left", fontsize=11, fontfamily=SERIF)
        figure.savefig(paths[0], dpi=PIXELS_PER_INCH, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def drawn(axis: Axes, graph: Exposures, loss: Floats) -> None:
    parts = columns(graph)
    at: dict[int, tuple[float, float]] = {}
    for column, part in enumerate(parts):
        for row, place in enumerate(part):
            at[place] = (float(column), 1 - (row + 0.5) / len(part))
    _lines(axis, graph, loss, at)
    largest = max((float(graph.size[place]) for place in at), default=1.0)
    for place, (x, y) in at.items():
        wide = 3.0 + 9.0 * float(np.sqrt(graph.size[place] / largest))
        axis.plot([x], [y], marker="o", markersize=wide, color=_colour(float(loss[place])), linestyle="none", zorder=3)
        words = f"{_short(graph.names[place])}" + (f"  −{loss[place]:.0%}" if loss[place] >= LOST else "")
        axis.annotate(words, (x, y), xytext=(6, 5), textcoords="offset points", va="center", fontsize=6.5, color=INK)
    axis.set_xlim(-0.16, max(len(parts) - 1, 1) + 0.55)
    axis.set_ylim(0, 1)
    axis.set_axis_off()


def _lines(axis: Axes, graph: Exposures, loss: Floats, at: dict[int, tuple[float, float]]) -> None:
    shown = [e for e in range(len(graph.src)) if int(graph.src[e]) in at and int(graph.dst[e]) in at]
    if not shown:
        return
    most = float(graph.amounts[shown].max())
    for edge in sorted(shown, key=lambda e: float(graph.amounts[e])):
        (x0, y0), (x1, y1) = at[int(graph.src[edge])], at[int(graph.dst[edge])]
        way = np.linspace(0, 1, 24)
        smooth = way**2 * (3 - 2 * way)
        bend = 0.12 * np.sin(np.pi * way) if x0 == x1 else 0.0
        axis.plot(
            x0 + (x1 - x0) * way - bend,
            y0 + (y1 - y0) * smooth,
            color=_colour(float(loss[graph.src[edge]])),
            alpha=0.55,
            linewidth=0.4 + 3.0 * float(np.sqrt(graph.amounts[edge] / most)),
            linestyle=":" if graph.evidence[edge] is Evidence.COMOVES else "-",
            zorder=1,
        )


def _colour(loss: float) -> str:
    return RED if loss >= BADLY else AMBER if loss >= LOST else GREY


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:33]}…"


def story(times_h: Floats, peg: Floats, peg_name: str, said: Sequence[tuple[str, Floats, Floats]]) -> str:
    """The replayed case: the stablecoin and the markets' prices beside their add-ons; hours from the break.

    Args:
        said: market, add-on, price over its price at the break.
    """
    figure, (left, right) = plots.side_by_side(2, 2.6)
    left.plot(times_h, peg, color=RED, linewidth=1.6, label=peg_name)
    for (name, addon, price), colour in zip(said, (BLUE, AMBER, GREY, SOFT), strict=False):
        left.plot(times_h, price, color=colour, linewidth=1.0, label=name)
        right.plot(times_h, 100 * addon, color=colour, linewidth=1.2, label=name)
    left.set_title(f"{peg_name} in dollars, markets over their price when it broke", loc="left", fontsize=8, color=INK)
    right.set_title("contagion add-on, %", loc="left", fontsize=8, color=INK)
    for axis in (left, right):
        axis.axvline(0.0, color=GREY, linewidth=0.8)
        axis.set_xlabel("hours from the break")
        axis.legend(fontsize=6.5)
    left.set_ylim(0.0, 1.6)
    return plots.svg(figure)
