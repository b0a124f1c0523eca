"""Verbs of who judges the models and the whole: the court, and the demo."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from margrave.cli.terminal import HERE, Config, the_lab, write

verbs = typer.Typer()


@verbs.command()
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
    with the_lab():
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
    write([*report.lines(judged), str(path)])


@verbs.command()
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


@verbs.command()
def contagion(
    round_: Annotated[int | None, typer.Argument(metavar="[ROUND]", help="A round of the journal.")] = None,
    config: Config = HERE,
    data: Annotated[Path | None, typer.Option("--data", help="Instead of a round: a folder of exposures.")] = None,
    fall: Annotated[float, typer.Option(help="With --data: the share that assets fall by.")] = 0.3,
    asset: Annotated[str, typer.Option(help="With --data: which, by comma; all without.")] = "",
    depth: Annotated[
        float, typer.Option(help="With --data: e-fold depth of an asset over all of it that is shown.")
    ] = 1.0,
    folder: Annotated[Path | None, typer.Option("--out", help="Where the drawings go.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
) -> None:
    """Who hurts whom: the exposure graph of a round or of a folder under a fall, in sentences and as a drawing."""
    with the_lab():
        from margrave.lab.court.contagion import told
    from margrave.settings import load

    if (round_ is None) == (data is None):
        raise typer.BadParameter("give a ROUND of the journal, or --data FOLDER")
    assets = tuple(name.strip() for name in asset.split(",") if name.strip())
    found = told.of_round(load(config), round_ or 0) if data is None else told.of_folder(data, fall, assets, depth)
    drawn = [path for each in found for path in each.drawn(folder)] if folder else []
    if as_json:
        sys.stdout.write(json.dumps([each.encoded() for each in found]) + "\n")
        return
    write([*(line for each in found for line in each.lines), *map(str, drawn)])


@verbs.command()
def cascade(
    positions: Annotated[
        Path, typer.Option(help="CSV or Parquet: account, asset, kind, amount; or a snapshot of open positions.")
    ],
    shock: Annotated[str, typer.Option(help="How far prices fall: -20% or -0.2.")],
    asset: Annotated[
        str, typer.Option(help="Whose price, by comma, wrapped forms with it; without, all that is collateral.")
    ] = "",
    depth: Annotated[
        float | None, typer.Option(help="USD that each coin's book takes for one percent of its price.")
    ] = None,
    law: Annotated[str, typer.Option(help="square_root or even: how prices fall with what is sold.")] = "square_root",
    price: Annotated[list[str] | None, typer.Option(help="A price, as BTC=64000; repeat for more.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Table of symbol and price_usd; without, one beside the positions.")
    ] = None,
    parameters: Annotated[
        Path | None, typer.Option(help="Table of thresholds and bonuses, or Aave's reserves.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Liquidation threshold where no table gives one.")] = 0.78,
    bonus: Annotated[float, typer.Option(help="Liquidation bonus where no table gives one.")] = 0.05,
    rules: Annotated[str, typer.Option(help="Close factor: aave-v3, aave-v3.3, aave-v2 or whole.")] = "aave-v3",
    as_shown: Annotated[
        bool, typer.Option("--as-shown", help="Keep accounts whose shown collateral does not bear their debt.")
    ] = False,
    folder: Annotated[Path | None, typer.Option("--out", help="Where the drawing goes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """What a fall of prices does to a file of positions: liquidations round by round, impact, bad debt."""
    with the_lab():
        from margrave.lab.fire_sale import asked, plots, told
    wish = asked.wish(
        file=positions,
        shock=shock,
        assets=asset,
        depth_usd=told.DEPTH_USD if depth is None else depth,
        law=law,
        prices=price or (),
        price_file=prices,
        parameters=parameters,
        threshold=threshold,
        bonus=bonus,
        rules=rules,
        as_shown=as_shown,
    )
    found = told.tell(wish)
    drawn = [] if folder is None else plots.write(found, folder)
    if as_json:
        sys.stdout.write(json.dumps(found.encoded()) + "\n")
        return
    write([*found.lines(), *map(str, drawn)])
