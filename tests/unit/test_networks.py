"""The comparators that Networks.sol is generated from: they sort, and pruning loses nothing that the median needs."""

from __future__ import annotations

import itertools

from margrave.lab.networks import SORT_3, places_median, pruned, source

ROWS = tuple((3 * row + low, 3 * row + high) for row in range(3) for low, high in SORT_3)


def test_three_comparators_place_the_median_of_three_and_two_do_not() -> None:
    assert places_median(3, SORT_3)
    assert not places_median(3, SORT_3[:2])


def test_a_pruned_network_gives_the_same_median() -> None:
    for bits in itertools.product((0, 1), repeat=3):
        values = list(bits)
        for low, high, smaller, greater in pruned(3, SORT_3):
            a, b = values[low], values[high]
            values[low] = min(a, b) if smaller else -1
            values[high] = max(a, b) if greater else -1
        assert values[1] == sorted(bits)[1]


def test_three_sorted_rows_give_the_median_of_nine() -> None:
    """The median of the greatest low, the median of the middles and the least high, by the zero-one principle."""
    for bits in itertools.product((0, 1), repeat=9):
        values = list(bits)
        for low, high in ROWS:
            values[low], values[high] = min(values[low], values[high]), max(values[low], values[high])
        low, middle, high = max(values[0::3]), sorted(values[1::3])[1], min(values[2::3])
        assert sorted((low, middle, high))[1] == sorted(bits)[4]


def test_every_comparator_of_the_source_is_the_one_rule() -> None:
    text = source()
    three, rows, outer, middle, last = len(SORT_3), 3 * len(SORT_3), 4, 3, 3
    comparators = three + rows + outer + middle + last
    assert text.count("z := sub(or(") == 2 * comparators
    assert text.count("z := and(z, mul(and(shr(15, z), RISK_ONES), LANE_MAX))") == comparators
    wide = "z := and(z, or(mul(and(shr(15, z), MARKET_ONES), LANE_MAX), and(sar(63, z), PRICE_MASK)))"
    assert text.count(wide) == comparators


def test_the_masks_are_the_lowest_bits_of_the_lanes_that_the_guards_guard() -> None:
    text = source()
    ones = "0x" + "0001" * 16
    assert f"RISK_ONES = {ones};" in text
    assert "MARKET_ONES = 0x0000000000000000000000000001000100010001000100010001000000010001;" in text
