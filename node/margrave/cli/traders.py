"""Verbs of who trades options: what they are worth, how they move, and what to hold against them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from margrave.cli.terminal import HERE, Config, say, the_lab

if TYPE_CHECKING:
    from margrave.lab.court.chains import Chain

verbs = typer.Typer()

Market = Annotated[str, typer.Argument(help="A market, as markets.toml names it; of a chain file, the underlying.")]
Options = Annotated[list[str], typer.Argument(help="Options, as 27MAR26-80000-C.")]
Round = Annotated[
    int | None, typer.Option("--round", help="A round of the journal; without it the last that knows the market.")
]
ChainFile = Annotated[
    Path | None, typer.Option("--chain", help="Take the last chain of this Parquet file instead of the journal's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@verbs.command()
def value(
    market: Market,
    options: Options,
    config: Config = HERE,
    round_: Round = None,
    chain: ChainFile = None,
    as_json: AsJson = False,
) -> None:
    """Fair value of any option, with the interval that holds the market's mid nine times in ten."""
    from margrave.operate import value as fair
    from margrave.settings import load

    asked = [fair.option(text) for text in options]
    if chain is None:
        told = fair.from_journal(load(config), market, asked, round_)
    else:
        last = last_chain(chain, market)
        told = fair.from_quotes(last.asset, chain.name, last.quotes, last.as_of_ms, asked)
    say(told, as_json=as_json)


@verbs.command()
def greeks(
    market: Market,
    options: Options,
    config: Config = HERE,
    round_: Round = None,
    chain: ChainFile = None,
    as_json: AsJson = False,
) -> None:
    """Delta, gamma, vega, vanna, volga and theta of options: plain, along the smile, and over the ladder's moves."""
    from margrave.operate import greeks as tell
    from margrave.operate.value import option
    from margrave.settings import load

    asked = [option(text) for text in options]
    if chain is None:
        told = tell.from_journal(load(config), market, asked, round_)
    else:
        last = last_chain(chain, market)
        told = tell.from_quotes(last.asset, chain.name, last.quotes, last.as_of_ms, asked, last.index_usd)
    say(told, as_json=as_json)


@verbs.command()
def hedge(
    market: Market,
    options: Options,
    config: Config = HERE,
    cost_bp: Annotated[float, typer.Option("--cost", help="Of a trade in the underlying, basis points.")] = 5.0,
    held: Annotated[float | None, typer.Option(help="Held now for each option sold, in units.")] = None,
    policy: Annotated[bool, typer.Option("--policy", help="Ask hedge/1: read docs/hedging.md before you do.")] = False,
    round_: Round = None,
    chain: ChainFile = None,
    as_json: AsJson = False,
) -> None:
    """What to hold against options that were sold, and how far off it may be before trading pays."""
    from margrave.operate import hedge as hedging
    from margrave.operate import value as fair
    from margrave.score.hedge import unknown
    from margrave.settings import load

    asked = [fair.option(text) for text in options]
    if chain is None:
        told = hedging.from_journal(load(config), market, asked, cost_bp / 1e4, held, round_, learned=policy)
    else:
        last = last_chain(chain, market)
        valued = fair.from_quotes(last.asset, chain.name, last.quotes, last.as_of_ms, asked)
        told = hedging.of(valued, unknown(1), cost_bp / 1e4, held, learned=policy)
    say(told, as_json=as_json)


def last_chain(file: Path, market: str) -> Chain:
    """The latest of a market in one file."""
    with the_lab():
        from margrave.lab.court import chains
    return chains.last_in(file, market.upper())
