"""The score of every hour of a panel, by what was known at that hour.

The ladder is what a node says: of hours that the registry's main model has not seen, that model's; of the hours before,
the same kind of model fitted anew every half-year on what lay behind. Both under the online widening, without haste and
drift. A panel has prices and no books, so the score here is its price and volatility parts: liquidity, cascade and
contagion, which only add, have chambers of their own. Implied volatility is the asset's index where it has one, else
the volatility of its last four weeks.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.answers import code_digest, panel_digest
from margrave.lab.court.families import Kind
from margrave.lab.court.families.registered import Registered, digest
from margrave.lab.court.families.tails import SERVED
from margrave.lab.court.families.tails.conformal import Widened
from margrave.lab.court.family import DOWN, LEVELS, UP, TailModel, Tails, fitted
from margrave.lab.court.panel import Panel
from margrave.lab.court.study import Study, first_row, too_little
from margrave.lab.court.walk import legs, room
from margrave.score import addons, composite
from margrave.settings import REGISTRY
from margrave.spans import YEAR_DAYS, YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MPOR_H: Final = 4
LEAST_H: Final = 720
"""Bars without a gap before a market has a score."""
REFIT_H: Final = 180 * 24
MAIN: Final = "tails/1"
AT: Final = LEVELS.index(0.01)
FAR: Final = LEVELS.index(0.001)
REALISED_H: Final = 672
CHUNK: Final = 20_000
"""Pairs at once: a shortfall looks at twenty moves of each."""
POINTS: Final = composite.CAP / composite.STANDARD_MARGIN
"""Of a share of the index."""
DAYS_30: Final = np.sqrt(30 / YEAR_DAYS)


@dataclass(frozen=True)
class AsServedModel:
    refitted: TailModel
    registered: TailModel

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        before = self.refitted.tails(panel, rows, assets, horizon_h)
        after = self.registered.tails(panel, rows, assets, horizon_h)
        spoken = np.asarray(np.isfinite(after.var).all(axis=(1, 2)))[:, None, None]
        return Tails(np.where(spoken, after.var, before.var), np.where(spoken, after.es, before.es))


@dataclass(frozen=True)
class AsServed:
    """The registry's model where it may speak of an hour, and its kind fitted anew where it may not."""

    registry: Path = REGISTRY
    name: str = "as_served"
    least_hours: int = LEAST_H

    def fit(self, past: Panel) -> AsServedModel:
        registered = cast(TailModel, Registered(MAIN, Kind.TAILS, self.registry).fit(past))
        return AsServedModel(fitted(SERVED, past), registered)


@dataclass(frozen=True, slots=True)
class Told:
    """All (hours, assets) of the panel, NaN where nothing is said."""

    var: Floats
    """(hours, assets, 2): log moves at 1 % over the margin period, down and up; `es` the same shortfall."""
    es: Floats
    price: Floats
    """Points; so is `volatility`."""
    volatility: Floats

    @property
    def points(self) -> Floats:
        """Before the cap."""
        return np.asarray(self.price + self.volatility)


def tell(panel: Panel, study: Study, folder: Path, registry: Path = REGISTRY) -> Told:
    """
    Args:
        folder: where the ladder is kept, to be found again; it need not exist.
    """
    key = hashlib.sha256(
        f"{panel_digest(panel)}|{code_digest(__name__)}|{digest(registry / MAIN)}".encode()
    ).hexdigest()[:16]
    path = folder / f"ladder-{key}.npz"
    held = _found(path)
    if held is None:
        held = walked(panel, study, registry)
        _keep(path, *held)
    return scored(panel, *held)


def walked(panel: Panel, study: Study, registry: Path = REGISTRY) -> tuple[Floats, Floats, Floats]:
    """VaR and ES at 1 % and ES at 0.1 %, each (hours, assets, 2), of every hour that has enough past."""
    var, es, far = (np.full((*panel.close.shape, 2), np.nan) for _ in range(3))
    family = Widened(AsServed(registry))
    # of a history too short to fit on, the registry's model may speak all the same
    start = LEAST_H if too_little(panel) else first_row(panel, replace(study, quick=False))
    for leg in legs(panel, start, REFIT_H):
        asked = np.arange(leg.fit_row, leg.end_row)
        there = panel.age_h[asked] >= LEAST_H
        places, assets = np.nonzero(there)
        if not len(places):
            continue
        here = room(panel, leg)
        rows = asked[places]
        said = fitted(family, here.past).tails(
            here.seen, rows - here.first_row, np.searchsorted(here.columns, assets), MPOR_H
        )
        var[rows, assets], es[rows, assets] = said.var[:, :, AT], said.es[:, :, AT]
        far[rows, assets] = said.es[:, :, FAR]
    return var, es, far


def scored(panel: Panel, var: Floats, es: Floats, far: Floats) -> Told:
    """The parts of the score that a ladder makes, as `composite.compose` and `addons.vol_shock` have them."""
    near, far = simple(es), simple(far)
    price = np.full(panel.close.shape, np.nan)
    rows, assets = np.nonzero(np.isfinite(near + far).all(axis=-1))
    for at in np.array_split(np.arange(len(rows)), -(-len(rows) // CHUNK)) if len(rows) else ():
        sides = near[rows[at], assets[at]], far[rows[at], assets[at]]
        price[rows[at], assets[at]] = composite.price_points(composite.straddle_shortfall(*sides))
    shock = np.expm1(addons.VOL_NOISE_UP * np.sqrt(MPOR_H / 4) + addons.VOL_BETA_UP * near.max(axis=-1))
    vega = composite.VEGA * implied(panel) * DAYS_30 * shock
    return Told(var, es, price, np.where(np.isfinite(price), vega * POINTS, np.nan))


def simple(moves: Floats) -> Floats:
    """(…, 2) of log moves down and up, as magnitudes both."""
    return np.stack((-np.expm1(-moves[..., DOWN]), np.expm1(moves[..., UP])), axis=-1)


def implied(panel: Panel) -> Floats:
    """(hours, assets), annual: the asset's index, or what it moved in four weeks."""
    squares = np.nan_to_num(panel.log_return) ** 2
    total = np.cumsum(np.concatenate((np.zeros((1, squares.shape[1])), squares)), axis=0)
    first = np.maximum(np.arange(panel.hours) + 1 - REALISED_H, 0)
    realised = np.sqrt((total[1:] - total[first]) / REALISED_H * YEAR_H)
    return np.where(np.isfinite(panel.dvol), panel.dvol, realised)


def outcomes(panel: Panel) -> Floats:
    """(hours, assets): what the reference straddle lost over the margin period after each hour, in points; a gain is
    below zero."""
    moved = np.expm1(panel.outcome(MPOR_H))
    return composite.straddle_losses(moved) * POINTS


def _found(path: Path) -> tuple[Floats, Floats, Floats] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return kept["var"], kept["es"], kept["far"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _keep(path: Path, var: Floats, es: Floats, far: Floats) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, var=var, es=es, far=far)
    unfinished.replace(path)
