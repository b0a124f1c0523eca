"""What happened in a round, read from the chain and from the nodes after it: one `RoundRow`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx2

from margrave import lanes
from margrave.attest import wire
from margrave.chain.oracle import Oracle
from margrave.errors import MargraveError
from margrave.lab.demo.blocks import Anvil
from margrave.lab.demo.record import MarketRow, RoundRow
from margrave.lanes import Words
from margrave.messages import Attestation, Attributed, ChainState, HurtPath, OnchainMarket, Reason
from margrave.mirror.words import is_limited
from margrave.ops.clock import Clock
from margrave.spans import YEAR_DAYS
from margrave.verdicts import DriftLevel, MarketStatus

DRIFTS: Final = tuple(level.name.lower() for level in DriftLevel)


class Account(Protocol):
    """The demonstration account: what the chain asks of it, and what a fixed grid would."""

    async def requirement_usd(self, market: str) -> float: ...

    def static_requirement_usd(self, market: str, price_usd: float, words: Words, now_ms: int) -> float: ...


@dataclass(slots=True, kw_only=True)
class Observer:
    """Looks at one round at a time, after it has ended."""

    anvil: Anvil
    oracle: Oracle
    clock: Clock
    account: Account
    markets: Sequence[str]
    members: Mapping[str, str]
    """Address to the node's name."""
    urls: Mapping[str, str]
    """Node's name to its service."""
    period_s: int
    client: httpx2.AsyncClient

    async def look(self, round_: int) -> RoundRow:
        state = await self.oracle.state()
        publication = await self._publication(round_)
        attestations = await self._attestations(round_)
        told = await self._told()
        # `Published`: first market (16 bits), markets (16), members who signed (32), then the history hash.
        bitmap = int(publication["data"], 16) >> 32 & 0xFFFFFFFF if publication else 0
        receipt = await self._receipt(publication)
        block_time_s = int((await self._block(publication))["timestamp"], 16) if publication else None
        late_s = None if block_time_s is None else self.clock.wall_s(block_time_s - round_ * self.period_s)
        return RoundRow(
            round=round_,
            time_ms=round_ * self.period_s * 1000,
            markets=await self._rows(state, attestations, told),
            published=publication is not None,
            publisher=self.members.get(_address(receipt["from"])) if receipt else None,
            signers=tuple(self.members[m] for i, m in enumerate(state.binding(round_).members) if bitmap >> i & 1),
            transaction=publication["transactionHash"] if publication else None,
            block=int(publication["blockNumber"], 16) if publication else None,
            gas_used=int(receipt["gasUsed"], 16) if receipt else None,
            seconds_to_chain=late_s,
            refusals=max((status["refused"] for status in told.values()), default=0),
            notes=tuple(_notes(told, round_, published=publication is not None)),
        )

    async def _rows(
        self, state: ChainState, attestations: Sequence[Attestation], told: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, MarketRow]:
        rows = {}
        for index, (name, market) in enumerate(zip(self.markets, state.markets, strict=True)):
            if market.status is not MarketStatus.EMPTY:
                rows[name] = await self._row(name, index, market, attestations, told)
        return rows

    async def _row(
        self,
        name: str,
        index: int,
        market: OnchainMarket,
        attestations: Sequence[Attestation],
        told: Mapping[str, Mapping[str, Any]],
    ) -> MarketRow:
        words = market.words
        views = [status["markets"][name] for status in told.values() if name in status["markets"]]
        view = views[0] if views else None
        price = lanes.price_usd(words)
        return MarketRow(
            price_usd=price,
            sigma_forecast=view["sigma_annual"] if view else None,
            sigma_implied_30d=lanes.decode(words, "total_vol_30d") / (30 / YEAR_DAYS) ** 0.5,
            down_es99=lanes.decode(words, "down_es99"),
            up_es99=lanes.decode(words, "up_es99"),
            down_q995=lanes.decode(words, "down_q995"),
            up_q995=lanes.decode(words, "up_q995"),
            score=lanes.decode(words, "score"),
            confidence=lanes.decode(words, "confidence"),
            reasons=tuple(Reason(**reason) for reason in view["reasons"]) if view else (),
            status=market.status,
            limited=is_limited(words),
            fallback=bool(view and view["fallback"]),
            drift=max((v["drift"] for v in views), key=DRIFTS.index, default=DRIFTS[0]),
            widening_down=max((v["widening"]["down"] for v in views), default=1.0),
            widening_up=max((v["widening"]["up"] for v in views), default=1.0),
            requirement_usd=await self.account.requirement_usd(name),
            static_requirement_usd=self.account.static_requirement_usd(name, price, words, self.clock.now_ms()),
            member_scores={
                self.members[a.member]: lanes.decode(_own(a, index), "score")
                for a in attestations
                if a.member in self.members and _own(a, index).market
            },
            cascade_probability=lanes.decode(words, "cascade_probability"),
            cascade_size=lanes.decode(words, "cascade_size"),
            cascade_probability_1h=view["cascade"]["within_1h"] if view else None,
            contagion=lanes.decode(words, "contagion"),
            contagion_paths=tuple(HurtPath(**path) for path in view["contagion"]["paths"]) if view else (),
            attribution=tuple(Attributed(**share) for share in _explained(views)),
            regime=view["regime"] if view else None,
            fallbacks=tuple(view["fallbacks"]) if view else (),
            masked=tuple(view["masked"]) if view else (),
        )

    async def _publication(self, round_: int) -> dict[str, Any] | None:
        found = await self.anvil.call(
            "eth_getLogs",
            {
                "address": self.oracle.address,
                "fromBlock": "0x0",
                "topics": [self.oracle.topic("Published"), f"{round_:#066x}"],
            },
        )
        return found[0] if found else None

    async def _receipt(self, publication: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if publication is None:
            return None
        receipt: dict[str, Any] = await self.anvil.call("eth_getTransactionReceipt", publication["transactionHash"])
        return receipt

    async def _block(self, publication: Mapping[str, Any]) -> dict[str, Any]:
        block: dict[str, Any] = await self.anvil.call("eth_getBlockByNumber", publication["blockNumber"], False)
        return block

    async def _attestations(self, round_: int) -> Sequence[Attestation]:
        """Every member's own words, from whichever node holds the most of them."""
        most: Sequence[Attestation] = ()
        for url in self.urls.values():
            try:
                answer = await self.client.get(f"{url}/v1/rounds/{round_}")
                held = wire.decode(answer.content).attestations if answer.status_code == httpx2.codes.OK else ()
            except (httpx2.HTTPError, MargraveError):
                continue
            most = max(most, held, key=len)
        return most

    async def _told(self) -> dict[str, dict[str, Any]]:
        told = {}
        for name, url in self.urls.items():
            try:
                told[name] = (await self.client.get(f"{url}/v1/status")).json()
            except (httpx2.HTTPError, ValueError):
                continue
        return told


def _explained(views: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Of the first node that explained the market: one that does not report it this round has nothing to explain."""
    return next((view["attribution"] for view in views if view["attribution"]), ())


def _own(attestation: Attestation, market: int) -> Words:
    at = 2 * (market - attestation.first_market)
    return Words(attestation.words[at], attestation.words[at + 1])


def _address(lower: str) -> str:
    from web3 import Web3

    return str(Web3.to_checksum_address(lower))


def _notes(told: Mapping[str, Mapping[str, Any]], round_: int, *, published: bool) -> list[str]:
    """Plain sentences on what went otherwise than usual, each once."""
    notes: list[str] = []
    for name, status in told.items():
        for hold in status["holds"]:
            notes.append(f"{name} held {hold['market']}: {hold['reason'].replace('_', ' ')}, {hold['detail']}.")
        if not published and status["last_round"] == round_:
            notes.append(f"{name}: {status['last_outcome']}, {status['why']}.")
    return notes
