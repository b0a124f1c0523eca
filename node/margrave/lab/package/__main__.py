"""`python -m margrave.lab.package`: write Fields.sol, build the npm package, leave its tarball; `scripts/package`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.errors import Fatal
from margrave.lab.package.build import build, pack
from margrave.lab.package.fields import fields_source

FIELDS_FILE: Final = CONTRACTS_DIR / "src" / "adapters" / "Fields.sol"


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="scripts/package", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--fields", action="store_true", help="Fields.sol only")
    options.add_argument("--into", type=Path, default=Path(), help="folder for the tarball (here)")
    chosen = options.parse_args(arguments)
    FIELDS_FILE.write_text(fields_source(), encoding="utf-8")
    if chosen.fields:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "package")
        print(pack(Path(folder) / "package", chosen.into))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Fatal as stop:
        sys.exit(str(stop))
