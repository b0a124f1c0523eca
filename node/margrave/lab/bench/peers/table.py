"""The peers of the gas benchmark: measured here, quoted from elsewhere, and not run, each with why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from eth_keys.datatypes import PrivateKey

from margrave.lab.bench.floor import COMMITTEES, MARKETS
from margrave.lab.bench.peers import median, ocr2, redstone
from margrave.lab.bench.peers.wire import Chain, Price

ROUNDS: Final = 4
ROUND_S: Final = 60
OCR2_ORACLES: Final = ((4, 1), (13, 4), (31, 10))
"""Oracles and the faults that they tolerate: their quorum is one more than the faults."""

NOT_RUN: Final[Sequence[Mapping[str, str]]] = (
    {
        "name": "Chainlink OCR2Aggregator and OffchainAggregator",
        "why": "they are libocr's, which npm does not have; @chainlink/contracts has OCR2Base and mocks of aggregators",
    },
    {
        "name": "@chainlink/contracts 1.3.0 and newer",
        "why": "depends on a Git repository, so a registry alone cannot install it; 0.8.0 is compiled instead",
    },
    {"name": "Chaos RiskOracle", "why": "not on npm; quoted instead"},
    {"name": "Derive v2 (feeds, PMRM, SRM)", "why": "not on npm; quoted instead"},
    {
        "name": "Pyth, API3, UMA, Chronicle Scribe, Maker Median, BGD AgentHub, Aave RiskSteward",
        "why": "not tried here",
    },
)

QUOTED: Final[Sequence[Mapping[str, Any]]] = (
    {
        "name": "Chaos RiskOracle: one trusted sender, no signature, no bounds",
        "conditions": "solc 0.8.25, runs 200; whole transaction on anvil prague, steady state; bulk publication of K",
        "report": {"1": 259_587, "10": 2_290_017, "50": 11_315_741},
    },
    {
        "name": "Chaos RiskOracle with BGD AgentHub's bounded injection",
        "conditions": "solc 0.8.20 and 0.8.27, runs 200; two transactions, steady state",
        "report": {"1": 375_638, "10": 2_976_804, "50": 14_696_812},
    },
    {
        "name": "Derive spot feeds, 3 signers, no step limits",
        "conditions": "solc 0.8.27, runs 100; whole transaction on anvil prague, steady state",
        "report": {"1": 78_095, "10": 510_008, "50": 2_433_701},
    },
    {
        "name": "Derive PMRM v1 margin, 23 scenarios, one expiry, short calls",
        "conditions": "solc 0.8.27, runs 100; execution, cold; includes its account's balances, perpetuals and feeds",
        "margin": {"1": 541_483, "8": 2_039_021, "16": 3_765_792, "64": 14_456_649},
    },
)
"""Measured for this project at another time, under the conditions given; nothing of it is run here."""


class Peer(Protocol):
    """One deployment of a peer."""

    def publish(self, feeds: int, round_: int, time_s: int, price: Price) -> int: ...
    def read(self, feed: int) -> tuple[Any, ...]: ...
    def read_gas(self) -> int: ...


def peers(url: str, price: Price, say: Callable[[str], None]) -> dict[str, Any]:
    """Every peer's reports of 1, 10 and 50 figures by committee, and its read."""
    chain = Chain(url)
    redstones = {c.name: redstone.RedStone(chain, members(c.members), c.quorum) for c in COMMITTEES}
    medians = {c.name: median.Median(chain, members(c.members), c.quorum) for c in COMMITTEES}
    ocr2s = {f"{faults + 1}of{n}": ocr2.Ocr2(chain, members(n), faults) for n, faults in OCR2_ORACLES}
    measured = {
        "redstone": _measured(chain, redstones, redstone, price, say),
        "openzeppelin_median": _measured(chain, medians, median, price, say),
        "chainlink_ocr2": _measured(chain, ocr2s, ocr2, price, say),
    }
    return {"measured": measured, "quoted": list(QUOTED), "not_run": list(NOT_RUN)}


def _measured(
    chain: Chain, deployments: Mapping[str, Peer], module: Any, price: Price, say: Callable[[str], None]
) -> dict[str, Any]:
    report: dict[str, dict[str, int]] = {}
    reads = []
    for committee, peer in deployments.items():
        say(f"{module.NAME}, {committee}")
        report[committee] = {str(feeds): _steady(chain, peer, feeds, price) for feeds in MARKETS}
        reads.append(peer.read_gas())
    return {
        "name": module.NAME,
        "what": module.WHAT,
        "conditions": module.COMPILER.conditions,
        "report": report,
        "read": max(reads),
    }


def _steady(chain: Chain, peer: Peer, feeds: int, price: Price) -> int:
    """Gas of the last of several rounds, when every slot has been written before."""
    used = 0
    for round_ in range(ROUNDS):
        used = peer.publish(feeds, round_, chain.now_s() + ROUND_S, price)
    return used


def members(count: int) -> list[PrivateKey]:
    """The benchmark's own keys, the same at every run."""
    return [PrivateKey(number.to_bytes(32, "big")) for number in range(1, count + 1)]
