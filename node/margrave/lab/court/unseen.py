"""Registered models side by side on hours that none of them has seen.

All are asked on the same (hour, asset) pairs from the latest `unseen_from` of their cards to the end of a panel, and
compared by the court's own judges. Nothing is fitted, so it costs seconds where a walk costs minutes; how they stand
against families that are refitted, the walk says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from margrave.lab.court import judge_tails, judge_volatility
from margrave.lab.court.families import Kind
from margrave.lab.court.families.registered import Registered, tail_horizons_h, variance_horizons_h
from margrave.lab.court.families.tails.historical import HistoricalSimulation
from margrave.lab.court.family import Ints, Tails
from margrave.lab.court.judge_tails import TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import Answers, Leg, judged
from margrave.score.registry import Card, open_model
from margrave.settings import REGISTRY
from margrave.spans import JULIAN_YEAR_H

BESIDE: Final = ("ewma_asymmetric/1", "garch_t/1", "har_wls/1", "log_har/1", "diurnal_lhar_iv/1")
"""The registry's baselines of volatility."""
TAILS_BESIDE: Final = ("garch_t/1", "gjr_garch_t/2")
SIMULATION: Final = HistoricalSimulation()
BEFORE_H: Final = 3 * JULIAN_YEAR_H
"""Hours before the first judged one that inputs may look back at: the hour-of-week table fades with half a year."""
LEAST_H: Final = 30 * 24
LEAST_BARS: Final = 674
"""Without a gap, before an asset is asked about: what the longest of these models looks back at."""
EVERY: Final = {1: 5}
"""Of the hours that lie a horizon apart every so many are asked about: five meets every hour of the day."""


@dataclass(frozen=True, slots=True)
class Heard:
    unseen_from: str
    volatility: tuple[VolatilityVerdict, ...]
    """Families are called as the models are."""
    tails: tuple[TailVerdict, ...]
    """Families are called as the models are, and `SIMULATION.name`."""


def hear(panel: Panel, names: Sequence[str], registry: Path = REGISTRY) -> Heard | str:
    """Judge the models of these names that speak of variance or tails; in words, why not where it cannot be.

    Raises:
        Fatal: a model is not in the registry, or is not whole.
    """
    cards = {name: open_model(registry, name).card for name in names}
    cards = {name: card for name, card in cards.items() if variance_horizons_h(card) or tail_horizons_h(card)}
    if not cards:
        return "the registry has no model of volatility or tails"
    unseen = max(card.unseen_from for card in cards.values())
    row = int(np.searchsorted(panel.known_ms, np.datetime64(unseen, "ms").astype(np.int64)))
    if panel.hours - row < LEAST_H:
        return f"{max(panel.hours - row, 0)} hours follow {unseen}, to which the models were trained or chosen"
    start = max(row - BEFORE_H, 0)
    late, leg = panel.since(start), Leg(row - start, panel.hours - start)
    return Heard(unseen, _volatility(late, leg, cards, registry), _tails(late, leg, cards, registry))


def _volatility(panel: Panel, leg: Leg, cards: Mapping[str, Card], registry: Path) -> tuple[VolatilityVerdict, ...]:
    speak = {name: variance_horizons_h(card) for name, card in cards.items()}
    found = []
    for horizon_h in sorted({h for hours in speak.values() for h in hours}):
        rows, assets = _pairs(panel, leg, horizon_h)
        if not len(rows):
            continue
        asked = np.unique(rows)
        answers = {}
        for name in (name for name, hours in speak.items() if horizon_h in hours):
            said = Registered(name, registry=registry).fit(panel).variance(panel, asked, horizon_h)  # type: ignore[union-attr]
            answers[name] = Answers(rows, assets, said[np.searchsorted(asked, rows), assets])
        verdict = judge_volatility.judge(panel, answers, horizon_h, [name for name in BESIDE if name in answers])
        found += [] if verdict is None else [verdict]
    return tuple(found)


def _tails(panel: Panel, leg: Leg, cards: Mapping[str, Card], registry: Path) -> tuple[TailVerdict, ...]:
    speak = {name: tail_horizons_h(card) for name, card in cards.items()}
    found = []
    for horizon_h in sorted({h for hours in speak.values() for h in hours}):
        rows, assets = _pairs(panel, leg, horizon_h)
        if not len(rows):
            continue
        models: dict[str, Any] = {
            name: Registered(name, Kind.TAILS, registry).fit(panel)
            for name, hours in speak.items()
            if horizon_h in hours
        }
        answers = {}
        for name, model in (models | {SIMULATION.name: SIMULATION}).items():
            said: Tails = model.tails(panel, rows, assets, horizon_h)
            answers[name] = Answers(rows, assets, np.stack([said.var, said.es], axis=1))
        beside = [SIMULATION.name, *(name for name in TAILS_BESIDE if name in answers)]
        verdict = judge_tails.judge(panel, answers, horizon_h, beside)
        found += [] if verdict is None else [verdict]
    return tuple(found)


def _pairs(panel: Panel, leg: Leg, horizon_h: int) -> tuple[Ints, Ints]:
    return judged(panel, leg.rows(panel, horizon_h)[:: EVERY.get(horizon_h, 1)], LEAST_BARS, horizon_h)
