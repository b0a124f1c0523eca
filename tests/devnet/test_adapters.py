"""Feeds and facades beside a deployment that was handed over: who makes them, what stops him, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from eth_account import Account
from typer.testing import CliRunner
from web3 import Web3

from margrave.chain.deployment.__main__ import app
from margrave.chain.deployment.adapters import FACADE, FEED, FIELDS, Adapters, Facade, Feed, plan_adapters
from margrave.chain.deployment.blueprint import Blueprint, calldata
from margrave.chain.deployment.check import Finding, check
from margrave.chain.deployment.record import Record
from margrave.chain.deployment.run import dry_run, extend
from margrave.chain.sender import Sender
from margrave.errors import Fatal
from margrave.lab.bench.chain import local_chain
from margrave.verdicts import Verdict
from tests.devnet.governed import NETWORK, Chain, deployed, member_keys, nonce

pytestmark = pytest.mark.devnet
STRANGER_KEY = "0x" + "5e" * 32
BTC, ETH = (Web3.to_checksum_address("0x" + digit * 40) for digit in "bc")
WANTED = Adapters(
    feeds=(Feed("BTC", 0, "price"), Feed("ETH", 1, "basis")), facades=(Facade("stewards", {0: BTC, 1: ETH}),)
)


class KilledError(Exception):
    """Stands for a kill: nothing after it is run."""


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with local_chain() as url:
        yield deployed(url, b"adapters")


@pytest.fixture
def stranger(chain: Chain) -> Sender:
    """Somebody with a little money and no role."""
    sender = Sender(chain.url, STRANGER_KEY)
    sender.request("anvil_setBalance", [sender.address, hex(10**18)])
    return sender


def silent(_: object) -> None:
    pass


def beside(record: Record, adapters: Adapters, *, salt: str | None = None) -> Blueprint:
    return plan_adapters(adapters, record.address("oracle"), bytes.fromhex((salt or record.salt)[2:]))


def verdicts(findings: list[Finding], verdict: Verdict) -> dict[str, str]:
    return {finding.what: finding.found for finding in findings if finding.verdict is verdict}


def test_anybody_makes_them_they_say_what_the_oracle_says_and_the_check_says_what_they_are(
    chain: Chain, stranger: Sender
) -> None:
    blueprint = beside(chain.record, WANTED)
    said: list[str] = []
    before = nonce(stranger)
    assert dry_run(stranger, blueprint, said.append) == 3
    assert nonce(stranger) == before
    record = extend(stranger, blueprint, chain.record, keep=silent, say=silent)
    assert nonce(stranger) == before + 3
    assert dry_run(stranger, blueprint, said.append) == 0
    round_ = chain.next_round()
    chain.anybody.send(chain.report(round_, member_keys(range(1, 5))))

    price = stranger.at(FEED, record.adapters["feed_BTC_price"].address).functions
    _, market, *_ = chain.oracle.functions.read(0).call()
    assert price.latestRoundData().call()[:2] == [round_, market >> 192]
    assert (price.description().call(), price.decimals().call()) == ("BTC / USD price", 8)
    facade = stranger.at(FACADE, record.adapters["facade_stewards"].address).functions
    assert tuple(facade.getAllUpdateTypes().call()) == FIELDS
    for name, at in (("price", BTC), ("basis", ETH)):
        update = facade.getLatestUpdateByParameterAndMarket(name, at).call()
        feed = next(feed for feed in WANTED.feeds if feed.field == name)
        answer = stranger.at(FEED, record.adapters[feed.key].address).functions.latestRoundData().call()[1]
        assert int.from_bytes(update[1], "big", signed=True) == answer

    findings = check(record, stranger)
    assert not verdicts(findings, Verdict.FAIL)
    found = verdicts(findings, Verdict.OK)
    assert found["feed_BTC_price"] == "BTC / USD price, 8 decimals, of market 0"
    assert found["facade_stewards"] == f"market 0 as {BTC}, market 1 as {ETH}"
    assert "committed RiskOracleFacade" in found["code of facade_stewards"]


def test_killed_around_every_transaction_it_goes_on_and_sends_none_twice(
    chain: Chain, stranger: Sender, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"
    feeds = tuple(Feed("ETH", 1, field) for field in ("score", "confidence", "contagion"))
    blueprint = beside(chain.record, Adapters(feeds=feeds))
    chain.record.write(path)
    before, killed = nonce(stranger), set()

    def keep(now: Record) -> None:
        last = now.transactions[-1]
        # A third each: before the journal names it, before it is sent, before the journal calls it mined.
        moment = len(killed) % 3
        dies = "create feed_" in last.step and last.step not in killed and (last.block is not None) == (moment == 2)
        if not dies or moment == 1:
            now.write(path)
        if dies:
            killed.add(last.step)
            raise KilledError

    for _ in range(len(feeds) + 1):
        with suppress(KilledError):
            extend(stranger, blueprint, Record.read(path), keep=keep, say=silent)
    assert len(killed) == len(feeds)
    assert nonce(stranger) == before + len(feeds)
    record = Record.read(path)
    assert [sent.step for sent in record.transactions[-len(feeds) :]] == [step.title for step in blueprint.steps]
    assert not verdicts(check(record, stranger), Verdict.FAIL)


def test_more_are_made_later_beside_the_votes_on_their_way_and_the_old_ones_stay(
    chain: Chain, stranger: Sender
) -> None:
    record = extend(stranger, beside(chain.record, WANTED), chain.record, keep=silent, say=silent)
    governor = record.address("governor")
    chain.anybody.request("anvil_impersonateAccount", [governor])
    chain.anybody.request("anvil_setBalance", [governor, hex(10**18)])
    queue = calldata("TimelockController", "schedule", (BTC, 0, b"", bytes(32), bytes(32), 172_800))
    call = {"from": governor, "to": record.address("timelock"), "data": "0x" + queue.hex()}
    sent = chain.anybody.request("eth_sendTransaction", [call])
    assert chain.anybody.receipt(sent)["status"] == 1  # type: ignore[index]

    # A market that a vote lists one day: its feed waits for it, and is no fault.
    later = Adapters(feeds=(*WANTED.feeds, Feed("SOL", 2, "price")))
    record = extend(stranger, beside(record, later), record, keep=silent, say=silent)
    assert set(record.adapters) == {"feed_BTC_price", "feed_ETH_basis", "facade_stewards", "feed_SOL_price"}
    findings = check(record, stranger)
    assert not verdicts(findings, Verdict.FAIL)
    assert "market 2 is not listed" in verdicts(findings, Verdict.WARN)["feed_SOL_price"]

    other = replace(WANTED, facades=(Facade("stewards", {0: ETH}),))
    with pytest.raises(Fatal, match="facade_stewards was made otherwise"):
        extend(stranger, beside(record, other), record, keep=silent, say=silent)


def test_the_command_adds_what_the_network_file_names_meanwhile_with_anybody_s_key(
    chain: Chain, stranger: Sender, tmp_path: Path
) -> None:
    network, file = tmp_path / "network.toml", tmp_path / "network.json"
    text = NETWORK.read_text(encoding="utf-8").replace('"../', f'"{NETWORK.parent}/../')
    network.write_text(text.replace('ETH = ["price"]', 'ETH = ["price", "liquidity"]'), encoding="utf-8")
    chain.record.write(file)
    keystore, passphrase = tmp_path / "key.json", tmp_path / "passphrase"
    keystore.write_text(json.dumps(Account.encrypt(STRANGER_KEY, "secret", kdf="pbkdf2", iterations=1)))
    passphrase.write_text("secret")
    for private in (keystore, passphrase):
        private.chmod(0o600)
    arguments = ["run", network, "--rpc", chain.url, "--keystore", keystore, "--passphrase-file", passphrase]
    first, second = (CliRunner().invoke(app, list(map(str, arguments))) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "is complete already" in first.output
    assert "done     create feed_ETH_liquidity" in first.output
    assert "already  create feed_ETH_liquidity" in second.output
    record = Record.read(file)
    assert len(record.adapters) == 6
    assert stranger.has_code(record.adapters["feed_ETH_liquidity"].address)


def test_an_adapter_that_is_not_there_or_not_of_this_oracle_is_found(chain: Chain, stranger: Sender) -> None:
    record = extend(stranger, beside(chain.record, WANTED), chain.record, keep=silent, say=silent)
    key = "feed_BTC_price"
    moved = msgspec.structs.replace(record.adapters[key], address=record.address("oracle"))
    forged = msgspec.structs.replace(record, adapters={**record.adapters, key: moved})
    assert set(verdicts(check(forged, stranger), Verdict.FAIL)) == {f"code of {key}"}
    missing = beside(record, Adapters(feeds=(Feed("BTC", 0, "up_es99"),)))
    planned = missing.contracts["feed_BTC_up_es99"]
    unmade = msgspec.structs.replace(moved, address=planned.address, arguments="0x" + planned.arguments.hex())
    waiting = msgspec.structs.replace(record, adapters={"feed_BTC_up_es99": unmade})
    assert set(verdicts(check(waiting, stranger), Verdict.FAIL)) == {"code of feed_BTC_up_es99"}


def test_an_unfinished_deployment_is_finished_first(chain: Chain, stranger: Sender) -> None:
    open_ = msgspec.structs.replace(chain.record, complete=False)
    with pytest.raises(Fatal, match="is not complete"):
        extend(stranger, beside(open_, WANTED), open_, keep=silent, say=silent)
    abroad = msgspec.structs.replace(chain.record, chain_id=1)
    with pytest.raises(Fatal, match="begun with chain 1"):
        extend(stranger, beside(abroad, WANTED), abroad, keep=silent, say=silent)
