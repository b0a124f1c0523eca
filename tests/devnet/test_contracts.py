"""The committed artifacts on a real chain: deployed, published to, traded on, and foretold by the mirror."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
from eth_account import Account

from margrave import lanes
from margrave.chain.deploy import Deployment, deploy, policy_digest
from margrave.chain.positions import MICRO, demonstration_positions, open_portfolio
from margrave.errors import Fatal
from margrave.lab.bench.chain import FUNDED_KEYS, MODEL_SET, Committee, local_chain, ordinary
from margrave.lanes import Words
from margrave.mirror import limits, portfolio
from margrave.mirror.medians import medians
from margrave.mirror.words import stamped, unstamped
from margrave.settings import POLICY_FILE, load_policy

pytestmark = pytest.mark.devnet
POLICY = load_policy(POLICY_FILE)
MARKETS, QUORUM = 2, 3


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_chain() as where:
        yield where


@pytest.fixture
def committee(url: str) -> Committee:
    return Committee(url, POLICY, members=4, quorum=QUORUM, markets=MARKETS)


def rows(round_: int) -> list[list[Words]]:
    return [[ordinary(market, member, round_) for market in range(MARKETS)] for member in range(QUORUM)]


def stressed(told: list[list[Words]]) -> list[list[Words]]:
    """The same with a liquidity add-on 192 bp higher, from which the contract lets down by steps."""
    high = 0xC0 << lanes.LANES["liquidity"].shift
    return [[Words(risk=words.risk | high, market=words.market) for words in own] for own in told]


def read(committee: Committee, market: int) -> Words:
    risk, word, _, _ = committee.oracle.functions.read(market).call()
    return Words(risk=risk, market=word)


def test_the_chain_computes_the_policy_digest_that_the_node_does(committee: Committee) -> None:
    _, _, kind, paused, quorum, model_set, digest, timing, members = committee.oracle.functions.state().call()[6]
    assert digest == policy_digest(POLICY, MARKETS)
    assert (kind, paused, quorum, model_set, len(members)) == (0, False, QUORUM, MODEL_SET, 4)
    assert timing == astuple(limits.timing(POLICY.round))


def test_published_rounds_are_stored_as_the_mirror_foretells(committee: Committee) -> None:
    policy = limits.policy_words(POLICY.limits.lanes, POLICY.limits.max_price_move)
    stored = [Words(risk=0, market=0)] * MARKETS
    held_back = 0
    for round_ in range(4):
        told = stressed(rows(round_)) if round_ == 0 else rows(round_)
        committee.publish(told)
        for market in range(MARKETS):
            median = medians([own[market] for own in told])
            assert median is not None
            got = read(committee, market)
            expected = limits.judge(
                stored[market],
                median,
                policy,
                observed_at_s=lanes.observed_at_s(got),
                min_interval_s=POLICY.round.min_interval_s,
            )
            assert (expected.halt, expected.skip) == (None, None)
            held_back += expected.limited
            assert got == stamped(expected.words, lanes.observed_at_s(got), limited=expected.limited, model_set_index=1)
            assert unstamped(got) == expected.words
            stored[market] = got
    assert held_back


def test_a_portfolio_is_opened_and_the_chain_asks_what_the_mirror_does(committee: Committee, url: str) -> None:
    committee.publish(rows(0))
    expiry_s = committee.sender.now_s() + 14 * 86_400
    wanted = [
        position
        for market in range(MARKETS)
        for position in demonstration_positions(market, lanes.price_usd(read(committee, market)), expiry_s, 1e6)
    ]
    open_portfolio(
        url,
        committee.deployment,
        account_private_key=FUNDED_KEYS[1],
        maker_private_key=FUNDED_KEYS[2],
        collateral_usd=1e6,
        positions=wanted,
    )
    house = committee.sender.at("OptionsClearinghouse", committee.deployment.clearinghouse)
    account = Account.from_key(FUNDED_KEYS[1]).address
    for market in range(MARKETS):
        initial, maintenance, value, _ = house.functions.requirementOf(account, market).call()
        legs = [
            portfolio.Leg(
                expiry_s=position.expiry_s,
                strike=round(position.strike * 10**8),
                is_call=position.is_call,
                quantity=round(position.quantity * MICRO),
            )
            for position in wanted
            if position.market_id == market
        ]
        assert len(legs) == 3
        foretold = portfolio.requirement(read(committee, market), legs, committee.sender.now_s())
        assert (initial, maintenance) == (-(-foretold.initial // 10**12), -(-foretold.maintenance // 10**12))
        assert value == foretold.value // 10**12
        assert initial > maintenance > 0


def test_a_portfolio_before_the_first_round_is_refused(committee: Committee, url: str) -> None:
    expiry_s = committee.sender.now_s() + 86_400
    with pytest.raises(Fatal, match="publish a round first"):
        open_portfolio(
            url,
            committee.deployment,
            account_private_key=FUNDED_KEYS[1],
            maker_private_key=FUNDED_KEYS[2],
            collateral_usd=1,
            positions=demonstration_positions(0, 60_000, expiry_s, 1e3),
        )


def test_what_the_chain_refuses_is_one_fatal_line(url: str) -> None:
    with pytest.raises(Fatal, match=r"refused .*committee"):
        deploy(
            url,
            FUNDED_KEYS[0],
            POLICY,
            markets=1,
            members=[Account.from_key(FUNDED_KEYS[0]).address],
            quorum=2,
            model_set=MODEL_SET,
        )


def test_an_endpoint_that_does_not_answer_is_one_fatal_line() -> None:
    with pytest.raises(Fatal, match="does not answer"):
        Committee("http://127.0.0.1:9", POLICY, members=4, quorum=3, markets=1)


def test_a_deployment_is_written_and_read_back(committee: Committee, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    committee.deployment.write(path)
    assert Deployment.read(path) == committee.deployment
    path.write_text("{}")
    with pytest.raises(Fatal, match="not a deployment"):
        Deployment.read(path)
    with pytest.raises(Fatal, match="deploy first"):
        Deployment.read(tmp_path / "none.json")
