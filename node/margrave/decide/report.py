"""The stage's one call: is anything due, and what would this node sign?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from margrave.decide import limits
from margrave.decide.trigger import UNWRITABLE, deviates, trigger
from margrave.errors import Fatal, Transient
from margrave.lanes import Words
from margrave.messages import ChainState, Epoch, Hold, MarketHalt, Report, ReportRow, Scores
from margrave.mirror.limits import Judged
from margrave.settings import Settings
from margrave.verdicts import HoldReason, MarketStatus, SkipReason, Trigger

BLOCK: Final = 64
"""A report covers one block of this many consecutive ids, whole. Members sign on their own, and only reports of the
same markets make a quorum: which ids a report covers must not depend on figures that differ in the last place."""
MAX_CHAIN_AHEAD_S: Final = 60.0
"""Of wall-clock time. A chain behind us may only be quiet; a chain ahead of us means that our clock is slow."""
ABSTAIN: Final = Words(risk=0, market=0)
URGENCY: Final = (Trigger.EMERGENCY, Trigger.FIRST, Trigger.DEVIATION, Trigger.HEARTBEAT, Trigger.EARLY_RIDER)
"""Most urgent first; all but the last justify a transaction by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One market id: what this node would sign for it, and why; without a trigger that is to abstain."""

    name: str
    trigger: Trigger | None = None
    fresh: Words | None = None
    """This node's figures, if it has any."""
    judged: Judged | None = None
    """What the contract would make of them."""
    wanted: bool = False
    """Whether they lie beyond a deviation, taken whole."""

    @property
    def words(self) -> Words:
        return ABSTAIN if self.fresh is None or self.trigger is None else self.fresh


def decide(scores: Scores, state: ChainState, settings: Settings, now_ms: int) -> Report | Hold:
    """What this node is willing to sign for the round, or the reason to sign nothing.

    The rules are those of the epoch that binds the round. A market without scores, and one that is neither due nor
    early, gets zero words: the contract skips it. A report of early markets only is not `due`: it is signed for those
    who find it so, and not published by this node.

    Raises:
        Fatal: the chain's model set or period is not this node's.
        Transient: the settings that the endpoint tells are not those that its policy digest names.
    """
    epoch = state.binding(scores.round)
    if (hold := _other_rules(scores, state, epoch, settings)) is not None:
        return hold
    if (hold := _untimely(scores, state, epoch, settings, now_ms)) is not None:
        return hold
    candidates = _grouped(_candidates(scores, state, epoch, settings), epoch)
    wanted = [
        (URGENCY.index(c.trigger), state.markets[i].observed_at_s, i)
        for i, c in enumerate(candidates)
        if c.trigger is not None
    ]
    if not wanted:
        return _nothing_due(scores, candidates, state, epoch, settings)
    *_, most_urgent = min(wanted)
    block = next(block for block in blocks(epoch) if most_urgent in block)
    halts = (_halt(i, candidates[i], state, epoch) for i in block)
    return Report(
        round=scores.round,
        epoch=epoch.number,
        first_market=block.start,
        model_set=epoch.model_set,
        policy_digest=epoch.policy_digest,
        rows=tuple(_row(i, candidates[i]) for i in block),
        halts=tuple(halt for halt in halts if halt is not None),
        due=candidates[most_urgent].trigger is not Trigger.EARLY_RIDER,
    )


def blocks(epoch: Epoch) -> Iterator[range]:
    """The ids of an epoch's markets in blocks of `BLOCK`, longer only where a group would be cut in two."""
    first = 0
    for end in range(1, epoch.markets + 1):
        group = epoch.group_of[end - 1]
        within = end < epoch.markets and group != 0 and epoch.group_of[end] == group
        if end == epoch.markets or (end - first >= BLOCK and not within):
            yield range(first, end)
            first = end


def _row(market_id: int, candidate: _Candidate) -> ReportRow:
    return ReportRow(
        market=candidate.name,
        market_id=market_id,
        trigger=candidate.trigger,
        words=candidate.words,
    )


def _halt(market_id: int, candidate: _Candidate, state: ChainState, epoch: Epoch) -> MarketHalt | None:
    if candidate.trigger is None or candidate.judged is None or candidate.judged.halt is None:
        return None
    old, policy = state.markets[market_id].words, epoch.limits_of(market_id)
    return limits.halt(candidate.name, candidate.judged.halt, old, candidate.words, policy)


def _candidates(scores: Scores, state: ChainState, epoch: Epoch, settings: Settings) -> list[_Candidate]:
    """By id, of all markets that the epoch lists; of those that markets.toml does not know this node abstains."""
    words = {m.market: m.words for m in scores.markets}
    names = {market.id: name for name, market in settings.markets.items()}
    observed_at_s = scores.round * settings.policy.round.period_s
    found = []
    for id_ in range(epoch.markets):
        name, onchain = names.get(id_, f"market {id_}"), state.markets[id_]
        fresh = words.get(name)
        if fresh is None:
            found.append(_Candidate(name=name))
            continue
        judged = limits.foresee(onchain, fresh, epoch, id_, observed_at_s)
        found.append(
            _Candidate(
                name=name,
                trigger=trigger(onchain, fresh, judged, observed_at_s, settings.policy.round),
                fresh=fresh,
                judged=judged,
                wanted=deviates(onchain, fresh, settings.policy.round),
            )
        )
    return found


def _grouped(candidates: Sequence[_Candidate], epoch: Epoch) -> list[_Candidate]:
    """Markets of a group are written all or none: one that is due takes the others along, and where one cannot be
    written none of them calls for a transaction."""
    grouped = list(candidates)
    for group in sorted(set(epoch.group_of) - {0}):
        ids = [i for i, other in enumerate(epoch.group_of) if other == group]
        if any(grouped[i].trigger is not None for i in ids):
            whole = all((judged := grouped[i].judged) is not None and judged.skip is None for i in ids)
            for i in ids:
                grouped[i] = _taken_along(grouped[i], whole=whole)
    return grouped


def _taken_along(candidate: _Candidate, *, whole: bool) -> _Candidate:
    if candidate.judged is None or candidate.judged.skip in UNWRITABLE:
        return candidate
    return candidate if whole and candidate.trigger is not None else replace(candidate, trigger=Trigger.EARLY_RIDER)


def _nothing_due(
    scores: Scores, candidates: Sequence[_Candidate], state: ChainState, epoch: Epoch, settings: Settings
) -> Hold:
    """Why not: nobody can see, nothing can be written, all is written, or nothing has moved; never one for another."""
    if not scores.markets:
        return _nothing_seen(scores, settings)
    seen = [c for c in candidates if c.judged is not None]
    skips = {c.judged.skip for c in seen if c.judged is not None}
    if skips == {SkipReason.NOT_NEWER}:
        return Hold(round=scores.round, reason=HoldReason.ALREADY_PUBLISHED, detail="the chain holds this round")
    if skips == {SkipReason.HALTED}:
        detail = "every market that can be scored is halted: governance must resume it"
        return Hold(round=scores.round, reason=HoldReason.WITHIN_BAND, detail=detail)
    if skips <= UNWRITABLE and SkipReason.TOO_SOON in skips:
        detail = f"every market was written less than {epoch.timing.min_interval} s before"
        return Hold(round=scores.round, reason=HoldReason.TOO_SOON, detail=detail)
    if skips <= UNWRITABLE | {SkipReason.LOW_CONFIDENCE} and SkipReason.LOW_CONFIDENCE in skips:
        detail = "no figure is trusted as much as governance asks: the contract would skip it"
        return Hold(round=scores.round, reason=HoldReason.LOW_CONFIDENCE, detail=detail)
    if epoch.paused and any(c.wanted for c in seen):
        detail = "the guardian has paused loosening, and nothing tightens beyond its deviation"
        return Hold(round=scores.round, reason=HoldReason.PAUSED, detail=detail)
    observed_at_s = scores.round * settings.policy.round.period_s
    stored = (
        market
        for market, c in zip(state.markets, candidates, strict=False)
        if c.judged is not None and market.status is not MarketStatus.HALTED
    )
    waited_s = max(observed_at_s - market.observed_at_s for market in stored)
    left_s = max(settings.policy.round.heartbeat_s - waited_s, 0)
    detail = f"no lane moved beyond its deviation; the heartbeat is due in {left_s} s"
    return Hold(round=scores.round, reason=HoldReason.WITHIN_BAND, detail=detail)


def _nothing_seen(scores: Scores, settings: Settings) -> Hold:
    holds = sorted(scores.holds, key=lambda hold: settings.markets[hold.market].id)
    if not holds:
        return Hold(round=scores.round, reason=HoldReason.TOO_FEW_SOURCES, detail="no market was judged")
    detail = "; ".join(f"{hold.market}: {hold.detail}" for hold in holds)
    return Hold(round=scores.round, reason=holds[0].reason, detail=detail)


def _untimely(scores: Scores, state: ChainState, epoch: Epoch, settings: Settings, now_ms: int) -> Hold | None:
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
    if late_s > epoch.timing.max_report_age:
        detail = f"the round began {late_s:.0f} s ago, {epoch.timing.max_report_age} s allowed"
        return Hold(round=scores.round, reason=HoldReason.DEADLINE, detail=detail)
    return None


def _other_rules(scores: Scores, state: ChainState, epoch: Epoch, settings: Settings) -> Hold | None:
    """Whether the rules that bind the round are this node's: its models, its period, and no looser limits."""
    if settings.policy.round.period_s != state.period_s:
        raise Fatal(
            f"the chain's rounds last {state.period_s} s, policy.toml says {settings.policy.round.period_s} s",
            advice="take governance's policy.toml",
        )
    if limits.policy_digest(epoch) != epoch.policy_digest:
        raise Transient(
            f"the settings told of epoch {epoch.number} do not make policy 0x{epoch.policy_digest.hex()[:16]}…",
            advice="another RPC endpoint: this one does not tell what the chain holds",
        )
    if scores.model_set != epoch.model_set:
        following = state.next_epoch
        if following is not None and following is not epoch and following.model_set == scores.model_set:
            detail = f"this node's models are approved from round {state.next_from_round} on"
            return Hold(round=scores.round, reason=HoldReason.LATER_EPOCH, detail=detail)
        raise Fatal(
            f"the chain approves model set 0x{epoch.model_set.hex()[:16]}…, this node runs "
            f"0x{scores.model_set.hex()[:16]}…",
            advice="install the approved models (models/registry) and name them in [models] of policy.toml",
        )
    if said := list(limits.looser(settings.policy, epoch)):
        more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
        detail = f"the chain is looser than policy.toml: {said[0]}{more}: take governance's file"
        return Hold(round=scores.round, reason=HoldReason.LOOSER_POLICY, detail=detail)
    return None
