"""The calm reference is an ordinary day to the models, and the same for whoever makes it."""

from __future__ import annotations

import msgspec
import pytest

from margrave.messages import MarketHold
from margrave.score import calm
from margrave.spans import HOUR_MS
from tests.unit.score import history, real
from tests.unit.score.sample import MODEL_SET
from tests.unit.score.test_attribution import bars, seen


def test_the_calm_reference_is_an_ordinary_input_of_the_models_at_every_hour() -> None:
    forecaster = real.forecaster()
    for hours in (0, 31, 77, 140):
        like = seen("BTC", bars=tuple(bar_later(bar, hours) for bar in bars("BTC")))
        facts = calm.facts(like, 1e6, forecaster.prior, MODEL_SET)
        (said,) = forecaster.forecast([facts.market], {"BTC": facts.carried})
        assert not isinstance(said, MarketHold)
        assert said.unlike < 0.5
        assert not said.fallback
        assert not said.provisional
        assert set(said.masked) <= {"BTC"}
        assert 0.25 < said.sigma_annual < 0.75


def bar_later(bar: history.Bar, hours: int) -> history.Bar:
    return msgspec.structs.replace(bar, open_time_ms=bar.open_time_ms + hours * HOUR_MS)


def test_the_calm_reference_is_the_same_at_any_price_and_volume() -> None:
    forecaster = real.forecaster()
    told = []
    for factor in (1.0, 1e-4):
        scaled = tuple(
            history.Bar(
                bar.open_time_ms, *(getattr(bar, name) * factor for name in ("open", "high", "low", "close", "volume"))
            )
            for bar in bars("BTC")
        )
        facts = calm.facts(seen("BTC", bars=scaled, price=scaled[-1].close), 1e6, forecaster.prior, MODEL_SET)
        (said,) = forecaster.forecast([facts.market], {"BTC": facts.carried})
        assert not isinstance(said, MarketHold)
        told.append(msgspec.structs.astuple(said.ladder))
    assert told[0] == pytest.approx(told[1], rel=1e-4)
