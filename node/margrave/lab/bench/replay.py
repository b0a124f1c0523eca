"""How many rounds an hour are made again from a journal, and whether each gives the same words."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from margrave.errors import Fatal
from margrave.guard.snapshot import Memory, take
from margrave.lab.bench.measured import figure
from margrave.lab.bench.workload import workload
from margrave.messages import Surface
from margrave.operate.init import Plan, init
from margrave.operate.replay import replay, scorer_of
from margrave.score.carried import Carried
from margrave.settings import Settings, load
from margrave.store.journal import Journal

ROUNDS: Final = 24


def run(say: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        init(Path(folder) / "node", Plan(name="bench"))
        settings = load(Path(folder) / "node" / "node.toml")
        say(f"recording {ROUNDS} rounds of {len(settings.markets)} markets")
        rounds = _record(settings)
        say("making them again")
        begun = time.perf_counter()
        made = replay(settings, rounds)
        took_s = time.perf_counter() - begun
    if different := [r.round for r in made if r.differences]:
        raise Fatal(
            f"rounds {different} replay differently", advice="find what is not deterministic before measuring it"
        )
    an_hour = len(made) / took_s * 3600
    return {
        "rounds": len(made),
        "seconds": took_s,
        "same_words": len(made),
        "targets": [figure("rounds replayed", an_hour, "an hour")],
    }


def _record(settings: Settings) -> list[int]:
    """Rounds as a node journals them, an hour of the drill apart."""
    scorer, memory = scorer_of(settings), Memory()
    surfaces, carried = dict[str, Surface](), dict[str, Carried]()
    rounds = []
    with contextlib.closing(Journal(settings.node.journal_file)) as journal:
        for hour in range(ROUNDS):
            work = workload(settings, len(settings.markets), hours=hour)
            snapshot, memory = take(
                work.round, work.as_of_ms, work.readings, settings.markets, settings.policy.guard, memory
            )
            journal.saw(snapshot, surfaces, carried)
            scores, carried = scorer.score(snapshot, surfaces, carried)
            if len(scores.markets) < len(settings.markets):
                raise Fatal(f"a round is not scored whole: {scores.holds[:1]}", advice="mend the benchmark's workload")
            journal.scored(scores)
            surfaces = {m.market: m.surface for m in scores.markets}
            rounds.append(work.round)
    return rounds
