from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from eth_account import Account

from margrave.chain.rpc import Rpc
from margrave.chain.signer import KeystoreSigner
from margrave.errors import Fatal, Rejected, Transient
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.publish.sender import Sender
from margrave.settings import ChainSettings
from margrave.store.journal import Journal

from .hostile import CHAIN_ID, HostileChain

TO = "0x" + "22" * 20
REPLACE_AFTER_S = 0.15


@asynccontextmanager
async def sender(folder: Path, *urls: str, confirmations: int = 0) -> AsyncIterator[Sender]:
    settings = ChainSettings(rpc=list(urls), chain_id=CHAIN_ID, oracle=TO, timeout_s=2)
    rpc = Rpc(settings)
    try:
        yield Sender(
            rpc=rpc,
            signer=KeystoreSigner(Account.from_key(b"\x01" * 32)),
            journal=Journal(folder / "journal.sqlite"),
            clock=Clock(),
            metrics=Metrics(),
            chain_id=CHAIN_ID,
            max_fee_gwei=0.000_001,
            confirmations=confirmations,
        )
    finally:
        await rpc.aclose()


async def send(node: Sender, *, wait_s: float = 10.0) -> int:
    until_ms = node.clock.now_ms() + int(wait_s * 1000)
    receipt = await node.send(TO, b"data", round_=5, until_ms=until_ms, replace_after_s=REPLACE_AFTER_S)
    return receipt["status"]


async def test_a_stuck_transaction_is_replaced_until_it_is_mined(tmp_path: Path) -> None:
    chain = HostileChain(wants_max_fee=40)
    async with chain.serve() as url, sender(tmp_path, url) as node:
        assert await send(node) == 1
        assert len(chain.received) > 1
        assert len(chain.mined) == 1
        assert node.journal.unsettled() == []


async def test_a_send_that_the_endpoint_lost_is_made_up_for(tmp_path: Path) -> None:
    chain = HostileChain(drops=1)
    async with chain.serve() as url, sender(tmp_path, url) as node:
        assert await send(node) == 1
        assert chain.nonce == 1


@pytest.mark.parametrize("why", ["execution reverted: NothingNew", "insufficient funds for gas * price + value"])
async def test_what_the_chain_would_refuse_is_not_sent_and_does_not_stop_the_node(tmp_path: Path, why: str) -> None:
    """Between a simulation and the estimate another member's transaction may come in, or the last ether go out."""
    chain = HostileChain(refuses=why)
    async with chain.serve() as url, sender(tmp_path, url) as node:
        with pytest.raises(Rejected, match=re.escape(why.split(":")[0])):
            await send(node)
        assert chain.received == []
        assert node.journal.unsettled() == []


async def test_a_dead_endpoint_is_passed_over(tmp_path: Path) -> None:
    chain = HostileChain()
    async with HostileChain(down=True).serve() as dead, chain.serve() as url, sender(tmp_path, dead, url) as node:
        assert await send(node) == 1


async def test_an_overloaded_endpoint_is_passed_over(tmp_path: Path) -> None:
    chain = HostileChain()
    async with HostileChain(overloaded=True).serve() as busy, chain.serve() as url, sender(tmp_path, busy, url) as node:
        assert await send(node) == 1


async def test_no_endpoint_at_all_is_transient_and_names_each(tmp_path: Path) -> None:
    dead = HostileChain(down=True)
    async with dead.serve() as one, dead.serve() as two, sender(tmp_path, one, two) as node:
        with pytest.raises(Transient) as failed:
            await send(node)
    assert one in str(failed.value)
    assert two in str(failed.value)


async def test_a_transaction_pending_at_the_deadline_is_settled_at_the_next_start(tmp_path: Path) -> None:
    chain = HostileChain(wants_max_fee=10**18)
    async with chain.serve() as url:
        async with sender(tmp_path, url) as node:
            with pytest.raises(Transient, match="still pending"):
                await send(node, wait_s=0.5)
            assert node.journal.unsettled()
        chain.wants_max_fee = 0
        async with sender(tmp_path, url) as restarted:
            await restarted.reconcile()  # sends again what the chain may have forgotten
            await restarted.reconcile()
            assert restarted.journal.unsettled() == []
    assert chain.nonce == 1


async def test_a_crash_between_the_journal_and_the_send_loses_nothing_and_sends_once(tmp_path: Path) -> None:
    chain = HostileChain()
    async with chain.serve() as url:
        async with sender(tmp_path, url) as node:
            chain.down = True
            raw, transaction = node.signer.sign_transaction(
                {
                    "to": TO,
                    "data": b"data",
                    "nonce": 0,
                    "chainId": CHAIN_ID,
                    "value": 0,
                    "gas": 60_000,
                    "type": 2,
                    "maxFeePerGas": 50,
                    "maxPriorityFeePerGas": 2,
                }
            )
            node.journal.sending(round_=5, nonce=0, transaction=transaction, raw=raw, now_ms=1)
        chain.down = False
        async with sender(tmp_path, url) as restarted:
            await restarted.reconcile()
            await restarted.reconcile()
            assert restarted.journal.unsettled() == []
    assert chain.received == [raw]
    assert list(chain.mined) == [transaction]


async def test_a_nonce_that_another_transaction_used_closes_the_old_one(tmp_path: Path) -> None:
    chain = HostileChain(nonce=1)
    async with chain.serve() as url, sender(tmp_path, url) as node:
        node.journal.sending(round_=5, nonce=0, transaction="0x" + "ab" * 32, raw=b"raw", now_ms=1)
        await node.reconcile()
        assert node.journal.unsettled() == []
        assert chain.received == []


async def test_a_transaction_that_reverts_is_reported_as_such(tmp_path: Path) -> None:
    chain = HostileChain(reverts=True)
    async with chain.serve() as url, sender(tmp_path, url) as node:
        assert await send(node) == 0


async def test_what_an_earlier_round_left_pending_is_replaced_by_the_next_and_closed(tmp_path: Path) -> None:
    chain = HostileChain(wants_max_fee=10**18)
    async with chain.serve() as url, sender(tmp_path, url) as node:
        with pytest.raises(Transient):
            await send(node, wait_s=0.3)
        (_, offered, _) = chain.pending[0]
        chain.wants_max_fee = offered + 1
        assert await send(node) == 1
        assert chain.nonce == 1
        assert await send(node) == 1
        assert node.journal.unsettled() == []
    assert chain.nonce == 2


async def test_a_transaction_is_believed_only_under_its_confirmations(tmp_path: Path) -> None:
    chain = HostileChain()
    async with chain.serve() as url, sender(tmp_path, url, confirmations=5) as node:
        assert await send(node) == 1
    assert chain.height >= 2 + 5


async def test_a_transaction_that_a_reorganisation_took_back_is_sent_again(tmp_path: Path) -> None:
    chain = HostileChain(reorgs=2)
    async with chain.serve() as url, sender(tmp_path, url, confirmations=4) as node:
        assert await send(node) == 1
        assert node.journal.unsettled() == []
    assert len(chain.received) == 3
    assert len(set(chain.received)) == 1  # the same bytes: never a second transaction
    assert chain.nonce == 1


async def test_no_offer_passes_the_operators_cap(tmp_path: Path) -> None:
    chain = HostileChain(wants_max_fee=10**18)
    async with chain.serve() as url, sender(tmp_path, url) as node:
        with pytest.raises(Transient):
            await send(node, wait_s=1.5)
    offers = [offer for _, offer, _ in chain.pending.values()]
    assert max(offers) <= 1000  # 0.000001 gwei


async def test_an_endpoint_of_another_chain_stops_the_node(tmp_path: Path) -> None:
    async with HostileChain(chain_id=1).serve() as url, sender(tmp_path, url) as node:
        with pytest.raises(Fatal, match="is chain 1, the configuration says 31337"):
            await node.rpc.verify_chain()


async def test_silence_from_every_endpoint_is_transient(tmp_path: Path) -> None:
    async with HostileChain(down=True).serve() as url, sender(tmp_path, url) as node:
        with pytest.raises(Transient):
            await asyncio.wait_for(node.rpc.verify_chain(), 10)
