"""What `margrave check` says of the chain's rules, now and after a change that is pending."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from margrave.chain.history import Publication, Refolded
from margrave.collect.board import SourceHealth
from margrave.messages import ChainState
from margrave.operate import check
from margrave.operate.check import Check, Finding, heard
from margrave.verdicts import ReportKind, Verdict
from tests.unit.decide.sample import MODEL_SET, ROUND, epoch_of, onchain, settings_of, state_of

TWO = settings_of()
NOW = state_of(onchain(), onchain())
TIMING = epoch_of(2).timing
LOOSER = epoch_of(2, number=2, timing=dataclasses.replace(TIMING, max_report_age=1_000))


def pending(**changes: object) -> ChainState:
    return msgspec.structs.replace(NOW, next_epoch=epoch_of(2, number=2, **changes), next_from_round=ROUND + 5)


def asked(state: ChainState, what: str) -> dict[str, Finding]:
    checking = Check(Path("node.toml"))
    match what:
        case "epochs":
            checking._epochs(state)
        case "policy":
            checking._policy(TWO, state)
        case "models":
            checking._model_set(MODEL_SET, state)
    return {finding.check: finding for finding in checking.findings}


def test_the_epoch_in_force_and_the_one_to_come_are_told() -> None:
    told = asked(pending(quorum=3, members=("0x1", "0x2", "0x3", "0x4"), kind=ReportKind.CO_SIGNED), "epochs")
    assert told["chain"].found == "epoch 1, own words, quorum 1 of 1"
    assert told["next epoch"].found == f"2 from round {ROUND + 5}, co signed, quorum 3 of 4"


def test_a_pause_is_told_and_is_no_reason_not_to_run() -> None:
    told = asked(state_of(onchain(), onchain(), rules=epoch_of(2, paused=True)), "epochs")
    assert told["pause"].verdict is Verdict.WARN


def test_the_chains_own_policy_is_good_and_a_tighter_one_too() -> None:
    assert asked(NOW, "policy")["policy"].verdict is Verdict.OK
    tighter = epoch_of(2, timing=dataclasses.replace(TIMING, max_skew=0), paused=True)
    assert asked(state_of(onchain(), onchain(), rules=tighter), "policy")["policy"].verdict is Verdict.OK


def test_a_looser_policy_is_named_also_while_it_is_pending() -> None:
    now = asked(state_of(onchain(), onchain(), rules=LOOSER), "policy")["policy"]
    assert (now.verdict, now.advice) == (Verdict.FAIL, "take governance's file")
    assert "reports may be 1000 s old, 900 s agreed" in now.found
    later = asked(msgspec.structs.replace(NOW, next_epoch=LOOSER, next_from_round=ROUND + 5), "policy")
    assert (later["policy"].verdict, later["policy of epoch 2"].verdict) == (Verdict.OK, Verdict.FAIL)


def test_settings_that_do_not_make_their_digest_are_not_believed() -> None:
    told = asked(state_of(onchain(), onchain(), rules=epoch_of(2, policy_digest=b"\x01" * 32)), "policy")
    assert told["policy"].verdict is Verdict.FAIL


def test_another_number_of_markets_and_another_period_are_told() -> None:
    told = asked(state_of(onchain(), onchain(), onchain(), period_s=600), "policy")
    assert told["markets"].found == "2 in markets.toml, 3 on chain"
    assert told["period"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("state", "verdicts"),
    [
        (NOW, {"model set": Verdict.OK}),
        (pending(), {"model set": Verdict.OK}),
        (pending(model_set=bytes(32)), {"model set": Verdict.OK, "next models": Verdict.WARN}),
        (
            msgspec.structs.replace(pending(), epoch=epoch_of(2, model_set=bytes(32))),
            {"model set": Verdict.WARN},
        ),
        (state_of(onchain(), onchain(), rules=epoch_of(2, model_set=bytes(32))), {"model set": Verdict.FAIL}),
    ],
)
def test_models_are_compared_with_what_is_approved_now_and_next(
    state: ChainState, verdicts: dict[str, Verdict]
) -> None:
    assert {name: finding.verdict for name, finding in asked(state, "models").items()} == verdicts


@pytest.mark.parametrize(
    ("refolded", "verdict", "found"),
    [
        (Refolded(0, 0, None, ends_at_head=True), Verdict.OK, "nothing was published"),
        (Refolded(9, 0, None, ends_at_head=True), Verdict.OK, "9 publications"),
        (Refolded(9, 2, None, ends_at_head=True), Verdict.OK, "2 went through another contract"),
        (Refolded(9, 0, None, ends_at_head=False), Verdict.FAIL, "is not the oracle's"),
        (
            Refolded(9, 0, Publication(77, 1_234, "0xaa", bytes(20)), ends_at_head=False),
            Verdict.FAIL,
            "block 1234: round 77 does not give the hash that it announced",
        ),
    ],
)
async def test_what_comes_of_folding_the_history_again_is_told(
    monkeypatch: pytest.MonkeyPatch, refolded: Refolded, verdict: Verdict, found: str
) -> None:
    class Told:
        def __init__(self, *_: object) -> None: ...

        async def refold(self, *_: object) -> Refolded:
            return refolded

    monkeypatch.setattr(check, "History", Told)
    checking = Check(Path("node.toml"))
    await checking._history(None, None, TWO, NOW)  # type: ignore[arg-type]
    (finding,) = checking.findings
    assert finding.verdict is verdict
    assert found in finding.found


def test_a_layer_of_the_guard_that_is_off_is_no_node_to_run() -> None:
    guard = TWO.policy.guard
    off = guard.model_copy(update={"layers": guard.layers.model_copy(update={"breaker": False})})
    lame = TWO.model_copy(update={"policy": TWO.policy.model_copy(update={"guard": off})})
    found = {}
    for name, settings in (("whole", TWO), ("lame", lame)):
        checking = Check(Path("node.toml"))
        checking._guard(settings)
        (found[name],) = checking.findings
    assert found["whole"].verdict is Verdict.OK
    assert found["lame"].verdict is Verdict.FAIL
    assert found["lame"].found == "layers are off: breaker"


@pytest.mark.parametrize(
    ("skew_ms", "verdict", "said"),
    [
        (None, Verdict.OK, "3 readings, 1 refused"),
        (250, Verdict.OK, "0.2 s old at the newest"),
        (-4_000, Verdict.OK, "0.0 s old at the newest"),
        (-600_000, Verdict.WARN, "600.0 s ahead of ours"),
        (600_000, Verdict.WARN, "younger than 600.0 s"),
    ],
)
def test_a_venue_whose_clock_is_off_is_named(skew_ms: int | None, verdict: Verdict, said: str) -> None:
    found = heard(SourceHealth(readings=3, refusals=1, skew_ms=skew_ms))
    assert found[0] is verdict
    assert said in found[1]
    assert bool(found[2]) is (verdict is Verdict.WARN)
