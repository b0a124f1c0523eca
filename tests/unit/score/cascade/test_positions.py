"""Positions at the door, and buckets of health as positions."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from margrave.errors import Rejected
from margrave.messages import HealthReading
from margrave.score.cascade import Depth, Positions, of_health, simulate
from margrave.verdicts import Rejection
from tests.unit.score.cascade.books import ENDLESS, against_ether

HEALTH = HealthReading(
    source="chain",
    market="ETH",
    instrument="aave",
    venue_time_ms=0,
    seen_time_ms=0,
    protocol="aave",
    edges=(1.0, 1.1, 1.5),
    debt_usd=(70.0, 600.0, 5_000.0, 1_000.0),
    collateral_usd=(80.0, 850.0, 8_000.0, 9_000.0),
    block=1,
)


def columns() -> dict[str, np.ndarray]:
    book = against_ether((10, 7_000), (5, 100))
    names = ("collateral", "debt", "prices_usd", "threshold", "bonus")
    return {name: getattr(book, name).copy() for name in names}


def spoil(name: str, place: tuple[int, ...], value: float) -> Callable[[], Positions]:
    def make() -> Positions:
        held = columns()
        held[name][place] = value
        return Positions(**held, assets=("ETH", "USD"))

    return make


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "reason", "where"),
    [
        (spoil("collateral", (1, 0), -1.0), Rejection.OUT_OF_RANGE, "collateral of row 1, ETH: -1"),
        (spoil("collateral", (0, 0), NAN), Rejection.NOT_FINITE, "collateral of row 0, ETH: nan"),
        (spoil("debt", (1, 1), -5.0), Rejection.OUT_OF_RANGE, "debt of row 1, USD: -5"),
        (spoil("debt", (0, 1), INF), Rejection.NOT_FINITE, "debt of row 0, USD: inf"),
        (spoil("prices_usd", (0,), 0.0), Rejection.NOT_POSITIVE, "price of ETH: 0"),
        (spoil("prices_usd", (1,), -1.0), Rejection.NOT_POSITIVE, "price of USD: -1"),
        (spoil("prices_usd", (1,), NAN), Rejection.NOT_FINITE, "price of USD: nan"),
        (spoil("threshold", (0,), 1.01), Rejection.OUT_OF_RANGE, "threshold of ETH: 1.01"),
        (spoil("threshold", (0,), -0.1), Rejection.OUT_OF_RANGE, "threshold of ETH: -0.1"),
        (spoil("bonus", (0,), -0.05), Rejection.OUT_OF_RANGE, "bonus of ETH: -0.05"),
        (spoil("bonus", (0,), 0.3), Rejection.OUT_OF_RANGE, "threshold and bonus of ETH: .* 1.04"),
        (spoil("bonus", (0,), NAN), Rejection.NOT_FINITE, "bonus of ETH: nan"),
    ],
)
def test_a_bad_figure_is_refused_with_its_place(make: Callable[[], Positions], reason: Rejection, where: str) -> None:
    with pytest.raises(Rejected, match=where) as refused:
        make()
    assert refused.value.reason is reason


@pytest.mark.parametrize("name", ["collateral", "debt", "prices_usd", "threshold", "bonus"])
def test_shapes_that_do_not_go_together_are_refused(name: str) -> None:
    held = columns()
    held[name] = held[name][..., :-1]
    with pytest.raises(Rejected, match="shapes"):
        Positions(**held)


def test_without_names_an_asset_is_called_by_its_number() -> None:
    held = columns()
    held["debt"][0, 1] = -1
    with pytest.raises(Rejected, match="row 0, asset 1"):
        Positions(**held)


def test_thresholds_may_differ_by_account() -> None:
    held = columns()
    held["threshold"] = np.array([[0.8, 0.0], [0.93, 0.0]])
    held["collateral"][1] = held["collateral"][0]
    held["debt"][1] = held["debt"][0]
    found = simulate(Positions(**held), ENDLESS, [-0.2, 0])
    assert found.closed.tolist() == [1.0, 0.0]


def test_health_is_collateral_at_thresholds_over_debt_and_endless_without_debt() -> None:
    assert against_ether((10, 7_000), (1, 0), (0, 5)).health() == pytest.approx([8 / 7, INF, 0])


# --- buckets --------------------------------------------------------------------------------------------------------


def test_a_bucket_stands_at_its_lower_edge_with_its_own_debt_and_collateral() -> None:
    book = of_health(HEALTH, 2_000.0)
    assert book.health() == pytest.approx([0.0, 1.0, 1.1, 1.5])
    assert book.debt[:, 1].tolist() == list(HEALTH.debt_usd)
    assert (book.collateral[:, 0] * 2_000).tolist() == pytest.approx(list(HEALTH.collateral_usd))
    assert book.assets == ("ETH", "USD")


def test_parts_of_a_bucket_stand_at_their_own_lower_ends_and_add_up() -> None:
    book = of_health(HEALTH, 2_000.0, parts=4)
    assert book.health() == pytest.approx([0, 0, 0, 0, 1, 1.025, 1.05, 1.075, 1.1, 1.2, 1.3, 1.4, *4 * [1.5]])
    assert book.debt.sum() == pytest.approx(sum(HEALTH.debt_usd))
    assert (book.collateral * [2_000, 0]).sum() == pytest.approx(sum(HEALTH.collateral_usd))


def test_parts_never_fall_earlier_than_the_whole_bucket() -> None:
    depth = Depth(np.array([50_000.0, np.inf]))
    for move in (0.0, -0.05, -0.1, -0.2, -0.3):
        whole, parts = (simulate(of_health(HEALTH, 2_000.0, parts=n), depth, [move, 0]) for n in (1, 8))
        assert parts.repaid_usd + parts.bad_debt_usd <= whole.repaid_usd + whole.bad_debt_usd + 1e-9


def test_debt_already_below_one_is_closed_before_any_shock() -> None:
    found = simulate(of_health(HEALTH, 2_000.0), ENDLESS, [0.0, 0.0])
    assert found.repaid_usd == pytest.approx(70)
    assert found.closed.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_a_bucket_that_contradicts_itself_is_taken_at_the_lower_health() -> None:
    """Debt above its collateral cannot have a health above one: the threshold stops where the bonus eats all."""
    book = of_health(msgspec.structs.replace(HEALTH, collateral_usd=(80.0, 500.0, 8_000.0, 9_000.0)), 2_000.0)
    assert book.health()[1] == pytest.approx(500 / 1.05 / 600)


def test_buckets_without_debt_or_collateral_pass() -> None:
    bare = msgspec.structs.replace(HEALTH, debt_usd=(0.0, 5.0, 0.0, 1.0), collateral_usd=(0.0, 0.0, 7.0, 2.0))
    found = simulate(of_health(bare, 2_000.0), ENDLESS, [-0.9, 0.0])
    assert found.bad_debt_usd == pytest.approx(5 + 1 - 0.2 / 1.05)


@pytest.mark.parametrize(
    "change",
    [
        {"debt_usd": (1.0, 2.0)},
        {"edges": (1.1, 1.0, 1.5)},
        {"edges": (0.0, 1.0, 1.5)},
        {"edges": (1.0, NAN, 1.5)},
        {"debt_usd": (1.0, 2.0, -3.0, 4.0)},
        {"collateral_usd": (1.0, 2.0, NAN, 4.0)},
    ],
)
def test_a_reading_that_is_none_is_refused(change: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(Rejected):
        of_health(msgspec.structs.replace(HEALTH, **change), 2_000.0)


@pytest.mark.parametrize("price", [0.0, -1.0, NAN, INF])
def test_a_reading_without_a_price_is_refused(price: float) -> None:
    with pytest.raises(Rejected, match="price of ETH"):
        of_health(HEALTH, price)


def test_a_reading_without_edges_is_one_bucket_that_is_closed() -> None:
    book = of_health(msgspec.structs.replace(HEALTH, edges=(), debt_usd=(5.0,), collateral_usd=(9.0,)), 1.0)
    assert simulate(book, ENDLESS, [0.0, 0.0]).repaid_usd == pytest.approx(5)
