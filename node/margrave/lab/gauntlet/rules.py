"""What each rule would have published: the two that most oracles use, and the guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.guard.snapshot import Memory, take
from margrave.lab.gauntlet.feeds import Feeds
from margrave.lab.gauntlet.tape import STEPS, Floats
from margrave.messages import MarketSnapshot
from margrave.settings import GuardPolicy, Instruments, MarketSettings

HALF_LIFE_H: Final = 24.0
MPOR_H: Final = 4.0
NORMAL_ES99: Final = 2.665
LOOK_BACK_H: Final = 120
FIGURES: Final = ("vol_index", "depth_usd", "collateral_ratio", "open_interest_usd")


@dataclass(frozen=True, slots=True)
class Published:
    """What stood published after each of T bars. A held round leaves what stood before, and is flagged."""

    price: Floats
    es99: Floats
    flagged: NDArray[np.bool_]
    held: NDArray[np.bool_]
    refused: NDArray[np.int64]
    """Venues left out of the price."""
    figures: dict[str, Floats]
    """Other fields of a snapshot; NaN where masked."""


def es99(log_closes: Floats, log_ranges: Floats, price: float) -> float:
    """Expected shortfall at 99 % over four hours, of a moving variance of hourly history with the running move.

    An hour's variance is the larger of its squared return and Parkinson's range variance; half-life one day. A proxy
    for whatever model reads the guard's history: it forgets nothing and smooths little.
    """
    running = (np.log(price) - log_closes[-1]) ** 2
    variance = np.append(np.maximum(np.diff(log_closes) ** 2, log_ranges[1:] ** 2 / (4 * np.log(2))), running)
    weights = 0.5 ** (np.arange(len(variance))[::-1] / HALF_LIFE_H)
    sigma = np.sqrt((weights * variance).sum() / weights.sum())
    return float(-np.expm1(-NORMAL_ES99 * sigma * np.sqrt(MPOR_H)))


def volume_mean(feeds: Feeds) -> Published:
    weights = np.where(feeds.heard, feeds.volumes_usd.mean(axis=0), 0.0)
    return _of_path((feeds.prices * weights).sum(axis=1) / weights.sum(axis=1), feeds)


def median(feeds: Feeds) -> Published:
    return _of_path(np.nanmedian(np.where(feeds.heard, feeds.prices, np.nan), axis=1), feeds)


def _of_path(path: Floats, feeds: Feeds) -> Published:
    """A rule without history of its own makes its hours out of what it published."""
    before = np.array([[b.high, b.low, b.close] for b in next(iter(feeds.history.values()))[-LOOK_BACK_H:]])
    closes, ranges = np.log(before[:, 2]), np.log(before[:, 0] / before[:, 1])
    found = np.empty(len(path))
    for t, price in enumerate(path):
        if t and t % STEPS == 0:
            hour = np.append(path[t - STEPS - 1] if t > STEPS else np.exp(closes[-1]), path[t - STEPS : t])
            closes = np.append(closes, np.log(hour[-1]))
            ranges = np.append(ranges, np.log(hour.max() / hour.min()))
        found[t] = es99(closes[-LOOK_BACK_H:], ranges[-LOOK_BACK_H:], price)
    nothing = np.zeros(len(path), dtype=np.bool_)
    return Published(path, found, nothing, nothing, np.zeros(len(path), dtype=np.int64), {})


def guard(feeds: Feeds, policy: GuardPolicy) -> Published:
    """Rounds one after the other with the guard's own memory."""
    markets = {
        feeds.coin: MarketSettings(
            id=0, reference_size_usd=1e6, instruments={who: Instruments(spot=feeds.coin) for who in feeds.sources}
        )
    }
    memory, bars = Memory(), len(feeds.ends_ms)
    price, shock = np.full(bars, np.nan), np.full(bars, np.nan)
    flagged, held = np.zeros(bars, dtype=np.bool_), np.zeros(bars, dtype=np.bool_)
    refused = np.zeros(bars, dtype=np.int64)
    figures = {name: np.full(bars, np.nan) for name in FIGURES}
    for t, (now_ms, readings) in enumerate(feeds.rounds()):
        snapshot, memory = take(t, now_ms, readings, markets, policy, memory)
        refused[t] = sum(r.what == "price" for r in snapshot.refusals)
        if not snapshot.markets:
            held[t] = flagged[t] = True
            if t:
                price[t], shock[t] = price[t - 1], shock[t - 1]
            continue
        (market,) = snapshot.markets
        price[t], shock[t], flagged[t] = market.price, _shock(market), bool(market.doubts)
        for name, values in figures.items():
            said = getattr(market, name)
            values[t] = np.nan if said is None else said
    return Published(price, shock, flagged, held, refused, figures)


def _shock(market: MarketSnapshot) -> float:
    hours = np.array([(b.high, b.low, b.close) for b in market.bars[-LOOK_BACK_H:]])
    return es99(np.log(hours[:, 2]), np.log(hours[:, 0] / hours[:, 1]), market.price)
