"""`scripts/bench NAME [--json]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, Final

import msgspec
import typer

from margrave.errors import MargraveError

NAMES: Final[Mapping[str, str]] = {
    "gauntlet": "attacks of the record against the guard, the median and the volume-weighted mean",
    "gas": "gas of reports by committee, of reads, of margin by legs, and of other oracles",
    "round": "milliseconds from readings to a signed attestation",
    "replay": "rounds an hour made again from the journal",
    "books": "book events a second on one core, from a recorded frame to a changed book",
    "models": "parity, milliseconds and memory of the models, and of all that a node computes of a market",
    "cascade": "positions a second through a waterfall, in columns, in pandas and in a plain loop",
    "contagion": "the contagion network's time and ranks against full clearing, the textbook's way and iterated",
    "greeks": "options a second of the Greeks, beside QuantLib and vollib, and how far apart they are",
    "backtest": "minutes of the court over 30 assets and four years, and of plain arch loops",
}
Run = Callable[[Callable[[str], None]], dict[str, Any]]


def main(
    name: Annotated[str, typer.Argument(help="; ".join(f"{name}: {what}" for name, what in NAMES.items()))],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")] = False,
) -> None:
    """Measure one thing. Progress goes to stderr; the exit code says that it was measured, not that it is good."""
    if name not in NAMES:
        raise typer.BadParameter(f"no benchmark {name!r}: choose one of {', '.join(NAMES)}")
    measure: Run = import_module(f"margrave.lab.bench.{name}").run
    try:
        result = measure(lambda line: typer.echo(f"[bench] {line}", err=True))
    except MargraveError as error:
        typer.echo(f"margrave: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        return
    for target in result["targets"]:
        goal = (
            ""
            if target["target"] is None
            else f"   (target {target['target']:g}, {'met' if target['holds'] else 'missed'})"
        )
        typer.echo(f"{target['name']:<44} {target['value']:>14,.6g} {target['unit']}{goal}")


if __name__ == "__main__":
    typer.run(main)
