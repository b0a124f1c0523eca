"""Account multipliers: bounds, steps, lifetimes, and a digest that names all that it is about."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from margrave.mirror.account_risk import (
    NOTHING,
    ONE_BP,
    Bounds,
    Entry,
    Held,
    Skip,
    multiplier,
    report_digest,
    settle,
)

BOUNDS = Bounds(max_multiplier_bp=30_000, max_rise_bp=2_500, max_fall_bp=1_000, max_lifetime_s=86_400)
ACCOUNT, CONTRACT = "0x" + "a1" * 20, "0x" + "c0" * 20
NOW = 1_800_000_000
times = st.integers(NOW - 200_000, NOW + 200_000)
slots = st.builds(Held, st.integers(ONE_BP, 40_000), times, st.integers(NOW - 200_000, NOW))
entries = st.builds(Entry, st.just(ACCOUNT), st.integers(0, 65_535), times)


@given(slots, entries, st.integers(NOW - 900, NOW + 30), st.booleans())
def test_whatever_is_signed_stays_in_bounds_and_within_a_step(
    held: Held, entry: Entry, observed_at_s: int, paused: bool
) -> None:
    taken = settle(held, entry, observed_at_s, NOW, BOUNDS, paused=paused)
    if isinstance(taken, Skip):
        return
    before = multiplier(held, NOW)
    assert ONE_BP <= taken.multiplier_bp <= BOUNDS.max_multiplier_bp
    assert taken.multiplier_bp <= before + BOUNDS.max_rise_bp
    if before <= BOUNDS.max_multiplier_bp:
        assert taken.multiplier_bp >= before - (0 if paused else BOUNDS.max_fall_bp)
    assert NOW < taken.expires_at_s <= observed_at_s + BOUNDS.max_lifetime_s
    assert taken.observed_at_s == observed_at_s > held.observed_at_s
    again = settle(taken, entry, observed_at_s, NOW, BOUNDS, paused=paused)
    assert again is Skip.NOT_NEWER


def test_each_reason_to_skip() -> None:
    fine = Entry(ACCOUNT, 12_000, NOW + 60)
    assert settle(Held(ONE_BP, 0, NOW), fine, NOW, NOW, BOUNDS, paused=False) is Skip.NOT_NEWER
    for bp in (9_999, 30_001):
        wrong = replace(fine, multiplier_bp=bp)
        assert settle(NOTHING, wrong, NOW, NOW, BOUNDS, paused=False) is Skip.OUT_OF_BOUNDS
    late = replace(fine, expires_at_s=NOW)
    assert settle(NOTHING, late, NOW, NOW, BOUNDS, paused=False) is Skip.EXPIRED


def test_a_digest_names_everything_that_it_is_about() -> None:
    entry = Entry(ACCOUNT, 12_000, NOW)

    def digest(**changed: object) -> bytes:
        told: dict[str, object] = {
            "chain_id": 1,
            "contract": CONTRACT,
            "epoch": 2,
            "round": 3,
            "model_set": bytes(32),
            "bounds": BOUNDS,
            "entries": [entry],
        }
        return report_digest(**(told | changed))  # type: ignore[arg-type]

    others = {
        digest(chain_id=2),
        digest(contract="0x" + "c1" * 20),
        digest(epoch=3),
        digest(round=2),
        digest(model_set=b"\x01" * 32),
        digest(bounds=replace(BOUNDS, max_fall_bp=1_001)),
        digest(entries=[replace(entry, account="0x" + "a2" * 20)]),
        digest(entries=[replace(entry, multiplier_bp=12_001)]),
        digest(entries=[replace(entry, expires_at_s=NOW + 1)]),
        digest(entries=[entry, entry]),
        digest(entries=[]),
    }
    assert len(others) == 11
    assert digest() not in others
