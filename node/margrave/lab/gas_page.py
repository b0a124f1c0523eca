"""The tables of docs/gas.md, from what `scripts/bench gas --json` printed into contracts/gas.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

MARKETS: Final = ("1", "10", "50")
Gas = Mapping[str, Any]


def tables(gas: Gas) -> str:
    """Markdown of all that was measured, then of what was quoted and what was not run."""
    measured = gas["peers"]["measured"]
    sections = [
        ("Own words", _own_words(gas)),
        ("Co-signed", _over_floor(gas["cosigned"], gas["floor"]["cosigned"])),
        ("Margin", _margin(gas)),
        ("Reads", _reads(gas)),
        ("Beside other oracles", _peers(gas, measured)),
        ("Quoted, not run here", _quoted(gas["peers"]["quoted"])),
        ("Not run", "\n".join(f"* {x['name']}: {x['why']}." for x in gas["peers"]["not_run"])),
        ("Targets", _targets(gas["targets"])),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections)


def _own_words(gas: Gas) -> str:
    smallest = gas["smallest"]
    table = _over_floor({**gas["report"], **smallest["report"]}, {**gas["floor"], **smallest["floor"]})
    held_back = "; ".join(
        f"{committee}, " + ", ".join(f"{_markets(k)} {used[k]:,}" for k in MARKETS)
        for committee, used in gas["held_back"].items()
    )
    return (
        f"{table}\n\nThree of five is fewer than the two thirds that the registry asks for: it is measured, on a"
        " settings blob edited on the local chain, because others are measured so. Three of four is what governance may"
        " choose."
        f"\n\nA report in which every market is held back by its steps, with an event for each: {held_back}."
    )


def _over_floor(report: Gas, floors: Gas) -> str:
    return _table(
        ("quorum", *(_markets(k) for k in MARKETS)),
        (
            (committee, *(f"{gas[k]:,} ({gas[k] / floors[committee][k]:.3f} × floor)" for k in MARKETS))
            for committee, gas in report.items()
        ),
    )


def _margin(gas: Gas) -> str:
    books = (("short calls", "margin", "margin_per_leg"), ("mixed", "margin_mixed", "margin_per_leg_mixed"))
    table = _table(
        ("legs", "whole view, cold", "a leg"),
        (
            (f"{legs}, {book}", f"{used:,}", f"{gas[a_leg][legs]:,}")
            for book, whole, a_leg in books
            for legs, used in gas[whole].items()
        ),
    )
    return (
        f"{table}\n\nShort calls lose most where the price is highest, so few scenarios are priced; a mixed book,"
        " shorts and longs of both kinds and two expiries, needs all 23."
    )


def _reads(gas: Gas) -> str:
    ours = [(f"Margrave: {name}", f"{used:,}") for name, used in gas["reads"].items()]
    theirs = [(peer["name"], f"{peer['read']:,}") for peer in gas["peers"]["measured"].values()]
    return _table(("read", "execution, cold"), [*ours, *theirs])


def _peers(gas: Gas, measured: Gas) -> str:
    rows = [("Margrave, own words (25 figures a market)", c, *_gas(x)) for c, x in gas["report"].items()]
    rows += [("Margrave, co-signed (25 figures a market)", c, *_gas(x)) for c, x in gas["cosigned"].items()]
    rows += [
        (f"{peer['name']} (one figure)", c, *_gas(x)) for peer in measured.values() for c, x in peer["report"].items()
    ]
    notes = [f"* {peer['name']}: {peer['what']}; {peer['conditions']}." for peer in measured.values()]
    return _table(("oracle", "signers", *(_markets(k) for k in MARKETS)), rows) + "\n\n" + "\n".join(notes)


def _quoted(quoted: Sequence[Gas]) -> str:
    rows = []
    for peer in quoted:
        what, figures = ("report", peer["report"]) if "report" in peer else ("margin", peer["margin"])
        shown = ", ".join(f"{k}: {used:,}" for k, used in figures.items())
        rows.append((peer["name"], f"{what} {shown}", peer["conditions"]))
    return _table(("system", "gas, quoted", "conditions"), rows)


def _targets(targets: Sequence[Gas]) -> str:
    judged = [row for row in targets if row["target"] is not None]
    return _table(
        ("figure", "measured", "target", ""),
        (
            (row["name"], f"{row['value']:,}", f"{row['target']:,}", "met" if row["holds"] else "**missed**")
            for row in judged
        ),
    )


def _gas(report: Gas) -> tuple[str, ...]:
    return tuple(f"{report[k]:,}" for k in MARKETS)


def _markets(count: str) -> str:
    return f"{count} market{'s' * (count != '1')}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    numbers = ["---:" if i else "---" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, numbers, *rows))
