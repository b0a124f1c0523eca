"""The learned cascade model, as the registry has it and as a node asks it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Rejected
from margrave.messages import HealthReading, Ladder, MarketSnapshot
from margrave.score import addons
from margrave.score.cascade import inputs
from margrave.score.cascade.inputs import EDGES, HORIZONS_H
from margrave.score.cascade.message import Cascade
from margrave.score.cascade.served import Cascades
from margrave.score.registry import Model, open_model
from margrave.settings import REGISTRY
from tests.unit.score.sample import CALM, MPOR_S, market, scaled

Row = dict[str, list[float]]


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(REGISTRY, "cascade/1")


def reading(*debt_usd: float, edges: tuple[float, ...] = (1.0, 1.05, 1.2, 1.5), **changes: object) -> HealthReading:
    full = HealthReading(
        source="chain:1",
        market="BTC",
        instrument="WBTC",
        venue_time_ms=0,
        seen_time_ms=0,
        protocol="aave_v3",
        edges=edges,
        debt_usd=debt_usd,
        collateral_usd=tuple(2 * debt for debt in debt_usd),
        block=1,
        concentration=0.05,
    )
    return msgspec.structs.replace(full, **changes)


HEALTHY = reading(0.0, 1e5, 4e5, 2e6, 5e8)
STRETCHED = reading(0.0, 2e7, 6e7, 1e8, 3.2e8)


def lent(*health: HealthReading, **changes: object) -> MarketSnapshot:
    return market(**{"health": health, "collateral_ratio": 20.0, "depth_usd": 5e7} | changes)


def spoken(model: Model, markets: list[MarketSnapshot], ladders: dict[str, Ladder]) -> dict[str, Cascade]:
    return Cascades(model).forecast(markets, ladders, MPOR_S, addons.cascades(markets, ladders, MPOR_S))


def asked(model: Model, of: MarketSnapshot, ladder: Ladder = CALM):  # type: ignore[no-untyped-def]
    return spoken(model, [of], {of.market: ladder})[of.market]


# --- the graph --------------------------------------------------------------------------------------------------------

shares = st.lists(st.floats(0, 0.02), min_size=len(EDGES), max_size=len(EDGES))
falls = st.floats(1e-3, 0.3)


def row(
    mass: list[float], scale: float, over: float, shock: float
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    both = [1.0] * len(HORIZONS_H)
    return {
        "mass": np.minimum(np.cumsum([mass]), 1.0)[None, :],
        "scale": np.array([[scale * b for b in both]]),
        "over_depth": np.array([[over]]),
        "shock": np.array([[shock * b for b in both]]),
    }


def never_below(model: Model, less: Row, more: Row) -> None:  # type: ignore[type-arg, unused-ignore]
    low, high = model.run(less), model.run(more)  # type: ignore[arg-type]
    for name, values in low.items():
        assert (high[name] >= values - 1e-12).all(), name


@given(mass=shares, scale=falls, over=st.floats(0.1, 1e3), shock=falls, place=st.integers(0, 8), more=st.floats(0, 0.1))
@settings(max_examples=60, deadline=None)
def test_more_leverage_never_makes_a_cascade_unlikelier_or_smaller(
    model: Model, mass: list[float], scale: float, over: float, shock: float, place: int, more: float
) -> None:
    stretched = [share + (more if at == place else 0.0) for at, share in enumerate(mass)]
    never_below(model, row(mass, scale, over, shock), row(stretched, scale, over, shock))  # type: ignore[arg-type]


@given(mass=shares, scale=falls, over=st.floats(0.1, 1e3), shock=falls, times=st.floats(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_wider_forecast_or_a_deeper_fall_never_makes_it_unlikelier(
    model: Model, mass: list[float], scale: float, over: float, shock: float, times: float
) -> None:
    now = row(mass, scale, over, shock)
    never_below(model, now, row(mass, scale * times, over, shock))  # type: ignore[arg-type]
    never_below(model, now, row(mass, scale, over, shock * times))  # type: ignore[arg-type]


@given(mass=shares, scale=falls, over=st.floats(0.1, 1e3), shock=falls, times=st.floats(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_thinner_book_never_makes_it_unlikelier_or_smaller(
    model: Model, mass: list[float], scale: float, over: float, shock: float, times: float
) -> None:
    never_below(model, row(mass, scale, over, shock), row(mass, scale, over * times, shock))  # type: ignore[arg-type]


def test_leverage_shock_and_depth_each_make_a_difference(model: Model) -> None:
    mass = [0.0002] * len(EDGES)
    now = model.run(row(mass, 0.02, 10.0, 0.05))
    for other in (
        row([0.001] * len(EDGES), 0.02, 10.0, 0.05),
        row(mass, 0.04, 10.0, 0.1),
        row(mass, 0.02, 1000.0, 0.05),
    ):
        assert (model.run(other)["probability"] > now["probability"] * 1.02).all()


def test_the_graph_answers_corners_with_probabilities(model: Model) -> None:
    for mass in ([0.0] * len(EDGES), [1.0] + [0.0] * (len(EDGES) - 1)):
        for scale in (inputs.LEAST_SCALE, inputs.MOST_SCALE):
            for over in (0.0, inputs.MOST_OVER_DEPTH):
                for name, values in model.run(row(mass, scale, over, 0.0)).items():
                    assert ((values >= 0) & (values <= 1)).all(), name


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_debts_between_two_edges_count_as_at_the_lower_one() -> None:
    found = inputs.mass([reading(1.0, 2.0, 3.0, 4.0, 90.0)])
    assert found is not None
    # below 1.0: 1; from 1.0: 2 more; from 1.05: 3 more; from 1.2: 4 more; from 1.5 all; of twice as much collateral
    shares = np.array([0.03, 0.03, 0.03, 0.06, 0.06, 0.1, 0.1, 1.0, 1.0])
    assert found.tolist() == pytest.approx((inputs.ANSWERED * shares / 2).tolist())


def test_two_protocols_are_one_book() -> None:
    both = inputs.mass([reading(0, 10, 0, 0, 90), reading(0, 0, 0, 0, 100, protocol="compound_v3")])
    assert both is not None
    assert both[0] == pytest.approx(inputs.ANSWERED * 10 / 400)


def test_debt_beyond_all_collateral_is_a_book_of_its_own_size() -> None:
    found = inputs.mass([reading(100, 0, 0, 0, 0, collateral_usd=(0.0,) * 5)])
    assert found is not None
    assert (found == inputs.ANSWERED).all()


def test_a_book_without_debt_has_no_mass() -> None:
    assert inputs.mass([reading(0, 0, 0, 0, 0)]) is None
    assert inputs.mass([]) is None


@pytest.mark.parametrize(
    "broken",
    [
        reading(1.0, 2.0),
        reading(0, -1.0, 0, 0, 5),
        reading(0, math.nan, 0, 0, 5),
        reading(0, 1, 1, 1, 5, collateral_usd=(0.0, -1.0, 1.0, 1.0, 9.0)),
        reading(0, 1, 1, 1, 5, edges=(1.0, 1.2, 1.1, 1.5)),
    ],
)
def test_a_broken_health_reading_is_refused(broken: HealthReading) -> None:
    with pytest.raises(Rejected):
        inputs.mass([broken])


def test_a_wider_tail_is_a_wider_forecast() -> None:
    calm, wild = inputs.scale(CALM, MPOR_S), inputs.scale(scaled(CALM, 3.0), MPOR_S)
    assert (wild > 2.5 * calm).all()
    assert calm[1] > 4 * calm[0]


# --- a node -----------------------------------------------------------------------------------------------------------


def test_stretched_borrowers_make_a_cascade_likelier_and_larger(model: Model) -> None:
    healthy, stretched = asked(model, lent(HEALTHY)), asked(model, lent(STRETCHED))
    assert healthy.learned
    assert stretched.learned
    assert stretched.probability > 2 * healthy.probability
    assert stretched.probability_1h > healthy.probability_1h
    assert stretched.size > healthy.size
    assert healthy.masked == ()


def test_without_a_health_distribution_the_formula_answers_and_says_so(model: Model) -> None:
    found = asked(model, lent())
    formula = addons.cascade(CALM, MPOR_S, 20.0, lent().open_interest_usd, 5e7)
    assert not found.learned
    assert "health" in found.masked
    assert (found.probability, found.size) == (formula.probability, formula.size)


def test_a_broken_health_reading_is_as_if_nobody_had_said_it(model: Model) -> None:
    assert asked(model, lent(reading(0, -1.0, 0, 0, 5))) == asked(model, lent())


def test_a_thin_buffer_of_the_protocol_itself_counts_however_healthy_borrowers_are(model: Model) -> None:
    thin = asked(model, lent(HEALTHY, collateral_ratio=1.05))
    formula = addons.cascade(CALM, MPOR_S, 1.05, None, 5e7)
    assert thin.learned
    assert thin.probability == formula.probability


def test_a_buffer_that_nobody_told_is_taken_at_the_formulas_and_named(model: Model) -> None:
    found = asked(model, lent(HEALTHY, collateral_ratio=None))
    assert "collateral_ratio" in found.masked
    assert found.probability >= addons.cascade(CALM, MPOR_S, None, None, 5e7).probability


@given(one=st.floats(0, 1), other=st.floats(0, 1), depth_usd=st.floats(1e4, 1e9))
@settings(max_examples=40, deadline=None)
def test_the_more_one_borrower_owes_the_larger_never_the_smaller_the_cascade(
    model: Model, one: float, other: float, depth_usd: float
) -> None:
    less, more = (
        asked(model, lent(msgspec.structs.replace(STRETCHED, concentration=share), depth_usd=depth_usd))
        for share in sorted((one, other))
    )
    assert less.size <= more.size + 1e-12
    assert less.probability == more.probability


def test_a_whale_sells_at_once_into_a_thin_book(model: Model) -> None:
    spread, whale = (
        asked(model, lent(msgspec.structs.replace(STRETCHED, concentration=share), depth_usd=1e5))
        for share in (0.0, 1.0)
    )
    assert whale.size > spread.size + 0.05


def test_a_largest_borrower_whom_nobody_told_is_taken_at_a_fifth_and_named(model: Model) -> None:
    untold = asked(model, lent(msgspec.structs.replace(STRETCHED, concentration=None)))
    told = asked(model, lent(msgspec.structs.replace(STRETCHED, concentration=inputs.UNKNOWN_CONCENTRATION)))
    assert untold.masked == ("concentration",)
    assert untold.size == told.size


def test_of_two_protocols_the_largest_borrower_is_the_larger_of_both() -> None:
    both = [reading(0, 0, 0, 0, 100, concentration=0.5), reading(0, 0, 0, 0, 300, concentration=0.1)]
    assert inputs.concentration(both) == pytest.approx(50 / 400)
    assert inputs.concentration([]) == 0.0


def test_an_hour_is_never_likelier_than_a_day(model: Model) -> None:
    for factor in (0.1, 1.0, 10.0):
        found = asked(model, lent(STRETCHED), scaled(CALM, factor))
        assert 0 <= found.probability_1h <= found.probability <= 1
        assert 0 <= found.size < 1


def test_markets_without_a_ladder_are_not_answered(model: Model) -> None:
    eth = msgspec.structs.replace(lent(HEALTHY), market="ETH")
    found = spoken(model, [lent(STRETCHED), eth], {"BTC": CALM})
    assert set(found) == {"BTC"}
