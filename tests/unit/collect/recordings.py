"""How the tests count what an adapter makes of recorded files, so that nothing can be skipped without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from margrave.collect.recorded import parse_file
from margrave.collect.stream import Event
from margrave.messages import Contract, Refusal
from tests.history import recorded

Counts = dict[str, int]


def tally(events: Iterable[Event]) -> Counts:
    """How many of each kind; refusals by their reason."""
    named = (event.reason.value if isinstance(event, Refusal) else type(event).__name__ for event in events)
    return dict(Counter(named))


def counted(venue: str, path: str, *, listed_in: str = "") -> Counts:
    """What the venue's adapter makes of one file, with the contracts that another one lists."""
    listed: dict[str, Contract] = {}
    if listed_in:
        assert set(tally(parse_file(venue, recorded(listed_in), listed=listed))) == {"Contract"}
    return tally(parse_file(venue, recorded(path), listed=listed))


def files(folder: str, pattern: str) -> set[str]:
    """What lies there, as the tables name it: relative to the data's folder."""
    root = recorded()
    return {path.relative_to(root).as_posix() for path in recorded(folder).rglob(pattern) if path.is_file()}
