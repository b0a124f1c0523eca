"""The command line. Every verb loads, calls one function, prints; every bad input ends in one line and a code.

=============  ======================================================================================================
operators      `init`, `check`, `run`, `once`, `multipliers`: who runs a node
auditors       `replay`, `explain`, `parse`: who must answer for a figure
traders        `value`, `greeks`, `hedge`: who trades options
recordings     `record`, `replay-feed`, `readings`: who keeps what venues say
researchers    `backtest`, `cascade`, `contagion`, `demo`: who judges the models, and the whole
=============  ======================================================================================================

Exit codes: 0 done, 1 the answer is no (a check failed, a replay differs, a round was held), 2 it could not be tried.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from margrave import __version__
from margrave.cli import auditors, operators, recordings, researchers, traders
from margrave.cli.terminal import out
from margrave.errors import MargraveError

app = typer.Typer(
    help="On-chain risk oracle node for crypto options.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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


for _of in (operators, auditors, traders, recordings, researchers):
    app.add_typer(_of.verbs)
