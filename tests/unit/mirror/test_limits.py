"""Bounds, coherence and steps, and the digest by which a signature names them."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave import lanes
from margrave.lanes import LANES, Words
from margrave.mirror import limits
from margrave.mirror.words import FIELDS, RESUMED, stamped, value
from margrave.settings import PROJECT_ROOT, load_policy
from margrave.verdicts import HaltReason
from tests.vectors.make import honest, policy_words

POLICY = load_policy(PROJECT_ROOT / "config" / "policy.toml")
CLASS = policy_words()
SEEDS = st.integers(0, 2**32)


def calm(seed: int, price_usd: float = 60_000) -> Words:
    """Honest words that the project's policy admits."""
    rng = random.Random(seed)
    while not limits.within_bounds(words := honest(rng, price_usd), CLASS):
        pass
    return words


def with_lane(words: Words, name: str, count: int) -> Words:
    lane = LANES[name]
    cleared = {"risk": words.risk, "market": words.market}
    cleared[lane.word] = cleared[lane.word] & ~(0x7FFF << lane.shift) | count << lane.shift
    return Words(**cleared)


def test_the_project_s_policy_is_quantised_lane_by_lane() -> None:
    for lane in LANES.values():
        if lane.stamped:
            continue
        bounds = POLICY.limits.of(lane)
        excess = lanes.EXCESS if lane.signed else 0
        words = {"risk": (CLASS.risk_low, CLASS.risk_high), "market": (CLASS.market_low, CLASS.market_high)}[lane.word]
        low, high = ((word >> lane.shift & 0x7FFF) - excess for word in words)
        assert low * lane.unit == pytest.approx(bounds.low)
        assert high * lane.unit == pytest.approx(bounds.high)


def test_a_lane_without_a_step_is_not_limited() -> None:
    assert CLASS.risk_max_rise & 0x7FFF == 0x7FFF
    assert CLASS.risk_max_fall & 0x7FFF == 40


@given(SEEDS, SEEDS)
def test_steps_keep_coherence_and_lie_between_old_and_new(a: int, b: int) -> None:
    old, new = calm(a), calm(b, 61_000)
    result = limits.apply(stamped(old, 1, limited=False, model_set_index=1), new, CLASS)
    assert result.halt is None
    assert limits.is_coherent(result.words)
    assert limits.within_bounds(result.words, CLASS)
    assert result.limited == (result.words != new)
    for field in FIELDS["risk"]:
        was, wanted, held = (value(words.risk, field) for words in (old, new, result.words))
        assert min(was, wanted) <= held <= max(was, wanted)
        assert held >= wanted, "tightening is never held back"


def test_the_first_figures_are_taken_whole() -> None:
    assert limits.apply(None, calm(1), CLASS) == limits.Limited(words=calm(1), limited=False, halt=None)


def test_after_governance_resumed_a_market_its_next_figures_are_taken_whole() -> None:
    resumed = calm(1)
    resumed = Words(risk=resumed.risk, market=resumed.market | RESUMED << LANES["flags"].shift)
    assert limits.apply(resumed, calm(2, 1_000), CLASS) == limits.Limited(calm(2, 1_000), limited=False, halt=None)
    assert limits.apply(Words(risk=0, market=0), calm(2), CLASS).words == calm(2)


def test_figures_outside_the_bounds_halt_and_stay_as_they_are() -> None:
    wild = with_lane(calm(1), "liquidity", 5_001)
    assert limits.apply(calm(2), wild, CLASS) == limits.Limited(wild, limited=False, halt=HaltReason.OUT_OF_BOUNDS)


def test_a_crossed_ladder_halts() -> None:
    words = calm(1)
    crossed = with_lane(words, "down_q995", lanes.raw(words, "down_es99") + 1)
    assert limits.apply(None, crossed, CLASS).halt is HaltReason.INCOHERENT


@pytest.mark.parametrize(("price", "halt"), [(90_000, None), (90_000.01, HaltReason.PRICE_JUMP), (30_000, None)])
def test_a_price_may_move_by_half_and_not_by_more(price: float, halt: HaltReason | None) -> None:
    assert limits.apply(calm(1), calm(2, price), CLASS).halt is halt


def test_after_bounds_that_exclude_the_stored_figures_the_median_is_taken_whole() -> None:
    stored = with_lane(calm(1), "liquidity", 6_000)
    assert limits.apply(stored, calm(2), CLASS).words == calm(2)


def test_the_digest_names_every_part_of_the_policy() -> None:
    when = limits.timing(POLICY.round)
    digests = {
        limits.policy_digest(when, [CLASS], [0, 0]),
        limits.policy_digest(when, [CLASS], [0]),
        limits.policy_digest(when, [CLASS, CLASS], [0, 0]),
        limits.policy_digest(when, [CLASS, CLASS], [0, 1]),
    }
    for each in dataclasses.fields(when):
        changed = dataclasses.replace(when, **{each.name: getattr(when, each.name) + 1})
        digests.add(limits.policy_digest(changed, [CLASS], [0, 0]))
    for each in dataclasses.fields(CLASS):
        other = dataclasses.replace(CLASS, **{each.name: getattr(CLASS, each.name) ^ 1})
        digests.add(limits.policy_digest(when, [other], [0, 0]))
    assert len(digests) == 4 + 5 + 9
