"""Gas, from receipts of real transactions on anvil: a report, a read, and margin by number of legs.

Reports are whole transactions in steady state (every slot was written before). Reads and margin are what executing
costs with all storage cold: the receipt less the 21,000 and the calldata of the transaction that called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from eth_account import Account
from web3.contract.contract import ContractFunction

from margrave.chain.positions import OptionPosition, open_portfolio
from margrave.lab.bench.chain import FUNDED_KEYS, Committee, local_chain, ordinary
from margrave.settings import PROJECT_ROOT, Policy, load_policy

MEMBERS: Final = 4
QUORUM: Final = 3
MARKETS: Final = (1, 10, 50)
LEGS: Final = (1, 8, 64)
ROUNDS: Final = 4
DAY_S: Final = 86_400
RICH_USD: Final = 1e9

# What no scheme with one signature a member and two words a market can avoid: EIP-2028, EIP-2929, EIP-2200.
TRANSACTION: Final = 21_000
REPLAY_SLOT: Final = 5_000
CODE_BLOB: Final = 2_600
SIGNATURE: Final = 3_000 + 64 * 16
TWO_SLOTS: Final = 10_000
TWO_WORDS: Final = 64 * 16


def run(say: Callable[[str], None]) -> dict[str, Any]:
    policy = load_policy(PROJECT_ROOT / "config" / "policy.toml")
    reports: dict[int, int] = {}
    with local_chain() as url:
        for markets in MARKETS:
            say(f"a report of {markets} market{'s' * (markets > 1)}, quorum {QUORUM} of {MEMBERS}")
            reports[markets] = _report(url, policy, markets)
        say("a read")
        committee = _published(url, policy, 1)
        read = _execution(committee, committee.oracle.functions.read(0))
    margin = {}
    for legs in LEGS:
        say(f"margin of {legs} leg{'s' * (legs > 1)}")
        with local_chain() as url:
            margin[legs] = _margin(url, policy, legs)
    return {
        "quorum": QUORUM,
        "members": MEMBERS,
        "report": {str(k): gas for k, gas in reports.items()},
        "report_over_floor": {str(k): round(gas / floor(k), 4) for k, gas in reports.items()},
        "read": read,
        "margin": {str(k): gas for k, gas in margin.items()},
        "margin_per_leg": {str(k): round(gas / k) for k, gas in margin.items()},
        "targets": [
            *(_row(f"report, {markets} market{'s' * (markets > 1)}", gas) for markets, gas in reports.items()),
            *(_row(f"margin, {legs} leg{'s' * (legs > 1)}, cold", gas) for legs, gas in margin.items()),
            _row("read, cold", read),
        ],
    }


def floor(markets: int) -> int:
    """The least gas of a report by this quorum, with nothing computed."""
    fixed = TRANSACTION + REPLAY_SLOT + CODE_BLOB + QUORUM * SIGNATURE
    return fixed + markets * (TWO_SLOTS + QUORUM * TWO_WORDS)


def _report(url: str, policy: Policy, markets: int) -> int:
    return _publish(Committee(url, policy, members=MEMBERS, quorum=QUORUM, markets=markets), markets)


def _published(url: str, policy: Policy, markets: int) -> Committee:
    committee = Committee(url, policy, members=MEMBERS, quorum=QUORUM, markets=markets)
    _publish(committee, markets)
    return committee


def _publish(committee: Committee, markets: int) -> int:
    """Gas of the last of several rounds."""
    used = 0
    for round_ in range(ROUNDS):
        rows = [[ordinary(market, member, round_) for market in range(markets)] for member in range(QUORUM)]
        used = committee.publish(rows)["gasUsed"]
    return used


def _margin(url: str, policy: Policy, legs: int) -> int:
    """Short calls of one expiry around the price: what Derive's published figures hold."""
    committee = _published(url, policy, 1)
    expiry_s = committee.sender.now_s() + 14 * DAY_S
    open_portfolio(
        url,
        committee.deployment,
        account_private_key=FUNDED_KEYS[1],
        maker_private_key=FUNDED_KEYS[2],
        collateral_usd=RICH_USD,
        positions=[
            OptionPosition(market_id=0, expiry_s=expiry_s, strike=45_000.0 + 500 * i, is_call=True, quantity=-1.0)
            for i in range(legs)
        ],
    )
    house = committee.sender.at("OptionsClearinghouse", committee.deployment.clearinghouse)
    owner = Account.from_key(FUNDED_KEYS[1]).address
    return _execution(committee, house.functions.requirementOf(owner, 0))


def _execution(committee: Committee, call: ContractFunction) -> int:
    """Gas of executing a view as a transaction, without what the transaction itself costs."""
    receipt = committee.sender.send(call)
    data = bytes.fromhex(call._encode_transaction_data()[2:])
    return receipt["gasUsed"] - TRANSACTION - sum(16 if byte else 4 for byte in data)


def _row(name: str, gas: int) -> dict[str, Any]:
    return {"name": name, "value": gas, "unit": "gas", "target": None, "holds": None}
