"""The contagion chamber: judges what a folder holds, says what it does not, and invents nothing in between."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from margrave import cli
from margrave.lab.court.chamber import Case, Ruling
from margrave.lab.court.chambers import CHAMBERS
from margrave.lab.court.contagion import case, edges, found, picture
from margrave.lab.court.contagion.chamber import EDGES, RANK, SPEED, Contagion
from margrave.lab.court.contagion.ranking import spearman
from margrave.lab.court.panel import no_panel
from margrave.lab.court.study import quick
from margrave.score.contagion import overlap
from margrave.spans import WEEK_MS
from tests.unit.lab.court.contagion import made


def judged(folder: Path, chamber: Contagion | None = None) -> Ruling:
    return (chamber or Contagion()).judge(Case(folder, no_panel(), quick(), folder / "answers", lambda _: None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("history")
    for put in (made.positions, made.liquidations, made.account, made.pool, made.prices):
        put(where)
    return where


@pytest.fixture(scope="module")
def ruling(folder: Path) -> Ruling:
    return judged(folder)


def test_it_sits() -> None:
    assert any(chamber.kind == "contagion" for chamber in CHAMBERS)


def test_every_goal_is_measured_where_the_folder_has_all(ruling: Ruling) -> None:
    assert [target.name for target in ruling.targets] == [goal.name for goal in Contagion().goals]
    assert all(target.value is not None for target in ruling.targets), ruling.silent
    for table in ruling.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert {figure.title for figure in ruling.figures} >= {"UUU breaks", "Who hurts whom: 1 account histories"}
    assert all(figure.svg.startswith("<svg") for figure in ruling.figures)


def test_what_was_left_out_is_said(ruling: Ruling) -> None:
    said = " ".join(ruling.silent)
    assert "1 accounts whose shown collateral does not cover their debts" in said
    assert "broken.json" in said


def test_an_empty_folder_leaves_the_drawn_graphs_and_says_the_rest(tmp_path: Path) -> None:
    ruling = judged(tmp_path)
    by_name = {target.name: target for target in ruling.targets}
    assert by_name[EDGES.name].value is None
    assert by_name[RANK.name].value is not None
    said = " ".join(ruling.silent)
    assert "no exposures" in said
    assert "no stablecoin" in said


def test_without_its_model_ranks_and_times_are_unmeasured(tmp_path: Path) -> None:
    by_name = {t.name: t for t in judged(tmp_path, Contagion(registry=tmp_path)).targets}
    assert by_name[RANK.name].value is None
    assert by_name[SPEED.name].value is None


# --- graphs -----------------------------------------------------------------------------------------------------------


def test_positions_become_a_graph_worked_by_hand(folder: Path) -> None:
    graph = next(one for one in found.read(folder)[0] if one.label.startswith("open positions")).graph
    assert graph.assets[graph.place("a V3")] == pytest.approx(1_000.0)
    assert graph.own[graph.place("a V3")] == pytest.approx(400.0)
    assert graph.assets[graph.place("lenders of USDC")] == pytest.approx(500.0)
    assert "c V3" not in graph.names


def test_a_history_counts_where_it_owes_most(folder: Path) -> None:
    graph = next(one for one in found.read(folder)[0] if "histories" in one.label).graph
    assert graph.own[graph.place("0x01_details")] == pytest.approx(40.0)


def test_all_that_falls_falls_once(folder: Path) -> None:
    graph = next(one for one in found.read(folder)[0] if "histories" in one.label).graph
    fell = [name for name, hit in zip(graph.names, found.roots(graph), strict=True) if hit]
    assert fell == ["ETH"]
    loss = overlap.clear(graph, np.where(found.roots(graph), 0.3, 0.0)).loss[0]
    assert loss[graph.place("WETH")] == pytest.approx(0.3)


def test_the_same_graph_is_drawn_the_same(folder: Path, tmp_path: Path) -> None:
    graph = found.deepened(found.read(folder)[0][0].graph, 1.0)
    loss = overlap.clear(graph, np.where(found.roots(graph), 0.3, 0.0)).loss[0]
    order = list(reversed(range(len(graph))))
    once = picture.write(graph, loss, "drawn", tmp_path / "a")[1].read_bytes()
    again = picture.write(graph, loss, "drawn", tmp_path / "b")[1].read_bytes()
    assert once == again
    first, moved = picture.columns(graph), picture.columns(graph.relabelled(order))
    assert [[order[place] for place in part] for part in moved] == first


def test_ranks_share_ties_and_a_flat_answer_ranks_nothing() -> None:
    true = np.array([0.0, 0.1, 0.2, 0.3])
    assert spearman(true**2, true) == pytest.approx(1.0)
    assert spearman(np.zeros(4), true) == 0.0
    assert spearman(true, np.full(4, 1e-6)) is None


# --- edges ------------------------------------------------------------------------------------------------------------


def test_a_week_s_edges_do_not_hang_on_order_or_repeats() -> None:
    rng = np.random.default_rng(0)
    stamps = rng.integers(0, 40, size=60) * WEEK_MS
    pairs = [(f"c{a}", f"d{b}") for a, b in rng.integers(0, 4, size=(60, 2))]
    once = edges.history(stamps, pairs, "x")
    order = [*rng.permutation(60), *rng.integers(0, 60, size=30)]
    again = edges.history(stamps[order], [pairs[int(i)] for i in order], "x")
    assert once.pairs == again.pairs
    assert (once.present == again.present).all()


def test_what_comes_later_changes_no_forecast_of_before(folder: Path) -> None:
    told = edges.histories(folder)[0]
    cut = edges.History(told.pairs, told.present[:20], told.source)
    assert (edges.features(told, 15) == edges.features(cut, 15)).all()


def test_pairs_that_are_nearly_always_there_come_back_sooner_than_persistence_says(folder: Path) -> None:
    said = edges.foretold(edges.histories(folder)[0])
    assert said is not None
    assert said.precision["changed"][edges.PERSISTENCE] == pytest.approx(said.base["changed"])
    assert said.over_persistence > 1.3
    assert said.low <= said.over_best <= said.high


def test_too_few_weeks_are_not_judged(tmp_path: Path) -> None:
    made.liquidations(tmp_path, weeks=15)
    assert edges.foretold(edges.histories(tmp_path)[0]) is None


# --- the case ---------------------------------------------------------------------------------------------------------


def test_the_coin_that_dies_is_flagged_before_it_has_fallen(folder: Path) -> None:
    told = case.replayed(folder, no_panel(), None)
    assert not isinstance(told, str), told
    assert told.stablecoin == "UUU"
    first = told.flagged[0]
    assert first.market == "AAA"
    assert first.flagged_h is not None
    assert first.fell_h is not None
    assert first.flagged_h <= first.fell_h
    assert first.highest > 2 * first.usual


def test_a_replay_looks_at_nothing_after_its_hour(tmp_path: Path) -> None:
    """With the hours after the break thrown away, what was said before it is the same."""
    made.prices(tmp_path / "whole")
    made.prices(tmp_path / "cut", hours=42 * 24)
    hourly = case.prices(tmp_path / "whole", no_panel())
    row = 30 * 24
    cut = case.Hourly(hourly.close_ms[: row + 1], hourly.names, hourly.close[: row + 1])
    live = list(range(4))
    assert case._round(hourly, live, row, 1.0) == case._round(cut, live, row, 1.0)


def test_a_dollar_that_holds_is_no_case(tmp_path: Path) -> None:
    made.prices(tmp_path, broken_h=None)
    assert "no stablecoin" in str(case.replayed(tmp_path, no_panel(), None))


# --- the verb ---------------------------------------------------------------------------------------------------------


def test_the_verb_tells_a_folder_in_sentences_and_draws_it(folder: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli.app, ["contagion", "--data", str(folder), "--out", str(tmp_path), "--fall", "0.4"])
    assert ran.exit_code == 0, ran.output
    assert "all assets fall by 40%" in ran.output
    assert len(list(tmp_path.glob("contagion-*.svg"))) == 3, "a pool of dollars alone has nothing that falls"


def test_the_verb_as_json_names_every_edge_s_evidence(folder: Path) -> None:
    ran = CliRunner().invoke(cli.app, ["contagion", "--data", str(folder), "--asset", "wBTC", "--json"])
    (told,) = json.loads(ran.stdout)
    assert {edge["evidence"] for edge in told["edges"]} == {"collateral", "borrowed", "wrapped"}
    assert all(0 <= node["loss"] <= 1 for node in told["nodes"])


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--fall", "3"], "no share"), (["--asset", "ZZZ"], "ZZZ"), (["--depth", "0"], "depth")]
)
def test_a_wish_that_is_none_is_one_clear_line(folder: Path, arguments: list[str], words: str) -> None:
    ran = CliRunner().invoke(cli.app, ["contagion", "--data", str(folder), *arguments])
    assert ran.exit_code != 0
    assert words in str(ran.exception)


def test_amounts_that_are_none_are_left_out_not_raised(tmp_path: Path) -> None:
    made.table(
        tmp_path,
        "bad",
        {
            "collateralReserve": ["AAA", "AAA", "BBB"],
            "principalReserve": ["USDC", "USDC", "DAI"],
            "user": ["x", "y", "z"],
            "ts": pa.array([made.MONDAY] * 3, made.STAMP),
            "amountUSDCollateral": [float("nan"), -5e18, 1e40],
        },
    )
    graphs, silent = found.read(tmp_path)
    assert graphs == []
    assert silent == []
