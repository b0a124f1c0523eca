"""What was published, told by the chain's own record: each publication folded into the hash that the oracle keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from eth_typing import HexStr
from web3 import Web3

from margrave.chain.oracle import Oracle
from margrave.chain.rpc import Rpc
from margrave.messages import ChainState, Epoch
from margrave.mirror import history
from margrave.mirror.typed_data import co_signed_digest, own_words_digest

EPOCHS_BACK: Final = 8
"""How many older epochs a publication is tried with: a round of one may be published after the first of the next."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One `Published` event."""

    round: int
    block: int
    transaction: str
    history_hash: bytes
    """After it."""


@dataclass(frozen=True, slots=True)
class Refolded:
    """What came of folding a stretch of publications again."""

    publications: int
    unread: int
    """Published through another contract: their words are not in the transaction's own calldata."""
    differs: Publication | None
    """The first whose hash is not what its calldata gives."""
    ends_at_head: bool
    """Whether the last one's hash is the one that the oracle keeps."""


class History:
    """Reads publications of one oracle and folds them again."""

    def __init__(self, rpc: Rpc, oracle: Oracle, chain_id: int) -> None:
        self._rpc, self._oracle, self._chain_id = rpc, oracle, chain_id

    async def refold(self, state: ChainState, blocks: int) -> Refolded:
        """Fold the publications of the newest blocks up to `state`'s; the first of them is where the folding begins.

        Raises:
            Transient: no endpoint answers.
        """
        found = await self._publications(max(0, state.block - blocks), state.block)
        unread, newest = 0, (state.next_epoch or state.epoch).number
        for before, after in pairwise(found):
            call = await self._call(after)
            if call is None:
                unread += 1
            elif not await self._gives(call, before.history_hash, after.history_hash, newest):
                return Refolded(len(found), unread, after, ends_at_head=False)
        ends = not found or found[-1].history_hash == state.history_hash
        return Refolded(len(found), unread, None, ends_at_head=ends)

    async def _publications(self, first: int, last: int) -> list[Publication]:
        topic = self._oracle.topic("Published")
        logs = await self._rpc.use(
            lambda w: w.eth.get_logs(
                {
                    "address": Web3.to_checksum_address(self._oracle.address),
                    "fromBlock": first,
                    "toBlock": last,
                    "topics": [HexStr(topic)],
                }
            )
        )
        return [
            Publication(
                round=int.from_bytes(entry["topics"][1], "big"),
                block=entry["blockNumber"],
                transaction="0x" + bytes(entry["transactionHash"]).hex(),
                history_hash=bytes(entry["data"])[:20],
            )
            for entry in logs
        ]

    async def _call(self, publication: Publication) -> tuple[str, Mapping[str, Any]] | None:
        """Function and arguments of its transaction; `None` where that went to another contract."""
        transaction = await self._rpc.use(lambda w: w.eth.get_transaction(HexStr(publication.transaction)))
        if transaction.get("to") != self._oracle.address:
            return None
        return self._oracle.decoded(bytes(transaction["input"]))

    async def _gives(self, call: tuple[str, Mapping[str, Any]], before: bytes, after: bytes, newest: int) -> bool:
        for epoch in range(newest, max(newest - EPOCHS_BACK, 0), -1):
            settings = await self._oracle.settings(epoch)
            if settings is not None and history.fold(before, self._digests(call, settings)) == after:
                return True
        return False

    def _digests(self, call: tuple[str, Mapping[str, Any]], epoch: Epoch) -> list[bytes]:
        name, told = call
        words: Sequence[int] = told["words"]
        where = (self._chain_id, self._oracle.address, epoch.number)
        bound = (*where, told["round"], told["firstMarket"], epoch.model_set, epoch.policy_digest)
        if name == "publishCoSigned":
            return [co_signed_digest(*bound, told["evidenceRoot"], words)]
        signers = told["memberBitmap"].bit_count()
        each = len(words) // signers
        return [own_words_digest(*bound, words[i * each : (i + 1) * each]) for i in range(signers)]
