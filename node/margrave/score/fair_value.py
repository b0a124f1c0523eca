"""The fair value of any option of a chain, with what it is uncertain by.

The chain's own quotes, seen through `surface_prior`, say the volatility; among the option and everything that is listed
no static arbitrage is left; Black's formula makes the price. The interval holds the mid that a market would quote in
nine cases of ten, by the count of quotes that were kept back. Where the chain says little the interval is wide, where
the option lies beyond everything quoted the answer says so, and where there is no chain a published surface answers,
with its own error for an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.messages import OptionQuote, Surface
from margrave.score import arbitrage, black76, completion, surface
from margrave.score.registry import Model
from margrave.score.surface import Sample
from margrave.spans import DAY_MS, YEAR_DAYS
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]

SCALE: Final = "interval_scale"
"""The card's parameter: what a standard deviation is multiplied by for nine cases of ten."""
BEYOND: Final = 1.5
"""By how much an interval is widened for every standard move that an option lies beyond what is quoted."""
LEAST_VOL: Final = 0.01
NINE_OF_TEN: Final = 1.645
"""Standard deviations of a normal error."""
JUNK: Final = 0.5
"""Of the listed volatilities, the mean move that a repair needs before quotes are called inconsistent, in spreads."""


class Remark(StrEnum):
    """What a reader of a value should know."""

    BEYOND_STRIKES = "beyond_strikes"
    """Further out than anything quoted of the neighbouring expiries."""
    BEYOND_EXPIRIES = "beyond_expiries"
    """Shorter or longer than everything quoted."""
    ARBITRAGE_IN_QUOTES = "arbitrage_in_quotes"
    """The quotes contradict each other by more than their spreads."""
    SURFACE_ONLY = "surface_only"
    """No chain was seen: six numbers and their error say all."""


@dataclass(frozen=True, slots=True)
class Vols:
    """Annualised volatilities of the asked options and their interval; shape (m,)."""

    vol: Floats
    low: Floats
    high: Floats
    beyond_strikes: NDArray[np.bool_]
    beyond_expiries: NDArray[np.bool_]
    inconsistent: bool


@dataclass(frozen=True, slots=True)
class Option:
    expiry_ms: int
    strike: float
    is_call: bool


@dataclass(frozen=True, slots=True)
class FairValue:
    """Prices in units of the underlying's quote currency (USD), undiscounted; volatilities are annual fractions."""

    option: Option
    forward: float
    price: float
    price_low: float
    price_high: float
    vol: float
    vol_low: float
    vol_high: float
    remarks: tuple[Remark, ...]


def fair_values(
    model: Model, quotes: Sequence[OptionQuote], as_of_ms: int, options: Sequence[Option]
) -> tuple[FairValue, ...]:
    """Of each option, from a chain as of its own time.

    Args:
        model: of the family `surface_prior`.
        quotes: bid and ask as fractions of the forward, as the node's chain readings hold them.

    Raises:
        Rejected: the chain has too few usable quotes, or an option is none: expired, without a positive finite strike,
            or of more than `surface.MAX_DAYS`.
    """
    for option in options:
        _refuse(option, as_of_ms)
    sample = surface.usable(quotes, as_of_ms)
    years = np.array([(option.expiry_ms - as_of_ms) / DAY_MS / YEAR_DAYS for option in options])
    forward = _forwards(quotes, as_of_ms, years)
    k = np.log(np.array([option.strike for option in options]) / forward)
    said = from_sample(model, sample, k, years)
    return _priced(
        options, forward, k, years, (said.vol, said.low, said.high), [_remarks(said, i) for i in range(len(k))]
    )


def of_surface(published: Surface, index_usd: float, as_of_ms: int, options: Sequence[Option]) -> tuple[FairValue, ...]:
    """Of each option, from a surface alone: forwards by its basis, intervals by its own error.

    Raises:
        Rejected: an option is none, as `fair_values` says.
    """
    for option in options:
        _refuse(option, as_of_ms)
    years = np.array([(option.expiry_ms - as_of_ms) / DAY_MS / YEAR_DAYS for option in options])
    forward = index_usd * (1 + published.basis * years)
    k = np.log(np.array([option.strike for option in options]) / forward)
    vol = surface.vols(published, k, years)
    wide = NINE_OF_TEN * published.rmse_vol
    told = (vol, np.maximum(vol - wide, LEAST_VOL), vol + wide)
    return _priced(options, forward, k, years, told, [(Remark.SURFACE_ONLY,)] * len(options))


def from_sample(model: Model, sample: Sample, log_moneyness: Floats, years: Floats) -> Vols:
    """The volatilities alone, in units of the forward.

    Raises:
        Rejected: the model has no finite answer.
    """
    base = surface.fitted(sample)
    listed = len(sample.vol)
    k = np.concatenate((sample.log_moneyness, log_moneyness))
    t = np.concatenate((sample.years, years))
    filled = completion.fill(model, base, completion.seen(sample), k, t)
    if not (np.isfinite(filled.vol).all() and np.isfinite(filled.sd).all()):
        raise Rejected(Rejection.NOT_FINITE, "the prior has no finite answer to this chain")
    sound = completion.sound(filled, k, t)
    strikes, expiries = _beyond(base, sample, log_moneyness, years)
    wide = sound.sd[listed:] * model.card.parameters[SCALE] * (1 + BEYOND * strikes + BEYOND * expiries)
    vol = sound.vol[listed:]
    repaired = arbitrage.repaired(sample.log_moneyness, sample.years, sample.vol)
    moved = np.abs(repaired - sample.vol) / (sample.error - surface.IV_NOISE / 2)
    return Vols(
        vol,
        np.maximum(vol - wide, LEAST_VOL),
        vol + wide,
        strikes > 0,
        expiries > 0,
        bool(moved.mean() > JUNK),
    )


def _priced(
    options: Sequence[Option],
    forward: Floats,
    log_moneyness: Floats,
    years: Floats,
    vols: tuple[Floats, Floats, Floats],
    remarks: Sequence[tuple[Remark, ...]],
) -> tuple[FairValue, ...]:
    """The answers, from volatilities (value, low, high)."""
    is_call = np.array([option.is_call for option in options])
    price, price_low, price_high = (
        forward * black76.price(log_moneyness, vol * np.sqrt(years), is_call) for vol in vols
    )
    vol, vol_low, vol_high = vols
    return tuple(
        FairValue(
            option=option,
            forward=float(forward[i]),
            price=float(price[i]),
            price_low=float(price_low[i]),
            price_high=float(price_high[i]),
            vol=float(vol[i]),
            vol_low=float(vol_low[i]),
            vol_high=float(vol_high[i]),
            remarks=remarks[i],
        )
        for i, option in enumerate(options)
    )


def _refuse(option: Option, as_of_ms: int) -> None:
    days = (option.expiry_ms - as_of_ms) / DAY_MS
    if not (np.isfinite(option.strike) and option.strike > 0):
        raise Rejected(Rejection.NOT_POSITIVE, f"a strike of {option.strike} is none", advice="give one in USD")
    if days <= 0:
        raise Rejected(
            Rejection.STALE,
            f"the option expired {-days:.1f} days before the chain was quoted",
            advice="give one that is still alive, or an earlier chain",
        )
    if days > surface.MAX_DAYS:
        raise Rejected(
            Rejection.OUT_OF_RANGE,
            f"{days:.0f} days are more than the {surface.MAX_DAYS:.0f} that are calibrated",
            advice="give a shorter one",
        )


def _forwards(quotes: Sequence[OptionQuote], as_of_ms: int, years: Floats) -> Floats:
    """Of each time to expiry: the listed expiry's median, or log-linear between and level beyond."""
    known: dict[int, list[float]] = {}
    for quote in quotes:
        if quote.expiry_ms > as_of_ms and np.isfinite(quote.forward) and quote.forward > 0:
            known.setdefault(quote.expiry_ms, []).append(quote.forward)
    expiries = np.array(sorted(known), dtype=np.float64)
    medians = np.array([float(np.median(known[int(e)])) for e in expiries])
    return np.asarray(np.exp(np.interp(years, (expiries - as_of_ms) / DAY_MS / YEAR_DAYS, np.log(medians))))


def _beyond(base: Surface, sample: Sample, log_moneyness: Floats, years: Floats) -> tuple[Floats, Floats]:
    """(standard moves beyond the outermost quoted strikes of the expiries on both sides, e-folds of time beyond the
    first or last quoted expiry), at least zero each."""
    seen = completion.places(base, sample.log_moneyness, sample.years)[:, 0]
    total = surface.vols(base, np.zeros_like(years), years) * np.sqrt(years)
    asked = log_moneyness / total
    known = np.unique(sample.years)
    strikes = np.zeros(len(years))
    for i, t in enumerate(years):
        right = min(int(np.searchsorted(known, t - 1e-9)), len(known) - 1)
        left = right if abs(known[right] - t) < 1e-9 else max(right - 1, 0)
        beside = seen[(sample.years == known[left]) | (sample.years == known[right])]
        strikes[i] = max(asked[i] - beside.max(), beside.min() - asked[i], 0.0)
    expiries = np.maximum(np.maximum(np.log(known[0] / years), np.log(years / known[-1])), 0.0)
    return strikes, np.where(expiries < 1e-9, 0.0, expiries)


def _remarks(said: Vols, place: int) -> tuple[Remark, ...]:
    told = (
        (Remark.BEYOND_STRIKES, said.beyond_strikes[place]),
        (Remark.BEYOND_EXPIRIES, said.beyond_expiries[place]),
        (Remark.ARBITRAGE_IN_QUOTES, said.inconsistent),
    )
    return tuple(remark for remark, holds in told if holds)
