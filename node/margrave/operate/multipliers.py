"""`margrave multipliers`: multipliers of single accounts' margin, from a file over members' signatures to the chain.

There is no server in it. Every member is given the same file, judges it against the chain, signs it and hands its
signature to whoever publishes; anybody may (`multiplier_quorum`). What the contract would skip, cut short or refuse is
refused here, before a signature and again before a transaction, with what was asked and what is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from eth_utils.address import is_checksum_address, to_checksum_address
from pydantic import AwareDatetime, Field, model_validator

from margrave.chain.account_risk import AccountRisk, Standing
from margrave.chain.sender import Sender
from margrave.errors import Fatal, Rejected
from margrave.mirror.account_risk import ONE_BP, Entry, Skip, multiplier, report_digest, settle
from margrave.sections import Section
from margrave.settings import Settings, load_section
from margrave.verdicts import Rejection

AHEAD_S: Final = 86_400
"""A round further off is not signed: bounds and members may be others by then, and the signature would still be out."""


# --- the file -------------------------------------------------------------------------------------------------------


class Wish(Section):
    multiplier: float = Field(gt=0, le=6.5535)
    until: AwareDatetime
    """Afterwards the account's multiplier is 1 again."""


class Wishes(Section):
    """What is wanted; the same file for all who sign."""

    at: AwareDatetime
    """A round's time, now or soon: signatures are good for this round alone, while the contract still takes it."""
    accounts: dict[Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")], Wish] = Field(min_length=1)

    @model_validator(mode="after")
    def sound(self) -> Wishes:
        for address, wish in self.accounts.items():
            mixed = address[2:] not in (address[2:].lower(), address[2:].upper())
            if mixed and not is_checksum_address(address):
                raise ValueError(f"{address} has a wrong checksum: a letter or digit is not what it was")
            if abs(wish.multiplier * ONE_BP - round(wish.multiplier * ONE_BP)) > 1e-6:
                raise ValueError(f"{wish.multiplier} of {address} is finer than 0.0001")
        if len({address.lower() for address in self.accounts}) < len(self.accounts):
            raise ValueError("an account is named twice")
        if any(when.microsecond for when in (self.at, *(wish.until for wish in self.accounts.values()))):
            raise ValueError("a time is finer than a second")
        return self

    def entries(self) -> tuple[Entry, ...]:
        """By address: the order of the file is nothing that members could differ in."""
        return tuple(
            Entry(to_checksum_address(address), round(wish.multiplier * ONE_BP), int(wish.until.timestamp()))
            for address, wish in sorted(self.accounts.items(), key=lambda item: item[0].lower())
        )


def read_wishes(path: Path) -> Wishes:
    """Raises: Fatal: there is no such file, or it is not one."""
    return load_section(path, Wishes)


# --- what becomes of it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Foretold:
    """One account's multiplier before and after the report, in basis points, and when it ends; Unix seconds."""

    account: str
    old_bp: int
    bp: int
    signed_bp: int
    expires_at_s: int

    def line(self) -> str:
        held_back = "" if self.bp == self.signed_bp else f"; {times(self.signed_bp)} is further than one report may go"
        return f"{self.account}  {times(self.old_bp)} -> {times(self.bp)} until {when(self.expires_at_s)}{held_back}"


def foretell(entries: Sequence[Entry], at: Standing, *, ahead_s: int) -> tuple[Foretold, ...]:
    """What a report would do if it were published as soon as it may be.

    Args:
        entries: of the report.
        at: what binds it.
        ahead_s: how far beyond the newest block its round may be observed.

    Raises:
        Rejected: the round is too old or too far off, or the contract would skip an entry or cut it short; both values
            are in the line.
    """
    observed_s, now_s, limits = at.observed_at_s, at.now_s, at.bounds
    if observed_s + at.epoch.timing.max_report_age < now_s:
        raise Rejected(
            Rejection.STALE,
            f"observed at {when(observed_s)}, the contract takes nothing older than "
            f"{when(now_s - at.epoch.timing.max_report_age)}",
            advice="name a later round in the file and have it signed again",
        )
    if observed_s > now_s + ahead_s:
        raise Rejected(
            Rejection.FUTURE,
            f"observed at {when(observed_s)}, the latest is {when(now_s + ahead_s)}",
            advice="wait for it, or name an earlier round in the file",
        )
    found = []
    for entry in entries:
        held, then_s = at.held[entry.account], max(now_s, observed_s)
        longest_s = observed_s + limits.max_lifetime_s
        if entry.expires_at_s > longest_s:
            raise _refused(
                entry, f"asks to hold until {when(entry.expires_at_s)}, governance's latest is {when(longest_s)}"
            )
        settled = settle(held, entry, observed_s, then_s, limits, paused=at.epoch.paused)
        if settled is Skip.NOT_NEWER:
            raise _refused(
                entry,
                f"holds what was observed at {when(held.observed_at_s)}, this report is of {when(observed_s)}",
                Rejection.WRONG_ROUND,
            )
        if settled is Skip.OUT_OF_BOUNDS:
            below = entry.multiplier_bp < ONE_BP
            limit = (
                f"below the floor, {times(ONE_BP)}" if below else f"above the most, {times(limits.max_multiplier_bp)}"
            )
            raise _refused(entry, f"asks for {times(entry.multiplier_bp)}, {limit}")
        if isinstance(settled, Skip):
            raise _refused(entry, f"would end at {when(entry.expires_at_s)}, not after {when(then_s)}", Rejection.STALE)
        old_bp = multiplier(held, then_s)
        found.append(Foretold(entry.account, old_bp, settled.multiplier_bp, entry.multiplier_bp, settled.expires_at_s))
    return tuple(found)


def _refused(entry: Entry, why: str, reason: Rejection = Rejection.OUT_OF_RANGE) -> Rejected:
    return Rejected(reason, f"account {entry.account} {why}", advice="correct the file, or leave the account out")


# --- a file against the chain ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """A report that may be signed: what it is, and what it would do."""

    entries: tuple[Entry, ...]
    at: Standing
    foretold: tuple[Foretold, ...]

    @property
    def digest(self) -> bytes:
        """The 32 bytes that a member signs."""
        at = self.at
        epoch, model_set = at.epoch.number, at.epoch.model_set
        return report_digest(at.chain_id, at.contract, epoch, at.round, model_set, at.bounds, self.entries)

    def lines(self) -> list[str]:
        at = self.at
        head = f"round {at.round}, observed at {when(at.observed_at_s)}, epoch {at.epoch.number}, chain {at.chain_id}"
        return [head, *(each.line() for each in self.foretold), f"digest 0x{self.digest.hex()}"]


def judge(wishes: Wishes, contract: AccountRisk) -> Judged:
    """A file against the chain.

    Raises:
        Rejected: its time is no round's, or an entry is not what governance allows.
        Fatal: the chain cannot be asked.
    """
    period_s, at_s = contract.period_s, int(wishes.at.timestamp())
    round_, beyond_s = divmod(at_s, period_s)
    if beyond_s or not 0 <= round_ < 1 << 32:
        before, after = when(round_ * period_s), when((round_ + 1) * period_s)
        raise Rejected(
            Rejection.WRONG_ROUND,
            f"{when(at_s)} is no round's time: rounds are at {before} and {after}",
            advice="name one of them as `at`",
        )
    entries = wishes.entries()
    at = contract.standing(round_, [entry.account for entry in entries])
    return Judged(entries, at, foretell(entries, at, ahead_s=AHEAD_S))


# --- from a node's configuration ------------------------------------------------------------------------------------


def contract_of(settings: Settings, contract: str | None) -> tuple[AccountRisk, Sender]:
    """The contract, and the endpoint that was asked.

    Args:
        settings: a node's.
        contract: the AccountRisk's address; without it the clearinghouse's own is meant.

    Raises:
        Fatal: neither is named, the endpoint is of another chain, or what is there is not it.
    """
    chain = settings.node.chain
    sender = Sender(chain.rpc[0], None)
    if sender.chain_id != chain.chain_id:
        raise Fatal(
            f"{chain.rpc[0]} is chain {sender.chain_id}, the configuration says {chain.chain_id}",
            advice="correct chain.rpc or chain.chain_id in node.toml",
        )
    if contract is not None:
        return AccountRisk(sender, chain.oracle, contract), sender
    if chain.clearinghouse is None:
        raise Fatal("no AccountRisk is named", advice="name --contract, or chain.clearinghouse in node.toml")
    return AccountRisk.of_clearinghouse(sender, chain.oracle, chain.clearinghouse), sender


def times(bp: int) -> str:
    return f"{bp / ONE_BP:g}"


def when(time_s: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"{time_s} s"  # no calendar has it, and what is refused is told all the same
