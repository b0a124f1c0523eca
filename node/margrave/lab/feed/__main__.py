"""`python -m margrave.lab.feed`: serve a scenario or a recording on one port until told to stop."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from margrave.errors import Fatal, MargraveError
from margrave.lab.feed.scenario import load_scenario
from margrave.lab.feed.server import Feed
from margrave.lab.feed.tape import Tape
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import MARKETS_FILE, load_markets

BUCKET_WALL_MS = 20


def main(
    port: Annotated[int, typer.Option(help="where to listen")] = 8700,
    host: str = "127.0.0.1",
    scenario: Annotated[Path | None, typer.Option(help="a file of config/scenarios")] = None,
    recording: Annotated[Path | None, typer.Option(help="a directory of recorded history")] = None,
    start: Annotated[str | None, typer.Option("--from", help="first moment of a recording, ISO 8601, UTC")] = None,
    end: Annotated[str | None, typer.Option("--to", help="last moment of a recording")] = None,
    speed: Annotated[float, typer.Option(help="tape seconds a wall second")] = 1.0,
    origin_ms: Annotated[
        int | None, typer.Option(help="tape time at --origin-wall-ms; the tape's start if left out")
    ] = None,
    origin_wall_ms: Annotated[int | None, typer.Option(help="wall time of the origin; now if left out")] = None,
    markets_file: Annotated[Path, typer.Option(help="the venues' names")] = MARKETS_FILE,
) -> None:
    """Speak Deribit, Binance, OKX, Bybit and Kraken for a tape."""
    try:
        tape = _tape(scenario, recording, start, end)
        markets = load_markets(markets_file)
    except MargraveError as error:
        typer.echo(f"feed: {error}", err=True)
        raise typer.Exit(2) from error
    clock = Clock(
        origin_ms=tape.start_ms if origin_ms is None else origin_ms,
        wall_origin_ms=wall_ms() if origin_wall_ms is None else origin_wall_ms,
        speed=speed,
    )
    feed = Feed(tape, markets, now_ms=clock.now_ms, bucket_ms=round(BUCKET_WALL_MS * speed))
    typer.echo(f"feed: {tape.title} on http://{host}:{port}", err=True)
    uvicorn.run(feed.app(), host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)


def _tape(scenario: Path | None, recording: Path | None, start: str | None, end: str | None) -> Tape:
    if (scenario is None) == (recording is None):
        raise Fatal("one input is needed", advice="give either --scenario FILE or --recording DIR")
    if scenario is not None:
        return load_scenario(scenario)
    assert recording is not None
    if start is None or end is None:
        raise Fatal(
            "a recording needs its period", advice="give --from and --to, for example 2026-02-04 and 2026-02-07"
        )
    from margrave.lab.feed.recording import load_recording

    return load_recording(recording, _moment_ms(start), _moment_ms(end))


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Fatal(f"{text!r} is not a date", advice="write it as 2026-02-04 or 2026-02-04T12:00:00Z") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


if __name__ == "__main__":
    typer.run(main)
