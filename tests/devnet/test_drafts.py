"""Proposals as `scripts/deploy draft` writes them: rehearsed, told, voted on, and then as they were told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from typer.testing import CliRunner
from web3 import Web3

from margrave.chain.deployment.__main__ import app
from margrave.chain.deployment.administration import SENTENCES
from margrave.chain.deployment.blueprint import selector
from margrave.chain.deployment.proposal import Draft, draft
from margrave.chain.deployment.roles import Role
from margrave.errors import Fatal
from margrave.lab.bench.chain import local_chain
from margrave.spans import DAY_S
from tests.devnet.governed import Chain, deployed

pytestmark = pytest.mark.devnet
ANYBODY = (1 << 64) - 1
NEW = Web3.to_checksum_address("0x" + "a7" * 20)


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with local_chain() as url:
        yield deployed(url, b"drafts")


@dataclass(frozen=True)
class Desk:
    """Where proposals are drafted and voted through."""

    chain: Chain

    @property
    def guardian(self) -> str:
        assert self.chain.record.powers is not None
        return self.chain.record.powers.guardian

    def ask(self, view: str, *arguments: Any) -> Any:
        return self.chain.at("authority").functions[view](*arguments).call()

    def draft(self, call: str, *arguments: Any) -> Draft:
        key, _, function = call.partition(".")
        salt = keccak(text=str(self.chain.anybody.now_s()))
        return draft(self.chain.record, self.chain.anybody, key, function, arguments, salt)

    def decide(self, drafted: Draft, *, wait_s: int) -> int:
        """Vote it through, wait and execute what waits; gives the time of the execution."""
        description = str(self.chain.anybody.now_s())
        self.chain.vote([x.target for x in drafted.actions], [x.data for x in drafted.actions], description)
        if (later := drafted.later) is not None:
            self.chain.move_to(self.chain.anybody.now_s() + wait_s)
            strokes = (later.target, later.value, later.data, later.predecessor, later.salt)
            self.chain.anybody.send(self.chain.at("timelock").functions.execute(*strokes))
        return self.chain.anybody.now_s()


@pytest.fixture
def desk(chain: Chain) -> Iterator[Desk]:
    """What is voted through holds for one test."""
    before = chain.anybody.request("evm_snapshot", [])
    yield Desk(chain)
    chain.anybody.request("evm_revert", [before])


def test_a_call_of_governance_is_rehearsed_before_anybody_votes(chain: Chain, tmp_path: Path) -> None:
    file = tmp_path / "handed-over.json"
    chain.record.write(file)

    def said(call: str, arguments: str) -> str:
        ran = CliRunner().invoke(app, ["draft", str(file), call, arguments, "why", "--rpc", chain.url])
        assert (ran.exit_code == 0) == (ran.exception is None)
        assert ran.exception is None or isinstance(ran.exception, Fatal)
        return ran.stdout + str(ran.exception or "")

    fast = said("account_risk.clear", f'["{NEW}"]')
    assert "would be done" in fast
    assert chain.record.address("account_risk") in fast
    assert "after the wait" not in fast
    slow = said("registry.setKind", "[1, 0]")
    assert "target 2" in slow
    assert "after the wait" in slow
    assert "effect" not in fast + slow
    own = said("authority.grantRole", json.dumps([Role.GUARDIAN, NEW, 0]))
    assert f"effect      {NEW} gets GUARDIAN with the execution" in own
    assert "after the wait" in own
    for call, arguments, complaint in (
        ("registry.setRings", "[7, [1]]", "cannot be called so"),
        ("registry.setRings", "[7, [1], 0]", "would be refused"),
        ("registry.setEpoch", f'[[], 0, "0x{"11" * 32}", 0]', "would be refused"),
        ("registry.pause", "[]", "governance may not call"),
        ("timelock.updateDelay", "[1]", "not under the access manager"),
        ("nothing.pause", "[]", "has no nothing"),
        ("authority.grantRole", "[2]", "cannot be called so"),
        ("authority.grantRole", json.dumps([ANYBODY, NEW, 0]), "would be refused"),
        ("authority.setRoleAdmin", "[0, 1]", "would be refused"),
        ("authority.labelRole", '[0, "chief"]', "would be refused"),
        ("authority.updateAuthority", json.dumps([chain.record.address("oracle"), NEW]), "would be refused"),
        ("authority.renounceRole", json.dumps([1, NEW]), "needs no vote"),
        ("authority.hasRole", json.dumps([1, NEW]), "needs no vote"),
    ):
        assert complaint in said(call, arguments), call


def test_what_a_call_of_the_access_manager_would_change_is_told_in_sentences(desk: Desk) -> None:
    registry, timelock = desk.chain.record.address("registry"), desk.chain.record.address("timelock")
    guardian, manager = desk.guardian, desk.chain.record.address("authority")
    kind, pause = selector("Registry", "setKind"), selector("Registry", "pause")
    told: dict[tuple[Any, ...], tuple[str, ...]] = {
        ("grantRole", Role.GUARDIAN, NEW, 60): (
            f"{NEW} gets GUARDIAN with the execution; what it then calls waits 60 s.",
            f"scripts/deploy check will report it: it knows GUARDIAN as guardian {guardian}'s alone.",
        ),
        ("grantRole", 77, NEW, 0): (
            f"{NEW} gets role 77 with the execution; what it then calls does not wait.",
            "scripts/deploy check will report it: it knows no such role.",
        ),
        ("grantRole", Role.GOVERNOR_SLOW, timelock, DAY_S): (
            f"timelock {timelock} holds GOVERNOR_SLOW already: its calls wait {DAY_S} s instead of {3 * DAY_S} s, "
            f"from {2 * DAY_S} s after the execution on.",
        ),
        ("grantRole", Role.GUARDIAN, guardian, 0): (
            f"guardian {guardian} holds GUARDIAN already: its calls wait 0 s, as now.",
        ),
        ("revokeRole", Role.GUARDIAN, NEW): (f"{NEW} does not hold GUARDIAN: nothing changes.",),
        ("revokeRole", Role.ADMIN, timelock): (
            f"timelock {timelock} loses ADMIN with the execution.",
            "Unless somebody else holds ADMIN, no role can be given or taken ever again.",
        ),
        ("labelRole", Role.GUARDIAN, "watch"): ("GUARDIAN is called 'watch' in the log; nothing else changes.",),
        ("setRoleAdmin", Role.GUARDIAN, Role.GOVERNOR): ("Who gives and takes GUARDIAN: GOVERNOR instead of ADMIN.",),
        ("setRoleGuardian", Role.GOVERNOR_SLOW, Role.GUARDIAN): (
            "Who may cancel what waits for GOVERNOR_SLOW: GUARDIAN, as now.",
        ),
        ("setGrantDelay", Role.GUARDIAN, DAY_S): (
            f"GUARDIAN: a new holder waits for it {DAY_S} s instead of 0 s, from {5 * DAY_S} s after the execution on.",
        ),
        ("setTargetAdminDelay", registry, 0): (
            f"registry {registry}: a change of its functions' roles, its closing and its authority wait at least 0 s, "
            "as now.",
        ),
        ("setTargetClosed", registry, False): (f"registry {registry} is open already: nothing changes.",),
        ("setTargetClosed", registry, True): (
            f"registry {registry} is closed: its restricted functions refuse everybody, the guardian and votes too.",
        ),
        ("setTargetClosed", manager, True): (
            f"authority {manager} is closed; its calls about itself go on all the same.",
        ),
        ("setTargetFunctionRole", registry, ("0x" + kind.hex(), "0x" + pause.hex()), ANYBODY): (
            "Who may call registry.setKind: everybody instead of GOVERNOR_SLOW.",
            "scripts/deploy check will report setKind: it knows it as GOVERNOR_SLOW's.",
            "Who may call registry.pause: everybody instead of GUARDIAN.",
            "scripts/deploy check will report pause: it knows it as GUARDIAN's.",
        ),
        ("setTargetFunctionRole", NEW, ("0x01020304",), Role.ADMIN): (
            f"Who may call {NEW}.0x01020304: ADMIN, as now.",
        ),
        ("updateAuthority", registry, timelock): (
            f"registry {registry} obeys timelock {timelock} and no longer this access manager, its roles and its "
            "delays.",
        ),
    }
    for (function, *arguments), sentences in told.items():
        assert desk.draft(f"authority.{function}", *arguments).effects == sentences
    assert {function for function, *_ in told} == set(SENTENCES)


def test_a_guardian_is_replaced_by_two_votes_as_their_drafts_foretold(desk: Desk) -> None:
    grant = desk.draft("authority.grantRole", Role.GUARDIAN, NEW, 0)
    assert "gets GUARDIAN with the execution" in grant.effects[0]
    desk.decide(grant, wait_s=3 * DAY_S)
    assert desk.ask("hasRole", Role.GUARDIAN, NEW) == [True, 0]
    revoke = desk.draft("authority.revokeRole", Role.GUARDIAN, desk.guardian)
    assert revoke.effects == (
        f"guardian {desk.guardian} loses GUARDIAN with the execution.",
        "Unless somebody else holds GUARDIAN, nobody can stop anything at once.",
    )
    desk.chain.vote([x.target for x in revoke.actions], [x.data for x in revoke.actions], "goodbye")
    with pytest.raises(Fatal, match="would be refused"):  # the same call is announced already
        desk.draft("authority.revokeRole", Role.GUARDIAN, desk.guardian)
    assert desk.ask("hasRole", Role.GUARDIAN, desk.guardian) == [True, 0]
    later = revoke.later
    assert later is not None
    desk.chain.move_to(desk.chain.anybody.now_s() + 3 * DAY_S)
    strokes = (later.target, later.value, later.data, later.predecessor, later.salt)
    desk.chain.anybody.send(desk.chain.at("timelock").functions.execute(*strokes))
    assert desk.ask("hasRole", Role.GUARDIAN, desk.guardian) == [False, 0]


def test_a_shorter_wait_comes_into_force_when_the_draft_says(desk: Desk) -> None:
    timelock = desk.chain.record.address("timelock")
    shorter = desk.draft("authority.grantRole", Role.GOVERNOR_SLOW, timelock, DAY_S)
    assert f"from {2 * DAY_S} s after the execution on" in shorter.effects[0]
    executed_s = desk.decide(shorter, wait_s=3 * DAY_S)
    assert desk.ask("getAccess", Role.GOVERNOR_SLOW, timelock)[1:] == [3 * DAY_S, DAY_S, executed_s + 2 * DAY_S]
    again = desk.draft("authority.grantRole", Role.GOVERNOR_SLOW, timelock, 3 * DAY_S)
    assert again.effects[1] == f"Its change to {DAY_S} s, on its way now, is overruled."
    desk.chain.move_to(executed_s + 2 * DAY_S)
    assert desk.ask("hasRole", Role.GOVERNOR_SLOW, timelock) == [True, DAY_S]
    # Shorter than the timelock's own two days, which it then waits.
    desk.decide(desk.draft("registry.setKind", 1, 0), wait_s=2 * DAY_S)
    assert desk.chain.registry.functions.current().call()[1][0] == 1


def test_a_contract_s_own_longer_wait_is_kept_by_what_is_drafted_for_it(desk: Desk) -> None:
    """`canCall` answers the role's three days; the access manager itself would refuse before the contract's ten."""
    vault = desk.chain.record.address("vault")
    delayed = desk.draft("authority.setTargetAdminDelay", vault, 10 * DAY_S)
    assert f"from {5 * DAY_S} s after the execution on" in delayed.effects[0]
    executed_s = desk.decide(delayed, wait_s=3 * DAY_S)
    assert desk.ask("getTargetAdminDelay", vault) == 0
    desk.chain.move_to(executed_s + 5 * DAY_S)
    assert desk.ask("getTargetAdminDelay", vault) == 10 * DAY_S
    closing = desk.draft("authority.setTargetClosed", vault, True)
    desk.decide(closing, wait_s=10 * DAY_S)
    assert desk.ask("isTargetClosed", vault)
    with pytest.raises(Fatal, match="governance may not call"):
        desk.draft("vault.unpause")


def test_what_the_governor_s_role_administers_goes_without_a_second_stroke(desk: Desk) -> None:
    desk.decide(desk.draft("authority.setRoleAdmin", 77, Role.GOVERNOR), wait_s=3 * DAY_S)
    given = desk.draft("authority.grantRole", 77, NEW, 0)
    assert given.later is None
    desk.decide(given, wait_s=0)
    assert desk.ask("hasRole", 77, NEW) == [True, 0]
