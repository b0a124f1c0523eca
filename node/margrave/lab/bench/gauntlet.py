"""The manipulation gauntlet: attacks of the record at three sizes, quiet months, real crashes, and each layer off."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from margrave.errors import Fatal
from margrave.lab.bench.measured import figure
from margrave.lab.gauntlet import crashes, rules, tape
from margrave.lab.gauntlet.attacks import ATTACKS, BEGIN, SIZES, Attack, Sort
from margrave.lab.gauntlet.feeds import Feeds, cut
from margrave.lab.gauntlet.rules import Published
from margrave.lab.gauntlet.scoreboard import MOST, THERE, Score, score
from margrave.settings import POLICY_FILE, GuardPolicy, Layers, load_policy

COINS: Final = ("BTC", "DOGE", "HYPE")
"""The deepest, and two of the thinnest."""
WINDOWS: Final = ("2026-02-05T12:00", "2026-02-12T00:00")
"""In the worst day of the tape, and a quiet week later."""
QUIET_COINS: Final = ("BTC", "ETH", "SOL", "DOGE", "HYPE")
QUIET: Final = (("2026-01-08T00:00", 400), ("2026-02-01T00:00", 27 * 24))
"""Stretches with the same venues throughout, in hours."""
MOST_FALSE_ALARMS: Final = 0.001
NEVER: Final = 10_000

Rule = Callable[[Feeds], Published]


def run(say: Callable[[str], None]) -> dict[str, Any]:
    folder = os.environ.get("MARGRAVE_DATA", "")
    if not Path(folder).is_dir():
        raise Fatal("MARGRAVE_DATA names no folder", advice="set it to the folder with the market history")
    data, policy = Path(folder), load_policy(POLICY_FILE).guard
    tapes = {coin: tape.load(data, coin) for coin in QUIET_COINS}
    board = scoreboard(tapes, policy, say)
    days = real_crashes(data, tapes["BTC"], policy, say)
    ablated = ablation(tapes["BTC"], policy, say)
    quiet = quiet_months(tapes, policy, say)
    figures = {
        "policy": policy.model_dump(),
        "board": board,
        "crashes": days,
        "ablation": ablated,
        "quiet": quiet,
        "targets": _targets(board, days, quiet),
    }
    return {name: _rounded(part) for name, part in figures.items()}


def every_rule(policy: GuardPolicy) -> Mapping[str, Rule]:
    return {"volume_mean": rules.volume_mean, "median": rules.median, "guard": lambda feeds: rules.guard(feeds, policy)}


def scoreboard(tapes: Mapping[str, tape.Tape], policy: GuardPolicy, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row an attack, size, coin and window: what each of the three rules made of it."""
    rows = []
    for coin in COINS:
        for start in WINDOWS:
            say(f"{coin} from {start}")
            clean: dict[int, Mapping[str, Published]] = {}
            for attack in ATTACKS:
                honest = cut(tapes[coin], _ms(start), attack.hours)
                if attack.hours not in clean:
                    clean[attack.hours] = {name: rule(honest) for name, rule in every_rule(policy).items()}
                for size in SIZES:
                    row = _row(attack, size, honest, clean[attack.hours], policy)
                    rows.append({**row, "coin": coin, "start": start, "venues": len(honest.venues)})
    return rows


def ablation(like: tape.Tape, policy: GuardPolicy, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """At every attack's own size: what is worse with one layer off, and what is better with that layer alone."""
    bare = policy.model_copy(update={"layers": Layers(**dict.fromkeys(Layers.model_fields, False))})
    whole, none = _guard_alone(like, policy), _guard_alone(like, bare)
    rows = []
    for layer in Layers.model_fields:
        say(f"without {layer}, and with nothing else")
        without, alone = (
            _guard_alone(like, base.model_copy(update={"layers": base.layers.model_copy(update={layer: on})}))
            for base, on in ((policy, False), (bare, True))
        )
        worse = {
            name: {"with": _told(whole[name]), "without": _told(without[name])}
            for name in whole
            if _worse(without[name], whole[name])
        }
        better = {
            name: {"with": _told(alone[name]), "without": _told(none[name])}
            for name in none
            if _worse(none[name], alone[name])
        }
        rows.append({"layer": layer, "worse_without": worse, "better_alone": better})
    return rows


def quiet_months(
    tapes: Mapping[str, tape.Tape], policy: GuardPolicy, say: Callable[[str], None]
) -> dict[str, dict[str, int]]:
    """Bars, and those flagged although nobody attacked."""
    found = {}
    for coin in QUIET_COINS:
        bars = flagged = held = refused = 0
        for start, hours in QUIET:
            say(f"{coin} undisturbed from {start}, {hours} hours")
            published = rules.guard(cut(tapes[coin], _ms(start), hours), policy)
            bars += len(published.flagged)
            flagged += int(published.flagged.sum())
            held += int(published.held.sum())
            refused += int(published.refused.sum())
        found[coin] = {"bars": bars, "flagged": flagged, "held": held, "venues_refused": refused}
    return found


def real_crashes(data: Path, like: tape.Tape, policy: GuardPolicy, say: Callable[[str], None]) -> list[dict[str, Any]]:
    rows = []
    for crash in crashes.CRASHES:
        say(crash.name)
        feeds = cut(crashes.tape_of(data, crash, like), _ms(crash.start), crash.hours)
        ours, median = rules.guard(feeds, policy), rules.median(feeds)
        error = np.abs(np.log(ours.price / feeds.truth))
        calm = ~ours.flagged
        rows.append(
            {
                "name": crash.name,
                "bars": len(error),
                "fall": float(1 - feeds.truth.min() / feeds.truth[0]),
                "worst_bar": float(-np.diff(np.log(feeds.truth)).min()),
                "price_error": float(error[calm].max(initial=0.0)),
                "late_bars": int((error[calm] > THERE).sum()),
                "flagged": int(ours.flagged.sum()),
                "held": int(ours.held.sum()),
                "es99_to_median": float(np.nanmin((ours.es99 / median.es99)[calm])),
            }
        )
    return rows


def _guard_alone(like: tape.Tape, policy: GuardPolicy) -> dict[str, Score]:
    found = {}
    clean: dict[int, Published] = {}
    for attack in ATTACKS:
        honest = cut(like, _ms(WINDOWS[1]), attack.hours)
        if attack.hours not in clean:
            clean[attack.hours] = rules.guard(honest, policy)
        attacked = attack.make(honest, 1.0)
        found[attack.name] = score(attack, attacked, rules.guard(attacked, policy), clean[attack.hours])
    return found


def _worse(found: Score, than: Score) -> bool:
    return found.damage > than.damage * 1.02 or found.price_error > than.price_error + 0.002


def _told(found: Score) -> dict[str, Any]:
    return {"damage": found.damage, "price_error": found.price_error, "flagged": found.flagged}


def _row(
    attack: Attack, size: float, honest: Feeds, clean: Mapping[str, Published], policy: GuardPolicy
) -> dict[str, Any]:
    attacked = attack.make(honest, size)
    published = {name: rule(attacked) for name, rule in every_rule(policy).items()}
    row: dict[str, Any] = {"attack": attack.name, "story": attack.story, "sort": attack.sort.value, "size": size}
    row["rules"] = {name: asdict(score(attack, attacked, found, clean[name])) for name, found in published.items()}
    if attack.sort is Sort.TRUTH:
        row["es99_to_median"] = float(np.nanmin((published["guard"].es99 / published["median"].es99)[BEGIN:]))
    return row


def _targets(
    board: list[dict[str, Any]], days: list[dict[str, Any]], quiet: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    ours = [(row, row["rules"]["guard"]) for row in board]
    lies = max(g["damage"] for row, g in ours if row["sort"] in (Sort.LIE, Sort.FIGURE))
    drift = max(g["price_error"] for row, g in ours if row["sort"] == Sort.DRIFT)
    true = [g["latency"] for row, g in ours if row["attack"].startswith("true_")]
    gaps = NEVER if None in true else max(true)
    under = min(row["es99_to_median"] for row in board if row["attack"].startswith("true_"))
    frozen = max(g["price_error"] for row, g in ours if row["attack"] == "frozen_majority")
    bars, flagged = sum(q["bars"] for q in quiet.values()), sum(q["flagged"] for q in quiet.values())
    return [
        figure("largest unflagged damage of a lie", lies, "x", MOST),
        figure("bars until a true move is fully in", gaps, "bars", 0),
        figure("ES99 after a true move, missing of the median's", 1 - under, "", 0.02),
        figure("price error before most feeds frozen are flagged", frozen, "log", None),
        figure("price error before a lie that all venues share is told", drift, "log", None),
        figure("bars flagged in quiet months", flagged / bars, "of bars", MOST_FALSE_ALARMS),
        figure("bars late on days of real crashes", sum(d["late_bars"] for d in days), "bars", 0),
    ]


def _rounded(part: Any) -> Any:
    """Five significant digits: what a page shows, and no more bytes."""
    if isinstance(part, Mapping):
        return {key: _rounded(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_rounded(value) for value in part]
    return float(f"{part:.5g}") if isinstance(part, float) else part


def _ms(start: str) -> int:
    return int(np.datetime64(start, "ms").astype(np.int64))
