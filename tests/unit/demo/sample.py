"""A sample run: a generated path with a crash in the middle, fixed seed. It looks like a run; it is not one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from margrave.lab.demo.record import Breach, MarketRow, Position, Realised, RoundRow, Side, Summary
from margrave.lab.demo.static_margin import METHOD, PUBLISHED, requirement
from margrave.messages import Attributed, HurtPath, Reason
from margrave.spans import YEAR_S

START_MS = 1_770_206_400_000  # Wed 4 Feb 2026, 12:00 UTC
MEMBERS = ("anna", "bert", "carl", "dora")
OPENING_PRICE = {"BTC": 76_000.0, "ETH": 2_250.0}
STRIKE_STEP = {"BTC": 1_000.0, "ETH": 50.0}


@dataclass(frozen=True)
class Shape:
    """What the sample looks like; the edge cases of the tests are other shapes."""

    rounds: int = 60
    markets: tuple[str, ...] = ("BTC", "ETH")
    period_s: int = 1800
    mpor_s: int = 14_400
    seed: int = 7
    silent_rounds: tuple[int, ...] = (17, 41)
    """Rounds that nobody published."""
    first_round_with: tuple[tuple[str, int], ...] = ()
    """Markets that arrive on chain only at this round's index."""
    opening: tuple[tuple[str, Sequence[float]], ...] = ()
    """Given prices a market, in place of the generated path."""


def run(shape: Shape | None = None, **changes: Any) -> Summary:
    """The sample summary; `changes` replace fields of the default shape."""
    shape = replace(shape or Shape(), **changes)
    rng = np.random.default_rng(shape.seed)
    given = dict(shape.opening)
    paths = {m: np.asarray(given[m]) if m in given else _path(rng, shape, m) for m in shape.markets}
    histories = {m: _rows(rng, shape, m, path) for m, path in paths.items()}
    arrives = dict(shape.first_round_with)
    first = START_MS // 1000 // shape.period_s
    rounds = []
    for index in range(shape.rounds):
        silent = index in shape.silent_rounds
        signers = () if silent else tuple(m for k, m in enumerate(MEMBERS) if (index + k) % 9 or k == 0)
        rounds.append(
            RoundRow(
                round=first + index,
                time_ms=START_MS + index * shape.period_s * 1000,
                markets={m: histories[m][index] for m in shape.markets if index >= arrives.get(m, 0)},
                published=not silent,
                publisher=None if silent else MEMBERS[index % 4],
                signers=signers,
                transaction=None if silent else f"0x{index:064x}",
                block=None if silent else 100 + index,
                gas_used=None if silent else 161_000 + 37 * index + 2_300 * len(signers),
                seconds_to_chain=None if silent else round(1.2 + 0.4 * float(rng.random()), 2),
                refusals=int(rng.poisson(0.6)),
                notes=("no quorum: two members held (too few sources)",) if silent else (),
            )
        )
    return _summary(shape, tuple(rounds), paths)


def _path(rng: np.random.Generator, shape: Shape, market: str) -> np.ndarray:
    n, dt = shape.rounds, shape.period_s / YEAR_S
    stress = np.exp(-0.5 * ((np.arange(n) - 0.58 * n) / (0.10 * n + 1)) ** 2)
    sigma = (0.45 if market == "BTC" else 0.62) * (1 + 2.2 * stress)
    drift = -(0.15 if market == "BTC" else 0.22) * stress / stress.sum()
    shocks = rng.standard_t(4, n) / np.sqrt(2) * sigma * np.sqrt(dt)
    return OPENING_PRICE.get(market, 100.0) * np.exp(np.cumsum(drift + shocks))


def portfolio(shape: Shape) -> tuple[Position, ...]:
    expiry_ms = START_MS + 16 * 86_400_000
    legs = []
    for market in shape.markets:
        spot, step = OPENING_PRICE.get(market, 100.0), STRIKE_STEP.get(market, 5.0)
        size = 10 if market == "BTC" else 200
        legs += [
            Position(market=market, expiry_ms=expiry_ms, strike=round(k * spot / step) * step, is_call=c, quantity=q)
            for k, c, q in ((0.9, False, -size), (0.8, False, size), (1.1, True, -size / 2))
        ]
    return tuple(legs)


def _rows(rng: np.random.Generator, shape: Shape, market: str, path: np.ndarray) -> list[MarketRow]:
    horizon = np.sqrt(shape.mpor_s / YEAR_S)
    legs = [leg for leg in portfolio(shape) if leg.market == market]
    returns = np.diff(np.log(path), prepend=np.log(path[0]))
    variance, rows = (0.45**2), []
    for index, price in enumerate(path):
        variance = 0.75 * variance + 0.25 * (returns[index] ** 2 * YEAR_S / shape.period_s)
        sigma = max(0.4, float(np.sqrt(variance)))
        implied = 0.5 * sigma + 0.28
        down, up = (float(k * sigma * horizon) for k in (3.5, 3.1))
        score = float(min(10_000, 900 + 5_200 * max(0.0, sigma - 0.35)))
        now_ms = START_MS + index * shape.period_s * 1000
        dynamic = replace(PUBLISHED, spot_range=min(0.9, 1.35 * down + 0.03), vol_up=0.3, min_raised_vol=0.0)
        rows.append(
            MarketRow(
                price_usd=float(price),
                sigma_forecast=sigma,
                sigma_implied_30d=implied,
                down_es99=down,
                up_es99=up,
                down_q995=down * 0.96,
                up_q995=up * 0.96,
                score=score,
                confidence=0.9,
                reasons=_reasons(score, sigma),
                status="fresh",
                limited=index % 13 == 12,
                fallback=index == 30,
                requirement_usd=requirement(legs, float(price), implied, now_ms, grid=dynamic),
                static_requirement_usd=requirement(legs, float(price), implied, now_ms),
                member_scores={m: score + float(rng.normal(0, 45)) for m in MEMBERS},
                **_systemic(shape, market, sigma, down),
            )
        )
    return rows


def _systemic(shape: Shape, market: str, sigma: float, down: float) -> dict[str, Any]:
    """Of a market whose protocols were read, but for the first: its cascade is a formula's."""
    others = [other for other in shape.markets if other != market]
    hurt = [HurtPath(source=other, target=market, loss=0.1 * down) for other in others]
    hurt += [HurtPath(source=market, target=target, loss=0.02 * down) for target in ("aave", "lenders of aave")]
    return {
        "cascade_probability": min(1.0, 0.02 * sigma / 0.4),
        "cascade_probability_1h": min(1.0, 0.002 * sigma / 0.4),
        "cascade_size": 0.04 * sigma / 0.4,
        "contagion": 0.1 * down,
        "contagion_paths": (*hurt, HurtPath(source="stablecoins", target=market, loss=0.004)),
        "attribution": (
            Attributed(name="price_path", points=4_000 * max(sigma - 0.35, 0)),
            Attributed(name="option_chain", points=800 * max(sigma - 0.35, 0)),
            Attributed(name="book", points=-120.0),
            Attributed(name="other_markets", points=0.0),
        ),
        "regime": "crisis" if sigma > 1 else "stressed" if sigma > 0.7 else "elevated" if sigma > 0.5 else "normal",
        "fallbacks": ("cascade",) if market == shape.markets[0] else (),
        "masked": ("health",) if market == shape.markets[0] else (),
    }


def _reasons(score: float, sigma: float) -> tuple[Reason, ...]:
    parts = {
        "volatility": (0.55, f"expected volatility is {sigma:.0%} a year, {sigma / 0.45:.1f} times its monthly mean"),
        "tail": (0.22, "the lower tail is heavier than the upper one"),
        "leverage": (0.13, "open interest is high for the depth of the books"),
        "venues": (0.10, "three venues agree within 4 bp"),
    }
    return tuple(Reason(name=n, points=share * score, sentence=s) for n, (share, s) in parts.items())


def _outcomes(
    shape: Shape, rounds: tuple[RoundRow, ...], paths: dict[str, np.ndarray]
) -> tuple[tuple[Realised, ...], tuple[Breach, ...]]:
    steps, realised, breaches = shape.mpor_s // shape.period_s, [], []
    for index, row in enumerate(rounds):
        for market, state in row.markets.items():
            path = paths[market][index : index + steps + 1]
            if len(path) <= steps:
                realised.append(Realised(round=row.round, market=market, move=None, sigma=None))
                continue
            move = float(path[-1] / path[0] - 1)
            sigma = float(np.sqrt(np.mean(np.diff(np.log(path)) ** 2) * YEAR_S / shape.period_s))
            realised.append(Realised(round=row.round, market=market, move=move, sigma=sigma))
            side: Side = "down" if move < 0 else "up"
            limit = state.down_es99 if side == "down" else state.up_es99
            if abs(move) > limit:
                breaches.append(Breach(market=market, round=row.round, side=side, moved=abs(move), es99=limit))
    return tuple(realised), tuple(breaches)


def _summary(shape: Shape, rounds: tuple[RoundRow, ...], paths: dict[str, np.ndarray]) -> Summary:
    realised, breaches = _outcomes(shape, rounds, paths)
    return Summary(
        input="drill",
        title="Sample: a generated crash",
        source="tests/unit/demo/sample.py, a generator with a fixed seed",
        real="Nothing: this run exists to look at the page.",
        generated="Every price, forecast and requirement.",
        period_s=shape.period_s,
        mpor_s=shape.mpor_s,
        speed=600.0,
        markets=shape.markets,
        members=MEMBERS,
        quorum=3,
        chain_id=31337,
        oracle="0x5FbDB2315678afecb367f032d93F642f64180aa3",
        model_set="0x" + "4f" * 32,
        models=("tail_net/1", "gjr_garch_t/1"),
        portfolio=portfolio(shape),
        static_method=METHOD,
        rounds_attempted=len(rounds),
        rounds_published=sum(row.published for row in rounds),
        signers_by_round={str(row.round): list(row.signers) for row in rounds},
        gas_by_round={str(row.round): row.gas_used for row in rounds},
        requirement_by_round={
            str(row.round): sum(m.requirement_usd for m in row.markets.values()) for row in rounds if row.markets
        },
        breaches=breaches,
        realised=realised,
        versions={"margrave": "0.1.0", "python": "3.11.9", "onnxruntime": "1.31.1", "anvil": "1.7.1"},
        rounds=rounds,
    )


def with_fields(summary: Summary, **changes: Any) -> Summary:
    return msgspec.structs.replace(summary, **changes)
