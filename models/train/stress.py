"""How a model does where it matters most: the rows with its highest forecasts, and three crises of the training span.

Averages over all rows say little about either: a ladder that is twice too wide in one row of fifty changes no hit rate
that anyone would notice, and asks for twice the margin on the worst day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

from margrave.messages import Ladder
from margrave.score.features import Floats

RUNGS: Final = Ladder.__struct_fields__
TOP_SHARE: Final = 0.02
CRISES: Final = ("2020-03", "2021-05", "2022-11")
"""Months of the training part, so what a model says there is in-sample."""


def block(outcome: Floats, ladder: Floats, sigma: Floats) -> dict[str, Any]:
    """The rows (n,) with the highest `TOP_SHARE` of sigma: were they as wild as stated?

    `variance` is the sum of squared log returns over the sum of sigma squared; 1 is right. `beyond_q975_over_es99` is
    the mean loss of the rows beyond the 97.5 % rung over the mean ES99 of the same rows: for the tails of these models
    0.75 to 0.85 is right.
    """
    top = sigma >= np.quantile(sigma, 1 - TOP_SHARE)
    y, said, squares = outcome[top], ladder[top], np.log1p(outcome[top]) ** 2
    found: dict[str, Any] = {
        "rows": int(top.sum()),
        "sigma_from": float(sigma[top].min()),
        "variance": float(squares.sum() / (sigma[top] ** 2).sum()),
    }
    for side, loss in (("down", -y), ("up", y)):
        rungs = {name: said[:, RUNGS.index(f"{side}_{name}")] for name in ("q975", "q995", "es99")}
        beyond = loss > rungs["q975"]
        found[side] = {
            "q975_rate": float(beyond.mean()),
            "q995_rate": float((loss > rungs["q995"]).mean()),
            "es99_mean": float(rungs["es99"].mean()),
            "es99_largest": float(rungs["es99"].max()),
            "worst": float(loss.max()),
            "beyond_q975_over_es99": float(loss[beyond].mean() / rungs["es99"][beyond].mean()) if beyond.any() else 0.0,
        }
    return found


def crisis_rows(close_ms: np.ndarray[Any, Any], training: np.ndarray[Any, Any], month: str) -> np.ndarray[Any, Any]:
    """Which rows (n,) of the training part were known in `month`."""
    start = pd.Timestamp(month, tz="UTC")
    begin_ms, end_ms = (int(t.value // 1_000_000) for t in (start, start + pd.DateOffset(months=1)))
    return np.asarray(training & (close_ms >= begin_ms) & (close_ms < end_ms))


def crisis(asset: np.ndarray[Any, Any], outcome: Floats, ladder: Floats, sigma: Floats) -> dict[str, Any]:
    """Largest ES99 down against the worst loss, over all assets and of each of the two that are published."""

    def sides(rows: Any) -> dict[str, float]:
        return {
            "es99_largest": float(ladder[rows, RUNGS.index("down_es99")].max()),
            "worst_loss": float(-outcome[rows].min()),
            "variance": float((np.log1p(outcome[rows]) ** 2).sum() / (sigma[rows] ** 2).sum()),
        }

    everyone = np.ones(len(asset), dtype=np.bool_)
    chosen = {"all": everyone} | {name: asset == name for name in ("BTC", "ETH")}
    return {"rows": len(asset)} | {name: sides(rows) for name, rows in chosen.items() if rows.any()}


def card_metrics(blocks: Iterable[tuple[str, dict[str, Any]]], crises: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows for the card: stress of some parts by name, then the crises."""
    rows = []
    for part, found in blocks:
        place = f"{part}, top {TOP_SHARE:.0%} of sigma"
        down = found["down"]
        worst = f"mean ES99 {down['es99_mean']:.1%}, largest {down['es99_largest']:.1%}, worst loss {down['worst']:.1%}"
        rows += [
            _metric("realised over forecast variance", place, found["variance"], f"{found['rows']} rows"),
            _metric("hit rate down_q975, expected 2.50%", place, down["q975_rate"], worst),
            _metric("hit rate down_q995, expected 0.50%", place, down["q995_rate"], ""),
            _metric("hit rate up_q975, expected 2.50%", place, found["up"]["q975_rate"], ""),
        ]
    for month, found in crises.items():
        for who in ("BTC", "ETH", "all"):
            if who in found:
                worst = f"worst four-hour loss {found[who]['worst_loss']:.1%}"
                rows.append(
                    _metric(f"largest down_es99, {who}", f"{month}, in-sample", found[who]["es99_largest"], worst)
                )
    return rows


def _metric(name: str, part: str, value: float, statistic: str) -> dict[str, Any]:
    return {"name": name, "part": part, "value": value, "against": "", "statistic": statistic}
