"""`python -m margrave.lab.explained --data DIR [--out docs/explain.json]`: DIR's hours explained, and put to test."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from margrave.errors import Fatal
from margrave.lab.explained.study import study
from margrave.settings import PROJECT_ROOT


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m margrave.lab.explained", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of Parquet collections")
    parser.add_argument("--out", type=Path, default=PROJECT_ROOT / "docs" / "explain.json")
    parser.add_argument("--asset", default="BTC", help="whose hours are explained")
    parser.add_argument("--hours", type=int, default=60, help="how many of them, spread over all there are")
    told = parser.parse_args(given)
    command = f"python -m margrave.lab.explained --data DIR --asset {told.asset} --hours {told.hours}"
    try:
        found = study(told.data, told.asset, told.hours, command, lambda line: print(line, flush=True))
    except Fatal as error:
        print(error, file=sys.stderr)
        return 1
    told.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    print(f"wrote {told.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
