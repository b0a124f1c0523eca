"""How the sources are doing, as gauges: health, lag, skew and errors of each, and of each of its websockets.

Totals are set, not counted up: the board keeps them from the node's beginning, and a round only says what they are.
"""

from __future__ import annotations

from margrave.collect.board import Board, SocketHealth
from margrave.ops.metrics import SOCKET_GAUGES, Metrics


def tell_sources(board: Board, metrics: Metrics, now_ms: int) -> None:
    for source, health in board.health().items():
        metrics.source_up.labels(source=source).set(health.trouble is None)
        metrics.source_failures.labels(source=source).set(health.failures)
        if health.last_ok_ms is not None:
            metrics.source_age.labels(source=source).set((now_ms - health.last_ok_ms) / 1000)
        if health.lag_ms is not None:
            metrics.source_lag.labels(source=source).set(health.lag_ms / 1000)
        if health.skew_ms is not None:
            metrics.source_skew.labels(source=source).set(health.skew_ms / 1000)
        for stream, socket in health.sockets.items():
            _tell_socket(metrics, source, stream, socket)
    metrics.refusals_dropped.set(board.refusals_dropped)
    metrics.contracts_dropped.set(board.contracts_dropped)


def _tell_socket(metrics: Metrics, source: str, stream: str, socket: SocketHealth) -> None:
    for name in SOCKET_GAUGES:
        metrics.sockets[name].labels(source=source, stream=stream).set(getattr(socket, name))
    for reason, times in socket.resyncs.items():
        metrics.book_resyncs.labels(source=source, stream=stream, reason=reason.value).set(times)
