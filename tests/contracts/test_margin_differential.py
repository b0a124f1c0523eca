"""Random portfolios on random words: the margin engine on a chain against its mirror, to the last unit.

500 of them, or 10,000 with MARGRAVE_LONG=1. The oracle is a few bytes of code that return four storage slots, which
each call overrides: so one engine sees as many markets as there are portfolios.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any, Final

import pytest
from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from margrave.chain import artifacts
from margrave.lab.bench.chain import local_chain
from margrave.lanes import PRICE_SHIFT, Words
from margrave.mirror import portfolio
from margrave.mirror.portfolio import Leg, Requirement
from margrave.spans import DAY_S
from tests.vectors.make import NOW_S, any_words, honest

pytestmark = pytest.mark.devnet

PORTFOLIOS: Final = 10_000 if os.environ.get("MARGRAVE_LONG") == "1" else 500
FRESH: Final = 1
ORACLE: Final = to_checksum_address("0x00000000000000000000000000000000000a11ce")
FOUR_SLOTS: Final = "0x5f545f52600154602052600254604052600354606052" + "60805ff3"
"""PUSH0 SLOAD PUSH0 MSTORE, three more of the kind, RETURN 128 bytes."""
LIVES_S: Final = (-60, 0, 1, 3_600, DAY_S, 7 * DAY_S, 20 * DAY_S, 60 * DAY_S, 365 * DAY_S, 3_650 * DAY_S)


@pytest.fixture(scope="module")
def chain() -> Iterator[Web3]:
    with local_chain(starts_at_s=NOW_S) as url:
        yield Web3(HTTPProvider(url))


@pytest.fixture(scope="module")
def engine(chain: Web3) -> Any:
    artifact = artifacts.load("MarginEngine")
    chain.provider.make_request(RPCEndpoint("anvil_setCode"), [ORACLE, FOUR_SLOTS])
    factory = chain.eth.contract(abi=artifact.abi, bytecode=HexStr(artifact.bytecode))
    sent = factory.constructor(ORACLE).transact({"from": chain.eth.accounts[0]})
    return chain.eth.contract(address=chain.eth.wait_for_transaction_receipt(sent)["contractAddress"], abi=artifact.abi)


def any_leg(rng: random.Random, spot: int) -> Leg:
    moneyness = rng.choice((rng.uniform(0.2, 4), rng.uniform(0.8, 1.25), 10 ** rng.uniform(-3, 3)))
    return Leg(
        expiry_s=NOW_S + rng.choice(LIVES_S),
        strike=min(int(spot * moneyness), 2**63) + 1,
        is_call=rng.random() < 0.5,
        quantity=rng.choice((-1, 1)) * rng.randrange(1, 10 ** rng.randrange(1, 13)),
    )


def any_portfolio(rng: random.Random, spot: int) -> list[Leg]:
    legs = [any_leg(rng, spot) for _ in range(rng.randrange(1, 9))]
    shape = rng.randrange(6)
    if shape == 0:
        legs = [Leg(x.expiry_s, x.strike, x.is_call, abs(x.quantity)) for x in legs]
    if shape == 1:  # spreads, so that what can be lost is bounded
        legs += [Leg(x.expiry_s, x.strike + rng.randrange(1, 10**9), x.is_call, -x.quantity) for x in legs]
    if shape == 2:  # one expiry
        legs = [Leg(legs[0].expiry_s, x.strike, x.is_call, x.quantity) for x in legs]
    if shape == 4:  # of one kind: few scenarios count
        sign = 1 if legs[0].quantity > 0 else -1
        legs = [Leg(x.expiry_s, x.strike, legs[0].is_call, sign * abs(x.quantity)) for x in legs]
    if shape == 5:  # all sold
        legs = [Leg(x.expiry_s, x.strike, x.is_call, -abs(x.quantity)) for x in legs]
    return legs


def asked(chain: Web3, engine: Any, words: Words, legs: list[Leg], multiplier_bp: int) -> Requirement:
    data = engine.encode_abi("requirement", [0, [leg.packed() for leg in legs], multiplier_bp])
    slots = {f"0x{slot:064x}": f"0x{x:064x}" for slot, x in enumerate((words.risk, words.market, 60, FRESH))}
    answer = chain.provider.make_request(
        RPCEndpoint("eth_call"),
        [{"to": engine.address, "data": data}, "latest", {ORACLE: {"stateDiff": slots}}, {"time": hex(NOW_S)}],
    )
    initial, maintenance, value, loss, scenario, status = chain.codec.decode(
        ["uint256", "uint256", "int256", "uint256", "uint256", "uint8"], bytes.fromhex(answer["result"][2:])
    )
    assert status == FRESH
    return Requirement(initial, maintenance, value, loss, scenario)


def test_the_engine_and_its_mirror_agree_to_the_last_unit(chain: Web3, engine: Any) -> None:
    rng = random.Random("margin differential")
    capped = 0
    for case in range(PORTFOLIOS):
        words = any_words(rng) if case % 4 == 0 else honest(rng)
        legs = any_portfolio(rng, words.market >> PRICE_SHIFT)
        multiplier_bp = rng.choice((0, 10_000, 12_345, 30_000))
        foretold = portfolio.requirement(words, legs, NOW_S, multiplier_bp)
        assert astuple(asked(chain, engine, words, legs, multiplier_bp)) == astuple(foretold), (words, legs)
        capped += foretold.initial == foretold.maintenance > 0
    assert PORTFOLIOS // 20 < capped < PORTFOLIOS * 19 // 20, "both sides of the cap were seen"
