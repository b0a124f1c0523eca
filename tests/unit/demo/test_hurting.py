"""The drawing of contagion: every path is a line and a sentence, nothing overlaps, and names alone place the boxes."""

from __future__ import annotations

from itertools import combinations

import msgspec

from margrave.lab.demo import hurting, page
from margrave.lab.demo.record import Summary
from margrave.messages import HurtPath
from tests.unit.demo import sample


def with_paths(*paths: HurtPath) -> Summary:
    """One round, whose first market tells them all."""
    summary = sample.run(rounds=1, silent_rounds=())
    (row,) = summary.rounds
    markets = {name: msgspec.structs.replace(m, contagion_paths=()) for name, m in row.markets.items()}
    markets["BTC"] = msgspec.structs.replace(markets["BTC"], contagion_paths=paths)
    return msgspec.structs.replace(summary, rounds=(msgspec.structs.replace(row, markets=markets),))


def test_the_round_with_the_most_at_stake_is_drawn_with_a_line_and_a_sentence_a_path() -> None:
    summary = sample.run()
    web = hurting.web(summary)
    assert web is not None
    worst = max(summary.rounds, key=lambda row: sum(m.contagion or 0.0 for m in row.markets.values()))
    assert web.round == worst.round
    assert len(web.lines) == len(web.sentences) == 8
    assert {node.name for node in web.nodes} == {"BTC", "ETH", "aave", "lenders of aave", "stablecoins"}
    assert [line.width for line in web.lines] == sorted((line.width for line in web.lines), reverse=True)
    assert web.sentences[0].startswith("If BTC falls as far as its forecast goes, ETH loses ")


def test_boxes_and_labels_stand_apart() -> None:
    web = hurting.web(sample.run())
    assert web is not None
    for a, b in combinations(web.nodes, 2):
        assert abs(a.x - b.x) >= hurting.BOX_W or abs(a.y - b.y) >= (a.height + b.height) / 2
    for one, other in combinations(web.lines, 2):
        assert abs(one.x - other.x) > 40 or abs(one.y - other.y) >= 12
    assert all(node.y + node.height / 2 <= web.height for node in web.nodes)


def test_a_run_of_which_no_path_was_told_has_no_drawing() -> None:
    summary = with_paths()
    assert hurting.web(summary) is None
    assert "Who hurts whom" not in page.render(summary)


def test_names_from_outside_are_text_in_the_drawing_and_long_ones_are_cut() -> None:
    evil = "<script>alert(1)</script>"
    web = hurting.web(with_paths(HurtPath(source="BTC", target=evil, loss=0.01)))
    assert web is not None
    assert all(len(node.text) <= hurting.LONGEST for node in web.nodes)
    assert "<script>alert" not in page.render(with_paths(HurtPath(source="BTC", target=evil, loss=0.01)))


def test_what_stablecoins_lack_of_a_dollar_is_said_so() -> None:
    path = HurtPath(source="stablecoins", target="BTC", loss=0.004)
    assert hurting.sentence(path, ["BTC"]) == "What stablecoins lack of a dollar takes 0.40% from BTC."
