"""Options a second of the Greeks, beside QuantLib and vollib on the same options in the same run, and how far apart.

A chain of random options, columns for us and one call each for the others, which price one option at a time: each is
asked for price, delta, gamma, vega and theta of Black's formula on the forward. Differences are in shares of the
forward. Where one of the two is not installed the result says so; `pip install QuantLib vollib` brings both. Seconds
are of the processor, the least of several runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.bench.measured import figure, quickest
from margrave.messages import Ladder, Surface
from margrave.score.greeks import Options, greeks, moves, plain

Floats = NDArray[np.float64]

OPTIONS: Final = 100_000
CHAIN: Final = 1_000
"""Of one underlying, as a venue lists them."""
BESIDE: Final = 5_000
"""Options asked of the others, one by one."""
RUNS: Final = 5
MOST_APART: Final = 1e-9
NAMES: Final = ("price", "delta", "gamma", "vega", "theta")
SURFACE: Final = Surface(
    total_vol_7d=0.066,
    total_vol_30d=0.141,
    total_vol_90d=0.251,
    rho=-0.25,
    wing=0.95,
    decay=0.42,
    rmse_vol=0.01,
    quotes_used=600,
)
LADDER: Final = Ladder(
    down_q975=0.017, down_q995=0.028, down_es99=0.031, down_q9995=0.045, down_es999=0.053,
    up_q975=0.016, up_q995=0.026, up_es99=0.029, up_q9995=0.042, up_es999=0.049,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    options: Options
    vol: Floats

    def first(self, count: int) -> Work:
        o = self.options
        return Work(Options(o.forward[:count], o.strike[:count], o.years[:count], o.is_call[:count]), self.vol[:count])


def run(say: Callable[[str], None]) -> dict[str, Any]:
    work = drawn(OPTIONS)
    chain, few = work.first(CHAIN), work.first(BESIDE)
    say(f"ours: {OPTIONS:,} options at once, and chains of {CHAIN:,}")
    told = moves(LADDER)
    ours = {
        "plain": _rate(OPTIONS, lambda: plain(work.options, work.vol)),
        "plain, chains": _rate(CHAIN, lambda: plain(chain.options, chain.vol)),
        "smile": _rate(OPTIONS, lambda: greeks(SURFACE, work.options)),
        "smile and ladder": _rate(OPTIONS, lambda: greeks(SURFACE, work.options, moves=told)),
    }
    mine = scaled(few, {name: getattr(plain(few.options, few.vol), name) for name in NAMES})
    rows: list[dict[str, Any]] = [figure(f"options a second, {name}", rate, "1/s") for name, rate in ours.items()]
    absent = []
    for name, beside in (("QuantLib", quantlib), ("vollib", vollib)):
        say(name)
        answer = beside(few)
        if answer is None:
            absent.append(name)
            continue
        rate = _rate(BESIDE, partial(beside, few))
        theirs = scaled(few, answer)
        apart = max(float(np.max(np.abs(mine[key] - theirs[key]))) for key in NAMES)
        rows.append(figure(f"options a second, {name}", rate, "1/s"))
        rows.append(figure(f"ours over {name}, plain", ours["plain"] / rate, "x"))
        rows.append(figure(f"furthest from {name}", apart, "of the forward", MOST_APART))
    if absent:
        say(f"not installed, not compared: {', '.join(absent)}")
    return {"options": OPTIONS, "beside": BESIDE, "not_installed": absent, "targets": rows}


def drawn(count: int, seed: int = 0) -> Work:
    """Within three and a half standard moves of the forward, from half a day to half a year, at 20 to 150 %."""
    random = np.random.default_rng(seed)
    forward = np.exp(random.uniform(np.log(1.0), np.log(100_000.0), count))
    years = np.exp(random.uniform(np.log(0.5), np.log(180.0), count)) / 365
    vol = random.uniform(0.2, 1.5, count)
    strike = forward * np.exp(random.uniform(-3.5, 3.5, count) * vol * np.sqrt(years))
    return Work(Options(forward, strike, years, random.random(count) < 0.5), vol)


def _one_by_one(work: Work) -> Iterator[tuple[float, float, float, bool, float]]:
    """(forward, strike, years, is it a call, volatility) of each option, as libraries of scalars want them."""
    o = work.options
    columns = (o.forward, o.strike, o.years, o.is_call, work.vol)
    return zip(*(column.tolist() for column in columns), strict=True)


def quantlib(work: Work) -> dict[str, Floats] | None:
    """By `BlackCalculator`; `None` where it is not installed."""
    try:
        ql: Any = importlib.import_module("QuantLib")
    except ModuleNotFoundError:
        return None
    found = np.empty((len(work.options), len(NAMES)))
    for row, (forward, strike, years, is_call, vol) in enumerate(_one_by_one(work)):
        side = ql.Option.Call if is_call else ql.Option.Put
        black = ql.BlackCalculator(ql.PlainVanillaPayoff(side, strike), forward, vol * years**0.5, 1.0)
        found[row] = (
            black.value(), black.deltaForward(), black.gammaForward(), black.vega(years), black.theta(forward, years),
        )  # fmt: skip
    return dict(zip(NAMES, found.T, strict=True))


def vollib(work: Work) -> dict[str, Floats] | None:
    """By `vollib.black`, vega back to a whole of volatility and theta to a year; `None` where it is not installed."""
    try:
        black: Any = importlib.import_module("vollib.black")
        of: Any = importlib.import_module("vollib.black.greeks.analytical")
    except ModuleNotFoundError:
        return None
    found = np.empty((len(work.options), len(NAMES)))
    for row, (forward, strike, years, is_call, vol) in enumerate(_one_by_one(work)):
        side = "c" if is_call else "p"
        option = (side, forward, strike, years, 0.0, vol)
        found[row] = (
            black.black(side, forward, strike, years, 0.0, vol), of.delta(*option), of.gamma(*option),
            of.vega(*option) * 100, of.theta(*option) * 365,
        )  # fmt: skip
    return dict(zip(NAMES, found.T, strict=True))


def scaled(work: Work, values: dict[str, Floats]) -> dict[str, Floats]:
    """As shares of the forward: price, vega and theta over it, gamma times it."""
    forward = work.options.forward
    units = {"price": 1 / forward, "delta": np.ones_like(forward), "gamma": forward}
    return {name: values[name] * units.get(name, 1 / forward) for name in NAMES}


def _rate(count: int, work: Callable[[], object]) -> float:
    return count / max(quickest(work, RUNS)[1], 1e-9)
