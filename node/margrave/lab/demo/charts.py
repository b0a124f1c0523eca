"""Charts as geometry: a run's columns become paths in a 1000 × 1000 box that the page stretches to any width.

The box is stretched without keeping its proportions and strokes do not scale, so one drawing serves a telephone, a desk
and paper. Text is HTML beside the box, never inside it: stretched letters would be unreadable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from margrave.lab.demo import wording
from margrave.lab.demo.series import Floats, MarketSeries, RunSeries

BOX: Final = 1000.0
PROMINENCE: Final = (
    *("price", "forecast", "score", "cascade", "contagion", "requirement"),
    *("static", "realised", "implied", "member", "corridor", "breach", "hour", "impact"),
)
Shape = Literal["line", "step", "dots", "area", "marks"]
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Mark:
    """One drawn thing with its words in the legend. `values` are what the reader sees when pointing at a round."""

    role: str
    """What it means, which is what the style sheet colours: forecast, realised, static, …"""
    shape: Shape
    path: str
    label: str = ""
    values: tuple[str, ...] = ()

    @property
    def at_rest(self) -> str:
        """The last round's words; nothing where that round has no value (yet)."""
        return self.values[-1] if self.values and self.values[-1] != wording.ABSENT else ""


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    """Position as a percentage of the width or, from the top, of the height."""
    text: str
    minor: bool = False
    """May be left out where there is little room."""


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    note: str
    height_px: int
    marks: tuple[Mark, ...]
    y_ticks: tuple[Tick, ...]
    baseline: float | None = None
    """Height of zero, where zero is inside the box and means something."""

    @property
    def legend(self) -> list[Mark]:
        """The marks that have words, the one that matters most first; drawing order is the reverse of that."""
        return sorted((mark for mark in self.marks if mark.label), key=lambda mark: PROMINENCE.index(mark.role))


@dataclass(frozen=True, slots=True)
class Scale:
    """Linear, from values to the box; `flip` for heights, which count from the top."""

    low: float
    high: float
    flip: bool = False

    def __call__(self, values: Floats) -> Floats:
        share = (values - self.low) / ((self.high - self.low) or 1.0)
        return BOX * (1.0 - share if self.flip else share)


@dataclass(slots=True)
class Drawing:
    """Collects the marks of one panel, which share an x axis and a y scale."""

    x: Floats
    y: Scale
    write: Write
    marks: list[Mark] = field(default_factory=list)

    def add(self, role: str, shape: Shape, values: Floats, label: str = "") -> None:
        """A line, a step line or dots; nothing at all where there is no value."""
        if np.isfinite(values).any():
            draw = {"line": line_path, "step": step_path}.get(shape, dots_path)
            written = tuple(self.write(value) for value in values) if label else ()
            self.marks.append(Mark(role, shape, draw(self.x, self.y(values)), label, written))

    def band(self, role: str, low: Floats, high: Floats, label: str) -> None:
        if np.isfinite(low).any():
            both = zip(low, high, strict=True)
            written = tuple(
                f"{self.write(a)} to {self.write(b)}" if np.isfinite(a) else wording.ABSENT for a, b in both
            )
            self.marks.append(Mark(role, "area", area_path(self.x, self.y(low), self.y(high)), label, written))

    def breaches(self, where: npt.NDArray[np.intp], values: Floats, label: str) -> None:
        if where.size and np.isfinite(values[where]).any():
            flags = np.isin(np.arange(values.size), where)
            path = dots_path(self.x[where], self.y(values)[where])
            self.marks.append(Mark("breach", "marks", path, label, tuple("here" if flag else "" for flag in flags)))


# --- the panels -----------------------------------------------------------------------------------------------------


def market_panels(run: RunSeries, series: MarketSeries, members: Floats, mpor: str) -> tuple[Panel, ...]:
    """The panels of one market, top to bottom; `members` are the signed scores, shape (members, rounds)."""
    x = positions(run)
    systemic = (_cascade(x, series), _contagion(x, series))
    return (
        _price(x, series, mpor),
        _volatility(x, series, mpor),
        _tail(x, series, mpor),
        _score(x, series, members),
        *(panel for panel in systemic if panel.marks),
        requirement_panel(x, series.requirement, series.static_requirement, "Collateral requirement", 132),
    )


def _price(x: Floats, series: MarketSeries, mpor: str) -> Panel:
    scale, ticks = fit([series.price, series.corridor_low, series.corridor_high], _compact_usd)
    drawing = Drawing(x, scale, wording.usd)
    drawing.band("corridor", series.corridor_low, series.corridor_high, f"corridor set {mpor} earlier (ES 99%)")
    drawing.add("price", "line", series.price, "index price")
    drawing.breaches(series.breach_ends, series.price, "outside the corridor")
    return Panel("Price", "US dollars", 190, tuple(drawing.marks), ticks)


def _volatility(x: Floats, series: MarketSeries, mpor: str) -> Panel:
    columns = [series.sigma_forecast, series.sigma_realised, series.sigma_implied]
    scale, ticks = fit(columns, lambda value: wording.percent(value, 0), floor=0.0)
    drawing = Drawing(x, scale, wording.percent)
    drawing.add("realised", "line", series.sigma_realised, f"realised over the next {mpor}")
    drawing.add("implied", "line", series.sigma_implied, "implied, 30 days")
    drawing.add("forecast", "line", series.sigma_forecast, f"forecast for the next {mpor}")
    return Panel("Volatility", "a year", 132, tuple(drawing.marks), ticks)


def _tail(x: Floats, series: MarketSeries, mpor: str) -> Panel:
    scale, ticks = fit([series.down_es99, series.up_es99, series.move], _whole_signed_percent)
    drawing = Drawing(x, scale, wording.signed_percent)
    drawing.band("corridor", series.down_es99, series.up_es99, "expected shortfall 99%, down to up")
    drawing.add("edge", "step", series.down_es99)
    drawing.add("edge", "step", series.up_es99)
    drawing.add("realised", "line", series.move, f"what the next {mpor} did")
    drawing.breaches(series.breach_starts, series.move, "beyond the shortfall")
    return Panel("Tail risk", f"move over {mpor}", 150, tuple(drawing.marks), ticks, _height(scale, 0.0))


def _score(x: Floats, series: MarketSeries, members: Floats) -> Panel:
    scale, ticks = fit([series.score, members.ravel()], wording.count, floor=0.0)
    drawing = Drawing(x, scale, wording.count)
    middles = (x + np.append(x[1:], BOX)) / 2
    paths = [dots_path(middles, scale(row)) for row in members if np.isfinite(row).any()]
    if paths:
        drawing.marks.append(Mark("member", "dots", "".join(paths), "signed by the members", spread(members)))
    drawing.add("score", "step", series.score, "on chain, the median")
    return Panel("Risk score", "0 to 10,000", 120, tuple(drawing.marks), ticks)


def _cascade(x: Floats, series: MarketSeries) -> Panel:
    scale, ticks = fit([series.cascade, series.cascade_1h, series.impact], _short_percent, floor=0.0)
    drawing = Drawing(x, scale, wording.percent)
    drawing.add("impact", "step", series.impact, "what it would add to the fall")
    drawing.add("hour", "step", series.cascade_1h, "likely within the hour")
    drawing.add("cascade", "step", series.cascade, "likely within a day, on chain")
    return Panel("Liquidation cascade", "probability, and share of the price", 110, tuple(drawing.marks), ticks)


def _contagion(x: Floats, series: MarketSeries) -> Panel:
    scale, ticks = fit([series.contagion], _short_percent, floor=0.0)
    drawing = Drawing(x, scale, lambda value: wording.percent(value, 2))
    drawing.add("contagion", "step", series.contagion, "add-on, on chain")
    return Panel("Contagion", "share of the index that stress elsewhere can cost", 70, tuple(drawing.marks), ticks)


def requirement_panel(x: Floats, asked: Floats, static: Floats, title: str, height_px: int) -> Panel:
    scale, ticks = fit([asked, static], _compact_usd, floor=0.0)
    drawing = Drawing(x, scale, wording.usd)
    drawing.add("static", "step", static, "fixed grid")
    drawing.add("requirement", "step", asked, "asked on chain")
    return Panel(title, "US dollars", height_px, tuple(drawing.marks), ticks)


def spread(members: Floats) -> tuple[str, ...]:
    """Lowest and highest of the members' figures in each round, in words."""
    columns = (column[np.isfinite(column)] for column in members.T)
    return tuple(f"{column.min():,.0f} to {column.max():,.0f}" if column.size else wording.ABSENT for column in columns)


# --- geometry -------------------------------------------------------------------------------------------------------


def positions(run: RunSeries) -> Floats:
    """Where each round begins on the x axis, which ends one period after the last round began."""
    if run.times_ms.size == 0:
        return np.empty(0)
    return Scale(float(run.times_ms[0]), float(run.end_ms))(run.times_ms.astype(np.float64))


def fit(columns: list[Floats], write: Write, floor: float | None = None) -> tuple[Scale, tuple[Tick, ...]]:
    """A scale that holds all finite values with a little air, and its round-numbered ticks."""
    values = np.concatenate([column[np.isfinite(column)] for column in columns] or [np.empty(0)])
    if values.size == 0:
        return Scale(0.0, 1.0, flip=True), ()
    low, high = float(values.min()), float(values.max())
    air = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = (low - air if floor is None else min(floor, low)), high + air
    scale = Scale(low, high, flip=True)
    steps = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inside = [float(step) for step in steps if low <= step <= high]
    return scale, tuple(Tick(_height(scale, step), write(step)) for step in inside)


def _height(scale: Scale, value: float) -> float:
    return round(float(scale(np.array([value]))[0]) / BOX * 100, 2)


def time_ticks(run: RunSeries, most: int = 8) -> tuple[Tick, ...]:
    """Round clock times; midnight, and the first tick, carry the date."""
    if run.times_ms.size == 0:
        return ()
    first, end = int(run.times_ms[0]), run.end_ms
    minutes = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10_080, 43_200)
    step_ms = 60_000 * next((m for m in minutes if (end - first) / (m * 60_000) <= most), minutes[-1])
    ticks: list[Tick] = []
    for index, time_ms in enumerate(range(-(-first // step_ms) * step_ms, end + 1, step_ms)):
        at = wording.instant(time_ms)
        midnight = at.hour == at.minute == 0
        text = f"{at.day} {at:%b}" if midnight else wording.short_moment(time_ms) if not index else f"{at:%H:%M}"
        ticks.append(Tick(round(100 * (time_ms - first) / (end - first), 2), text, minor=bool(index % 2)))
    return tuple(ticks)


def line_path(x: Floats, y: Floats) -> str:
    """Straight lines, broken where a value is missing; a value alone between two gaps is held to the next round."""
    return "".join(_stroke(x, y, part) for part in _runs(y))


def _stroke(x: Floats, y: Floats, part: list[int]) -> str:
    if len(part) == 1:
        return f"M{_n(x[part[0]])} {_n(y[part[0]])}H{_n(_end(x, part[0]))}"
    return "M" + "L".join(f"{_n(x[i])} {_n(y[i])}" for i in part)


def step_path(x: Floats, y: Floats) -> str:
    """Each value holds until the next round: what is on chain is on chain."""
    pieces = []
    for part in _runs(y):
        pieces.append(f"M{_n(x[part[0]])} {_n(y[part[0]])}")
        pieces += [f"H{_n(x[i])}V{_n(y[i])}" for i in part[1:]]
        pieces.append(f"H{_n(_end(x, part[-1]))}")
    return "".join(pieces)


def area_path(x: Floats, low: Floats, high: Floats) -> str:
    """The stepped surface between two columns."""
    pieces = []
    for part in _runs(low + high):
        end = _n(_end(x, part[-1]))
        there = "".join(f"H{_n(x[i])}V{_n(high[i])}" for i in part[1:])
        back = "".join(f"V{_n(low[i])}H{_n(x[i])}" for i in reversed(part))
        pieces.append(f"M{_n(x[part[0]])} {_n(high[part[0]])}{there}H{end}{back}Z")
    return "".join(pieces)


def dots_path(x: Floats, y: Floats) -> str:
    """Lines of no length: with round caps they are dots, which stay round however the box is stretched."""
    return "".join(f"M{_n(a)} {_n(b)}h0" for a, b in zip(x, y, strict=True) if np.isfinite(b))


def _runs(values: Floats) -> list[list[int]]:
    """The indices of the finite values, in unbroken stretches."""
    finite = np.flatnonzero(np.isfinite(values))
    breaks = np.flatnonzero(np.diff(finite) > 1) + 1
    return [part.tolist() for part in np.split(finite, breaks) if part.size]


def _end(x: Floats, index: int) -> float:
    """Where a round's figures are replaced by the next round's."""
    return float(x[index + 1]) if index + 1 < x.size else BOX


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _compact_usd(value: float) -> str:
    if abs(value) >= 10_000:
        return f"${value / 1000:,.4g}k"
    return f"${value:,.0f}" if abs(value) >= 10 or value == 0 else f"${value:.4g}"


def _short_percent(value: float) -> str:
    return wording.percent(value, 0 if value == 0 or value >= 0.03 else 2 if value < 0.002 else 1)


def _whole_signed_percent(value: float) -> str:
    return wording.signed_percent(value, 0) if abs(value) >= 0.005 else "0"
