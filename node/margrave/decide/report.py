"""The stage's one call: is anything due, and what would this node sign?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from margrave.decide import limits
from margrave.decide.trigger import trigger
from margrave.errors import Fatal
from margrave.lanes import Words
from margrave.messages import ChainState, Hold, MarketHalt, Report, ReportRow, Scores
from margrave.settings import Settings
from margrave.verdicts import HoldReason, MarketStatus, Trigger

BLOCK: Final = 64
"""A report covers one block of this many consecutive ids, whole. Members sign on their own, and only reports of the
same markets make a quorum: which ids a report covers must not depend on figures that differ in the last place."""
MAX_CHAIN_AHEAD_S: Final = 60.0
"""Of wall-clock time. A chain behind us may only be quiet; a chain ahead of us means that our clock is slow."""
ABSTAIN: Final = Words(risk=0, market=0)
URGENCY: Final = (Trigger.EMERGENCY, Trigger.FIRST, Trigger.DEVIATION, Trigger.HEARTBEAT, Trigger.EARLY_RIDER)
"""Most urgent first; all but the last justify a transaction by themselves."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One market id: what this node would sign for it, and why; without a trigger that is to abstain."""

    name: str
    trigger: Trigger | None
    words: Words = ABSTAIN
    halt: MarketHalt | None = None


def decide(scores: Scores, state: ChainState, settings: Settings, now_ms: int) -> Report | Hold:
    """What this node is willing to sign for the round, or the reason to sign nothing.

    A market without scores, and one that is neither due nor early, gets zero words: the contract skips it. A report of
    early markets only is not `due`: it is signed for those who find it so, and not published by this node.

    Raises:
        Fatal: the chain's model set, policy, period or market list is not this node's.
    """
    _insist_on_the_same_rules(scores, state, settings)
    if (hold := _untimely(scores, state, settings, now_ms)) is not None:
        return hold
    candidates = _candidates(scores, state, settings)
    wanted = [
        (URGENCY.index(c.trigger), state.markets[i].observed_at_s, i)
        for i, c in candidates.items()
        if c.trigger is not None
    ]
    if not wanted:
        return _nothing_due(scores, state, settings)
    *_, most_urgent = min(wanted)
    first = most_urgent // BLOCK * BLOCK
    block = [(i, candidates[i]) for i in range(first, min(first + BLOCK, len(candidates)))]
    return Report(
        round=scores.round,
        epoch=state.epoch,
        first_market=first,
        model_set=state.model_set,
        policy_digest=state.policy_digest,
        rows=tuple(_row(i, candidate) for i, candidate in block),
        halts=tuple(c.halt for _, c in block if c.halt is not None),
        due=candidates[most_urgent].trigger is not Trigger.EARLY_RIDER,
    )


def _row(market_id: int, candidate: _Candidate) -> ReportRow:
    return ReportRow(
        market=candidate.name,
        market_id=market_id,
        trigger=candidate.trigger,
        words=candidate.words,
    )


def _candidates(scores: Scores, state: ChainState, settings: Settings) -> Mapping[int, _Candidate]:
    words = {m.market: m.words for m in scores.markets}
    bounds = limits.policy_words(settings.policy.limits)
    observed_at_s = scores.round * settings.policy.round.period_s
    found: dict[int, _Candidate] = {}
    for name, market in sorted(settings.markets.items(), key=lambda item: item[1].id):
        fresh, onchain = words.get(name), state.markets[market.id]
        why = trigger(onchain, fresh, observed_at_s, settings.policy.round) if fresh is not None else None
        if fresh is None or why is None:
            found[market.id] = _Candidate(name, None)
        else:
            found[market.id] = _Candidate(name, why, fresh, limits.foresee(name, onchain, fresh, bounds))
    return found


def _nothing_due(scores: Scores, state: ChainState, settings: Settings) -> Hold:
    """Why not: nobody can see, nothing can be written, all is written, or nothing has moved; never one for another."""
    if not scores.markets:
        return _nothing_seen(scores, settings)
    observed_at_s = scores.round * settings.policy.round.period_s
    stored = [state.markets[settings.markets[m.market].id] for m in scores.markets]
    if all(market.observed_at_s >= observed_at_s for market in stored):
        return Hold(round=scores.round, reason=HoldReason.ALREADY_PUBLISHED, detail="the chain holds this round")
    waited_s = [observed_at_s - m.observed_at_s for m in stored if m.status is not MarketStatus.HALTED]
    if not waited_s:
        detail = "every market that can be scored is halted: governance must resume it"
    else:
        left_s = max(settings.policy.round.heartbeat_s - max(waited_s), 0)
        detail = f"no lane moved beyond its deviation; the heartbeat is due in {left_s} s"
    return Hold(round=scores.round, reason=HoldReason.WITHIN_BAND, detail=detail)


def _nothing_seen(scores: Scores, settings: Settings) -> Hold:
    holds = sorted(scores.holds, key=lambda hold: settings.markets[hold.market].id)
    if not holds:
        return Hold(round=scores.round, reason=HoldReason.TOO_FEW_SOURCES, detail="no market was judged")
    detail = "; ".join(f"{hold.market}: {hold.detail}" for hold in holds)
    return Hold(round=scores.round, reason=holds[0].reason, detail=detail)


def _untimely(scores: Scores, state: ChainState, settings: Settings, now_ms: int) -> Hold | None:
    """A round too old for the contract, or a clock that the chain contradicts."""
    policy = settings.policy.round
    speed = settings.node.clock.speed if settings.node.clock else 1.0
    ahead_s = state.block_time_s - now_ms / 1_000
    if ahead_s > MAX_CHAIN_AHEAD_S * speed:
        detail = f"block {state.block} is {ahead_s:.0f} s ahead of this machine: set its clock (NTP)"
        return Hold(round=scores.round, reason=HoldReason.CLOCK_SKEW, detail=detail)
    if -ahead_s > MAX_CHAIN_AHEAD_S * speed + policy.stale_after_s:
        detail = f"block {state.block} is {-ahead_s:.0f} s old: the chain stands still, or this machine's clock is fast"
        return Hold(round=scores.round, reason=HoldReason.CLOCK_SKEW, detail=detail)
    late_s = now_ms / 1_000 - scores.round * policy.period_s
    if late_s > policy.max_report_age_s:
        detail = f"the round began {late_s:.0f} s ago, {policy.max_report_age_s} s allowed"
        return Hold(round=scores.round, reason=HoldReason.DEADLINE, detail=detail)
    return None


def _insist_on_the_same_rules(scores: Scores, state: ChainState, settings: Settings) -> None:
    if scores.model_set != state.model_set:
        raise Fatal(
            f"the chain approves model set 0x{state.model_set.hex()[:16]}…, this node runs "
            f"0x{scores.model_set.hex()[:16]}…",
            advice="install the approved models (models/registry) and name them in [models] of policy.toml",
        )
    if settings.policy.round.period_s != state.period_s:
        raise Fatal(
            f"the chain's rounds last {state.period_s} s, policy.toml says {settings.policy.round.period_s} s",
            advice="take governance's policy.toml",
        )
    if len(settings.markets) != len(state.markets):
        raise Fatal(
            f"the chain lists {len(state.markets)} markets, markets.toml {len(settings.markets)}",
            advice="take governance's markets.toml",
        )
    ours = limits.policy_digest(settings.policy, len(settings.markets))
    if ours != state.policy_digest:
        raise Fatal(
            f"the chain enforces policy 0x{state.policy_digest.hex()[:16]}…, policy.toml gives 0x{ours.hex()[:16]}…",
            advice="take governance's policy.toml: limits, timing or classes differ",
        )
