"""Reads a scenario's waypoints out of public history and prints them as TOML: how config/scenarios/*.toml were made.

    python -m margrave.lab.feed.waypoints --prices BTC=FILE.parquet --prices ETH=... --volatility BTC=FILE.parquet
        --funding BTC=FILE.parquet --from 2021-05-17 --to 2021-05-22 --dense 2021-05-19

Prices are the closes of hourly candles (columns ts, high, low, close), rounded to four digits: daily for the 35 days
before the start, three-hourly in it, hourly while it is dense, with the low of the worst hour. No file is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pyarrow.parquet as pq
import typer

from margrave.spans import DAY_MS, HOUR_MS, MINUTE_MS

HISTORY_DAYS: Final = 36
DIGITS: Final = 4
Named = Annotated[list[str], typer.Option(help="MARKET=FILE.parquet")]


def main(
    prices: Named,
    start: Annotated[str, typer.Option("--from", help="first day, YYYY-MM-DD")],
    end: Annotated[str, typer.Option("--to", help="day after the last")],
    dense: Annotated[str, typer.Option(help="the day told hour by hour")],
    dense_hours: Annotated[int, typer.Option(help="how long that telling goes on")] = 24,
    volatility: Named = [],  # noqa: B006 typer reads the default, nobody changes it
    funding: Named = [],  # noqa: B006
) -> None:
    """Print prices, implied volatility and funding of each market."""
    start_ms, end_ms = _ms(start), _ms(end)
    dense_ms = range(_ms(dense), _ms(dense) + dense_hours * HOUR_MS)
    for name, path in (entry.split("=", 1) for entry in prices):
        typer.echo(f"[market.{name}]\nprices = [")
        for t_ms, value in _prices(Path(path), start_ms, end_ms, dense_ms):
            typer.echo(_row(t_ms, value))
        typer.echo("]")
    rates = (
        ("implied", volatility, "close", 0.01, 3 * HOUR_MS),
        ("funding", funding, "funding_rate", 1.0, 8 * HOUR_MS),
    )
    for label, named, column, scale, step_ms in rates:
        for name, path in (entry.split("=", 1) for entry in named):
            typer.echo(f"# {name}\n{label} = [")
            for t_ms, value in _sampled(
                Path(path), column, start_ms - HISTORY_DAYS * DAY_MS, end_ms, step_ms, start_ms
            ):
                typer.echo(_row(t_ms, value * scale))
            typer.echo("]")


def _prices(path: Path, start_ms: int, end_ms: int, dense_ms: range) -> Iterator[tuple[int, float]]:
    table = pq.read_table(path, columns=["ts", "low", "close"])
    opens = np.asarray(table["ts"].cast("int64"))
    lows, closes = np.asarray(table["low"]), np.asarray(table["close"])
    worst = None
    for open_ms, low in zip(opens, lows, strict=True):
        if int(open_ms) in dense_ms and (worst is None or low < worst[1]):
            worst = (int(open_ms), float(low))
    for open_ms, close in zip(opens, closes, strict=True):
        t_ms = int(open_ms) + HOUR_MS
        if worst is not None and open_ms == worst[0]:
            yield worst[0] + 10 * MINUTE_MS, worst[1]
        step_ms = DAY_MS if t_ms < start_ms else HOUR_MS if t_ms in dense_ms else 3 * HOUR_MS
        if start_ms - HISTORY_DAYS * DAY_MS <= t_ms <= end_ms and t_ms % step_ms == 0:
            yield t_ms, float(close)


def _sampled(
    path: Path, column: str, first_ms: int, last_ms: int, step_ms: int, start_ms: int
) -> Iterator[tuple[int, float]]:
    table = pq.read_table(path, columns=["ts", column])
    times = np.asarray(table["ts"].cast("int64"))
    for t_ms, value in zip(times, np.asarray(table[column]), strict=True):
        wanted_ms = 4 * DAY_MS if t_ms < start_ms else step_ms
        if first_ms <= t_ms <= last_ms and round(int(t_ms) / 1000) * 1000 % wanted_ms == 0:
            yield int(t_ms), float(value)


def _row(t_ms: int, value: float) -> str:
    moment = datetime.fromtimestamp(round(t_ms / 1000), UTC)
    return f"  [{moment:%Y-%m-%dT%H:%M:%SZ}, {float(f'{value:.{DIGITS}g}'):g}],"


def _ms(day: str) -> int:
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp() * 1000)


if __name__ == "__main__":
    typer.run(main)
