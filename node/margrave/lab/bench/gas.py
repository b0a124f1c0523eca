"""Gas, from receipts of real transactions on anvil: reports of two kinds, reads, margin by number of legs, and peers.

Reports are whole transactions in steady state (every slot was written before). Reads and margin are what executing
costs with all storage cold: the receipt less the 21,000 and the calldata of the transaction that called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, Final

from eth_account import Account
from web3.contract.contract import ContractFunction

from margrave.chain.positions import OptionPosition, open_portfolio
from margrave.lab.bench import adapters, floor
from margrave.lab.bench.chain import FUNDED_KEYS, STARTS_AT_S, Committee, local_chain, ordinary
from margrave.lab.bench.floor import COMMITTEES, LEGS, MARKETS, MIXED_LEGS, SMALLEST, Size
from margrave.lab.bench.peers.table import peers
from margrave.lanes import PRICE_SHIFT, Words
from margrave.settings import POLICY_FILE, Policy, load_policy
from margrave.spans import DAY_S
from margrave.verdicts import ReportKind

ROUNDS: Final = 4
RICH_USD: Final = 1e9
FALLEN: Final = -150
"""A round whose figures are some percent lower than those before it: every loosening lane is held back."""

SIGNATURES: Final = 3
WORDS: Final = -1
"""Where a report's call has them."""

Say = Callable[[str], None]
ByMarkets = dict[str, int]
Book = Callable[[int, int], list[OptionPosition]]
"""Positions: so many legs, of an expiry in unix seconds."""


def run(say: Say) -> dict[str, Any]:
    policy = _reporting(load_policy(POLICY_FILE), ReportKind.OWN_WORDS)
    with local_chain(starts_at_s=STARTS_AT_S) as url:
        report, own_floor = reports(url, policy, COMMITTEES, say)
        co_signed, co_signed_floor = reports(url, _reporting(policy, ReportKind.CO_SIGNED), COMMITTEES, say)
        smallest, smallest_floor = reports(url, policy, [SMALLEST], say)
        say("a report in which every market is held back")
        held_back = {str(markets): limited(url, policy, markets) for markets in MARKETS}
    floors: dict[str, Any] = {**own_floor, "cosigned": co_signed_floor}
    with local_chain(starts_at_s=STARTS_AT_S) as url:
        say("reads")
        read = reads(url, policy)
    margin, mixed = margins(policy, LEGS, short_calls, say), margins(policy, MIXED_LEGS, mixed_book, say)
    per_leg, per_mixed_leg = a_leg(margin), a_leg(mixed)
    with local_chain(starts_at_s=STARTS_AT_S) as url:
        beside = peers(url, price_e8, say)
    return {
        "report": report,
        "margin_per_leg": per_leg,
        "margin_per_leg_mixed": per_mixed_leg,
        "read": read["read"],
        "cosigned": co_signed,
        "floor": floors,
        "report_over_floor": over(report, floors),
        "cosigned_over_floor": over(co_signed, co_signed_floor),
        "smallest": {"report": smallest, "floor": smallest_floor, "report_over_floor": over(smallest, smallest_floor)},
        "held_back": {COMMITTEES[0].name: held_back},
        "margin": margin,
        "margin_mixed": mixed,
        "reads": read,
        "peers": beside,
        "targets": floor.targets(report, co_signed, floors, per_leg, per_mixed_leg, read["read"]),
    }


def reports(
    url: str, policy: Policy, sizes: Sequence[Size], say: Say
) -> tuple[dict[str, ByMarkets], dict[str, ByMarkets]]:
    """Gas and floor of a report, by committee and number of markets; each on an oracle that has just those markets."""
    gas: dict[str, ByMarkets] = {}
    floors: dict[str, ByMarkets] = {}
    kind = policy.round.report
    for size in sizes:
        for markets in MARKETS:
            say(f"{kind.value}, {size.name}, {markets} market{'s' * (markets > 1)}")
            used, said = steady(_committee(url, policy, size, markets), size.quorum, markets)
            least = floor.floor(size.quorum, markets, said, signed_by_each=kind is ReportKind.OWN_WORDS)
            gas.setdefault(size.name, {})[str(markets)] = used
            floors.setdefault(size.name, {})[str(markets)] = least
    return gas, floors


def _reporting(policy: Policy, kind: ReportKind) -> Policy:
    return policy.model_copy(update={"round": policy.round.model_copy(update={"report": kind})})


def _committee(url: str, policy: Policy, size: Size, markets: int) -> Committee:
    return Committee(url, policy, members=size.members, quorum=size.quorum, markets=markets)


def steady(committee: Committee, quorum: int, markets: int) -> tuple[int, bytes]:
    """Gas of the last of several rounds, and what of it no encoding could leave out."""
    used, said = 0, b""
    for round_ in range(ROUNDS):
        call = committee.prepare(rows(quorum, markets, round_))
        used = committee.sender.send(call)["gasUsed"]
        said = floor.necessary(call.arguments[SIGNATURES], call.arguments[WORDS])
    return used, said


def limited(url: str, policy: Policy, markets: int) -> int:
    """A report, own words, in which the steps of every market hold something back, and say so in an event each."""
    size = COMMITTEES[0]
    committee = _committee(url, policy, size, markets)
    steady(committee, size.quorum, markets)
    return committee.publish(rows(size.quorum, markets, FALLEN))["gasUsed"]


def rows(quorum: int, markets: int, round_: int) -> list[list[Words]]:
    """Each signer's words, market by market."""
    return [[ordinary(market, member, round_) for market in range(markets)] for member in range(quorum)]


def reads(url: str, policy: Policy) -> dict[str, int]:
    """Execution of the oracle's reads, cold, of one market and of ten, and of its adapters'."""
    committee = _committee(url, policy, COMMITTEES[0], 10)
    steady(committee, COMMITTEES[0].quorum, 10)
    call, ten = committee.oracle.functions, list(range(10))
    calls = {
        "read": call.read(0),
        "effective": call.effective(0),
        "readMany of 10": call.readMany(ten),
        "readPacked of 10": call.readPacked(ten),
    }
    ours = {name: execution(committee, function) for name, function in calls.items()}
    return {**ours, **adapters.reads(url, committee.deployment.oracle)}


def margins(policy: Policy, counts: Sequence[int], book: Book, say: Say) -> dict[str, int]:
    """Execution of the clearinghouse's requirement, cold, by number of legs; each on a chain of its own."""
    gas = {}
    for legs in counts:
        say(f"margin of {legs} leg{'s' * (legs > 1)}, {book.__name__.replace('_', ' ')}")
        with local_chain(starts_at_s=STARTS_AT_S) as url:
            gas[str(legs)] = _margin(url, policy, legs, book)
    return gas


def a_leg(margin: Mapping[str, int]) -> dict[str, int]:
    """Gas of each number of legs by that number, rounded up."""
    return {legs: -(-whole // int(legs)) for legs, whole in margin.items()}


def short_calls(legs: int, expiry_s: int) -> list[OptionPosition]:
    """Around the price, of one expiry: what Derive's quoted figures hold, and a book that few scenarios hurt most."""
    return [_position(i, expiry_s, is_call=True, quantity=-1.0) for i in range(legs)]


def mixed_book(legs: int, expiry_s: int) -> list[OptionPosition]:
    """Short and long, calls and puts, of two expiries a week apart, around the price: all 23 scenarios are priced."""
    kinds = ((True, -1.0), (False, -1.0), (True, 0.5), (False, 0.5))
    return [
        _position(i, expiry_s + 7 * DAY_S * (i // 4 % 2), is_call=is_call, quantity=quantity)
        for i, (is_call, quantity) in zip(range(legs), cycle(kinds), strict=False)
    ]


def _position(i: int, expiry_s: int, *, is_call: bool, quantity: float) -> OptionPosition:
    return OptionPosition(market_id=0, expiry_s=expiry_s, strike=45_000.0 + 500 * i, is_call=is_call, quantity=quantity)


def _margin(url: str, policy: Policy, legs: int, book: Book) -> int:
    committee = _committee(url, policy, COMMITTEES[0], 1)
    steady(committee, COMMITTEES[0].quorum, 1)
    expiry_s = committee.sender.now_s() + 14 * DAY_S
    open_portfolio(
        url,
        committee.deployment,
        account_private_key=FUNDED_KEYS[1],
        maker_private_key=FUNDED_KEYS[2],
        collateral_usd=RICH_USD,
        positions=book(legs, expiry_s),
    )
    house = committee.sender.at("OptionsClearinghouse", committee.deployment.clearinghouse)
    owner = Account.from_key(FUNDED_KEYS[1]).address
    return execution(committee, house.functions.requirementOf(owner, 0))


def execution(committee: Committee, call: ContractFunction) -> int:
    """Gas of executing a view as a transaction, without what the transaction itself costs."""
    receipt = committee.sender.send(call)
    data = bytes.fromhex(call._encode_transaction_data()[2:])
    return receipt["gasUsed"] - floor.TRANSACTION - sum(16 if byte else 4 for byte in data)


def over(gas: Mapping[str, ByMarkets], floors: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Multiples of the floor, four decimals."""
    return {
        committee: {markets: round(used / floors[committee][markets], 4) for markets, used in by_markets.items()}
        for committee, by_markets in gas.items()
    }


def price_e8(market: int, member: int, round_: int) -> int:
    """The prices that our members sign, for the peers to sign too."""
    return ordinary(market, member, round_).market >> PRICE_SHIFT
