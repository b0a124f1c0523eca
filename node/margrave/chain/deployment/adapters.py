"""The contracts that let other protocols read the oracle in the shapes they know: price feeds, and facades.

They have no owner, no settings and no role, so they are no part of what is handed over: they are made after it, by
whoever pays for them, and more of them may be named whenever somebody needs one. Like all contracts of a deployment
they lie at addresses that salt, code and arguments give, and a change of the arguments is another adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from margrave.chain.deployment.blueprint import Blueprint
from margrave.lanes import LANES

FIELDS: Final = (*(lane.name for lane in LANES.values() if not lane.stamped), "price")
"""Every published figure, in the order of the contracts' `Field`."""
FEED: Final = "AggregatorV3Adapter"
FACADE: Final = "RiskOracleFacade"
FACADE_ARGUMENTS: Final = ("address", "address[]", "uint16[]")
"""Of its constructor, as the ABI encodes them: oracle, and market by market what its consumers ask for."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One figure of one market as a price feed: the market's name and id, and a name of `FIELDS`."""

    market: str
    id: int
    field: str

    @property
    def key(self) -> str:
        return f"feed_{self.market}_{self.field}"


@dataclass(frozen=True, slots=True)
class Facade:
    """All figures of some markets as updates of a publish-once oracle, for consumers who know them by `addresses`."""

    name: str
    addresses: Mapping[int, str]
    """By market id: what the consumers ask for."""

    @property
    def key(self) -> str:
        return f"facade_{self.name}"


@dataclass(frozen=True, slots=True)
class Adapters:
    """Which of them are wanted."""

    feeds: tuple[Feed, ...] = ()
    facades: tuple[Facade, ...] = ()


NO_ADAPTERS: Final = Adapters()


def plan_adapters(wanted: Adapters, oracle: str, salt: bytes) -> Blueprint:
    """One contract an adapter, in the order in which they are named.

    Args:
        wanted: which.
        oracle: address of the oracle; it must exist when they are made, for they ask it for its period.
        salt: the deployment's, 32 bytes.
    """
    made = Blueprint(salt)
    for feed in wanted.feeds:
        made.create(feed.key, FEED, oracle, feed.id, FIELDS.index(feed.field), f"{feed.market} / USD")
    for facade in wanted.facades:
        made.create(facade.key, FACADE, oracle, list(facade.addresses.values()), list(facade.addresses))
    return made
