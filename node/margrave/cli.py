"""The command line. Every verb loads, calls one function, prints; every bad input ends in one line and a code.

Exit codes: 0 done, 1 the answer is no (a check failed, a replay differs, a round was held), 2 it could not be tried.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from margrave import __version__
from margrave.errors import Fatal, MargraveError

app = typer.Typer(
    help="On-chain risk oracle node for crypto options.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
out = Console(soft_wrap=True)

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="MARGRAVE_CONFIG", help="The node's node.toml.", show_default=True)
]
HERE = Path("node.toml")
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def main() -> None:
    try:
        app()
    except MargraveError as error:
        sys.stderr.write(f"margrave: {error}\n")
        sys.exit(2)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if show:
        out.print(f"margrave {__version__}")
        raise typer.Exit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="New folder for configuration, encrypted key and state.")],
    name: Annotated[str, typer.Option(help="How this node is called in logs and by peers.")] = "",
    rpc: Annotated[list[str] | None, typer.Option(help="RPC endpoint; repeat for more, preferred first.")] = None,
    chain_id: Annotated[int, typer.Option(help="The chain the oracle lives on.")] = 31337,
    oracle: Annotated[str, typer.Option(help="Address of the RiskOracle contract.")] = "0x" + "00" * 20,
    peer: Annotated[list[str] | None, typer.Option(help="URL of another member's node; repeat for more.")] = None,
    port: Annotated[int, typer.Option(help="Port this node serves peers and dashboards on.")] = 8710,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Take the keystore's passphrase from here; without it one is drawn at random.")
    ] = None,
) -> None:
    """Make a node's folder: node.toml, an encrypted keystore, and its passphrase file."""
    from margrave.operate.init import Plan
    from margrave.operate.init import init as make

    passphrase = None if passphrase_file is None else _text(passphrase_file).rstrip("\n")
    plan = Plan(
        name=name or folder.name,
        rpc=tuple(rpc or ("http://127.0.0.1:8545",)),
        chain_id=chain_id,
        oracle=oracle,
        peers=tuple(peer or ()),
        port=port,
        passphrase=passphrase,
    )
    address = make(folder, plan)
    out.print(f"made {folder}: member address {address}")
    out.print("next: ask governance to add that address, send it gas money, then `margrave check`")


@app.command()
def check(
    config: Config = HERE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """May this node go live? Looks at configuration, key, models, chain, venues, peers and clock."""
    from margrave.operate.check import Check, Verdict
    from margrave.ops import log

    log.configure("text", node="check", level="error")  # the findings say it better
    findings = asyncio.run(Check(config).run())
    good = all(f.verdict is not Verdict.FAIL for f in findings)
    if as_json:
        rows = [{"check": f.check, "verdict": f.verdict, "found": f.found, "advice": f.advice} for f in findings]
        sys.stdout.write(json.dumps({"ready": good, "findings": rows}) + "\n")
    else:
        width = max(len(f.check) for f in findings)
        for f in findings:
            advice = f" — {f.advice}" if f.advice else ""
            out.print(f"{f.verdict:<5}", style=COLOURS[f.verdict], end="")
            out.print(f"{f.check:<{width}}  {f.found}{advice}", markup=False, highlight=False)
        out.print("ready to run" if good else "not ready")
    raise typer.Exit(0 if good else 1)


@app.command()
def run(
    config: Config = HERE,
    rounds: Annotated[int | None, typer.Option(min=1, help="Stop by itself after so many rounds.")] = None,
) -> None:
    """Run the node until it is told to stop (SIGTERM or Ctrl-C)."""
    _run(config, rounds)


@app.command()
def once(config: Config = HERE) -> None:
    """Run one whole round, the next one, and say how it ended."""
    from margrave.verdicts import Outcome

    outcome = _run(config, 1)
    raise typer.Exit(0 if outcome in (Outcome.PUBLISHED, Outcome.PUBLISHED_BY_PEER) else 1)


@app.command()
def replay(
    rounds: Annotated[
        list[int] | None, typer.Argument(help="Rounds to make again; all of the journal without.")
    ] = None,
    config: Config = HERE,
    show: Annotated[bool, typer.Option("--list", help="Only list the rounds that the journal holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Make past rounds again from their recorded inputs and compare every published lane."""
    from margrave.operate.replay import recorded_rounds
    from margrave.operate.replay import replay as again
    from margrave.settings import load

    settings = load(config)
    known = recorded_rounds(settings)
    if show:
        out.print("\n".join(str(round_) for round_ in known) or "the journal is empty")
        return
    made = again(settings, rounds or known)
    same = all(not r.differences for r in made)
    if as_json:
        rows = [
            {
                "round": r.round,
                "outcome": r.outcome,
                "markets": len(r.again.markets),
                "differences": [
                    {"market": d.market, "lane": d.lane, "recorded": d.recorded, "replayed": d.replayed}
                    for d in r.differences
                ],
            }
            for r in made
        ]
        sys.stdout.write(json.dumps({"same": same, "rounds": rows}) + "\n")
    else:
        for r in made:
            verdict = "the same words" if not r.differences else f"{len(r.differences)} lanes differ"
            out.print(f"round {r.round}: {len(r.again.markets)} markets, {verdict}; it ended {r.outcome or 'unknown'}")
            for d in r.differences:
                out.print(f"  {d.market} {d.lane}: recorded {d.recorded:g}, now {d.replayed:g}")
    raise typer.Exit(0 if same else 1)


@app.command()
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


@app.command("replay-feed")
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


@app.command()
def readings(
    folder: Annotated[Path, typer.Argument(help="A folder that `margrave record` wrote.")],
    to: Annotated[Path, typer.Option("--out", help="Where the Parquet files go.")],
) -> None:
    """Write what a recording's adapters read as Parquet, laid out like the research data."""

    with _the_lab():
        from margrave.lab.dataset import write
    for file, rows in sorted(write(folder, to).items()):
        out.print(f"{rows:>9} rows  {to / file}", highlight=False)


@app.command()
def explain(
    round_: Annotated[int, typer.Argument(metavar="ROUND", help="A round of the journal (`margrave replay --list`).")],
    market: Annotated[str, typer.Argument(help="A market, as markets.toml names it.")],
    config: Config = HERE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say in plain sentences what a round kept and refused of a market and why, and what was decided."""
    from dataclasses import asdict

    from margrave.operate.explain import explain as tell
    from margrave.settings import load

    told = tell(load(config), round_, market)
    sys.stdout.write(json.dumps(asdict(told)) + "\n" if as_json else "\n".join(told.lines()) + "\n")


@app.command()
def value(
    market: Annotated[str, typer.Argument(help="A market, as markets.toml names it; of a chain file, the underlying.")],
    options: Annotated[list[str], typer.Argument(help="Options, as 27MAR26-80000-C.")],
    config: Config = HERE,
    round_: Annotated[
        int | None, typer.Option("--round", help="A round of the journal; without it the last that knows the market.")
    ] = None,
    chain: Annotated[
        Path | None, typer.Option("--chain", help="Take the last chain of this Parquet file instead of the journal's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Fair value of any option, with the interval that holds the market's mid nine times in ten."""
    from dataclasses import asdict

    from margrave.operate import value as fair
    from margrave.settings import load

    asked = [fair.option(text) for text in options]
    if chain is None:
        told = fair.from_journal(load(config), market, asked, round_)
    else:
        with _the_lab():
            from margrave.lab.court import chains
        last = chains.last_in(chain, market.upper())
        told = fair.from_quotes(last.asset, chain.name, last.quotes, last.as_of_ms, asked)
    sys.stdout.write(json.dumps(asdict(told)) + "\n" if as_json else "\n".join(told.lines()) + "\n")


@app.command()
def parse(
    venue: Annotated[str, typer.Argument(help="deribit, binance, okx, bybit, kraken, coinbase or hyperliquid.")],
    files: Annotated[list[Path], typer.Argument(help="Recorded payloads: JSON bodies or recorder text, also gzipped.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print what an adapter makes of recorded payloads: a line a reading or a rejection with its reason."""
    from margrave.operate.parse import lines

    read = 0
    for line, is_reading in lines(venue, files, as_json=as_json):
        sys.stdout.write(line + "\n")
        read += is_reading
    raise typer.Exit(0 if read else 1)


@app.command()
def backtest(
    data: Annotated[Path, typer.Option("--data", help="A folder of Parquet data sets: bars, implied vol, funding.")],
    family: Annotated[
        list[str] | None,
        typer.Option(
            "--family", help="Only this family against the baselines, or this kind or chamber; repeat for more."
        ),
    ] = None,
    assets: Annotated[str, typer.Option("--assets", help="Only these, by comma: BTC,ETH.")] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="The four assets with most bars, the last 180 days, two refits.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object on stdout.")] = False,
    folder: Annotated[
        Path, typer.Option("--out", help="Where answers are kept (a second run goes on) and the report goes.")
    ] = Path("backtest-output"),
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; every core without.")] = None,
) -> None:
    """Judge the risk models on history they have not seen: refits, losses, coverage, and who beats whom."""

    if engine not in ("local", "ray"):
        raise typer.BadParameter("choose one of local and ray")
    with _the_lab():
        from margrave.lab.court import backtest as court
        from margrave.lab.court import page, report
        from margrave.lab.court.engine import EngineName
    wish = court.Wish(
        data=data,
        out=folder,
        families=tuple(family or ()),
        assets=tuple(name.strip().upper() for name in assets.split(",") if name.strip()),
        quick=quick,
        engine=EngineName(engine),
        workers=workers,
    )
    judged = court.backtest(wish, lambda line: typer.echo(f"[backtest] {line}", err=True))
    path = page.write(judged, folder)
    if as_json:
        sys.stdout.buffer.write(report.encoded(judged) + b"\n")
        return
    for line in report.lines(judged):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(f"{path}", markup=False, highlight=False)


@app.command()
def demo(
    recording: Annotated[Path | None, typer.Option(help="Replay real history from this folder.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Public venue endpoints, no keys.")] = False,
    scenario: Annotated[str, typer.Option(help="Drill to run, from config/scenarios.")] = "may-2021",
    start: Annotated[
        str | None, typer.Option("--from", help="First round of a recording or drill (ISO time, UTC).")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="End by itself after so many rounds.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="Market seconds a wall second.")] = None,
    co_signed: Annotated[
        bool, typer.Option("--co-signed", help="Members agree on the medians and sign those, instead of own words.")
    ] = False,
    folder: Annotated[Path, typer.Option("--out", help="Where summary.json, index.html and the pictures go.")] = Path(
        "demo-output"
    ),
    wait: Annotated[
        bool, typer.Option(help="At the end, wait for Enter before stopping the chain and the nodes.")
    ] = True,
) -> None:
    """The whole job on this machine: a local chain, four nodes, venues, and a margin requirement that moves."""
    from margrave.lab.demo.inputs import Wish
    from margrave.lab.demo.stage import perform

    if recording is not None and live:
        raise typer.BadParameter("choose one of --recording and --live")
    wish = Wish(
        recording=recording,
        live=live,
        scenario=scenario,
        start=start,
        rounds=rounds,
        speed=speed,
        out=folder,
        wait=wait and sys.stdin.isatty(),
        co_signed=co_signed,
    )
    raise typer.Exit(asyncio.run(perform(wish)))


def _run(config: Path, rounds: int | None) -> str:
    from margrave import daemon
    from margrave.ops import log
    from margrave.settings import load

    settings = load(config)
    log.configure(settings.node.log_format, node=settings.node.name, level=os.environ.get("MARGRAVE_LOG", "info"))
    receipts = asyncio.run(daemon.run(settings, rounds=rounds))
    for receipt in receipts if rounds is not None else ():
        out.print(f"round {receipt.round}: {receipt.outcome} ({receipt.detail})")
    return receipts[-1].outcome if receipts else ""


@contextmanager
def _the_lab() -> Iterator[None]:
    """For imports of what the extra `lab` brings: without it, one line says so."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Fatal(f"{error.name} is not installed", advice="pip install 'margrave[lab]'") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror}", advice="check the path") from error
