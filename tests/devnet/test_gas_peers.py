"""The peers of the gas benchmark do what is charged for: signatures count, and what is stored is what was signed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import pytest
from eth_keys.datatypes import PrivateKey

from margrave.errors import Fatal
from margrave.lab.bench.chain import STARTS_AT_S, local_chain
from margrave.lab.bench.peers.median import Median
from margrave.lab.bench.peers.ocr2 import Ocr2
from margrave.lab.bench.peers.redstone import RedStone
from margrave.lab.bench.peers.table import Peer, members, peers
from margrave.lab.bench.peers.wire import Chain

pytestmark = [pytest.mark.devnet, pytest.mark.xdist_group("gas_peers")]

FEEDS = 3


def price(feed: int, signer: int, round_: int) -> int:
    """Signers far apart, so that a median is none of the others."""
    return 1_000 * (feed + 1) + [70, 10, 40][signer % 3] + round_


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_chain(starts_at_s=STARTS_AT_S) as endpoint:
        yield endpoint


def published(chain: Chain, peer: Peer) -> int:
    peer.publish(FEEDS, 0, chain.now_s() + 60, price)
    return peer.publish(FEEDS, 1, chain.now_s() + 60, price)


def median(feed: int) -> int:
    return statistics.median_low(price(feed, signer, 1) for signer in range(3))


def test_redstone_stores_the_median_of_its_signers(url: str) -> None:
    chain = Chain(url)
    peer = RedStone(chain, members(5), 3)
    assert published(chain, peer) > 50_000
    for feed in range(FEEDS):
        assert peer.read(feed)[2] == median(feed)
    assert peer.read_gas() > 2_100


def test_the_openzeppelin_oracle_stores_the_median_of_its_signers(url: str) -> None:
    chain = Chain(url)
    peer = Median(chain, members(5), 3)
    assert published(chain, peer) > 50_000
    for feed in range(FEEDS):
        assert peer.read(feed) == (median(feed), chain.now_s())
    assert peer.read_gas() > 2_100


def test_ocr2_stores_what_its_oracles_aggregated(url: str) -> None:
    chain = Chain(url)
    peer = Ocr2(chain, members(4), 1)
    assert published(chain, peer) > 50_000
    for feed in range(FEEDS):
        assert peer.read(feed) == (price(feed, 0, 1), chain.now_s())
    assert peer.read_gas() > 2_100


@pytest.mark.parametrize("kind", [RedStone, Median, Ocr2])
def test_a_stranger_s_signature_is_refused(url: str, kind: type[RedStone | Median | Ocr2]) -> None:
    chain = Chain(url)
    keys = members(4)
    peer = kind(chain, keys, 1 if kind is Ocr2 else 3)
    peer._signers = [PrivateKey((1000 + i).to_bytes(32, "big")) for i in range(len(peer._signers))]
    with pytest.raises(Fatal, match="revert"):
        peer.publish(FEEDS, 0, chain.now_s() + 60, price)


def test_the_table_has_every_committee_and_says_what_it_did_not_run(url: str) -> None:
    said: list[str] = []
    found = peers(url, price, said.append)
    assert len(said) == 9
    assert set(found["measured"]) == {"redstone", "openzeppelin_median", "chainlink_ocr2"}
    for name, row in found["measured"].items():
        for committee, gas in row["report"].items():
            assert gas["1"] < gas["10"] < gas["50"], f"{name}, {committee}"
    assert found["measured"]["redstone"]["conditions"] == "solc 0.8.17, optimizer runs 200, london"
    assert {"Derive v2 (feeds, PMRM, SRM)"} <= {row["name"] for row in found["not_run"]}
    assert all(row["conditions"] for row in found["quoted"])
