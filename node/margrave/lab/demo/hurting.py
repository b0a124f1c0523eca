"""Who hurts whom, drawn: the paths of contagion in the round in which the most was at stake.

Three columns: what only hurts (stablecoins), the markets one above the other, what is only hurt (protocols and who
lends through them). A line's width says what its target loses. The places follow from the names alone: the same paths
are the same drawing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.lab.demo import wording
from margrave.lab.demo.record import RoundRow, Summary
from margrave.messages import HurtPath

WIDTH: Final = 656
GAP: Final = 34
"""Between boxes of a column."""
BOX_W: Final = 131
BOX_H: Final = 34
PORT: Final = 19
"""Between the ends of lines at one side of a box: their labels stand one above the other."""
LABEL: Final = 30
"""From a line's end to the middle of its label."""
HEAD: Final = 8
COLUMNS: Final = (BOX_W / 2 + 1, WIDTH / 2, WIDTH - BOX_W / 2 - 1)
THINNEST: Final = 1.2
THICKEST: Final = 7.0
MOST_PATHS: Final = 12
LONGEST: Final = 18
"""Letters that a box has room for."""


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    text: str
    x: float
    y: float
    """Of the middle of its box."""
    height: float
    kind: str
    """`market` or `other`."""


@dataclass(frozen=True, slots=True)
class Line:
    path: str
    head: str
    """The arrow's, as a path."""
    width: float
    label: str
    x: float
    y: float
    """Of the label."""


@dataclass(frozen=True, slots=True)
class Web:
    """One drawing of `WIDTH` × `height`, and what it says in sentences."""

    when: str
    round: int
    height: int
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    sentences: tuple[str, ...]


def web(summary: Summary) -> Web | None:
    """The round with the most at stake; nothing where no node told of any path."""
    told = [row for row in summary.rounds if _paths(row)]
    if not told:
        return None
    row = max(told, key=lambda row: sum(path.loss for path in _paths(row)))
    paths = _paths(row)[:MOST_PATHS]
    nodes = _placed(paths, summary.markets)
    return Web(
        when=wording.moment(row.time_ms),
        round=row.round,
        height=round(max(node.y + node.height / 2 for node in nodes.values()) + 2),
        nodes=tuple(nodes.values()),
        lines=_lines(paths, nodes),
        sentences=tuple(sentence(path, summary.markets) for path in paths),
    )


def sentence(path: HurtPath, markets: Sequence[str]) -> str:
    lost = wording.percent(path.loss, 2)
    if path.source not in markets:
        return f"What {path.source} lack of a dollar takes {lost} from {path.target}."
    loses = f"{path.target} lose" if path.target.startswith("lenders") else f"{path.target} loses"
    return f"If {path.source} falls as far as its forecast goes, {loses} {lost}."


def _paths(row: RoundRow) -> list[HurtPath]:
    """Each once, the largest loss first."""
    found = {(path.source, path.target): path for market in row.markets.values() for path in market.contagion_paths}
    return sorted(found.values(), key=lambda path: (-path.loss, path.source, path.target))


def _placed(paths: Sequence[HurtPath], markets: Sequence[str]) -> dict[str, Node]:
    """Boxes in their columns, each as high as the lines at its busier side need."""
    names = {name for path in paths for name in (path.source, path.target)}
    middle = [market for market in markets if market in names]
    others = sorted(names - set(middle))
    sources = {path.source for path in paths}
    columns = ([n for n in others if n in sources], middle, [n for n in others if n not in sources])
    at = {name: place for place, column in enumerate(columns) for name in column}
    order = {name: place for column in columns for place, name in enumerate(column)}
    ends = Counter(end for path in paths for end in _ends(path, at, order))
    high = {name: max(BOX_H, PORT * max(ends[name, side] for side in (-1, 1)) + 6) for name in names}
    total = max(sum(high[n] for n in column) + GAP * (len(column) - 1) for column in columns)
    nodes = {}
    for x, column in zip(COLUMNS, columns, strict=True):
        top = (total - sum(high[n] for n in column) - GAP * (len(column) - 1)) / 2 + 2
        for name in column:
            text = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
            kind = "market" if name in middle else "other"
            nodes[name] = Node(name, text, x, top + high[name] / 2, high[name], kind)
            top += high[name] + GAP
    return nodes


def _ends(path: HurtPath, at: Mapping[str, int], order: Mapping[str, int]) -> tuple[tuple[str, int], tuple[str, int]]:
    """(name, side) of its beginning and its end; side 1 is the right. Within a column, down on the right, up on the
    left."""
    source, target = at[path.source], at[path.target]
    if source == target:
        side = 1 if order[path.target] > order[path.source] else -1
        return (path.source, side), (path.target, side)
    side = 1 if target > source else -1
    return (path.source, side), (path.target, -side)


def _lines(paths: Sequence[HurtPath], nodes: Mapping[str, Node]) -> tuple[Line, ...]:
    """Every line has its own place at both boxes, in the order of where it comes from or goes to."""
    at = {name: COLUMNS.index(node.x) for name, node in nodes.items()}
    order = {name: round(node.y) for name, node in nodes.items()}
    several: dict[tuple[str, int], list[tuple[float, int, bool]]] = {}
    for place, path in enumerate(paths):
        begins, ends = _ends(path, at, order)
        several.setdefault(begins, []).append((nodes[path.target].y, place, False))
        several.setdefault(ends, []).append((nodes[path.source].y, place, True))
    ports: dict[tuple[int, bool], tuple[float, float]] = {}
    for (name, side), joined in several.items():
        node = nodes[name]
        for step, (_, place, end) in enumerate(sorted(joined)):
            y = node.y + PORT * (step - (len(joined) - 1) / 2)
            ports[place, end] = node.x + side * (BOX_W / 2 + (HEAD if end else 0)), y
    largest = max(path.loss for path in paths)
    return tuple(
        _line(path, ports[place, False], ports[place, True], nodes, largest) for place, path in enumerate(paths)
    )


def _line(
    path: HurtPath, a: tuple[float, float], b: tuple[float, float], nodes: Mapping[str, Node], largest: float
) -> Line:
    away = 1 if b[0] > nodes[path.target].x else -1
    same = nodes[path.source].x == nodes[path.target].x
    half = b[0] + away * (LABEL + 40) if same else (a[0] + b[0]) / 2
    drawn = f"M{a[0]:.0f} {a[1]:.0f}C{half:.0f} {a[1]:.0f} {half:.0f} {b[1]:.0f} {b[0]:.0f} {b[1]:.0f}"
    width = THINNEST + (THICKEST - THINNEST) * path.loss / largest
    head = f"M{b[0]:.0f} {b[1] - 5:.0f}l{-away * HEAD} 5l{away * HEAD} 5Z"
    return Line(drawn, head, width, wording.percent(path.loss, 2), b[0] + away * LABEL, b[1])
