from __future__ import annotations

import pytest

from margrave.errors import Fatal
from margrave.lab.demo.inputs import OPENING_ROUNDS, Wish, choose, policy_for
from margrave.lab.feed.scenario import load_scenario
from margrave.mirror.limits import policy_words
from margrave.settings import POLICY_FILE, PROJECT_ROOT, load_policy
from margrave.verdicts import ReportKind

POLICY = load_policy(POLICY_FILE)
SCENARIOS = sorted((PROJECT_ROOT / "config" / "scenarios").glob("*.toml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_every_scenario_covers_the_rounds_that_are_run_of_it(path: object) -> None:
    tape = load_scenario(path)  # type: ignore[arg-type]
    source = choose(Wish(scenario=path.stem))  # type: ignore[attr-defined]
    assert source.start_ms is not None
    last_ms = source.start_ms + (source.rounds + OPENING_ROUNDS) * source.period_s * 1000
    assert tape.start_ms <= source.start_ms < last_ms <= tape.end_ms


def test_more_rounds_than_there_are_is_said_with_the_span() -> None:
    with pytest.raises(Fatal, match="2021-05-17"):
        choose(Wish(rounds=5_000))


def test_a_start_outside_the_tape_is_refused() -> None:
    with pytest.raises(Fatal, match="does not cover"):
        choose(Wish(start="2019-01-01"))


def test_a_start_that_is_no_time_is_refused() -> None:
    with pytest.raises(Fatal, match="is not a time"):
        choose(Wish(start="yesterday"))


def test_live_has_the_walls_clock_and_the_public_venues() -> None:
    source = choose(Wish(live=True))
    assert (source.start_ms, source.speed, source.feed) == (None, 1.0, ())
    assert all(str(venue["base_url"]).startswith("https://") for venue in source.venues("").values())
    assert policy_for(POLICY, source).guard.max_age_s == POLICY.guard.max_age_s


def test_the_kind_of_report_is_part_of_the_policy_that_is_deployed() -> None:
    assert policy_for(POLICY, choose(Wish())).round.report is ReportKind.OWN_WORDS
    assert policy_for(POLICY, choose(Wish(co_signed=True))).round.report is ReportKind.CO_SIGNED


def test_a_drill_keeps_every_bound_and_loosens_as_much_an_hour() -> None:
    source = choose(Wish())
    policy = policy_for(POLICY, source)
    for name, limit in POLICY.limits.lanes.items():
        scaled = policy.limits.lanes[name]
        assert (scaled.low, scaled.high) == (limit.low, limit.high)
        if limit.max_fall is not None:
            assert scaled.max_fall == pytest.approx(limit.max_fall * source.period_s / POLICY.round.period_s)
    policy_words(policy.limits.lanes, policy.limits.max_price_move)
