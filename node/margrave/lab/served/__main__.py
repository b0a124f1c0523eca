"""`python -m margrave.lab.served --data DIR [--out docs/served.json]`: what a node learns and says on DIR's hours."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from margrave.errors import Fatal
from margrave.lab.served.study import Span, study
from margrave.settings import PROJECT_ROOT


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m margrave.lab.served", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of Parquet collections")
    parser.add_argument("--out", type=Path, default=PROJECT_ROOT / "docs" / "served.json")
    parser.add_argument("--asset", default="BTC", help="whose hours are lived through")
    span = ("FROM", "TO")
    said = "a span to live through, UTC; any number of them, else the last two years"
    parser.add_argument("--lived", action="append", nargs=2, type=_day, metavar=span, help=said)
    said = "the span to ask at half past in, of all assets; else the last half year"
    parser.add_argument("--asked", nargs=2, type=_day, metavar=span, help=said)
    told = parser.parse_args(given)
    lived: list[Span] = [(first, last) for first, last in told.lived or ()]
    asked: Span | None = (told.asked[0], told.asked[1]) if told.asked else None
    spans = [("--lived", each) for each in lived] + ([("--asked", asked)] if asked else [])
    words = [f"{name} {first:%Y-%m-%d} {last:%Y-%m-%d}" for name, (first, last) in spans]
    command = " ".join(["python -m margrave.lab.served --data DIR", f"--asset {told.asset}", *words])
    try:
        served = study(told.data, told.asset, lived, asked, command, lambda line: print(line, flush=True))
    except Fatal as error:
        print(error, file=sys.stderr)
        return 1
    told.out.write_bytes(msgspec.json.format(msgspec.json.encode(served), indent=1) + b"\n")
    print(f"wrote {told.out}")
    return 0


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


if __name__ == "__main__":
    raise SystemExit(main())
