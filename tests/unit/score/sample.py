"""One scored market whose every input is in the test's hand, and a forecaster that says what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from margrave.messages import Bar, Ladder, MarketHold, MarketSnapshot, Snapshot, SourcePrice
from margrave.score.carried import Carried
from margrave.settings import POLICY_FILE, Instruments, MarketSettings, load_policy
from margrave.verdicts import DriftLevel
from tests.unit.score.chains import AS_OF_MS, made

POLICY = load_policy(POLICY_FILE)
MPOR_S = POLICY.round.mpor_s
VENUES = ("binance", "bybit", "deribit", "kraken", "okx")
MARKETS = {
    name: MarketSettings(id=i, reference_size_usd=1e6, instruments={venue: Instruments(spot=name) for venue in VENUES})
    for i, name in enumerate(("BTC", "ETH"))
}
MODEL_SET = bytes(range(32))
CHAIN = tuple(made())
CALM = Ladder(
    down_q975=0.017,
    down_q995=0.029,
    down_es99=0.034,
    down_q9995=0.055,
    down_es999=0.071,
    up_q975=0.016,
    up_q995=0.027,
    up_es99=0.032,
    up_q9995=0.051,
    up_es999=0.066,
)


def scaled(ladder: Ladder, factor: float) -> Ladder:
    return Ladder(**{name: value * factor for name, value in msgspec.structs.asdict(ladder).items()})


def bars(closes: Sequence[float], at_ms: int = AS_OF_MS) -> tuple[Bar, ...]:
    last = at_ms // 3_600_000 * 3_600_000 - 3_600_000
    first = last - (len(closes) - 1) * 3_600_000
    return tuple(Bar(first + i * 3_600_000, c, c * 1.001, c * 0.999, c, 1.0) for i, c in enumerate(closes))


HISTORY = bars([70_000.0 * (1 + 0.004 * (i % 5 - 2)) for i in range(240)])


def market(name: str = "BTC", **changes: object) -> MarketSnapshot:
    full = MarketSnapshot(
        market=name,
        price=70_000.0,
        sources=tuple(SourcePrice(source=v, price=70_000.0, weight=0.2, distance_bp=0.0, age_s=1.0) for v in VENUES),
        half_spread=1e-4,
        depth_usd=1e8,
        perp_basis=1e-4,
        funding_8h=1e-4,
        open_interest_usd=1e10,
        vol_index=0.55,
        collateral_ratio=2.0,
        bars=HISTORY,
        quotes=CHAIN,
        chain_age_s=0.0,
    )
    return msgspec.structs.replace(full, **changes)


def snapshot(*markets: MarketSnapshot, holds: Sequence[MarketHold] = ()) -> Snapshot:
    return Snapshot(round=AS_OF_MS // 300_000, as_of_ms=AS_OF_MS, markets=markets, holds=tuple(holds), refusals=())


class Told(msgspec.Struct, frozen=True, kw_only=True):
    market: str
    ladder: Ladder = CALM
    closed: Ladder = CALM
    hour: Ladder = CALM
    sigma_annual: float = 0.6
    unlike: float = 0.3
    masked: tuple[str, ...] = ()
    fallback: bool = False


class Forecaster:
    """Answers with what it was told a market, `CALM` otherwise."""

    def __init__(self, told: Mapping[str, Told | MarketHold] | None = None) -> None:
        self.told = told or {}

    prior = np.ones(168)

    def forecast(self, markets: Sequence[MarketSnapshot], carried: Mapping[str, Carried]) -> list[Told | MarketHold]:
        self.drifted = {name for name, state in carried.items() if state.drift.level is DriftLevel.BASELINE}
        return [self.told.get(m.market, Told(market=m.market)) for m in markets]

    def forecasts(
        self, worlds: Sequence[tuple[Sequence[MarketSnapshot], Mapping[str, Carried]]]
    ) -> list[list[Told | MarketHold]]:
        return [self.forecast(markets, carried) for markets, carried in worlds]
