"""What the court says of registered models on hours that none of them has seen: the metrics of their cards.

All models of one call are asked on the same (hour, asset) pairs from the latest `unseen_from` among them to the end of
the panel, on the assets that were trained on and, apart, on those left out, and compared by the court's own judges.
The court's report on a whole study (docs/backtest) says how they stand against families that are refitted.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.judged NAME ...
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from margrave.errors import Fatal
from margrave.lab.court import judge_tails, judge_volatility
from margrave.lab.court.families import Kind
from margrave.lab.court.families.registered import Registered, tail_horizons_h, variance_horizons_h
from margrave.lab.court.families.tails.historical import HistoricalSimulation
from margrave.lab.court.family import LEVELS
from margrave.lab.court.hearing import Against
from margrave.lab.court.judge_tails import MAIN, TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import Answers, ByHorizon, Leg, sit
from margrave.score.registry import Card
from train import dataset, export
from train.pool import Pool, command, ms, pool

BESIDE: Final = ("ewma_asymmetric/1", "garch_t/1", "har_wls/1", "log_har/1", "lhar_iv/1", "diurnal_lhar_iv/1")
"""The registry's own baselines of volatility."""
TAILS_BESIDE: Final = ("garch_t/1", "gjr_garch_t/2")
BEFORE_H: Final = 40 * 168
"""Hours before the first judged one that inputs may look back at."""
LEAST_H: Final = 30 * 24
LONGEST_H: Final = 674
"""Bars without a gap that any of these models looks back at."""

Metrics = list[dict[str, Any]]


def write(names: Sequence[str], found: Pool) -> None:
    """Judge, and put the figures on the cards of `names` and into their evaluation.json.

    Raises:
        Fatal: less than a month follows the training.
    """
    cards = {name: export.read_card(name) for name in dict.fromkeys((*names, *(n for n in BESIDE if export.exists(n))))}
    unseen = max(card.unseen_from for card in cards.values())
    metrics: dict[str, Metrics] = {name: [] for name in names}
    evaluation: dict[str, Any] = {"unseen_from": unseen, "asked": list(cards), "parts": {}}
    for part, assets in (("assets trained on", found.assets), ("assets left out", dataset.LEFT_OUT)):
        there = [asset for asset in assets if asset in found.panel.assets]
        if not there:
            continue
        panel, first = _since(found.panel.only(there), unseen)
        volatility, tails = _volatility(panel, first, cards), _tails(panel, first, cards)
        for name in names:
            metrics[name] += [row for verdict in volatility for row in _volatility_rows(verdict, name, part)]
            metrics[name] += [row for verdict in tails for row in _tail_rows(verdict, f"{name} tails", part)]
        whole = {"volatility": [_whole(each) for each in volatility], "tails": [_whole(each) for each in tails]}
        evaluation["parts"][part] = {"assets": there, **whole}
    for name, rows in metrics.items():
        export.revise(name, rows, evaluation)
        print(f"{name}: judged, {len(rows)} figures", flush=True)


def _since(panel: Panel, unseen: str) -> tuple[Panel, int]:
    """(the panel from some weeks before that day on, its first row to judge)."""
    row = int(np.searchsorted(panel.known_ms, ms(unseen)))
    if panel.hours - row < LEAST_H:
        raise Fatal(
            f"{max(panel.hours - row, 0)} hours follow {unseen}, too few to judge by",
            advice="point MARGRAVE_DATA at a folder with a longer history",
        )
    start = max(row - BEFORE_H, 0)
    return panel.since(start), row - start


def _volatility(panel: Panel, first: int, cards: Mapping[str, Card]) -> list[VolatilityVerdict]:
    speak = {name: variance_horizons_h(card) for name, card in cards.items()}
    answers = _answers(panel, first, {Registered(name): hours for name, hours in speak.items()})
    beside = [name for name in BESIDE if name in cards]
    verdicts = (judge_volatility.judge(panel, said, horizon_h, beside) for horizon_h, said in sorted(answers.items()))
    return [verdict for verdict in verdicts if verdict is not None]


def _tails(panel: Panel, first: int, cards: Mapping[str, Card]) -> list[TailVerdict]:
    speak: dict[Any, tuple[int, ...]] = {
        Registered(name, Kind.TAILS): hours for name, card in cards.items() if (hours := tail_horizons_h(card))
    }
    if not speak:
        return []
    simulation = HistoricalSimulation()
    speak[simulation] = tuple(sorted({horizon_h for hours in speak.values() for horizon_h in hours}))
    beside = [simulation.name, *(f"{name} tails" for name in TAILS_BESIDE if name in cards)]
    answers = _answers(panel, first, speak)
    verdicts = (judge_tails.judge(panel, said, horizon_h, beside) for horizon_h, said in sorted(answers.items()))
    return [verdict for verdict in verdicts if verdict is not None]


def _answers(panel: Panel, first: int, speak: Mapping[Any, Sequence[int]]) -> dict[int, dict[str, Answers]]:
    """Horizon -> family -> answers, all on the same pairs.

    Args:
        speak: families and the horizons that each speaks of.
    """
    found: dict[int, dict[str, Answers]] = {}
    leg, least_hours = Leg(first, panel.hours), max(LONGEST_H, *(family.least_hours for family in speak))
    for family, horizons_h in speak.items():
        said: ByHorizon = sit(panel, family, leg, horizons_h, least_hours=least_hours) if horizons_h else {}
        for horizon_h, answer in said.items():
            found.setdefault(horizon_h, {})[family.name] = answer
    return found


def _volatility_rows(verdict: VolatilityVerdict, name: str, part: str) -> Metrics:
    if name not in verdict.families:
        return []
    mine, key = verdict.families[name], f"qlike {verdict.horizon_h} h"
    rows = [_row(key, part, mine.qlike, f"{verdict.pairs} pairs, realised over forecast {mine.bias:.2f}")]
    for against in _of(verdict.against, name):
        ratio = mine.qlike / verdict.families[against.other].qlike
        rows.append(_row(key, part, against.difference, f"x {ratio:.3f}, DM t {against.t:.1f}", against.other))
    return rows


def _tail_rows(verdict: TailVerdict, name: str, part: str) -> Metrics:
    rows: Metrics = []
    if name not in verdict.families:
        return rows
    for side, tail in verdict.families[name].sides.items():
        level = tail.levels[LEVELS.index(MAIN)]
        key = f"{verdict.horizon_h} h {side}"
        cells = f", cells passing {level.passing:.0%}" if level.cells else ""
        rows.append(_row(f"hit rate {key}, expected 1.00%", part, level.hit_rate, f"Z2 {level.z2:+.2f}{cells}"))
        for against in _of(verdict.against, name):
            if against.loss.endswith(side):
                other = against.other.removesuffix(" tails")
                rows.append(_row(f"fz0 {key}", part, against.difference, f"DM t {against.t:.1f}", other))
    return rows


def _of(rows: Sequence[Against], name: str) -> list[Against]:
    return [row for row in rows if row.family == name]


def _row(name: str, part: str, value: float, statistic: str, against: str = "") -> dict[str, Any]:
    return {"name": name, "part": part, "value": float(value), "against": against, "statistic": statistic}


def _whole(verdict: VolatilityVerdict | TailVerdict) -> Mapping[str, Any]:
    """Everything but what is long and said elsewhere."""
    found = msgspec.to_builtins(verdict)
    for long in ("by_month", "best_by_asset"):
        found.pop(long, None)
    for family in found["families"].values():
        family.pop("calibration", None)
        for side in family.get("sides", {}).values():
            for level in side["levels"]:
                level.pop("cells")
    return dict(found)


if __name__ == "__main__":
    command(lambda: write(sys.argv[1:], pool(dataset.folder())))
