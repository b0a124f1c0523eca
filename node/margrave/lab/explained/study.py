"""Hours of a history are scored and explained, and the explanations are put to the test: docs/explain.json.

Deletion: inputs are put at the reference's values one by one, those first that the explanation says matter most, and
what remains of the score's distance from the reference's is averaged over the steps. The same for every other order:
the mean over all orders needs no draw, since after k steps each set of k inputs is equally likely. Who names the inputs
that matter leaves little at once: the ratio of the two areas says how much less.

Stability: exact values have no seed. What is drawn are the reference's figures, each by a lognormal of 20 % (and its
day turned by some hours), and Kendall's tau-b of the inputs' order by size is taken between every two references.
Beside it, the same between seeds of the usual estimate by sampled orders, which nodes do not use.

Books, accounts and open interest are not in a history of prices: here they are as in the reference, and add nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from margrave.errors import Fatal
from margrave.lab.court.history import Stretch, read
from margrave.lab.served.rounds import round_of
from margrave.messages import Bar, Snapshot
from margrave.score import calm
from margrave.score.attribution import attributed, calm_world, shapley, subsets
from margrave.score.calm import CALM, Quiet
from margrave.score.coalitions import FIELDS, Facts, Game, Input, PathPart, World
from margrave.score.features.catalogue import LEADERS, LEVEL_H
from margrave.score.model_set import ModelSet
from margrave.score.scores import Scorer
from margrave.settings import POLICY_FILE, REGISTRY, Instruments, MarketSettings, load_policy
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Say = Callable[[str], None]

SIZE_USD: Final = 1e6
FIRST_H: Final = LEVEL_H + 50
"""Closed bars of a round: four whole weeks and two days to learn from."""
REFERENCES: Final = 8
DRAWN_EVERY: Final = 4
"""Of the hours, those at which references are drawn and orders sampled."""
SPREAD: Final = 0.20
ORDERS: Final = 128
SEEDS: Final = 8
TELLING: Final = 0.02
"""Of all that inputs add, in size: an input below it is rounding to a reader, and its rank means nothing."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Mean points that remain between the score and the reference's, over the steps before the last."""

    inputs: int
    explained_points: float
    any_order_points: float

    @property
    def ratio(self) -> float:
        return self.any_order_points / self.explained_points


@dataclass(frozen=True, slots=True)
class Stability:
    """Kendall's tau-b between the orders of inputs by size."""

    pairs: int
    mean: float
    least_decile: float


@dataclass(frozen=True, slots=True)
class Study:
    command: str
    models: tuple[str, ...]
    reference: str
    asset: str
    first: str
    last: str
    hours: int
    median_distance_points: float
    """Of a score from the reference's."""
    cpu_ms: float
    """Median, of one explanation by its groups, as a round makes it."""
    largest_error_points: float
    """Of the sum of the parts against the difference of scores."""
    groups: Deletion
    group_ratio: float
    parts: Deletion
    """The price path in its parts."""
    part_ratio: float
    references: Stability
    """Between drawn references, groups."""
    references_telling: Stability
    """The same of the groups that add more than `TELLING`."""
    sampled: Stability
    """Between seeds of sampled orders, the price path in its parts."""
    mean_points: Mapping[str, float]
    """What each input adds, on average."""
    mean_size: Mapping[str, float]


def study(folder: Path, asset: str, hours: int, command: str, say: Say) -> Study:
    """
    Raises:
        Fatal: the folder has no bars of the asset, or fewer hours than a round needs.
    """
    found = read(folder)
    stretches = {name: max(found.of(name), key=len) for name in {asset, *LEADERS} if found.of(name)}
    if asset not in stretches or len(stretches[asset]) <= FIRST_H + hours:
        known = ", ".join(found.assets) or "none"
        raise Fatal(f"{folder} has too few hours of {asset}", advice=f"name one of {known} with --asset")
    settings = {
        name: MarketSettings(id=i, reference_size_usd=SIZE_USD, instruments={"history": Instruments(spot=name)})
        for i, name in enumerate(stretches)
    }
    models = ModelSet.of(load_policy(POLICY_FILE), REGISTRY)
    scorer = models.scorer(settings)
    own = stretches[asset]
    rows = np.linspace(FIRST_H, len(own) - 1, hours).astype(int)
    told: list[_Hour] = []
    random = np.random.default_rng(6)
    for place, row in enumerate(rows):
        now = _world(scorer, stretches, asset, int(own.open_ms[row]))
        one = None if now is None else _hour(scorer, asset, now, random if place % DRAWN_EVERY == 0 else None)
        if one is not None:
            told.append(one)
            say(f"{_day(own, row)} {one.total:,.0f} points, {one.base:,.0f} calm")
    if not told:
        raise Fatal(f"no hour of {asset} could be scored", advice="name another asset with --asset")
    groups, parts = _deletion([one.groups for one in told]), _deletion([one.parts for one in told])
    names = [*told[0].names]
    return Study(
        command=command,
        models=tuple(model.name for model in models.forecaster.models),
        reference=calm.NAME,
        asset=asset,
        first=_day(own, int(rows[0])),
        last=_day(own, int(rows[-1])),
        hours=len(told),
        median_distance_points=float(np.median([abs(one.total - one.base) for one in told])),
        cpu_ms=float(np.median([one.cpu_ms for one in told])),
        largest_error_points=max(one.error for one in told),
        groups=groups,
        group_ratio=groups.ratio,
        parts=parts,
        part_ratio=parts.ratio,
        references=_stability([one.references for one in told if one.references]),
        references_telling=_stability([one.references for one in told if one.references], telling=True),
        sampled=_stability([one.sampled for one in told if one.sampled]),
        mean_points={name: float(np.mean([one.points[name] for one in told])) for name in names},
        mean_size={name: float(np.mean([abs(one.points[name]) for one in told])) for name in names},
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    """Of one hour: points that remain after each step but the last, in the explanation's order and over all orders."""

    explained: Floats
    any_order: Floats


@dataclass(frozen=True, slots=True)
class _Hour:
    base: float
    total: float
    cpu_ms: float
    error: float
    points: Mapping[str, float]
    groups: _Curve
    parts: _Curve
    references: tuple[Floats, ...]
    sampled: tuple[Floats, ...]

    @property
    def names(self) -> Sequence[str]:
        return list(self.points)


def _hour(scorer: Scorer, asset: str, now: World, random: np.random.Generator | None) -> _Hour | None:
    begun = time.process_time()
    reference = _history_only(now, calm_world(scorer, now), asset)
    found = attributed(scorer, asset, now, reference, calm.NAME)
    took = time.process_time() - begun
    if found is None or len(found.players) < 2:
        return None
    game = Game(scorer, asset, now, reference)
    beside = [each for each in game.players if each is not Input.PATH]
    finest = [*PathPart, *beside]
    values = game.values(subsets(finest))
    if values is None:
        return None
    of_groups = shapley(found.values)
    points = {part.name: part.points for part in found.parts}
    references: list[Floats] = []
    sampled: list[Floats] = []
    if random is not None:
        for _ in range(REFERENCES):
            drawn = _history_only(now, calm_world(scorer, now, _drawn(random)), asset)
            other = attributed(scorer, asset, now, drawn, "drawn")
            if other is not None:
                references.append(np.array([part.points for part in other.parts]))
        sampled = [_sampled(values, len(finest), random) for _ in range(SEEDS)]
    return _Hour(
        base=found.base,
        total=found.total,
        cpu_ms=1_000 * took,
        error=abs(sum(points.values()) - (found.total - found.base)),
        points=points,
        groups=_curve(found.values, of_groups),
        parts=_curve(values, shapley(values)),
        references=tuple(references),
        sampled=tuple(sampled),
    )


def _world(scorer: Scorer, stretches: Mapping[str, Stretch], asset: str, open_ms: int) -> dict[str, Facts] | None:
    """A node's, at the close of an hour and after those that it learns from; without what a history of prices lacks."""
    markets = []
    for name, stretch in stretches.items():
        at = (open_ms - int(stretch.open_ms[0])) // HOUR_MS
        if not FIRST_H <= at < len(stretch):
            continue
        bars = _bars(stretch, at)
        dvol, funding = float(stretch.dvol[at]), float(stretch.funding_8h[at])
        told = round_of(name, bars, bars[-1].close)
        markets.append(
            msgspec.structs.replace(
                told,
                vol_index=dvol if np.isfinite(dvol) else None,
                funding_8h=funding if np.isfinite(funding) else None,
            )
        )
    if all(market.market != asset for market in markets):
        return None
    at_ms = open_ms + HOUR_MS
    taken = Snapshot(round=at_ms // 300_000, as_of_ms=at_ms, markets=tuple(markets), holds=(), refusals=())
    surfaces = {m.market: Quiet(implied_vol=m.vol_index).surface if m.vol_index else CALM.surface for m in markets}
    _, states = scorer.score(taken, surfaces)
    return {m.market: Facts(m, states[m.market], surfaces[m.market]) for m in markets}


def _bars(stretch: Stretch, at: int) -> list[Bar]:
    fields = (stretch.open_ms, stretch.open, stretch.high, stretch.low, stretch.close, stretch.volume)
    return [Bar(*row) for row in zip(*(field[at - FIRST_H + 1 : at + 1].tolist() for field in fields), strict=True)]


def _history_only(now: World, reference: World, asset: str) -> dict[str, Facts]:
    """The reference without books, accounts and open interest, as in the present: these add nothing then."""
    aside = [field for group in (Input.BOOK, Input.OPEN_INTEREST, Input.LENDING) for field in FIELDS[group]]
    facts = reference[asset]
    same = {field: getattr(now[asset].market, field) for field in aside}
    bare = Facts(msgspec.structs.replace(facts.market, **same), facts.carried, facts.surface)
    return {**reference, asset: bare}


def _drawn(random: np.random.Generator) -> Quiet:
    realised, implied, funding = np.exp(SPREAD * random.standard_normal(3))
    return Quiet(
        realised_vol=CALM.realised_vol * float(realised),
        implied_vol=CALM.implied_vol * float(implied),
        funding_8h=CALM.funding_8h * float(funding),
        turned_h=int(random.integers(24)),
    )


def _curve(values: Floats, points: Floats) -> _Curve:
    """
    Args:
        values: (2^players,) by masks; points: (players,)
    """
    players = len(points)
    everything, distance = len(values) - 1, np.abs(values - values[0])
    mask, explained = everything, []
    for player in np.argsort(-np.abs(points), kind="stable")[:-1]:
        mask &= ~(1 << int(player))
        explained.append(distance[mask])
    any_order = [
        np.mean([distance[everything - sum(1 << i for i in gone)] for gone in combinations(range(players), step)])
        for step in range(1, players)
    ]
    return _Curve(np.array(explained), np.array(any_order))


def _deletion(curves: Sequence[_Curve]) -> Deletion:
    return Deletion(
        inputs=max(len(curve.explained) for curve in curves) + 1,
        explained_points=float(np.mean([curve.explained.mean() for curve in curves])),
        any_order_points=float(np.mean([curve.any_order.mean() for curve in curves])),
    )


def _sampled(values: Floats, players: int, random: np.random.Generator) -> Floats:
    found = np.zeros(players)
    for _ in range(ORDERS):
        mask = 0
        for player in random.permutation(players):
            found[player] += values[mask | 1 << int(player)] - values[mask]
            mask |= 1 << int(player)
    return found / ORDERS


def _stability(drawn: Sequence[Sequence[Floats]], *, telling: bool = False) -> Stability:
    taus: list[float] = []
    for of_hour in drawn:
        sizes = np.abs(np.array(of_hour))
        kept = np.flatnonzero(sizes.mean(axis=0) > (TELLING * sizes.mean(axis=0).sum() if telling else 0.0))
        if len(kept) < 2:
            continue
        taus += [float(kendalltau(a[kept], b[kept]).statistic) for a, b in combinations(sizes, 2)]
    return Stability(pairs=len(taus), mean=float(np.mean(taus)), least_decile=float(np.quantile(taus, 0.1)))


def _day(stretch: Stretch, row: int) -> str:
    return f"{datetime.fromtimestamp(int(stretch.open_ms[row]) / 1_000, UTC):%Y-%m-%d %H:%M}"
