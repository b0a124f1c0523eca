"""Where the node stopped reading a chain, in one small file: written whole or not at all, and checked when read.

It holds the last final block that was covered and what each watcher wants remembered (the accounts it tracks). A file
that is torn, edited or of another chain is set aside with a warning, and reading starts from the watchers' own history.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from margrave.collect.chains.blocks import Block
from margrave.ops import log, strict_json

DIGEST_BYTES: Final = 16
MAX_FILE_BYTES: Final = 64 * 1024 * 1024


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    chain_id: int
    number: int
    hash: bytes
    time_ms: int
    states: dict[str, Any]
    """By watcher's source."""

    def of(self, block: Block) -> bool:
        """Whether the chain still has that block where we left it."""
        return (self.number, self.hash) == (block.number, block.hash)


class CheckpointFile:
    """One chain's checkpoint on disk: a line with a digest, then JSON."""

    def __init__(self, path: Path, chain_id: int) -> None:
        self._path = path
        self._chain_id = chain_id

    def load(self) -> Checkpoint | None:
        """The last one, or `None` where there is none that can be trusted."""
        try:
            if self._path.stat().st_size > MAX_FILE_BYTES:
                return self._set_aside("is larger than any checkpoint")
            digest, _, body = self._path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._set_aside(str(error.strerror or error))
        if digest != _digest(body):
            return self._set_aside("is torn: its digest does not match")
        try:
            checkpoint: Checkpoint = strict_json.decode(body, Checkpoint)
        except msgspec.DecodeError as error:
            return self._set_aside(f"is not a checkpoint: {str(error)[:80]}")
        if checkpoint.chain_id != self._chain_id:
            return self._set_aside(f"is of chain {checkpoint.chain_id}")
        return checkpoint

    def save(self, block: Block, states: Mapping[str, Any]) -> None:
        """Replace the file in one step; a crash at any instruction leaves the old one or the new one."""
        checkpoint = Checkpoint(
            chain_id=self._chain_id, number=block.number, hash=block.hash, time_ms=block.time_ms, states=dict(states)
        )
        body = msgspec.json.encode(checkpoint)
        fresh = self._path.with_suffix(".new")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(_digest(body) + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _set_aside(self, why: str) -> Checkpoint | None:
        log.get().warning(
            "checkpoint", problem=f"{self._path} {why}", advice="no action: the chain is read again from its history"
        )
        return None


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=DIGEST_BYTES).hexdigest().encode()
