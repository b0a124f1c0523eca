"""Words as the contract reads and stamps them, and medians that a minority cannot move."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave import lanes
from margrave.lanes import LANES, Words
from margrave.mirror.limits import is_coherent
from margrave.mirror.medians import median, medians
from margrave.mirror.words import FIELDS, flags, is_limited, on_wire, stamped, unstamped, value
from tests.vectors.make import honest

SEEDS = st.integers(0, 2**32)


def some(seed: int, count: int) -> list[Words]:
    rng = random.Random(seed)
    return [honest(rng) for _ in range(count)]


@given(SEEDS)
def test_what_is_stamped_can_be_taken_off_again(seed: int) -> None:
    (words,) = some(seed, 1)
    stored = stamped(words, 1_800_000_000, limited=True, model_set_index=5)
    assert unstamped(stored) == words
    assert lanes.observed_at_s(stored) == 1_800_000_000
    assert is_limited(stored)
    assert flags(stored) >> 3 == 5
    assert on_wire(words)
    assert not on_wire(stored)


@pytest.mark.parametrize("bit", [15, 31, 255])
def test_a_guard_bit_is_not_for_the_wire(bit: int) -> None:
    (words,) = some(1, 1)
    assert not on_wire(Words(risk=words.risk | 1 << bit, market=words.market))
    assert not on_wire(Words(risk=words.risk, market=words.market | 1 << bit))


def test_fields_and_stamp_fill_a_word_without_overlap() -> None:
    for name in ("risk", "market"):
        taken = [bit for field in FIELDS[name] for bit in range(field.shift, field.shift + field.largest.bit_length())]
        assert len(taken) == len(set(taken))
        assert max(taken) < 255
    assert len(FIELDS["risk"]) + len(FIELDS["market"]) == len(LANES)  # the price is a field, the flags are not


@given(SEEDS, st.integers(1, 10), st.randoms(use_true_random=False))
def test_liars_below_a_third_cannot_move_a_lane_beyond_the_honest(seed: int, third: int, rng: random.Random) -> None:
    truth = some(seed, 2 * third + 1)
    lies = [Words(risk=rng.getrandbits(256) | 1, market=rng.getrandbits(255) | 1) for _ in range(third)]
    result = medians([*truth, *lies])
    assert result is not None
    for field in FIELDS["risk"]:
        told = [value(words.risk, field) for words in truth]
        assert min(told) <= value(result.risk, field) <= max(told)


@given(SEEDS, st.integers(1, 31))
def test_medians_of_coherent_words_are_coherent(seed: int, count: int) -> None:
    result = medians(some(seed, count))
    assert result is not None
    assert is_coherent(result)


@given(SEEDS, st.integers(1, 31), st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(seed: int, count: int, rng: random.Random) -> None:
    words = some(seed, count)
    turned = list(words)
    rng.shuffle(turned)
    assert medians(words) == medians(turned)


def test_an_even_count_takes_the_lower_of_the_two_in_the_middle() -> None:
    assert median([1, 4, 2, 3], "risk") == 2


def test_a_zero_word_abstains_for_the_whole_market() -> None:
    words = some(3, 3)
    assert medians([*words, Words(risk=0, market=0)]) is None
    assert medians([*words, Words(risk=words[0].risk, market=0)]) is None
