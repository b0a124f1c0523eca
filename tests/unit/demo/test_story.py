"""The words: they carry the summary's numbers and stay true when there is little to tell."""

from __future__ import annotations

from statistics import median

import msgspec
import pytest

from margrave.lab.demo import story, strips, wording
from margrave.lab.demo.record import Summary
from margrave.lab.demo.series import columns

from . import sample


def figures(summary: Summary) -> dict[str, story.Figure]:
    return {figure.label: figure for figure in story.key_figures(summary, columns(summary))}


def test_key_figures_are_the_summarys_own_numbers(summary: Summary) -> None:
    told = figures(summary)
    gas = [used for used in summary.gas_by_round.values() if used is not None]
    assert told["rounds published"].value == f"{summary.rounds_published} of {summary.rounds_attempted}" == "58 of 60"
    assert told["gas a round"].value == f"{median(gas):,.0f}"
    assert told["largest requirement"].value == f"${max(summary.requirement_by_round.values()):,.0f}"
    peak = max(market.score for row in summary.rounds for market in row.markets.values())
    assert told["peak risk score"].value == f"{peak:,.0f}"
    known = sum(row.move is not None for row in summary.realised)
    assert told["beyond ES 99%"].value == f"{len(summary.breaches)} of {known}"


def test_the_headline_names_falls_publication_collateral_and_breaches(summary: Summary) -> None:
    text = story.headline(summary, columns(summary))
    for expected in ("30 h", "BTC fell by up to", "ETH fell by up to", "58 of 60 rounds", "windows of 4 h"):
        assert expected in text


def test_a_run_in_which_nobody_published_says_so() -> None:
    run = sample.run(rounds=5, silent_rounds=tuple(range(5)))
    assert "None of 5 rounds was published by the 4 nodes." in story.headline(run, columns(run))


def test_a_perfect_run_says_all(summary: Summary) -> None:
    run = sample.run(rounds=5, silent_rounds=())
    assert "published all 5 rounds" in story.headline(run, columns(run))


def test_a_run_shorter_than_the_mpor_claims_no_coverage() -> None:
    run = sample.run(rounds=4, silent_rounds=())
    assert "before any forecast over 4 h could be judged" in story.headline(run, columns(run))
    assert figures(run)["beyond ES 99%"].note == "no window ended in the run"


def test_a_run_without_breaches_says_none(summary: Summary) -> None:
    calm = sample.with_fields(summary, breaches=())
    assert "in none of 104 windows" in story.headline(calm, columns(calm))


def test_a_rising_market_did_not_fall() -> None:
    run = sample.run(rounds=4, markets=("BTC",), silent_rounds=(), opening=(("BTC", [1.0, 2.0, 3.0, 4.0]),))
    assert "BTC did not fall" in story.headline(run, columns(run))


def test_a_run_without_rounds_is_told_in_one_sentence(summary: Summary) -> None:
    empty = sample.with_fields(summary, rounds=(), realised=(), breaches=(), rounds_attempted=0, rounds_published=0)
    assert story.headline(empty, columns(empty)) == "No round was attempted, so there is nothing to show."


def test_the_moments_are_the_highest_score_and_the_steepest_rise(summary: Summary) -> None:
    eth = columns(summary).markets[1]
    highest, steepest = story.moments(summary, eth)
    assert highest.what == f"Highest score: {max(eth.score):,.0f}"
    rises = [after - before for before, after in zip(eth.requirement, eth.requirement[1:], strict=False)]
    assert summary.rounds[rises.index(max(rises)) + 1].round == steepest.round


def test_reasons_are_told_by_size_whichever_way_they_pull(summary: Summary) -> None:
    state = summary.rounds[0].markets["BTC"]
    calming = msgspec.structs.replace(state.reasons[-1], points=-9_000.0)
    state = msgspec.structs.replace(state, reasons=(*state.reasons[:-1], calming))
    assert story.top_reasons(state)[0] is calming
    assert len(story.top_reasons(state)) == 3


@pytest.mark.parametrize(
    ("span_s", "words"),
    [
        (45, "45 s"),
        (300, "5 min"),
        (5_400, "90 min"),
        (3_600, "1 h"),
        (14_400, "4 h"),
        (108_000, "30 h"),
        (259_200, "3 days"),
    ],
)
def test_durations_are_said_in_their_natural_unit(span_s: float, words: str) -> None:
    assert wording.duration(span_s) == words


def test_absent_numbers_are_a_dash_and_never_nan() -> None:
    for write in (wording.usd, wording.percent, wording.signed_percent, wording.count, wording.seconds):
        assert write(None) == write(float("nan")) == "–"


def test_listings_read_as_english() -> None:
    assert [wording.listing(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_a_market_whose_forecasts_nobody_told_is_described_without_them(summary: Summary) -> None:
    rows = tuple(
        msgspec.structs.replace(
            row, markets={m: msgspec.structs.replace(x, sigma_forecast=0.0) for m, x in row.markets.items()}
        )
        for row in summary.rounds
    )
    changed = sample.with_fields(summary, rounds=rows)
    sentence = story.market_sentence(changed, columns(changed).markets[0])
    assert "Forecast" not in sentence
    assert "Collateral between" in sentence


def trusting(summary: Summary, **changes: object) -> Summary:
    """The sample with these fields in three rounds of BTC."""
    rows = [
        msgspec.structs.replace(
            row, markets=row.markets | {"BTC": msgspec.structs.replace(row.markets["BTC"], **changes)}
        )
        if 20 <= i < 23
        else row
        for i, row in enumerate(summary.rounds)
    ]
    return sample.with_fields(summary, rounds=tuple(rows))


def test_drift_and_widening_are_told_in_plain_words(summary: Summary) -> None:
    changed = trusting(summary, drift="widened", widening_down=1.18, widening_up=1.15)
    sentence = story.market_sentence(changed, columns(changed).markets[0])
    assert "The models were seen to drift: the ladder widened for it in 3 rounds." in sentence
    assert "Experience widened falls by up to 18%, rises by up to 15%." in sentence


def test_models_that_held_are_not_said_to_have_drifted(summary: Summary) -> None:
    sentence = story.market_sentence(summary, columns(summary).markets[0])
    assert "drift" not in sentence
    assert "widened" not in sentence


def test_the_strip_of_trust_is_darker_where_the_models_drifted_further(summary: Summary) -> None:
    changed = trusting(summary, drift="baseline", widening_down=1.3)
    regime, drift, falls, rises = strips.trust(changed, columns(changed), "BTC")
    assert (drift.remark, falls.remark, rises.remark) == ("baseline", "up to × 1.30", "up to × 1.00")
    assert [style for style, _ in drift.paths] == ["shade-6"]
    assert [style for style, _ in falls.paths] == ["shade-6"]
    assert rises.paths == ()
    assert regime.remark == "up to crisis"
    assert regime.values.index("crisis") > regime.values.index("stressed") > regime.values.index("normal")
    assert drift.values[19:24] == ("steady", "baseline", "baseline", "baseline", "steady")


def test_the_strip_of_inputs_shows_what_adds_and_what_takes_and_leaves_out_what_does_neither(summary: Summary) -> None:
    rows = strips.inputs(summary, columns(summary), "BTC")
    assert [row.name for row in rows] == ["price path", "option chain", "book"]
    assert rows[2].remark == "up to −120"
    assert set(rows[2].values) == {"-120"}
