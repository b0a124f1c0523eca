"""The inputs that a model of the registry names, made from a panel by the definitions that the node serves them with.

Each maker answers (row, asset) pairs from the row and what lies before it, and says of which pairs it knows nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal, Rejected
from margrave.lab.court.panel import Panel
from margrave.score.features import hourly_1, tails, volatility
from margrave.score.features.catalogue import TAIL_NAMES, VERSION, VOLATILITY_NAMES
from margrave.score.features.volatility import Market
from margrave.score.registry import Card
from margrave.spans import HOUR_MS, JULIAN_YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Given = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Pairs:
    """(rows[i], assets[i]) of a panel, each (n,)."""

    rows: Ints
    assets: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, places: Ints) -> Pairs:
        return Pairs(self.rows[places], self.assets[places])


COLUMNS: Final = "columns"
MEMORY_H: Final = 3 * JULIAN_YEAR_H
"""Of the hour-of-week table of `hourly-2`, which fades with half a year."""
Maker = Callable[[Card, Panel, Pairs], tuple[Flags, Given]]


def inputs(card: Card, panel: Panel, pairs: Pairs) -> tuple[Flags, Given]:
    """(which pairs are known, every input of the card by name, (n, …); what stands where nothing is known is moot).

    Raises:
        Fatal: the card names an input that nobody here makes.
    """
    known = np.ones(len(pairs), dtype=np.bool_)
    given: dict[str, NDArray[Any]] = {}
    names = [tensor.name for tensor in card.inputs if tensor.name != COLUMNS]
    for maker in dict.fromkeys(_maker(card, name) for name in names):
        there, made = maker(card, panel, pairs)
        known &= there
        given |= made
    if missing := {tensor.name for tensor in card.inputs} - given.keys():
        raise Fatal(
            f"{card.name} asks for {', '.join(sorted(missing))} alone, which means nothing by itself",
            advice="restore the folder from the release",
        )
    return known, {tensor.name: given[tensor.name] for tensor in card.inputs}


def _maker(card: Card, name: str) -> Maker:
    maker = MAKERS.get((card.features_version, name)) or MAKERS.get(("", name))
    if maker is None:
        raise Fatal(
            f"{card.name} asks for {name} of features {card.features_version}, which nobody makes",
            advice="judge it with the release that its card names",
        )
    return maker


def returns(card: Card | None, panel: Panel, pairs: Pairs) -> tuple[Flags, Given]:  # noqa: ARG001 - a Maker
    """`returns_1h` (n, 672), the last on the right, zero before the first; `bars` (n,), how many are real."""
    first, last = int(pairs.rows.min(initial=panel.hours)), int(pairs.rows.max(initial=-1))
    start = max(first - hourly_1.LONG_H + 1, 0)
    seen = panel.log_return[start : last + 1]
    padded = np.concatenate((np.zeros((hourly_1.LONG_H, seen.shape[1])), seen))
    windows = np.lib.stride_tricks.sliding_window_view(padded, hourly_1.LONG_H, axis=0)
    found = windows[pairs.rows - start + 1, pairs.assets]
    bars = np.clip(panel.age_h[pairs.rows, pairs.assets] - 1, 0, hourly_1.LONG_H)
    real = np.arange(hourly_1.LONG_H) >= hourly_1.LONG_H - bars[:, None]
    return bars >= hourly_1.MIN_BARS - 1, {"returns_1h": np.where(real, found, 0.0), "bars": bars}


def first_features(card: Card, panel: Panel, pairs: Pairs) -> tuple[Flags, Given]:  # noqa: ARG001 - a Maker
    """`features` (n, len(NAMES)) and `log_level` (n,) of the definition `hourly-1`, float32."""
    known = np.zeros(len(pairs), dtype=np.bool_)
    columns = np.full((len(pairs), len(hourly_1.NAMES)), np.nan, dtype=np.float32)
    log_level = np.full(len(pairs), np.nan, dtype=np.float32)
    for places, history, first in _pieces(panel, pairs):
        try:
            table = hourly_1.compute(history)
        except Rejected:
            continue
        at = pairs.rows[places] - first
        columns[places], log_level[places] = table.columns[at], table.log_level[at]
        known[places] = np.isfinite(table.log_level[at])
    return known, {"features": columns, "log_level": log_level}


def _pieces(panel: Panel, pairs: Pairs) -> Iterator[tuple[Ints, hourly_1.History, int]]:
    """(places of the pairs, bars that hold all they depend on, the first bar's row), by asset and stretch.

    Pairs of a feed that stands still at that hour are left out, and so are bars after the last pair: the definition
    refuses a whole history by its end, and what comes after a pair must not decide over it.
    """
    age = panel.age_h[pairs.rows, pairs.assets]
    begins = pairs.rows - age + 1
    flat = np.concatenate((np.zeros((1, len(panel.assets))), np.cumsum(panel.high == panel.low, axis=0)))
    window = np.minimum(age, hourly_1.FLAT_WINDOW)
    still = flat[pairs.rows + 1, pairs.assets] - flat[pairs.rows + 1 - window, pairs.assets]
    fit = (age >= hourly_1.MIN_BARS) & (still <= hourly_1.FLAT_SHARE * window)
    for asset in np.unique(pairs.assets[fit]):
        for begin in np.unique(begins[fit & (pairs.assets == asset)]):
            places = np.flatnonzero(fit & (pairs.assets == asset) & (begins == begin))
            first = max(int(begin), int(pairs.rows[places].min()) - hourly_1.LONG_H)
            last = int(pairs.rows[places].max())
            yield places, _history(panel, slice(first, last + 1), int(asset)), first


def _history(panel: Panel, rows: slice, asset: int) -> hourly_1.History:
    parts = {name: getattr(panel, name)[rows, asset] for name in ("open", "high", "low", "close", "volume")}
    return hourly_1.History(
        panel.open_ms[rows], **parts, funding_8h=panel.funding_8h[rows, asset], vol_index=panel.dvol[rows, asset]
    )


def volatility_columns(card: Card, panel: Panel, pairs: Pairs) -> tuple[Flags, Given]:
    """`columns` (n, card.columns) and `log_usual` (n, 4) of the volatility inputs, as a node has them."""
    seen, rows = _remembered(card, panel, pairs)
    made = _kept("volatility", card, seen, volatility.inputs_of)
    asked, place = np.unique(rows, return_inverse=True)
    columns, log_usual = (part[place, pairs.assets] for part in made.served(asked))
    columns = columns[:, _places(card, VOLATILITY_NAMES)]
    known = np.isfinite(log_usual).all(axis=1) & np.isfinite(columns).all(axis=1)
    return known, {"columns": columns, "log_usual": log_usual}


def tail_columns(card: Card, panel: Panel, pairs: Pairs) -> tuple[Flags, Given]:
    """`columns` (n, card.columns), NaN where one is absent, and `log_anchor` (n, 3) of the tail inputs."""
    seen, rows = _remembered(card, panel, pairs)
    made = _kept("tails", card, seen, tails.state_of)
    anchors = [made.log_anchor(rows, pairs.assets, horizon_h) for horizon_h in tails.HORIZONS_H]
    log_anchor = np.stack(anchors, axis=1)
    columns = made.inputs[rows, pairs.assets][:, _places(card, TAIL_NAMES)]
    return np.isfinite(log_anchor).all(axis=1), {"columns": columns, "log_anchor": log_anchor}


def _remembered(card: Card, panel: Panel, pairs: Pairs) -> tuple[Panel, Ints]:
    """(the panel without what lies years before the first hour that the model may be asked of, the rows in it)."""
    unseen_ms = int(np.datetime64(card.unseen_from, "ms").astype(np.int64))
    start = int(np.searchsorted(panel.open_ms, unseen_ms - MEMORY_H * HOUR_MS))
    if not start:
        return panel, pairs.rows
    key = (id(panel), start)
    if key not in _cut or _cut[key][0]() is not panel:
        _cut.clear()
        _cut[key] = weakref.ref(panel), panel.since(start)
    return _cut[key][1], pairs.rows - start


def _kept(kind: str, card: Card, panel: Panel, compute: Callable[..., Any]) -> Any:
    """Of the last panel asked about, because every horizon and piece asks."""
    held = _last.get(kind)
    if held is None or held[0]() is not panel or held[1] != card.week_prior:
        prior = np.array(card.week_prior) if card.week_prior else None
        _last[kind] = weakref.ref(panel), card.week_prior, compute(panel, market=Market.LEADERS, prior=prior)
    return _last[kind][2]


_cut: dict[tuple[int, int], tuple[weakref.ref[Panel], Panel]] = {}
_last: dict[str, tuple[weakref.ref[Panel], tuple[float, ...], Any]] = {}


def _places(card: Card, names: Sequence[str]) -> Ints:
    """
    Raises:
        Fatal: a column that these features do not have.
    """
    if missing := sorted(set(card.columns) - set(names)):
        raise Fatal(
            f"{card.name} asks for {', '.join(missing)}, which {VERSION} does not have",
            advice="judge it with the release that its card names",
        )
    return np.array([names.index(name) for name in card.columns or names], dtype=np.int64)


MAKERS: Final[dict[tuple[str, str], Maker]] = {
    ("", "returns_1h"): returns,
    ("", "bars"): returns,
    ("hourly-1", "features"): first_features,
    ("hourly-1", "log_level"): first_features,
    ("hourly-2", "log_usual"): volatility_columns,
    ("hourly-2", "log_anchor"): tail_columns,
}
"""By the version of the features and the input's name; without a version: what every version means the same by. The
input `columns` comes with the one beside it."""
