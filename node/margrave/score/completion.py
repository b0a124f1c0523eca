"""The implied volatility of any option between and beyond the quoted ones, with what it is uncertain by.

The log of a volatility over the SSVI surface's is a random function of where the option lies: a sum of features
phi(x, ln T) of a small network, trained over many chains, times coefficients that are standard normal before and differ
from chain to chain. Seeing quotes turns their distribution into the posterior, exactly: Bayesian regression in features
that were learned for it (Harrison, Sharma and Pavone, "Meta-learning priors for efficient online Bayesian regression",
2018). Coefficients age: quotes of `age_days` ago see exp(-age / tau) of each, tau learned, so that the last chain fills
the holes of this one and a long gone one fills none. The graph `surface_prior/1` holds all of it.

What comes out need not be free of arbitrage; `score.arbitrage` makes it so, by the least change in volatility.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.messages import Surface
from margrave.score import arbitrage, surface
from margrave.score.registry import Model
from margrave.score.surface import IV_NOISE, Sample
from margrave.spans import YEAR_DAYS

Floats = NDArray[np.float64]

FAMILY: Final = "surface_prior"
MOVES: Final = surface.MAX_STANDARD_MOVES
"""Standard moves from the forward up to which quotes were seen in training; beyond, the edge stands in."""

CAUTIOUS: Final = 0.05
ALONE: Final = 0.10
"""Log ratio: a quote further from what its neighbours say, beyond half its spread, is doubted."""
DOUBT: Final = 20.0
"""By how many half spreads of its distance: the model trusts half a spread about four times over."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Quotes to learn a chain from, over one surface; shape (n,) each."""

    log_moneyness: Floats
    years: Floats
    """To expiry, from when the quote was seen."""
    vol: Floats
    half_spread: Floats
    """In volatility."""
    age_days: Floats
    """Zero for this chain's own."""

    def __len__(self) -> int:
        return len(self.vol)


@dataclass(frozen=True, slots=True)
class Filled:
    """Answers in the order of the questions, shape (m,)."""

    vol: Floats
    sd: Floats
    """In volatility, of what is not known about the option's mid."""


def seen(sample: Sample, age_days: float = 0.0) -> Seen:
    """A chain's usable quotes, all as old as said."""
    return Seen(
        sample.log_moneyness,
        sample.years,
        sample.vol,
        sample.error - IV_NOISE,
        np.full(len(sample.vol), age_days),
    )


def together(first: Seen, second: Seen) -> Seen:
    """This chain's quotes and those of an earlier one."""
    return Seen(
        np.concatenate((first.log_moneyness, second.log_moneyness)),
        np.concatenate((first.years, second.years)),
        np.concatenate((first.vol, second.vol)),
        np.concatenate((first.half_spread, second.half_spread)),
        np.concatenate((first.age_days, second.age_days)),
    )


def places(base: Surface, log_moneyness: Floats, years: Floats) -> Floats:
    """Shape (n, 2): standard moves from the forward by the surface's own at-the-money volatility, and ln of days."""
    total = surface.vols(base, np.zeros_like(log_moneyness), years) * np.sqrt(years)
    return np.column_stack([np.clip(log_moneyness / total, -MOVES, MOVES), np.log(years * YEAR_DAYS)])


def inputs(base: Surface, known: Seen, log_moneyness: Floats, years: Floats) -> dict[str, Floats]:
    """Of the graph: `seen` (n, 3), `log_ratio` (n,), `noise` (n,), `asked` (m, 2)."""
    return {
        "seen": np.column_stack([places(base, known.log_moneyness, known.years), known.age_days]),
        "log_ratio": np.log(known.vol / surface.vols(base, known.log_moneyness, known.years)),
        "noise": known.half_spread / known.vol,
        "asked": places(base, log_moneyness, years),
    }


def fill(model: Model, base: Surface, known: Seen, log_moneyness: Floats, years: Floats) -> Filled:
    """Volatilities at the asked points; arbitrage among them is possible still.

    Args:
        model: of the family `surface_prior`.
        base: the surface that ratios are taken to: the last one where `known` has an earlier chain, or this chain's.
    """
    given = inputs(base, known, log_moneyness, years)
    said = model.run({**given, "noise": doubted(model, given)})
    level = surface.vols(base, log_moneyness, years)
    vol = level * np.exp(said["mean"])
    return Filled(vol, vol * said["sd"])


def doubted(model: Model, given: dict[str, Floats]) -> Floats:
    """The noise of every quote, of those that no neighbour bears out as large as their distance; relative, shape (n,).

    The attack is one quote with a tight spread anywhere at all. Neighbours are asked with every quote held to be
    uncertain by `CAUTIOUS`, so that one alone does not bend the answer that it is judged by, and an expiry that stands
    out as a whole, with an event before it, is believed.
    """
    loose = {**given, "noise": given["noise"] + CAUTIOUS / model.card.parameters["noise_per_half_spread"]}
    away = np.abs(given["log_ratio"] - model.run({**loose, "asked": given["seen"][:, :2]})["mean"])
    return np.where(away > ALONE + given["noise"], given["noise"] + DOUBT * away, given["noise"])


def sound(filled: Filled, log_moneyness: Floats, years: Floats, among: arbitrage.Rules | None = None) -> Filled:
    """Without static arbitrage among its own points; a point that moved is uncertain by its move as well."""
    vol = arbitrage.repaired(log_moneyness, years, filled.vol, among)
    return Filled(vol, np.hypot(filled.sd, vol - filled.vol))
