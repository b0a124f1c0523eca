from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from margrave.chain import turns
from margrave.publish.fees import GWEI, Fees

MEMBERS = tuple(f"0x{i:040x}" for i in range(1, 5))
wei = st.integers(min_value=1, max_value=10_000 * GWEI)


@given(round_=st.integers(min_value=0, max_value=2**32 - 1))
def test_every_round_has_one_order_of_all_members(round_: int) -> None:
    order = turns.order(round_, MEMBERS)
    assert sorted(order) == sorted(MEMBERS)
    assert order == turns.order(round_, tuple(reversed(MEMBERS)))


def test_over_many_rounds_the_lead_is_shared() -> None:
    leads = Counter(turns.order(round_, MEMBERS)[0] for round_ in range(2_000))
    assert set(leads) == set(MEMBERS)
    assert min(leads.values()) > 400


@given(round_=st.integers(min_value=0, max_value=2**32 - 1))
def test_the_members_wait_one_behind_the_other(round_: int) -> None:
    waits = sorted(turns.wait_ms(round_, member, MEMBERS, 700) for member in MEMBERS)
    assert waits == [0, 700, 1400, 2100]


@given(base_fee=wei, tip=wei, cap=wei)
def test_no_offer_is_above_the_operators_cap(base_fee: int, tip: int, cap: int) -> None:
    fees: Fees | None = Fees.first(base_fee=base_fee, suggested_tip=tip, cap=cap)
    while fees is not None:
        assert fees.tip <= fees.max_fee <= cap
        fees = fees.replacement(base_fee=base_fee, cap=cap)


@given(base_fee=wei, tip=wei, cap=wei)
def test_a_replacement_raises_both_fields_by_a_tenth_or_is_not_made(base_fee: int, tip: int, cap: int) -> None:
    first = Fees.first(base_fee=base_fee, suggested_tip=tip, cap=cap)
    second = first.replacement(base_fee=base_fee, cap=cap)
    if second is not None:
        assert second.max_fee * 10 >= first.max_fee * 11
        assert second.tip * 10 >= first.tip * 11


def test_at_the_cap_only_waiting_is_left() -> None:
    fees = Fees.first(base_fee=100 * GWEI, suggested_tip=GWEI, cap=100 * GWEI)
    assert fees.replacement(base_fee=100 * GWEI, cap=100 * GWEI) is None
