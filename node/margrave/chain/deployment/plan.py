"""The steps from nothing to a whole deployment, as one list that depends on nothing but what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, Final

from eth_utils.crypto import keccak

from margrave.addresses import NOBODY
from margrave.chain.deployment.adapters import NO_ADAPTERS, Adapters
from margrave.chain.deployment.blueprint import Blueprint, Planned, Reader, selector
from margrave.chain.deployment.record import Powers
from margrave.chain.deployment.roles import PERMISSIONS, Role
from margrave.mirror import limits
from margrave.mirror.account_risk import Bounds
from margrave.mirror.limits import KINDS
from margrave.settings import Policy
from margrave.spans import DAY_S

AT_ONCE: Final = 0
"""As the first round of a change: from now on."""
ANYBODY: Final = NOBODY
"""As the timelock's executor: what has waited may be executed by anybody."""
TIMELOCK_ADMIN: Final = bytes(32)
PROPOSER: Final = keccak(text="PROPOSER_ROLE")
CANCELLER: Final = keccak(text="CANCELLER_ROLE")
EXECUTOR: Final = keccak(text="EXECUTOR_ROLE")
LEAP_YEAR_S: Final = 366 * DAY_S


@dataclass(frozen=True, slots=True)
class Committee:
    """The first epoch: who signs, how many must, and with which models."""

    members: tuple[str, ...]
    quorum: int
    model_set: bytes
    card_uri: str


@dataclass(frozen=True, slots=True)
class OptionLimits:
    """What the clearinghouse admits in a market: contracts with 6 decimals, and seconds to expiry."""

    account: int = 10**13
    series: int = 10**14
    market: int = 10**15
    longest_life_s: int = LEAP_YEAR_S


@dataclass(frozen=True, slots=True)
class Ballot:
    """How a proposal lives: seconds, votes, percent of the supply."""

    voting_delay_s: int
    voting_period_s: int
    late_extension_s: int
    threshold: int
    quorum_percent: int


@dataclass(frozen=True, slots=True)
class Governance:
    """To whom a deployment is handed over; delays in seconds, `grants` is the whole supply of votes by holder."""

    guardian: str
    timelock_delay_s: int
    slow_delay_s: int
    ballot: Ballot
    grants: Mapping[str, int]

    def powers(self) -> Powers:
        return Powers(
            guardian=self.guardian,
            timelock_delay_s=self.timelock_delay_s,
            slow_delay_s=self.slow_delay_s,
            grants=dict(self.grants),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A deployment as it is wanted. Without `governance` everything stays the deployer's: for development."""

    deployer: str
    policy: Policy
    groups: tuple[int, ...]
    rings: tuple[int, ...]
    """Group and length of the history ring of each market, by id."""
    committee: Committee
    account_bounds: Bounds
    option_limits: OptionLimits
    dollar: str | None
    """The collateral's address; `None` makes a mock that anybody may mint."""
    governance: Governance | None
    adapters: Adapters = NO_ADAPTERS
    """Made after the hand-over and planned by `plan_adapters`: nobody's, and more may be wanted later."""


def plan(wanted: Wanted, salt: bytes) -> Blueprint:
    """Every contract and every call, in order; `salt` (32 bytes) tells two deployments of the same things apart."""
    made = Blueprint(salt)
    _contracts(made, wanted)
    _settings(made, wanted)
    if wanted.governance is not None:
        _government(made, wanted.deployer, wanted.governance)
        _permissions(made)
        _hand_over(made, wanted.deployer, wanted.governance)
    return made


def _contracts(made: Blueprint, wanted: Wanted) -> None:
    rounds = wanted.policy.round
    authority = made.create("authority", "AccessManager", wanted.deployer)
    registry = made.create("registry", "Registry", authority.address)
    ages = (rounds.period_s, rounds.aging_after_s, rounds.stale_after_s)
    oracle = made.create("oracle", "RiskOracle", authority.address, registry.address, *ages)
    made.call(
        "connect registry and oracle",
        registry,
        "connect",
        oracle.address,
        done=lambda chain: chain.view(registry, "oracle") == oracle.address,
    )
    engine = made.create("engine", "MarginEngine", oracle.address)
    bounds = astuple(wanted.account_bounds)
    account_risk = made.create("account_risk", "AccountRisk", authority.address, oracle.address, bounds)
    prices = made.create("prices", "SettlementPrices", authority.address, oracle.address)
    dollar = wanted.dollar or made.create("collateral", "MockUSD").address
    house = made.create(
        "clearinghouse",
        "OptionsClearinghouse",
        authority.address,
        engine.address,
        account_risk.address,
        prices.address,
        dollar,
    )
    # The clearinghouse creates its parts itself: its first, second and third contract.
    for nonce, (key, artifact) in enumerate(
        (("insurance", "InsuranceFund"), ("desk", "OrderDesk"), ("auctions", "LiquidationAuctions")), 1
    ):
        made.born(key, artifact, house, nonce)
    made.create("vault", "QuoteVault", authority.address, house.address, made.contracts["desk"].address)


def _settings(made: Blueprint, wanted: Wanted) -> None:
    registry, house = made.contracts["registry"], made.contracts["clearinghouse"]
    policy, committee = wanted.policy, wanted.committee
    markets = len(wanted.groups)
    when = astuple(limits.timing(policy.round))
    words = astuple(limits.policy_words(policy.limits.lanes, policy.limits.max_price_move))
    kind = KINDS.index(policy.round.report)
    first = (committee.members, committee.quorum, committee.model_set)

    def setting(index: int, value: Any) -> Any:
        return lambda chain: _plain(_current(chain, registry)[index]) == _plain(value)

    made.call("set the timing", registry, "setTiming", when, AT_ONCE, done=setting(5, when))
    made.call("set the limits of class 0", registry, "setClass", 0, words, AT_ONCE, done=setting(7, (words,)))
    made.call(
        f"list {markets} markets",
        registry,
        "setMarkets",
        0,
        [0] * markets,
        AT_ONCE,
        done=setting(8, bytes(markets)),
    )
    if any(wanted.groups):
        groups = list(wanted.groups)
        made.call("set the groups", registry, "setGroups", 0, groups, AT_ONCE, done=setting(9, bytes(groups)))
    if any(wanted.rings):
        rings = list(wanted.rings)
        made.call("set the history rings", registry, "setRings", 0, rings, AT_ONCE, done=setting(10, bytes(rings)))
    if kind:
        made.call(f"take {policy.round.report} reports", registry, "setKind", kind, AT_ONCE, done=setting(0, kind))
    made.call(
        "approve the model set",
        registry,
        "approveModelSet",
        committee.model_set,
        committee.card_uri,
        done=lambda chain: chain.view(registry, "modelSetUri", committee.model_set) == committee.card_uri,
    )
    made.call(
        f"begin the first committee: {committee.quorum} of {len(committee.members)}",
        registry,
        "setEpoch",
        list(committee.members),
        committee.quorum,
        committee.model_set,
        AT_ONCE,
        done=lambda chain: _committee(_current(chain, registry)) == first,
    )
    rules = astuple(wanted.option_limits)
    for market in range(markets):
        made.call(
            f"list options of market {market}",
            house,
            "setMarket",
            market,
            rules,
            done=_answers(house, "marketRules", (market,), rules),
        )


def _government(made: Blueprint, deployer: str, wanted: Governance) -> None:
    grants = [(holder, amount) for holder, amount in wanted.grants.items()]
    token = made.create("token", "MargraveToken", grants)
    timelock = made.create("timelock", "TimelockController", wanted.timelock_delay_s, [], [ANYBODY], deployer)
    governor = made.create("governor", "MargraveGovernor", token.address, timelock.address, astuple(wanted.ballot))
    for title, role, holder in (
        ("the governor proposes", PROPOSER, governor),
        ("the governor cancels", CANCELLER, governor),
        # What waits longer than the timelock is put into its queue by the timelock itself (margrave…proposal).
        ("the timelock proposes its own second strokes", PROPOSER, timelock),
    ):
        made.call(
            f"timelock: {title}",
            timelock,
            "grantRole",
            role,
            holder.address,
            done=_answers(timelock, "hasRole", (role, holder.address), True),
        )


def _permissions(made: Blueprint) -> None:
    authority = made.contracts["authority"]
    for key, by_role in PERMISSIONS.items():
        target = made.contracts[key]
        for role, functions in by_role.items():
            selectors = [selector(target.artifact, function) for function in functions]
            made.call(
                f"{key}: {', '.join(functions)} for {role.name}",
                authority,
                "setTargetFunctionRole",
                target.address,
                selectors,
                role.value,
                done=_all_for(authority, target.address, selectors, role),
            )


def _hand_over(made: Blueprint, deployer: str, wanted: Governance) -> None:
    authority, timelock = made.contracts["authority"], made.contracts["timelock"]
    made.call(
        "the guardian may cancel what waits",
        authority,
        "setRoleGuardian",
        Role.GOVERNOR_SLOW.value,
        Role.GUARDIAN.value,
        done=_answers(authority, "getRoleGuardian", (Role.GOVERNOR_SLOW.value,), Role.GUARDIAN.value),
    )
    for role, holder, delay_s in (
        (Role.GOVERNOR, timelock.address, 0),
        (Role.GOVERNOR_SLOW, timelock.address, wanted.slow_delay_s),
        (Role.GUARDIAN, wanted.guardian, 0),
        (Role.ADMIN, timelock.address, wanted.slow_delay_s),
    ):
        made.call(
            f"grant {role.name} to {holder}",
            authority,
            "grantRole",
            role.value,
            holder,
            delay_s,
            done=_answers(authority, "hasRole", (role.value, holder), (True, delay_s)),
        )
    made.call(
        "the deployer gives up the timelock",
        timelock,
        "renounceRole",
        TIMELOCK_ADMIN,
        deployer,
        done=_answers(timelock, "hasRole", (TIMELOCK_ADMIN, deployer), False),
    )
    made.call(
        "the deployer gives up the access manager",
        authority,
        "renounceRole",
        Role.ADMIN.value,
        deployer,
        done=_answers(authority, "hasRole", (Role.ADMIN.value, deployer), (False, 0)),
    )


def _committee(settings: Any) -> Any:
    """Members, quorum and model set of `Settings`."""
    return _plain((settings[6], settings[2], settings[4]))


def _current(chain: Reader, registry: Planned) -> Any:
    """The newest `Settings`, field by field."""
    _, settings = chain.view(registry, "current")
    return settings


def _answers(contract: Planned, function: str, arguments: tuple[Any, ...], wanted: Any) -> Any:
    return lambda chain: _plain(chain.view(contract, function, *arguments)) == _plain(wanted)


def _all_for(authority: Planned, target: str, selectors: list[bytes], role: Role) -> Any:
    return lambda chain: all(
        chain.view(authority, "getTargetFunctionRole", target, each) == role.value for each in selectors
    )


def _plain(value: Any) -> Any:
    """Lists as tuples, all the way down: what a view answers and what is wanted may differ in nothing else."""
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
