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
from margrave.mirror.words import FIELDS, HALT, RESUMED, stamped, value
from margrave.settings import POLICY_FILE, load_policy
from margrave.verdicts import HaltReason, ReportKind, SkipReason
from tests.vectors.make import honest, policy_words

POLICY = load_policy(POLICY_FILE)
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


NOTHING = Words(risk=0, market=0)
T_S = 1_800_000_000


def judged(old: Words, new: Words, elapsed_s: int = 300, **rules: object) -> limits.Judged:
    """`new` over `old`, stored `elapsed_s` before."""
    if old.market and not lanes.observed_at_s(old):
        old = Words(risk=old.risk, market=old.market | T_S << lanes.STAMP_SHIFT)
    return limits.judge(old, new, CLASS, observed_at_s=T_S + elapsed_s, **rules)  # type: ignore[arg-type]


def test_a_lane_without_a_step_is_not_limited() -> None:
    assert CLASS.risk_max_rise & 0x7FFF == 0x7FFF
    assert CLASS.risk_max_fall & 0x7FFF == 40


@given(SEEDS, SEEDS)
def test_steps_keep_coherence_and_lie_between_old_and_new(a: int, b: int) -> None:
    old, new = calm(a), calm(b, 61_000)
    result = judged(stamped(old, T_S, limited=False, model_set_index=1), new)
    assert result.halt is None
    assert result.skip is None
    assert limits.is_coherent(result.words)
    assert limits.within_bounds(result.words, CLASS)
    assert result.limited == (result.words != new)
    for field in FIELDS["risk"]:
        was, wanted, held = (value(words.risk, field) for words in (old, new, result.words))
        assert min(was, wanted) <= held <= max(was, wanted)
        assert held >= wanted, "tightening is never held back"


@given(SEEDS, SEEDS, st.integers(1, 2 * 86_400), st.booleans())
def test_ladders_and_the_term_structure_ascend_after_any_step_budget_or_pause(
    a: int, b: int, elapsed_s: int, paused: bool
) -> None:
    result = judged(calm(a), calm(b, 61_000), elapsed_s, paused=paused)
    assert result.halt is None
    assert limits.is_coherent(result.words)


def test_the_first_figures_are_taken_whole() -> None:
    assert judged(NOTHING, calm(1)) == limits.Judged(words=calm(1))


def test_after_governance_resumed_a_market_its_next_figures_are_taken_whole() -> None:
    resumed = calm(1)
    resumed = Words(risk=resumed.risk, market=resumed.market | RESUMED << LANES["flags"].shift)
    assert judged(resumed, calm(2, 1_000), min_interval_s=900) == limits.Judged(calm(2, 1_000))


def test_figures_outside_the_bounds_halt_and_stay_as_they_are() -> None:
    wild = with_lane(calm(1), "liquidity", 5_001)
    assert judged(calm(2), wild) == limits.Judged(wild, halt=HaltReason.OUT_OF_BOUNDS)


def test_a_crossed_ladder_halts() -> None:
    words = calm(1)
    crossed = with_lane(words, "down_q995", lanes.raw(words, "down_es99") + 1)
    assert judged(NOTHING, crossed).halt is HaltReason.INCOHERENT


@pytest.mark.parametrize(("price", "halt"), [(90_000, None), (90_000.01, HaltReason.PRICE_JUMP), (30_000, None)])
def test_a_price_may_move_by_half_and_not_by_more(price: float, halt: HaltReason | None) -> None:
    assert judged(calm(1), calm(2, price)).halt is halt


def test_from_figures_that_new_bounds_exclude_steps_are_counted_from_the_bound() -> None:
    beyond = with_lane(calm(1), "liquidity", 6_000)
    at_the_bound = with_lane(calm(1), "liquidity", 5_000)
    assert judged(beyond, calm(2)) == judged(at_the_bound, calm(2))
    assert judged(beyond, calm(2)).limited


# --- what is skipped --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "elapsed_s", "why"),
    [
        (Words(0, HALT << LANES["flags"].shift), calm(1), 300, SkipReason.HALTED),
        (calm(1), calm(2), 0, SkipReason.NOT_NEWER),
        (calm(1), calm(2), 599, SkipReason.TOO_SOON),
        (calm(1), NOTHING, 600, SkipReason.ABSTAINED),
        (calm(1), with_lane(calm(2), "confidence", 499), 600, SkipReason.LOW_CONFIDENCE),
        (calm(1), with_lane(calm(2), "confidence", 500), 600, None),
        (NOTHING, with_lane(calm(2), "confidence", 499), 1, SkipReason.LOW_CONFIDENCE),
        (NOTHING, calm(2), 1, None),
    ],
)
def test_what_is_skipped_has_its_reason(old: Words, new: Words, elapsed_s: int, why: SkipReason | None) -> None:
    assert judged(old, new, elapsed_s, min_interval_s=600).skip is why


# --- budgets ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 0x7FFE), st.lists(st.integers(1, 40_000), min_size=1, max_size=30), st.integers(0, 2**32))
def test_over_any_number_of_writes_the_grants_add_up_to_the_budget_of_the_whole_time(
    daily: int, gaps: list[int], start_s: int
) -> None:
    time_s, given = start_s, 0
    for gap in gaps:
        given += limits.granted(daily, time_s, time_s + gap)
        time_s += gap
    exact = daily * sum(gaps) / 86_400
    assert abs(given - exact) <= 2


def test_a_budget_does_not_save_up_more_than_a_day() -> None:
    assert limits.granted(1_000, T_S - 10 * 86_400, T_S) == 1_000


def test_the_largest_budget_is_none() -> None:
    assert limits.granted(0x7FFF, T_S, T_S + 1) == 0x7FFF


def test_a_fall_takes_what_the_budget_grants_and_a_rise_is_free() -> None:
    high = calm(1)
    for name in ("liquidity", "contagion"):
        high = with_lane(high, name, 4_000)
    low = with_lane(with_lane(high, "liquidity", 10), "contagion", 4_900)
    result = judged(high, low, 600)
    granted = limits.granted(2_000, T_S, T_S + 600)
    assert 13 <= granted <= 14
    assert lanes.raw(result.words, "liquidity") == 4_000 - granted
    assert lanes.raw(result.words, "contagion") == 4_900
    assert result.limited


def test_while_paused_nothing_loosens_and_what_may_go_either_way_stays() -> None:
    old = calm(1)
    new = with_lane(with_lane(old, "basis", 17_000), "liquidity", 0)
    new = with_lane(new, "confidence", lanes.raw(old, "confidence") - 100)
    result = judged(old, new, 86_400, paused=True)
    assert lanes.raw(result.words, "basis") == lanes.raw(old, "basis")
    assert lanes.raw(result.words, "liquidity") == lanes.raw(old, "liquidity")
    assert lanes.raw(result.words, "confidence") == lanes.raw(new, "confidence")


def test_the_digest_names_every_part_of_the_policy() -> None:
    when, alone = limits.timing(POLICY.round), bytes(2)

    def digest(**changed: object) -> bytes:
        rules: dict[str, object] = {
            "kind": ReportKind.OWN_WORDS,
            "paused": False,
            "when": when,
            "classes": [CLASS],
            "class_of": alone,
            "group_of": alone,
            "ring_of": alone,
        }
        return limits.policy_digest(**{**rules, **changed})  # type: ignore[arg-type]

    changes: list[dict[str, object]] = [
        {},
        {"kind": ReportKind.CO_SIGNED},
        {"paused": True},
        {"classes": [CLASS, CLASS]},
        {"class_of": bytes(1)},
        {"classes": [CLASS, CLASS], "class_of": b"\x00\x01"},
        {"group_of": b"\x01\x01"},
        {"ring_of": b"\x01\x01"},
    ]
    for each in dataclasses.fields(when):
        changes.append({"when": dataclasses.replace(when, **{each.name: getattr(when, each.name) + 1})})
    for each in dataclasses.fields(CLASS):
        changes.append({"classes": [dataclasses.replace(CLASS, **{each.name: getattr(CLASS, each.name) ^ 1})]})
    assert len({digest(**changed) for changed in changes}) == len(changes) == 8 + 3 + 11
