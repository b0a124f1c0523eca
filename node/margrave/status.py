"""What a node says of itself: `/v1/status`, for operators, dashboards and the demonstration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import to_builtins

from margrave import __version__
from margrave.collect.board import SourceHealth
from margrave.messages import Receipt
from margrave.pipeline import Pipeline
from margrave.verdicts import Outcome


def status(pipeline: Pipeline, last: Sequence[Receipt], sources: Mapping[str, SourceHealth]) -> dict[str, Any]:
    """Ready when one of the `last` rounds reached the chain; otherwise why not, in the last one's words."""
    scores = pipeline.last_scores
    return {
        "version": __version__,
        "name": pipeline.settings.node.name,
        "member": pipeline.member,
        "market_time_ms": pipeline.clock.now_ms(),
        "model_set": "0x" + pipeline.scorer.model_set.hex(),
        "ready": any(r.outcome in (Outcome.PUBLISHED, Outcome.PUBLISHED_BY_PEER) for r in last),
        "why": last[-1].detail if last else "no round yet",
        "last_round": last[-1].round if last else None,
        "last_outcome": last[-1].outcome if last else None,
        "refused": pipeline.last_refused,
        "markets": {
            m.market: {
                "score": m.score,
                "confidence": m.confidence,
                "price": m.price,
                "sigma_annual": m.sigma_annual,
                "fallback": m.fallback,
                "drift": m.drift.name.lower(),
                "drift_reasons": list(m.drift_reasons),
                "widening": {"down": m.widening_down, "up": m.widening_up},
                "regime": m.regime,
                "fallbacks": list(m.fallbacks),
                "masked": list(m.masked),
                "cascade": {
                    "within_24h": m.cascade_probability,
                    "within_1h": m.cascade_probability_1h,
                    "size": m.cascade_size,
                },
                "contagion": {
                    "addon": m.contagion,
                    "rank": m.contagion_rank,
                    "paths": [{"source": p.source, "target": p.target, "loss": p.loss} for p in m.contagion_paths],
                },
                "attribution": [{"name": a.name, "points": a.points} for a in m.attribution],
                "reasons": [{"name": r.name, "points": r.points, "sentence": r.sentence} for r in m.reasons],
            }
            for m in (scores.markets if scores else ())
        },
        "holds": [
            {"market": h.market, "reason": h.reason, "detail": h.detail} for h in (scores.holds if scores else ())
        ],
        "sources": {
            source: {
                "up": health.trouble is None,
                "trouble": health.trouble,
                "lag_ms": health.lag_ms,
                "skew_ms": health.skew_ms,
                "failures": health.failures,
                "last_error": health.last_error,
                "sockets": {stream: to_builtins(socket) for stream, socket in health.sockets.items()},
            }
            for source, health in sources.items()
        },
    }
