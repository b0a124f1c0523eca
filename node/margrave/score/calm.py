"""The calm reference, version 1: a market on a quiet day of nobody's in particular, that scores are explained against.

Everything in it is a constant or follows from the hour, so that whoever has this file has the reference. Its path and
index are as quiet as the calmest tenth of BTC's hours from October 2020 to the end of 2022 (four weeks' realised
volatility 50 %, DVOL 62 %), its funding is the median of those years; its book, its open interest and its accounts are
round numbers of a healthy market, and a judgement. A figure that changes here makes another version.

The path has no news in it: every day has the same hours, whose sizes are the quantiles of a lognormal (as hours of one
day differ), spread so that a few hours have as much of them as many, times what is usual for the hour of the week; up
and down follow the sequence of Thue and Morse, which leaves no trend in any stretch. It ends at the newest closed hour,
at the market's own price, with seventeen weeks behind it: nothing that a model asks for is missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from margrave.messages import Bar, HealthReading, MarketSnapshot, Surface
from margrave.score.carried import Beside, Carried, fresh
from margrave.score.coalitions import Facts
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.features.clock import new_york_hour_of_week
from margrave.score.features.hours import Hour
from margrave.score.features.running import Running, read
from margrave.score.features.tails import SERIES
from margrave.spans import DAY_H, HOUR_MS, WEEK_H, YEAR_DAYS, YEAR_H

Floats = NDArray[np.float64]

NAME: Final = "calm/1"
HEALTH_EDGES: Final = (1.0, 1.05, 1.1, 1.25, 1.5, 2.0)
HEALTH_SHARES: Final = (0.0, 0.002, 0.004, 0.024, 0.12, 0.25, 0.60)
"""Of a lending protocol's debt, by health factor between the edges."""
HEALTH_CONCENTRATION: Final = 0.05
DEBT_OVER_DEPTH: Final = 2.0
SPREAD_OF_HOURS: Final = 0.8
"""Standard deviation of the log of an hour's variance within its day."""
BODY: Final = 0.7
"""Of an hour's variance, what its close shows."""
WEEKS: Final = 17


@dataclass(frozen=True, slots=True)
class Quiet:
    """The figures of a quiet market; the study of explanations draws others."""

    realised_vol: float = 0.50
    implied_vol: float = 0.60
    """At all tenors of the surface too."""
    funding_8h: float = 1e-4
    half_spread: float = 1e-4
    depth_over_size: float = 20.0
    """Within 1 %, times the market's reference size."""
    open_interest_over_depth: float = 50.0
    collateral_ratio: float = 3.0
    turned_h: int = 0
    """By how many hours the sizes of a day's hours are turned."""

    @property
    def surface(self) -> Surface:
        total = {f"total_vol_{days}d": self.implied_vol * math.sqrt(days / YEAR_DAYS) for days in (7, 30, 90)}
        return Surface(**total, rho=-0.1, wing=1.0, decay=0.35, rmse_vol=0.0, quotes_used=1)


CALM: Final = Quiet()


def facts(
    like: MarketSnapshot, reference_size_usd: float, prior: Floats, model_set: bytes, quiet: Quiet = CALM
) -> Facts:
    """The reference of a market: at its hour, its price and its usual volume, of which nothing in a score depends.

    Args:
        like: with closed bars.
        prior: (168,) the hour-of-week table of the models' cards.
    """
    newest_ms, price = like.bars[-1].open_time_ms, like.price
    traded = [bar.volume for bar in like.bars if bar.volume > 0]
    volume = math.exp(math.fsum(map(math.log, traded)) / len(traded)) if traded else 1.0
    return Facts(
        _market(like.market, reference_size_usd, newest_ms, price, volume, prior, quiet),
        _carried(like.market, newest_ms, price, volume, prior, model_set, quiet),
        quiet.surface,
    )


def _market(
    name: str, reference_size_usd: float, newest_ms: int, price: float, volume: float, prior: Floats, quiet: Quiet
) -> MarketSnapshot:
    """What a guard would vouch for."""
    depth_usd = quiet.depth_over_size * reference_size_usd
    bars = tuple(_at(bar, price, volume) for bar in _bars(newest_ms, prior.tobytes(), quiet)[-LEVEL_H - 49 :])
    return MarketSnapshot(
        market=name,
        price=bars[-1].close,
        sources=(),
        half_spread=quiet.half_spread,
        depth_usd=depth_usd,
        perp_basis=0.0,
        funding_8h=quiet.funding_8h,
        open_interest_usd=quiet.open_interest_over_depth * depth_usd,
        vol_index=quiet.implied_vol,
        collateral_ratio=quiet.collateral_ratio,
        bars=bars,
        quotes=(),
        chain_age_s=0.0,
        health=(_health(name, newest_ms + HOUR_MS, DEBT_OVER_DEPTH * depth_usd),),
        health_at_risk=HEALTH_SHARES[0] + HEALTH_SHARES[1],
    )


def _carried(
    name: str, newest_ms: int, price: float, volume: float, prior: Floats, model_set: bytes, quiet: Quiet
) -> Carried:
    """What a node would know of it: every hour, and no forecast that was ever wrong."""
    running = _running(newest_ms, prior.tobytes(), quiet)
    logs = np.array([math.log(volume) if series == "volume" else 0.0 for series, _ in SERIES])
    return msgspec.structs.replace(
        fresh(model_set),
        running=msgspec.structs.replace(
            running,
            market=name,
            close=running.close * price,
            volumes=(read(running.volumes) * volume).tobytes(),
            sums=(read(running.sums) + logs * read(running.weights)).tobytes(),
        ),
        beside=Beside(newest_ms, quiet.implied_vol, quiet.funding_8h),
        judged_ms=newest_ms + HOUR_MS,
    )


def _health(name: str, at_ms: int, debt_usd: float) -> HealthReading:
    shares = np.array(HEALTH_SHARES)
    middles = np.array([*HEALTH_EDGES, 2 * HEALTH_EDGES[-1]])
    debt = shares / shares.sum() * debt_usd
    return HealthReading(
        source=NAME,
        market=name,
        instrument=name,
        venue_time_ms=at_ms,
        seen_time_ms=at_ms,
        protocol=NAME,
        edges=HEALTH_EDGES,
        debt_usd=tuple(float(each) for each in debt),
        collateral_usd=tuple(float(each) for each in debt * middles),
        block=0,
        concentration=HEALTH_CONCENTRATION,
    )


@lru_cache(maxsize=8)
def _bars(newest_ms: int, prior: bytes, quiet: Quiet) -> tuple[Bar, ...]:
    """Seventeen weeks, ascending; the last close is one dollar."""
    back = np.arange(WEEKS * WEEK_H)[::-1]
    times = newest_ms - back * HOUR_MS
    usual = np.frombuffer(prior)[new_york_hour_of_week(times.astype(np.int64))]
    variance = quiet.realised_vol**2 / YEAR_H * usual * _sizes()[(back + quiet.turned_h) % DAY_H]
    signs = np.array([-1.0 if int(place).bit_count() % 2 else 1.0 for place in back])
    moves = signs * np.sqrt(BODY * variance)
    reach = np.sqrt(2 * (variance + (2 * math.log(2) - 1) * moves**2))
    beyond = (reach - np.abs(moves)) / 2
    ends = np.cumsum(moves)
    closes = np.exp(ends - ends[-1])
    opens = closes * np.exp(-moves)
    opens[1:] = closes[:-1]
    highs, lows = np.maximum(opens, closes) * np.exp(beyond), np.minimum(opens, closes) * np.exp(-beyond)
    rows: Sequence[tuple[float, ...]] = list(zip(opens, highs, lows, closes, np.sqrt(usual), strict=True))
    return tuple(Bar(int(at), *map(float, row)) for at, row in zip(times, rows, strict=True))


def _sizes() -> Floats:
    """(24,) variances of a day's hours over their mean, counted back from the newest, which is an ordinary one."""
    ranks = np.argsort(np.argsort([int(f"{place:05b}"[::-1], 2) for place in range(DAY_H)]))
    found: Floats = np.exp(SPREAD_OF_HOURS * ndtri((ranks + 0.5) / DAY_H))
    found /= found.mean()
    return np.roll(found, -int(np.argmin(np.abs(found - 1))))


@lru_cache(maxsize=8)
def _running(newest_ms: int, prior: bytes, quiet: Quiet) -> Running:
    """An hour behind the newest closed one, as nodes keep it."""
    told = {"vol_index": quiet.implied_vol, "funding_8h": quiet.funding_8h}
    hours = [Hour(bar=bar, **told) for bar in _bars(newest_ms, prior, quiet)[:-1]]
    return Running.start(NAME, hours, np.frombuffer(prior))


def _at(bar: Bar, price: float, volume: float) -> Bar:
    opened, high, low, close = (each * price for each in (bar.open, bar.high, bar.low, bar.close))
    return Bar(bar.open_time_ms, opened, high, low, close, bar.volume * volume)
