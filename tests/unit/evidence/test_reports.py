"""What the tools say is read as it is meant, and nothing bad is taken for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from margrave.errors import Fatal
from margrave.lab.evidence import coverage, gas, long, symbolic, workshop
from margrave.lab.evidence.findings import ANSWERS, Answer, Finding, answers, judge

LCOV = """TN:
SF:contracts/src/oracle/Policy.sol
DA:10,3
DA:11,0
DA:12,0
DA:12,5
end_of_record
SF:contracts/test/Base.sol
DA:1,0
end_of_record
SF:contracts/src/mock/MockUSD.sol
DA:1,0
end_of_record
SF:contracts/src/oracle/Lanes.sol
end_of_record
"""


def test_coverage_counts_lines_of_what_is_deployed_only() -> None:
    (policy,) = coverage.parse(LCOV, lambda _: frozenset())
    assert (policy.file, policy.found, policy.missed) == ("contracts/src/oracle/Policy.sol", 3, (11,))
    assert coverage.share([policy]) == 2 / 3
    assert "66.67%" in coverage.table([policy])
    assert coverage.by_folder([policy]) == {"oracle": 2 / 3}


def test_a_constants_declaration_is_no_line_of_code() -> None:
    (policy,) = coverage.parse(LCOV, lambda _: frozenset({11, 9}))
    assert (policy.found, policy.missed) == (2, ())
    assert coverage.parse(LCOV, lambda _: frozenset({10, 11, 12})) == []
    file = "contracts/src/oracle/Config.sol"
    declared = coverage.constants_of(file)
    lines = (workshop.PROJECT / file).read_text(encoding="utf-8").splitlines()
    assert declared
    assert all(" constant " in lines[at - 1] for at in declared)


def halmos(code: int, bounded: int) -> list[symbolic.Proof]:
    test = {"name": "check_x(uint256)", "exitcode": code, "num_bounded_loops": bounded, "num_paths": [4, 4, 0]}
    return symbolic.parse({"test_results": {"a.t.sol:SymbolicA": [{**test, "time": [1.26, 1, 0.26]}]}})


def test_a_property_is_proven_only_if_every_loop_ran_to_its_end() -> None:
    assert halmos(0, 0) == [symbolic.Proof("SymbolicA", "check_x", "proven", 4, 1.3)]
    assert halmos(0, 1)[0].outcome == "loops cut short"
    assert halmos(1, 0)[0].outcome == "counterexample"
    assert halmos(4, 0)[0].outcome == "all paths revert"


def test_every_written_property_is_found_in_the_sources() -> None:
    assert "check_exactly_a_quorum_of_known_members_is_accepted" in symbolic.written()


def test_a_change_of_gas_over_one_per_cent_is_told_and_a_smaller_one_is_not() -> None:
    before = {"oracle": {"read": 1000, "publish 1": 50_000, "publish 10": 500, "gone": 7}}
    after = {"oracle": {"read": 1010, "publish 1": 49_000, "publish 10": 506, "new": 8}}
    assert gas.changes(before, after) == [
        "oracle · gone: 7 is gone",
        "oracle · new: 8 is new",
        "oracle · publish 1: 50000 → 49000 (-2.0%)",
        "oracle · publish 10: 500 → 506 (+1.2%)",
    ]
    assert gas.changes(before, before) == []


def test_a_finding_without_an_answer_is_news_and_an_answer_without_a_finding_is_stale() -> None:
    known = Finding("timestamp", "Low", "RiskOracle._read", "uses timestamp")
    other = Finding("timestamp", "Low", "RiskOracle._read2", "uses timestamp")
    says = Answer("timestamp", r"RiskOracle\._read", "ages are what it is about")
    old = Answer("assembly", ".*", "gone")
    verdict = judge([known, other], [says, old])
    assert verdict.answered == ((known, says),)
    assert verdict.news == (other,)
    assert verdict.stale == (old,)


def test_the_committed_answers_all_say_why() -> None:
    assert ANSWERS.exists()
    assert all(len(answer.why) > 20 for answer in answers())


def test_a_long_run_is_counted() -> None:
    good = {"status": "Success", "kind": {"Fuzz": {"runs": 10_000}}}
    held = {"status": "Success", "kind": {"Invariant": {"calls": 500}}}
    bad = {"status": "Failure", "reason": "no", "kind": {"Unit": {"gas": 1}}}
    outcome = long.parse({"A.t.sol:A": {"test_results": {"test_a()": good, "invariant_b()": held, "test_c()": bad}}})
    assert outcome == long.Outcome(2, (("A.t.sol:A:test_c()", "no"),), 10_000, 500)


def test_a_missing_tool_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "TOOLS", tmp_path)
    with pytest.raises(Fatal, match="run scripts/evidence setup"):
        workshop.analyser("halmos", [], tmp_path, {})
