"""Verbs of recordings: keep what venues say, serve it again, write it as data."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from margrave.cli.terminal import HERE, Config, out, the_lab

verbs = typer.Typer()


@verbs.command()
def record(
    folder: Annotated[Path, typer.Option("--out", help="Where the recording goes.")],
    config: Config = HERE,
    seconds: Annotated[float | None, typer.Option("--for", min=1, help="End by itself after so many seconds.")] = None,
    keep_gb: Annotated[float | None, typer.Option(min=0.001, help="Remove the oldest files beyond so much.")] = None,
) -> None:
    """Keep what the venues say, byte for byte: no chain and no key are needed."""
    from margrave.operate.record import record_until_told
    from margrave.ops import log
    from margrave.settings import RecordingSettings, load

    settings = load(config)
    log.configure(settings.node.log_format, node=settings.node.name, level=os.environ.get("MARGRAVE_LOG", "info"))
    kept = asyncio.run(record_until_told(settings, RecordingSettings(folder=folder, keep_gb=keep_gb), for_s=seconds))
    for source, health in sorted(kept.sources.items()):
        counts = f"{health.readings:>8} readings {health.refusals:>6} refused {health.failures:>6} failed"
        out.print(f"{source:<12} {counts}")
    out.print(f"{folder}: {kept.lines} lines, {kept.bytes_written / 1e6:.1f} MB, {kept.dropped} dropped")
    raise typer.Exit(0 if kept.lines else 1)


@verbs.command("replay-feed")
def replay_feed(
    folder: Annotated[Path, typer.Argument(help="A folder that `margrave record` wrote.")],
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where to listen.")] = 8700,
    speed: Annotated[float, typer.Option(min=0.001, help="Recorded seconds a wall second.")] = 1.0,
    start_ms: Annotated[int | None, typer.Option("--from", help="First moment, Unix milliseconds.")] = None,
) -> None:
    """Serve a recording in the venues' place, over HTTP and websockets."""
    from margrave.operate.replay_feed import Replay, serve

    replay = Replay.of(folder, start_ms=start_ms, speed=speed, here=f"http://{host}:{port}")
    missing = f", {replay.recording.missing} lines missing" if replay.recording.missing else ""
    sys.stderr.write(f"replay-feed: {replay.recording.lines} lines{missing} on {replay.here}; in node.toml:\n\n")
    sys.stdout.write(replay.tables())
    sys.stdout.flush()
    serve(replay, host, port)


@verbs.command()
def readings(
    folder: Annotated[Path, typer.Argument(help="A folder that `margrave record` wrote.")],
    to: Annotated[Path, typer.Option("--out", help="Where the Parquet files go.")],
) -> None:
    """Write what a recording's adapters read as Parquet, laid out like the research data."""

    with the_lab():
        from margrave.lab.dataset import write
    for file, rows in sorted(write(folder, to).items()):
        out.print(f"{rows:>9} rows  {to / file}", highlight=False)
