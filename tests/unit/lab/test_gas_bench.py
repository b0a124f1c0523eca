"""What the gas benchmark compares with: floors, targets, and the page that is written from it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from margrave import lanes
from margrave.lab.bench.chain import least_quorum, ordinary
from margrave.lab.bench.floor import (
    COMMITTEES,
    LEGS,
    MARKETS,
    MIXED_LEGS,
    SMALLEST,
    calldata_floor,
    execution_floor,
    floor,
    necessary,
    targets,
)
from margrave.lab.bench.gas import ROUNDS, mixed_book, over, price_e8, short_calls
from margrave.lab.bench.peers import redstone
from margrave.lab.gas_page import tables

ByMarkets = dict[str, dict[str, int]]


def by_markets(value: int) -> ByMarkets:
    return {size.name: {str(k): value for k in MARKETS} for size in COMMITTEES}


def floors(value: int) -> dict[str, Any]:
    return {**by_markets(value), "cosigned": by_markets(value)}


def rows(report: int = 100, co_signed: int = 100, leg: int = 10, read: int = 1) -> dict[str, dict[str, Any]]:
    found = targets(by_markets(report), by_markets(co_signed), floors(100), {str(n): leg for n in LEGS}, {}, read)
    return {row["name"]: row for row in found}


def test_the_committees_are_the_ones_that_were_asked_for() -> None:
    assert [size.name for size in COMMITTEES] == ["3of5", "9of13", "21of31"]
    assert (MARKETS, LEGS) == ((1, 10, 50), (1, 8, 16, 64))


@pytest.mark.parametrize(
    ("quorum", "markets", "gas"), [(3, 1, 53_744), (3, 10, 171_392), (9, 50, 28_600 + 36_216 + 50 * 19_216)]
)
def test_the_floor_of_own_words_is_the_sum_of_what_cannot_be_avoided(quorum: int, markets: int, gas: int) -> None:
    assert execution_floor(quorum, markets, signed_by_each=True) == gas
    assert gas == 26_000 + 2_600 + 4_024 * quorum + markets * (10_000 + 1_024 * quorum)


def test_the_floor_of_co_signed_words_carries_them_once() -> None:
    assert execution_floor(21, 50, signed_by_each=False) == 28_600 + 21 * 4_024 + 50 * 11_024


def test_the_calldata_floor_counts_zero_and_other_bytes() -> None:
    assert calldata_floor(b"") == 21_000
    assert calldata_floor(bytes(3) + b"\x01\x02") == 21_000 + 3 * 10 + 2 * 40


def test_the_larger_of_the_two_floors_is_the_floor() -> None:
    few, many = bytes(64), b"\x01" * 64 * 21 * 60
    assert floor(3, 1, few, signed_by_each=True) == execution_floor(3, 1, signed_by_each=True)
    assert floor(21, 50, many, signed_by_each=True) == calldata_floor(many)
    assert calldata_floor(many) > execution_floor(21, 50, signed_by_each=True)


def test_what_is_necessary_is_signatures_and_words_and_nothing_around_them() -> None:
    said = necessary([b"\x01" * 32, b"\x02" * 32], [1, 2**255])
    assert said == b"\x01" * 32 + b"\x02" * 32 + (1).to_bytes(32, "big") + (2**255).to_bytes(32, "big")


def test_a_target_is_met_at_it_and_missed_above_it() -> None:
    assert rows(report=108)["own words, 3of5, 10 markets, over floor"]["holds"]
    assert not rows(report=109)["own words, 3of5, 10 markets, over floor"]["holds"]
    assert rows(report=115)["own words, 9of13, 50 markets, over floor"]["holds"]
    assert rows(co_signed=106)["co-signed, 21of31, 50 markets, over floor"]["holds"]
    assert not rows(co_signed=107)["co-signed, 3of5, 10 markets, over floor"]["holds"]
    assert not rows(report=60_001)["own words, 3of5, 1 market"]["holds"]
    assert not rows(leg=28_001)["margin a leg, 1 leg, cold"]["holds"]
    assert rows(leg=12_000)["margin a leg, 64 legs, cold"]["holds"]
    assert not rows(read=5_001)["read, cold"]["holds"]


def test_what_has_no_target_is_neither_met_nor_missed() -> None:
    for name in ("own words, 21of31, 1 market, over floor", "co-signed, 3of5, 1 market, over floor"):
        assert rows()[name]["target"] is None
        assert rows()[name]["holds"] is None
    assert rows()["margin a leg, 8 legs, cold"]["target"] is None


def test_a_ratio_that_only_rounds_to_its_target_misses_it() -> None:
    report = by_markets(108_001)
    found = targets(report, by_markets(1), floors(100_000), {str(n): 1 for n in LEGS}, {}, 1)
    row = next(row for row in found if row["name"] == "own words, 3of5, 10 markets, over floor")
    assert row["value"] == 1.08
    assert not row["holds"]


def test_three_of_five_is_not_what_governance_may_choose_and_three_of_four_is() -> None:
    assert (least_quorum(5), least_quorum(4)) == (4, SMALLEST.quorum)
    assert [least_quorum(size.members) for size in COMMITTEES[1:]] == [size.quorum for size in COMMITTEES[1:]]


def test_members_differ_and_every_market_moves_up_each_round() -> None:
    for market in (0, 49):
        rounds = [ordinary(market, 0, r) for r in range(ROUNDS)]
        assert len({words.risk for words in rounds}) == len({words.market for words in rounds}) == ROUNDS
        for before, after in pairwise(rounds):
            for lane in lanes.LANES:
                assert lanes.raw(after, lane) >= lanes.raw(before, lane)
        assert len({ordinary(market, member, 0).risk for member in range(5)}) > 1
        assert price_e8(market, 0, 1) > price_e8(market, 0, 0)


def test_redstone_s_signers_are_written_into_its_source() -> None:
    text = redstone.source(["0x" + "11" * 20, "0x" + "22" * 20], 2)
    assert f"if (signer == 0x{'22' * 20}) return 1;" in text
    assert "return 2;" in text
    assert "{" + "threshold" not in text


def test_the_page_shows_every_figure_that_has_a_target() -> None:
    gas: dict[str, Any] = {
        "report": by_markets(111_111),
        "cosigned": by_markets(222_222),
        "floor": floors(100_000),
        "smallest": {
            "report": {"3of4": {"1": 7_001, "10": 7_002, "50": 7_003}},
            "floor": {"3of4": by_markets(9)["3of5"]},
        },
        "held_back": {"3of5": {"1": 8_001, "10": 8_002, "50": 8_003}},
        "margin": {str(n): 1_000 * n for n in LEGS},
        "margin_per_leg": {str(n): 1_000 for n in LEGS},
        "margin_mixed": {str(n): 2_000 * n for n in MIXED_LEGS},
        "margin_per_leg_mixed": {str(n): 2_000 for n in MIXED_LEGS},
        "read": 4_999,
        "reads": {"read": 4_999, "effective": 5_123},
        "peers": {
            "measured": {
                "one": {"name": "One", "what": "w", "conditions": "c", "report": by_markets(333_333), "read": 3_094}
            },
            "quoted": [{"name": "Two", "conditions": "then", "margin": {"1": 444_444}}],
            "not_run": [{"name": "Three", "why": "not on npm"}],
        },
        "targets": targets(
            by_markets(111_111), by_markets(222_222), floors(100_000), {"1": 28_001}, {"16": 12_600}, 4_999
        ),
    }
    page = tables(gas)
    for shown in (
        "111,111 (1.111 × floor)",
        "222,222",
        "333,333",
        "444,444",
        "4,999",
        "64,000",
        "128,000",
        "Three: not on npm.",
    ):
        assert shown in page
    assert "| margin a leg, 1 leg, cold | 28,001 | 28,000 | **missed** |" in page
    assert "| margin a leg, 16 mixed legs, cold | 12,600 | 12,000 | **missed** |" in page
    assert "| read, cold | 4,999 | 5,000 | met |" in page


def test_a_mixed_book_has_shorts_and_longs_of_both_kinds_and_the_other_has_one_kind() -> None:
    assert {(leg.is_call, leg.quantity > 0) for leg in short_calls(64, 0)} == {(True, False)}
    assert len({(leg.is_call, leg.quantity > 0, leg.expiry_s) for leg in mixed_book(min(MIXED_LEGS), 0)}) == 8
    assert len({leg.strike for leg in mixed_book(64, 0)}) == 64


def test_a_multiple_of_the_floor_has_four_decimals() -> None:
    assert over({"3of5": {"1": 59_873}}, {"3of5": {"1": 53_744}}) == {"3of5": {"1": 1.114}}
