"""Effective words; tests/vectors/ageing.json holds the contract to the same integers."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from margrave import lanes
from margrave.lanes import LANES, Words
from margrave.mirror.ageing import WHOLE, effective, share_up, tightened_up
from margrave.mirror.words import RESUMED, stamped
from tests.vectors.make import NOW_S, honest

AGING_S, STALE_S = 5_400, 14_400


def stored(seed: int) -> Words:
    return stamped(honest(random.Random(seed)), NOW_S, limited=False, model_set_index=1)


def at(words: Words, age_s: int) -> Words:
    return effective(words, age_s, aging_after_s=AGING_S, stale_after_s=STALE_S)


@given(st.integers(0, 2**32), st.integers(0, AGING_S))
def test_fresh_words_are_as_they_were_stored(seed: int, age_s: int) -> None:
    assert at(stored(seed), age_s) == stored(seed)


@given(st.integers(0, 2**32), st.integers(0, 20_000), st.integers(0, 20_000))
def test_age_only_tightens(seed: int, age_s: int, more_s: int) -> None:
    words = stored(seed)
    young, old = at(words, age_s), at(words, age_s + more_s)
    for lane in LANES.values():
        before, then = lanes.raw(young, lane.name), lanes.raw(old, lane.name)
        if lane.name == "confidence":
            assert then <= before
        elif lane.tightens == "up":
            assert then >= before
        else:
            assert then == before


def test_resumed_words_are_as_old_as_can_be() -> None:
    words = stored(7)
    resumed = Words(words.risk, words.market | RESUMED << LANES["flags"].shift)
    assert at(resumed, 0) == tightened_up(resumed, WHOLE)
    assert lanes.raw(at(resumed, 0), "confidence") == 0


def test_an_empty_market_stays_empty() -> None:
    assert at(Words(0, 0), 10**6) == Words(0, 0)


def test_a_share_is_rounded_up_and_held_at_the_whole() -> None:
    assert share_up(AGING_S + 1, AGING_S, STALE_S) == 8
    assert share_up(STALE_S, AGING_S, STALE_S) == share_up(10**9, AGING_S, STALE_S) == WHOLE
