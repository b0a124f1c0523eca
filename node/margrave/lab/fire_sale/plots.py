"""The waterfall and the curve, drawn: one figure, PNG and SVG, in the style of the demo's pictures."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from margrave.lab.demo.plots import AMBER, BLUE, GREY, INK, PIXELS_PER_INCH, RED, SERIF, SOFT, STYLE
from margrave.lab.demo.wording import listing, plural, signed_percent
from margrave.lab.fire_sale.told import Told

MOST_BARS: Final = 24
"""More rounds than this are drawn as their sum in the last bar."""
NAME: Final = "cascade"


def write(told: Told, out: Path) -> list[Path]:
    """`cascade.png` and `cascade.svg` in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        figure = draw(told)
        paths = [out / f"{NAME}.png", out / f"{NAME}.svg"]
        figure.savefig(paths[0], dpi=PIXELS_PER_INCH, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def draw(told: Told) -> Figure:
    """On the left the waterfall above its prices, on the right liquidated and bad debt against the shock."""
    figure = Figure(figsize=(9.0, 4.6))
    grid = figure.add_gridspec(
        2, 2, width_ratios=(1.15, 1), height_ratios=(1.5, 1), left=0.06, right=0.98, top=0.78, bottom=0.09,
        wspace=0.16, hspace=0.42,
    )  # fmt: skip
    falls = figure.add_subplot(grid[0, 0])
    _waterfall(falls, told)
    _prices(figure.add_subplot(grid[1, 0], sharex=falls), told)
    _against_shock(figure.add_subplot(grid[:, 1]), told)
    _title(figure, told)
    return figure


def _title(figure: Figure, told: Told) -> None:
    coins = listing(list(told.shocked)) or "prices"
    figure.text(0.018, 0.945, f"{coins} {signed_percent(told.shock, 0)}", fontsize=13, fontfamily=SERIF, va="center")
    rounds, law = plural(len(told.rounds), "round"), told.law.replace("_", " ")
    sentence = (
        f"{told.file}: {told.accounts:,} accounts owe {_usd(told.debt_usd)}. {rounds} liquidate {told.liquidated:,} of"
        f" them, {_usd(told.liquidated_usd)} of collateral; {_usd(told.bad_debt_usd)} of debt is left without any. The"
        f" books take {_usd(told.depth_usd)} for one percent ({law})."
    )
    lines = "\n".join(textwrap.wrap(sentence, 155))
    figure.text(0.018, 0.91, lines, color=SOFT, va="top", linespacing=1.4, parse_math=False)


def _waterfall(ax: Axes, told: Told) -> None:
    seized = np.array([r.seized_usd for r in told.rounds])
    accounts = [r.accounts for r in told.rounds]
    if len(seized) > MOST_BARS:
        seized = np.append(seized[: MOST_BARS - 1], seized[MOST_BARS - 1 :].sum())
        accounts = [*accounts[: MOST_BARS - 1], sum(accounts[MOST_BARS - 1 :])]
    ends = np.cumsum(seized)
    place = np.arange(1, len(seized) + 1)
    ax.bar(place, seized, bottom=ends - seized, color=BLUE, width=0.8, label="seized and sold, round by round")
    most = float(ends[-1]) if len(ends) else 1.0
    ax.set_xlim(-0.5, max(len(seized), 1) + 0.5)
    if not len(seized):
        ax.text(0.5, most / 2, "nobody falls below one", ha="center", color=SOFT)
    for x, end, count in zip(place, ends, accounts, strict=True):
        ax.text(float(x), float(end) + most * 0.015, f"{count:,}", ha="center", color=SOFT, fontsize=5.5)
    ax.set_ylim(0, most * 1.1)
    _finish(ax, "Liquidation waterfall", "accounts called above each bar")
    if not len(seized):
        ax.set_yticks([])


def _prices(ax: Axes, told: Told) -> None:
    for (name, shocked), colour in zip(told.shocked.items(), (INK, AMBER, BLUE, GREY), strict=False):
        path = np.array([shocked, *(r.prices_usd[name] for r in told.rounds)]) / (shocked / (1 + told.shock)) - 1
        shown = path[: MOST_BARS + 1] if len(path) <= MOST_BARS + 1 else np.append(path[:MOST_BARS], path[-1])
        label = f"{name} {signed_percent(float(path[-1]))}"
        ax.step(np.arange(len(shown)), shown, where="post", color=colour, label=label)
        ax.plot([len(shown) - 1], [shown[-1]], "o", ms=3, color=colour)
    ax.margins(y=0.25)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    ax.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: signed_percent(value, 0) if abs(value) > 0.005 else "0")
    )
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    ax.text(0.0, 1.06, "Prices", transform=ax.transAxes, fontweight="bold", va="bottom")
    ax.set_xlabel("round; at 0 the shock alone")
    _legend(ax)


def _against_shock(ax: Axes, told: Told) -> None:
    shocks = [100 * point.shock for point in told.curve]
    ax.plot(shocks, [p.liquidated_usd for p in told.curve], color=BLUE, lw=1.5, label="liquidated")
    ax.plot(shocks, [p.bad_debt_usd for p in told.curve], color=RED, lw=1.5, label="bad debt")
    most = [p.most_bad_debt_usd for p in told.curve]
    ax.plot(shocks, most, color=RED, lw=0.9, ls=(0, (2, 1.5)), label="bad debt at most")
    ax.axvline(100 * told.shock, color=GREY, lw=0.8)
    ax.set_xlim(0, min(shocks))
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: signed_percent(value / 100, 0) if value else "0"))
    ax.set_xlabel("shock")
    _finish(ax, "Against the shock", "")
    _legend(ax)


def _legend(ax: Axes) -> None:
    """Above the axes, right of the title, where it hides nothing."""
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.01, 1.005), ncols=4, fontsize=6, labelcolor=SOFT, borderaxespad=0.0,
        handlelength=1.6, handletextpad=0.45, columnspacing=1.1,
    )  # fmt: skip


def _finish(ax: Axes, title: str, remark: str) -> None:
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _usd(value)))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    height = 1.0 + 0.04 * 1.5 / ax.get_position().height * 0.3
    ax.text(0.0, height, title, transform=ax.transAxes, fontweight="bold", va="bottom")
    ax.text(1.0, height, remark, transform=ax.transAxes, color=SOFT, fontsize=6, ha="right", va="bottom")


def _usd(value: float) -> str:
    for size, letter in ((1e9, "b"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"${value / size:,.3g}{letter}"
    return f"${value:,.0f}"
