"""Writes golden.json: what QuantLib and vollib say of options of every kind. `pip install QuantLib vollib`, then
`python -m tests.unit.score.greeks.make_golden`, with the project's node folder and the two on the path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from margrave.lab.bench.greeks import NAMES, drawn, quantlib, vollib

GOLDEN = Path(__file__).with_name("golden.json")
COUNT = 60


def main() -> None:
    work = drawn(COUNT, seed=6)
    o = work.options
    said = {"QuantLib": quantlib(work), "vollib": vollib(work)}
    assert all(said.values()), "install both"
    table = {
        "forward": o.forward.tolist(),
        "strike": o.strike.tolist(),
        "years": o.years.tolist(),
        "is_call": o.is_call.tolist(),
        "vol": work.vol.tolist(),
        "said": {
            who: {name: np.asarray(values[name]).tolist() for name in NAMES} for who, values in said.items() if values
        },
    }
    GOLDEN.write_text(json.dumps(table, indent=None) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
