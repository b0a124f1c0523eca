"""Verbs of who must answer for a figure: make it again, say why, price with it, read what a venue sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from margrave.cli.terminal import HERE, Config, out, the_lab

verbs = typer.Typer()


@verbs.command()
def replay(
    rounds: Annotated[
        list[int] | None, typer.Argument(help="Rounds to make again; all of the journal without.")
    ] = None,
    config: Config = HERE,
    show: Annotated[bool, typer.Option("--list", help="Only list the rounds that the journal holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Make past rounds again from their recorded inputs and compare every published lane."""
    from margrave.operate.replay import Explanation, recorded_rounds
    from margrave.operate.replay import replay as again
    from margrave.settings import load

    settings = load(config)
    known = recorded_rounds(settings)
    if show:
        out.print("\n".join(str(round_) for round_ in known) or "the journal is empty")
        return
    made = again(settings, rounds or known)
    same = all(r.same for r in made)
    if as_json:
        rows = [
            {
                "round": r.round,
                "outcome": r.outcome,
                "markets": len(r.again.markets),
                "explanation": r.explanation.name.lower(),
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
            if r.explanation is not Explanation.NONE:
                verdict += f", {r.explanation}" + ("" if r.same else f" ({r.apart:.2f} points apart)")
            out.print(f"round {r.round}: {len(r.again.markets)} markets, {verdict}; it ended {r.outcome or 'unknown'}")
            for d in r.differences:
                out.print(f"  {d.market} {d.lane}: recorded {d.recorded:g}, now {d.replayed:g}")
    raise typer.Exit(0 if same else 1)


@verbs.command()
def explain(
    round_: Annotated[int, typer.Argument(metavar="ROUND", help="A round of the journal (`margrave replay --list`).")],
    market: Annotated[str, typer.Argument(help="A market, as markets.toml names it.")],
    config: Config = HERE,
    below: Annotated[float, typer.Option(help="What would bring the score below so many points.")] = 3_000,
    in_parts: Annotated[bool, typer.Option("--parts", help="The price path in its parts too: some seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say in plain sentences what a round kept and refused of a market, why its score is what it is and moved, what
    would bring it below a threshold, and what was decided."""
    from dataclasses import asdict

    from margrave.operate.explain import explain as tell
    from margrave.settings import load

    told = tell(load(config), round_, market, below=below, in_parts=in_parts)
    sys.stdout.write(json.dumps(asdict(told)) + "\n" if as_json else "\n".join(told.lines()) + "\n")


@verbs.command()
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
        with the_lab():
            from margrave.lab.court import chains
        last = chains.last_in(chain, market.upper())
        told = fair.from_quotes(last.asset, chain.name, last.quotes, last.as_of_ms, asked)
    sys.stdout.write(json.dumps(asdict(told)) + "\n" if as_json else "\n".join(told.lines()) + "\n")


@verbs.command()
def greeks(
    market: Annotated[str, typer.Argument(help="A market, as markets.toml names it; of a chain file, the underlying.")],
    options: Annotated[list[str], typer.Argument(help="Options, as 27MAR26-80000-C.")],
    config: Config = HERE,
    round_: Annotated[
        int | None, typer.Option("--round", help="A round of the journal; without it the last that scored the market.")
    ] = None,
    chain: Annotated[
        Path | None, typer.Option("--chain", help="Fit the last chain of this Parquet file instead of reading lanes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Delta, gamma, vega, vanna, volga and theta of options: plain, along the smile, and over the ladder's moves."""
    from dataclasses import asdict

    from margrave.operate import greeks as tell
    from margrave.operate.value import option
    from margrave.settings import load

    asked = [option(text) for text in options]
    if chain is None:
        told = tell.from_journal(load(config), market, asked, round_)
    else:
        with the_lab():
            from margrave.lab.court import chains
        last = chains.last_in(chain, market.upper())
        told = tell.from_quotes(last.asset, chain.name, last.quotes, last.as_of_ms, asked, last.index_usd)
    sys.stdout.write(json.dumps(asdict(told)) + "\n" if as_json else "\n".join(told.lines()) + "\n")


@verbs.command()
def hedge(
    market: Annotated[str, typer.Argument(help="A market, as markets.toml names it; of a chain file, the underlying.")],
    options: Annotated[list[str], typer.Argument(help="Options that were sold, as 27MAR26-80000-C.")],
    config: Config = HERE,
    cost_bp: Annotated[float, typer.Option("--cost", help="Of a trade in the underlying, basis points.")] = 5.0,
    held: Annotated[float | None, typer.Option(help="Held now for each option sold, in units.")] = None,
    policy: Annotated[bool, typer.Option("--policy", help="Ask hedge/1: read docs/hedging.md before you do.")] = False,
    round_: Annotated[
        int | None, typer.Option("--round", help="A round of the journal; without it the last that knows the market.")
    ] = None,
    chain: Annotated[
        Path | None, typer.Option("--chain", help="Take the last chain of this Parquet file instead of the journal's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """What to hold against options that were sold, and how far off it may be before trading pays."""
    from dataclasses import asdict

    from margrave.operate import hedge as hedging
    from margrave.operate import value as fair
    from margrave.score.hedge import unknown
    from margrave.settings import load

    asked = [fair.option(text) for text in options]
    if chain is None:
        told = hedging.from_journal(load(config), market, asked, cost_bp / 1e4, held, round_, learned=policy)
    else:
        with the_lab():
            from margrave.lab.court import chains
        last = chains.last_in(chain, market.upper())
        valued = fair.from_quotes(last.asset, chain.name, last.quotes, last.as_of_ms, asked)
        told = hedging.of(valued, unknown(1), cost_bp / 1e4, held, learned=policy)
    sys.stdout.write(json.dumps(asdict(told)) + "\n" if as_json else "\n".join(told.lines()) + "\n")


@verbs.command()
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
