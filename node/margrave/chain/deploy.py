"""Puts the contracts on a chain: oracle, settings and first epoch; then the demonstration's market of options.

Synchronous: it runs once, before any node does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint, TxReceipt

from margrave.chain import artifacts
from margrave.errors import Fatal
from margrave.mirror import limits
from margrave.settings import Policy

RECEIPT_TIMEOUT_S: Final = 60
GAS_HEADROOM_PERCENT: Final = 130
"""An estimate is of another block's time, and what margin costs depends on the time."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the contracts are. `block` is the oracle's own: no event is older."""

    chain_id: int
    block: int
    oracle: str
    collateral: str
    clearinghouse: str

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Deployment:
        """Raises: Fatal: there is no such file, or it is no deployment."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise Fatal(f"{path}: {error.strerror or error}", advice="deploy first") from error
        except msgspec.MsgspecError as error:
            raise Fatal(f"{path} is not a deployment: {error}", advice="deploy again") from error


def deploy(
    rpc_url: str,
    deployer_private_key: str,
    policy: Policy,
    *,
    markets: int,
    members: Sequence[str],
    quorum: int,
    model_set: bytes,
) -> Deployment:
    """Deploy oracle, mock collateral and clearinghouse and configure them; the deployer becomes governance.

    Args:
        rpc_url: HTTP endpoint.
        deployer_private_key: pays, and owns the oracle.
        policy: timing and limits; one class for all markets.
        markets: how many, with ids 0, 1, 2, …
        members: addresses of the first epoch.
        quorum: how many of them must sign; more than two thirds.
        model_set: 32 bytes, the approved set.

    Raises:
        Fatal: the endpoint does not answer, or the chain refuses a transaction.
    """
    sender = Sender(rpc_url, deployer_private_key)
    when = limits.timing(policy.round)
    words = limits.policy_words(policy.limits.lanes, policy.limits.max_price_move)
    oracle, block = sender.create("RiskOracle", sender.address, _tuple(when))
    sender.send(oracle.functions.setClass(0, _tuple(words)))
    sender.send(oracle.functions.setMarkets(0, [0] * markets))
    sender.send(oracle.functions.setEpoch(list(members), quorum, model_set))
    collateral, _ = sender.create("MockUSD")
    clearinghouse, _ = sender.create("OptionsClearinghouse", oracle.address, collateral.address)
    return Deployment(
        chain_id=sender.chain_id,
        block=block,
        oracle=oracle.address,
        collateral=collateral.address,
        clearinghouse=clearinghouse.address,
    )


def policy_digest(policy: Policy, markets: int) -> bytes:
    """The digest of what `deploy` sets, from the same settings."""
    words = limits.policy_words(policy.limits.lanes, policy.limits.max_price_move)
    return limits.policy_digest(limits.timing(policy.round), [words], [0] * markets)


class Sender:
    """One key on one endpoint: creates contracts and sends calls, each waited for. Every failure is `Fatal`."""

    def __init__(self, rpc_url: str, private_key: str) -> None:
        self._web3 = Web3(HTTPProvider(rpc_url))
        self._account: LocalAccount = Account.from_key(private_key)
        self._url = rpc_url
        try:
            self.chain_id = self._web3.eth.chain_id
        except (Web3Exception, OSError) as error:
            raise Fatal(f"{rpc_url} does not answer: {error}", advice="start the chain or correct the URL") from error

    @property
    def address(self) -> str:
        return self._account.address

    def create(self, name: str, *arguments: Any) -> tuple[Contract, int]:
        """Deploy one contract from its committed artifact; gives it and the block it is in."""
        artifact = artifacts.load(name)
        factory = self._web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        receipt = self.send(factory.constructor(*arguments))
        return self.at(name, str(receipt["contractAddress"])), receipt["blockNumber"]

    def at(self, name: str, address: str) -> Contract:
        return self._web3.eth.contract(address=Web3.to_checksum_address(address), abi=artifacts.load(name).abi)

    def now_s(self) -> int:
        """The chain's clock: the newest block's time."""
        return self._web3.eth.get_block("latest")["timestamp"]

    def mine_at(self, time_s: int) -> None:
        """Mine an empty block at a time of one's choice; development chains only."""
        try:
            self._web3.provider.make_request(RPCEndpoint("evm_setNextBlockTimestamp"), [time_s])
            self._web3.provider.make_request(RPCEndpoint("evm_mine"), [])
        except (Web3Exception, OSError) as error:
            raise Fatal(f"{self._url} cannot be moved to {time_s}: {error}", advice="use anvil") from error

    def send(self, call: ContractFunction | ContractConstructor) -> TxReceipt:
        """Raises: Fatal: the call reverts, or is not mined in time."""
        try:
            transaction: Any = call.build_transaction(
                {
                    "from": self._account.address,
                    "nonce": self._web3.eth.get_transaction_count(self._account.address, "pending"),
                }
            )
            transaction["gas"] = transaction["gas"] * GAS_HEADROOM_PERCENT // 100
            signed = self._account.sign_transaction(transaction)
            sent = self._web3.eth.send_raw_transaction(signed.raw_transaction)
            receipt = self._web3.eth.wait_for_transaction_receipt(sent, timeout=RECEIPT_TIMEOUT_S, poll_latency=0.02)
        except (Web3Exception, OSError) as error:
            raise Fatal(
                f"{self._url} refused {_name(call)}: {error}", advice="check key, balance and inputs"
            ) from error
        if receipt["status"] != 1:
            raise Fatal(f"{_name(call)} reverted on {self._url}", advice="check key, balance and inputs")
        return receipt


def _tuple(row: limits.Timing | limits.PolicyWords) -> tuple[int, ...]:
    return tuple(getattr(row, name) for name in row.__slots__)


def _name(call: ContractFunction | ContractConstructor) -> str:
    return call.fn_name if isinstance(call, ContractFunction) else "the deployment"
