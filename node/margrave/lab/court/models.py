"""The chamber of the registry: what each model's files say on unseen hours, whether they compute what they were
written from, and what all that a node computes of a market costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from margrave.lab.bench import models as bench
from margrave.lab.bench.models import BATCH, MOST_BATCH_MS, MOST_BUNDLE_MS, MOST_MEMORY_MB, MOST_PARITY, Measured
from margrave.lab.court.chamber import Case, Ruling, Table
from margrave.lab.court.family import LEVELS
from margrave.lab.court.judge_tails import MAIN
from margrave.lab.court.target import Goal, Target, unmeasured
from margrave.lab.court.unseen import BESIDE, SIMULATION, Heard, hear
from margrave.score.registry import open_model
from margrave.settings import REGISTRY

PARITY: Final = {dtype: Goal(f"ONNX parity, {dtype}", most, "rel") for dtype, most in MOST_PARITY.items()}
BUNDLE: Final = Goal("all that a node computes of one market, p99 on one thread", MOST_BUNDLE_MS, "ms")
BATCHED: Final = Goal(f"and of {BATCH} markets in one batch", MOST_BATCH_MS, "ms")
MEMORY: Final = Goal("memory that the models add", MOST_MEMORY_MB, "MB")
STRONGEST: Final = BESIDE[-1]


@dataclass(frozen=True)
class Models:
    kind: str = "models"
    about: str = "the registry: its models on unseen hours, parity, latency and memory"
    registry: Path = REGISTRY

    @property
    def goals(self) -> tuple[Goal, ...]:
        return (*PARITY.values(), BUNDLE, BATCHED, MEMORY)

    def judge(self, case: Case) -> Ruling:
        names = bench.registered(self.registry)
        if not names:
            why = "no model is registered here"
            return Ruling(self.kind, TITLE, why, targets=unmeasured(self.goals, why), silent=(why,))
        case.say(f"models: parity and milliseconds of {len(names)}")
        measured = [bench.model(open_model(self.registry, name), self.registry) for name in names]
        case.say("models: the bundle")
        with bench.drill() as work:
            whole, memory = bench.whole(work, quick=case.study.quick), bench.memory_mb(work)
        targets = (
            *(_parity(dtype, measured) for dtype in PARITY),
            BUNDLE.measured(
                whole.one.p99, f"median {whole.one.p50:.3g} ms; of the processor, with {_list(whole.models)}"
            ),
            BATCHED.measured(whole.many.p50, "median"),
            MEMORY.unmeasured("the system does not tell") if memory is None else MEMORY.measured(memory),
        )
        case.say("models: what they say on hours that none has seen")
        heard = hear(case.panel, names, self.registry) if case.panel.hours else "the folder has no bars"
        tables = [_costs(measured)]
        if not isinstance(heard, str):
            tables += [_volatility(heard), _tails(heard)]
        return Ruling(
            self.kind,
            TITLE,
            _summary(names, targets, heard),
            tables=tuple(table for table in tables if table.rows),
            targets=targets,
            silent=(heard,) if isinstance(heard, str) else (),
        )


TITLE: Final = "Models of the registry"


def _summary(names: Sequence[str], targets: Sequence[Target], heard: Heard | str) -> str:
    met = sum(target.holds is True for target in targets)
    about = "" if isinstance(heard, str) else f" On hours from {heard.unseen_from} on they are asked side by side."
    return f"{len(names)} models, each opened as a node opens it; {met} of {len(targets)} targets met.{about}"


def _parity(dtype: str, measured: Sequence[Measured]) -> Target:
    mine = [each for each in measured if each.dtype == dtype]
    if not mine:
        return PARITY[dtype].unmeasured("no model of this kind is registered")
    worst = max(mine, key=lambda each: max(each.golden, each.parity or 0.0))
    silent = [each.name for each in mine if each.parity is None]
    note = f"the worst of {len(mine)}: {worst.name}"
    note += f"; of {_list(silent)} the golden outputs alone" if silent else ""
    return PARITY[dtype].measured(max(worst.golden, worst.parity or 0.0), note)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _costs(measured: Sequence[Measured]) -> Table:
    return Table(
        "Parity and cost",
        ("model", "numbers", "parity", "kB", "one market, p50 ms", "p99 ms", f"{BATCH} markets, ms"),
        tuple(
            (m.name, m.dtype, max(m.golden, m.parity or 0.0), m.kilobytes, m.one.p50, m.one.p99, m.many.p50)
            for m in measured
        ),
        "Milliseconds of the processor on one thread. Parity: the larger of what the golden outputs differ by on this "
        "machine and what the graph differed by from the code that it was written from.",
    )


def _volatility(heard: Heard) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for verdict in heard.volatility:
        beside = {row.family: row for row in verdict.against if row.other == STRONGEST}
        for name, judged in sorted(verdict.families.items(), key=lambda item: item[1].qlike):
            against = beside.get(name)
            ratio = judged.qlike / verdict.families[STRONGEST].qlike if STRONGEST in verdict.families else None
            rows.append(
                (
                    f"{verdict.horizon_h} h",
                    name,
                    judged.qlike,
                    ratio,
                    None if against is None else against.t,
                    judged.bias,
                )
            )
    return Table(
        f"Variance on hours from {heard.unseen_from} on",
        ("horizon", "model", "QLIKE", f"over {STRONGEST}", "DM t", "realised over forecast"),
        tuple(rows),
        "Every model as its file is, trained once and never refitted; the same pairs for all.",
    )


def _tails(heard: Heard) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for verdict in heard.tails:
        for side in ("down", "up"):
            beside = {
                row.family: row for row in verdict.against if row.other == SIMULATION.name and row.loss.endswith(side)
            }
            found = {name: judged.sides[side].levels[LEVELS.index(MAIN)] for name, judged in verdict.families.items()}
            for name, level in sorted(found.items(), key=lambda item: item[1].fz0):
                row = beside.get(name)
                ahead = (None, None) if row is None else (row.difference, row.t)
                passing = level.passing if np.isfinite(level.passing) else None
                rows.append((f"{verdict.horizon_h} h {side}", name, *ahead, 100 * level.hit_rate, level.z2, passing))
    return Table(
        f"Tails at 1 % on hours from {heard.unseen_from} on",
        ("horizon", "model", f"FZ0 less {SIMULATION.name}'s", "DM t", "hits, %", "Z2", "cells that pass"),
        tuple(rows),
        "FZ0 contains a logarithm: only differences mean something. Models are as their files are, without the "
        "widening that a node puts on top.",
    )
