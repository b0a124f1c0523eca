"""The greeks chamber: does a delta that knows the published smile leave less risk than Black's on real chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from margrave.lab.court import chains
from margrave.lab.court.chamber import Case, Figure, Ruling, Table
from margrave.lab.court.greeks import plots
from margrave.lab.court.greeks.against import Ratios, calm, learned, months, ratios
from margrave.lab.court.greeks.held import Bools, Floats, Held, held
from margrave.lab.court.greeks.ladders import ladders
from margrave.lab.court.target import Goal, Target, unmeasured
from margrave.score.greeks.served import CHOSEN_FROM, CHOSEN_TO
from margrave.settings import REGISTRY

AVERAGE: Final = Goal("hedging-error variance over Black's, mean of buckets", 0.80, "x")
WORST: Final = Goal("hedging-error variance over Black's, worst bucket", 1.02, "x")
TITLE: Final = "Greeks along the smile"
SERVED: Final = "served"
NO_CHAINS: Final = "the folder holds no option chains (times, options, mark volatilities, forwards)"
NO_PAIRS: Final = "no chains follow each other closely enough to hold anything from one to the next"
TOO_FEW: Final = "too few options were held over too few days"
SAYS_TOO_LITTLE: Final = "speaks of too few options and days to be judged"
SAID: Final = 6
SHOWN_WORST: Final = 8


@dataclass(frozen=True)
class GreeksChamber:
    registry: Path = REGISTRY
    kind: str = "greeks"
    about: str = "hedging errors of deltas along the smile against Black's, from option chains"
    goals: tuple[Goal, ...] = (AVERAGE, WORST)

    def judge(self, case: Case) -> Ruling:
        read = chains.read(case.data)
        silent = [*read.left_out[:SAID]]
        if not len(read):
            return self._nothing([*silent, NO_CHAINS])
        case.say(f"greeks: {len(read)} chains of {', '.join(read.by_asset)}")
        told = ladders(case.panel, self.registry)
        found, why = held(read.by_asset, None if isinstance(told, str) else told)
        silent += [*why[:SAID], *([told] if isinstance(told, str) else [])]
        if not len(found):
            return self._nothing([*silent, NO_PAIRS])
        unseen = _unseen(found)
        judged = found.only(unseen) if unseen.any() else found
        ours = ratios(judged, judged.served)
        if ours is None:
            return self._nothing([*silent, TOO_FEW])
        note = _note(found, judged, ours, seen=not unseen.any())
        hedges = _hedges(judged)
        beside = {name: ratios(judged, extra) for name, extra in hedges.items()}
        silent += [f"{name}: {SAYS_TOO_LITTLE}" for name, one in beside.items() if one is None]
        return Ruling(
            kind=self.kind,
            title=TITLE,
            summary=_summary(judged, ours),
            tables=(_beside(beside, note), *_months(found), _worst(ours)),
            figures=_figures(ours, judged),
            targets=(
                AVERAGE.measured(ours.mean, f"95 % {_between(ours.mean_interval)}; {note}"),
                _worst_target(ours),
            ),
            silent=tuple(silent),
        )

    def _nothing(self, silent: Sequence[str]) -> Ruling:
        return Ruling(
            kind=self.kind,
            title=TITLE,
            summary=f"Nothing was judged: {silent[-1]}.",
            targets=unmeasured(self.goals, silent[-1]),
            silent=tuple(silent),
        )


def _unseen(found: Held) -> Bools:
    """Not of the days on which the rule was chosen."""
    first, last = (int(np.datetime64(day, "ms").astype(np.int64)) for day in (CHOSEN_FROM, CHOSEN_TO))
    return np.asarray((found.from_ms < first) | (found.from_ms >= last))


def _hedges(judged: Held) -> Mapping[str, Floats]:
    return {
        SERVED: judged.served,
        "served, of the lanes alone": judged.lanes,
        "served, where a ladder speaks": np.where(judged.told, judged.served, np.nan),
        "along the smile alone": judged.smile,
        "minimum variance, learnt day by day": learned(judged),
        "the whole smile goes with the forward": judged.sticky,
    }


def _summary(judged: Held, ours: Ratios) -> str:
    assets = ", ".join(str(asset) for asset in np.unique(judged.asset))
    worse = int((ours.low > 1).sum())
    return (
        f"{ours.held:,} options of {assets} held for {np.median(judged.hours):.1f} hours (median) on {ours.days} days. "
        f"The served delta leaves {ours.mean:.3f} of the variance that Black's leaves, mean of {len(ours.ratio)} "
        f"buckets; {'none' if worse == 0 else worse} of them {'is' if worse < 2 else 'are'} worse by more than luck."
    )


def _note(found: Held, judged: Held, ours: Ratios, *, seen: bool) -> str:
    hours = np.quantile(judged.hours, [0.1, 0.9])
    which = (
        f"the rule was chosen on these very days ({CHOSEN_FROM} to {CHOSEN_TO})"
        if seen
        else f"days outside {CHOSEN_FROM} to {CHOSEN_TO}, on which the rule was chosen"
        if len(judged) < len(found)
        else "no day of it was chosen on"
    )
    return f"{ours.held:,} held on {ours.days} days for {hours[0]:.1f} to {hours[1]:.1f} h; {which}"


def _worst_target(ours: Ratios) -> Target:
    at = ours.worst
    interval = _between((float(ours.low[at]), float(ours.high[at])))
    return WORST.measured(float(ours.ratio[at]), f"{ours.buckets[at].words}; 95 % {interval}")


def _between(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _beside(beside: Mapping[str, Ratios | None], note: str) -> Table:
    return Table(
        "Hedging-error variance over Black's",
        ("delta", "mean of buckets", "low", "high", "worst bucket", "buckets", "worse by more than luck", "held"),
        tuple(
            (
                name,
                found.mean,
                *found.mean_interval,
                float(found.ratio.max()),
                float(len(found.ratio)),
                float((found.low > 1).sum()),
                float(found.held),
            )
            for name, found in beside.items()
            if found is not None
        ),
        note=(
            f"Of marks, from one chain to the next ({note}); Black's delta at the venue's mark volatility is one. Low "
            "and high: 95 %, drawing whole days. Each is judged where it speaks: the learnt one after its first ten "
            "days. Where the folder's bars give no ladder, the served delta is the one along the smile alone."
        ),
    )


def _months(found: Held) -> Iterator[Table]:
    rows: list[tuple[str | float | None, ...]] = []
    parts = [
        (f"{month} {asset}", mine & (found.asset == asset))
        for month, mine in months(found)
        for asset in np.unique(found.asset)
    ]
    parts += [
        ("all, quoted on both sides", found.two_sided),
        ("all, without the tenth of days that moved most", calm(found)),
        ("all", np.ones(len(found), dtype=np.bool_)),
    ]
    for words, mine in parts:
        part = found.only(mine)
        one = ratios(part, part.served) if len(part) else None
        if one is not None:
            rows.append((words, one.mean, *one.mean_interval, float(one.ratio.max()), float(one.held), float(one.days)))
    if rows:
        yield Table(
            "Served over Black's, by month",
            ("", "mean of buckets", "low", "high", "worst bucket", "held", "days"),
            tuple(rows),
            note=f"All days, those of the choice ({CHOSEN_FROM} to {CHOSEN_TO}) among them.",
        )


def _worst(ours: Ratios) -> Table:
    order = np.argsort(-ours.ratio)[:SHOWN_WORST]
    return Table(
        "Where it helps least",
        ("options", "served over Black's", "low", "high", "worse than Black's, share of draws"),
        tuple(
            (ours.buckets[i].words, float(ours.ratio[i]), float(ours.low[i]), float(ours.high[i]), float(ours.worse[i]))
            for i in order
        ),
    )


def _figures(ours: Ratios, judged: Held) -> tuple[Figure, ...]:
    assets = [str(asset) for asset in np.unique(judged.asset)]
    return (
        Figure(
            "Hedging-error variance over Black's",
            plots.by_bucket(ours, assets),
            note="By call delta and days to expiry, mean of calls and puts. Below one the smile helps.",
        ),
    )
