"""The chamber of hedging: CVaR of what hedging a sold option cost, on hours that the policy has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.chamber import Case, Ruling, Table
from margrave.lab.court.hedge import tables
from margrave.lab.court.hedge.episodes import Kind, episodes
from margrave.lab.court.hedge.rivals import CLOCK, COSTS, WW, losses
from margrave.lab.court.hedge.verdicts import Losses, Summary, judged
from margrave.lab.court.panel import Panel
from margrave.lab.court.target import Goal, Target, unmeasured
from margrave.score.features.measures import LEAST_PEER, range_variance
from margrave.score.hedge.served import Hedger
from margrave.score.registry import open_model
from margrave.settings import REGISTRY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MODEL: Final = "hedge/1"
KINDS: Final = tuple(
    Kind(24 * days, strike, is_call)
    for days in (7, 14, 30)
    for strike, is_call in ((1.0, True), (0.9, False), (1.1, True))
)
EVERY_H: Final = {24 * 7: 49, 24 * 14: 49, 24 * 30: 97}
"""Between sales: no factor in common with 24, so that they fall on every hour of the day."""
QUICK_H: Final = 24 * 14
LEAST_EPISODES: Final = 200
"""Of one life: a tail of ten."""
FOREVER_MS: Final = 1 << 53
TITLE: Final = "Hedging"
RATIO: Final = {
    cost: Goal(f"hedging CVaR95 over the best clock's, {1e4 * cost:.0f} bp", 0.90, "ratio") for cost in COSTS
}
UPPER: Final = {cost: Goal(f"and the upper end of its interval, {1e4 * cost:.0f} bp", 1.0, "ratio") for cost in COSTS}
BELOW_WW: Final = {
    cost: Goal(f"and over the best Whalley-Wilmott band's, {1e4 * cost:.0f} bp", 1.0, "ratio") for cost in COSTS
}


@dataclass(frozen=True)
class Hedging:
    kind: str = "hedge"
    about: str = "CVaR of hedged options on real paths, net of costs, by a learnt band, clocks and classical bands"
    registry: Path = REGISTRY

    @property
    def goals(self) -> tuple[Goal, ...]:
        return (*RATIO.values(), *UPPER.values(), *BELOW_WW.values())

    def judge(self, case: Case) -> Ruling:
        if not case.panel.hours:
            return self._silent("the folder has no bars")
        try:
            model = open_model(self.registry, MODEL)
        except Fatal as refused:
            return self._silent(refused.problem)
        hedger, since = Hedger(model), model.card.unseen_from
        unseen_ms = int(np.datetime64(since, "ms").astype(np.int64))
        panel, pegged = lively(case.panel)
        wanted = [kind for kind in KINDS if not case.study.quick or kind.life_h == QUICK_H]
        heard: dict[Kind, tuple[Losses, Ints]] = {}
        for life_h in dict.fromkeys(kind.life_h for kind in wanted):
            case.say(f"hedge: options of {life_h // 24} days on {len(panel.assets)} assets")
            heard |= hear(panel, life_h, [kind for kind in wanted if kind.life_h == life_h], hedger)
        fresh = {kind: only(found, found[1] >= unseen_ms) for kind, found in heard.items()}
        fresh = {kind: found for kind, found in fresh.items() if len(found[1]) >= LEAST_EPISODES}
        years = tables.years(heard, unseen_ms)
        silent = tuple(f"{asset}: its range is nothing beside the others'" for asset in pegged)
        if not fresh:
            why = (
                f"fewer than {LEAST_EPISODES} options sold from {since} on expire here; until then the policy was made"
            )
            return self._silent(why, years, silent)
        verdicts, summaries = judged(fresh)
        return Ruling(
            self.kind,
            TITLE,
            tables.told(verdicts, summaries, since),
            tables=(tables.tails(verdicts), tables.rules(fresh), *years),
            figures=(tables.figure(verdicts),),
            targets=_targets(summaries),
            silent=silent,
        )

    def _silent(self, why: str, years: tuple[Table, ...] = (), silent: tuple[str, ...] = ()) -> Ruling:
        said = "No hour that the policy has not seen could be judged." if years else "Nothing could be judged."
        return Ruling(self.kind, TITLE, said, tables=years, targets=unmeasured(self.goals, why), silent=(why, *silent))


def lively(panel: Panel) -> tuple[Panel, list[str]]:
    """Without coins pegged to money, which nobody sells options on: (the rest, their names)."""
    typical = np.nanmedian(range_variance(panel), axis=0)
    pegged = [a for a, v in zip(panel.assets, typical, strict=True) if not v >= LEAST_PEER * np.nanmedian(typical)]
    return panel.only([asset for asset in panel.assets if asset not in pegged]), pegged


def hear(panel: Panel, life_h: int, kinds: Sequence[Kind], hedger: Hedger) -> dict[Kind, tuple[Losses, Ints]]:
    """Losses of every rule on all that was sold, asset after asset."""
    parts: dict[Kind, list[tuple[Losses, Ints]]] = {kind: [] for kind in kinds}
    for sold in episodes(panel, life_h, EVERY_H[life_h], 0, FOREVER_MS):
        for kind in kinds:
            parts[kind].append((losses(sold, kind, hedger), sold.sold_ms))
    return {
        kind: (
            {key: np.concatenate([found[key] for found, _ in rows]) for key in rows[0][0]},
            np.concatenate([times for _, times in rows]),
        )
        for kind, rows in parts.items()
        if rows
    }


def only(found: tuple[Losses, Ints], mine: NDArray[np.bool_]) -> tuple[Losses, Ints]:
    losses_, times = found
    return {key: values[mine] for key, values in losses_.items()}, times[mine]


def _targets(summaries: Mapping[tuple[str, float], Summary]) -> tuple[Target, ...]:
    ratio, upper, below = [], [], []
    for cost in COSTS:
        clock, ww = summaries[CLOCK, cost], summaries[WW, cost]
        ratio.append(RATIO[cost].measured(clock.ratio, f"worst: {clock.worst}, {clock.worst_ratio:.3f}"))
        upper.append(UPPER[cost].measured(clock.high, f"{clock.low:.3f} to {clock.high:.3f}"))
        below.append(
            BELOW_WW[cost].measured(ww.ratio, f"{ww.low:.3f} to {ww.high:.3f}; worst: {ww.worst}, {ww.worst_ratio:.3f}")
        )
    return (*ratio, *upper, *below)
