"""Puts the contracts on a chain for development: everything stays the deployer's, and the collateral is a mock.

A deployment that is meant to stay is made by scripts/deploy, from the same plan, and handed over.
Synchronous: it runs once, before any node does.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from margrave.chain.deployment.plan import Committee, OptionLimits, Wanted, plan
from margrave.chain.deployment.record import Record
from margrave.chain.deployment.run import begin, run
from margrave.chain.sender import Sender
from margrave.errors import Fatal
from margrave.mirror import limits
from margrave.mirror.account_risk import Bounds
from margrave.settings import MarketSettings, Policy

__all__ = ["ACCOUNT_BOUNDS", "Deployment", "Sender", "deploy", "policy_digest"]

ACCOUNT_BOUNDS: Final = Bounds(max_multiplier_bp=30_000, max_rise_bp=2_500, max_fall_bp=2_500, max_lifetime_s=86_400)
"""A development deployment's; one that stays has its own in its network file."""
NO_CARD: Final = "development: no card"


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the contracts are. `block` is the oracle's own: no event is older."""

    chain_id: int
    block: int
    authority: str
    registry: str
    oracle: str
    engine: str
    account_risk: str
    prices: str
    collateral: str
    clearinghouse: str
    desk: str
    auctions: str
    insurance: str
    vault: str

    @classmethod
    def of(cls, record: Record) -> Deployment:
        """Raises: Fatal: the deployment is not complete."""
        if not record.complete or record.block is None:
            raise Fatal(f"deployment {record.name} is not complete", advice="finish it with scripts/deploy run")
        places = {key: made.address for key, made in record.contracts.items()}
        wanted = {name: places[name] for name in cls.__struct_fields__ if name in places}
        return cls(chain_id=record.chain_id, block=record.block, **wanted)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Deployment:
        """Raises: Fatal: there is no such file, or it is no deployment."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise Fatal(f"{path}: {error.strerror or error}", advice="deploy first") from error
        except msgspec.MsgspecError as error:
            raise Fatal(f"{path} is not a deployment: {error}", advice="deploy again") from error


def deploy(
    rpc_url: str,
    deployer_private_key: str,
    policy: Policy,
    *,
    markets: int | Mapping[str, MarketSettings],
    members: Sequence[str],
    quorum: int,
    model_set: bytes,
) -> Deployment:
    """Deploy and configure everything, with a mock as collateral; the deployer stays governance and guardian.

    Args:
        rpc_url: HTTP endpoint.
        deployer_private_key: pays, and keeps every role.
        policy: timing and limits; one class for all markets.
        markets: their settings, or how many plain ones, with ids 0, 1, 2, …
        members: addresses of the first epoch.
        quorum: how many of them must sign; more than two thirds.
        model_set: 32 bytes, the approved set.

    Raises:
        Fatal: the endpoint does not answer, or the chain refuses a transaction.
    """
    sender = Sender(rpc_url, deployer_private_key)
    groups, rings = _shape(markets)
    wanted = Wanted(
        deployer=sender.address,
        policy=policy,
        groups=groups,
        rings=rings,
        committee=Committee(tuple(members), quorum, model_set, NO_CARD),
        account_bounds=ACCOUNT_BOUNDS,
        option_limits=OptionLimits(),
        dollar=None,
        governance=None,
    )
    blueprint = plan(wanted, secrets.token_bytes(32))
    record = begin("development", sender, blueprint, None)
    return Deployment.of(run(sender, blueprint, record, keep=lambda _: None, say=lambda _: None))


def policy_digest(policy: Policy, markets: int | Mapping[str, MarketSettings]) -> bytes:
    """The digest of what `deploy` sets, from the same settings."""
    groups, rings = _shape(markets)
    words = limits.policy_words(policy.limits.lanes, policy.limits.max_price_move)
    when = limits.timing(policy.round)
    return limits.policy_digest(policy.round.report, False, when, [words], bytes(len(groups)), groups, rings)


def _shape(markets: int | Mapping[str, MarketSettings]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Group and history ring of each market, by id."""
    if isinstance(markets, int):
        return (0,) * markets, (0,) * markets
    by_id = sorted(markets.values(), key=lambda market: market.id)
    return tuple(market.group for market in by_id), tuple(market.history for market in by_id)
