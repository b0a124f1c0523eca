from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from margrave.errors import Fatal, Rejected
from margrave.lanes import Words
from margrave.messages import Attestation, Proposal, Report, ReportRow, Scores, Snapshot, Stated, Surface
from margrave.store.journal import Journal
from margrave.verdicts import Rejection, Trigger

SURFACE = Surface(
    total_vol_7d=0.1, total_vol_30d=0.2, total_vol_90d=0.3, rho=-0.1, wing=1.0, decay=0.4, rmse_vol=0.01, quotes_used=90
)


def snapshot(round_: int) -> Snapshot:
    return Snapshot(round=round_, as_of_ms=round_ * 300_000, markets=(), holds=(), refusals=())


def report(round_: int, word: int = 7) -> Report:
    row = ReportRow(market="BTC", market_id=0, trigger=Trigger.HEARTBEAT, words=Words(word, word))
    return Report(
        round=round_,
        epoch=1,
        first_market=0,
        model_set=b"\1" * 32,
        policy_digest=b"\2" * 32,
        rows=(row,),
        halts=(),
        due=True,
    )


def attestation(round_: int, member: str = "0xaa", word: int = 7) -> Attestation:
    return Attestation(
        member=member, round=round_, epoch=1, first_market=0, words=(word, 1 << 255), signature=b"\3" * 64
    )


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_a_round_is_read_back_as_it_was_written(journal: Journal) -> None:
    scores = Scores(round=5, as_of_ms=1, model_set=b"\1" * 32, markets=(), holds=())
    journal.saw(snapshot(5), {"BTC": SURFACE})
    journal.scored(scores)
    journal.ended(5, "published", "quorum of 3")
    assert journal.snapshot(5) == snapshot(5)
    assert journal.surfaces(5) == {"BTC": SURFACE}
    assert journal.scores(5) == scores
    assert journal.outcome(5) == ("published", "quorum of 3")
    assert journal.rounds() == [5]


def test_a_round_that_was_published_stays_published(journal: Journal) -> None:
    journal.saw(snapshot(5), {})
    journal.ended(5, "failed", "no RPC endpoint answers")
    journal.ended(5, "published", "quorum of 3")
    journal.ended(5, "held", "already_published")
    assert journal.outcome(5) == ("published", "quorum of 3")


def test_a_round_is_bound_to_the_first_digest(journal: Journal) -> None:
    journal.saw(snapshot(5), {})
    journal.pledge(report(5), b"digest one")
    journal.pledge(report(5), b"digest one")
    with pytest.raises(Rejected) as refused:
        journal.pledge(report(5, word=8), b"digest two")
    assert refused.value.reason is Rejection.EQUIVOCATION
    assert journal.report(5) == report(5)


def test_the_bond_survives_a_restart(tmp_path: Path) -> None:
    before = Journal(tmp_path / "journal.sqlite")
    before.saw(snapshot(5), {})
    before.pledge(report(5), b"digest one")
    # No close: the process was killed.
    after = Journal(tmp_path / "journal.sqlite")
    with pytest.raises(Rejected):
        after.pledge(report(5, word=8), b"digest two")


def test_a_round_seen_again_keeps_its_bond(journal: Journal) -> None:
    """A node that restarts inside a round snapshots it again; what it has signed must still bind it."""
    journal.saw(snapshot(5), {})
    journal.pledge(report(5), b"digest one")
    journal.saw(snapshot(5), {"BTC": SURFACE})
    with pytest.raises(Rejected):
        journal.pledge(report(5, word=8), b"digest two")


def test_a_round_that_was_never_seen_can_not_be_signed(journal: Journal) -> None:
    with pytest.raises(Rejected):
        journal.pledge(report(6), b"digest")


def test_of_two_attestations_of_a_member_the_first_is_kept(journal: Journal) -> None:
    journal.received(attestation(5))
    journal.received(attestation(5, word=8))
    assert journal.attestations(5) == [attestation(5)]


def test_what_was_sent_is_open_until_it_is_settled(journal: Journal) -> None:
    journal.sending(round_=5, nonce=3, transaction="0x01", raw=b"raw", now_ms=1)
    journal.sending(round_=5, nonce=3, transaction="0x02", raw=b"raw again", now_ms=2)
    assert [row[0] for row in journal.unsettled()] == ["0x01", "0x02"]
    journal.settled("0x01", "replaced")
    journal.settled("0x02", "mined")
    assert journal.unsettled() == []


def test_pruning_forgets_old_rounds_but_no_open_transaction(journal: Journal) -> None:
    for round_ in (1, 2, 3):
        journal.saw(snapshot(round_), {})
        journal.received(attestation(round_))
    journal.sending(round_=1, nonce=0, transaction="0x01", raw=b"raw", now_ms=1)
    assert journal.prune(before_round=3) == 2
    assert journal.rounds() == [3]
    assert journal.attestations(1) == []
    assert len(journal.unsettled()) == 1


def test_a_round_that_is_not_there_is_said_to_be_missing(journal: Journal) -> None:
    with pytest.raises(Rejected, match="no snapshot for round 9"):
        journal.snapshot(9)


def test_a_file_that_is_no_database_stops_the_node(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"this is not a database, and long enough to be read as one" * 20)
    with pytest.raises(Fatal, match="move the file away"):
        Journal(tmp_path / "journal.sqlite")


def proposal(round_: int, word: int = 7) -> Proposal:
    stated = tuple(Stated(f"0x{i}", bytes([i]) * 32) for i in range(3))
    return Proposal(round=round_, epoch=1, first_market=0, stated=stated, words=(word, 1 << 255))


def test_a_node_is_bound_to_the_first_proposal_it_co_signs_whatever_comes_later(journal: Journal) -> None:
    assert journal.pledged_co_signed(5) is None
    journal.pledge_co_signed(proposal(5), b"\x01" * 32)
    journal.pledge_co_signed(proposal(5), b"\x01" * 32)
    with pytest.raises(Rejected) as refused:
        journal.pledge_co_signed(proposal(5, word=8), b"\x02" * 32)
    assert refused.value.reason is Rejection.EQUIVOCATION
    assert journal.pledged_co_signed(5) == proposal(5)
    journal.pledge_co_signed(proposal(6, word=8), b"\x02" * 32)


def test_the_bond_to_a_proposal_outlives_the_process(tmp_path: Path) -> None:
    before = Journal(tmp_path / "journal.sqlite")
    before.pledge_co_signed(proposal(5), b"\x01" * 32)
    before.close()
    after = Journal(tmp_path / "journal.sqlite")
    assert after.pledged_co_signed(5) == proposal(5)
    after.prune(6)
    assert after.pledged_co_signed(5) is None


def test_a_journal_of_the_first_version_is_taken_on_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    old = Journal(path)
    old.saw(snapshot(5), {"BTC": SURFACE})
    old.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE co_signed")
        db.execute("PRAGMA user_version = 1")
    again = Journal(path)
    assert again.snapshot(5) == snapshot(5)
    again.pledge_co_signed(proposal(6), b"\x01" * 32)


def test_a_journal_of_another_version_stops_the_node(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Fatal, match="version 99"):
        Journal(tmp_path / "journal.sqlite")


def test_what_a_round_carried_is_read_back_and_a_round_of_before_carried_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    old = Journal(path)
    old.saw(snapshot(5), {"BTC": SURFACE})
    old.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE round DROP COLUMN carried")
        db.execute("PRAGMA user_version = 2")
    again = Journal(path)
    assert again.carried(5, Surface) == {}
    assert again.surfaces(5) == {"BTC": SURFACE}
    again.saw(snapshot(6), {}, {"BTC": SURFACE})
    assert again.carried(6, Surface) == {"BTC": SURFACE}
    assert again.carried(7, Surface) == {}


def test_what_another_release_carried_is_refused_and_not_guessed_at(journal: Journal) -> None:
    journal.saw(snapshot(5), {}, {"BTC": SURFACE})
    with pytest.raises(Rejected) as refused:
        journal.carried(5, Scores)
    assert refused.value.reason is Rejection.MALFORMED


def test_a_signed_round_keeps_what_it_carried_when_it_was_signed(journal: Journal) -> None:
    journal.saw(snapshot(5), {}, {"BTC": SURFACE})
    journal.pledge(report(5), b"digest one")
    journal.saw(snapshot(5), {}, {})
    assert journal.carried(5, Surface) == {"BTC": SURFACE}
