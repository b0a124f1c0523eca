"""What a vote must contain, so that one vote is enough whatever delay the access manager asks of a function.

A function whose role waits longer than the timelock is called in two strokes: the proposal announces the call to the
access manager, and puts its execution into the timelock's own queue for when the wait is over. Both are in the one
proposal; after the wait anybody may execute the second, and until then the guardian may cancel it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from web3.exceptions import Web3Exception

from margrave.chain.deployment.blueprint import calldata
from margrave.chain.deployment.record import Record
from margrave.chain.deployment.roles import PERMISSIONS
from margrave.chain.sender import Sender
from margrave.errors import Fatal

NO_PREDECESSOR: Final = bytes(32)
AUTHORITY: Final = "authority"


@dataclass(frozen=True, slots=True)
class Action:
    """One call that the timelock makes."""

    target: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Announced:
    """What is to be executed after the wait: the arguments of the timelock's `execute`."""

    target: str
    value: int
    data: bytes
    predecessor: bytes
    salt: bytes


def at_once(target: str, data: bytes) -> list[Action]:
    """The actions for a function whose role does not wait."""
    return [Action(target, data)]


def announced(
    authority: str, timelock: str, target: str, data: bytes, *, wait_s: int, salt: bytes
) -> tuple[list[Action], Announced]:
    """The actions for a function whose role waits, and what anybody executes after the wait.

    Args:
        authority: the AccessManager.
        timelock: the TimelockController; it must be a proposer of its own.
        target: contract of the call.
        data: its calldata.
        wait_s: the role's execution delay for the timelock; not shorter than the timelock's own.
        salt: 32 bytes that tell two equal calls apart.
    """
    announce = calldata("AccessManager", "schedule", (target, data, 0))
    later = Announced(
        target=authority,
        value=0,
        data=calldata("AccessManager", "execute", (target, data)),
        predecessor=NO_PREDECESSOR,
        salt=salt,
    )
    queue = calldata(
        "TimelockController", "schedule", (later.target, later.value, later.data, later.predecessor, later.salt, wait_s)
    )
    return [Action(authority, announce), Action(timelock, queue)], later


def draft(
    record: Record, sender: Sender, key: str, function: str, arguments: tuple[Any, ...], salt: bytes
) -> tuple[list[Action], Announced | None]:
    """The actions for a call of governance; what waits has a second stroke. It is rehearsed on the newest state, unless
    it is one of the access manager itself.

    Args:
        record: a deployment that was handed over.
        sender: asks the chain.
        key: the contract's name in the deployment.
        function: its name in the contract.
        arguments: in the function's order; structs as lists, bytes as hexadecimal.
        salt: 32 bytes that tell two equal calls apart.

    Raises:
        Fatal: there is no such contract or function, the arguments do not fit it, the timelock may not call it, or the
            call would be refused.
    """
    timelock, authority = record.address("timelock"), record.address("authority")
    target, artifact = record.address(key), record.contracts[key].artifact
    if key != AUTHORITY and key not in PERMISSIONS:
        raise Fatal(f"{key} is not under the access manager", advice="a proposal calls it directly, if anybody may")
    try:
        data = calldata(artifact, function, arguments)
    except (Web3Exception, ValueError, TypeError) as error:
        raise Fatal(f"{key}.{function} cannot be called so: {error}", advice="look at its arguments") from error
    manager = sender.at("AccessManager", authority)
    at_once_, wait_s = manager.functions.canCall(timelock, target, data[:4]).call()
    if not at_once_ and wait_s == 0:
        raise Fatal(f"governance may not call {key}.{function}", advice="it is the guardian's, or anybody's")
    if key != AUTHORITY:  # whose place the rehearsal takes
        sender.rehearse(timelock, target, data, authority=authority)
    if at_once_:
        return at_once(target, data), None
    return announced(authority, timelock, target, data, wait_s=wait_s, salt=salt)


def proposal_id(actions: list[Action], description: str) -> int:
    """The governor's number of a proposal."""
    values = [
        [action.target for action in actions],
        [0] * len(actions),
        [action.data for action in actions],
        keccak(text=description),
    ]
    return int.from_bytes(keccak(encode(["address[]", "uint256[]", "bytes[]", "bytes32"], values)), "big")
