"""A tape from a scenario file: documented waypoints of real days, and a generated path between them.

The waypoints (prices, volatility index, funding) are public history, cited in the file. Everything between and around
them is generated from a fixed seed: a Brownian bridge whose volatility is a stated share of the implied one, venues
that differ by a small offset and noise, books that thin and widen with volatility, open interest, and an option chain
on an SSVI surface through the waypoint volatility.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import AwareDatetime, Field, model_validator
from scipy.signal import lfilter

from margrave.lab.feed.options import SurfaceShape, chain
from margrave.lab.feed.path import MINUTES_A_YEAR, Floats, MinutePath, bridge, candles_of, minute_grid
from margrave.lab.feed.tape import Chain, Perpetual, Quote, Stamped
from margrave.messages import Bar
from margrave.settings import Positive, Section, Share, load_section
from margrave.spans import HOUR_MS, MINUTE_MS

CHAIN_EVERY_MS: Final = MINUTE_MS
NOISE_HALF_LIFE_MINUTES: Final = 8
BASIS_BETA: Final = 0.08
"""How much of the last hour's move shows as perpetual basis: it goes below the index when the market falls."""
MAX_BASIS: Final = 0.01
BOOK_CALM_IV: Final = 0.7

Waypoint = tuple[AwareDatetime, Positive]
Rate = tuple[AwareDatetime, float]


class VenueShape(Section):
    """How one venue differs from the index; its book is as deep as stated when implied volatility is calm."""

    offset_bp: float
    noise_bp: Positive
    half_spread_bp: Positive
    depth_usd: Positive
    volume_usd_per_hour: Positive


class MarketShape(Section):
    """Waypoints of one market, ascending; volatility as a fraction, funding as a fraction per 8 hours."""

    prices: list[Waypoint] = Field(min_length=2)
    implied: list[Waypoint] = Field(min_length=2)
    funding: list[Rate] = Field(min_length=1)
    open_interest_usd: Positive
    """Of the largest venue at the first price; rises and falls with the price, and somewhat faster."""
    strike_step: Positive
    depth_share: Share = 1.0
    """Of the venues' stated depth and volume."""

    @model_validator(mode="after")
    def ascending(self) -> MarketShape:
        for name in ("prices", "implied", "funding"):
            times = [when for when, _ in getattr(self, name)]
            if any(later <= earlier for earlier, later in pairwise(times)):
                raise ValueError(f"{name} are not in ascending order of time")
        return self


class Scenario(Section):
    """A scenario file."""

    title: str
    source: str
    real: str
    generated: str
    start: AwareDatetime
    opens: AwareDatetime
    """Where a demonstration begins when nobody says otherwise: shortly before it gets interesting."""
    end: AwareDatetime
    seed: int
    bridge_vol_share: Positive
    """Volatility of the bridge as a share of the implied one; the waypoints carry the rest."""
    correlation: Share
    venues: dict[str, VenueShape]
    market: dict[str, MarketShape]


def load_scenario(path: Path) -> ScenarioTape:
    """Read a scenario file.

    Raises:
        Fatal: it is missing, not TOML, or a key is unknown, missing or out of range.
    """
    return ScenarioTape(load_section(path, Scenario))


class ScenarioTape:
    """See the module. Prices are held on a grid of minutes from the first waypoint to the end."""

    def __init__(self, scenario: Scenario) -> None:
        self.title = scenario.title
        self.source = scenario.source
        self.real = scenario.real
        self.generated = scenario.generated
        self.start_ms = _ms(scenario.start)
        self.opens_ms = _ms(scenario.opens)
        self.end_ms = _ms(scenario.end)
        self.markets = tuple(scenario.market)
        self._scenario = scenario
        first_ms = max(_ms(shape.prices[0][0]) for shape in scenario.market.values())
        self._grid = minute_grid(first_ms - first_ms % HOUR_MS, self.end_ms)
        common = self._draws("common")
        self._implied = {name: self._line(shape.implied) for name, shape in scenario.market.items()}
        self._index = {name: self._index_path(name, shape, common) for name, shape in scenario.market.items()}
        self._venue_paths = {
            (venue, name, perpetual): self._venue_path(venue, name, perpetual)
            for venue in scenario.venues
            for name in scenario.market
            for perpetual in (False, True)
        }

    def price(self, market: str, t_ms: int) -> float:
        return self._index[market].at(t_ms)

    def quote(self, venue: str, market: str, *, perpetual: bool, t_ms: int) -> Quote | None:
        shape = self._scenario.venues.get(venue)
        path = self._venue_paths.get((venue, market, perpetual))
        if shape is None or path is None:
            return None
        stress = self.implied(market, t_ms) / BOOK_CALM_IV * (1 + 10 * abs(self._hour_return(market, t_ms)))
        return Quote(
            mid=path.at(t_ms),
            half_spread=shape.half_spread_bp * 1e-4 * max(stress, 0.5) ** 1.5,
            depth_usd=shape.depth_usd * self._scenario.market[market].depth_share / max(stress, 0.5) ** 2,
        )

    def bars(self, venue: str, market: str, *, perpetual: bool, since_ms: int, t_ms: int) -> Sequence[Bar] | None:
        path = self._venue_paths.get((venue, market, perpetual))
        return None if path is None else path.bars(since_ms, t_ms)

    def perpetual(self, venue: str, market: str, t_ms: int) -> Perpetual | None:
        path = self._venue_paths.get((venue, market, True))
        if path is None:
            return None
        shape = self._scenario.market[market]
        moved = self.price(market, t_ms) / shape.prices[0][1]
        funding = next(
            rate for when, rate in reversed(shape.funding) if _ms(when) <= t_ms or when == shape.funding[0][0]
        )
        return Perpetual(
            time_ms=t_ms,
            mark=path.at(t_ms),
            index=self.price(market, t_ms),
            funding_8h=funding,
            open_interest_usd=shape.open_interest_usd * self._share(venue) * min(moved, 2.0) ** 1.3,
        )

    def index(self, venue: str, market: str, t_ms: int) -> Stamped | None:
        return Stamped(t_ms, self.price(market, t_ms)) if venue in self._scenario.venues else None

    def vol_index(self, venue: str, market: str, t_ms: int) -> Stamped | None:
        return Stamped(t_ms, self.implied(market, t_ms)) if venue in self._scenario.venues else None

    def chain(self, venue: str, market: str, t_ms: int) -> Chain | None:
        if venue not in self._scenario.venues or market not in self._scenario.market:
            return None
        as_of_ms = t_ms - t_ms % CHAIN_EVERY_MS
        step = self._scenario.market[market].strike_step
        implied = self.implied(market, as_of_ms)
        return chain(market, self.price(market, as_of_ms), implied, as_of_ms, _shape(implied), step)

    def implied(self, market: str, t_ms: int) -> float:
        """30-day implied volatility: a straight line between its waypoints."""
        place = (t_ms - int(self._grid[0])) / MINUTE_MS
        i = min(max(int(place), 0), len(self._grid) - 2)
        before, after = self._implied[market][i : i + 2]
        return float(before + (after - before) * min(max(place - i, 0.0), 1.0))

    def _share(self, venue: str) -> float:
        """A venue's size beside the largest: what open interest is divided by."""
        venues = self._scenario.venues
        return venues[venue].depth_usd / max(shape.depth_usd for shape in venues.values())

    def _hour_return(self, market: str, t_ms: int) -> float:
        return float(np.log(self.price(market, t_ms) / self.price(market, t_ms - HOUR_MS)))

    def _draws(self, *names: str) -> Floats:
        """Standard normals on the grid that depend on the scenario's seed and these names only."""
        keys = [self._scenario.seed, *(zlib.crc32(name.encode()) for name in names)]
        return np.random.default_rng(keys).standard_normal(len(self._grid))

    def _line(self, waypoints: Sequence[Waypoint]) -> Floats:
        times = [_ms(when) for when, _ in waypoints]
        return np.asarray(np.interp(self._grid, times, [value for _, value in waypoints]))

    def _index_path(self, name: str, shape: MarketShape, common: Floats) -> MinutePath:
        weight = self._scenario.correlation
        draws = weight * common + np.sqrt(1 - weight**2) * self._draws("index", name)
        sigma = self._implied[name] * self._scenario.bridge_vol_share / np.sqrt(MINUTES_A_YEAR)
        prices = bridge(self._grid, [(_ms(when), price) for when, price in shape.prices], draws * sigma)
        volumes = np.zeros((len(prices) - 1) // 60)
        return MinutePath(int(self._grid[0]), prices, candles_of(prices, volumes))

    def _venue_path(self, venue: str, market: str, perpetual: bool) -> MinutePath:
        shape, kind = self._scenario.venues[venue], "perpetual" if perpetual else "spot"
        index = self._index[market].prices
        stress = self._implied[market] / BOOK_CALM_IV
        keep = 0.5 ** (1 / NOISE_HALF_LIFE_MINUTES)
        noise = _smoothed(self._draws(venue, market, kind), keep) * shape.noise_bp * 1e-4 * stress
        logs = np.log(index)
        hour_return = logs - np.concatenate((np.full(60, logs[0]), logs[:-60]))
        basis = np.clip(BASIS_BETA * hour_return, -MAX_BASIS, MAX_BASIS) if perpetual else 0.0
        prices = index * np.exp(shape.offset_bp * 1e-4 + noise + basis)
        hours = (len(prices) - 1) // 60
        moves = np.abs(hour_return[60::60][:hours])
        usd = shape.volume_usd_per_hour * self._scenario.market[market].depth_share * (1 + 80 * moves)
        return MinutePath(int(self._grid[0]), prices, candles_of(prices, usd / prices[::60][:hours]))


def _smoothed(draws: Floats, keep: float) -> Floats:
    """An AR(1) of unit variance from standard normals, at most four deviations wide: noise is bounded."""
    return np.asarray(np.clip(lfilter([np.sqrt(1 - keep**2)], [1.0, -keep], draws), -4.0, 4.0))


def _shape(implied: float) -> SurfaceShape:
    """The skew steepens as volatility rises: puts are bid in a fall."""
    stress = min(max(implied / 0.8 - 1, 0.0), 1.5)
    return SurfaceShape(rho=-0.12 - 0.15 * stress, eta=1.05 + 0.1 * stress, half_spread_vol=0.012 * (1 + stress))


def _ms(when: datetime) -> int:
    return int(when.astimezone(UTC).timestamp() * 1000)
