"""Votes, rotations and reports on deployments that were handed over, and two of them with the same members."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from eth_account import Account
from web3 import Web3

from margrave import lanes
from margrave.chain.deployment.blueprint import calldata
from margrave.chain.deployment.proposal import announced, at_once
from margrave.chain.sender import Sender
from margrave.lab.bench.chain import MODEL_SET, local_chain
from margrave.mirror import account_risk
from margrave.mirror.account_risk import Bounds, Entry
from margrave.spans import DAY_S
from tests.devnet.governed import (
    ANYBODY,
    DEPLOYER_KEY,
    GUARDIAN_KEY,
    MARKETS,
    Chain,
    addresses,
    deployed,
    member_keys,
    refusal,
)

pytestmark = pytest.mark.devnet
ACCOUNT = Web3.to_checksum_address("0x" + "a1" * 20)
NAME = b"the same on both chains"
BOUNDS = Bounds(max_multiplier_bp=30_000, max_rise_bp=2_500, max_fall_bp=2_500, max_lifetime_s=DAY_S)
FIRST = member_keys(range(1, 5))
SECOND = member_keys(range(4, 11))
"""Seven members; the fourth of the first committee stays."""


@pytest.fixture
def chain() -> Iterator[Chain]:
    with local_chain() as url:
        yield deployed(url, NAME)


def stored(chain: Chain, market: int) -> tuple[int, int]:
    """The round whose figures the oracle holds, and the market's status."""
    _, word, _, status = chain.oracle.functions.read(market).call()
    return (word >> lanes.STAMP_SHIFT & (1 << lanes.STAMP_BITS) - 1) // 300, status


def test_a_committee_is_replaced_by_a_vote_and_no_round_is_missed(chain: Chain) -> None:
    """The vote names the round; every round before it is the old committee's, every one from it on the new one's."""
    chain.anybody.send(chain.report(chain.next_round(), FIRST))
    # Long enough ahead for the vote (8 days), the timelock (2) and the longer wait (3).
    turn = chain.anybody.now_s() // 300 + 14 * DAY_S // 300
    data = calldata("Registry", "setEpoch", (addresses(SECOND), 5, MODEL_SET, turn))
    manager, timelock = chain.record.address("authority"), chain.record.address("timelock")
    actions, later = announced(
        manager, timelock, chain.registry.address, data, wait_s=3 * DAY_S, salt=b"rotation".rjust(32)
    )
    chain.vote([x.target for x in actions], [x.data for x in actions], "a new committee")
    execute = chain.at("timelock").functions.execute(
        later.target, later.value, later.data, later.predecessor, later.salt
    )
    assert refusal(execute) == "TimelockUnexpectedOperationState"
    chain.move_to(chain.anybody.now_s() + 3 * DAY_S)
    chain.anybody.send(execute)
    _, _, following, from_round = chain.oracle.functions.head().call()
    assert (following, from_round) == (chain.registry.functions.newestEpoch().call(), turn)

    chain.move_to((turn - 3) * 300 - 1)
    published = []
    for _ in range(6):
        round_ = chain.next_round()
        keys, others = (FIRST, SECOND) if round_ < turn else (SECOND, FIRST)
        epoch, settings = chain.settings_of(round_)
        with pytest.raises(KeyError):
            chain.report(round_, others)  # the round's committee is another one
        chain.anybody.send(chain.report(round_, keys))
        assert stored(chain, 0)[0] == round_
        published.append((round_, len(settings[6]), epoch))
    rounds = [round_ for round_, _, _ in published]
    assert rounds == list(range(turn - 3, turn + 3))
    assert [members for _, members, _ in published] == [4, 4, 4, 7, 7, 7]


def test_a_round_before_the_rotation_may_still_be_published_after_it(chain: Chain) -> None:
    now = chain.anybody.now_s() // 300
    turn = now + 14 * DAY_S // 300
    data = calldata("Registry", "setEpoch", (addresses(SECOND), 5, MODEL_SET, turn))
    manager, timelock = chain.record.address("authority"), chain.record.address("timelock")
    actions, later = announced(manager, timelock, chain.registry.address, data, wait_s=3 * DAY_S, salt=bytes(32))
    chain.vote([x.target for x in actions], [x.data for x in actions], "a new committee")
    chain.move_to(chain.anybody.now_s() + 3 * DAY_S)
    chain.anybody.send(
        chain.at("timelock").functions.execute(later.target, later.value, later.data, later.predecessor, later.salt)
    )
    chain.move_to(turn * 300 + 5)
    chain.anybody.send(chain.report(turn - 1, FIRST))
    assert stored(chain, 0)[0] == turn - 1
    chain.anybody.send(chain.report(turn, SECOND))
    assert stored(chain, 0)[0] == turn
    assert refusal(chain.report(turn - 1, FIRST)) == "NothingNew"


def test_limits_change_by_a_vote_and_the_guardian_acts_at_once(chain: Chain) -> None:
    registry = chain.registry.functions
    _, settings = registry.current().call()
    held = list(settings[7][0])
    looser = [*held]
    looser[3] = held[3] + sum(1 << 16 * lane for lane in range(16))  # every risk lane may fall by one more
    data = calldata("Registry", "setClass", (0, tuple(looser), 0))
    actions = at_once(chain.registry.address, data)
    chain.vote([x.target for x in actions], [x.data for x in actions], "a little faster")
    assert list(registry.current().call()[1][7][0]) == looser

    guardian = Sender(chain.url, GUARDIAN_KEY)
    assert refusal(registry.tightenClass(0, tuple(held)), ANYBODY) == "AccessManagedUnauthorized"
    guardian.send(registry.tightenClass(0, tuple(held)))
    assert refusal(registry.tightenClass(0, tuple(looser)), guardian.address) == "NotTighter"
    assert refusal(registry.setClass(0, tuple(looser), 0), guardian.address) == "AccessManagedUnauthorized"
    round_ = chain.next_round()
    signed = chain.report(round_, FIRST)
    gone = addresses(FIRST)[0]
    guardian.send(registry.removeMember(gone))
    assert refusal(signed) in {"WrongSigner", "UnknownMembers"}
    chain.anybody.send(chain.report(round_, FIRST))
    guardian.send(registry.pause())
    assert refusal(registry.unpause(), guardian.address) == "AccessManagedUnauthorized"
    deployer = Account.from_key(DEPLOYER_KEY).address
    for call in (registry.unpause(), registry.pause(), registry.setClass(0, tuple(held), 0)):
        assert refusal(call, deployer) == "AccessManagedUnauthorized"


def test_an_account_s_multiplier_is_what_the_mirror_foretells(chain: Chain) -> None:
    account = ACCOUNT
    held = account_risk.NOTHING
    for wanted_bp in (12_000, 30_000, 30_000, 10_000, 10_000, 11_111):
        round_ = chain.next_round()
        entry = Entry(account, wanted_bp, chain.anybody.now_s() + 3_600)
        chain.anybody.send(chain.account_report(round_, FIRST, BOUNDS, [entry]))
        foretold = account_risk.settle(held, entry, round_ * 300, chain.anybody.now_s(), BOUNDS, paused=False)
        assert isinstance(foretold, account_risk.Held)
        held = foretold
        functions = chain.account_risk.functions
        assert functions.held(account).call() == [held.multiplier_bp, held.expires_at_s, held.observed_at_s]
        assert functions.multiplierOf(account).call() == account_risk.multiplier(held, chain.anybody.now_s())
    assert refusal(chain.account_report(round_, FIRST, BOUNDS, [entry])) == "NothingWritten"


def test_two_chains_with_the_same_members_and_addresses_do_not_take_each_other_s_reports() -> None:
    with ExitStack() as stack:
        one, other = (
            deployed(stack.enter_context(local_chain(chain_id=chain_id, starts_at_s=1_900_000_000)), NAME)
            for chain_id in (31_337, 31_338)
        )
        for key in ("oracle", "account_risk", "registry"):
            assert one.record.address(key) == other.record.address(key)
        round_ = max(one.anybody.now_s(), other.anybody.now_s()) // 300 + 2
        for chain in (one, other):
            chain.move_to(round_ * 300)
        entries = [Entry(ACCOUNT, 12_000, one.anybody.now_s() + 3_600)]
        for source, target in ((one, other), (other, one)):
            words = source.report(round_, FIRST)
            replayed = target.oracle.functions.publish(*words.args)
            assert refusal(replayed) == "WrongSigner"
            accounts = source.account_report(round_, FIRST, BOUNDS, entries)
            assert refusal(target.account_risk.functions.publish(*accounts.args)) == "WrongSigner"
        for chain in (one, other):
            chain.anybody.send(chain.report(round_, FIRST))
            chain.anybody.send(chain.account_report(round_, FIRST, BOUNDS, entries))
            assert all(stored(chain, market) == (round_, 1) for market in range(MARKETS))
