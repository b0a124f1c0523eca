"""`python -m margrave.lab.worth --data DIR [--out docs/features.json]`: what each group of inputs is worth on DIR."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec

from margrave.errors import Fatal
from margrave.lab.court.history import read
from margrave.lab.court.panel import panel_of
from margrave.lab.worth.study import study
from margrave.settings import PROJECT_ROOT

LEAST_HOURS: Final = 24 * 180
"""Of an asset: four weeks of level, four months to fit on, and something to judge."""


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m margrave.lab.worth", description=__doc__)
    asked.add_argument("--data", type=Path, required=True, help="a folder of Parquet collections")
    asked.add_argument("--out", type=Path, default=PROJECT_ROOT / "docs" / "features.json")
    given = asked.parse_args()
    try:
        worth = study(
            given.data, panel_of(read(given.data), least_hours=LEAST_HOURS), lambda line: print(line, flush=True)
        )
    except Fatal as error:
        print(error, file=sys.stderr)
        return 1
    given.out.write_bytes(msgspec.json.format(msgspec.json.encode(worth), indent=1) + b"\n")
    print(f"wrote {given.out}; now: python -m margrave.lab.documents")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
