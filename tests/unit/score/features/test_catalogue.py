"""The catalogue names every column once, and every mask that it speaks of is one."""

from __future__ import annotations

import numpy as np

from margrave.score.features import tails, volatility
from margrave.score.features.catalogue import TAIL_NAMES, TAILS, VOLATILITY, VOLATILITY_NAMES, named
from margrave.score.features.volatility import GROUPS, NAMES, Market

from .series import drawn, prior


def test_no_two_inputs_have_one_name() -> None:
    assert len({*VOLATILITY_NAMES, *TAIL_NAMES}) == len(VOLATILITY) + len(TAILS)


def test_every_mask_is_a_column_and_the_last_of_its_group() -> None:
    for feature in VOLATILITY:
        if feature.mask is not None:
            bit = named(feature.mask)
            assert bit.unit == "bit"
            assert VOLATILITY_NAMES.index(bit.name) > VOLATILITY_NAMES.index(feature.name)
        assert feature.name.startswith("has_") == (feature.unit == "bit")


def test_every_group_of_one_horizon_is_its_inputs_and_no_more() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(NAMES)


def test_what_is_computed_is_what_is_named_with_zeros_under_a_zero_bit() -> None:
    hours = drawn(900)
    inputs = volatility.inputs_of(hours, market=Market.LEADERS, prior=prior())
    columns, log_usual = inputs.served(np.array([899]))
    assert columns.shape == (1, 3, len(VOLATILITY))
    assert log_usual.shape == (1, 3, 4)
    assert np.isfinite(columns).all()
    for place, feature in enumerate(VOLATILITY):
        if feature.mask is not None:
            gone = columns[0, :, VOLATILITY_NAMES.index(feature.mask)] == 0.0
            assert (columns[0, gone, place] == 0.0).all()
    doge = hours.assets.index("DOGE")
    assert columns[0, doge, VOLATILITY_NAMES.index("has_implied")] == 1.0, "a leader's index stands in"
    state = tails.state_of(hours, market=Market.LEADERS, prior=prior())
    assert state.inputs.shape == (900, 3, len(TAILS))
    assert np.isnan(state.inputs[899, doge, TAIL_NAMES.index("funding_bp")])


def test_the_inputs_of_one_horizon_are_the_served_ones() -> None:
    inputs = volatility.inputs_of(drawn(900), market=Market.LEADERS, prior=prior())
    rows = np.array([700, 899])
    columns, log_usual = inputs.served(rows)
    for place, h in enumerate((1, 4, 24, 168)):
        one, usual = inputs.at(rows, h)
        assert np.array_equal(one, columns)
        np.testing.assert_allclose(np.log(usual), log_usual[..., place], rtol=1e-12)


def test_the_market_is_the_leaders_and_the_peers_only_when_neither_is_there() -> None:
    assets = ("ADA", "BTC", "DOGE")
    known = np.array([[True, True, True], [True, False, True], [False, False, True]])
    peers = np.array([[True, True, False], [True, False, False], [False, False, False]])
    either = volatility.market_of(assets, Market.EITHER, peers, known)
    assert either.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    assert volatility.market_of(assets, Market.LEADERS, peers, known)[1].tolist() == [False, True, False]
