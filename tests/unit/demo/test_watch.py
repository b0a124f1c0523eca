"""The terminal view: plain lines where nobody watches, a view that fits where somebody does."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from margrave.lab.demo import watch
from margrave.lab.demo.record import RoundRow, Summary
from margrave.lab.demo.watch import Watch

from . import sample


def plain() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=50, color_system="truecolor")


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(view: Watch, width: int) -> list[str]:
    """The live view as plain text lines at a width."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(view.view())
    return written(console).splitlines()


def test_without_a_terminal_each_round_is_one_line_without_escape_codes(summary: Summary) -> None:
    console = plain()
    with Watch(summary.title, summary.markets, 60, console=console) as view:
        view.say("chain is up")
        for row in summary.rounds[:3]:
            view.round(row)
    lines = written(console).splitlines()
    assert "\x1b" not in written(console)
    assert lines[1] == "chain is up"
    assert [line.split("  ")[0] for line in lines[2:5]] == ["round 1/60", "round 2/60", "round 3/60"]
    assert lines[5:] == ["3 of 3 rounds published"]


def test_a_plain_line_carries_the_rounds_figures(summary: Summary) -> None:
    row = summary.rounds[0]
    line = watch.plain_line(row, 1, 60)
    for state in row.markets.values():
        assert f"${state.price_usd:,.0f}" in line
        assert f"score {state.score:,.0f}" in line
        assert f"collateral ${state.requirement_usd:,.0f} (grid ${state.static_requirement_usd:,.0f})" in line
    assert "published by anna, gas 170,200, signed by anna, bert, carl and dora" in line


def test_a_round_nobody_published_says_why(summary: Summary) -> None:
    line = watch.plain_line(summary.rounds[17], 18, 60)
    assert "not published, signed by nobody" in line
    assert line.endswith("no quorum: two members held (too few sources)")


def test_without_a_terminal_only_changed_states_are_printed(summary: Summary) -> None:
    console = plain()
    with Watch(summary.title, summary.markets, 60, console=console) as view:
        view.state({"anna": "starting", "bert": "starting"})
        view.state({"anna": "ready", "bert": "starting"})
        view.state({"anna": "ready", "bert": "starting"})
    assert written(console).splitlines()[1:] == ["nodes: anna starting, bert starting", "nodes: anna ready"]


@pytest.mark.parametrize("width", [40, 80, 100, 140, 200])
def test_the_view_fits_the_width_and_shows_each_market(summary: Summary, width: int) -> None:
    view = Watch(summary.title, summary.markets, 60, console=terminal(width))
    with view:
        view.state(dict.fromkeys(summary.members, "signing"))
        for row in summary.rounds[:30]:
            view.round(row)
        lines = shown(view, width)
    assert max(len(line) for line in lines) <= width
    text = "\n".join(lines)
    for market in summary.markets:
        assert f"${summary.rounds[29].markets[market].price_usd:,.0f}" in text
    assert "round 30/60" in text


def test_the_view_tells_the_three_largest_reasons_and_who_signed(summary: Summary) -> None:
    view = Watch(summary.title, summary.markets, 60, console=terminal(120))
    with view:
        view.round(summary.rounds[0])
        text = "\n".join(shown(view, 120))
    state = summary.rounds[0].markets["BTC"]
    for reason in state.reasons[:3]:
        assert reason.sentence in text
    assert state.reasons[3].sentence not in text
    assert "published by anna  gas 170,200" in text
    assert "signed by anna, bert, carl and dora" in text


def test_before_the_first_round_the_view_says_that_nothing_is_on_chain(summary: Summary) -> None:
    text = "\n".join(shown(Watch(summary.title, summary.markets, 60, console=terminal(80)), 80))
    assert "BTC  nothing on chain yet" in text
    assert "no round yet" in text


def test_a_market_missing_from_a_round_keeps_its_figures_marked_as_old(summary: Summary) -> None:
    view = Watch(summary.title, summary.markets, 60, console=terminal(120))
    without = msgspec.structs.replace(summary.rounds[1], markets={"ETH": summary.rounds[1].markets["ETH"]})
    with view:
        view.round(summary.rounds[0])
        view.round(without)
        lines = shown(view, 120)
    assert sum("not in this round" in line for line in lines) == 1
    assert any("$76,000" in line for line in lines)


def test_what_was_out_of_the_ordinary_is_flagged(summary: Summary) -> None:
    state = msgspec.structs.replace(summary.rounds[0].markets["BTC"], limited=True, fallback=True, status="halted")
    assert watch.flags_of(state) == ["held back by the step limit", "baseline model", "status halted"]
    assert watch.flags_of(summary.rounds[0].markets["BTC"]) == []


def test_text_from_outside_cannot_steer_the_terminal(summary: Summary) -> None:
    console = plain()
    attack = msgspec.structs.replace(summary.rounds[0], notes=("\x1b]0;owned\x07 venue said\nround 99/60",))
    with Watch(summary.title, summary.markets, 60, console=console) as view:
        view.round(attack)
    assert "\x1b" not in written(console)
    assert len(written(console).splitlines()) == 3


def test_markup_in_names_is_shown_as_it_is() -> None:
    run = sample.run(rounds=2, markets=("[bold]X[/]",), silent_rounds=())
    view = Watch("[red]title[/]", run.markets, 2, console=terminal(100))
    with view:
        view.round(run.rounds[0])
        text = "\n".join(shown(view, 100))
    assert "[bold]X[/]" in text
    assert "[red]title[/]" in text


def test_the_live_view_leaves_the_terminal_as_it_found_it_when_a_run_fails(summary: Summary) -> None:
    console = terminal(100)

    def fail() -> None:
        with Watch("t", summary.markets, 60, console=console) as view:
            view.round(summary.rounds[0])
            raise RuntimeError("node died")

    with pytest.raises(RuntimeError, match="node died"):
        fail()
    assert written(console).count("\x1b[?25l") == written(console).count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], ""), ([0.0, 0.0], "▁▁"), ([4.0, 6.0, 8.0], "▁▅█"), ([-1.0, 2.0], "▁█"), ([100.0, 101.0], "▁▂")],
)
def test_a_sparkline_shows_the_range_but_does_not_blow_up_noise(values: list[float], expected: str) -> None:
    assert watch.sparkline(values) == expected


def test_the_last_announced_round_gives_the_terminal_back(summary: Summary) -> None:
    console = terminal(100)
    with Watch("t", summary.markets, 2, console=console) as view:
        for row in summary.rounds[:2]:
            view.round(row)
        view.state({"anna": "stopped"})
        view.say("wrote index.html")
        before_exit = written(console)
    assert before_exit.rstrip().endswith("wrote index.html")
    assert before_exit.count("\x1b[?25l") == before_exit.count("\x1b[?25h") == 1
    assert written(console).count("2 of 2 rounds published") == 1


def test_a_forecast_that_nobody_told_is_a_dash(summary: Summary) -> None:
    untold = msgspec.structs.replace(summary.rounds[0].markets["BTC"], sigma_forecast=0.0)
    assert "vol – " in watch.plain_line(msgspec.structs.replace(summary.rounds[0], markets={"BTC": untold}), 1, 60)


@pytest.mark.parametrize(("score", "filled"), [(-5, 0), (0, 0), (5_000, 5), (10_000, 10), (99_999, 10)])
def test_the_score_bar_is_never_longer_than_itself(score: float, filled: int) -> None:
    full, empty = watch.score_bar(score)
    assert (len(full), len(full) + len(empty)) == (filled, watch.BAR_CELLS)


def test_a_run_without_an_end_counts_up(summary: Summary) -> None:
    row: RoundRow = summary.rounds[0]
    assert watch.plain_line(row, 7, 0).startswith("round 7  ")
