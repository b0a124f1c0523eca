"""config/networks/<name>.toml: a deployment as it is wanted, and as people review it before a key is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pydantic import AfterValidator, Field, model_validator

from margrave.addresses import NOBODY
from margrave.chain.deployment.adapters import FIELDS, Adapters, Facade, Feed
from margrave.chain.deployment.plan import Ballot, Committee, Governance, OptionLimits, Wanted
from margrave.errors import Fatal
from margrave.mirror.account_risk import ONE_BP, Bounds
from margrave.settings import MarketSettings, Policy, Section, load_markets, load_policy, load_section
from margrave.spans import DAY_S

MOCK: Final = "mock"


def _address(text: str) -> str:
    try:
        return to_checksum_address(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address") from error


def _dollar(text: str) -> str:
    return text if text == MOCK else _address(text)


def _hash(text: str) -> str:
    if len(text) != 66 or not text.startswith("0x") or not set(text[2:].lower()) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is not 32 bytes in hexadecimal")
    return text


def _field(text: str) -> str:
    if text not in FIELDS:
        raise ValueError(f"{text!r} is no published figure; they are {', '.join(FIELDS)}")
    return text


Address = Annotated[str, AfterValidator(_address)]
FacadeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class CommitteeSettings(Section):
    members: list[Address] = Field(min_length=1, max_length=31)
    quorum: int = Field(ge=1)
    model_set: Annotated[str, AfterValidator(_hash)]
    card_uri: str = Field(min_length=1)
    """Where the cards of the set's models are published."""

    @model_validator(mode="after")
    def sound(self) -> CommitteeSettings:
        n = len(self.members)
        if len(set(self.members)) < n:
            raise ValueError("a member is named twice")
        if not n >= self.quorum > 2 * n / 3:
            raise ValueError(f"a quorum of {self.quorum} of {n} is not more than two thirds")
        return self


class AccountRiskSettings(Section):
    max_multiplier: float = Field(ge=1, le=6.5)
    max_rise: float = Field(gt=0, le=6.5)
    """Largest step of one report, up and down, in multiples of the margin."""
    max_fall: float = Field(gt=0, le=6.5)
    max_lifetime_s: int = Field(gt=0, le=365 * DAY_S)


class OptionSettings(Section):
    """What the clearinghouse admits in every market at the beginning, in contracts and days."""

    account: float = Field(gt=0, le=1e9)
    series: float = Field(gt=0, le=1e9)
    market: float = Field(gt=0, le=1e9)
    longest_life_days: int = Field(gt=0, le=366)


class GovernanceSettings(Section):
    guardian: Address
    timelock_delay_s: int = Field(gt=0, le=30 * DAY_S)
    slow_delay_s: int = Field(gt=0, le=30 * DAY_S)
    """For what decides whose figures, code or money count: announced this long after the timelock's own delay."""
    voting_delay_s: int = Field(gt=0, le=30 * DAY_S)
    voting_period_s: int = Field(gt=0, le=60 * DAY_S)
    late_extension_s: int = Field(ge=0, le=30 * DAY_S)
    threshold: int = Field(ge=0)
    """Votes that a proposer must hold, in whole tokens."""
    quorum_percent: int = Field(ge=1, le=100)
    grants: dict[Address, int] = Field(min_length=1)
    """The whole supply of votes, in whole tokens, by holder."""

    @model_validator(mode="after")
    def ordered(self) -> GovernanceSettings:
        if self.slow_delay_s < self.timelock_delay_s:
            raise ValueError("slow_delay_s must not be shorter than timelock_delay_s: the timelock queues the wait")
        if self.late_extension_s > self.voting_period_s:
            raise ValueError("late_extension_s must not be longer than voting_period_s")
        if self.threshold > sum(self.grants.values()):
            raise ValueError("nobody could propose: threshold is above the supply")
        return self


class AdapterSettings(Section):
    """What is made for protocols that read the oracle in another shape; markets by their names in the markets file."""

    feeds: dict[str, Annotated[list[Annotated[str, AfterValidator(_field)]], Field(min_length=1)]] = Field(default={})
    """An AggregatorV3 feed a market and figure."""
    facades: dict[FacadeName, Annotated[dict[str, Address], Field(min_length=1)]] = Field(default={})
    """By name: the address under which its consumers ask for each market."""

    @model_validator(mode="after")
    def once(self) -> AdapterSettings:
        for market, fields in self.feeds.items():
            if len(set(fields)) < len(fields):
                raise ValueError(f"a feed of {market} is named twice")
        for name, addresses in self.facades.items():
            if len(set(addresses.values())) < len(addresses):
                raise ValueError(f"facade {name} knows two markets by one address")
            if NOBODY in addresses.values():
                raise ValueError(f"facade {name} knows a market by no address")
        return self

    def of(self, ids: Mapping[str, int]) -> Adapters:
        """Raises: ValueError: it names a market that there is not."""
        named = {*self.feeds, *(market for addresses in self.facades.values() for market in addresses)}
        if strange := sorted(named - ids.keys()):
            raise ValueError(f"[adapters] names {', '.join(strange)}, no market of the markets file")
        return Adapters(
            feeds=tuple(Feed(market, ids[market], field) for market, fields in self.feeds.items() for field in fields),
            facades=tuple(
                Facade(name, dict(sorted((ids[market], address) for market, address in addresses.items())))
                for name, addresses in self.facades.items()
            ),
        )


class Network(Section):
    """One file. Paths are relative to it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    chain_id: int = Field(gt=0)
    salt: str = ""
    """Another text makes another deployment of the same name by the same deployer."""
    policy_file: Path
    markets_file: Path
    collateral: Annotated[str, AfterValidator(_dollar)]
    """Address of the dollar token that premiums and payoffs are paid in; "mock" makes one, for development chains."""
    committee: CommitteeSettings
    account_risk: AccountRiskSettings
    options: OptionSettings
    governance: GovernanceSettings
    adapters: AdapterSettings = AdapterSettings()

    def salt_for(self, deployer: str) -> bytes:
        """32 bytes; the same deployer gets the same addresses for the same file."""
        return keccak(text=f"margrave/{self.name}/{self.salt}/{deployer}")


def load_network(path: Path, deployer: str) -> tuple[Network, Wanted]:
    """Read a network file with the policy and the markets that it names.

    Raises:
        Fatal: a file is missing or wrong, or the deployer would keep a power.
    """
    network = load_section(path, Network)
    folder = path.absolute().parent
    policy = load_policy(folder / network.policy_file)
    markets = load_markets(folder / network.markets_file)
    powers = network.governance
    if deployer == powers.guardian or deployer in powers.grants:
        raise Fatal(
            f"{path}: the deployer {deployer} is guardian or holds votes", advice="deploy with a key of no power"
        )
    try:
        adapters = network.adapters.of({name: market.id for name, market in markets.items()})
    except ValueError as error:
        raise Fatal(f"{path}: {error}", advice="list the market first, or leave its adapters out") from error
    return network, _wanted(network, deployer, policy, markets, adapters)


def _wanted(
    network: Network, deployer: str, policy: Policy, markets: dict[str, MarketSettings], adapters: Adapters
) -> Wanted:
    committee, powers, account, options = network.committee, network.governance, network.account_risk, network.options
    return Wanted(
        deployer=deployer,
        policy=policy,
        groups=tuple(market.group for market in markets.values()),
        rings=tuple(market.history for market in markets.values()),
        committee=Committee(
            tuple(committee.members), committee.quorum, bytes.fromhex(committee.model_set[2:]), committee.card_uri
        ),
        account_bounds=Bounds(
            max_multiplier_bp=round(account.max_multiplier * ONE_BP),
            max_rise_bp=round(account.max_rise * ONE_BP),
            max_fall_bp=round(account.max_fall * ONE_BP),
            max_lifetime_s=account.max_lifetime_s,
        ),
        option_limits=OptionLimits(
            account=round(options.account * 10**6),
            series=round(options.series * 10**6),
            market=round(options.market * 10**6),
            longest_life_s=options.longest_life_days * DAY_S,
        ),
        dollar=None if network.collateral == MOCK else network.collateral,
        governance=Governance(
            guardian=powers.guardian,
            timelock_delay_s=powers.timelock_delay_s,
            slow_delay_s=powers.slow_delay_s,
            ballot=Ballot(
                voting_delay_s=powers.voting_delay_s,
                voting_period_s=powers.voting_period_s,
                late_extension_s=powers.late_extension_s,
                threshold=powers.threshold * 10**18,
                quorum_percent=powers.quorum_percent,
            ),
            grants={holder: amount * 10**18 for holder, amount in powers.grants.items()},
        ),
        adapters=adapters,
    )
