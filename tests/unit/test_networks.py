"""The comparators that Networks.sol is generated from: they sort, and pruning loses nothing that the median needs."""

from __future__ import annotations

import itertools

from margrave.lab.networks import SORT_3, Comparator, places_median, pruned, source

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
    comparators: list[Comparator] = list(SORT_3)
    assert text.count("z := sub(or(") == 2 * (len(comparators) * 2 + 2 + 6)
    assert text.count("t := and(z, g)") == text.count("z := sub(or(")
