"""Takes the steps of a plan, or prints them; started again after a kill it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from margrave.chain.deployment.blueprint import FACTORY, FACTORY_CODE, Blueprint, Planned, Step
from margrave.chain.deployment.record import Made, Powers, Record, Sent
from margrave.chain.sender import Sender
from margrave.errors import Fatal

ORACLE_KEY: Final = "oracle"
Say = Callable[[str], None]


class Ledger:
    """A chain as a plan's steps ask it."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._seen: set[str] = set()

    def has_code(self, address: str) -> bool:
        # Code does not go away again, and every call's step asks for its contract's.
        if address not in self._seen and self._sender.has_code(address):
            self._seen.add(address)
        return address in self._seen

    def view(self, contract: Planned, function: str, *arguments: Any) -> Any:
        return self._sender.at(contract.artifact, contract.address).functions[function](*arguments).call()


def begin(name: str, sender: Sender, blueprint: Blueprint, powers: Powers | None) -> Record:
    """A record of a deployment of which nothing has been done."""
    return Record(
        name=name,
        chain_id=sender.chain_id,
        deployer=sender.address,
        salt="0x" + blueprint.salt.hex(),
        plan="0x" + blueprint.digest().hex(),
        contracts=_made(blueprint),
        powers=powers,
    )


def _made(blueprint: Blueprint) -> dict[str, Made]:
    return {
        key: Made(artifact=x.artifact, address=x.address, arguments="0x" + x.arguments.hex(), parent=x.parent)
        for key, x in blueprint.contracts.items()
    }


def dry_run(sender: Sender, blueprint: Blueprint, say: Say) -> int:
    """Say every transaction that `run` would send now, whole; sends nothing. Gives how many they are."""
    ledger = Ledger(sender)
    open_steps = 0
    for number, step in enumerate(blueprint.steps, 1):
        if step.done(ledger):
            say(f"{number:>3}  done     {step.title}")
            continue
        open_steps += 1
        say(f"{number:>3}  to send  {step.title}")
        say(f"     to {step.to}")
        say(f"     data 0x{step.data.hex()}")
    return open_steps


def run(sender: Sender, blueprint: Blueprint, record: Record, keep: Callable[[Record], None], say: Say) -> Record:
    """Take every step that the chain does not show as taken.

    Args:
        sender: the deployer.
        blueprint: the plan; `record` must have been begun with it.
        record: where an earlier run ended, or what `begin` gave.
        keep: puts a record on the disk; called before a transaction leaves and after it is mined.
        say: progress, a line a step.

    Raises:
        Fatal: another chain, deployer or plan than the record's; the chain refuses a step, or shows it undone after it.
    """
    _require_same(
        ("chain", str(sender.chain_id), str(record.chain_id)),
        ("deployer", sender.address, record.deployer),
        ("plan", "0x" + blueprint.digest().hex(), record.plan),
    )
    record = _take_all(sender, blueprint, record, keep, say)
    record = msgspec.structs.replace(record, complete=True, block=record.block or _oracle_block(record))
    keep(record)
    return record


def extend(sender: Sender, blueprint: Blueprint, record: Record, keep: Callable[[Record], None], say: Say) -> Record:
    """Make the adapters that the chain does not show, beside a complete deployment and with any key.

    Args:
        sender: who pays; it gets nothing for it.
        blueprint: what `plan_adapters` gave for the record's oracle and salt. What it no longer names stays recorded.
        record: of the deployment.
        keep: as of `run`.
        say: as of `run`.

    Raises:
        Fatal: the deployment is not complete, or of another chain; an adapter of the name is a different one; the chain
            refuses a step.
    """
    if not record.complete:
        raise Fatal(f"deployment {record.name} is not complete", advice="finish it with scripts/deploy run")
    _require_same(("chain", str(sender.chain_id), str(record.chain_id)))
    wanted = _made(blueprint)
    for key, made in wanted.items():
        if made != record.adapters.get(key, made):
            raise Fatal(
                f"{key} was made otherwise, at {record.adapters[key].address}",
                advice="an adapter has no settings: give the new one another name",
            )
    record = msgspec.structs.replace(record, adapters={**record.adapters, **wanted})
    return _take_all(sender, blueprint, record, keep, say)


def _take_all(sender: Sender, blueprint: Blueprint, record: Record, keep: Callable[[Record], None], say: Say) -> Record:
    if sender.code(FACTORY) != FACTORY_CODE:
        raise Fatal(
            f"chain {sender.chain_id} has no deterministic deployment proxy at {FACTORY}",
            advice="put it there first: one transaction, the same on every chain, described in docs/govern.md",
        )
    ledger = Ledger(sender)
    record = _caught_up(sender, record)
    keep(record)
    for number, step in enumerate(blueprint.steps, 1):
        where = f"{number:>3} of {len(blueprint.steps)}"
        if step.done(ledger):
            say(f"{where}  already  {step.title}")
            continue
        record = _take(sender, ledger, step, record, keep)
        say(f"{where}  done     {step.title}  {record.transactions[-1].hash}")
    return record


def _take(sender: Sender, ledger: Ledger, step: Step, record: Record, keep: Callable[[Record], None]) -> Record:
    pending = record

    def before(transaction_hash: str) -> None:
        nonlocal pending
        sent = Sent(step=step.title, hash=transaction_hash)
        pending = msgspec.structs.replace(record, transactions=[*record.transactions, sent])
        keep(pending)

    receipt = sender.send_data(step.title, step.to, step.data, before=before)
    if not step.done(ledger):
        raise Fatal(f"{step.title}: sent, but the chain does not show it", advice="run again; then read the journal")
    mined = msgspec.structs.replace(pending.transactions[-1], block=receipt["blockNumber"])
    pending = msgspec.structs.replace(pending, transactions=[*record.transactions, mined])
    keep(pending)
    return pending


def _caught_up(sender: Sender, record: Record) -> Record:
    """What the last run sent and did not see mined: mined meanwhile, still on its way (waited for), or lost."""
    known: list[Sent] = []
    for sent in record.transactions:
        if sent.block is not None:
            known.append(sent)
            continue
        receipt = sender.receipt(sent.hash)
        if receipt is not None and receipt["status"] == 1:
            known.append(msgspec.structs.replace(sent, block=receipt["blockNumber"]))
    return msgspec.structs.replace(record, transactions=known)


def _oracle_block(record: Record) -> int:
    """The block of the oracle's creation; when somebody else took that step, the first block of this deployment."""
    blocks = {sent.step: sent.block for sent in record.transactions if sent.block is not None}
    created = [block for step, block in blocks.items() if step.startswith(f"create {ORACLE_KEY} ")]
    return min(created or blocks.values(), default=0)


def _require_same(*claims: tuple[str, str, str]) -> None:
    for what, got, begun in claims:
        if got != begun:
            raise Fatal(
                f"the deployment was begun with {what} {begun}, this is {got}",
                advice="finish it with what it was begun with, or name another file for a new one",
            )
