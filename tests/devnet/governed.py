"""A whole deployment on a chain of one's own, and what its committee, its voters and its guardian can do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractCustomError

from margrave.chain.deployment.network import load_network
from margrave.chain.deployment.plan import Wanted, plan
from margrave.chain.deployment.record import Record
from margrave.chain.deployment.run import begin, run
from margrave.chain.sender import Sender
from margrave.lab.bench.chain import ordinary
from margrave.mirror import account_risk
from margrave.mirror.account_risk import Bounds, Entry
from margrave.mirror.typed_data import own_words_digest
from margrave.settings import PROJECT_ROOT

NETWORK: Final = PROJECT_ROOT / "config" / "networks" / "local.toml"
DEPLOYER_KEY: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
GUARDIAN_KEY: Final = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
VOTER_KEY: Final = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
ANYBODY: Final = "0x00000000000000000000000000000000000a4b0d"
PERIOD_S: Final = 300
MARKETS: Final = 2


def wanted(deployer: str, **changes: Any) -> Wanted:
    """The deployment of config/networks/local.toml, perhaps changed."""
    _, whole = load_network(NETWORK, deployer)
    return replace(whole, **changes)


def member_keys(numbers: Sequence[int]) -> list[PrivateKey]:
    return [PrivateKey(number.to_bytes(32, "big")) for number in numbers]


def addresses(keys: Sequence[PrivateKey]) -> list[str]:
    return [key.public_key.to_checksum_address() for key in keys]


def compact(key: PrivateKey, digest: bytes) -> list[bytes]:
    signature = key.sign_msg_hash(digest)
    return [signature.r.to_bytes(32, "big"), (signature.s | signature.v << 255).to_bytes(32, "big")]


class Chain:
    """A deployment on one chain, spoken to as whoever has a key."""

    def __init__(self, url: str, record: Record) -> None:
        self.url, self.record = url, record
        self.anybody = Sender(url, DEPLOYER_KEY)
        self.oracle = self.at("oracle")
        self.registry = self.at("registry")
        self.account_risk = self.at("account_risk")

    def at(self, key: str) -> Contract:
        made = self.record.contracts[key]
        return self.anybody.at(made.artifact, made.address)

    def move_to(self, time_s: int) -> None:
        self.anybody.mine_at(time_s)

    def next_round(self) -> int:
        """Move to the next round's time; gives the round."""
        round_ = self.anybody.now_s() // PERIOD_S + 1
        self.move_to(round_ * PERIOD_S)
        return round_

    # --- reports ----------------------------------------------------------------------------------------------------

    def settings_of(self, round_: int) -> tuple[int, Any]:
        """Epoch and `Settings` that bind a round."""
        epoch, _ = self.oracle.functions.configOf(round_).call()
        return epoch, self.registry.functions.settings(epoch).call()

    def report(self, round_: int, keys: Sequence[PrivateKey]) -> ContractFunction:
        """A publication of all markets that the first members, a quorum, signed under what binds the round."""
        epoch, settings = self.settings_of(round_)
        _, _, quorum, _, model_set, _, members, *_ = settings
        return self.report_under(round_, keys, epoch, quorum, model_set, self.policy(round_), members)

    def policy(self, round_: int) -> bytes:
        """The policy's digest as the oracle tells nodes."""
        state = self.oracle.functions.state().call()
        current, following = state[6], state[7]
        epoch, _ = self.oracle.functions.configOf(round_).call()
        return bytes(following[6] if following[0] == epoch else current[6])

    def report_under(
        self,
        round_: int,
        keys: Sequence[PrivateKey],
        epoch: int,
        quorum: int,
        model_set: bytes,
        policy: bytes,
        members: Sequence[str],
    ) -> ContractFunction:
        rvs: list[bytes] = []
        words: list[int] = []
        bitmap = 0
        by_address = dict(zip(addresses(keys), keys, strict=True))
        for index, member in enumerate(members[:quorum]):
            own = [x for market in range(MARKETS) for x in _pair(market, index, round_)]
            digest = own_words_digest(
                self.anybody.chain_id, self.oracle.address, epoch, round_, 0, model_set, policy, own
            )
            rvs += compact(by_address[member], digest)
            words += own
            bitmap |= 1 << index
        return self.oracle.functions.publish(round_, 0, bitmap, rvs, words)

    def account_report(
        self, round_: int, keys: Sequence[PrivateKey], bounds: Bounds, entries: Sequence[Entry]
    ) -> ContractFunction:
        epoch, settings = self.settings_of(round_)
        _, _, quorum, _, model_set, _, members, *_ = settings
        digest = account_risk.report_digest(
            self.anybody.chain_id, self.account_risk.address, epoch, round_, model_set, bounds, entries
        )
        by_address = dict(zip(addresses(keys), keys, strict=True))
        rvs = [half for member in members[:quorum] for half in compact(by_address[member], digest)]
        rows = [(entry.account, entry.multiplier_bp, entry.expires_at_s) for entry in entries]
        return self.account_risk.functions.publish(round_, (1 << quorum) - 1, rvs, rows)

    # --- votes ------------------------------------------------------------------------------------------------------

    def vote(self, targets: Sequence[str], datas: Sequence[bytes], description: str) -> None:
        """Propose, vote, queue, wait and execute, as the voter."""
        voter = Sender(self.url, VOTER_KEY)
        governor, token = self.at("governor"), self.at("token")
        if token.functions.delegates(voter.address).call() != voter.address:
            voter.send(token.functions.delegate(voter.address))
            self.move_to(self.anybody.now_s() + 2)  # a proposer's votes are those of a second ago
        arguments = (list(targets), [0] * len(targets), list(datas))
        voter.send(governor.functions.propose(*arguments, description))
        told = keccak(text=description)
        number = governor.functions.getProposalId(*arguments, told).call()
        self.move_to(governor.functions.proposalSnapshot(number).call() + 1)
        voter.send(governor.functions.castVote(number, 1))
        self.move_to(governor.functions.proposalDeadline(number).call() + 1)
        voter.send(governor.functions.queue(*arguments, told))
        self.move_to(governor.functions.proposalEta(number).call() + 1)
        voter.send(governor.functions.execute(*arguments, told))


def _pair(market: int, member: int, round_: int) -> tuple[int, int]:
    words = ordinary(market, member, round_ % 16)
    return words.risk, words.market


def refusal(call: ContractFunction, sender: str = ANYBODY) -> str:
    """The name of the contract's error by which a call is refused."""
    try:
        call.call({"from": Web3.to_checksum_address(sender)})
    except ContractCustomError as error:
        selector = str(error.data)[2:10]
        names = {
            keccak(text=f"{x['name']}({','.join(_type(i) for i in x['inputs'])})")[:4].hex(): str(x["name"])
            for x in call.contract_abi
            if x["type"] == "error"
        }
        return names.get(selector, selector)
    raise AssertionError(f"{call.fn_name} was not refused")


def _type(item: Any) -> str:
    if not str(item["type"]).startswith("tuple"):
        return str(item["type"])
    return "(" + ",".join(map(_type, item["components"])) + ")" + str(item["type"])[5:]


def deployed(url: str, name: bytes) -> Chain:
    """The whole of config/networks/local.toml, under a salt of that name."""
    sender = Sender(url, DEPLOYER_KEY)
    whole = wanted(sender.address)
    assert whole.governance is not None
    blueprint = plan(whole, name.rjust(32))
    record = begin("local", sender, blueprint, whole.governance.powers())
    return Chain(url, run(sender, blueprint, record, keep=lambda _: None, say=lambda _: None))


def nonce(sender: Sender) -> int:
    return int(str(sender.request("eth_getTransactionCount", [sender.address, "latest"])), 16)
