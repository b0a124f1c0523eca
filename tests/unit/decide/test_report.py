"""The stage's one call: a report, a hold with its reason, or a stop."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.decide.report import ABSTAIN, BLOCK, decide
from margrave.errors import Fatal
from margrave.lanes import Words
from margrave.messages import ChainState, Hold, Report, Scores
from margrave.settings import Settings
from margrave.verdicts import HaltReason, HoldReason, MarketStatus, Trigger
from tests.unit.decide.sample import (
    MODEL_SET,
    PERIOD_S,
    ROUND,
    T_S,
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
    assert report.policy_digest == state_of(onchain(), onchain()).policy_digest
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


# --- the same rules as the chain --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem", "advice"),
    [
        ({"model_set": bytes(32)}, "approves model set 0x0000000000000000…", "install the approved models"),
        ({"policy_digest": bytes(32)}, "enforces policy 0x0000000000000000…", "policy.toml"),
        ({"period_s": 600}, "rounds last 600 s, policy.toml says 300 s", "policy.toml"),
    ],
)
def test_a_chain_with_other_rules_stops_the_node_with_advice(
    change: dict[str, object], problem: str, advice: str
) -> None:
    with pytest.raises(Fatal) as stopped:
        decided(BOTH, state_of(onchain(), onchain(), **change))
    assert problem in stopped.value.problem
    assert advice in stopped.value.advice


def test_a_chain_with_another_list_of_markets_stops_the_node() -> None:
    with pytest.raises(Fatal, match=r"the chain lists 3 markets, markets\.toml 2"):
        decided(BOTH, state_of(onchain(), onchain(), onchain()))


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
