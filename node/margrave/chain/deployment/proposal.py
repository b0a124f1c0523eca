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
from hexbytes import HexBytes
from web3.exceptions import Web3Exception

from margrave.chain.deployment.administration import AUTHORITY, SENTENCES, Administration
from margrave.chain.deployment.blueprint import calldata
from margrave.chain.deployment.record import Record
from margrave.chain.deployment.roles import PERMISSIONS
from margrave.chain.sender import Sender
from margrave.errors import Fatal

NO_PREDECESSOR: Final = bytes(32)
SCHEDULES_SLOT: Final = 2
"""Where the committed AccessManager keeps `_schedules`: by operation, the time from which it may be executed."""


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


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal's actions, what is executed after the wait if it waits, and, of the access manager's own calls, what
    they change."""

    actions: list[Action]
    later: Announced | None
    effects: tuple[str, ...]


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


def draft(record: Record, sender: Sender, key: str, function: str, arguments: tuple[Any, ...], salt: bytes) -> Draft:
    """The actions for a call of governance, each rehearsed on the newest state as the timelock will make it, and what
    waits as if its wait were over.

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
    timelock, authority = record.address("timelock"), record.address(AUTHORITY)
    target, artifact = record.address(key), record.contracts[key].artifact
    if key != AUTHORITY and key not in PERMISSIONS:
        raise Fatal(f"{key} is not under the access manager", advice="a proposal calls it directly, if anybody may")
    try:
        data = calldata(artifact, function, arguments)
    except (Web3Exception, ValueError, TypeError) as error:
        raise Fatal(f"{key}.{function} cannot be called so: {error}", advice="look at its arguments") from error
    manager = sender.at("AccessManager", authority)
    effects: tuple[str, ...] = ()
    if key == AUTHORITY:
        if function not in SENTENCES:
            raise Fatal(f"{key}.{function} needs no vote", advice=f"draft one of {', '.join(SENTENCES)}")
        administration = Administration(record, manager)
        _, named = manager.decode_function_input(HexBytes(data))
        without_wait, wait_s = administration.wait(function, named)
        effects = administration.effects(function, named)
    else:
        without_wait, wait_s = manager.functions.canCall(timelock, target, data[:4]).call()
    if not without_wait and wait_s == 0:
        raise Fatal(f"governance may not call {key}.{function}", advice="it is the guardian's, or anybody's")
    if without_wait:
        actions, later = at_once(target, data), None
    else:
        # A role's wait may have been voted below the timelock's own, which queues nothing for sooner.
        least_s = sender.at("TimelockController", timelock).functions.getMinDelay().call()
        actions, later = announced(authority, timelock, target, data, wait_s=max(wait_s, least_s), salt=salt)
    for action in actions:
        sender.rehearse(timelock, action.target, action.data)
    if later is not None:
        waited = _waited(timelock, target, data, sender.now_s())
        sender.rehearse(timelock, later.target, later.data, storage={authority: waited})
    return Draft(actions, later, effects)


def _waited(caller: str, target: str, data: bytes, now_s: int) -> dict[str, str]:
    """The access manager's slot in which the call is announced, with its wait just over."""
    operation = keccak(encode(["address", "address", "bytes"], [caller, target, data]))
    slot = keccak(operation + SCHEDULES_SLOT.to_bytes(32, "big"))
    return {"0x" + slot.hex(): f"0x{now_s:064x}"}


def proposal_id(actions: list[Action], description: str) -> int:
    """The governor's number of a proposal."""
    values = [
        [action.target for action in actions],
        [0] * len(actions),
        [action.data for action in actions],
        keccak(text=description),
    ]
    return int.from_bytes(keccak(encode(["address[]", "uint256[]", "bytes[]", "bytes32"], values)), "big")
