"""Prometheus metrics, prefix `margrave_`; labels are the words of verdicts.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SOCKET_GAUGES: Final[Mapping[str, str]] = {
    "up": "1 while a websocket is open and says something of a market",
    "frames": "Messages of a websocket since the node began",
    "refused": "Messages of a websocket, or parts of them, that were refused",
    "repeats": "Messages of a websocket that said nothing new",
    "dropped": "Messages of a websocket that came faster than they were read",
    "reconnects": "Times that a websocket was opened again",
    "forgotten": "Levels of books far from the price that were dropped for want of room",
    "books": "Books that a websocket keeps",
    "books_whole": "Of those, how many are whole now",
}
"""Field of `margrave.collect.board.SocketHealth` to help text; each is `margrave_socket_<field>`."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """One registry a node, so that several nodes can live in one process in tests."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    rounds: Counter = field(init=False)
    stage_seconds: Histogram = field(init=False)
    last_round_time: Gauge = field(init=False)
    refusals: Counter = field(init=False)
    refusals_dropped: Gauge = field(init=False)
    polls_skipped: Gauge = field(init=False)
    holds: Counter = field(init=False)
    doubts: Counter = field(init=False)
    source_age: Gauge = field(init=False)
    source_up: Gauge = field(init=False)
    source_failures: Gauge = field(init=False)
    source_lag: Gauge = field(init=False)
    source_skew: Gauge = field(init=False)
    contracts_dropped: Gauge = field(init=False)
    sockets: Mapping[str, Gauge] = field(init=False)
    book_resyncs: Gauge = field(init=False)
    price: Gauge = field(init=False)
    score: Gauge = field(init=False)
    confidence: Gauge = field(init=False)
    drift_level: Gauge = field(init=False)
    widening_factor: Gauge = field(init=False)
    cascade: Gauge = field(init=False)
    contagion: Gauge = field(init=False)
    formula_speaks: Gauge = field(init=False)
    regime: Gauge = field(init=False)
    onchain_age: Gauge = field(init=False)
    peer_up: Gauge = field(init=False)
    quorum_size: Gauge = field(init=False)
    transactions: Counter = field(init=False)
    wallet: Gauge = field(init=False)
    rpc_lag: Gauge = field(init=False)
    rpc_asked: Gauge = field(init=False)
    rpc_failures: Gauge = field(init=False)
    rpc_disagreements: Gauge = field(init=False)
    chain_block: Gauge = field(init=False)
    chain_withdrawn: Gauge = field(init=False)
    chain_restarts: Gauge = field(init=False)

    def __post_init__(self) -> None:
        def put(name: str, metric: object) -> None:
            object.__setattr__(self, name, metric)

        at = self.registry
        put("rounds", Counter("margrave_round", "Rounds by how they ended", ["outcome"], registry=at))
        put("stage_seconds", Histogram("margrave_round_seconds", "Seconds a stage took", ["stage"], registry=at))
        put("last_round_time", Gauge("margrave_last_round_timestamp", "Market time of the last round", registry=at))
        put("refusals", Counter("margrave_refusals", "What was dropped", ["source", "reason"], registry=at))
        put(
            "refusals_dropped",
            Gauge("margrave_refusals_dropped", "Refusals that nobody counted, for want of room", registry=at),
        )
        put(
            "polls_skipped",
            Gauge("margrave_polls_skipped", "Polls that did not begin because the last had not ended", registry=at),
        )
        put("holds", Counter("margrave_holds", "Markets or rounds held", ["market", "reason"], registry=at))
        put("doubts", Counter("margrave_doubts", "Prices published in doubt", ["market", "reason"], registry=at))
        put("source_age", Gauge("margrave_source_age_seconds", "Age of the newest reading", ["source"], registry=at))
        put("source_up", Gauge("margrave_source_up", "1 while a source answers", ["source"], registry=at))
        put(
            "source_failures",
            Gauge("margrave_source_failures", "Questions and websockets that failed", ["source"], registry=at),
        )
        put("source_lag", Gauge("margrave_source_lag_seconds", "Our time less the venue's", ["source"], registry=at))
        put(
            "source_skew",
            Gauge("margrave_source_skew_seconds", "Least lag of the last minutes: the clocks", ["source"], registry=at),
        )
        put(
            "contracts_dropped",
            Gauge("margrave_contracts_dropped", "Listed instruments that there was no room for", registry=at),
        )
        labels = ["source", "stream"]
        put(
            "sockets",
            {n: Gauge(f"margrave_socket_{n}", said, labels, registry=at) for n, said in SOCKET_GAUGES.items()},
        )
        put(
            "book_resyncs",
            Gauge("margrave_book_resyncs", "Books given up and begun again", [*labels, "reason"], registry=at),
        )
        put("price", Gauge("margrave_price_usd", "Index price of the last round", ["market"], registry=at))
        put("score", Gauge("margrave_score", "Risk score of the last round", ["market"], registry=at))
        put("confidence", Gauge("margrave_confidence", "Confidence of the last round", ["market"], registry=at))
        drifts = "0 steady, 1 flagged, 2 widened, 3 the baseline speaks"
        put("drift_level", Gauge("margrave_drift_level", drifts, ["market"], registry=at))
        put(
            "widening_factor",
            Gauge("margrave_widening_factor", "What experience puts on the 1 % tail", ["market", "side"], registry=at),
        )
        probability = "Probability of a liquidation cascade within 24 hours"
        put("cascade", Gauge("margrave_cascade_probability", probability, ["market"], registry=at))
        put("contagion", Gauge("margrave_contagion", "Add-on for stress elsewhere, fraction", ["market"], registry=at))
        put(
            "formula_speaks",
            Gauge(
                "margrave_formula_speaks", "1 while no learnt model speaks on a lane", ["market", "lane"], registry=at
            ),
        )
        regimes = "0 calm, 1 normal, 2 elevated, 3 stressed, 4 crisis"
        put("regime", Gauge("margrave_regime", regimes, ["market"], registry=at))
        put("onchain_age", Gauge("margrave_onchain_age_seconds", "Age of the words on chain", ["market"], registry=at))
        put("peer_up", Gauge("margrave_peer_up", "1 while a peer answers", ["peer"], registry=at))
        put("quorum_size", Gauge("margrave_quorum_size", "Valid attestations of the last round", registry=at))
        put("transactions", Counter("margrave_transactions", "Transactions by outcome", ["outcome"], registry=at))
        put("wallet", Gauge("margrave_wallet_balance_wei", "Balance of the key that pays for gas", registry=at))

        of = ["chain", "endpoint"]
        put("rpc_lag", Gauge("margrave_rpc_lag_blocks", "How far an endpoint's head lies behind", of, registry=at))
        put("rpc_asked", Gauge("margrave_rpc_asked", "Questions put to an endpoint", of, registry=at))
        put("rpc_failures", Gauge("margrave_rpc_failures", "Questions that got no answer", of, registry=at))
        put(
            "rpc_disagreements",
            Gauge("margrave_rpc_disagreements", "Times an endpoint contradicted the others", of, registry=at),
        )
        put(
            "chain_block",
            Gauge("margrave_chain_block", "Newest final block whose logs are read", ["chain"], registry=at),
        )
        put("chain_withdrawn", Gauge("margrave_chain_logs_withdrawn", "Logs of orphans", ["chain"], registry=at))
        put(
            "chain_restarts",
            Gauge("margrave_chain_restarts", "Reorganisations deeper than finality", ["chain"], registry=at),
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)
