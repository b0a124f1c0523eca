"""Four members with real keys, a chain state that lists them, and words worth signing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from margrave.chain.signer import KeystoreSigner
from margrave.messages import Attestation, ChainState
from margrave.mirror.typed_data import own_words_digest

CHAIN_ID = 31337
ORACLE = "0x" + "11" * 20
ROUND = 500
WORDS = (3, 5, 7, 11)


@dataclass(frozen=True)
class Committee:
    accounts: tuple[LocalAccount, ...]
    state: ChainState

    def attest(
        self, index: int, *, words: tuple[int, ...] = WORDS, round_: int = ROUND, chain_id: int = CHAIN_ID
    ) -> Attestation:
        signer = KeystoreSigner(self.accounts[index])
        digest = own_words_digest(
            chain_id=chain_id,
            oracle=ORACLE,
            epoch=self.state.epoch,
            round=round_,
            first_market=0,
            model_set=self.state.model_set,
            policy_digest=self.state.policy_digest,
            words=words,
        )
        return Attestation(
            member=signer.address,
            round=round_,
            epoch=self.state.epoch,
            first_market=0,
            words=words,
            signature=signer.sign_digest(digest),
        )


@pytest.fixture(scope="session")
def committee() -> Committee:
    accounts = tuple(Account.from_key(bytes([i + 1]) * 32) for i in range(4))
    state = ChainState(
        block=1,
        block_time_s=1_700_000_000,
        epoch=2,
        members=tuple(a.address for a in accounts),
        quorum=3,
        model_set=b"\x22" * 32,
        policy_digest=b"\x33" * 32,
        period_s=300,
        markets=(),
    )
    return Committee(accounts, state)
