"""The benchmark of Greeks: who is absent is said, and who differs is found out."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from margrave.lab.bench import greeks as bench
from margrave.score.greeks import Options, plain


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("OPTIONS", 300), ("CHAIN", 100), ("BESIDE", 40), ("RUNS", 1)):
        monkeypatch.setattr(bench, name, value)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def fake_vollib(monkeypatch: pytest.MonkeyPatch, off: float) -> None:
    """vollib's names over our own formula, its delta off by so much."""

    def of(name: str, scale: float = 1.0, more: float = 0.0) -> object:
        def said(side: str, forward: float, strike: float, years: float, _: float, vol: float) -> float:
            found = plain(Options(forward, strike, years, side == "c"), np.array([vol]))
            return float(getattr(found, name)[0] * scale + more)

        return said

    black, analytical = ModuleType("vollib.black"), ModuleType("vollib.black.greeks.analytical")
    black.black = of("price")  # type: ignore[attr-defined]
    for name, scale, more in (("delta", 1, off), ("gamma", 1, 0), ("vega", 0.01, 0), ("theta", 1 / 365, 0)):
        setattr(analytical, name, of(name, scale, more))
    for module in ("vollib", "vollib.black.greeks"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setitem(sys.modules, "vollib.black", black)
    monkeypatch.setitem(sys.modules, "vollib.black.greeks.analytical", analytical)


def test_who_is_not_installed_is_said_and_ours_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "QuantLib", "vollib.black")
    said: list[str] = []
    result = bench.run(said.append)
    assert result["not_installed"] == ["QuantLib", "vollib"]
    assert "not installed, not compared: QuantLib, vollib" in said
    rates = [row for row in result["targets"] if row["name"].startswith("options a second")]
    assert len(rates) == 4
    assert all(row["value"] > 0 for row in rates)


@pytest.mark.parametrize(("off", "holds"), [(0.0, True), (1e-6, False)])
def test_one_that_differs_misses_the_target(monkeypatch: pytest.MonkeyPatch, off: float, holds: bool) -> None:
    without(monkeypatch, "QuantLib")
    fake_vollib(monkeypatch, off)
    rows = {row["name"]: row for row in bench.run(lambda _: None)["targets"]}
    assert rows["furthest from vollib"]["holds"] is holds
    assert rows["furthest from vollib"]["value"] == pytest.approx(off, abs=1e-9)
    assert "options a second, vollib" in rows
