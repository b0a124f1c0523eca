"""The deployment file: at first the journal of a deployment that is being made, in the end what says where it is.

It is written before a transaction is sent and after it is mined, each time whole and at once, so that a kill at any
moment leaves a file that the next run goes on from.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from margrave.errors import Fatal

RECORD_VERSION: Final = 1


class Made(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One contract: with `salt` and the committed creation code, `arguments` (hex) prove the address. What another
    contract created in its constructor has a `parent` and no arguments."""

    artifact: str
    address: str
    arguments: str
    parent: str | None = None


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One transaction; `block` is missing until it is mined."""

    step: str
    hash: str
    block: int | None = None


class Powers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What governance was set up with; the check compares it with the chain. Delays in seconds."""

    guardian: str
    timelock_delay_s: int
    slow_delay_s: int
    grants: dict[str, int]
    """The whole supply of votes, in the token's smallest unit, by holder at the beginning."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`config/networks/<name>.json`."""

    version: int = RECORD_VERSION
    name: str
    chain_id: int
    deployer: str
    salt: str
    plan: str
    """Digest of the planned transactions: a deployment is finished by the plan it was begun with."""
    contracts: dict[str, Made]
    powers: Powers | None
    """Missing in a development deployment, which stays the deployer's."""
    adapters: dict[str, Made] = {}
    """Those that were asked for, made after the rest and nobody's; see `adapters`."""
    transactions: list[Sent] = []
    block: int | None = None
    """The oracle's own block: no event of it is older."""
    complete: bool = False

    def address(self, key: str) -> str:
        """Raises: Fatal: the deployment has no such contract."""
        if key not in self.contracts:
            raise Fatal(f"deployment {self.name} has no {key}", advice="deploy again with a plan that has it")
        return self.contracts[key].address

    def write(self, path: Path) -> None:
        """Whole or not at all, and on the disk when it returns."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".partial")
        with beside.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Record:
        """Raises: Fatal: there is no such file, or it is no deployment file of this version."""
        try:
            record = msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise Fatal(f"{path}: {error.strerror or error}", advice="deploy first") from error
        except msgspec.MsgspecError as error:
            raise Fatal(f"{path} is not a deployment file: {error}", advice="deploy again") from error
        if record.version != RECORD_VERSION:
            raise Fatal(
                f"{path} is of version {record.version}, this program reads {RECORD_VERSION}",
                advice="use the program that wrote it",
            )
        return record
