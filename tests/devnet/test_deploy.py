"""Deploying and handing over on real chains: whatever stops it, whoever looks at it, and what is left to whom."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from eth_account import Account

from margrave.chain import sender as sender_module
from margrave.chain.deploy import Deployment
from margrave.chain.deployment.blueprint import FACTORY, Blueprint, Step, calldata
from margrave.chain.deployment.check import Finding, check
from margrave.chain.deployment.plan import PROPOSER, TIMELOCK_ADMIN, plan
from margrave.chain.deployment.record import Record, Sent
from margrave.chain.deployment.roles import Role
from margrave.chain.deployment.run import begin, dry_run, run
from margrave.chain.sender import Sender
from margrave.errors import Fatal
from margrave.lab.bench.chain import local_chain
from margrave.settings import PROJECT_ROOT
from margrave.verdicts import Verdict
from tests.devnet.governed import DEPLOYER_KEY, NETWORK, wanted

pytestmark = pytest.mark.devnet
DEPLOYER = Account.from_key(DEPLOYER_KEY).address


class KilledError(Exception):
    """Stands for a kill: nothing after it is run."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_chain() as where:
        yield where


@pytest.fixture
def sender(url: str) -> Sender:
    return Sender(url, DEPLOYER_KEY)


@pytest.fixture
def salt(request: pytest.FixtureRequest) -> bytes:
    """Every test its own deployment on the one chain."""
    return str(request.node.name).encode()[-32:].rjust(32, b"-")


def begun(sender: Sender, salt: bytes) -> tuple[Blueprint, Record]:
    whole = wanted(DEPLOYER)
    assert whole.governance is not None
    blueprint = plan(whole, salt)
    return blueprint, begin("local", sender, blueprint, whole.governance.powers())


def silent(_: object) -> None:
    pass


def bad(findings: list[Finding]) -> set[str]:
    return {finding.what for finding in findings if finding.verdict is Verdict.FAIL}


# --- the dry run ----------------------------------------------------------------------------------------------------


def test_the_dry_run_says_every_transaction_that_is_then_sent_and_sends_none(
    sender: Sender, salt: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint, record = begun(sender, salt)
    said: list[str] = []
    before = nonce(sender)
    assert dry_run(sender, blueprint, said.append) == len(blueprint.steps)
    assert nonce(sender) == before
    foretold = [
        (to.split()[-1], bytes.fromhex(data.split()[-1][2:])) for to, data in zip(said[1::3], said[2::3], strict=True)
    ]
    sent: list[tuple[str, bytes]] = []
    really = sender.send_data

    def watched(name: str, to: str, data: bytes, **others: object) -> object:
        sent.append((to, data))
        return really(name, to, data, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(sender, "send_data", watched)
    run(sender, blueprint, record, keep=silent, say=silent)
    assert sent == foretold
    assert nonce(sender) == before + len(sent)
    said.clear()
    assert dry_run(sender, blueprint, said.append) == 0


# --- whatever stops it ----------------------------------------------------------------------------------------------


def test_killed_around_every_transaction_it_goes_on_and_sends_none_twice(
    sender: Sender, salt: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"
    blueprint, record = begun(sender, salt)
    record.write(path)
    before = nonce(sender)
    killed: set[str] = set()

    def keep(now: Record) -> None:
        last = now.transactions[-1] if now.transactions else None
        if last is None or last.step in killed:
            now.write(path)
            return
        # A third of the steps each: before the journal names it, before it is sent, before the journal calls it mined.
        moment = len(killed) % 3
        if (last.block is not None) == (moment == 2):
            killed.add(last.step)
            if moment == 1:
                now.write(path)
            raise KilledError
        now.write(path)

    while not Record.read(path).complete:
        with suppress(KilledError):
            run(sender, blueprint, Record.read(path), keep=keep, say=silent)
    assert len(killed) == len(blueprint.steps)
    assert nonce(sender) == before + len(blueprint.steps)
    record = Record.read(path)
    assert [sent.step for sent in record.transactions] == [step.title for step in blueprint.steps]
    assert not bad(check(record, sender))


def test_a_transaction_that_is_still_on_its_way_is_waited_for_and_not_sent_again(
    sender: Sender, salt: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint, record = begun(sender, salt)
    kept = [record]
    before = nonce(sender)
    monkeypatch.setattr(sender_module, "RECEIPT_TIMEOUT_S", 0.3)
    sender.request("evm_setAutomine", [False])
    try:
        with pytest.raises(Fatal, match="is not mined"):
            run(sender, blueprint, record, keep=kept.append, say=silent)
        with pytest.raises(Fatal, match="is not mined"):
            run(sender, blueprint, kept[-1], keep=kept.append, say=silent)
    finally:
        sender.request("evm_setAutomine", [True])
        sender.request("evm_mine", [])
    done = run(sender, blueprint, kept[-1], keep=kept.append, say=silent)
    assert done.complete
    assert nonce(sender) == before + len(blueprint.steps)


def test_a_step_that_somebody_else_took_is_recognised(sender: Sender, salt: bytes) -> None:
    blueprint, record = begun(sender, salt)
    first = blueprint.steps[0]
    stranger = Sender(sender.url, "0x" + "5e" * 32)
    sender.request("anvil_setBalance", [stranger.address, hex(10**18)])
    stranger.send_data("front-run", first.to, first.data)
    said: list[str] = []
    done = run(sender, blueprint, record, keep=silent, say=said.append)
    assert "already" in said[0]
    assert not bad(check(done, sender))


def test_another_plan_deployer_or_chain_does_not_go_on_with_it(sender: Sender, salt: bytes) -> None:
    blueprint, record = begun(sender, salt)
    other = plan(wanted(DEPLOYER, rings=(4, 4)), salt)
    with pytest.raises(Fatal, match="begun with plan"):
        run(sender, other, record, keep=silent, say=silent)
    with pytest.raises(Fatal, match="begun with deployer"):
        run(Sender(sender.url, "0x" + "5e" * 32), blueprint, record, keep=silent, say=silent)
    with pytest.raises(Fatal, match="begun with chain"):
        run(sender, blueprint, msgspec.structs.replace(record, chain_id=1), keep=silent, say=silent)


def test_a_chain_without_the_deployment_proxy_says_so(salt: bytes) -> None:
    with local_chain() as url:
        sender = Sender(url, DEPLOYER_KEY)
        blueprint, record = begun(sender, salt)
        sender.request("anvil_setCode", [FACTORY, "0x"])
        with pytest.raises(Fatal, match="no deterministic deployment proxy"):
            run(sender, blueprint, record, keep=silent, say=silent)


def test_a_step_that_the_chain_refuses_is_one_fatal_line(sender: Sender, salt: bytes) -> None:
    blueprint, record = begun(sender, salt)
    stranger = Sender(sender.url, "0x" + "5f" * 32)
    sender.request("anvil_setBalance", [stranger.address, hex(10**18)])
    mine = plan(wanted(stranger.address), salt)
    theirs = Step("connect as nobody", mine.contracts["registry"].address, b"\x00\x00\x00\x00", lambda _: False)
    mine.steps = [*mine.steps[:2], theirs]
    with pytest.raises(Fatal, match="refused connect as nobody"):
        run(stranger, mine, begin("x", stranger, mine, record.powers), keep=silent, say=silent)
    assert blueprint.digest() != mine.digest()


# --- what is left in whose hands ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handed_over(url: str) -> Record:
    sender = Sender(url, DEPLOYER_KEY)
    blueprint, record = begun(sender, b"handed over".rjust(32))
    return run(sender, blueprint, record, keep=silent, say=silent)


def test_after_the_hand_over_every_finding_is_good_but_for_the_mock(handed_over: Record, sender: Sender) -> None:
    findings = check(handed_over, sender)
    assert not bad(findings)
    assert [x.what for x in findings if x.verdict is Verdict.WARN] == ["collateral"]
    assert len(findings) > 60
    assert Deployment.of(handed_over).oracle == handed_over.address("oracle")


@pytest.mark.parametrize(
    ("without", "found"),
    [
        ("the deployer gives up the access manager", "role ADMIN"),
        ("the deployer gives up the timelock", "timelock admin"),
        ("timelock: the governor proposes", "timelock proposer"),
        ("the guardian may cancel what waits", "who may cancel for GOVERNOR_SLOW"),
        ("registry: pause", "functions of registry"),
    ],
)
def test_a_hand_over_that_lacks_a_step_is_found(url: str, without: str, found: str) -> None:
    sender = Sender(url, DEPLOYER_KEY)
    blueprint, _ = begun(sender, without.encode()[-32:].rjust(32))
    blueprint.steps = [step for step in blueprint.steps if not step.title.startswith(without)]
    whole = wanted(DEPLOYER)
    assert whole.governance is not None
    record = begin("local", sender, blueprint, whole.governance.powers())
    assert found in bad(check(run(sender, blueprint, record, keep=silent, say=silent), sender))


def test_a_power_that_somebody_was_given_besides_is_found(url: str) -> None:
    sender = Sender(url, DEPLOYER_KEY)
    blueprint, _ = begun(sender, b"besides".rjust(32))
    authority, timelock = blueprint.contracts["authority"], blueprint.contracts["timelock"]
    blueprint.steps = [step for step in blueprint.steps if "gives up" not in step.title]
    whole = wanted(DEPLOYER)
    assert whole.governance is not None
    record = run(sender, blueprint, begin("x", sender, blueprint, whole.governance.powers()), keep=silent, say=silent)
    manager, waits = sender.at("AccessManager", authority.address), sender.at("TimelockController", timelock.address)
    sender.send(manager.functions.grantRole(Role.GOVERNOR.value, DEPLOYER, 0))
    sender.send(manager.functions.grantRole(77, DEPLOYER, 0))
    sender.send(manager.functions.setTargetFunctionRole(record.address("engine"), [b"\x01\x02\x03\x04"], 77))
    sender.send(waits.functions.grantRole(b"\x07" * 32, DEPLOYER))
    sender.send(manager.functions.setTargetClosed(record.address("oracle"), True))
    # Two that show only later: an operation left in the queue, and a shorter delay that comes into force by itself.
    sender.send(waits.functions.grantRole(PROPOSER, DEPLOYER))
    grant = calldata("TimelockController", "grantRole", (PROPOSER, DEPLOYER))
    sender.send(waits.functions.schedule(timelock.address, 0, grant, bytes(32), bytes(32), 2 * 86_400))
    sender.send(waits.functions.revokeRole(PROPOSER, DEPLOYER))
    sender.send(manager.functions.grantRole(Role.GOVERNOR_SLOW.value, timelock.address, 0))
    last = sender.send(manager.functions.renounceRole(0, DEPLOYER))
    record.transactions.append(Sent(step="x", hash="0x", block=last["blockNumber"]))
    sender.send(waits.functions.renounceRole(TIMELOCK_ADMIN, DEPLOYER))
    assert bad(check(record, sender)) == {
        "role GOVERNOR",
        "other roles",
        "other functions",
        "other roles of the timelock",
        "left in the timelock's queue",
        "role GOVERNOR_SLOW",
        "oracle is open",
    }


def test_code_that_is_not_the_committed_one_is_found(handed_over: Record, sender: Sender) -> None:
    engine = handed_over.contracts["engine"]
    elsewhere = msgspec.structs.replace(engine, address=handed_over.address("oracle"))
    moved = msgspec.structs.replace(handed_over, contracts={**handed_over.contracts, "engine": elsewhere})
    assert bad(check(moved, sender)) == {"code of engine"}
    argued = msgspec.structs.replace(engine, arguments="0x" + "00" * 32)
    other = msgspec.structs.replace(handed_over, contracts={**handed_over.contracts, "engine": argued})
    assert bad(check(other, sender)) == {"code of engine"}
    desk = msgspec.structs.replace(handed_over.contracts["desk"], address=DEPLOYER)
    stolen = msgspec.structs.replace(handed_over, contracts={**handed_over.contracts, "desk": desk})
    assert bad(check(stolen, sender)) == {"code of desk"}
    assert bad(check(msgspec.structs.replace(handed_over, chain_id=1), sender)) == {"chain"}


def test_an_unfinished_deployment_and_one_for_development_are_said_to_be_that(sender: Sender, salt: bytes) -> None:
    blueprint, record = begun(sender, salt)
    found = bad(check(record, sender))
    assert "record" in found
    assert "code of oracle" in found
    with pytest.raises(Fatal, match="is not complete"):
        Deployment.of(record)
    quick = plan(wanted(DEPLOYER, governance=None), salt)
    mine = run(sender, quick, begin("mine", sender, quick, None), keep=silent, say=silent)
    assert bad(check(mine, sender)) == {"governance"}
    assert len(quick.steps) < len(blueprint.steps)


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_plans_without_a_trace_is_killed_for_good_goes_on_and_is_checked_without_a_key(
    tmp_path: Path,
) -> None:
    file = tmp_path / "local.json"
    with local_chain() as url:
        planned = run_command("plan", str(NETWORK), "--rpc", url, "--deployer", DEPLOYER)
        assert planned.returncode == 0, planned.stderr
        assert "transactions to send; nothing was sent" in planned.stdout
        assert not NETWORK.with_suffix(".json").exists()
        arguments = ["run", str(NETWORK), "--rpc", url, *key(tmp_path), "--file", str(file)]
        for stop_at in (3, 21):
            with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True, env=environment()) as process:
                assert process.stdout is not None
                for said in process.stdout:
                    if re.match(rf" *{stop_at} of ", said):
                        process.kill()
                        break
                assert process.wait() == -9
        done = run_command(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "already" in done.stdout
        assert "findings are good" in done.stdout
        record = Record.read(file)
        assert nonce(Sender(url, DEPLOYER_KEY)) == len(record.transactions)
        assert "create feed_ETH_price" in done.stdout
        for made in (*record.contracts.values(), *record.adapters.values()):
            assert made.address in planned.stdout
        assert "complete already" in run_command(*arguments).stdout
        checked = run_command("check", str(file), "--rpc", url)
        assert checked.returncode == 0, checked.stdout
        engine = msgspec.structs.replace(record.contracts["engine"], address=DEPLOYER)
        msgspec.structs.replace(record, contracts={**record.contracts, "engine": engine}).write(file)
        forged = run_command("check", str(file), "--rpc", url)
        assert forged.returncode == 1
        assert "fail  code of engine" in forged.stdout


def test_a_network_file_for_another_chain_stops_the_command() -> None:
    with local_chain(chain_id=5) as url:
        wrong = run_command("plan", str(NETWORK), "--rpc", url, "--deployer", DEPLOYER)
    assert wrong.returncode == 2
    assert "is for chain 31337, this is 5" in wrong.stderr


def nonce(sender: Sender) -> int:
    return int(str(sender.request("eth_getTransactionCount", [DEPLOYER, "latest"])), 16)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT_ROOT / "node"), "PYTHONUNBUFFERED": "1"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "margrave.chain.deployment", *arguments]


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, env=environment())


def key(folder: Path) -> list[str]:
    """The deployer's key as the command wants it."""
    keystore, passphrase = folder / "key.json", folder / "passphrase"
    keystore.write_text(
        json.dumps(Account.encrypt(bytes.fromhex(DEPLOYER_KEY[2:]), "secret", kdf="pbkdf2", iterations=1))
    )
    passphrase.write_text("secret")
    keystore.chmod(0o600)
    passphrase.chmod(0o600)
    return ["--keystore", str(keystore), "--passphrase-file", str(passphrase)]
