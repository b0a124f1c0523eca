"""Proves what a deployment file says: the committed code at its addresses, wired together, and nobody's any more.

Nothing in the file is believed. An address is recomputed from the committed creation code, so that code which is there
can only have been made by it; and who holds a role is counted from every grant and revocation that the chain logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import decode
from eth_typing import HexAddress, HexStr
from eth_utils.address import to_checksum_address
from web3.contract import Contract
from web3.types import Nonce
from web3.utils.address import get_create_address

from margrave.chain import artifacts
from margrave.chain.deployment.adapters import FACADE_ARGUMENTS, FEED
from margrave.chain.deployment.blueprint import FACTORY, FACTORY_CODE, create2_address, creation_title, selector
from margrave.chain.deployment.plan import ANYBODY, CANCELLER, EXECUTOR, PROPOSER, TIMELOCK_ADMIN
from margrave.chain.deployment.record import Powers, Record, Sent
from margrave.chain.deployment.roles import PERMISSIONS, Role
from margrave.chain.sender import Sender
from margrave.verdicts import Verdict

TIMELOCK_ROLES: Final = {TIMELOCK_ADMIN: "admin", PROPOSER: "proposer", CANCELLER: "canceller", EXECUTOR: "executor"}
WIRING: Final = (
    ("registry", "oracle", "oracle"),
    ("oracle", "registry", "registry"),
    ("engine", "oracle", "oracle"),
    ("account_risk", "oracle", "oracle"),
    ("prices", "oracle", "oracle"),
    ("clearinghouse", "oracle", "oracle"),
    ("clearinghouse", "engine", "engine"),
    ("clearinghouse", "accountRisk", "account_risk"),
    ("clearinghouse", "prices", "prices"),
    ("clearinghouse", "insurance", "insurance"),
    ("clearinghouse", "desk", "desk"),
    ("clearinghouse", "auctions", "auctions"),
    ("vault", "house", "clearinghouse"),
    ("vault", "desk", "desk"),
    ("governor", "timelock", "timelock"),
    ("governor", "token", "token"),
)
"""(contract, view, the contract that it must name)."""


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    what: str
    found: str


Holders = dict[Any, set[str]]


def check(record: Record, sender: Sender) -> list[Finding]:
    """Everything that can be said about a deployment, good or bad; the sender only reads."""
    if sender.chain_id != record.chain_id:
        return [_said(False, "chain", f"{sender.chain_id}, the file is of {record.chain_id}")]
    findings = [_said(record.complete, "record", "complete" if record.complete else "the deployment is not finished")]
    findings += _code(record, sender)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        return findings  # nothing behind an address that is not ours is worth asking
    findings += _wiring(record, sender)
    findings += _adapters(record, sender)
    findings += _committee(record, sender)
    if record.powers is None:
        return [*findings, _said(False, "governance", f"everything is the deployer's, {record.deployer}")]
    findings += _roles(record, record.powers, sender)
    findings += _functions(record, sender)
    findings += _timelock(record, record.powers, sender)
    findings += _votes(record, record.powers, sender)
    return findings


def _said(holds: bool, what: str, found: str) -> Finding:
    return Finding(Verdict.OK if holds else Verdict.FAIL, what, found)


def _at(record: Record, sender: Sender, key: str) -> Contract:
    made = record.contracts[key]
    return sender.at(made.artifact, made.address)


# --- code -----------------------------------------------------------------------------------------------------------


def _code(record: Record, sender: Sender) -> Iterator[Finding]:
    yield _said(sender.code(FACTORY) == FACTORY_CODE, "deployment proxy", f"the well-known code at {FACTORY}")
    salt = bytes.fromhex(record.salt[2:])
    for key, made in {**record.contracts, **record.adapters}.items():
        if made.parent is None:
            bare = bytes.fromhex(artifacts.load(made.artifact).bytecode[2:])
            address = create2_address(salt, bare + bytes.fromhex(made.arguments[2:]))
            source = f"committed {made.artifact} of {len(bare):,} bytes"
        else:
            address = _child(record, key)
            source = f"created by {made.parent}"
        holds = address == made.address and sender.has_code(made.address)
        yield _said(holds, f"code of {key}", f"{made.address}: {source}" if holds else f"not at {made.address}")


def _child(record: Record, key: str) -> str:
    """Where the parent creates it: its first, second, … in the file's order; that it is this one is the wiring's."""
    parent = record.contracts[str(record.contracts[key].parent)].address
    siblings = [name for name, made in record.contracts.items() if made.parent == record.contracts[key].parent]
    nonce = siblings.index(key) + 1
    return str(get_create_address(HexAddress(HexStr(parent)), Nonce(nonce)))


def _wiring(record: Record, sender: Sender) -> Iterator[Finding]:
    for key, view, other in WIRING:
        if key in record.contracts and other in record.contracts:
            named = _at(record, sender, key).functions[view]().call()
            wanted = record.address(other)
            yield _said(named == wanted, f"{key}.{view}", named if named == wanted else f"{named}, not {wanted}")
    manager = record.address("authority")
    for key in PERMISSIONS:
        named = _at(record, sender, key).functions.authority().call()
        yield _said(named == manager, f"authority of {key}", named)
    if record.contracts.get("collateral") is not None:
        yield Finding(Verdict.WARN, "collateral", "MockUSD: anybody may mint it; for development chains")


def _adapters(record: Record, sender: Sender) -> Iterator[Finding]:
    """That each reads this oracle, and what it says it is: its arguments are proven with its code."""
    _, settings = _at(record, sender, "registry").functions.current().call()
    listed = len(settings[8])
    for key, made in record.adapters.items():
        functions = sender.at(made.artifact, made.address).functions
        reads = functions.oracle().call() == record.address("oracle")
        arguments = bytes.fromhex(made.arguments[2:])
        if made.artifact == FEED:
            ids = [functions.market().call()]
            found = f"{functions.description().call()}, {functions.decimals().call()} decimals, of market {ids[0]}"
        else:
            _, addresses, ids = decode(FACADE_ARGUMENTS, arguments)
            names = map(to_checksum_address, addresses)
            found = ", ".join(f"market {market} as {name}" for market, name in zip(ids, names, strict=True))
        yield _said(reads, key, found if reads else "reads another oracle")
        if unlisted := [market for market in ids if market >= listed]:
            yield Finding(Verdict.WARN, key, f"market {unlisted[0]} is not listed: it answers nothing until it is")


# --- who holds what -------------------------------------------------------------------------------------------------


def _roles(record: Record, powers: Powers, sender: Sender) -> Iterator[Finding]:
    manager = _at(record, sender, "authority")
    holders = _holders(manager, _first_block(record), "roleId")
    timelock = record.address("timelock")
    wanted: Mapping[Role, tuple[str, int]] = {
        Role.ADMIN: (timelock, powers.slow_delay_s),
        Role.GOVERNOR: (timelock, 0),
        Role.GOVERNOR_SLOW: (timelock, powers.slow_delay_s),
        Role.GUARDIAN: (powers.guardian, 0),
    }
    for role, (holder, delay_s) in wanted.items():
        has, delay = manager.functions.hasRole(role.value, holder).call()
        # A lower delay may have been set to come into force later, unseen by what holds today.
        _, _, later, effect = manager.functions.getAccess(role.value, holder).call()
        holds = holders.pop(role.value, set()) == {holder} and has and delay == delay_s
        holds = holds and (effect == 0 or later == delay_s)
        yield _said(holds, f"role {role.name}", f"{holder} alone, after {delay} s" if holds else "is held otherwise")
        admin = manager.functions.getRoleAdmin(role.value).call()
        warden = manager.functions.getRoleGuardian(role.value).call()
        right = Role.GUARDIAN if role is Role.GOVERNOR_SLOW else Role.ADMIN
        yield _said(admin == Role.ADMIN, f"admin of {role.name}", Role(admin).name if admin < len(Role) else str(admin))
        yield _said(warden == right, f"who may cancel for {role.name}", str(right.name if warden == right else warden))
    strange = {role: who for role, who in holders.items() if who}
    yield _said(not strange, "other roles", str(strange) if strange else "none is held by anybody")
    for what, who in (("the guardian", powers.guardian), ("the timelock", timelock)):
        yield _said(who != record.deployer, f"{what} is not the deployer", who)


def _functions(record: Record, sender: Sender) -> Iterator[Finding]:
    manager = _at(record, sender, "authority")
    events = manager.events.TargetFunctionRoleUpdated.get_logs(from_block=_first_block(record))
    assigned = {(event["args"]["target"], event["args"]["selector"]): event["args"]["roleId"] for event in events}
    for key, by_role in PERMISSIONS.items():
        made = record.contracts[key]
        wrong = [
            function
            for role, functions in by_role.items()
            for function in functions
            if assigned.pop((made.address, selector(made.artifact, function)), Role.ADMIN) != role
        ]
        count = sum(map(len, by_role.values()))
        yield _said(not wrong, f"functions of {key}", f"{', '.join(wrong)} wrong" if wrong else f"{count} as planned")
        closed = manager.functions.isTargetClosed(made.address).call()
        yield _said(not closed, f"{key} is open", "the access manager lets calls through" if not closed else "closed")
    other = {place: role for place, role in assigned.items() if role != Role.ADMIN}
    yield _said(not other, "other functions", str(other) if other else "none is given to any role but ADMIN")


def _timelock(record: Record, powers: Powers, sender: Sender) -> Iterator[Finding]:
    timelock = _at(record, sender, "timelock")
    governor = record.address("governor")
    holders = _holders(timelock, _first_block(record), "role")
    wanted = {
        TIMELOCK_ADMIN: {timelock.address},
        PROPOSER: {governor, timelock.address},
        CANCELLER: {governor},
        EXECUTOR: {ANYBODY},
    }
    for role, who in wanted.items():
        got = holders.pop(role, set())
        yield _said(got == who, f"timelock {TIMELOCK_ROLES[role]}", ", ".join(sorted(got)) or "nobody")
    strange = {role.hex(): who for role, who in holders.items() if who}
    yield _said(not strange, "other roles of the timelock", str(strange) if strange else "none")
    waiting = _left_waiting(record, timelock)
    yield _said(not waiting, "left in the timelock's queue", ", ".join(waiting) or "nothing")
    delay = timelock.functions.getMinDelay().call()
    yield _said(delay >= powers.timelock_delay_s, "timelock delay", f"{delay} s")


def _left_waiting(record: Record, timelock: Contract) -> list[str]:
    """Operations from before the hand-over was done that somebody may still execute: a proposer for a moment is one."""
    last = max(sent.block or 0 for sent in _own(record))
    events = timelock.events.CallScheduled.get_logs(from_block=_first_block(record), to_block=last)
    names = {bytes(event["args"]["id"]) for event in events}
    return sorted("0x" + name.hex() for name in names if timelock.functions.isOperationPending(name).call())


def _committee(record: Record, sender: Sender) -> Iterator[Finding]:
    """Who signs now and who will: settings, for people to compare with what they agreed on."""
    _, live, following, from_round = _at(record, sender, "oracle").functions.head().call()
    registry = _at(record, sender, "registry")
    for what, epoch in (("committee", live), (f"committee from round {from_round}", following)):
        if epoch:
            _, _, quorum, _, model_set, _, members, *_ = registry.functions.settings(epoch).call()
            found = f"epoch {epoch}: {quorum} of {', '.join(members)}; models 0x{bytes(model_set).hex()}"
            yield _said(bool(members), what, found)


def _votes(record: Record, powers: Powers, sender: Sender) -> Iterator[Finding]:
    token = _at(record, sender, "token")
    supply, wanted = token.functions.totalSupply().call(), sum(powers.grants.values())
    yield _said(supply == wanted, "supply of votes", f"{supply}, granted {wanted}; the token cannot mint")
    left = token.functions.balanceOf(record.deployer).call() + token.functions.getVotes(record.deployer).call()
    yield _said(left == 0, "votes of the deployer", str(left))


def _holders(contract: Contract, block: int, name: str) -> Holders:
    """Role by role who holds it, from every grant and revocation since the block."""
    holders: Holders = {}
    for event in _in_order(contract, block):
        role, account = event["args"][name], event["args"]["account"]
        if event["event"] == "RoleGranted":
            holders.setdefault(role, set()).add(account)
        else:
            holders.setdefault(role, set()).discard(account)
    return holders


def _in_order(contract: Contract, block: int) -> Iterable[Any]:
    granted = contract.events.RoleGranted.get_logs(from_block=block)
    revoked = contract.events.RoleRevoked.get_logs(from_block=block)
    return sorted([*granted, *revoked], key=lambda event: (event["blockNumber"], event["logIndex"]))


def _first_block(record: Record) -> int:
    """Older than any event of the deployment's contracts; somebody else may have created one before we did."""
    blocks = {sent.step: sent.block for sent in _own(record) if sent.block is not None}
    created = sum(step.startswith("create ") for step in blocks)
    planned = sum(made.parent is None for made in record.contracts.values())
    return min(blocks.values()) if created == planned else 0


def _own(record: Record) -> list[Sent]:
    """The deployment's own transactions: an adapter may be made years later, with votes on their way."""
    beside = {creation_title(key, made.artifact) for key, made in record.adapters.items()}
    return [sent for sent in record.transactions if sent.step not in beside]


def line(finding: Finding) -> str:
    return f"{finding.verdict.value:<5} {finding.what}: {finding.found}"
