"""docs/models.md says what the cards and the court's report say, and the schema what a card may hold."""

from __future__ import annotations

import json
import re
import tomllib

import msgspec
import pytest

from margrave.score.registry import Ablation, Card, Metric
from train import document

CARDS = document.cards()


def test_the_page_says_what_the_cards_say() -> None:
    assert document.PAGE.read_text(encoding="utf-8") == document.page(CARDS), (
        "run PYTHONPATH=node:models python -m train.document"
    )


def test_the_schema_is_that_of_the_cards() -> None:
    assert document.SCHEMA.read_text(encoding="utf-8") == document.schema(), (
        "run PYTHONPATH=node:models python -m train.document"
    )


def test_every_link_of_the_page_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", document.page(CARDS))
    assert targets
    for target in targets:
        assert (document.PAGE.parent / target).exists(), target


def test_no_row_of_a_table_has_more_cells_than_its_head() -> None:
    width = None
    for line in document.page(CARDS).splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width, line


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("trained_to", "2024-1-1", "trained_to"),
        ("model_sha256", "abc", "model_sha256"),
        ("tolerance", 0.0, "tolerance"),
        ("horizons_h", [0], "horizons_h"),
        ("levels", [0.01, 0.05], "descend"),
        ("week_prior", [1.0] * 24, "168"),
        ("surprise", 1, "surprise"),
        ("metrics", [{"name": "qlike"}], "metrics"),
    ],
)
def test_a_card_that_breaks_the_schema_is_refused_with_the_fields_name(field: str, value: object, said: str) -> None:
    fields = msgspec.to_builtins(next(card for card in CARDS if card.name == "garch_t/1"))
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert({**fields, field: value}, Card)


def test_what_a_gone_source_costs_stands_on_the_page() -> None:
    gone = Ablation(gone="implied", loss="QLIKE", horizon_h=24, change=0.014, statistic="DM t 3.1")
    card = msgspec.structs.replace(CARDS[0], ablations=(gone,))
    assert f"| {card.name} | implied | 24 h | QLIKE | +1.40% | DM t 3.1 |" in document.page([card])


def test_models_stand_side_by_side_from_the_best_on() -> None:
    def with_loss(name: str, loss: float) -> Card:
        metric = Metric(name="qlike 4 h", part=document.SEEN, value=loss)
        return msgspec.structs.replace(CARDS[0], name=name, metrics=(metric,))

    found = document.page([with_loss("worse/1", 0.7), with_loss("better/1", 0.6)])
    assert found.index("| 4 h | better/1 | 0.6000 |") < found.index("| 4 h | worse/1 | 0.7000 |")


def test_the_courts_report_stands_first_where_there_is_one(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = {"name": "QLIKE at 4 h", "target": 0.93, "value": 0.95, "holds": False, "missed_by": 0.02, "note": "t"}
    facts = {"command": "margrave backtest --data DIR", "assets": ["A"], "judged_from": "2022-01-01", "ends": "2024"}
    family = {"qlike": 0.5, "bias": 1.0, "mcs_p": None}
    verdict = {"horizon_h": 4, "families": {"ours": family}, "over_best": {"ours": [0.95, {"t": -3.0}]}}
    report = {"facts": facts, "targets": [target], "volatility": [verdict], "tails": []}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report), encoding="utf-8")
    monkeypatch.setattr(document, "REPORT", path)
    found = document.page([])
    assert "| QLIKE at 4 h | 0.93 | 0.95 | missed by 0.02 | t |" in found
    assert "| 4 h | ours | 0.5 | 0.95 | -3 | 1 |  |" in found


def test_every_card_is_toml_that_reads_back_as_itself() -> None:
    for card in CARDS:
        path = document.REGISTRY / card.name / "card.toml"
        assert msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Card) == card
