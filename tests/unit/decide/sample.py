"""A chain that holds what it is told, and settings whose files are the project's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from margrave import lanes
from margrave.decide.limits import policy_digest, policy_words
from margrave.lanes import LANES, STAMP_SHIFT, Words
from margrave.messages import (
    ChainState,
    Epoch,
    MarketHold,
    MarketScores,
    OnchainMarket,
    Scores,
)
from margrave.mirror.limits import timing
from margrave.mirror.words import HALT
from margrave.settings import (
    POLICY_FILE,
    ChainSettings,
    ClockSettings,
    Instruments,
    KeySettings,
    MarketSettings,
    NodeSettings,
    Settings,
    load_policy,
)
from margrave.verdicts import HoldReason, MarketStatus, ReportKind
from tests.unit.score.chains import TRUE
from tests.unit.score.sample import CALM as LADDER

POLICY = load_policy(POLICY_FILE)
PERIOD_S = POLICY.round.period_s
ROUND = 5_900_688
T_S = ROUND * PERIOD_S
MODEL_SET = bytes(range(32))
EMPTY = Words(risk=0, market=0)

CALM: Mapping[str, float] = {
    **msgspec.structs.asdict(LADDER),
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
    """A market stored `age_s` before this round, stamped as the contract does; empty without words."""
    if stored is None:
        return OnchainMarket(words=EMPTY, observed_at_s=0, status=MarketStatus.EMPTY)
    kept = Words(stored.risk, stored.market | T_S - age_s << STAMP_SHIFT)
    if status is MarketStatus.HALTED:
        kept = Words(kept.risk, kept.market | HALT << LANES["flags"].shift)
    return OnchainMarket(words=kept, observed_at_s=T_S - age_s, status=status)


def epoch_of(markets: int, **changes: object) -> Epoch:
    """Governance's rules as policy.toml has them, all markets in one class and alone; or with changes."""
    fields: dict[str, object] = {
        "number": 1,
        "kind": ReportKind.OWN_WORDS,
        "paused": False,
        "quorum": 1,
        "members": ("0x" + "22" * 20,),
        "model_set": MODEL_SET,
        "policy_digest": b"",
        "timing": timing(POLICY.round),
        "classes": (policy_words(POLICY.limits),),
        "class_of": bytes(markets),
        "group_of": bytes(markets),
        "ring_of": bytes(markets),
        **changes,
    }
    epoch = Epoch(**fields)  # type: ignore[arg-type]
    if epoch.policy_digest:
        return epoch
    return msgspec.structs.replace(epoch, policy_digest=policy_digest(epoch))


def state_of(*markets: OnchainMarket, rules: Epoch | None = None, **changes: object) -> ChainState:
    fields: dict[str, object] = {
        "block": 100,
        "block_time_s": T_S,
        "period_s": PERIOD_S,
        "history_hash": bytes(20),
        "epoch": rules or epoch_of(len(markets)),
        "next_epoch": None,
        "next_from_round": 0,
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
        ladder=LADDER,
        sigma_annual=0.6,
        surface=msgspec.structs.replace(TRUE, rmse_vol=0.02, quotes_used=200),
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
