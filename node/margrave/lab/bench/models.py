"""What the models cost: each of the registry alone, and everything that a node computes of a market in a round.

A model: its golden outputs come out again (by how much they differ is the parity of this machine; what it differs from
the code that it was written from stands on its card), and how long it takes over one market and over 500.

The bundle: `Scorer.score` of one market, hour after hour over a drill's last days: the features' state goes on by an
hour, the policy's models run, the chain's surface is fitted from the last one, outcomes widen and are watched for
drift, and the words are composed. One thread. Milliseconds are of the processor (`thread_time`), which is the wall's on
an idle machine and stays true on a busy one; the wall's stand beside them.

Memory: what a fresh process grows by from numpy and scipy to a scored market, onnxruntime and all.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.guard.snapshot import Memory, take
from margrave.lab.bench.measured import figure
from margrave.lab.bench.workload import workload
from margrave.messages import MarketSnapshot, Snapshot, Surface
from margrave.operate.init import Plan, init
from margrave.operate.replay import scorer_of
from margrave.score.registry import Model, Tensor, open_model
from margrave.score.scores import Scorer
from margrave.settings import REGISTRY, Settings, load
from margrave.spans import HOUR_MS

BATCH: Final = 500
RUNS: Final = 300
BATCH_RUNS: Final = 20
HOURS: Final = 200
WARM_HOURS: Final = 5
BUNDLE_BATCH_RUNS: Final = 5
MOST_BUNDLE_MS: Final = 5.0
MOST_BATCH_MS: Final = 400.0
MOST_MEMORY_MB: Final = 150.0
MOST_PARITY: Final[Mapping[str, float]] = {"float32": 1e-5, "float64": 1e-12}
WEIGH: Final = """
import sys
import apscheduler, httpx2, msgspec, numpy, pydantic, starlette, structlog, web3
import scipy.optimize, scipy.signal, scipy.special
from pathlib import Path
def resident_kb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
before = resident_kb()
from margrave.lab.bench.models import score_twice
score_twice(Path(sys.argv[1]))
print((resident_kb() - before) / 1024)
"""
"""From a node's other libraries to a market that has been scored twice."""


BY_MARKET: Final = ("batch", "assets", "asked", "seen")
"""Axes of inputs that grow with what is asked about, as cards name them."""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds over the runs."""

    p50: float
    p99: float
    wall_p50: float
    wall_p99: float


@dataclass(frozen=True, slots=True)
class Measured:
    name: str
    dtype: str
    kilobytes: float
    golden: float
    """Largest difference to its golden outputs here, relative to 1 + their magnitude."""
    parity: float | None
    """And of the graph to what it was written from, by its card."""
    one: Times
    many: Times


def run(say: Callable[[str], None]) -> dict[str, Any]:
    measured = []
    for name in registered():
        say(name)
        measured.append(model(open_model(REGISTRY, name)))
    say("the bundle")
    with drill() as work:
        bundle = whole(work)
        memory = memory_mb(work)
    return {
        "models": [msgspec.to_builtins(each) for each in measured],
        "bundle": msgspec.to_builtins(bundle),
        "memory_mb": memory,
        "targets": [*_parities(measured), *_bundle_rows(bundle, memory)],
    }


def registered(registry: Path = REGISTRY) -> list[str]:
    return sorted(str(card.parent.relative_to(registry)) for card in registry.glob("*/*/card.toml"))


def timed(work: Callable[[], object], runs: int) -> Times:
    """After one run that warms caches."""
    work()
    spent = np.empty((runs, 2))
    for k in range(runs):
        wall, thread = time.perf_counter_ns(), time.thread_time_ns()
        work()
        spent[k] = time.thread_time_ns() - thread, time.perf_counter_ns() - wall
    return _times(spent)


def _times(spent_ns: NDArray[np.float64]) -> Times:
    p50, p99 = np.percentile(spent_ns / 1e6, (50, 99), axis=0)
    return Times(float(p50[0]), float(p99[0]), float(p50[1]), float(p99[1]))


# --- one model --------------------------------------------------------------------------------------------------------


def model(opened: Model, registry: Path = REGISTRY) -> Measured:
    folder = registry / opened.name
    with np.load(folder / "reference.npz", allow_pickle=False) as archive:
        golden = {key: archive[key] for key in archive.files}
    inputs = {key.removeprefix("in_"): value for key, value in golden.items() if key.startswith("in_")}
    found = opened.run(inputs)
    differences = [
        float(np.max(np.abs(values - golden[f"out_{name}"]) / (1 + np.abs(golden[f"out_{name}"]))))
        for name, values in found.items()
    ]
    one, many = (
        {tensor.name: of_so_many(inputs[tensor.name], tensor, count) for tensor in opened.card.inputs}
        for count in (1, BATCH)
    )
    return Measured(
        name=opened.name,
        dtype="float32" if any(tensor.dtype == "float32" for tensor in opened.card.outputs) else "float64",
        kilobytes=(folder / "model.onnx").stat().st_size / 1000,
        golden=max(differences),
        parity=opened.card.parity,
        one=timed(lambda: opened.run(one), RUNS),
        many=timed(lambda: opened.run(many), BATCH_RUNS),
    )


def of_so_many(value: NDArray[Any], tensor: Tensor, count: int) -> NDArray[Any]:
    """The golden input for `count` markets: what it has of them, over and over."""
    for axis, name in enumerate(tensor.shape):
        if name in BY_MARKET:
            value = value.take(np.arange(count) % value.shape[axis], axis=axis)
    return value


def _parities(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    rows = []
    for each in measured:
        worst = max(each.golden, each.parity or 0.0)
        name = f"{each.name}, parity, {each.dtype}"
        if each.parity is None:
            name += ", golden outputs alone"
        rows.append(figure(name, worst, "rel", MOST_PARITY[each.dtype]))
        rows.append(figure(f"{each.name}, one market, p99", each.one.p99, "ms"))
        rows.append(figure(f"{each.name}, {BATCH} markets, p50", each.many.p50, "ms"))
    return rows


# --- the bundle -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bundle:
    one: Times
    many: Times
    """`BATCH` markets, an hour later than their last round, in one call."""
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drill:
    folder: Path
    """Of a node's settings."""
    settings: Settings
    market: MarketSnapshot
    """The first, as the guard hands it on."""
    round: int


@contextmanager
def drill() -> Iterator[Drill]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        init(folder / "node", Plan(name="bench"))
        settings = load(folder / "node" / "node.toml")
        work = workload(settings, 1)
        snapshot, _ = take(work.round, work.as_of_ms, work.readings, work.markets, settings.policy.guard, Memory())
        (folder / "market.json").write_bytes(msgspec.json.encode(snapshot.markets[0]))
        yield Drill(folder, settings, snapshot.markets[0], work.round)


def whole(work: Drill, *, quick: bool = False) -> Bundle:
    market, hours, batches = work.market, *((20, 1) if quick else (HOURS, BUNDLE_BATCH_RUNS))
    scorer = _scorer(work.settings, [market.market])
    one = _scored(scorer, [[hour] for hour in _hours(market, hours + WARM_HOURS)], work.round, WARM_HOURS)
    names = [market.market, *(f"{market.market}-{k}" for k in range(1, BATCH))]
    crowd = [[msgspec.structs.replace(hour, market=name) for name in names] for hour in _hours(market, batches + 1)]
    many = _scored(_scorer(work.settings, names), crowd, work.round, 1)
    return Bundle(_times(one), _times(many), models_of(work.settings))


def models_of(settings: Settings) -> tuple[str, ...]:
    """Those that the policy names."""
    named = settings.policy.models.model_dump()
    return tuple(value for value in named.values() if isinstance(value, str) and "/" in value)


def score_twice(folder: Path) -> None:
    """What `memory_mb` weighs."""
    settings = load(folder / "node" / "node.toml")
    market = msgspec.json.decode((folder / "market.json").read_bytes(), type=MarketSnapshot)
    _scored(_scorer(settings, [market.market]), [[hour] for hour in _hours(market, 2)], 1, 0)


def memory_mb(work: Drill) -> float | None:
    """`None` where the system does not tell (it is not Linux)."""
    if not Path("/proc/self/status").exists():
        return None
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", WEIGH, str(work.folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Fatal(f"the weighing failed: {done.stderr.strip().splitlines()[-1]}", advice="run it again")
    return float(done.stdout)


def _scored(scorer: Scorer, hours: Sequence[Sequence[MarketSnapshot]], round_: int, warm: int) -> NDArray[np.float64]:
    """Nanoseconds (rounds after the first `warm`, processor and wall) of scoring hour after hour."""
    surfaces: dict[str, Surface] = {}
    carried: dict[str, Any] = {}
    spent = []
    for k, markets in enumerate(hours):
        as_of_ms = markets[0].bars[-1].open_time_ms + HOUR_MS + 60_000
        snapshot = Snapshot(round=round_ + k, as_of_ms=as_of_ms, markets=tuple(markets), holds=(), refusals=())
        wall, thread = time.perf_counter_ns(), time.thread_time_ns()
        scores, carried = scorer.score(snapshot, surfaces, carried)
        spent.append((time.thread_time_ns() - thread, time.perf_counter_ns() - wall))
        if len(scores.markets) != len(markets):
            raise Fatal(f"the workload is not scored whole: {scores.holds[:1]}", advice="mend the benchmark's workload")
        surfaces = {scored.market: scored.surface for scored in scores.markets}
    return np.array(spent[warm:], dtype=np.float64).reshape(-1, 2)


def _hours(market: MarketSnapshot, count: int) -> list[MarketSnapshot]:
    """The last `count` hours of the drill's bars, each as a snapshot that ends there; the chain is the last one's."""
    bars = market.bars
    return [
        msgspec.structs.replace(market, bars=bars[: len(bars) - back], price=bars[len(bars) - back - 1].close)
        for back in reversed(range(count))
    ]


def _scorer(settings: Settings, names: Sequence[str]) -> Scorer:
    like = next(iter(settings.markets.values()))
    markets = {name: like.model_copy(update={"id": place}) for place, name in enumerate(names)}
    return scorer_of(settings.model_copy(update={"markets": markets}))


def _bundle_rows(bundle: Bundle, memory: float | None) -> list[dict[str, Any]]:
    rows = [
        figure("bundle, one market, p99 of the processor", bundle.one.p99, "ms", MOST_BUNDLE_MS),
        figure("bundle, one market, p50 of the processor", bundle.one.p50, "ms"),
        figure("bundle, one market, p99 of the wall", bundle.one.wall_p99, "ms"),
        figure(f"bundle, {BATCH} markets in one batch", bundle.many.p50, "ms", MOST_BATCH_MS),
    ]
    if memory is not None:
        rows.append(figure("memory added", memory, "MB", MOST_MEMORY_MB))
    return rows
