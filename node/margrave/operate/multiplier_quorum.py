"""Signatures of one report of multipliers: given, handed on as files, gathered to a quorum, and sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from eth_utils.address import is_checksum_address

from margrave.addresses import NOBODY
from margrave.attest.quorum import recover
from margrave.chain.account_risk import AccountRisk
from margrave.chain.sender import Sender
from margrave.chain.signer import Signer
from margrave.errors import Fatal, Rejected
from margrave.mirror.account_risk import Bounds, Entry, multiplier
from margrave.operate.multipliers import Judged, foretell, times, when
from margrave.ops import strict_json
from margrave.verdicts import Rejection

SIGNED_VERSION: Final = 1
AGAIN: Final = "have every member sign the same file again"


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member's signature with all that it was given for, as members hand it on. Nothing in it is believed."""

    version: int = SIGNED_VERSION
    chain_id: int
    contract: str
    round: int
    epoch: int
    bounds: Bounds
    entries: tuple[Entry, ...]
    member: str
    signature: str

    def __post_init__(self) -> None:
        """What the ABI could not even write down is refused while it is read."""
        accounts = [entry.account for entry in self.entries]
        if not accounts or len(set(accounts)) < len(accounts):
            raise ValueError("there is no account in it, or one twice")
        if not all(map(is_checksum_address, (self.contract, self.member, *accounts))):
            raise ValueError("an address is none, or its checksum is wrong")
        counts = ((self.round, 32), *((entry.multiplier_bp, 16) for entry in self.entries))
        counts += tuple((entry.expires_at_s, 40) for entry in self.entries)
        if any(not 0 <= count < 1 << bits for count, bits in counts):
            raise ValueError("a number does not fit its place")

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Signed:
        """Raises: Fatal: there is no such file, or it is none of this version."""
        try:
            signed: Signed = strict_json.decode(path.read_bytes(), cls)
        except OSError as error:
            raise Fatal(f"{path}: {error.strerror or error}", advice="check the path") from error
        except (msgspec.DecodeError, ValueError) as error:
            raise Fatal(f"{path} is no signed report: {error}", advice="ask its member for it again") from error
        if signed.version != SIGNED_VERSION:
            raise Fatal(
                f"{path} is of version {signed.version}, this program reads {SIGNED_VERSION}",
                advice="use the program that wrote it",
            )
        return signed


def sign(judged: Judged, signer: Signer) -> Signed:
    """Raises: Rejected: the key is no member's of the epoch that binds the round."""
    at = judged.at
    if signer.address not in at.epoch.members:
        raise Rejected(
            Rejection.WRONG_SIGNER,
            f"{signer.address} is no member of epoch {at.epoch.number}",
            advice="sign with a member's key, or ask governance to add this one",
        )
    return Signed(
        chain_id=at.chain_id,
        contract=at.contract,
        round=at.round,
        epoch=at.epoch.number,
        bounds=at.bounds,
        entries=judged.entries,
        member=signer.address,
        signature="0x" + signer.sign_digest(judged.digest).hex(),
    )


@dataclass(frozen=True, slots=True)
class Gathered:
    """A quorum's report, ready to be sent."""

    judged: Judged
    members: tuple[str, ...]
    """Who signed, in the epoch's order."""
    to: str
    data: bytes

    def lines(self) -> list[str]:
        return [
            *self.judged.lines(),
            f"signed by {', '.join(self.members)}",
            f"to {self.to}",
            f"data 0x{self.data.hex()}",
        ]


def gather(signed: Sequence[Signed], contract: AccountRisk) -> Gathered:
    """A quorum's signatures of one report, each verified, and the report judged again as the chain is now.

    Raises:
        Rejected: they are not of one report of this chain, contract, epoch and bounds; one is not its member's; they
            are too few; or the contract would not take all of it.
        Fatal: the chain cannot be asked.
    """
    first = signed[0]
    at = contract.standing(first.round, [entry.account for entry in first.entries])
    for each in signed:
        for what, got, wanted in (
            ("chain", each.chain_id, at.chain_id),
            ("contract", each.contract, at.contract),
            ("round", each.round, at.round),
            ("epoch", each.epoch, at.epoch.number),
            ("bounds", each.bounds, at.bounds),
            ("entries", each.entries, first.entries),
        ):
            if got != wanted:
                raise Rejected(
                    Rejection.WRONG_ROUND,
                    f"{each.member} signed {what} {got}, where it is {wanted}",
                    advice=AGAIN,
                )
    judged = Judged(first.entries, at, foretell(first.entries, at, ahead_s=at.epoch.timing.max_skew))
    by_member = {each.member: _verified(each, judged) for each in signed}
    quorum = at.epoch.quorum
    if len(by_member) < quorum:
        raise Rejected(
            Rejection.EMPTY,
            f"{len(by_member)} members signed, the quorum is {quorum}",
            advice=f"ask for more of {', '.join(member for member in at.epoch.members if member not in by_member)}",
        )
    # Exactly a quorum: the contract takes no more.
    members = tuple(member for member in at.epoch.members if member in by_member)[:quorum]
    bitmap = sum(1 << at.epoch.members.index(member) for member in members)
    data = contract.calldata(at.round, bitmap, [by_member[member] for member in members], first.entries)
    return Gathered(judged, members, at.contract, data)


def _verified(signed: Signed, judged: Judged) -> bytes:
    try:
        signature = bytes.fromhex(signed.signature.removeprefix("0x"))
    except ValueError:
        signature = b""
    if len(signature) != 64:
        raise Rejected(Rejection.MALFORMED, f"the signature of {signed.member} is not 64 bytes", advice=AGAIN)
    if signed.member not in judged.at.epoch.members:
        problem = f"{signed.member} is no member of epoch {judged.at.epoch.number}"
        raise Rejected(Rejection.WRONG_SIGNER, problem, advice="leave its file out")
    if (signer := recover(signature, judged.digest)) != signed.member:
        raise Rejected(Rejection.WRONG_SIGNER, f"signed by {signer}, claims {signed.member}", advice=AGAIN)
    return signature


def send(gathered: Gathered, sender: Sender, contract: AccountRisk) -> list[str]:
    """Publish in one transaction; gives, in lines, its hash and what the accounts hold then.

    Raises:
        Fatal: the contract refuses it (somebody else's may have come before), or it is not mined in time.
    """
    rehearse(gathered, sender, sender.address)
    receipt = sender.send_data("the multipliers", gathered.to, gathered.data)
    at = contract.standing(gathered.judged.at.round, [entry.account for entry in gathered.judged.entries])
    holds = [
        f"{account}  holds {times(multiplier(held, at.now_s))} until {when(held.expires_at_s)}"
        for account, held in at.held.items()
    ]
    return [f"published in 0x{bytes(receipt['transactionHash']).hex()}", *holds]


def rehearse(gathered: Gathered, sender: Sender, caller: str = NOBODY) -> None:
    """Raises: Fatal: the contract would refuse it."""
    sender.rehearse(caller, gathered.to, gathered.data)
