"""The journal: one SQLite file (WAL, one writer) that a crash at any instruction leaves readable.

Order is the safety: what is to be signed is written before the signature leaves the node, and what is to be sent before
it is sent. So a node that dies and starts again can neither sign a round twice with different content nor lose a
transaction it has sent.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from margrave.errors import Fatal, Rejected
from margrave.messages import Attestation, Proposal, Report, Scores, Snapshot, Surface
from margrave.verdicts import Outcome, Rejection

SCHEMA_VERSION: Final = 3
"""Version 1 had no co-signed reports, version 2 carried nothing from round to round but surfaces; their files are taken
on with all they hold."""

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS round (
    round       INTEGER PRIMARY KEY,
    snapshot    BLOB NOT NULL,
    surfaces    BLOB NOT NULL,
    carried     BLOB,
    scores      BLOB,
    report      BLOB,
    digest      BLOB,
    attestation BLOB,
    outcome     TEXT,
    detail      TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS attestation (
    round  INTEGER NOT NULL,
    member TEXT NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (round, member)
) STRICT;
CREATE TABLE IF NOT EXISTS co_signed (
    round    INTEGER PRIMARY KEY,
    digest   BLOB NOT NULL,
    proposal BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sending (
    hash       TEXT PRIMARY KEY,
    round      INTEGER NOT NULL,
    nonce      INTEGER NOT NULL,
    raw        BLOB NOT NULL,
    sent_ms    INTEGER NOT NULL,
    outcome    TEXT
) STRICT;
"""


class Journal:
    """Raises `Fatal` when the file is not a journal of this version, or another node holds it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=2.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version > SCHEMA_VERSION:
                raise Fatal(
                    f"{path} was written by journal version {version}, this node reads {SCHEMA_VERSION}",
                    advice="run the version that wrote it, or move the file away to start a new journal",
                )
            self._db.executescript(_SCHEMA)
            if "carried" not in {row[1] for row in self._db.execute("PRAGMA table_info (round)")}:
                self._db.execute("ALTER TABLE round ADD COLUMN carried BLOB")
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except sqlite3.Error as error:
            raise Fatal(f"{path}: {error}", advice="move the file away, or free the disk, and start again") from error

    def close(self) -> None:
        self._db.close()

    # what was seen and thought

    def saw(
        self, snapshot: Snapshot, surfaces: Mapping[str, Surface], carried: Mapping[str, object] | None = None
    ) -> None:
        """The round's inputs: the snapshot, the previous surfaces that calibration starts from, and what else the
        stage that scores has carried here from the rounds before, a message a market.

        A round that is already signed keeps the inputs of what was signed: those are what it must be replayed from.
        """
        self._db.execute(
            "INSERT INTO round (round, snapshot, surfaces, carried) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (round) "
            "DO UPDATE SET snapshot = ?2, surfaces = ?3, carried = ?4, scores = NULL WHERE digest IS NULL",
            (snapshot.round, _pack(snapshot), _pack(surfaces), _pack(carried or {})),
        )

    def scored(self, scores: Scores) -> None:
        self._db.execute(
            "UPDATE round SET scores = ? WHERE round = ? AND digest IS NULL", (_pack(scores), scores.round)
        )

    def ended(self, round_: int, outcome: str, detail: str) -> None:
        """How the round ended. What reached the chain stays so, whatever a restart inside the round makes of it."""
        self._db.execute(
            "UPDATE round SET outcome = ?, detail = ? WHERE round = ? AND outcome IS NOT ?",
            (outcome, detail, round_, Outcome.PUBLISHED),
        )

    # what was signed

    def pledge(self, report: Report, digest: bytes) -> None:
        """Bind this node to one digest for a round, before it signs.

        Raises:
            Rejected: EQUIVOCATION, when another digest is already bound to the round; EMPTY, when the round's inputs
                are not recorded, so that what is signed could not be replayed.
        """
        with self._transaction():
            row = self._db.execute("SELECT digest FROM round WHERE round = ?", (report.round,)).fetchone()
            if row is None:
                raise Rejected(Rejection.EMPTY, f"the journal has no inputs for round {report.round}")
            if row[0] is not None and row[0] != digest:
                raise Rejected(Rejection.EQUIVOCATION, f"round {report.round} is already bound to another report")
            self._db.execute(
                "UPDATE round SET report = ?, digest = ? WHERE round = ?", (_pack(report), digest, report.round)
            )

    def pledged(self, round_: int) -> Report | None:
        """The report this node is bound to for a round, if it is."""
        row = self._db.execute("SELECT report FROM round WHERE round = ?", (round_,)).fetchone()
        return None if row is None or row[0] is None else _unpack(row[0], Report)

    def signed(self, own: Attestation) -> None:
        self._db.execute("UPDATE round SET attestation = ? WHERE round = ?", (_pack(own), own.round))
        self.received(own)

    def received(self, attestation: Attestation) -> None:
        """Keep a verified attestation; the first of a member for a round wins. Its explanation may come later."""
        where = (attestation.round, attestation.member)
        with self._transaction():
            row = self._db.execute("SELECT body FROM attestation WHERE round = ? AND member = ?", where).fetchone()
            if row is not None:
                known = _unpack(row[0], Attestation)
                if known.explained is not None or known.words != attestation.words:
                    return
            self._db.execute(
                "INSERT OR REPLACE INTO attestation (round, member, body) VALUES (?, ?, ?)",
                (*where, _pack(attestation)),
            )

    def pledge_co_signed(self, proposal: Proposal, digest: bytes) -> None:
        """Bind this node to one co-signed digest for a round, before it signs.

        Raises:
            Rejected: EQUIVOCATION, when another digest is already bound to the round.
        """
        with self._transaction():
            row = self._db.execute("SELECT digest FROM co_signed WHERE round = ?", (proposal.round,)).fetchone()
            if row is not None and row[0] != digest:
                raise Rejected(
                    Rejection.EQUIVOCATION, f"round {proposal.round} is already bound to another co-signed report"
                )
            self._db.execute(
                "INSERT OR IGNORE INTO co_signed (round, digest, proposal) VALUES (?, ?, ?)",
                (proposal.round, digest, _pack(proposal)),
            )

    def pledged_co_signed(self, round_: int) -> Proposal | None:
        """The proposal this node is bound to co-sign for a round, if it is."""
        row = self._db.execute("SELECT proposal FROM co_signed WHERE round = ?", (round_,)).fetchone()
        return None if row is None else _unpack(row[0], Proposal)

    # what was sent

    def sending(self, *, round_: int, nonce: int, transaction: str, raw: bytes, now_ms: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO sending (hash, round, nonce, raw, sent_ms) VALUES (?, ?, ?, ?, ?)",
            (transaction, round_, nonce, raw, now_ms),
        )

    def settled(self, transaction: str, outcome: str) -> None:
        self._db.execute("UPDATE sending SET outcome = ? WHERE hash = ?", (outcome, transaction))

    def unsettled(self) -> list[tuple[str, int, int, bytes]]:
        """(hash, round, nonce, raw) of transactions whose fate is unknown, oldest first."""
        return list(
            self._db.execute("SELECT hash, round, nonce, raw FROM sending WHERE outcome IS NULL ORDER BY sent_ms")
        )

    # what can be read back

    def rounds(self) -> list[int]:
        return [row[0] for row in self._db.execute("SELECT round FROM round ORDER BY round")]

    def snapshot(self, round_: int) -> Snapshot:
        return _unpack(self._blob(round_, "snapshot"), Snapshot)

    def surfaces(self, round_: int) -> dict[str, Surface]:
        return _unpack(self._blob(round_, "surfaces"), dict[str, Surface])

    def carried(self, round_: int, kind: type[T]) -> dict[str, T]:
        """What `saw` was given, one `kind` a market; nothing in a round of before version 3.

        Raises:
            Rejected: MALFORMED, when another release wrote it in another shape.
        """
        row = self._db.execute("SELECT carried FROM round WHERE round = ?", (round_,)).fetchone()
        if row is None or row[0] is None:
            return {}
        try:
            return msgspec.json.decode(zlib.decompress(row[0]), type=dict[str, kind])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise Rejected(
                Rejection.MALFORMED,
                f"what round {round_} carried is of another release: {error}",
                advice="replay it with the release that wrote it",
            ) from error

    def has_scored(self, round_: int) -> bool:
        row = self._db.execute("SELECT scores IS NOT NULL FROM round WHERE round = ?", (round_,)).fetchone()
        return row is not None and bool(row[0])

    def scores(self, round_: int) -> Scores:
        return _unpack(self._blob(round_, "scores"), Scores)

    def report(self, round_: int) -> Report:
        return _unpack(self._blob(round_, "report"), Report)

    def attestations(self, round_: int) -> list[Attestation]:
        rows = self._db.execute("SELECT body FROM attestation WHERE round = ? ORDER BY member", (round_,))
        return [_unpack(row[0], Attestation) for row in rows]

    def outcome(self, round_: int) -> tuple[str, str]:
        row = self._db.execute("SELECT outcome, detail FROM round WHERE round = ?", (round_,)).fetchone()
        return ("", "") if row is None else (row[0] or "", row[1] or "")

    def prune(self, before_round: int) -> int:
        """Forget rounds older than `before_round`; returns how many."""
        with self._transaction():
            gone = self._db.execute("DELETE FROM round WHERE round < ?", (before_round,)).rowcount
            self._db.execute("DELETE FROM attestation WHERE round < ?", (before_round,))
            self._db.execute("DELETE FROM co_signed WHERE round < ?", (before_round,))
            self._db.execute("DELETE FROM sending WHERE round < ? AND outcome IS NOT NULL", (before_round,))
        return gone

    def _blob(self, round_: int, column: str) -> bytes:
        row = self._db.execute(f"SELECT {column} FROM round WHERE round = ?", (round_,)).fetchone()  # noqa: S608
        if row is None or row[0] is None:
            raise Rejected(
                Rejection.EMPTY,
                f"the journal has no {column} for round {round_}",
                advice="list the rounds it has with `margrave replay --list`",
            )
        blob: bytes = row[0]
        return blob

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _pack(message: object) -> bytes:
    return zlib.compress(msgspec.json.encode(message), 1)


def _unpack(blob: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(zlib.decompress(blob), type=kind)
