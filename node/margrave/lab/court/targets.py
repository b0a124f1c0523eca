"""The targets of the walked kinds, and all of a report together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from margrave.lab.court.chamber import Chamber, Ruling
from margrave.lab.court.families import Kind, Listed, Role
from margrave.lab.court.family import LEVELS, TAIL_HORIZONS_H
from margrave.lab.court.judge_tails import MAIN, SIDES, TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict
from margrave.lab.court.target import Goal, Target, unmeasured

QLIKE_RATIO: Final[Mapping[int, float]] = {4: 0.93, 24: 0.92}
BEATEN_T: Final = -1.96
FZ0_BELOW: Final = -0.15
Z2_WITHIN: Final = 0.15
CELLS: Final = 0.96
NOT_CALLED: Final = "not called: leave --family out, or name {kind}"


def targets(
    called: Sequence[Listed],
    volatility: Sequence[VolatilityVerdict],
    tails: Sequence[TailVerdict],
    chambers: Sequence[Chamber],
    rulings: Sequence[Ruling],
) -> tuple[Target, ...]:
    """Every target: measured on our family of each kind, and as the chambers ruled."""
    found = list(_volatility(_one(called, Kind.VOLATILITY, Role.OURS), volatility))
    found += _tails(_one(called, Kind.TAILS, Role.OURS), _one(called, Kind.TAILS, Role.REFERENCE), tails)
    ruled = {ruling.kind: ruling for ruling in rulings}
    for chamber in chambers:
        if chamber.kind in ruled:
            found += ruled[chamber.kind].targets
        else:
            found += unmeasured(chamber.goals, NOT_CALLED.format(kind=chamber.kind))
    return tuple(found)


def _one(called: Sequence[Listed], kind: Kind, role: Role) -> str | None:
    return next((listed.name for listed in called if listed.kind is kind and listed.role is role), None)


def _volatility(ours: str | None, verdicts: Sequence[VolatilityVerdict]) -> Iterator[Target]:
    by_horizon = {verdict.horizon_h: verdict for verdict in verdicts}
    for horizon_h, wanted in QLIKE_RATIO.items():
        over = Goal(f"QLIKE over the best baseline's, {horizon_h} h", wanted, "x")
        surely = Goal(f"its Diebold–Mariano t, {horizon_h} h", BEATEN_T, "t")
        verdict = by_horizon.get(horizon_h)
        if ours is None or verdict is None or ours not in verdict.over_best:
            yield from unmeasured((over, surely), _why(ours, verdict is not None))
            continue
        ratio, difference = verdict.over_best[ours]
        yield over.measured(ratio, "the best is chosen for each asset, afterwards")
        yield surely.measured(difference.t, f"{difference.times} times, Newey–West")


def _tails(ours: str | None, reference: str | None, verdicts: Sequence[TailVerdict]) -> Iterator[Target]:
    by_horizon = {verdict.horizon_h: verdict for verdict in verdicts}
    cells: list[bool] = []
    for horizon_h in TAIL_HORIZONS_H:
        verdict = by_horizon.get(horizon_h)
        for label in SIDES:
            below = Goal(f"FZ0 at 1 % less the reference's, {horizon_h} h {label}", FZ0_BELOW, "FZ0")
            depth = Goal(f"|Z2| at 1 %, {horizon_h} h {label}", Z2_WITHIN)
            if ours is None or verdict is None or ours not in verdict.families:
                yield from unmeasured((below, depth), _why(ours, verdict is not None))
                continue
            row = next(
                (a for a in verdict.against if (a.family, a.other) == (ours, reference) and a.loss.endswith(label)),
                None,
            )
            if row is None:
                yield below.unmeasured("no reference was called")
            else:
                yield below.measured(row.difference, f"against {reference}, t {row.t:.1f}")
            level = verdict.families[ours].sides[label].levels[LEVELS.index(MAIN)]
            yield depth.measured(abs(level.z2), f"Z2 {level.z2:+.3f}, p {level.z2_p:.3f}")
            cells += [cell.passes for cell in level.cells]
    share = Goal("cells with Kupiec, Christoffersen and DQ p > 0.05, at 1 %", CELLS, "share", at_least=True)
    if not cells:
        yield share.unmeasured("no asset has forecasts enough" if ours else _why(ours, True))
        return
    note = f"{sum(cells)} of {len(cells)} asset x horizon x tail cells"
    yield share.measured(sum(cells) / len(cells), note)


def _why(ours: str | None, judged: bool) -> str:
    if ours is None:
        return "no family of ours was called"
    return "our family was silent on more than half" if judged else "this horizon was not judged"
