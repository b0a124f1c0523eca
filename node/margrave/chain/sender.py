"""One key on one endpoint: creates contracts, sends calls, asks views. Synchronous, for what runs before any node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from eth_account import Account
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import TransactionNotFound, Web3Exception
from web3.types import RPCEndpoint, TxParams, TxReceipt, Wei

from margrave.chain import artifacts
from margrave.chain.signer import KeystoreSigner, Signer
from margrave.errors import Fatal

RECEIPT_TIMEOUT_S: Final = 60
GAS_HEADROOM_PERCENT: Final = 130
"""An estimate is of another block's time, and what margin costs depends on the time."""
UNCHANGED: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({})


class Sender:
    """Each transaction is waited for, and every failure is `Fatal`."""

    def __init__(self, rpc_url: str, key: str | Signer | None) -> None:
        """
        Args:
            rpc_url: HTTP endpoint.
            key: private key or whoever keeps it; without one it only asks.
        """
        self._web3 = Web3(HTTPProvider(rpc_url))
        # It asks for the chain id before every call, which is settled once, below.
        self._web3.middleware_onion.remove("validation")
        self._contracts: dict[tuple[str, str], Contract] = {}
        self._signer = KeystoreSigner(Account.from_key(key)) if isinstance(key, str) else key
        self.url = rpc_url
        try:
            self.chain_id = self._web3.eth.chain_id
        except (Web3Exception, OSError) as error:
            raise Fatal(f"{rpc_url} does not answer: {error}", advice="start the chain or correct the URL") from error

    @property
    def address(self) -> str:
        """Raises: Fatal: it has no key."""
        return self._signing().address

    def _signing(self) -> Signer:
        if self._signer is None:
            raise Fatal("there is no key to send with", advice="name a keystore")
        return self._signer

    # --- asking -----------------------------------------------------------------------------------------------------

    def at(self, name: str, address: str) -> Contract:
        """The contract at an address by its artifact's interface; made once, which costs more than a call of it."""
        place = (name, Web3.to_checksum_address(address))
        if place not in self._contracts:
            self._contracts[place] = self._web3.eth.contract(address=place[1], abi=artifacts.load(name).abi)
        return self._contracts[place]

    def code(self, address: str) -> bytes:
        """What runs at an address; empty when nothing does."""
        return bytes(self._web3.eth.get_code(Web3.to_checksum_address(address)))

    def has_code(self, address: str) -> bool:
        return bool(self.code(address))

    def now_s(self) -> int:
        """The chain's clock: the newest block's time."""
        return self._web3.eth.get_block("latest")["timestamp"]

    def receipt(self, transaction_hash: str) -> TxReceipt | None:
        """The receipt of a transaction, waited for while the endpoint knows it; `None`: it does not know it.

        Raises:
            Fatal: it is known, but not mined in time.
        """
        try:
            self._web3.eth.get_transaction(HexBytes(transaction_hash))
        except TransactionNotFound:
            return None
        return self._mined(HexBytes(transaction_hash), transaction_hash)

    def rehearse(
        self, caller: str, to: str, data: bytes, *, storage: Mapping[str, Mapping[str, str]] = UNCHANGED
    ) -> None:
        """Try a call on the newest state, changed in nothing but single slots.

        Args:
            caller: who makes it, whether there is a key or not.
            to: address of the contract.
            data: calldata.
            storage: by contract, slots and the words that they are to hold.

        Raises:
            Fatal: it would be refused; the error's selector or name is in the line.
        """
        call: TxParams = {
            "from": Web3.to_checksum_address(caller),
            "to": Web3.to_checksum_address(to),
            "data": HexBytes(data),
        }
        changed: Any = {Web3.to_checksum_address(where): {"stateDiff": dict(slots)} for where, slots in storage.items()}
        try:
            self._web3.eth.call(call, "latest", changed or None)
        except (Web3Exception, OSError) as error:
            raise Fatal(
                f"the call would be refused: {error}", advice="mend it before it is voted on or sent"
            ) from error

    # --- sending ----------------------------------------------------------------------------------------------------

    def create(self, name: str, *arguments: Any) -> tuple[Contract, int]:
        """Deploy one contract from its committed artifact; gives it and the block it is in."""
        artifact = artifacts.load(name)
        factory = self._web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        receipt = self.send(factory.constructor(*arguments))
        return self.at(name, str(receipt["contractAddress"])), receipt["blockNumber"]

    def send(self, call: ContractFunction | ContractConstructor) -> TxReceipt:
        """Raises: Fatal: the call reverts, or is not mined in time."""
        name = call.fn_name if isinstance(call, ContractFunction) else "the deployment"
        return self._send(name, lambda given: call.build_transaction(given))

    def send_data(self, name: str, to: str, data: bytes, *, before: Callable[[str], None] | None = None) -> TxReceipt:
        """Send calldata.

        Args:
            name: what it is, for people.
            to: address of the contract.
            data: calldata.
            before: called with the transaction's hash just before it leaves, so that it can be written down first.

        Raises:
            Fatal: it reverts, or is not mined in time.
        """

        def build(given: TxParams) -> TxParams:
            wanted: TxParams = {**given, "to": Web3.to_checksum_address(to), "data": HexBytes(data), "value": Wei(0)}
            fee = self._web3.eth.max_priority_fee
            base = self._web3.eth.get_block("latest")["baseFeePerGas"]
            return {
                **wanted,
                "chainId": self.chain_id,
                "maxPriorityFeePerGas": fee,
                "maxFeePerGas": Wei(fee + 2 * base),
                "gas": self._web3.eth.estimate_gas(wanted),
            }

        return self._send(name, build, before)

    def mine_at(self, time_s: int) -> None:
        """Mine an empty block at a time of one's choice; development chains only."""
        self.request("evm_setNextBlockTimestamp", [time_s])
        self.request("evm_mine", [])

    def request(self, method: str, parameters: list[Any]) -> Any:
        """One of a development chain's own methods; gives its result.

        Raises:
            Fatal: the endpoint does not know it, or refuses.
        """
        try:
            answer = self._web3.provider.make_request(RPCEndpoint(method), parameters)
        except (Web3Exception, OSError) as error:
            raise Fatal(f"{self.url} refused {method}: {error}", advice="use anvil") from error
        if "error" in answer:
            raise Fatal(f"{self.url} refused {method}: {answer['error']}", advice="use anvil")
        return answer["result"]

    def _send(
        self, name: str, build: Callable[[TxParams], TxParams], before: Callable[[str], None] | None = None
    ) -> TxReceipt:
        signer = self._signing()
        address = Web3.to_checksum_address(signer.address)
        try:
            nonce = self._web3.eth.get_transaction_count(address, "pending")
            transaction: Any = build({"from": address, "nonce": nonce})
            transaction["gas"] = transaction["gas"] * GAS_HEADROOM_PERCENT // 100
            raw, transaction_hash = signer.sign_transaction(transaction)
            if before is not None:
                before(transaction_hash)
            sent = self._web3.eth.send_raw_transaction(raw)
        except (Web3Exception, OSError) as error:
            raise Fatal(f"{self.url} refused {name}: {error}", advice="check key, balance and inputs") from error
        receipt = self._mined(sent, name)
        if receipt["status"] != 1:
            raise Fatal(f"{name} reverted on {self.url}", advice="check key, balance and inputs")
        return receipt

    def _mined(self, transaction_hash: HexBytes, name: str) -> TxReceipt:
        try:
            return self._web3.eth.wait_for_transaction_receipt(
                transaction_hash, timeout=RECEIPT_TIMEOUT_S, poll_latency=0.02
            )
        except (Web3Exception, OSError) as error:
            raise Fatal(f"{name} is not mined on {self.url}: {error}", advice="wait, then run again") from error
