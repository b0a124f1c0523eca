"""Cascade and contagion from models: believed within floors that venues alone set, replaced where they are silent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.messages import HealthReading, HurtPath, Ladder, MarketScores, MarketSnapshot
from margrave.score import addons, systemic
from margrave.score.cascade import Cascade
from margrave.score.contagion.message import Contagion, World
from margrave.score.scores import Scorer
from margrave.score.systemic import CEILING, FLOOR, MOST_IN_A_GRAPH, Systemic, held_cascade
from margrave.spans import DAY_S
from tests.unit.score.chains import AS_OF_MS
from tests.unit.score.sample import CALM, MARKETS, MODEL_SET, MPOR_S, POLICY, Forecaster, market, scaled, snapshot

SAID = Cascade(probability=0.2, probability_1h=0.05, size=0.1, buffer=0.1, learned=True)
PATH = HurtPath(source="ETH", target="BTC", loss=0.02)
CHARGED = Contagion(addon=0.009, rank=0.4, paths=(PATH,), learned=True)
NOTHING = Cascade(probability=0.0, probability_1h=0.0, size=0.0, buffer=1.0, learned=True)


class Saying:
    """A model of both kinds that says what it is told, a market."""

    def __init__(self, cascade: Cascade | None = None, contagion: Contagion | None = None) -> None:
        self.cascade, self.contagion = cascade, contagion

    def systemic(self) -> Systemic:
        return Systemic(Cascades(self.cascade), Contagions(self.contagion))


class Cascades:
    def __init__(self, said: Cascade | None) -> None:
        self.said = said

    def forecast(
        self,
        markets: Sequence[MarketSnapshot],
        ladders: Mapping[str, Ladder],
        mpor_s: int,
        formula: Mapping[str, Cascade],
    ) -> dict[str, Cascade]:
        return {} if self.said is None else dict.fromkeys(ladders, self.said)


class Contagions:
    def __init__(self, said: Contagion | None) -> None:
        self.said = said

    def forecasts(self, worlds: Sequence[World]) -> list[dict[str, Contagion]]:
        return [{} if self.said is None else dict.fromkeys(world.ladders, self.said) for world in worlds]


def held(said: Cascade | None, ladder: Ladder, of: MarketSnapshot) -> Cascade:
    formula = addons.cascades([of], {of.market: ladder}, MPOR_S)[of.market]
    return held_cascade(said, formula, ladder, MPOR_S)


def row(models: Systemic, **changes: object) -> MarketScores:
    scores, _ = Scorer(Forecaster(), MARKETS, POLICY, MODEL_SET, models).score(snapshot(market(**changes)))
    (only,) = scores.markets
    return only


def test_what_models_say_is_what_is_published_with_its_paths() -> None:
    said = row(Saying(SAID, CHARGED).systemic())
    assert (said.cascade_probability, said.cascade_probability_1h, said.cascade_size) == (0.2, 0.05, 0.1)
    assert (said.contagion, said.contagion_rank, said.contagion_paths) == (0.009, 0.4, (PATH,))
    assert said.fallbacks == ()


def test_formulas_that_speak_are_named_and_cost_confidence() -> None:
    learnt, formulas = row(Saying(SAID, CHARGED).systemic()), row(Systemic())
    assert formulas.fallbacks == ("cascade", "contagion")
    assert formulas.confidence == pytest.approx(learnt.confidence * 0.97**2)
    assert row(Saying(SAID).systemic()).fallbacks == ("contagion",)


@pytest.mark.parametrize(
    "broken",
    [
        msgspec.structs.replace(SAID, probability=math.nan),
        msgspec.structs.replace(SAID, probability_1h=-0.1),
        msgspec.structs.replace(SAID, size=math.inf),
    ],
    ids=["nan", "negative", "infinite"],
)
def test_a_model_that_says_no_number_is_replaced_by_the_formula(broken: Cascade) -> None:
    said = row(Saying(broken, Contagion(addon=math.nan, learned=True)).systemic())
    formula = row(Systemic())
    assert said.fallbacks == ("cascade", "contagion")
    assert said.words == formula.words


def test_a_lie_that_nobody_is_at_risk_cannot_lower_the_lanes_below_what_venues_show() -> None:
    """One lending feed shows a book without risk; the ladder, of venues' prices, stands against it."""
    healthy = HealthReading(
        source="aave:1",
        market="BTC",
        instrument="aave",
        venue_time_ms=AS_OF_MS,
        seen_time_ms=AS_OF_MS,
        protocol="aave",
        edges=(1.0, 3.0),
        debt_usd=(0.0, 0.0, 1e9),
        collateral_usd=(0.0, 0.0, 1e10),
        block=1,
    )
    crash = scaled(CALM, 4)
    lied = held(NOTHING, crash, market(health=(healthy,)))
    assert lied.probability == addons.either_side(0.15, crash, DAY_S, MPOR_S) > 0.05
    assert 0 < lied.probability_1h <= lied.probability
    assert lied.size == FLOOR * addons.cascade(crash, MPOR_S, 2.0, 1e10, 1e8).size
    nothing = row(Saying(NOTHING, Contagion(addon=0.0, learned=True)).systemic())
    assert nothing.contagion == pytest.approx(FLOOR * row(Systemic()).contagion)


def test_a_lie_that_everybody_is_at_the_edge_cannot_hold_margin_up_for_days() -> None:
    everything = row(Saying(SAID, Contagion(addon=0.5, learned=True)).systemic())
    assert everything.contagion == pytest.approx(CEILING * row(Systemic()).contagion)


def test_a_book_that_is_covered_without_limit_does_not_silence_the_formula_either() -> None:
    covered = held(None, CALM, market(collateral_ratio=1e6))
    assert covered.probability == addons.either_side(0.15, CALM, DAY_S, MPOR_S) > 1e-4
    assert not covered.learned


@given(
    st.builds(
        Cascade,
        probability=st.floats(0, 1),
        probability_1h=st.floats(0, 1),
        size=st.floats(0, 1),
        buffer=st.floats(0, 1),
        learned=st.booleans(),
    ),
    st.floats(0.1, 8),
    st.floats(0.1, 8),
)
def test_whatever_a_model_says_a_wider_ladder_never_lowers_it_and_the_hour_never_exceeds_the_day(
    said: Cascade, a: float, b: float
) -> None:
    calm, wild = (held(said, scaled(CALM, factor), market()) for factor in sorted((a, b)))
    assert 0 < calm.probability <= wild.probability <= 1
    assert calm.size <= wild.size <= 1
    assert all(one.probability_1h <= one.probability for one in (calm, wild))


def test_only_markets_with_a_ladder_are_asked_of() -> None:
    markets = [market("BTC"), market("ETH")]
    models = Saying(SAID, CHARGED).systemic()
    assert set(models.cascades(markets, {"BTC": CALM}, MPOR_S)) == {"BTC"}
    assert set(models.contagions(markets, {"BTC": CALM})) == {"BTC"}
    assert models.cascades([], {}, MPOR_S) == {}


def test_more_markets_than_a_graph_holds_are_left_to_the_formula() -> None:
    models = Saying(SAID, CHARGED).systemic()
    markets = [market(f"M{i}", quotes=()) for i in range(MOST_IN_A_GRAPH + 1)]
    ladders = dict.fromkeys((m.market for m in markets), CALM)
    assert not any(of.learned for of in models.contagions(markets, ladders).values())
    assert all(of.learned for of in models.contagions(markets[1:], dict(list(ladders.items())[1:])).values())


def test_the_regime_is_told_with_the_score_and_carried_on() -> None:
    scorer = Scorer(Forecaster(), MARKETS, POLICY, MODEL_SET)
    scores, carried = scorer.score(snapshot(market()))
    (told,) = scores.markets
    assert told.regime is carried["BTC"].regime.regime
    assert carried["BTC"].regime.at_ms == AS_OF_MS
    again, after = scorer.score(snapshot(market()), None, carried)
    assert again.markets[0].regime is told.regime
    assert after["BTC"].regime == carried["BTC"].regime, "the same round again teaches nothing"


def test_the_lanes_of_formulas_are_those_that_models_are_sought_for() -> None:
    assert (
        systemic.fallbacks(
            msgspec.structs.replace(SAID, learned=False), msgspec.structs.replace(CHARGED, learned=False)
        )
        == systemic.LEARNT_LANES
    )
