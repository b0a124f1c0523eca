"""The cascade chamber on a small made-up protocol, and on folders that lack something."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from margrave.lab.court import history
from margrave.lab.court.cascade import answers, books, questions, simulator
from margrave.lab.court.cascade.chamber import GOALS, CascadeChamber, parts_of
from margrave.lab.court.cascade.judging import judge
from margrave.lab.court.chamber import Case, Ruling
from margrave.lab.court.chambers import CHAMBERS
from margrave.lab.court.panel import no_panel, panel_of
from margrave.lab.court.study import quick
from margrave.score.cascade.inputs import CASCADE, EDGES, FALLS
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from tests.history import needs_data, recorded
from tests.unit.lab.court.cascade import made

HOURS = 24 * 200


def judged(folder: Path, chamber: CascadeChamber | None = None) -> Ruling:
    found = history.read(folder)
    panel = panel_of(found) if found.stretches else no_panel()
    return (chamber or CascadeChamber()).judge(Case(folder, panel, quick(), folder / "answers", lambda _: None))


@pytest.fixture(scope="module")
def protocol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("protocol")
    close = made.prices(HOURS)
    usd = made.liquidated(close)
    made.bars(folder, "BTC", close)
    made.liquidations(folder, "any/name.parquet", usd)
    made.days(folder, usd)
    return folder


def test_a_protocol_is_judged_beside_logistic_and_simulator(protocol: Path) -> None:
    found = judged(protocol)
    assert [target.name for target in found.targets] == [goal.name for goal in GOALS]
    day = next(target for target in found.targets if target.name == "cascade AUROC, 24 h")
    assert day.value is not None
    table, given = found.tables[:2]
    # crashes of a random walk cannot be foreseen; who knows the fall knows what it does
    parted = {row[1]: row[2] for row in given.rows if row[0] == 24}
    assert isinstance(parted["registry"], float)
    assert parted["registry"] > 0.85
    assert {str(row[1]) for row in table.rows} >= {"registry", "simulator"}
    assert "episodes" in table.note
    assert len(found.figures) == 2
    assert "cascade hours in" in found.summary
    assert msgspec.json.encode(found)


def test_a_folder_without_liquidations_is_said(tmp_path: Path) -> None:
    made.bars(tmp_path, "BTC", made.prices(24 * 40))
    found = judged(tmp_path)
    assert "no liquidations" in found.summary
    assert all(target.value is None for target in found.targets)


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert "no hourly prices" in found.summary
    assert len(found.targets) == len(GOALS)


def test_a_registry_without_the_model_is_said(protocol: Path, tmp_path: Path) -> None:
    found = judged(protocol, CascadeChamber(registry=tmp_path))
    assert all(target.value is None for target in found.targets)
    assert any("cascade/1" in line for line in found.silent)


def test_it_sits_in_the_court() -> None:
    assert "cascade" in [chamber.kind for chamber in CHAMBERS]


# --- who is asked -----------------------------------------------------------------------------------------------------


def test_a_regression_finds_the_slope_that_made_its_labels() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(20_000, 2))
    happened = (rng.uniform(size=20_000) < 1 / (1 + np.exp(3 - 1.5 * x[:, 0]))).astype(np.float64)
    level, first, second = answers.regression(x, happened)
    assert (level, first, second) == pytest.approx((-3, 1.5, 0.0), abs=0.15)


def test_the_simulators_critical_fall_is_where_the_debts_lie_less_what_sales_add() -> None:
    mass = np.where(np.array(EDGES) < 1.2, 0.0, 0.02)
    # all at health 1.1 to 1.2, the lower end first: a twentieth of the bucket is a cascade
    deep = simulator.critical_fall(mass, 1e-6)
    assert deep == pytest.approx(np.log(1.1), abs=0.006)
    assert simulator.critical_fall(mass, 1e4) <= deep
    assert simulator.critical_fall(mass * CASCADE, 1.0) == np.inf


def test_the_usual_law_of_falls_passes_what_a_node_takes_it_to_pass() -> None:
    falls = answers.usual_falls()
    assert (np.diff(falls, axis=0) >= 0).all()
    for p, at in FALLS.items():
        assert (falls > at).mean(axis=0) == pytest.approx([p, p], abs=1e-3)


def test_the_simulators_probability_is_the_share_of_earlier_falls_that_were_deep_enough() -> None:
    standard = np.tile(np.arange(100.0)[:, None] / 10, (1, 2))
    said = simulator.probabilities(np.array([0.05, np.inf]), np.full((2, 2), 0.01), standard)
    assert said[0] == pytest.approx([0.5, 0.5], abs=0.01)
    assert (said[1] < 0.01).all()


# --- real liquidations ------------------------------------------------------------------------------------------------


@pytest.mark.data
@needs_data
def test_the_card_says_of_real_cascades_what_the_court_finds() -> None:
    data = recorded()
    model = open_model(REGISTRY, "cascade/1")
    panel = panel_of(history.read(data, ["BTC"]))
    known = books.read(data, panel).books
    assert {book.name for book in known} >= {"WBTC V2", "WBTC V3"}
    asked = questions.ask(known, panel)
    unseen, _ = parts_of(asked, known, model)
    answer = answers.ours(model, asked, answers.scale_of(model, asked))
    said = {part.horizon_h: part.of(answers.OURS) for part in judge(asked, [answer], unseen, given=False)}
    for horizon_h, found in said.items():
        assert found is not None
        for name, value in (("AUROC", found.auroc), ("AUPRC", found.auprc), ("ECE", found.ece)):
            (told,) = (
                m.value
                for m in model.card.metrics
                if m.name == f"{name}, {horizon_h} h" and m.part == f"from {model.card.unseen_from}" and not m.against
            )
            assert value == pytest.approx(told, abs=2e-3)
