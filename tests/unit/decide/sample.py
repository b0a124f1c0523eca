"""A chain that holds what it is told, and settings whose files are the project's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from margrave import lanes
from margrave.decide.limits import policy_digest
from margrave.lanes import LANES, Words
from margrave.messages import (
    ChainState,
    Ladder,
    MarketHold,
    MarketScores,
    OnchainMarket,
    Scores,
    Surface,
)
from margrave.settings import (
    PROJECT_ROOT,
    ChainSettings,
    ClockSettings,
    Instruments,
    KeySettings,
    MarketSettings,
    NodeSettings,
    Settings,
    load_policy,
)
from margrave.verdicts import HoldReason, MarketStatus

POLICY = load_policy(PROJECT_ROOT / "config" / "policy.toml")
PERIOD_S = POLICY.round.period_s
ROUND = 5_900_688
T_S = ROUND * PERIOD_S
MODEL_SET = bytes(range(32))
EMPTY = Words(risk=0, market=0)

CALM: Mapping[str, float] = {
    "down_q975": 0.017,
    "down_q995": 0.029,
    "down_es99": 0.034,
    "down_q9995": 0.055,
    "down_es999": 0.071,
    "up_q975": 0.016,
    "up_q995": 0.027,
    "up_es99": 0.032,
    "up_q9995": 0.051,
    "up_es999": 0.066,
    "vol_up": 0.09,
    "vol_down": 0.07,
    "liquidity": 0.001,
    "cascade_probability": 0.1,
    "cascade_size": 0.04,
    "contagion": 0.003,
    "score": 2_000,
    "confidence": 0.9,
    "total_vol_7d": 0.085,
    "total_vol_30d": 0.165,
    "total_vol_90d": 0.28,
    "ssvi_rho": -0.25,
    "ssvi_wing": 1.1,
    "ssvi_decay": 0.35,
    "basis": 0.05,
}
assert CALM.keys() == {name for name, lane in LANES.items() if not lane.stamped}


def words(price: float = 70_000.0, **changes: float) -> Words:
    return lanes.encode({**CALM, **changes}, price)


def settings_of(count: int = 2, speed: float | None = None) -> Settings:
    names = ["BTC", "ETH", *(f"M{i}" for i in range(2, count))][:count]
    return Settings(
        node=NodeSettings(
            name="n0",
            state_dir=Path("state"),
            keys=KeySettings(keystore=Path("key.json"), passphrase_file=Path("pass")),
            chain=ChainSettings(rpc=["http://127.0.0.1:8545"], chain_id=31337, oracle="0x" + "11" * 20),
            venues={},
            clock=None if speed is None else ClockSettings(origin_ms=0, wall_origin_ms=0, speed=speed),
        ),
        markets={
            name: MarketSettings(id=i, reference_size_usd=1e6, instruments={"okx": Instruments()})
            for i, name in enumerate(names)
        },
        policy=POLICY,
    )


def onchain(
    stored: Words | None = None, age_s: int = PERIOD_S, status: MarketStatus = MarketStatus.FRESH
) -> OnchainMarket:
    """A market stored `age_s` before this round; empty without words."""
    if stored is None:
        return OnchainMarket(words=EMPTY, observed_at_s=0, status=MarketStatus.EMPTY)
    return OnchainMarket(words=stored, observed_at_s=T_S - age_s, status=status)


def state_of(*markets: OnchainMarket, **changes: object) -> ChainState:
    fields: dict[str, object] = {
        "block": 100,
        "block_time_s": T_S,
        "epoch": 1,
        "members": ("0x" + "22" * 20,),
        "quorum": 1,
        "model_set": MODEL_SET,
        "policy_digest": policy_digest(POLICY, len(markets)),
        "period_s": PERIOD_S,
        "markets": markets,
        **changes,
    }
    return ChainState(**fields)  # type: ignore[arg-type]


def scores_of(scored: Mapping[str, Words], held: Mapping[str, HoldReason] | None = None) -> Scores:
    return Scores(
        round=ROUND,
        as_of_ms=T_S * 1_000,
        model_set=MODEL_SET,
        markets=tuple(_row(name, w) for name, w in scored.items()),
        holds=tuple(MarketHold(market=n, reason=r, detail=f"{n} cannot be seen") for n, r in (held or {}).items()),
    )


def _row(name: str, stored: Words) -> MarketScores:
    return MarketScores(
        market=name,
        price=lanes.price_usd(stored),
        ladder=Ladder(**{k: v for k, v in CALM.items() if k.startswith(("down_", "up_"))}),
        sigma_annual=0.6,
        surface=Surface(
            total_vol_7d=0.085,
            total_vol_30d=0.165,
            total_vol_90d=0.28,
            rho=-0.25,
            wing=1.1,
            decay=0.35,
            rmse_vol=0.02,
            quotes_used=200,
        ),
        basis=0.05,
        vol_up=0.09,
        vol_down=0.07,
        liquidity=0.001,
        cascade_probability=0.1,
        cascade_size=0.04,
        contagion=0.003,
        score=2_000.0,
        confidence=0.9,
        reasons=(),
        fallback=False,
        words=stored,
    )
