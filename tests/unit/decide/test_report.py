"""The stage's one call: a report, a hold with its reason, or a stop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.decide.report import ABSTAIN, BLOCK, blocks, decide
from margrave.errors import Fatal, Transient
from margrave.lanes import Words
from margrave.messages import ChainState, Hold, Report, Scores
from margrave.settings import Settings
from margrave.verdicts import HaltReason, HoldReason, MarketStatus, Trigger
from tests.unit.decide.sample import (
    MODEL_SET,
    PERIOD_S,
    ROUND,
    T_S,
    epoch_of,
    onchain,
    scores_of,
    settings_of,
    state_of,
    words,
)

BTC, ETH = words(), words(price=3_500)
MOVED = words(price=71_000)
TWO = settings_of()
NOW_MS = T_S * 1_000 + 20_000


def decided(scores: Scores, state: ChainState, settings_: Settings = TWO, now_ms: int = NOW_MS) -> Report | Hold:
    return decide(scores, state, settings_, now_ms)


def reported(scores: Scores, state: ChainState, settings_: Settings = TWO) -> Report:
    report = decided(scores, state, settings_)
    assert isinstance(report, Report)
    return report


def held(scores: Scores, state: ChainState, now_ms: int = NOW_MS, settings_: Settings = TWO) -> Hold:
    hold = decided(scores, state, settings_, now_ms)
    assert isinstance(hold, Hold)
    assert hold.round == ROUND
    return hold


BOTH = scores_of({"BTC": BTC, "ETH": ETH})


def test_the_first_round_reports_every_market() -> None:
    report = reported(BOTH, state_of(onchain(), onchain()))
    assert [(r.market, r.market_id, r.trigger, r.words) for r in report.rows] == [
        ("BTC", 0, Trigger.FIRST, BTC),
        ("ETH", 1, Trigger.FIRST, ETH),
    ]
    assert (report.round, report.epoch, report.first_market, report.model_set) == (ROUND, 1, 0, MODEL_SET)
    assert report.policy_digest == state_of(onchain(), onchain()).epoch.policy_digest
    assert report.halts == ()


def test_nothing_due_is_within_the_band_and_says_when_the_heartbeat_is() -> None:
    hold = held(BOTH, state_of(onchain(BTC, 900), onchain(ETH, 600)))
    assert hold.reason is HoldReason.WITHIN_BAND
    assert hold.detail == "no lane moved beyond its deviation; the heartbeat is due in 2700 s"


def test_early_riders_alone_are_signed_for_peers_and_not_published_here() -> None:
    report = reported(BOTH, state_of(onchain(BTC, 3_000), onchain(ETH, 3_000)))
    assert not report.due
    assert [r.words for r in report.rows] == [BTC, ETH]


def test_members_on_either_side_of_a_threshold_sign_the_same_markets() -> None:
    """One sees 101 % of a deviation and publishes; another sees 97 %, and its signature is what the first one needs."""
    state = state_of(onchain(BTC), onchain(ETH))
    over, under = (
        reported(scores_of({"BTC": words(price=70_000 * (1 + moved)), "ETH": ETH}), state)
        for moved in (0.00505, 0.00485)
    )
    assert (over.due, under.due) == (True, False)
    assert [r.words == ABSTAIN for r in over.rows] == [r.words == ABSTAIN for r in under.rows]


def test_one_that_is_due_takes_along_who_is_early_and_leaves_out_who_is_not() -> None:
    scores = scores_of({"BTC": MOVED, "ETH": ETH})
    early = reported(scores, state_of(onchain(BTC), onchain(ETH, 1_800)))
    assert [(r.trigger, r.words) for r in early.rows] == [(Trigger.DEVIATION, MOVED), (Trigger.EARLY_RIDER, ETH)]
    late = reported(scores, state_of(onchain(BTC), onchain(ETH, 300)))
    assert [r.words for r in late.rows] == [MOVED, ABSTAIN]


def test_a_market_that_cannot_be_scored_abstains_with_zero_words() -> None:
    scores = scores_of({"ETH": ETH}, {"BTC": HoldReason.TOO_FEW_SOURCES})
    report = reported(scores, state_of(onchain(BTC, 4_000), onchain(ETH, 4_000)))
    assert [(r.market, r.words) for r in report.rows] == [("BTC", Words(risk=0, market=0)), ("ETH", ETH)]


def test_if_every_market_is_held_the_round_is_held_for_their_reason() -> None:
    scores = scores_of({}, {"ETH": HoldReason.TOO_FEW_SOURCES, "BTC": HoldReason.NO_SURFACE})
    hold = held(scores, state_of(onchain(), onchain()))
    assert hold.reason is HoldReason.NO_SURFACE
    assert hold.detail == "BTC: BTC cannot be seen; ETH: ETH cannot be seen"


def test_a_round_the_chain_already_holds_is_not_sent_again() -> None:
    hold = held(scores_of({"BTC": MOVED, "ETH": ETH}), state_of(onchain(BTC, 0), onchain(ETH, 0)))
    assert hold.reason is HoldReason.ALREADY_PUBLISHED


def test_a_halted_market_is_left_to_governance_and_the_other_goes_on() -> None:
    state = state_of(onchain(BTC, 9_000, MarketStatus.HALTED), onchain(ETH, 9_000))
    report = reported(BOTH, state)
    assert [(r.market, r.trigger, r.words) for r in report.rows] == [
        ("BTC", None, ABSTAIN),
        ("ETH", Trigger.HEARTBEAT, ETH),
    ]


def test_if_all_are_halted_the_hold_says_who_must_act() -> None:
    state = state_of(*(onchain(w, 9_000, MarketStatus.HALTED) for w in (BTC, ETH)))
    hold = held(BOTH, state)
    assert hold.reason is HoldReason.WITHIN_BAND
    assert hold.detail == "every market that can be scored is halted: governance must resume it"


def test_no_scores_and_no_holds_is_still_a_hold() -> None:
    assert held(scores_of({}), state_of(onchain(), onchain())).detail == "no market was judged"


def test_a_figure_that_halts_its_market_is_signed_all_the_same_and_told() -> None:
    wild = words(liquidity=0.6)
    report = reported(scores_of({"BTC": wild, "ETH": ETH}), state_of(onchain(BTC, 4_000), onchain(ETH, 4_000)))
    assert report.rows[0].words == wild
    ((market, reason),) = [(h.market, h.reason) for h in report.halts]
    assert (market, reason) == ("BTC", HaltReason.OUT_OF_BOUNDS)


# --- clocks ---------------------------------------------------------------------------------------------------------


def test_a_chain_ahead_of_this_machine_is_a_hold_that_asks_for_the_clock() -> None:
    state = state_of(onchain(), onchain(), block_time_s=T_S + 100)
    hold = held(BOTH, state)
    assert hold.reason is HoldReason.CLOCK_SKEW
    assert hold.detail == "block 100 is 80 s ahead of this machine: set its clock (NTP)"


def test_on_an_accelerated_clock_a_minute_of_wall_time_is_more_of_market_time() -> None:
    state = state_of(onchain(), onchain(), block_time_s=T_S + 100)
    assert isinstance(decided(BOTH, state, settings_of(speed=60.0)), Report)


def test_a_quiet_chain_is_no_skew_and_one_that_stands_still_is() -> None:
    assert isinstance(decided(BOTH, state_of(onchain(), onchain(), block_time_s=T_S - 3_600)), Report)
    hold = held(BOTH, state_of(onchain(), onchain(), block_time_s=T_S - 20_000))
    assert hold.reason is HoldReason.CLOCK_SKEW
    assert "stands still" in hold.detail


def test_a_round_too_old_for_the_contract_is_not_signed() -> None:
    hold = held(BOTH, state_of(onchain(), onchain()), now_ms=(T_S + 901) * 1_000)
    assert (hold.reason, hold.detail) == (HoldReason.DEADLINE, "the round began 901 s ago, 900 s allowed")


# --- the rules of the epoch that binds the round --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "problem", "advice"),
    [
        (
            lambda: state_of(onchain(), onchain(), rules=epoch_of(2, model_set=bytes(32))),
            "approves model set 0x0000000000000000…",
            "install the approved models",
        ),
        (
            lambda: state_of(onchain(), onchain(), period_s=600),
            "rounds last 600 s, policy.toml says 300 s",
            "policy.toml",
        ),
    ],
)
def test_a_chain_with_other_rules_stops_the_node_with_advice(
    state: Callable[[], ChainState], problem: str, advice: str
) -> None:
    with pytest.raises(Fatal) as stopped:
        decided(BOTH, state())
    assert problem in stopped.value.problem
    assert advice in stopped.value.advice


def test_an_endpoint_that_tells_other_settings_than_the_chain_holds_is_not_believed() -> None:
    with pytest.raises(Transient, match="another RPC endpoint"):
        decided(BOTH, state_of(onchain(), onchain(), rules=epoch_of(2, policy_digest=b"\x01" * 32)))


def test_a_chain_looser_than_the_operators_policy_is_not_signed_for_and_a_tighter_one_is() -> None:
    timing = epoch_of(2).timing
    looser = epoch_of(2, timing=dataclasses.replace(timing, max_report_age=1_000))
    hold = held(BOTH, state_of(onchain(), onchain(), rules=looser))
    assert hold.reason is HoldReason.LOOSER_POLICY
    assert "reports may be 1000 s old, 900 s agreed" in hold.detail
    tighter = epoch_of(2, timing=dataclasses.replace(timing, max_report_age=800), paused=True)
    assert isinstance(decided(BOTH, state_of(onchain(), onchain(), rules=tighter)), Report)


def rotating(from_round: int, **changes: object) -> ChainState:
    """A second epoch is pending."""
    return state_of(onchain(), onchain(), next_epoch=epoch_of(2, number=2, **changes), next_from_round=from_round)


def test_a_round_is_signed_under_the_epoch_that_binds_it_however_near_the_next_one_is() -> None:
    assert reported(BOTH, rotating(ROUND + 1)).epoch == 1
    assert reported(BOTH, rotating(ROUND)).epoch == 2
    assert reported(BOTH, rotating(ROUND - 1)).epoch == 2


def test_a_change_of_policy_is_signed_with_its_own_digest_from_its_round_on() -> None:
    tighter = {"timing": dataclasses.replace(epoch_of(2).timing, max_skew=10)}
    before, after = (reported(BOTH, rotating(ROUND + i, **tighter)).policy_digest for i in (1, 0))
    assert before == epoch_of(2).policy_digest
    assert after == epoch_of(2, **tighter).policy_digest != before


def test_models_that_are_approved_for_a_later_round_wait_for_it() -> None:
    state = state_of(
        onchain(),
        onchain(),
        rules=epoch_of(2, model_set=bytes(32)),
        next_epoch=epoch_of(2, number=2),
        next_from_round=ROUND + 3,
    )
    hold = held(BOTH, state)
    assert hold.reason is HoldReason.LATER_EPOCH
    assert hold.detail == f"this node's models are approved from round {ROUND + 3} on"
    assert isinstance(decided(BOTH, msgspec.structs.replace(state, next_from_round=ROUND)), Report)


def test_a_market_that_the_chain_lists_and_this_node_does_not_know_is_left_to_others() -> None:
    """All members of a quorum sign the same markets: the chain's list decides which, not a file of each."""
    report = reported(BOTH, state_of(onchain(), onchain(), onchain()))
    assert [(r.market, r.words) for r in report.rows] == [("BTC", BTC), ("ETH", ETH), ("market 2", ABSTAIN)]


def test_a_market_that_the_chain_does_not_list_yet_waits_for_it() -> None:
    report = reported(BOTH, state_of(onchain()), TWO)
    assert [r.market for r in report.rows] == ["BTC"]


# --- what the contract would leave as it is ---------------------------------------------------------------------------


def test_written_less_than_the_least_interval_ago_every_market_waits() -> None:
    slow = epoch_of(2, timing=dataclasses.replace(epoch_of(2).timing, min_interval=900))
    hold = held(scores_of({"BTC": MOVED, "ETH": ETH}), state_of(onchain(BTC, 300), onchain(ETH, 600), rules=slow))
    assert (hold.reason, hold.detail) == (HoldReason.TOO_SOON, "every market was written less than 900 s before")


def test_a_pause_of_the_guardian_is_told_where_it_is_what_holds_a_report_back() -> None:
    paused = epoch_of(2, paused=True)
    calmer = scores_of({"BTC": words(score=1_000), "ETH": ETH})
    assert held(calmer, state_of(onchain(BTC, 900), onchain(ETH, 900), rules=paused)).reason is HoldReason.PAUSED
    assert held(BOTH, state_of(onchain(BTC, 900), onchain(ETH, 900), rules=paused)).reason is HoldReason.WITHIN_BAND


def test_figures_that_trust_themselves_too_little_are_signed_for_others_and_not_published() -> None:
    doubtful = scores_of({"BTC": words(confidence=0.03), "ETH": words(price=3_500, confidence=0.03)})
    report = reported(doubtful, state_of(onchain(BTC, 4_000), onchain(ETH, 4_000)))
    assert not report.due
    assert all(r.words != ABSTAIN for r in report.rows)
    hold = held(doubtful, state_of(onchain(BTC, 900), onchain(ETH, 900)))
    assert hold.reason is HoldReason.LOW_CONFIDENCE


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_market_that_is_due_takes_its_whole_group_along() -> None:
    rules = epoch_of(3, group_of=b"\x01\x01\x00")
    scores = scores_of({"BTC": MOVED, "ETH": ETH, "M2": words()})
    state = state_of(onchain(BTC), onchain(ETH), onchain(words()), rules=rules)
    report = reported(scores, state, settings_of(3))
    assert [r.trigger for r in report.rows] == [Trigger.DEVIATION, Trigger.EARLY_RIDER, None]
    assert report.rows[1].words == ETH


def test_a_group_with_a_market_that_cannot_be_seen_is_signed_for_others_and_calls_for_nothing() -> None:
    rules = epoch_of(2, group_of=b"\x01\x01")
    scores = scores_of({"BTC": MOVED}, {"ETH": HoldReason.NO_SURFACE})
    report = reported(scores, state_of(onchain(BTC), onchain(ETH), rules=rules))
    assert not report.due
    assert [r.words for r in report.rows] == [MOVED, ABSTAIN]


def test_a_figure_that_will_halt_its_market_is_published_although_its_group_waits() -> None:
    rules = epoch_of(2, group_of=b"\x01\x01")
    wild = scores_of({"BTC": words(price=70_000, liquidity=0.6), "ETH": ETH})
    report = reported(wild, state_of(onchain(BTC, 4_000), onchain(ETH, 4_000), rules=rules))
    assert report.due
    assert [h.market for h in report.halts] == ["BTC"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=12))
def test_blocks_cover_every_market_once_and_cut_no_group(runs: list[tuple[int, int]]) -> None:
    next_name, group_of = 1, bytearray()
    for alone, length in runs:
        group_of += bytes(length) if alone else bytes([next_name]) * length
        next_name += not alone
    rules = epoch_of(len(group_of), group_of=bytes(group_of), class_of=bytes(len(group_of)))
    ranges = list(blocks(rules))
    assert [i for block in ranges for i in block] == list(range(len(group_of)))
    for block in ranges[:-1]:
        assert len(block) >= BLOCK
        assert group_of[block.stop - 1] == 0 or group_of[block.stop - 1] != group_of[block.stop]
    assert all(len(block) < BLOCK + 40 for block in ranges)


# --- many markets ---------------------------------------------------------------------------------------------------


def many(count: int, due: dict[int, Words]) -> tuple[Scores, ChainState, Settings]:
    settings_ = settings_of(count)
    stored = {name: words() for name in settings_.markets}
    fresh = {name: due.get(market.id, stored[name]) for name, market in settings_.markets.items()}
    return scores_of(fresh), state_of(*(onchain(w) for w in stored.values())), settings_


def test_a_report_covers_one_block_of_markets_whole() -> None:
    scores, state, settings_ = many(BLOCK + 10, {BLOCK + 3: MOVED})
    report = reported(scores, state, settings_)
    assert report.first_market == BLOCK
    assert [r.market_id for r in report.rows] == list(range(BLOCK, BLOCK + 10))
    assert [r.words != ABSTAIN for r in report.rows] == [i == 3 for i in range(10)]


def test_an_emergency_goes_before_a_deviation_of_another_block() -> None:
    scores, state, settings_ = many(BLOCK + 10, {3: MOVED, BLOCK + 3: words(down_es99=0.05)})
    assert reported(scores, state, settings_).first_market == BLOCK


def test_of_two_blocks_alike_the_longest_waiting_goes_first() -> None:
    scores, state, settings_ = many(BLOCK + 10, {3: MOVED, BLOCK + 3: MOVED})
    waited = tuple(
        msgspec.structs.replace(m, observed_at_s=T_S - 600) if i == BLOCK + 3 else m
        for i, m in enumerate(state.markets)
    )
    assert reported(scores, msgspec.structs.replace(state, markets=waited), settings_).first_market == BLOCK


# --- laws -----------------------------------------------------------------------------------------------------------

a_market = st.one_of(
    st.just(onchain()),
    st.builds(
        onchain,
        st.builds(words, st.floats(50_000, 90_000)),
        st.integers(-PERIOD_S, 20_000),
        st.sampled_from([s for s in MarketStatus if s is not MarketStatus.EMPTY]),
    ),
)
a_figure = st.one_of(st.none(), st.builds(words, st.floats(50_000, 90_000), score=st.floats(0, 10_000)))


@settings(deadline=None)
@given(st.lists(st.tuples(a_market, a_figure), min_size=1, max_size=6))
def test_a_report_is_consecutive_signs_only_what_was_scored_and_is_repeatable(
    drawn: list[tuple[object, Words | None]],
) -> None:
    settings_ = settings_of(len(drawn))
    names = list(settings_.markets)
    state = state_of(*(m for m, _ in drawn))  # type: ignore[arg-type]
    fresh = {n: w for n, (_, w) in zip(names, drawn, strict=True) if w is not None}
    scores = scores_of(fresh, {n: HoldReason.NO_SURFACE for n in names if n not in fresh})
    first = decide(scores, state, settings_, NOW_MS)
    assert decide(scores, state, settings_, NOW_MS) == first
    if isinstance(first, Hold):
        assert first.detail
        return
    assert [r.market_id for r in first.rows] == list(range(len(drawn)))
    assert first.due == any(r.trigger not in (None, Trigger.EARLY_RIDER) for r in first.rows)
    assert all((r.trigger is None) == (r.words == ABSTAIN) for r in first.rows)
    for row in first.rows:
        assert row.words in (ABSTAIN, fresh.get(row.market))
        if row.words != ABSTAIN:
            assert state.markets[row.market_id].status is not MarketStatus.HALTED
            assert state.markets[row.market_id].observed_at_s < T_S
