"""Account multipliers from a file over members' keystores to the chain, by the verbs that operators have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from eth_account import Account
from typer.testing import CliRunner
from web3 import Web3

from margrave.chain.signer import KeystoreSigner
from margrave.cli import app
from margrave.errors import MargraveError
from margrave.lab.bench.chain import local_chain
from margrave.operate.init import Plan, configure
from margrave.operate.multiplier_quorum import Signed
from tests.devnet.governed import DEPLOYER_KEY, PERIOD_S, Chain, deployed, nonce

pytestmark = pytest.mark.devnet
ONE, TWO = (Web3.to_checksum_address("0x" + pair * 20) for pair in ("a1", "b2"))


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with local_chain() as url:
        yield deployed(url, b"multipliers")


@dataclass(frozen=True)
class Members:
    """The committee's folders, one a member, and one of a stranger: numbers are private keys."""

    chain: Chain
    folder: Path

    def node(self, number: int, *, house: str | None = None, oracle: str | None = None) -> Path:
        home = self.folder / str(number)
        if not home.exists():
            home.mkdir()
            key_of(number.to_bytes(32, "big"), home)
        house = house or self.chain.record.address("clearinghouse")
        oracle = oracle or self.chain.record.address("oracle")
        configure(home, Plan(name=str(number), rpc=(self.chain.url,), oracle=oracle, clearinghouse=house))
        return home / "node.toml"

    def wish(self, name: str, at_s: int, multipliers: dict[str, float]) -> Path:
        path = self.folder / f"{name}.toml"
        until = f"{datetime.fromtimestamp(at_s + 3_600, UTC):%Y-%m-%dT%H:%M:%SZ}"
        rows = [f'"{account}" = {{ multiplier = {x}, until = {until} }}' for account, x in multipliers.items()]
        at = f"at = {datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
        path.write_text("\n".join([at, "[accounts]", *rows]))
        return path

    def say(self, *arguments: object) -> str:
        """What the verb says, the line of its refusal included."""
        ran = CliRunner().invoke(app, ["multipliers", *map(str, arguments)])
        assert ran.exception is None or isinstance(ran.exception, MargraveError | SystemExit), ran.exception
        return ran.output + str(ran.exception or "")

    def sign(self, number: int, wish: Path) -> Path:
        assert "hand it to whoever publishes" in self.say("sign", wish, "-c", self.node(number))
        return wish.with_name(f"{wish.stem}.{Account.from_key(number.to_bytes(32, 'big')).address}.json")

    def payer(self) -> list[object]:
        home = self.folder / "payer"
        if not home.exists():
            home.mkdir()
            key_of(bytes.fromhex(DEPLOYER_KEY[2:]), home)
        return ["--keystore", home / "keystore.json", "--passphrase-file", home / "passphrase"]

    def multiplier(self, account: str) -> int:
        return int(self.chain.account_risk.functions.multiplierOf(account).call())


def key_of(private_key: bytes, home: Path) -> None:
    keystore, passphrase = home / "keystore.json", home / "passphrase"
    keystore.write_text(json.dumps(Account.encrypt(private_key, "secret", kdf="pbkdf2", iterations=1)))
    passphrase.write_text("secret")
    keystore.chmod(0o600)
    passphrase.chmod(0o600)


@pytest.fixture
def members(chain: Chain, tmp_path: Path) -> Members:
    return Members(chain, tmp_path)


def test_a_file_is_signed_by_a_quorum_and_published_in_one_transaction_and_never_again(members: Members) -> None:
    chain = members.chain
    at_s = (chain.anybody.now_s() // PERIOD_S + 2) * PERIOD_S  # a round to come: time to hand signatures around
    wish = members.wish("first", at_s, {TWO: 1.5, ONE: 1.2})
    told = members.say("sign", wish, "-c", members.node(1), "--dry-run")
    assert f"{ONE}  1 -> 1.2" in told
    assert "1 -> 1.25" in told
    assert "nothing was signed" in told
    assert sorted(wish.parent.glob("*.json")) == []
    signed = [members.sign(number, wish) for number in (4, 2, 1)]

    config = ("-c", members.node(1))
    assert "the latest is" in members.say("publish", *signed, *config, "--dry-run")
    chain.move_to(at_s)
    assert "2 members signed, the quorum is 3" in members.say("publish", *signed[:2], signed[0], *config, "--dry-run")
    before = nonce(chain.anybody)
    dry = members.say("publish", *signed, *config, "--dry-run")
    assert "the contract would take it; nothing was sent" in dry
    assert nonce(chain.anybody) == before
    assert "name them both" in members.say("publish", *signed, *config)
    done = members.say("publish", *signed, *config, *members.payer())
    assert "published in 0x" in done
    assert f"{ONE}  holds 1.2 until" in done
    assert nonce(chain.anybody) == before + 1
    assert (members.multiplier(ONE), members.multiplier(TWO)) == (12_000, 12_500)

    for verb in (("publish", *signed, *config, *members.payer()), ("sign", wish, "--dry-run", *config)):
        again = members.say(*verb)
        when = f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%SZ}"
        assert f"holds what was observed at {when}, this report is of {when}" in again
    assert nonce(chain.anybody) == before + 1


def test_what_governance_does_not_allow_is_neither_signed_nor_sent(members: Members) -> None:
    at_s = members.chain.next_round() * PERIOD_S
    for name, multiplier, at, complaint in (
        ("low", 0.9, at_s, "asks for 0.9, below the floor, 1"),
        ("high", 3.5, at_s, "asks for 3.5, above the most, 3"),
        ("between", 1.1, at_s + 7, "is no round's time"),
        ("old", 1.1, at_s - 4 * PERIOD_S, "the contract takes nothing older than"),
        ("far", 1.1, at_s + 400 * PERIOD_S, "the latest is"),
    ):
        assert complaint in members.say("sign", members.wish(name, at, {ONE: multiplier}), "-c", members.node(1))
    assert "is no member of epoch" in members.say("sign", members.wish("good", at_s, {ONE: 1.1}), "-c", members.node(9))
    assert list(members.folder.glob("*.json")) == []


def test_signatures_that_do_not_belong_together_are_not_sent(members: Members) -> None:
    at_s = members.chain.next_round() * PERIOD_S
    wish = members.wish("wish", at_s, {ONE: 1.1})
    one, two, three = [members.sign(number, wish) for number in (1, 2, 3)]
    config = ("-c", members.node(1))

    def publish(third: Signed) -> str:
        third.write(members.folder / "third.json")
        return members.say("publish", one, two, members.folder / "third.json", *config, "--dry-run")

    honest = Signed.read(three)
    other = members.wish("other", at_s, {ONE: 1.3})
    assert "signed entries" in publish(Signed.read(members.sign(3, other)))
    assert "signed chain 5, where it is 31337" in publish(msgspec.structs.replace(honest, chain_id=5))
    assert "signed epoch 99" in publish(msgspec.structs.replace(honest, epoch=99))
    assert "signed round" in publish(msgspec.structs.replace(honest, round=honest.round + 1))
    stranger = KeystoreSigner(Account.from_key((9).to_bytes(32, "big")))
    forged = msgspec.structs.replace(honest, member=stranger.address)
    assert "is no member of epoch" in publish(forged)
    copied = msgspec.structs.replace(honest, signature=Signed.read(two).signature)
    assert f"signed by {Signed.read(two).member}, claims {honest.member}" in publish(copied)
    assert "is not 64 bytes" in publish(msgspec.structs.replace(honest, signature="0xzz"))
    looser = replace(honest.bounds, max_rise_bp=9_999)
    assert "signed bounds Bounds(max_multiplier_bp=30000, max_rise_bp=9999" in publish(
        msgspec.structs.replace(honest, bounds=looser)
    )
    assert "the contract would take it" in publish(honest)


def test_a_contract_that_is_none_or_another_oracle_s_is_one_line(members: Members) -> None:
    wish = members.wish("wish", members.chain.next_round() * PERIOD_S, {ONE: 1.1})
    engine = members.chain.record.address("engine")
    for contract, complaint in ((engine, "no AccountRisk answers at"), (ONE, "no AccountRisk answers at")):
        assert complaint in members.say("sign", wish, "-c", members.node(1), "--contract", contract, "--dry-run")
    assert "no clearinghouse answers" in members.say("sign", wish, "-c", members.node(1, house=ONE), "--dry-run")
    elsewhere = members.say("sign", wish, "-c", members.node(1, oracle=ONE), "--dry-run")
    assert f"the configuration says {ONE}" in elsewhere
    assert members.chain.record.address("oracle") in elsewhere
