"""Chains of a made world in which volatility at a fixed strike falls by a known amount as the forward rises."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from margrave.messages import OptionQuote, Surface
from margrave.score import black76, surface
from margrave.spans import DAY_MS, HOUR_MS
from tests.unit.lab.court.surface.made import put
from tests.unit.score.chains import AS_OF_MS, TRUE

EVERY_H = 6
DAYS = (2.4, 5.4, 12.4, 40.4, 75.4)
LEANING = msgspec.structs.replace(TRUE, rho=-0.45)


def lay(
    folder: Path, *, steps: int, leverage: float, asset: str = "AAA", seed: int = 0, truth: Surface = LEANING
) -> Path:
    """`steps` chains six hours apart. Options keep strike and expiry and are listed anew once they near their end.

    Args:
        leverage: what every volatility does as the forward rises, per unit of its logarithm, times the root of a month
            over the option's life.
    """
    random = np.random.default_rng(seed)
    log_price = np.cumsum(random.normal(0, 0.012, steps))
    strikes = 70_000 * np.exp(np.linspace(-0.35, 0.35, 29))
    chains = []
    for step in range(steps):
        time_ms = AS_OF_MS + step * EVERY_H * HOUR_MS
        forward = 70_000 * float(np.exp(log_price[step]))
        quotes: list[OptionQuote] = []
        for days in DAYS:
            life_ms = round(days * DAY_MS)
            expiry_ms = AS_OF_MS + ((time_ms - AS_OF_MS + DAY_MS) // life_ms + 1) * life_ms
            years = (expiry_ms - time_ms) / DAY_MS / 365
            k = np.log(strikes / forward)
            # strikes' volatilities of the first chain, moved by the forward's whole way since
            vol = surface.vols(truth, np.log(strikes / 70_000), np.full(len(k), years))
            vol = np.maximum(vol + leverage * np.sqrt(30 / 365 / years) * log_price[step], 0.05)
            for is_call in (True, False):
                side = np.full(len(k), is_call)
                price = black76.price(k, vol * np.sqrt(years), side)
                quotes += [
                    OptionQuote(
                        expiry_ms, float(strikes[i]), is_call, forward, float(price[i] * 0.99), float(price[i] * 1.01),
                        float(vol[i]), 1.0,
                    )
                    for i in range(len(k))
                ]  # fmt: skip
        chains.append((time_ms, quotes))
    return put(folder, chains, asset=asset)
