"""What the court says of registered models on hours that none of them has seen: the metrics of their cards.

Judged twice, on the assets that were trained on and on those left out (`lab.court.unseen`). The court's report on a
whole study (docs/backtest) says how they stand against families that are refitted.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.judged [NAME ...]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from margrave.errors import Fatal
from margrave.lab.court.family import LEVELS
from margrave.lab.court.judge_tails import MAIN, TailVerdict
from margrave.lab.court.judge_volatility import VolatilityVerdict
from margrave.lab.court.unseen import BESIDE, TAILS_BESIDE, hear
from train import dataset, export
from train.pool import Pool, command, pool

Metrics = list[dict[str, Any]]


def write(names: Sequence[str], found: Pool) -> None:
    """Judge, and put the figures on the cards of `names` and into their evaluation.json.

    Raises:
        Fatal: too little follows the training.
    """
    called = list(dict.fromkeys((*names, *(name for name in (*BESIDE, *TAILS_BESIDE) if export.exists(name)))))
    metrics: dict[str, Metrics] = {name: [] for name in names}
    evaluations: dict[str, dict[str, Any]] = {name: {"beside": called, "parts": {}} for name in names}
    for part, assets in (("assets trained on", found.assets), ("assets left out", dataset.LEFT_OUT)):
        there = [asset for asset in assets if asset in found.panel.assets]
        if not there:
            continue
        heard = hear(found.panel.only(there), called)
        if isinstance(heard, str):
            raise Fatal(f"nothing can be judged: {heard}", advice="point MARGRAVE_DATA at a folder that goes on longer")
        for name in names:
            metrics[name] += [row for verdict in heard.volatility for row in _volatility_rows(verdict, name, part)]
            metrics[name] += [row for verdict in heard.tails for row in _tail_rows(verdict, name, part)]
            evaluations[name]["unseen_from"] = heard.unseen_from
            evaluations[name]["parts"][part] = {
                "assets": there,
                "volatility": _whole(heard.volatility, name),
                "tails": _whole(heard.tails, name),
            }
    for name in names:
        export.revise(name, metrics[name], evaluations[name])
        print(f"{name}: judged, {len(metrics[name])} figures", flush=True)


def _volatility_rows(verdict: VolatilityVerdict, name: str, part: str) -> Metrics:
    mine, key = verdict.families.get(name), f"qlike {verdict.horizon_h} h"
    if mine is None:
        return []
    rows = [_row(key, part, mine.qlike, f"{verdict.pairs} pairs, realised over forecast {mine.bias:.2f}")]
    for against in verdict.against:
        if against.family == name:
            ratio = mine.qlike / verdict.families[against.other].qlike
            rows.append(_row(key, part, against.difference, f"x {ratio:.3f}, DM t {against.t:.1f}", against.other))
    return rows


def _tail_rows(verdict: TailVerdict, name: str, part: str) -> Metrics:
    if name not in verdict.families:
        return []
    rows: Metrics = []
    for side, tail in verdict.families[name].sides.items():
        level = tail.levels[LEVELS.index(MAIN)]
        key = f"{verdict.horizon_h} h {side}"
        cells = f", cells passing {level.passing:.0%}" if level.cells else ""
        rows.append(_row(f"hit rate {key}, expected 1.00%", part, level.hit_rate, f"Z2 {level.z2:+.2f}{cells}"))
        for against in verdict.against:
            if against.family == name and against.loss.endswith(side):
                statistic = f"DM t {against.t:.1f}"
                rows.append(_row(f"fz0 {key}", part, against.difference, statistic, against.other))
    return rows


def _row(name: str, part: str, value: float, statistic: str, against: str = "") -> dict[str, Any]:
    return {"name": name, "part": part, "value": float(value), "against": against, "statistic": statistic}


def _whole(verdicts: Iterable[VolatilityVerdict | TailVerdict], name: str) -> list[dict[str, Any]]:
    """One model's, without what is long and said elsewhere."""
    found = []
    for verdict in verdicts:
        if name not in verdict.families:
            continue
        whole = msgspec.to_builtins(verdict)
        mine = whole["families"][name]
        for side in mine.get("sides", {}).values():
            for level in side["levels"]:
                level.pop("cells")
        mine.pop("calibration", None)
        found.append(
            {key: whole[key] for key in ("horizon_h", "pairs", "times", "begins", "ends")}
            | {"of": mine, "against": [row for row in whole["against"] if row["family"] == name]}
        )
    return found


def main() -> None:
    asked = sys.argv[1:] or list(dict.fromkeys((*BESIDE, *TAILS_BESIDE, "ewma/1", "egarch_t/1")))
    write(asked, pool(dataset.folder()))


if __name__ == "__main__":
    command(main)
