"""One key, one nonce at a time: write down, send, replace while it is stuck, settle.

The intent is in the journal before the bytes leave, so a crash at any instruction loses no transaction and sends none
twice: a repeated send of the same bytes is the same transaction, and a replacement has the same nonce.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from eth_typing import ChecksumAddress, HexStr
from web3 import Web3
from web3.exceptions import ContractCustomError, ContractLogicError, TransactionNotFound, Web3RPCError
from web3.types import RPCEndpoint, TxParams, TxReceipt

from margrave.chain.rpc import Rpc
from margrave.chain.signer import Signer
from margrave.errors import Rejected, Transient
from margrave.ops import log
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.publish.fees import GWEI, Fees
from margrave.store.journal import Journal
from margrave.verdicts import Rejection

GAS_MARGIN: Final = 1.2
"""Over the estimate: a block in between may change what the storage writes cost."""
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    rpc: Rpc
    signer: Signer
    journal: Journal
    clock: Clock
    metrics: Metrics
    chain_id: int
    max_fee_gwei: float
    confirmations: int
    """Blocks on top of a transaction's own before it is believed."""

    async def send(self, to: str, data: bytes, *, round_: int, until_ms: int, replace_after_s: float) -> TxReceipt:
        """Send, and wait until it is mined and as deep as `confirmations` says.

        Args:
            to: the contract.
            data: calldata.
            round_: the round it serves, for the journal.
            until_ms: market time at which waiting ends; the transaction stays in the journal to be settled later.
            replace_after_s: wall seconds after which a pending transaction is replaced by one that pays more.

        Raises:
            Rejected: it would revert, or the key cannot pay for it; nothing was sent.
            Transient: no endpoint answers, or the transaction is still pending at `until_ms`.
        """
        await self._still_open()  # what an earlier round left pending has the nonce of this one, and is replaced by it
        cap = round(self.max_fee_gwei * GWEI)
        base_fee = await self._base_fee()
        tip = await self._suggested_tip()
        nonce = await self.rpc.use(lambda w: w.eth.get_transaction_count(self._address, "latest"))
        call: TxParams = {"to": Web3.to_checksum_address(to), "data": data, "from": self._address}
        call["gas"] = await self._gas(call)
        call |= {"nonce": nonce, "chainId": self.chain_id, "value": Web3.to_wei(0, "wei")}
        fees: Fees | None = Fees.first(base_fee=base_fee, suggested_tip=tip, cap=cap)
        sent: list[str] = []
        while True:
            if fees is not None:
                sent.append(await self._send_once(call, fees, round_))
            receipt = await self._mined(sent, until_ms, patience_s=replace_after_s)
            buried = None if receipt is None else await self._buried(receipt, until_ms)
            if buried is not None:
                self._settle(sent, buried)
                return buried
            if self.clock.now_ms() >= until_ms:
                raise Transient(
                    f"transaction {sent[-1]} is still pending",
                    advice="raise chain.max_fee_gwei if this lasts; the next round replaces it",
                )
            if fees is not None and receipt is None:
                fees = fees.replacement(base_fee=await self._base_fee(), cap=cap)

    async def _gas(self, call: TxParams) -> int:
        try:
            return int(await self.rpc.use(lambda w: w.eth.estimate_gas(call)) * GAS_MARGIN)
        except (ContractCustomError, ContractLogicError, Web3RPCError) as error:
            # What passed a simulation a moment ago may not any more: another member's transaction came in between.
            raise Rejected(
                Rejection.VENUE_ERROR,
                f"the chain would refuse the transaction: {error}",
                advice="nothing if another member published; otherwise look at the key's balance: `margrave check`",
            ) from error

    async def reconcile(self) -> None:
        """Start-up is recovery: settle what the journal left open, and send again what the chain does not know.

        A transaction whose nonce has been used by another one can never be mined any more.
        """
        for transaction, round_, raw in await self._still_open():
            await self._broadcast(raw)
            log.get().info("transaction sent again", transaction=transaction, round=round_, advice="no action")

    async def _still_open(self) -> list[tuple[str, int, bytes]]:
        """Close what is mined or can never be; (hash, round, raw) of the rest."""
        still: list[tuple[str, int, bytes]] = []
        for transaction, round_, nonce, raw in self.journal.unsettled():
            receipt = await self._receipt(transaction)
            if receipt is not None:
                self._settle([transaction], receipt)
            elif await self.rpc.use(lambda w: w.eth.get_transaction_count(self._address, "latest")) > nonce:
                self.journal.settled(transaction, "replaced")
            else:
                still.append((transaction, round_, raw))
        return still

    @property
    def _address(self) -> ChecksumAddress:
        return Web3.to_checksum_address(self.signer.address)

    async def _send_once(self, call: TxParams, fees: Fees, round_: int) -> str:
        raw, transaction = self.signer.sign_transaction(
            {**{k: v for k, v in call.items() if k != "from"}, "type": 2}
            | {"maxFeePerGas": fees.max_fee, "maxPriorityFeePerGas": fees.tip}
        )
        self.journal.sending(
            round_=round_, nonce=call["nonce"], transaction=transaction, raw=raw, now_ms=self.clock.now_ms()
        )
        await self._broadcast(raw)
        self.metrics.transactions.labels(outcome="sent").inc()
        return transaction

    async def _broadcast(self, raw: bytes) -> None:
        try:
            await self.rpc.use(lambda w: w.eth.send_raw_transaction(raw))
        except Web3RPCError as error:
            # «Already known», «nonce too low», «underpriced»: the chain decides which of ours is mined; we look there.
            log.get().debug("endpoint refuses the transaction", problem=str(error), advice="no action")

    async def _mined(self, sent: list[str], until_ms: int, *, patience_s: float) -> TxReceipt | None:
        waited_s = 0.0
        while waited_s < patience_s and self.clock.now_ms() < until_ms:
            for transaction in reversed(sent):
                receipt = await self._receipt(transaction)
                if receipt is not None:
                    return receipt
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S
        return None

    async def _buried(self, receipt: TxReceipt, until_ms: int) -> TxReceipt | None:
        """The receipt once it is deep enough, or as it stands at `until_ms`; `None` if a reorganisation took it."""
        transaction = _hash(receipt)
        while await self.rpc.use(lambda w: w.eth.get_block_number()) < receipt["blockNumber"] + self.confirmations:
            if self.clock.now_ms() >= until_ms:
                break
            await asyncio.sleep(POLL_S)
            again = await self._receipt(transaction)
            if again is None:
                log.get().warning("a reorganisation took it back", transaction=transaction, advice="it is sent again")
                return None
            receipt = again
        return receipt

    async def _receipt(self, transaction: str) -> TxReceipt | None:
        try:
            return await self.rpc.use(lambda w: w.eth.get_transaction_receipt(HexStr(transaction)))
        except TransactionNotFound:
            return None

    async def _base_fee(self) -> int:
        block = await self.rpc.use(lambda w: w.eth.get_block("latest"))
        return int(block["baseFeePerGas"])

    async def _suggested_tip(self) -> int:
        # Not `eth.max_priority_fee`: it answers an endpoint's refusal with a guess of its own and a warning.
        method = RPCEndpoint("eth_maxPriorityFeePerGas")
        return int(await self.rpc.use(lambda w: w.manager.coro_request(method, [])), 16)

    def _settle(self, sent: list[str], receipt: TxReceipt) -> None:
        mined = _hash(receipt)
        outcome = "mined" if receipt["status"] == 1 else "reverted"
        for transaction in sent:
            self.journal.settled(transaction, outcome if transaction == mined else "replaced")
        self.metrics.transactions.labels(outcome=outcome).inc()


def _hash(receipt: TxReceipt) -> str:
    return "0x" + bytes(receipt["transactionHash"]).hex()
