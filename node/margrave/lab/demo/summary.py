"""From the rounds that were seen to the record that is kept: realised moves, breaches, counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from margrave.chain.deploy import Deployment
from margrave.lab.demo import static_margin
from margrave.lab.demo.inputs import Input
from margrave.lab.demo.record import Breach, Position, Realised, RoundRow, Summary
from margrave.settings import Policy
from margrave.spans import YEAR_S


def summarise(
    rows: Sequence[RoundRow],
    *,
    source: Input,
    policy: Policy,
    markets: tuple[str, ...],
    members: tuple[str, ...],
    quorum: int,
    chain_id: int,
    deployment: Deployment,
    model_set: bytes,
    portfolio: tuple[Position, ...],
    versions: Mapping[str, str],
) -> Summary:
    mpor_s = policy.round.mpor_s
    realised = [x for market in markets for x in outcomes(rows, market, mpor_s)]
    return Summary(
        input=source.kind,
        title=source.title,
        source=source.source,
        real=source.real,
        generated=source.generated,
        period_s=source.period_s,
        mpor_s=mpor_s,
        speed=source.speed,
        markets=markets,
        members=members,
        quorum=quorum,
        chain_id=chain_id,
        oracle=deployment.oracle,
        model_set="0x" + model_set.hex(),
        models=policy.models.names,
        portfolio=portfolio,
        static_method=static_margin.METHOD,
        rounds_attempted=len(rows),
        rounds_published=sum(row.published for row in rows),
        signers_by_round={str(row.round): list(row.signers) for row in rows},
        gas_by_round={str(row.round): row.gas_used for row in rows},
        requirement_by_round={
            str(row.round): math.fsum(market.requirement_usd for market in row.markets.values()) for row in rows
        },
        breaches=breaches(rows, realised),
        realised=tuple(realised),
        versions=dict(versions),
        rounds=tuple(rows),
    )


def outcomes(rows: Sequence[RoundRow], market: str, mpor_s: int) -> list[Realised]:
    """What the index did over the MPOR after each round, from the prices that were on chain.

    A move is known only where a round lies within half a period of the MPOR's end; volatility is the root of the summed
    squared log returns between rounds, annualised.
    """
    times = [row.time_ms for row in rows]
    prices = [row.markets[market].price_usd if market in row.markets else math.nan for row in rows]
    half_ms = min((b - a for a, b in pairwise(times)), default=0) / 2
    found = []
    for i, row in enumerate(rows):
        ends_ms = row.time_ms + mpor_s * 1000
        last = min(range(len(rows)), key=lambda j: abs(times[j] - ends_ms))
        path = prices[i : last + 1]
        known = last > i and abs(times[last] - ends_ms) <= half_ms and not any(map(math.isnan, path))
        found.append(
            Realised(
                round=row.round,
                market=market,
                move=path[-1] / path[0] - 1 if known else None,
                sigma=_sigma(path, (times[last] - times[i]) / 1000) if known else None,
            )
        )
    return found


def breaches(rows: Sequence[RoundRow], realised: Sequence[Realised]) -> tuple[Breach, ...]:
    """Moves beyond the expected shortfall that was on chain when the MPOR began."""
    by_round = {row.round: row for row in rows}
    found = []
    for outcome in realised:
        if outcome.move is None:
            continue
        market = by_round[outcome.round].markets[outcome.market]
        down = outcome.move < 0
        limit = market.down_es99 if down else market.up_es99
        if abs(outcome.move) > limit:
            found.append(
                Breach(
                    market=outcome.market,
                    round=outcome.round,
                    side="down" if down else "up",
                    moved=outcome.move,
                    es99=limit,
                )
            )
    return tuple(found)


def _sigma(path: Sequence[float], seconds: float) -> float:
    total = math.fsum(math.log(b / a) ** 2 for a, b in pairwise(path))
    return math.sqrt(total * YEAR_S / seconds)
