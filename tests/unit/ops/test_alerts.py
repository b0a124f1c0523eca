"""An alert on a metric that no node has never fires: every name in rules and dashboards must be one the node serves."""

from __future__ import annotations

import json
import re

from margrave.ops.metrics import Metrics
from margrave.settings import PROJECT_ROOT

DOCKER = PROJECT_ROOT / "docker"
NAME = re.compile(r"\bmargrave_[a-z0-9_]+")


def served() -> set[str]:
    names = set()
    for family in Metrics().registry.collect():
        if family.type == "counter":
            names.add(family.name + "_total")
        elif family.type == "histogram":
            names |= {family.name + end for end in ("_bucket", "_count", "_sum")}
        else:
            names.add(family.name)
    return names


def test_alerts_ask_only_for_metrics_that_nodes_serve() -> None:
    rules = (DOCKER / "prometheus" / "alerts.yml").read_text()
    asked = set(NAME.findall(rules))
    assert asked
    assert asked <= served()


def test_every_alert_says_what_to_do() -> None:
    rules = (DOCKER / "prometheus" / "alerts.yml").read_text()
    assert rules.count("- alert:") == rules.count("action:") == rules.count("expr:")


def test_the_dashboard_asks_only_for_metrics_that_nodes_serve() -> None:
    board = json.loads((DOCKER / "grafana" / "dashboards" / "margrave.json").read_text())
    asked = {name for panel in board["panels"] for t in panel["targets"] for name in NAME.findall(t["expr"])}
    assert asked
    assert asked <= served()
