"""Contagion of a round: never below the formula, masked where nobody shows holdings, its paths in words."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.messages import HealthReading, MarketSnapshot
from margrave.score import addons
from margrave.score.contagion.graph import Evidence
from margrave.score.contagion.holdings import seen
from margrave.score.contagion.served import MOST_ADDON, Contagions, sentence
from tests.unit.score.sample import CALM, bars, market, scaled

EXACT = Contagions(None)
FACTOR = np.random.default_rng(5).standard_t(3, size=240) * 0.004


def path(beta: float, seed: int) -> MarketSnapshot:
    own = np.random.default_rng(seed).standard_t(3, size=240) * 0.003
    return market(("BTC", "ETH", "SOL")[seed], bars=bars(1_000 * np.exp(np.cumsum(beta * FACTOR + own))))


def health(name: str, protocol: str = "lender", scale: float = 1.0, near: float = 1.0) -> HealthReading:
    """Debts by health below 1.05, to 1.2, to 1.5 and above; `near` times as much of those near the end."""
    debt = np.array([1e7 * near, 1e8 * near, 3e8, 5e8]) * scale
    return HealthReading(
        source="chain:1", market=name, instrument=protocol, venue_time_ms=0, seen_time_ms=0, protocol=protocol,
        edges=(1.05, 1.2, 1.5), debt_usd=tuple(debt), collateral_usd=tuple(debt * [1.3, 1.4, 1.7, 2.5]), block=1,
    )  # fmt: skip


def three(**eth: object) -> list[MarketSnapshot]:
    return [path(1.0, 0), msgspec.structs.replace(path(1.2, 1), **eth), path(1.5, 2)]


LADDERS = {"BTC": CALM, "ETH": scaled(CALM, 1.3), "SOL": scaled(CALM, 2.0)}


def test_without_holdings_the_formula_speaks_and_says_what_is_missing() -> None:
    said, formula = EXACT.forecast(three(), LADDERS), addons.contagion(three(), LADDERS)
    for name, contagion in said.items():
        assert contagion.addon >= formula[name].addon
        assert contagion.masked == ("holdings",)
        assert not contagion.learned


@given(st.floats(0.0, 100.0), st.floats(1.0, 20.0), st.floats(0.5, 6.0))
@settings(max_examples=25, deadline=None)
def test_an_addon_is_never_below_the_formula_nor_beyond_its_lane(scale: float, near: float, tail: float) -> None:
    markets = three(health=(health("ETH", scale=scale, near=near),))
    ladders = {name: scaled(ladder, tail) for name, ladder in LADDERS.items()}
    formula = addons.contagion(markets, ladders)
    for name, contagion in EXACT.forecast(markets, ladders).items():
        assert contagion.addon >= formula[name].addon
        assert contagion.addon <= max(formula[name].addon, MOST_ADDON)


@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0))
@settings(max_examples=25, deadline=None)
def test_more_debt_on_thin_collateral_never_lowers_an_addon(a: float, b: float) -> None:
    few, many = sorted((a, b))
    low = EXACT.forecast(three(health=(health("ETH", near=few),)), LADDERS)
    high = EXACT.forecast(three(health=(health("ETH", near=many),)), LADDERS)
    # forced sales of one market reach the others through how they fall together
    for name in ("BTC", "SOL"):
        assert high[name].addon >= low[name].addon - 1e-9


def test_the_order_of_markets_changes_no_answer() -> None:
    markets = three(health=(health("ETH"),), peg=0.97)
    there, back = EXACT.forecast(markets, LADDERS), EXACT.forecast(markets[::-1], LADDERS)
    for name, contagion in there.items():
        assert back[name].addon == pytest.approx(contagion.addon, rel=1e-9)
        assert back[name].rank == pytest.approx(contagion.rank, rel=1e-9)


def test_ranks_are_parts_of_one_whole() -> None:
    said = EXACT.forecast(three(), LADDERS)
    assert sum(contagion.rank or 0.0 for contagion in said.values()) == pytest.approx(1.0)


def test_a_market_alone_is_charged_as_if_it_had_company_and_has_no_rank() -> None:
    said = EXACT.forecast([path(1.0, 0)], {"BTC": CALM})
    assert said["BTC"].addon == pytest.approx(addons.CONTAGION_SHARE * CALM.down_es99)
    assert said["BTC"].rank is None


def test_a_stablecoin_off_its_dollar_reaches_every_market() -> None:
    calm, broken = (EXACT.forecast(three(peg=peg), LADDERS) for peg in (1.0, 0.4))
    for name, contagion in broken.items():
        assert contagion.addon >= 0.06 > calm[name].addon
        assert any(p.source == "stablecoins" for p in contagion.paths)


def test_a_protocol_seen_for_the_first_time_is_drawn_like_any_other() -> None:
    graph = seen(three(health=(health("ETH"), health("ETH", "newcomer", 0.1))), LADDERS).graph
    assert {"newcomer", "lenders of newcomer"} <= set(graph.names)
    assert {edge.evidence for edge in graph.edges() if "newcomer" in (edge.src, edge.dst)} == {Evidence.BORROWED}


@pytest.mark.parametrize("debt", [-1e6, float("nan")])
def test_debts_that_are_none_leave_the_formula_and_are_masked(debt: float) -> None:
    bad = msgspec.structs.replace(health("ETH"), debt_usd=(debt, 0.0, 0.0, 0.0))
    said, formula = EXACT.forecast(three(health=(bad,)), LADDERS), addons.contagion(three(), LADDERS)
    for name, contagion in said.items():
        assert contagion.addon == formula[name].addon
        assert "holdings" in contagion.masked


def test_accounts_are_sold_out_in_the_falls_that_their_health_allows() -> None:
    graph = seen(three(health=(health("ETH"),)), LADDERS).graph
    bands = {
        name.rsplit("health ")[1]: tuple(band)
        for name, band in zip(graph.names, graph.band, strict=True)
        if "health" in name
    }
    assert bands["below 1.05"] == pytest.approx((0.0, 1 - 1 / 1.05))
    assert bands["1.2 to 1.5"] == pytest.approx((1 - 1 / 1.2, 1 - 1 / 1.5))
    assert bands["above 1.5"] == pytest.approx((1 - 1 / 1.5, 1.0))


def test_a_path_reads_as_a_sentence() -> None:
    paths = EXACT.forecast(three(health=(health("ETH"),)), LADDERS)["SOL"].paths
    assert paths
    assert sentence(paths[0], {paths[0].source: 0.044}).startswith(f"if {paths[0].source} falls by 4.4%, SOL loses ")
