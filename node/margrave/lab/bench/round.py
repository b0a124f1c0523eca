"""How long a round takes on one core, from the readings on the board to a signature: 2, 50 and 500 markets."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from margrave.attest.quorum import recover
from margrave.chain.signer import KeystoreSigner
from margrave.decide.limits import policy_digest, policy_words
from margrave.decide.report import decide
from margrave.errors import Fatal
from margrave.guard.snapshot import Memory, take
from margrave.lab.bench.measured import figure
from margrave.lab.bench.workload import Workload, workload
from margrave.lanes import Words
from margrave.messages import ChainState, Epoch, OnchainMarket, Report, Surface
from margrave.mirror.limits import timing
from margrave.mirror.typed_data import UNEXPLAINED, own_words_digest
from margrave.operate.init import Plan, init
from margrave.operate.replay import scorer_of
from margrave.score.attribution import MOST_MARKETS, attributions_hash, explained
from margrave.score.carried import Carried
from margrave.score.scores import Scorer
from margrave.settings import Settings, load
from margrave.verdicts import MarketStatus, ReportKind

SIZES: Final = {2: 20, 50: 8, 500: 3}
"""Markets to runs counted, after one that is not."""
ORACLE: Final = "0x" + "11" * 20


def run(say: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        init(Path(folder) / "node", Plan(name="bench"))
        settings = load(Path(folder) / "node" / "node.toml")
        signer = KeystoreSigner.unlock(settings.node.keys)
    rows = {}
    for markets, runs in SIZES.items():
        say(f"{markets} markets")
        work = workload(settings, markets)
        sized = settings.model_copy(update={"markets": work.markets})
        scorer = scorer_of(sized)
        rows[markets] = measure(sized, scorer, signer, work, runs)
    return {
        "markets": {str(markets): row for markets, row in rows.items()},
        "targets": [figure(f"round, {markets} markets", row["total_ms"], "ms") for markets, row in rows.items()],
    }


def measure(settings: Settings, scorer: Scorer, signer: KeystoreSigner, work: Workload, runs: int) -> dict[str, float]:
    """Median milliseconds by stage; the first run, which warms caches and finds the surfaces, is not counted."""
    state = _state(settings, signer, work, scorer.model_set)
    past = _Past({}, {})
    timed = []
    for _ in range(runs + 1):
        times, past = _round(settings, scorer, signer, work, state, past)
        timed.append(times)
    medians = {stage: statistics.median(times[stage] for times in timed[1:]) for stage in timed[0]}
    return medians | {"total_ms": sum(medians.values()), "readings": float(len(work.readings))}


class _Past(NamedTuple):
    """What a round leaves to the next."""

    surfaces: dict[str, Surface]
    carried: dict[str, Carried]


def _round(
    settings: Settings,
    scorer: Scorer,
    signer: KeystoreSigner,
    work: Workload,
    state: ChainState,
    past: _Past,
) -> tuple[dict[str, float], _Past]:
    begun = time.perf_counter()
    snapshot, _ = take(work.round, work.as_of_ms, work.readings, work.markets, settings.policy.guard, Memory())
    guarded = time.perf_counter()
    scores, carried = scorer.score(snapshot, past.surfaces, past.carried)
    scored = time.perf_counter()
    report = decide(scores, state, settings, work.as_of_ms)
    decided = time.perf_counter()
    told = explained(scorer, snapshot, scores, carried, work.markets)
    attributions = attributions_hash([(work.markets[row.market].id, row) for row in told.markets])
    why = time.perf_counter()
    if not isinstance(report, Report) or len(scores.markets) != len(work.markets):
        raise Fatal(f"the workload is not scored whole: {scores.holds[:1]}", advice="mend the benchmark's workload")
    words = [word for row in report.rows for word in (row.words.risk, row.words.market)]
    digest = own_words_digest(
        1, ORACLE, report.epoch, report.round, report.first_market, report.model_set, report.policy_digest, words
    )
    signature = signer.sign_digest(digest)
    signed = time.perf_counter()
    assert recover(signature, digest) == signer.address
    assert (attributions == UNEXPLAINED) == (len(work.markets) > MOST_MARKETS)
    times = (begun, guarded, scored, decided, why, signed)
    stages = ("guard_ms", "score_ms", "decide_ms", "explain_ms", "sign_ms")
    took = {stage: (b - a) * 1000 for stage, (a, b) in zip(stages, pairwise(times), strict=True)}
    return took, _Past({m.market: m.surface for m in scores.markets}, carried)


def _state(settings: Settings, signer: KeystoreSigner, work: Workload, model_set: bytes) -> ChainState:
    """A chain on which nothing was ever published, so that every market is due."""
    empty = OnchainMarket(words=Words(0, 0), observed_at_s=0, status=MarketStatus.EMPTY)
    count = len(work.markets)
    epoch = Epoch(
        number=1,
        kind=ReportKind.OWN_WORDS,
        paused=False,
        quorum=1,
        members=(signer.address,),
        model_set=model_set,
        policy_digest=b"",
        timing=timing(settings.policy.round),
        classes=(policy_words(settings.policy.limits),),
        class_of=bytes(count),
        group_of=bytes(count),
        ring_of=bytes(count),
    )
    return ChainState(
        block=1,
        block_time_s=work.as_of_ms // 1000,
        period_s=settings.policy.round.period_s,
        history_hash=bytes(20),
        epoch=msgspec.structs.replace(epoch, policy_digest=policy_digest(epoch)),
        next_epoch=None,
        next_from_round=0,
        markets=(empty,) * count,
    )
