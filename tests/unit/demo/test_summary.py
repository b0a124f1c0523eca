from __future__ import annotations

import math

import msgspec
import pytest

from margrave.lab.demo.record import MarketRow, RoundRow
from margrave.lab.demo.summary import breaches, outcomes
from margrave.spans import HOUR_MS

MPOR_S = 2 * 3600

MARKET = MarketRow(
    price_usd=100.0,
    sigma_forecast=0.5,
    sigma_implied_30d=0.5,
    down_es99=0.05,
    up_es99=0.04,
    down_q995=0.05,
    up_q995=0.04,
    score=1000,
    confidence=0.9,
    reasons=(),
    status="fresh",
    limited=False,
    fallback=False,
    requirement_usd=10.0,
    static_requirement_usd=12.0,
    member_scores={},
)


def rounds(*prices: float | None) -> list[RoundRow]:
    return [
        RoundRow(
            round=i,
            time_ms=i * HOUR_MS,
            markets={} if price is None else {"BTC": msgspec.structs.replace(MARKET, price_usd=price)},
            published=True,
            publisher="ada",
            signers=("ada",),
            transaction=None,
            block=None,
            gas_used=None,
            seconds_to_chain=None,
            refusals=0,
            notes=(),
        )
        for i, price in enumerate(prices)
    ]


def test_a_move_is_measured_over_the_whole_mpor() -> None:
    first = outcomes(rounds(100, 90, 110, 120), "BTC", MPOR_S)[0]
    assert first.move == pytest.approx(0.10)


def test_realised_volatility_is_annualised_from_the_rounds_between() -> None:
    first = outcomes(rounds(100, 90, 110), "BTC", MPOR_S)[0]
    variance = math.log(0.9) ** 2 + math.log(110 / 90) ** 2
    assert first.sigma == pytest.approx(math.sqrt(variance * 365 * 24 / 2))


def test_what_the_run_did_not_see_the_end_of_is_not_known() -> None:
    found = outcomes(rounds(100, 90, 110, 120), "BTC", MPOR_S)
    assert [f.move is None for f in found] == [False, False, True, True]


def test_a_round_without_the_market_hides_the_windows_it_lies_in() -> None:
    found = outcomes(rounds(100, None, 110, 120, 130), "BTC", MPOR_S)
    assert [f.move is None for f in found] == [True, True, False, True, True]


def test_a_breach_is_a_move_beyond_the_shortfall_that_was_on_chain_when_it_began() -> None:
    rows = rounds(100, 100, 94, 100, 98)
    found = breaches(rows, outcomes(rows, "BTC", MPOR_S))
    assert [(b.round, b.side) for b in found] == [(0, "down"), (2, "up")]
    assert found[0].moved == pytest.approx(-0.06)
    assert found[0].es99 == 0.05


def test_one_round_has_no_outcome() -> None:
    assert outcomes(rounds(100), "BTC", MPOR_S)[0].move is None
