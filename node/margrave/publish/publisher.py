"""The stage: wait for this node's turn, drop out if another was faster, simulate, send, read the result back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from margrave.chain import turns
from margrave.chain.oracle import Oracle
from margrave.errors import Rejected
from margrave.messages import AnyBundle, Bundle, ChainState, Epoch, Receipt
from margrave.mirror.words import RESUMED, flags
from margrave.ops import log
from margrave.ops.clock import Clock
from margrave.publish.sender import Sender
from margrave.verdicts import Outcome

REPLACE_AFTER_SHARE: Final = 0.25
"""Of the time left: a transaction that is pending for longer is replaced."""
LOOK_AGAIN_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    oracle: Oracle
    sender: Sender
    clock: Clock
    address: str

    async def publish(self, bundle: AnyBundle, epoch: Epoch, *, stagger_ms: int, until_ms: int) -> Receipt:
        """Bring the bundle to the chain, or see that somebody has.

        Raises:
            Transient: no RPC endpoint answers, or the transaction is still pending at `until_ms`.
        """
        turn_ms = self.clock.now_ms() + turns.wait_ms(bundle.round, self.address, epoch.members, stagger_ms)
        if (early := await self._wait(bundle, turn_ms=turn_ms, until_ms=until_ms)) is not None:
            return early
        data = self.oracle.calldata(bundle, epoch)
        left_s = self.clock.wall_s((until_ms - self.clock.now_ms()) / 1000)
        try:
            await self.oracle.simulate(data, self.address)
            mined = await self.sender.send(
                self.oracle.address,
                data,
                round_=bundle.round,
                until_ms=until_ms,
                replace_after_s=max(left_s * REPLACE_AFTER_SHARE, 0.5),
            )
        except Rejected as rejected:
            if await self._on_chain(bundle):
                return self._by_peer(bundle)
            log.get().error("the contract would refuse the report", problem=rejected.problem, advice=rejected.advice)
            return self._ended(bundle, Outcome.FAILED, rejected.problem)
        if mined["status"] != 1:
            if await self._on_chain(bundle):
                return self._by_peer(bundle)
            return self._ended(bundle, Outcome.FAILED, "the transaction reverted")
        return Receipt(
            round=bundle.round,
            outcome=Outcome.PUBLISHED,
            transaction="0x" + bytes(mined["transactionHash"]).hex(),
            block=mined["blockNumber"],
            gas_used=mined["gasUsed"],
            publisher=self.address,
            detail=f"{'quorum' if isinstance(bundle, Bundle) else 'co-signed by a quorum'} of {epoch.quorum}",
        )

    async def _wait(self, bundle: AnyBundle, *, turn_ms: int, until_ms: int) -> Receipt | None:
        """Until it is this node's turn and the chain's clock has reached the round; the receipt if it ends before."""
        while True:
            state = await self.oracle.state()
            if _carries(state, bundle):
                return self._by_peer(bundle)
            now_ms = self.clock.now_ms()
            if now_ms >= until_ms:
                return self._ended(bundle, Outcome.FAILED, f"block {state.block} is older than the round")
            if now_ms >= turn_ms and state.block_time_s >= bundle.round * state.period_s:
                return None
            left_s = self.clock.wall_s((turn_ms - now_ms) / 1000)
            await asyncio.sleep(min(max(left_s, LOOK_AGAIN_S), 1.0))

    async def _on_chain(self, bundle: AnyBundle) -> bool:
        return _carries(await self.oracle.state(), bundle)

    def _by_peer(self, bundle: AnyBundle) -> Receipt:
        return self._ended(bundle, Outcome.PUBLISHED_BY_PEER, "another member's transaction came first")

    def _ended(self, bundle: AnyBundle, outcome: Outcome, detail: str) -> Receipt:
        return Receipt(
            round=bundle.round,
            outcome=outcome,
            transaction=None,
            block=None,
            gas_used=None,
            publisher=None,
            detail=detail,
        )


def _carries(state: ChainState, bundle: AnyBundle) -> bool:
    """Whether any market of the bundle already has this round's observation, or a later one.

    A market that governance resumed meanwhile is stamped with that moment, and nobody has published it.
    """
    observed_s = bundle.round * state.period_s
    of_bundle = state.markets[bundle.first_market : bundle.first_market + bundle.markets]
    return any(m.observed_at_s >= observed_s and not flags(m.words) & RESUMED for m in of_bundle)
