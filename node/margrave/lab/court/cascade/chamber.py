"""The chamber of liquidation cascades: the registry's model on Aave's liquidations after it was chosen, beside a
logistic regression and the simulator, before the fact and given the fall that happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.cascade import answers, books, drawings, questions
from margrave.lab.court.cascade.answers import LOGISTIC, OURS, SIMULATOR, Answer
from margrave.lab.court.cascade.books import Book
from margrave.lab.court.cascade.judging import Part, episodes, judge, size_errors
from margrave.lab.court.cascade.questions import Questions
from margrave.lab.court.chamber import Case, Figure, Ruling, Table
from margrave.lab.court.target import Goal, Target, unmeasured
from margrave.score.cascade.inputs import CASCADE, FAMILY, HORIZONS_H
from margrave.score.registry import Model, open_model
from margrave.settings import REGISTRY
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MODEL: Final = f"{FAMILY}/1"
TITLE: Final = "Liquidation cascades"
NO_BOOKS: Final = "the folder holds no liquidations of a lending protocol (who, when, which collateral, how much)"
NO_PRICES: Final = "the folder holds no hourly prices"
QUICK_EVERY_H: Final = 6
"""Of a quick study, hours between questions: the simulator takes milliseconds each."""
FEW: Final = 10
"""Cascade hours: with fewer nothing is measured."""
BASELINES: Final = (LOGISTIC, SIMULATOR)
PARTED: Final[Mapping[int, Goal]] = {h: Goal(f"cascade AUROC, {h} h", 0.92, at_least=True) for h in HORIZONS_H}
PRECISE: Final[Mapping[int, Goal]] = {
    h: Goal(f"cascade AUPRC over the better of logistic and simulator, {h} h", 1.5, "x", at_least=True)
    for h in HORIZONS_H
}
SKILLED: Final[Mapping[int, Goal]] = {
    h: Goal(f"cascade Brier skill against the better of logistic and simulator, {h} h", 0.30, at_least=True)
    for h in HORIZONS_H
}
RIGHT: Final[Mapping[int, Goal]] = {h: Goal(f"cascade expected calibration error, {h} h", 0.02) for h in HORIZONS_H}
GOALS: Final = tuple(goals[h] for h in HORIZONS_H for goals in (PARTED, PRECISE, SKILLED, RIGHT))


@dataclass(frozen=True)
class CascadeChamber:
    registry: Path = REGISTRY
    kind: str = "cascade"
    about: str = "liquidations of a collateral's deposits within an hour and a day, foreseen and given the fall"
    goals: tuple[Goal, ...] = GOALS

    def judge(self, case: Case) -> Ruling:
        if not case.panel.hours:
            return self._nothing([NO_PRICES])
        found = books.read(case.data, case.panel)
        silent = list(found.left_out)
        if not found.books:
            return self._nothing([*silent, NO_BOOKS])
        try:
            model = open_model(self.registry, MODEL)
        except Fatal as error:
            return self._nothing([*silent, str(error)])
        case.say(f"cascade: {', '.join(book.name for book in found.books)}")
        asked = questions.ask(found.books, case.panel)
        if case.study.quick:
            asked = asked.only(asked.known_ms // HOUR_MS % QUICK_EVERY_H == 0)
        scale = answers.scale_of(model, asked)
        unseen, left_out = parts_of(asked, found.books, model)
        said: dict[str, tuple[list[Answer], list[Part], list[Part]]] = {}
        for name, rows in ((after(model), unseen), (before(model), left_out)):
            if not rows.any():
                silent.append(f"cascade hours {name}: there are none")
                continue
            case.say(f"cascade: {name}, {int(rows.sum())} hours")
            spoken = [
                answers.ours(model, asked, scale),
                answers.logistic(asked, scale, rows),
                answers.simulated(asked, scale, rows),
                answers.rate(asked, rows),
            ]
            said[name] = (
                spoken,
                judge(asked, spoken, rows, given=False),
                judge(asked, spoken, rows, given=True),
            )
        if not said:
            return self._nothing(silent)
        main = next(iter(said))
        rows = unseen if main == after(model) else left_out
        foreseen = answers.foreseen(model, asked, scale)
        return Ruling(
            kind=self.kind,
            title=TITLE,
            summary=_summary(main, said[main][1], said[main][2]),
            tables=(
                *(table for name, (_, ante, given) in said.items() for table in _measured(name, ante, given)),
                _by_book(asked, found.books, rows, said[main][0][0]),
                *_sizes(asked, said[main][0], foreseen, rows),
            ),
            figures=tuple(_figures(said[main][1], said[main][2])),
            targets=tuple(_targets(said[main][1], main)),
            silent=tuple(silent),
        )

    def _nothing(self, silent: Sequence[str]) -> Ruling:
        why = silent[-1]
        return Ruling(
            self.kind, TITLE, f"Nothing was judged: {why}.", targets=unmeasured(self.goals, why), silent=tuple(silent)
        )


def parts_of(asked: Questions, known: Sequence[Book], model: Model) -> tuple[Flags, Flags]:
    """Rows after all that the model was trained and chosen on; and before that, of assets that it never saw."""
    unseen_ms = int(np.datetime64(model.card.unseen_from, "ms").astype(np.int64))
    unseen = asked.known_ms >= unseen_ms
    strange = np.array([book.asset not in model.card.assets for book in known], dtype=np.bool_)[asked.book]
    return unseen, ~unseen & strange


def after(model: Model) -> str:
    return f"from {model.card.unseen_from}"


def before(model: Model) -> str:
    return f"before {model.card.unseen_from}, assets left out of training"


# --- words and tables -------------------------------------------------------------------------------------------------


def _summary(name: str, ante: Sequence[Part], given: Sequence[Part]) -> str:
    """What was judged and how it ended; the base rate first, because everything rests on it."""
    told = []
    for part in ante:
        us = part.of(OURS)
        beside = next((one.of(OURS) for one in given if one.horizon_h == part.horizon_h), None)
        if us is None or beside is None or not part.cascades:
            continue
        best = max((one.auroc for one in part.measured if one.name in BASELINES), default=float("nan"))
        told.append(
            f"within {part.horizon_h} h {part.cascades} cascade hours in {part.episodes} episodes of {part.rows} "
            f"({part.prevalence:.2%}), AUROC {us.auroc:.3f} (the better baseline {best:.3f}), given the fall "
            f"{beside.auroc:.3f}"
        )
    return f"{CASCADE:.1%} of a collateral's deposits liquidated, {name}: {'; '.join(told) or 'no cascade'}."


def _measured(name: str, ante: Sequence[Part], given: Sequence[Part]) -> Iterator[Table]:
    for words, parts in (("foreseen", ante), ("given the fall that happened", given)):
        rows: list[tuple[str | float | None, ...]] = []
        for part in parts:
            for one in sorted(part.measured, key=lambda m: m.brier):
                rows.append(
                    (
                        part.horizon_h,
                        one.name,
                        one.auroc,
                        one.auprc,
                        1e4 * one.brier,
                        one.ece,
                        one.said,
                        one.calibrated.z,
                        one.calibrated.p,
                        None if one.name == OURS else one.against_ours.z,
                        None if one.name == OURS else one.against_ours.p,
                    )
                )
        if rows:
            counts = "; ".join(
                f"{p.horizon_h} h: {p.rows} hours, {p.cascades} with a cascade ({p.prevalence:.2%}), {p.episodes} "
                "episodes"
                for p in parts
            )
            yield Table(
                f"Cascades {words}, {name}",
                (
                    "horizon, h", "", "AUROC", "AUPRC", "Brier, 1e-4", "ECE", "mean said", "Spiegelhalter z", "p",
                    "ours over it, DeLong z", "DeLong p",
                ),
                tuple(rows),
                note=f"{counts}. DeLong with weeks as clusters; Spiegelhalter on rows a horizon apart.",
            )  # fmt: skip


def _by_book(asked: Questions, known: Sequence[Book], rows: Flags, us: Answer) -> Table:
    found: list[tuple[str | float | None, ...]] = []
    for place, book in enumerate(known):
        mine = rows & (asked.book == place)
        for at, horizon_h in enumerate(HORIZONS_H):
            seen = mine & np.isfinite(asked.cascade[:, at])
            if not seen.any():
                continue
            happened, times = asked.cascade[seen, at], asked.known_ms[seen]
            measured = [drawings.auroc_or_none(happened, said[seen, at]) for said in (us.before, us.given)]
            found.append(
                (
                    book.name,
                    horizon_h,
                    float(seen.sum()),
                    float(happened.sum()),
                    float(episodes(times[happened > 0])),
                    float(happened.mean()),
                    float(us.before[seen, at].mean()),
                    *measured,
                )
            )
    return Table(
        "By book, the registry's model",
        ("", "horizon, h", "hours", "cascade hours", "episodes", "share", "mean said", "AUROC", "AUROC given the fall"),
        tuple(found),
        note="Episodes lie a day apart: hours of one are one crash.",
    )


def _sizes(asked: Questions, spoken: Sequence[Answer], foreseen: Floats, rows: Flags) -> Iterator[Table]:
    found: list[tuple[str | float | None, ...]] = []
    for place, horizon_h in enumerate(HORIZONS_H):
        sizes = {
            f"{one.name}, given the fall" if one.name != answers.RATE else "median so far": one.size for one in spoken
        }
        errors = size_errors(asked, {f"{OURS}, foreseen": foreseen} | sizes, rows, place)
        found += [(horizon_h, name, error, 10**error) for name, error in errors.items()]
    if found:
        yield Table(
            "What cascades liquidate",
            ("horizon, h", "", "mean error, log10", "as a factor"),
            tuple(found),
            note="Of hours with a cascade; share of the deposits.",
        )


def _figures(ante: Sequence[Part], given: Sequence[Part]) -> Iterator[Figure]:
    shown = [part for part in ante if part.cascades >= FEW]
    if shown:
        yield Figure(
            "Said and happened",
            drawings.reliability(shown),
            "Tenths of the hours by what was said, on logarithmic axes; on the line is right.",
        )
        beside = [part for part in given if part.cascades >= FEW]
        yield Figure(
            "Precision by recall, foreseen and given the fall",
            drawings.precision([*shown, *beside], ["foreseen"] * len(shown) + ["given the fall"] * len(beside)),
            "Of the hours named first, the share that had a cascade; dotted, the base rate.",
        )


def _targets(ante: Sequence[Part], name: str) -> Iterator[Target]:
    """Of what was foreseen: given the fall everybody is good."""
    for horizon_h in HORIZONS_H:
        part = next((one for one in ante if one.horizon_h == horizon_h), None)
        us = None if part is None else part.of(OURS)
        goals = (PARTED[horizon_h], PRECISE[horizon_h], SKILLED[horizon_h], RIGHT[horizon_h])
        if part is None or us is None or part.cascades < FEW:
            count = 0 if part is None else part.cascades
            yield from unmeasured(goals, f"{count} hours with a cascade, {FEW} wanted")
            continue
        note = f"{name}: {part.cascades} cascade hours in {part.episodes} episodes"
        theirs = [one for one in part.measured if one.name in BASELINES]
        yield goals[0].measured(us.auroc, note)
        if len(theirs) < len(BASELINES):
            yield from unmeasured(goals[1:3], "a baseline has too little past to learn from")
        else:
            precise, brier = max(theirs, key=lambda m: m.auprc), min(theirs, key=lambda m: m.brier)
            yield goals[1].measured(us.auprc / precise.auprc, f"{precise.name} {precise.auprc:.3f}; {note}")
            yield goals[2].measured(1.0 - us.brier / brier.brier, f"{brier.name}; {note}")
        yield goals[3].measured(us.ece, note)
