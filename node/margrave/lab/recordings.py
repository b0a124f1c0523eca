"""`python -m margrave.lab.recordings DIR`: what the live parsers make of every recorded payload in a folder, by venue.

A file is a venue's if a word of its path is the venue's name. The result is committed as docs/recordings.json, from
which docs/sources.md has its table; the tests state the same counts file by file.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from margrave.collect.recorded import parse_file
from margrave.collect.venues import VENUES
from margrave.messages import Contract, Refusal
from margrave.verdicts import Rejection

SUFFIXES: Final = (".json", ".gz", ".txt", ".log")
KNOWN: Final = Rejection.NOT_READ
"""Of payloads that are recognised and none of the node's business: accounts, orders."""


class Made(msgspec.Struct, frozen=True):
    """What came of one venue's files."""

    files: int
    events: dict[str, int]
    not_read: int
    refused: dict[str, int]
    """By reason, without what is known not to be read."""


def made_of(folder: Path) -> dict[str, Made]:
    """Venue -> what its recordings under `folder` hold; venues without one are left out."""
    found = {}
    for venue in sorted(VENUES):
        files = sorted(_files(folder, venue))
        if files:
            found[venue] = _made(venue, files)
    return found


def _files(folder: Path, venue: str) -> Iterator[Path]:
    for file in folder.rglob("*"):
        words = re.split(r"[^a-z]+", file.relative_to(folder).as_posix().lower())
        if venue in words and file.suffix in SUFFIXES and file.is_file():
            yield file


def _made(venue: str, files: list[Path]) -> Made:
    events: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    listed: dict[str, Contract] = {}
    for file in files:
        for event in parse_file(venue, file, listed=listed):
            if isinstance(event, Refusal):
                refused[event.reason.value] += 1
            else:
                events[type(event).__name__] += 1
    not_read = refused.pop(KNOWN.value, 0)
    return Made(len(files), dict(sorted(events.items())), not_read, dict(sorted(refused.items())))


def table(made: dict[str, Made]) -> str:
    """In Markdown."""
    rows = [
        "| venue | files | book snapshots and differences | trades and liquidations | readings and contracts "
        "| known, not read | refused |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for venue, one in made.items():
        books = sum(one.events.get(name, 0) for name in ("BookSnapshot", "BookDiff"))
        flows = sum(one.events.get(name, 0) for name in ("Trade", "Liquidation"))
        read = sum(count for name, count in one.events.items() if name.endswith("Reading") or name == "Contract")
        refused = ", ".join(f"{count:,} `{reason}`" for reason, count in one.refused.items()) or "none"
        rows.append(f"| {venue} | {one.files} | {books:,} | {flows:,} | {read:,} | {one.not_read:,} | {refused} |")
    return "\n".join(rows)


def main(folder: Annotated[Path, typer.Argument(help="recordings, in folders or files named by venue")]) -> None:
    """Print the counts as JSON."""
    encoded = msgspec.json.format(msgspec.json.encode(made_of(folder)), indent=1)
    sys.stdout.write(encoded.decode() + "\n")


if __name__ == "__main__":
    typer.run(main)
