"""The judgement of a study as one object: written as JSON for machines, drawn by `page` for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.lab.court import judge_tails, judge_volatility
from margrave.lab.court.answers import settings_of
from margrave.lab.court.apart import parted
from margrave.lab.court.chamber import Chamber, Ruling
from margrave.lab.court.comparison import holm
from margrave.lab.court.families import Kind, Listed, Role
from margrave.lab.court.hearing import Floats
from margrave.lab.court.judge_tails import Tail, TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict
from margrave.lab.court.panel import Panel
from margrave.lab.court.study import Study, first_row, too_little
from margrave.lab.court.target import Target
from margrave.lab.court.targets import targets
from margrave.lab.court.walk import Answers, ByHorizon

FILE_NAME: Final = "report.json"
FIGURES: Final = 6
LIBRARIES: Final = ("numpy", "scipy", "arch", "pandas", "pyarrow")
MULTIPLE: Final = (
    "Every family is compared with every baseline at every horizon (and tail). Holm's step-down adjustment keeps the "
    "chance of a single false finding below the level: over all comparisons of our own family of one kind, and apart "
    "from them over all of the others; `holm_p` is after it, `p` before. The Model Confidence Set controls its own "
    "family-wise error at each horizon. Tests of cells (Kupiec, Christoffersen, DQ) are not adjusted: even of true "
    "quantiles some cells in a hundred fail one of the three."
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was judged."""

    command: str
    data: str
    panel_sha256: str
    begins: str
    ends: str
    hours: int
    judged_from: str
    """Empty, as `begins` and `ends`, where there was nothing to walk."""
    assets: tuple[str, ...]
    sources: tuple[str, ...]
    left_out: tuple[str, ...]
    study: Study
    families: Mapping[str, Mapping[str, str]]
    """Name -> its role, kind and settings."""
    libraries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    facts: Facts
    targets: tuple[Target, ...]
    volatility: tuple[VolatilityVerdict, ...]
    tails: tuple[TailVerdict, ...]
    volatility_apart: tuple[VolatilityVerdict, ...] = ()
    """Of candidates that speak of a part of the study; see `apart`."""
    tails_apart: tuple[TailVerdict, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    silent: tuple[str, ...] = ()
    """What could not be judged, and why, before any chamber's own."""
    multiple_testing: str = MULTIPLE


Verdict = TypeVar("Verdict", VolatilityVerdict, TailVerdict)


def report(
    facts: Facts,
    panel: Panel,
    called: Sequence[Listed],
    answers: Mapping[str, ByHorizon],
    *,
    chambers: Sequence[Chamber] = (),
    rulings: Sequence[Ruling] = (),
    silent: Sequence[str] = (),
) -> Report:
    """All verdicts, compared and adjusted, and what the chambers ruled.

    Args:
        chambers: all that there are; the targets of those without a ruling are said to be unmeasured.
    """
    said = list(silent)
    volatility, volatility_apart = _verdicts(
        Kind.VOLATILITY, judge_volatility.judge, judge_volatility.sound, panel, called, answers, said
    )
    tails, tails_apart = _verdicts(Kind.TAILS, judge_tails.judge, judge_tails.sound, panel, called, answers, said)
    return Report(
        facts,
        targets(called, volatility, tails, chambers, rulings),
        volatility,
        tuple(_lean(verdict, called) for verdict in tails),
        volatility_apart,
        tuple(_lean(verdict, called) for verdict in tails_apart),
        tuple(rulings),
        tuple(said),
    )


def write(found: Report, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    path.write_bytes(msgspec.json.format(encoded(found), indent=1) + b"\n")
    return path


def lines(found: Report) -> Iterator[str]:
    """For a terminal: every target, then what could not be judged and why."""
    for target in found.targets:
        value = "–" if target.value is None else f"{target.value:.4g} {target.unit}".strip()
        why = f": {target.note}" if target.value is None else ""
        yield f"{target.name:<62} {value:>14}   (target {target.target:g}) {target.verdict}{why}"
    for why in (*found.silent, *(why for ruling in found.rulings for why in ruling.silent)):
        yield f"not judged: {why}"


def encoded(found: Report) -> bytes:
    """One JSON object, numbers to six figures; what is not a number is null. Drawings are the page's: here they have
    their titles alone."""
    bare = tuple(replace(ruling, figures=tuple(replace(f, svg="") for f in ruling.figures)) for ruling in found.rulings)
    return msgspec.json.encode(_rounded(msgspec.to_builtins(replace(found, rulings=bare))))


def _rounded(part: Any) -> Any:
    if isinstance(part, float):
        return float(f"{part:.{FIGURES}g}")
    if isinstance(part, dict):
        return {name: _rounded(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_rounded(value) for value in part]
    return part


def facts(
    *,
    command: str,
    data: str,
    digest: str,
    panel: Panel,
    sources: Sequence[str],
    left_out: Sequence[str],
    study: Study,
    called: Sequence[Listed],
) -> Facts:
    day = [str(d) for d in panel.open_ms.astype("datetime64[ms]").astype("datetime64[D]")] or [""]
    return Facts(
        command=command,
        data=data,
        panel_sha256=digest,
        begins=day[0],
        ends=day[-1],
        hours=panel.hours,
        judged_from="" if too_little(panel) else day[first_row(panel, study)],
        assets=panel.assets,
        sources=tuple(sources),
        left_out=tuple(left_out),
        study=study,
        families={x.name: {"role": x.role, "kind": x.kind, "settings": settings_of(x.family)} for x in called},
        libraries={name: version(name) for name in LIBRARIES},
    )


def _verdicts(
    kind: Kind,
    judge: Callable[[Panel, Mapping[str, Answers], int, Sequence[str]], Verdict | None],
    sound: Callable[[Floats], NDArray[np.bool_]],
    panel: Panel,
    called: Sequence[Listed],
    answers: Mapping[str, ByHorizon],
    silent: list[str],
) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    """(on the whole study, on the part that some speak of alone), adjusted."""
    mine = [listed for listed in called if listed.kind is kind and listed.name in answers]
    baselines = [listed.name for listed in mine if listed.role in (Role.BASELINE, Role.REFERENCE)]
    horizons_h = sorted({horizon_h for listed in mine for horizon_h in answers[listed.name]})
    found: list[Verdict] = []
    beside: list[Verdict] = []
    for horizon_h in horizons_h:
        there = {x.name: answers[x.name][horizon_h] for x in mine if horizon_h in answers[x.name]}
        whole, part, whys = parted(mine, there, len(panel.assets), sound)
        silent += [f"{name} at {horizon_h} h: {why}" for name, why in sorted(whys.items())]
        for some, verdicts in ((whole, found), (part, beside)):
            verdict = judge(panel, some, horizon_h, baselines) if some else None
            if verdict is not None:
                verdicts.append(verdict)
    ours = _ours(kind, called)
    return _adjusted(tuple(found), ours), _adjusted(tuple(beside), ours)


def _lean(verdict: TailVerdict, called: Sequence[Listed]) -> TailVerdict:
    """With the cells of ours and of the reference alone: of thirty assets and fifteen families they fill a megabyte."""
    kept = {x.name for x in called if x.kind is Kind.TAILS and x.role in (Role.OURS, Role.REFERENCE)}
    lean = {
        name: row if name in kept else replace(row, sides={label: _bare(tail) for label, tail in row.sides.items()})
        for name, row in verdict.families.items()
    }
    return replace(verdict, families=lean)


def _bare(tail: Tail) -> Tail:
    return replace(tail, levels=tuple(replace(level, cells=()) for level in tail.levels))


def _ours(kind: Kind, called: Sequence[Listed]) -> str | None:
    return next((listed.name for listed in called if listed.kind is kind and listed.role is Role.OURS), None)


def _adjusted(verdicts: tuple[Verdict, ...], ours: str | None) -> tuple[Verdict, ...]:
    rows = [row for verdict in verdicts for row in verdict.against]
    mine = holm([row.p if row.family == ours else float("nan") for row in rows])
    others = holm([row.p if row.family != ours else float("nan") for row in rows])
    adjusted = iter([m if row.family == ours else o for row, m, o in zip(rows, mine, others, strict=True)])
    return tuple(
        replace(verdict, against=tuple(replace(row, holm_p=next(adjusted)) for row in verdict.against))
        for verdict in verdicts
    )
