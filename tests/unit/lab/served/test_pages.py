"""What docs/architecture.md says of a node's years is what the committed run found; docs/models.md is made from it."""

from __future__ import annotations

import json
import re
from typing import Any

from margrave.score.registry import open_model
from margrave.settings import POLICY_FILE, PROJECT_ROOT, REGISTRY, load_policy

DOCS = PROJECT_ROOT / "docs"
SERVED: dict[str, Any] = json.loads((DOCS / "served.json").read_bytes())
PAGE = " ".join((DOCS / "architecture.md").read_text(encoding="utf-8").split())
TOLD = " ".join(re.findall(r"in two years from July 2021 on.*above 1\.51", PAGE))


def test_the_run_is_of_the_models_that_governance_names() -> None:
    named = load_policy(POLICY_FILE).models.of_the_ladder
    assert SERVED["models"] == list(named), "run the command of docs/served.json again, and mend both pages"
    assert SERVED["trained_to"] == open_model(REGISTRY, named[0]).card.trained_to


def test_the_factors_of_both_spans_are_the_runs() -> None:
    said = [float(figure) for figure in re.findall(r"\b\d\.\d\d\b", TOLD)]
    found = []
    for lived in SERVED["lived"]:
        down, up = lived["learnt_down"], lived["learnt_up"]
        ends = (down[1], down[3], up[1], up[3], min(down[0], up[0]), max(down[-1], up[-1]))
        found += [round(end, 2) for end in ends]
    on_drift = load_policy(POLICY_FILE).widening.on_drift
    assert said == [*found, on_drift, round(SERVED["lived"][0]["haste"][3], 2)]


def test_the_shares_of_drift_and_haste_are_the_runs() -> None:
    years, later = SERVED["lived"]
    shares = [years["levels"][level] for level in ("flagged", "widened", "baseline")] + [later["levels"]["flagged"]]
    said = re.findall(r"in (\d+(?:\.\d)?) %", TOLD)
    assert said == [*(f"{100 * share:.1f}" for share in shares), f"{100 * years['hasty']:.0f}"]
    assert later["levels"]["widened"] == 0.0


def test_the_first_span_lies_in_training_and_the_second_after_it() -> None:
    years, later = SERVED["lived"]
    assert years["last"] < SERVED["trained_to"] < later["first"]
    assert all(SERVED["trained_to"] < first for first, _ in SERVED["asked"]["spans"])
    assert later["asset"] == years["asset"] == "BTC"
