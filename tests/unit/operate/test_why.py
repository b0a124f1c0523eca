"""A recorded round in sentences: what its inputs add, why it moved, what would be otherwise; and its replayed hash."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from margrave.lanes import Words
from margrave.messages import Attributed, Report, ReportRow, Scores
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.operate.explain import Explanation as Told
from margrave.operate.explain import explain
from margrave.operate.init import Plan, init
from margrave.operate.replay import Explanation, replay, scorer_of
from margrave.operate.why import BY, Why
from margrave.score.attribution import attributions_hash, explained
from margrave.score.carried import Carried
from margrave.score.coalitions import Input, PathPart
from margrave.settings import Settings, load
from margrave.spans import HOUR_MS
from margrave.verdicts import Trigger
from tests.unit.operate.sample import journal_of
from tests.unit.score.chains import TRUE
from tests.unit.score.sample import snapshot
from tests.unit.score.test_attribution import bars, seen
from tests.unit.terminal import Run, answer

PERIOD_MS = 300_000
MOVED = 0.97


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two rounds of a node: in the second BTC has fallen by 3 % and its book is gone."""
    folder = tmp_path_factory.mktemp("why")
    init(folder / "ada", Plan(name="ada"))
    settings = load(folder / "ada" / "node.toml")
    scorer = scorer_of(settings)
    surfaces, carried = {"BTC": TRUE, "ETH": TRUE}, dict[str, Carried]()
    price = bars("BTC")[-1].close
    first_ms = bars("BTC")[-1].open_time_ms + HOUR_MS
    with journal_of(settings) as journal:
        for place, btc in enumerate((seen("BTC"), seen("BTC", price=price * MOVED, depth_usd=None))):
            as_of_ms = first_ms + place * PERIOD_MS
            taken = msgspec.structs.replace(snapshot(btc, seen("ETH")), as_of_ms=as_of_ms, round=as_of_ms // PERIOD_MS)
            journal.saw(taken, surfaces, carried)
            scores, carried = scorer.score(taken, surfaces, carried)
            scores = explained(scorer, taken, scores, carried, ["BTC", "ETH"])
            journal.scored(scores)
            journal.pledge(report_of(scores), bytes([place]) * 32)
    return settings


def report_of(scores: Scores, attributions: bytes | None = None) -> Report:
    rows = tuple(
        ReportRow(market=row.market, market_id=place, trigger=Trigger.HEARTBEAT, words=Words(1, 1))
        for place, row in enumerate(scores.markets)
    )
    return Report(
        round=scores.round,
        epoch=1,
        first_market=0,
        model_set=scores.model_set,
        policy_digest=bytes(32),
        rows=rows,
        halts=(),
        attributions_hash=attributions_hash(list(enumerate(scores.markets))) if attributions is None else attributions,
        due=True,
    )


def rounds(settings: Settings) -> list[int]:
    with journal_of(settings) as journal:
        return journal.rounds()


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """The same node with a journal that is still empty."""
    return settings.model_copy(update={"node": settings.node.model_copy(update={"state_dir": folder})})


def told(settings: Settings, *, below: float = 3_000, in_parts: bool = False) -> Told:
    return explain(settings, rounds(settings)[-1], "BTC", below=below, in_parts=in_parts)


@pytest.fixture(scope="module")
def found(settings: Settings) -> Why:
    return told(settings).why


def test_what_each_input_adds_is_told_largest_first_and_with_what_nobody_told(found: Why) -> None:
    assert found.points is not None
    assert found.reference_score is not None
    added = sum(found.points.values())
    assert found.added[0].startswith("A calm day at this hour (calm/1, docs/explain.md) would score ")
    assert found.added[0].endswith(f"What is known adds {added:+,.0f}:")
    book = next(line for line in found.added if "order books" in line)
    assert (
        book == f"  {found.points[Input.BOOK]:+,.0f} by its order books (nobody told depth_usd: the safe side is taken)"
    )
    sizes = [abs(float(line.split()[0].replace(",", ""))) for line in found.added[1:]]
    assert sizes == sorted(sizes, reverse=True)


def test_why_it_moved_is_told_by_what_changed_and_by_nothing_else(settings: Settings, found: Why) -> None:
    (line,) = found.moved
    assert f"Since round {rounds(settings)[0]}, 5 minutes before, it moved by +" in line
    assert "by its order books" in line
    assert "by its price path" in line
    assert found.moved_points is not None
    assert found.moved_points[Input.BOOK] > 0
    assert found.moved_points[Input.CHAIN] == found.moved_points[Input.LENDING] == 0


def test_the_first_round_has_moved_since_none(settings: Settings) -> None:
    assert explain(settings, rounds(settings)[0], "BTC").why.moved == ()


def test_what_would_be_below_is_told_with_figures_or_that_it_is(settings: Settings) -> None:
    found = told(settings, below=2_000).why
    assert found.instead[0] == "For a score below 2,000:"
    assert any(line.startswith("  alone, its worst 1 % would have to average ") for line in found.instead)
    assert any(line.startswith("  or as on the calm day: ") for line in found.instead)
    assert told(settings, below=1e5).why.instead == ("It is below 100,000 already.",)
    assert told(settings, below=1.0).why.instead[-1] == "  and not on a calm day either"


def test_cascade_and_contagion_are_told_with_who_spoke(found: Why) -> None:
    text = "\n".join(found.systemic)
    assert "A cascade of liquidations is " in text
    assert "by the formula: no model spoke" in text
    assert "Stress elsewhere can add " in text


def test_the_path_is_told_in_its_parts_when_asked(settings: Settings) -> None:
    found = told(settings, in_parts=True).why
    assert found.path_points is not None
    assert found.points is not None
    assert sum(found.path_points.values()) == pytest.approx(found.points[Input.PATH], abs=1e-2)
    assert "    " + f"{found.path_points[PathPart.RUNNING]:+,.0f} by the move since the last close" in found.added


def test_every_group_and_part_has_its_words() -> None:
    assert set(BY) == {*Input, *PathPart}


def test_the_verb_prints_figures_too(run: Run, settings: Settings) -> None:
    config = settings.node.state_dir.parent / "node.toml"
    asked = ("explain", rounds(settings)[-1], "BTC", "--below", "2000", "--json", "-c", config)
    found = json.loads(answer(run, *asked))
    assert set(found["why"]["points"]) == set(Input)
    assert found["why"]["counterfactual"]["below"] == 2_000
    assert any("Signed with it: what its inputs add, as 0x" in line for line in found["decided"])


def test_scores_of_other_models_are_told_as_recorded(settings: Settings, tmp_path: Path) -> None:
    round_ = rounds(settings)[-1]
    with journal_of(settings) as journal:
        taken, scores = journal.snapshot(round_), journal.scores(round_)
    other = elsewhere(settings, tmp_path)
    with journal_of(other) as journal:
        journal.saw(taken, {})
        journal.scored(msgspec.structs.replace(scores, model_set=bytes(32)))
    found = told(other)
    assert found.why.lines() == [
        "Other models scored it than this node has now: what its inputs add is not made again."
    ]
    assert any(line.startswith("Scored ") for line in found.scored)


# --- replay -----------------------------------------------------------------------------------------------------------


def test_a_replayed_round_has_the_same_explanation(settings: Settings) -> None:
    for again in replay(settings, rounds(settings)):
        assert again.explanation is Explanation.SAME
        assert again.apart < 1e-9
        assert again.same


@pytest.mark.parametrize("turned", ["recorded", "both", "none"])
def test_an_explanation_that_was_changed_is_found_out(settings: Settings, tmp_path: Path, turned: str) -> None:
    round_ = rounds(settings)[-1]
    with journal_of(settings) as journal:
        taken, scores = journal.snapshot(round_), journal.scores(round_)
        surfaces, carried = journal.surfaces(round_), journal.carried(round_, Carried)
    row = scores.markets[0]
    first, *rest = row.attribution
    kinder = (Attributed(name=first.name, points=first.points - 100), *rest)
    changed = msgspec.structs.replace(
        scores, markets=(msgspec.structs.replace(row, attribution=kinder), *scores.markets[1:])
    )
    signed = {"recorded": report_of(scores), "both": report_of(changed), "none": report_of(scores, UNEXPLAINED)}[turned]
    other = elsewhere(settings, tmp_path)
    with journal_of(other) as journal:
        journal.saw(taken, surfaces, carried)
        journal.scored(changed)
        journal.pledge(signed, b"digest")
    (again,) = replay(other, [round_])
    assert (
        again.explanation
        is {
            "recorded": Explanation.NOT_AS_SIGNED,
            "both": Explanation.OTHERWISE,
            "none": Explanation.NONE,
        }[turned]
    )
    assert again.same is (turned == "none")
    if turned == "both":
        assert again.apart == pytest.approx(100, abs=1e-6)


def test_who_hurts_whom_in_a_round_is_told_and_drawn(settings: Settings, tmp_path: Path) -> None:
    from margrave.lab.court.contagion.told import of_round

    (graph,) = of_round(settings, rounds(settings)[-1])
    assert any(line.startswith("BTC: add-on ") and "nobody told holdings" in line for line in graph.lines)
    assert {edge.evidence.value for edge in graph.graph.edges()} <= {"comoves"}
    assert [path.suffix for path in graph.drawn(tmp_path)] == [".png", ".svg"]


def test_who_hurts_whom_in_a_round_that_is_not_there_is_one_clear_line(settings: Settings) -> None:
    from margrave.errors import Rejected
    from margrave.lab.court.contagion.told import of_round

    with pytest.raises(Rejected):
        of_round(settings, 1)
