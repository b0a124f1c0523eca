"""Files of account multipliers, what becomes of them, and signatures as strangers hand them over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_utils.address import to_checksum_address

from margrave.chain.account_risk import Standing
from margrave.errors import Fatal, Rejected
from margrave.messages import Epoch
from margrave.mirror.account_risk import NOTHING, Bounds, Entry, Held
from margrave.mirror.limits import Timing
from margrave.operate.multiplier_quorum import Signed
from margrave.operate.multipliers import foretell, read_wishes
from margrave.verdicts import Rejection, ReportKind

ACCOUNT, OTHER = (to_checksum_address("0x" + pair * 20) for pair in ("a1", "b2"))
PERIOD_S = 300
OBSERVED_S = 1_980_000_000
ROUND = OBSERVED_S // PERIOD_S
BOUNDS = Bounds(max_multiplier_bp=30_000, max_rise_bp=2_500, max_fall_bp=1_000, max_lifetime_s=86_400)
EPOCH = Epoch(
    number=3,
    kind=ReportKind.OWN_WORDS,
    paused=False,
    quorum=1,
    members=(OTHER,),
    model_set=bytes(32),
    policy_digest=bytes(32),
    timing=Timing(max_skew=30, max_report_age=900, min_interval=0),
    classes=(),
    class_of=b"",
    group_of=b"",
    ring_of=b"",
)


def standing(held: Held = NOTHING, **changes: Any) -> Standing:
    told: dict[str, Any] = {"now_s": OBSERVED_S + 60, "epoch": EPOCH, "bounds": BOUNDS, "held": {ACCOUNT: held}}
    return Standing(chain_id=1, contract=OTHER, round=ROUND, period_s=PERIOD_S, **(told | changes))


def entry(multiplier_bp: int = 12_000, life_s: int = 3_600) -> Entry:
    return Entry(ACCOUNT, multiplier_bp, OBSERVED_S + life_s)


# --- the file -------------------------------------------------------------------------------------------------------

GOOD = f"""
at = 2026-11-24T12:00:00Z
[accounts]
"{OTHER}" = {{ multiplier = 1.5, until = 2026-11-25T00:00:00+01:00 }}
"{ACCOUNT}" = {{ multiplier = 1.25, until = 2026-11-25T00:00:00Z }}
"""


def test_a_file_is_read_into_entries_whatever_its_order(tmp_path: Path) -> None:
    path = tmp_path / "multipliers.toml"
    path.write_text(GOOD)
    entries = read_wishes(path).entries()
    assert entries == (Entry(ACCOUNT, 12_500, 1_795_564_800), Entry(OTHER, 15_000, 1_795_561_200))
    head, table, *lines = GOOD.strip().splitlines()
    path.write_text("\n".join([head, table, *reversed(lines)]))
    assert read_wishes(path).entries() == entries


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("1.25", "1.00005", "finer than 0.0001"),
        ("1.25", "nan", "multiplier"),
        ("1.25", "inf", "multiplier"),
        ("1.25", "-1", "multiplier"),
        ("1.25", "6.6", "multiplier"),
        ("2026-11-24T12:00:00Z", "2026-11-24T12:00:00", "timezone"),
        ("2026-11-24T12:00:00Z", "2026-11-24T12:00:00.5Z", "finer than a second"),
        ("2026-11-24T12:00:00Z", '"noon"', "at"),
        (ACCOUNT, ACCOUNT[:-1], "pattern"),
        (ACCOUNT, ACCOUNT[:-2] + ACCOUNT[-2:].swapcase(), "wrong checksum"),
        (ACCOUNT, OTHER.lower(), "named twice"),
        ("multiplier = 1.25", "factor = 1.25", "unknown key"),
        ("at =", "an =", "unknown key an"),
        (GOOD[GOOD.index('"') :], "", "at least 1"),
    ],
)
def test_a_file_that_is_wrong_says_what(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    path = tmp_path / "multipliers.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(Fatal, match=complaint):
        read_wishes(path)


# --- what becomes of it ---------------------------------------------------------------------------------------------


def test_a_multiplier_goes_as_far_as_one_report_may_and_says_when_that_is_not_all() -> None:
    (whole,) = foretell([entry(12_000)], standing(), ahead_s=0)
    assert (whole.old_bp, whole.bp) == (10_000, 12_000)
    assert whole.line().endswith("1 -> 1.2 until 2032-09-28 17:00:00Z")
    (part,) = foretell([entry(20_000)], standing(), ahead_s=0)
    assert part.bp == 12_500
    assert part.line().endswith("2 is further than one report may go")
    high = Held(20_000, OBSERVED_S + 7_200, OBSERVED_S - 300)
    (falling,) = foretell([entry(10_000)], standing(high), ahead_s=0)
    assert (falling.old_bp, falling.bp) == (20_000, 19_000)
    paused = msgspec.structs.replace(EPOCH, paused=True)
    (still,) = foretell([entry(10_000)], standing(high, epoch=paused), ahead_s=0)
    assert (still.old_bp, still.bp) == (20_000, 20_000)


def test_a_round_to_come_is_judged_by_what_will_hold_then() -> None:
    ending = Held(20_000, OBSERVED_S - 1, OBSERVED_S - 900)
    (told,) = foretell([entry(11_000)], standing(ending, now_s=OBSERVED_S - 600), ahead_s=600)
    assert told.old_bp == 10_000


@pytest.mark.parametrize(
    ("asked", "at", "reason", "both"),
    [
        (entry(9_999), standing(), Rejection.OUT_OF_RANGE, ("asks for 0.9999", "below the floor, 1")),
        (entry(30_001), standing(), Rejection.OUT_OF_RANGE, ("asks for 3.0001", "above the most, 3")),
        (entry(life_s=86_401), standing(), Rejection.OUT_OF_RANGE, ("2032-09-29 16:00:01Z", "2032-09-29 16:00:00Z")),
        (entry(life_s=60), standing(), Rejection.STALE, ("would end at 2032-09-28 16:01:00Z", "2032-09-28 16:01:00Z")),
        (
            entry(),
            standing(Held(10_000, OBSERVED_S + 9, OBSERVED_S)),
            Rejection.WRONG_ROUND,
            ("holds what was observed at 2032-09-28 16:00:00Z", "this report is of 2032-09-28 16:00:00Z"),
        ),
        (
            entry(),
            standing(now_s=OBSERVED_S + 901),
            Rejection.STALE,
            ("16:00:00Z", "nothing older than 2032-09-28 16:00:01Z"),
        ),
        (entry(), standing(now_s=OBSERVED_S - 1), Rejection.FUTURE, ("16:00:00Z", "latest is 2032-09-28 15:59:59Z")),
        (Entry(ACCOUNT, 12_000, (1 << 40) - 1), standing(), Rejection.OUT_OF_RANGE, ("1099511627775 s", "16:00:00Z")),
    ],
)
def test_what_the_contract_would_not_take_whole_is_refused_with_both_values(
    asked: Entry, at: Standing, reason: Rejection, both: tuple[str, str]
) -> None:
    with pytest.raises(Rejected) as refused:
        foretell([asked], at, ahead_s=0)
    assert refused.value.reason is reason
    assert all(value in refused.value.problem for value in both)


# --- signatures as strangers hand them over -------------------------------------------------------------------------


def signed(**changes: Any) -> dict[str, Any]:
    whole = {
        "version": 1,
        "chain_id": 1,
        "contract": OTHER,
        "round": ROUND,
        "epoch": 3,
        "bounds": msgspec.to_builtins(BOUNDS),
        "entries": [msgspec.to_builtins(entry())],
        "member": OTHER,
        "signature": "0x",
    }
    return whole | changes


def test_a_signature_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    told = msgspec.convert(signed(), Signed)
    told.write(path)
    assert Signed.read(path) == told


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"version": 2}, "of version 2"),
        ({"entries": []}, "no account"),
        ({"entries": [msgspec.to_builtins(entry())] * 2}, "one twice"),
        ({"entries": [msgspec.to_builtins(replace(entry(), account="0x12"))]}, "an address is none"),
        ({"entries": [msgspec.to_builtins(replace(entry(), multiplier_bp=1 << 16))]}, "does not fit"),
        ({"entries": [msgspec.to_builtins(replace(entry(), expires_at_s=-1))]}, "does not fit"),
        ({"round": 1 << 32}, "does not fit"),
        ({"round": "soon"}, "no signed report"),
        ({"member": OTHER.lower()}, "checksum"),
        ({"stranger": 1}, "no signed report"),
    ],
)
def test_a_signature_file_that_is_wrong_is_one_line(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(msgspec.json.encode(signed(**changes)))
    with pytest.raises(Fatal, match=complaint):
        Signed.read(path)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b'{"version": 1}'])
def test_a_signature_file_that_is_none_is_one_line(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(Fatal, match="check the path"):
        Signed.read(path)
    path.write_bytes(body)
    with pytest.raises(Fatal, match="no signed report"):
        Signed.read(path)
