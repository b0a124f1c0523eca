"""A mutation campaign: a fixed sample of an area's mutants, each compiled and put before the area's tests.

The sample is drawn with a seed from all mutants of the area, so it is the same on every machine; what is known is kept
in a journal of one JSON line a mutant, bound to the text of the file it changes, so that a stopped campaign goes on.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from margrave.errors import Fatal
from margrave.lab.evidence.mutants import Mutant, mutants
from margrave.lab.evidence.workshop import PROJECT, UNREWRITTEN, forge, syntax_tree

LIMIT_S: Final = 1800.0
"""A mutant that keeps its tests busy for longer than this has been noticed; gas ends most loops long before."""


class Area(msgspec.Struct, frozen=True):
    """Sources that are changed, what must be compiled with them, and the tests that should notice."""

    sources: tuple[str, ...]
    tests: str
    left_out: tuple[str, ...] = ()


AREAS: Final[Mapping[str, Area]] = {
    "oracle": Area(("contracts/src/oracle",), "contracts/test/oracle", ("Lanes.sol",)),
    # Normal.sol is a table: a sample would be drawn from its thousand numbers, each of which a test knows.
    "margin": Area(("contracts/src/margin",), "contracts/test/margin", ("Normal.sol",)),
    "protocol": Area(("contracts/src/protocol",), "contracts/test/protocol"),
    "adapters": Area(("contracts/src/adapters",), "contracts/test/adapters"),
}


class Fate(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    SLOW = "slow"
    """The tests did not end in time: noticed."""
    STILLBORN = "stillborn"
    """It does not compile: not counted."""


class Trial(msgspec.Struct, frozen=True):
    """One line of the journal."""

    file: str
    source: str
    """First half of the SHA-256 of the unchanged file."""
    line: int
    start: int
    length: int
    new: str
    kind: str
    shown: str
    fate: Fate
    by: str
    seconds: float

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        return self.file, self.source, self.start, self.length, self.new


class Score(msgspec.Struct, frozen=True):
    """What a campaign says; the share is of the mutants that compile."""

    area: str
    seed: int
    mutants: int
    tried: int
    killed: int
    survivors: tuple[Trial, ...]

    @property
    def share(self) -> float:
        return self.killed / self.tried if self.tried else 0.0


def run(area: str, sample: int, seed: int, journal: Path, say: Callable[[str], None], until_s: float) -> Score:
    """Try mutants of an area until `sample` of them have compiled, or the monotonic clock reaches `until_s`.

    Raises:
        Fatal: The unchanged sources do not pass, so nothing could be learnt.
    """
    known = _known(journal)
    everything = _all(AREAS[area])
    order = random.Random(seed).sample(everything, len(everything))  # noqa: S311 - a sample, not a secret
    trials: list[Trial] = []
    bench: Path | None = None
    with tempfile.TemporaryDirectory(prefix="margrave-mutants-") as folder:
        for file, mutant in order:
            if sum(trial.fate is not Fate.STILLBORN for trial in trials) == sample:
                break
            source = (PROJECT / file).read_bytes()
            key = (file, _digest(source), mutant.start, mutant.length, mutant.new)
            trial = known.get(key)
            if trial is None:
                if time.monotonic() > until_s:
                    break
                if bench is None:
                    bench = _bench(Path(folder), AREAS[area])
                trial = _try(bench, AREAS[area], file, source, mutant)
                with journal.open("ab") as out:
                    out.write(msgspec.json.encode(trial) + b"\n")
                say(f"{trial.fate:<9} {trial.seconds:5.1f} s  {Path(file).name}:{trial.line}  {trial.shown}")
            trials.append(trial)
    counted = [trial for trial in trials if trial.fate is not Fate.STILLBORN]
    survivors = tuple(sorted((t for t in counted if t.fate is Fate.SURVIVED), key=lambda t: (t.file, t.start)))
    return Score(area, seed, len(everything), len(counted), len(counted) - len(survivors), survivors)


def _all(area: Area) -> list[tuple[str, Mutant]]:
    found: list[tuple[str, Mutant]] = []
    for folder in area.sources:
        for path in sorted((PROJECT / folder).rglob("*.sol")):
            if path.name in area.left_out:
                continue
            source = path.read_bytes()
            name = str(path.relative_to(PROJECT))
            found += [(name, mutant) for mutant in mutants(source, syntax_tree(source, name))]
    return found


def _bench(folder: Path, area: Area) -> Path:
    """A copy of what the area's tests need, so that the checkout is never touched, and one good run in it."""
    for name in ("contracts", "tests/vectors"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("out*", "cache*"))
    for name in ("node_modules", "scripts"):
        (folder / name).symlink_to(PROJECT / name)
    fate, by, _ = _tested(folder, area)
    if fate is not Fate.SURVIVED:
        raise Fatal(f"the unchanged contracts fail {area.tests}: {fate} by {by}", advice="mend them first")
    return folder


def _try(bench: Path, area: Area, file: str, source: bytes, mutant: Mutant) -> Trial:
    with _changed(bench / file, mutant.of(source)):
        fate, by, seconds = _tested(bench, area)
    return Trial(
        file,
        _digest(source),
        mutant.line(source),
        mutant.start,
        mutant.length,
        mutant.new,
        mutant.kind,
        mutant.shown(source),
        fate,
        by,
        round(seconds, 1),
    )


@contextmanager
def _changed(path: Path, text: bytes) -> Iterator[None]:
    kept = path.read_bytes()
    path.write_bytes(text)
    try:
        yield
    finally:
        path.write_bytes(kept)


def _tested(bench: Path, area: Area) -> tuple[Fate, str, float]:
    """Whether the tests notice, the first test that does, and the seconds it took."""
    settings = {
        "FOUNDRY_SRC": area.sources[0],
        "FOUNDRY_TEST": area.tests,
        "FOUNDRY_OUT": str(bench / "out"),
        "FOUNDRY_CACHE_PATH": str(bench / "cache"),
        # Without the optimiser's rewriting a mutant compiles in a sixth of the time, and is as wrong.
        "MARGRAVE_SOLC_OPTIMIZER": json.dumps(UNREWRITTEN),
    }
    began = time.monotonic()
    try:
        done = forge("test", "--root", ".", "--fail-fast", root=bench, settings=settings, timeout_s=LIMIT_S)
    except subprocess.TimeoutExpired:
        return Fate.SLOW, "the clock", time.monotonic() - began
    seconds = time.monotonic() - began
    if "Compiler run failed" in done.stdout + done.stderr:
        return Fate.STILLBORN, "the compiler", seconds
    if done.returncode == 0:
        return Fate.SURVIVED, "", seconds
    failed = [line for line in done.stdout.splitlines() if line.startswith("[FAIL")]
    if not failed:
        said = (done.stdout + done.stderr)[-600:]
        raise Fatal(f"forge failed without a failing test: {said}", advice="run it by hand")
    return Fate.KILLED, failed[0].rpartition("] ")[2].split("(")[0], seconds


def _known(journal: Path) -> dict[tuple[str, str, int, int, str], Trial]:
    if not journal.exists():
        return {}
    lines = journal.read_bytes().splitlines()
    return {trial.key: trial for trial in (msgspec.json.decode(line, type=Trial) for line in lines)}


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:32]
