"""A recording on disk: a folder of files, each a row of gzip members, and their SHA-256 in `SHA256SUMS`.

A member holds a second or a mebibyte, whichever is less, and stands alone: a machine that dies loses the member under
way and nothing before it. `zcat *.jsonl.gz` shows everything, `sha256sum -c SHA256SUMS` checks what is sealed. The file
being written ends in `.part`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from margrave.collect.recording.line import Line, decode
from margrave.errors import Fatal

SUMS: Final = "SHA256SUMS"
SEALED: Final = ".jsonl.gz"
OPEN: Final = ".jsonl.gz.part"
GZIP_WINDOW: Final = 31
MAX_MEMBER_BYTES: Final = 64 * 1024 * 1024
"""Uncompressed. The recorder's are a hundredth of it unless one answer is huge; a file may not fill our memory."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a gzip member lies."""

    file: Path
    offset: int
    size: int


def files(folder: Path) -> list[Path]:
    """A recording's files in the order they were written.

    Raises:
        Fatal: none there.
    """
    found = sorted((*folder.glob(f"*{SEALED}"), *folder.glob(f"*{OPEN}")), key=lambda f: f.name)
    if not found:
        raise Fatal(f"{folder} holds no recording", advice="give a folder that `margrave record` wrote")
    return found


def verify(folder: Path) -> dict[str, str]:
    """Sealed files that are missing or were changed, each with what is wrong; empty where all is well."""
    wrong = {}
    for name, expected in sums(folder).items():
        try:
            digest = sha256(folder / name)
        except OSError as error:
            wrong[name] = error.strerror or str(error)
            continue
        if digest != expected:
            wrong[name] = f"SHA-256 is {digest[:16]}…, recorded was {expected[:16]}…"
    return wrong


def sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 of the sealed files."""
    manifest = folder / SUMS
    rows = manifest.read_text(encoding="ascii").splitlines() if manifest.exists() else []
    return {name: digest for digest, _, name in (row.partition("  ") for row in rows)}


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def members(file: Path) -> Iterator[tuple[Member, bytes]]:
    """(where, uncompressed) of each whole gzip member; stops at a torn one, and the rest of the file is not read."""
    packed = memoryview(file.read_bytes())
    offset = 0
    while offset < len(packed):
        inflate = zlib.decompressobj(GZIP_WINDOW)
        try:
            content = inflate.decompress(packed[offset:], MAX_MEMBER_BYTES)
        except zlib.error:
            return
        if not inflate.eof:
            return
        size = len(packed) - offset - len(inflate.unused_data)
        yield Member(file, offset, size), content
        offset += size


def inflated(packed: bytes) -> bytes:
    """One member, known to be whole."""
    return zlib.decompress(packed, GZIP_WINDOW)


def whole_bytes(file: Path) -> int:
    """Up to where a file consists of whole members."""
    return max((m.offset + m.size for m, _ in members(file)), default=0)


def rows(content: bytes) -> list[Line]:
    """The lines of a member.

    Raises:
        Rejected: one of them is not a line of a recording.
    """
    return [decode(row) for row in content.splitlines() if row]


def read(folder: Path) -> Iterator[Line]:
    """Everything, in order.

    Raises:
        Fatal: nothing there, or a sealed file was changed.
        Rejected: a line is not one of a recording.
    """
    refuse_changed(folder)
    for file in files(folder):
        for _, content in members(file):
            yield from rows(content)


def refuse_changed(folder: Path) -> None:
    """
    Raises:
        Fatal: a sealed file is missing or was changed.
    """
    if wrong := verify(folder):
        name, problem = next(iter(wrong.items()))
        raise Fatal(f"{folder / name}: {problem}", advice="fetch the recording again, or remove the file and its row")
