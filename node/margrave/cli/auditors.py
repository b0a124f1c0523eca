"""Verbs of who must answer for a figure: make it again, say why, read what a venue sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from margrave.cli.terminal import HERE, Config, out, say

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
    from margrave.operate.explain import explain as tell
    from margrave.settings import load

    told = tell(load(config), round_, market, below=below, in_parts=in_parts)
    say(told, as_json=as_json)


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
