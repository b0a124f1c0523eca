"""Members with real keys, the epoch that lists them, and words worth signing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from margrave.attest import proposals, quorum
from margrave.attest.pool import Pool
from margrave.attest.quorum import Domain
from margrave.chain.signer import KeystoreSigner
from margrave.lanes import Words
from margrave.messages import Attestation, CoSignature, Epoch, Explained, Proposal, Report, ReportRow
from margrave.mirror.limits import Timing
from margrave.mirror.typed_data import own_words_digest
from margrave.verdicts import ReportKind, Trigger

CHAIN_ID = 31337
ORACLE = "0x" + "11" * 20
DOMAIN = Domain(CHAIN_ID, ORACLE)
ROUND = 500
WORDS = (3, 5, 7, 11)


@dataclass(frozen=True)
class Committee:
    accounts: tuple[LocalAccount, ...]
    epoch: Epoch

    def signer(self, index: int) -> KeystoreSigner:
        return KeystoreSigner(self.accounts[index])

    def attest(
        self,
        index: int,
        *,
        words: tuple[int, ...] = WORDS,
        round_: int = ROUND,
        chain_id: int = CHAIN_ID,
        why: bytes | None = None,
    ) -> Attestation:
        """A member's own words, explained where `why` hashes to something."""
        signer = self.signer(index)
        digest = own_words_digest(
            chain_id=chain_id,
            oracle=ORACLE,
            epoch=self.epoch.number,
            round=round_,
            first_market=0,
            model_set=self.epoch.model_set,
            policy_digest=self.epoch.policy_digest,
            words=words,
        )
        own = Attestation(
            member=signer.address,
            round=round_,
            epoch=self.epoch.number,
            first_market=0,
            words=words,
            signature=signer.sign_digest(digest),
        )
        if why is None:
            return own
        by = signer.sign_digest(quorum.explanation_digest_of(own, why, Domain(chain_id, ORACLE)))
        return msgspec.structs.replace(own, explained=Explained(why, by))

    def proposal(self, own_words: Iterable[Attestation]) -> Proposal:
        bundle = quorum.gather(own_words, self.epoch)
        assert bundle is not None
        return proposals.propose(bundle)

    def vote(self, index: int, proposal: Proposal, *, oracle: str = ORACLE) -> CoSignature:
        signer = self.signer(index)
        digest = proposals.digest_of(proposal, self.epoch, chain_id=CHAIN_ID, oracle=oracle)
        return CoSignature(member=signer.address, signature=signer.sign_digest(digest))


def committee_of(size: int, quorum_: int, kind: ReportKind) -> Committee:
    accounts = tuple(Account.from_key(bytes([i + 1]) * 32) for i in range(size))
    epoch = Epoch(
        number=2,
        kind=kind,
        paused=False,
        quorum=quorum_,
        members=tuple(a.address for a in accounts),
        model_set=b"\x22" * 32,
        policy_digest=b"\x33" * 32,
        timing=Timing(max_skew=30, max_report_age=900, min_interval=300),
        classes=(),
        class_of=b"\x00\x00",
        group_of=b"\x00\x00",
        ring_of=b"\x00\x00",
    )
    return Committee(accounts, epoch)


def report_of(committee: Committee, word: int = 7) -> Report:
    row = ReportRow(market="BTC", market_id=0, trigger=Trigger.HEARTBEAT, words=Words(word, word))
    return Report(
        round=ROUND,
        epoch=committee.epoch.number,
        first_market=0,
        model_set=committee.epoch.model_set,
        policy_digest=committee.epoch.policy_digest,
        rows=(row,),
        halts=(),
        due=True,
    )


def pool_of(*held: Attestation) -> Pool:
    pool = Pool()
    for each in held:
        pool.add(each)
    return pool


@pytest.fixture(scope="session")
def committee() -> Committee:
    return committee_of(4, 3, ReportKind.OWN_WORDS)


@pytest.fixture(scope="session")
def co_signers(committee: Committee) -> Committee:
    epoch = msgspec.structs.replace(committee.epoch, kind=ReportKind.CO_SIGNED)
    return Committee(committee.accounts, epoch)
