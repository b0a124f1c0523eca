"""Fair values: right where the chain is dense, wider where it says less, refused where it says nothing."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from margrave.errors import Rejected
from margrave.messages import OptionQuote
from margrave.score import fair_value, surface
from margrave.score.completion import fill, seen
from margrave.score.fair_value import FairValue, Option, Remark
from margrave.score.registry import Model, open_model
from margrave.settings import REGISTRY
from margrave.spans import DAY_MS
from margrave.verdicts import Rejection
from tests.unit.score.chains import AS_OF_MS, TRUE, made


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(REGISTRY, "surface_prior/1")


def at(days: float, strike: float, *, is_call: bool = True) -> Option:
    return Option(AS_OF_MS + round(days * DAY_MS), strike, is_call)


def value(model: Model, quotes: list[OptionQuote], option: Option) -> FairValue:
    return fair_value.fair_values(model, quotes, AS_OF_MS, [option])[0]


@pytest.mark.parametrize(("days", "strike"), [(14.0, 71_000.0), (20.0, 66_000.0), (45.0, 80_000.0), (84.0, 60_000.0)])
def test_an_option_of_a_known_surface_is_valued_within_a_point_and_inside_the_interval(
    model: Model, days: float, strike: float
) -> None:
    found = value(model, made(noise_vol=0.002), at(days, strike))
    true = surface.implied_vol(TRUE, found.forward, strike, days / 365)
    assert found.vol == pytest.approx(true, abs=0.01)
    assert found.vol_low < true < found.vol_high
    assert found.price_low < found.price < found.price_high
    assert found.remarks == ()


def test_calls_and_puts_obey_parity(model: Model) -> None:
    quotes = made()
    call, put = (value(model, quotes, at(20, 72_000.0, is_call=side)) for side in (True, False))
    assert call.vol == put.vol
    assert call.price - put.price == pytest.approx(call.forward - 72_000.0, rel=1e-9)


def test_fewer_quotes_widen_the_interval(model: Model) -> None:
    option = at(28, 70_000.0)
    dense, sparse = (value(model, made(strikes_each=n), option) for n in (21, 3))
    assert sparse.vol_high - sparse.vol_low > 1.2 * (dense.vol_high - dense.vol_low)


def test_an_option_far_outside_the_strikes_says_so_and_is_wider(model: Model) -> None:
    quotes = made()
    near, far = value(model, quotes, at(14, 70_000.0)), value(model, quotes, at(14, 160_000.0))
    assert Remark.BEYOND_STRIKES in far.remarks
    assert far.vol_high - far.vol_low > 3 * (near.vol_high - near.vol_low)


def test_an_expiry_beyond_all_quoted_says_so(model: Model) -> None:
    assert value(model, made(), at(180, 70_000.0)).remarks == (Remark.BEYOND_EXPIRIES,)
    assert value(model, made(), at(1, 70_000.0)).remarks == (Remark.BEYOND_EXPIRIES,)


def test_quotes_that_contradict_each_other_are_flagged(model: Model) -> None:
    random = np.random.default_rng(3)
    quotes = []
    for quote in made(half_spread_vol=0.001):
        up = float(np.exp(0.3 * random.standard_normal()))
        bid, ask = quote.bid or 0.0, quote.ask or 0.0
        quotes.append(msgspec.structs.replace(quote, bid=bid * up, ask=ask * up))
    assert Remark.ARBITRAGE_IN_QUOTES in value(model, quotes, at(14, 70_000.0)).remarks


def test_the_asked_options_hold_no_arbitrage_among_themselves_and_the_listed(model: Model) -> None:
    random = np.random.default_rng(5)
    sample = surface.usable(made(noise_vol=0.01), AS_OF_MS)
    k, years = random.uniform(-0.3, 0.3, 12), random.uniform(5, 80, 12) / 365
    said = fair_value.from_sample(model, sample, k, years)
    from margrave.score import arbitrage

    assert not arbitrage.violations(k, years, said.vol).any


def test_a_surface_alone_answers_with_its_own_error() -> None:
    published = msgspec.structs.replace(TRUE, rmse_vol=0.02, basis=0.05)
    (found,) = fair_value.of_surface(published, 70_000.0, AS_OF_MS, [at(30, 70_000.0)])
    assert found.remarks == (Remark.SURFACE_ONLY,)
    assert found.forward == pytest.approx(70_000 * (1 + 0.05 * 30 / 365))
    assert found.vol_high - found.vol == pytest.approx(1.645 * 0.02)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (at(-1, 70_000.0), Rejection.STALE),
        (at(0, 70_000.0), Rejection.STALE),
        (at(400, 70_000.0), Rejection.OUT_OF_RANGE),
        (at(14, 0.0), Rejection.NOT_POSITIVE),
        (at(14, float("nan")), Rejection.NOT_POSITIVE),
        (at(14, float("inf")), Rejection.NOT_POSITIVE),
    ],
)
def test_an_option_that_is_none_is_refused(model: Model, option: Option, why: Rejection) -> None:
    for ask in (
        lambda: fair_value.fair_values(model, made(), AS_OF_MS, [option]),
        lambda: fair_value.of_surface(TRUE, 70_000.0, AS_OF_MS, [option]),
    ):
        with pytest.raises(Rejected) as refused:
            ask()
        assert refused.value.reason is why


def bad_chains() -> dict[str, list[OptionQuote]]:
    nan = float("nan")
    crossed = [msgspec.structs.replace(q, bid=q.ask, ask=q.bid, mark_iv=None) for q in made()]
    one_strike = [q for q in made() if q.is_call][:1]
    return {
        "empty": [],
        "one strike": one_strike,
        "one expiry": [q for q in made() if q.expiry_ms == made()[60].expiry_ms],
        "crossed": crossed,
        "not a number": [msgspec.structs.replace(q, bid=nan, ask=nan, mark_iv=nan) for q in made()],
        "zero vols": [msgspec.structs.replace(q, bid=None, ask=None, mark_iv=0.0) for q in made()],
        "expired": [msgspec.structs.replace(q, expiry_ms=AS_OF_MS - 1) for q in made()],
        "no forward": [msgspec.structs.replace(q, forward=nan) for q in made()],
    }


@pytest.mark.parametrize("name", bad_chains())
def test_a_chain_that_says_nothing_is_refused(model: Model, name: str) -> None:
    with pytest.raises(Rejected):
        value(model, bad_chains()[name], at(14, 70_000.0))


def test_one_absurd_quote_among_many_moves_its_neighbour_by_less_than_a_point(model: Model) -> None:
    quotes = made()
    place = next(
        i for i, q in enumerate(quotes) if q.is_call and q.expiry_ms == AS_OF_MS + 28 * DAY_MS and q.strike > 7.2e4
    )
    absurd = list(quotes)
    absurd[place] = msgspec.structs.replace(quotes[place], bid=0.5, ask=0.51)
    option = at(28, quotes[place].strike * 1.05)
    assert value(model, absurd, option).vol == pytest.approx(value(model, quotes, option).vol, abs=0.01)


def test_an_earlier_chain_fades_with_its_age(model: Model) -> None:
    sample = surface.usable(made(), AS_OF_MS)
    base = surface.fitted(sample)
    k, years = np.array([0.02]), np.array([28 / 365])
    known = seen(sample)
    sds = [
        float(fill(model, base, dataclasses.replace(known, age_days=np.full(len(known), age)), k, years).sd[0])
        for age in (0.0, 1.0, 5.0, 60.0)
    ]
    assert sds == sorted(sds)
    assert sds[-1] > 3 * sds[0]
