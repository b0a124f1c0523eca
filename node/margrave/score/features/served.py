"""The inputs of a round: what `volatility` and `tails` compute over years, from what the node carries, for all markets.

The market's mean is the leaders', and a leader counts for those only whose last hour is also its own: where BTC's bars
are late, the others are told so by its mask and not by an old figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.score.features import tails, volatility
from margrave.score.features.catalogue import (
    HORIZONS_H,
    LEVEL_H,
    RANGE_H,
    RETURN_H,
    ROBUST_H,
    SHAPE_H,
    TAIL_NAMES,
    VOLATILITY,
    VOLATILITY_NAMES,
    VOLUME_H,
)
from margrave.score.features.running import Running, read
from margrave.score.features.week import ahead_of, table_of
from margrave.spans import HOUR_MS, WEEK_H

Floats = npt.NDArray[np.float64]

BITS: Final = tuple(feature.name for feature in VOLATILITY if feature.name.startswith("has_"))


@dataclass(frozen=True, slots=True)
class Served:
    """Markets in the order they were given; rows of a market whose last four weeks are not whole are NaN."""

    markets: tuple[str, ...]
    volatility: Floats
    """(markets, VOLATILITY)"""
    log_usual: Floats
    """(markets, volatility horizons): log of the usual variance of the hours ahead."""
    tails: Floats
    """(markets, TAILS); NaN where an input is absent."""
    log_anchor: Floats
    """(markets, tail horizons): ln sigma of the hours ahead."""

    @property
    def ready(self) -> tuple[bool, ...]:
        return tuple(bool(np.isfinite(row).all()) for row in self.log_usual)

    def masked(self, place: int) -> tuple[str, ...]:
        """The sources that one market's inputs had to do without: "implied", "long", "BTC"."""
        return tuple(b.removeprefix("has_") for b in BITS if self.volatility[place, VOLATILITY_NAMES.index(b)] == 0.0)


def serve(states: Sequence[Running], prior: Floats) -> Served:
    """
    Args:
        prior: the pooled hour-of-week table (168,) of the models' cards.
    """
    return serve_worlds([states], prior)


def serve_worlds(worlds: Sequence[Sequence[Running]], prior: Floats) -> Served:
    """`serve` of each of some worlds, the rows of one after those of the other: their markets know nothing of each
    other. Worlds in which the same markets stand at the same hour are computed as one array."""
    states = [state for world in worlds for state in world]
    found = Served(
        tuple(state.market for state in states),
        np.full((len(states), len(VOLATILITY)), np.nan),
        np.full((len(states), len(HORIZONS_H)), np.nan),
        np.full((len(states), len(TAIL_NAMES)), np.nan),
        np.full((len(states), len(tails.HORIZONS_H)), np.nan),
    )
    together: dict[tuple[tuple[str, ...], int], list[list[int]]] = {}
    rows = iter(range(len(states)))
    for world in worlds:
        at: dict[int, list[int]] = {}
        for state, row in zip(world, rows, strict=False):
            at.setdefault(state.open_ms, []).append(row)
        for open_ms, places in at.items():
            together.setdefault((tuple(states[place].market for place in places), open_ms), []).append(places)
    for (assets, open_ms), alike in together.items():
        _fill(found, np.array(alike), [[states[place] for place in places] for places in alike], assets, open_ms, prior)
    return found


def _fill(
    found: Served,
    places: npt.NDArray[np.int64],
    states: Sequence[Sequence[Running]],
    assets: tuple[str, ...],
    open_ms: int,
    prior: Floats,
) -> None:
    """The rows (worlds, markets) of the markets whose last hour is the same."""
    who = volatility.are_leaders(assets)
    tables = table_of(_stacked(states, "total"), _stacked(states, "count"), prior)
    spans = {h: ahead_of(tables, open_ms, h) for h in HORIZONS_H}
    usual, implied = _stacked(states, "usual"), _stacked(states, "implied")
    funding = np.array(
        [[np.nan if state.funding_8h is None else state.funding_8h for state in world] for world in states]
    )

    moments = _moments(states, usual, implied)
    columns = volatility.columns_of(moments, who)
    for name, values in columns.items():
        found.volatility[places, VOLATILITY_NAMES.index(name)] = values
    for place, span in enumerate(spans.values()):
        found.log_usual[places, place] = np.log(span * moments.level)

    sums, weights = _stacked(states, "sums"), _stacked(states, "weights")
    means = tails.mean_of(sums, weights)
    inputs, log_level = tails.columns_of(
        tails.Moments(
            means={key: means[..., place] for place, key in enumerate(tails.SERIES)},
            implied=implied[..., -1],
            implied_before=implied[..., 0],
            funding_8h=funding,
            sound=np.isfinite(_stacked(states, "ranges").mean(axis=-1)),
            close_ms=np.full(len(assets), open_ms + HOUR_MS, dtype=np.float64),
        ),
        who,
    )
    found.tails[places] = inputs
    for place, h in enumerate(tails.HORIZONS_H):
        found.log_anchor[places, place] = 0.5 * (np.log(spans[h]) + log_level)


def _moments(states: Sequence[Sequence[Running]], usual: Floats, implied: Floats) -> volatility.Moments:
    returns, volumes, ends = (_stacked(states, name) for name in ("returns", "volumes", "ends"))
    level = _last(usual, LEVEL_H)
    level = np.where(level > 0, level, np.nan)
    squares, size = returns**2, np.abs(returns)
    beside = size[..., 1:] * size[..., :-1]
    return volatility.Moments(
        ranges={h: _last(usual, h) for h in RANGE_H},
        logs=volatility.mean_log(np.moveaxis(usual[..., -ROBUST_H:], -1, 0)),
        level=level,
        long=(level + sum(ends[..., -back] for back in volatility.LONG_WEEKS)) / (1 + len(volatility.LONG_WEEKS)),
        returns={h: _last(returns, h) for h in RETURN_H},
        squares={h: _last(squares, h) for h in SHAPE_H},
        beside={h: _last(beside, h) for h in SHAPE_H},
        volume={h: _last(volumes, h) for h in (*VOLUME_H, WEEK_H)},
        implied=implied[..., -1],
        implied_before=implied[..., 0],
    )


def _stacked(states: Sequence[Sequence[Running]], name: str) -> Floats:
    """(worlds, markets, …)"""
    whole = read(b"".join([getattr(state, name) for world in states for state in world]))
    return whole.reshape(len(states), len(states[0]), -1)


def _last(values: Floats, hours: int) -> Floats:
    return np.asarray(values[..., -hours:].mean(axis=-1))
