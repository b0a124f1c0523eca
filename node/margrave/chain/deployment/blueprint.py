"""What a plan is made of: contracts at addresses known before they exist, and calls that know when they are done.

Contracts are created through the deterministic deployment proxy, by CREATE2. An address is therefore a function of the
salt, the committed bytecode and the constructor's arguments: a step that was taken is recognised on chain whoever took
it, a plan can be printed whole before anything is sent, and code at an address proves which bytecode made it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from eth_typing import HexAddress, HexStr
from eth_utils.abi import function_abi_to_4byte_selector
from eth_utils.crypto import keccak
from web3 import Web3
from web3.types import Nonce
from web3.utils.address import get_create_address

from margrave.chain import artifacts

FACTORY: Final = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""The deterministic deployment proxy: the same contract at the same address on every chain that has it (anvil has)."""
FACTORY_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe036016000816020823780358282"
    "34f58015156039578182fd5b8082525050506014600cf3"
)
"""All that it can do: create what it is sent, by CREATE2 with the first 32 bytes as salt."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A contract of the plan: `key` is its name in the deployment, `artifact` what it is made from."""

    key: str
    artifact: str
    address: str
    arguments: bytes
    """ABI-encoded arguments of the constructor."""
    parent: str | None = None
    """The contract that creates it, if not the plan itself does."""


class Reader(Protocol):
    """What a step may ask the chain to know whether it has been taken."""

    def has_code(self, address: str) -> bool: ...

    def view(self, contract: Planned, function: str, *arguments: Any) -> Any:
        """What a view answers; a struct is a tuple. Only of a contract that exists."""
        ...


Done = Callable[[Reader], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction. `title` is for people; `done` recognises it on chain."""

    title: str
    to: str
    data: bytes
    done: Done


@dataclass(slots=True)
class Blueprint:
    """Contracts and steps, in the order in which they are made."""

    salt: bytes
    contracts: dict[str, Planned] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def create(self, key: str, artifact: str, *arguments: Any) -> Planned:
        """Plan a contract; its address may be used at once."""
        code, encoded = creation(artifact, arguments)
        address = create2_address(self.salt, code)
        planned = Planned(key, artifact, address, encoded)
        self.contracts[key] = planned
        data = self.salt + code
        self.steps.append(Step(creation_title(key, artifact), FACTORY, data, lambda chain: chain.has_code(address)))
        return planned

    def born(self, key: str, artifact: str, parent: Planned, nonce: int) -> Planned:
        """A contract that another one creates in its constructor, its `nonce`-th; no step of its own."""
        address = get_create_address(HexAddress(HexStr(parent.address)), Nonce(nonce))
        planned = Planned(key, artifact, address, b"", parent.key)
        self.contracts[key] = planned
        return planned

    def call(self, title: str, contract: Planned, function: str, *arguments: Any, done: Done) -> None:
        """Plan a call; while its contract does not exist it is not done, whatever `done` would ask."""
        data = calldata(contract.artifact, function, arguments)

        def taken(chain: Reader) -> bool:
            return chain.has_code(contract.address) and done(chain)

        self.steps.append(Step(title, contract.address, data, taken))

    def digest(self) -> bytes:
        """32 bytes that two plans share exactly when they send the same transactions in the same order."""
        return keccak(b"".join(keccak(bytes.fromhex(step.to[2:]) + step.data) for step in self.steps))


def creation_title(key: str, artifact: str) -> str:
    """The step that creates a contract, as the journal names it."""
    return f"create {key} ({artifact})"


def creation(artifact: str, arguments: tuple[Any, ...]) -> tuple[bytes, bytes]:
    """Creation code with its encoded arguments, and these arguments alone."""
    made = artifacts.load(artifact)
    bare = bytes.fromhex(made.bytecode.removeprefix("0x"))
    factory = Web3().eth.contract(abi=made.abi, bytecode=made.bytecode)
    whole = bytes.fromhex(factory.constructor(*arguments).data_in_transaction.removeprefix("0x"))
    return whole, whole[len(bare) :]


def create2_address(salt: bytes, creation_code: bytes) -> str:
    """Where the deployment proxy puts the code."""
    packed = b"\xff" + bytes.fromhex(FACTORY[2:]) + salt + keccak(creation_code)
    return Web3.to_checksum_address(keccak(packed)[12:])


def calldata(artifact: str, function: str, arguments: tuple[Any, ...]) -> bytes:
    contract = Web3().eth.contract(abi=artifacts.load(artifact).abi)
    return bytes.fromhex(contract.encode_abi(function, args=list(arguments)).removeprefix("0x"))


def selector(artifact: str, function: str) -> bytes:
    """The four bytes that name a function of an artifact."""
    (named,) = [x for x in artifacts.load(artifact).abi if x["type"] == "function" and x["name"] == function]
    return bytes(function_abi_to_4byte_selector(named))  # type: ignore[arg-type]
