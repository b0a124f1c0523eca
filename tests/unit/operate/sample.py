"""A node's journal, and rounds of it with or without a chain of options."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from margrave.operate.value import option
from margrave.settings import Settings
from margrave.store.journal import Journal
from tests.unit.decide.sample import scores_of, words
from tests.unit.guard.sample import T0_MS, VENUES, books, histories, judged
from tests.unit.score.chains import AS_OF_MS, made

FAIR = dict.fromkeys(VENUES, 70_000.0)
ASKED = [option("27FEB26-72000-C"), option("27feb26-72000-p")]


@contextlib.contextmanager
def journal_of(settings: Settings) -> Iterator[Journal]:
    with contextlib.closing(Journal(settings.node.journal_file)) as journal:
        yield journal


def record(settings: Settings, *, with_chain: bool = False, scored: bool = False) -> None:
    """A round as a node journals it, with or without a chain of BTC."""
    snapshot, _ = judged([*books(FAIR), *histories()], T0_MS)
    if with_chain:
        age_s = (snapshot.as_of_ms - AS_OF_MS) / 1000
        markets = tuple(
            msgspec.structs.replace(m, quotes=tuple(made()), chain_age_s=age_s) if m.market == "BTC" else m
            for m in snapshot.markets
        )
        snapshot = msgspec.structs.replace(snapshot, markets=markets)
    with journal_of(settings) as journal:
        journal.saw(snapshot, {})
        if scored:
            journal.scored(scores_of({"BTC": words()}))
