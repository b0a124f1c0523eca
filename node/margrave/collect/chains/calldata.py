"""A call that governance proposes or executes, in words: what is known of it by name, the rest by its first bytes.

Calldata of proposals is written by strangers and read by operators. Only functions that we know the declaration of are
decoded, from calldata of bounded length; a call inside a call (a timelock's, a multicall's) is opened a few times, not
more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from margrave.chain import artifacts
from margrave.collect.chains.abi import Call
from margrave.collect.chains.said import plain
from margrave.errors import Rejected

MOST_BYTES: Final = 8_192
"""Of calldata that is decoded: overlapping pointers can make a decoder build the square of it."""
DEEPEST: Final = 2
MOST_SHOWN: Final = 6
"""Entries of a list, and arguments of a function."""
OWN_CONTRACTS: Final = (
    "AccessManager",
    "Registry",
    "RiskOracle",
    "AccountRisk",
    "SettlementPrices",
    "OptionsClearinghouse",
    "LiquidationAuctions",
    "InsuranceFund",
    "QuoteVault",
)
"""Ours that governance may call."""

_DECLARED: Final = (
    # tokens and treasuries
    "transfer(address,uint256)",
    "approve(address,uint256)",
    "transferFrom(address,address,uint256)",
    "mint(address,uint256)",
    "createStream(address,uint256,address,uint256,uint256)",
    # ownership, roles, pauses and upgrades
    "transferOwnership(address)",
    "acceptOwnership()",
    "grantRole(bytes32,address)",
    "revokeRole(bytes32,address)",
    "pause()",
    "unpause()",
    "upgradeTo(address)",
    "upgradeToAndCall(address,bytes)",
    "upgrade(address,address)",
    "upgradeAndCall(address,address,bytes)",
    "deployAndUpgradeTo(address,address)",
    "setPendingAdmin(address)",
    "_setPendingAdmin(address)",
    "_acceptAdmin()",
    "acceptAdmin()",
    "setDelay(uint256)",
    "updateDelay(uint256)",
    # governors
    "setVotingDelay(uint256)",
    "setVotingPeriod(uint256)",
    "setProposalThreshold(uint256)",
    "_setVotingDelay(uint256)",
    "_setVotingPeriod(uint256)",
    "_setProposalThreshold(uint256)",
    "updateQuorumNumerator(uint256)",
    "updateTimelock(address)",
    # Compound
    "_supportMarket(address)",
    "_setCollateralFactor(address,uint256)",
    "_setCloseFactor(uint256)",
    "_setLiquidationIncentive(uint256)",
    "_setPriceOracle(address)",
    "_setReserveFactor(uint256)",
    "_setInterestRateModel(address)",
    "_setMarketBorrowCaps(address[],uint256[])",
    "_setMintPaused(address,bool)",
    "_setBorrowPaused(address,bool)",
    "_grantComp(address,uint256)",
    "_setImplementation(address)",
    "updateAssetSupplyCap(address,address,uint128)",
    "updateAssetBorrowCollateralFactor(address,address,uint64)",
    "updateAssetLiquidateCollateralFactor(address,address,uint64)",
    "updateAssetLiquidationFactor(address,address,uint64)",
    "updateAssetPriceFeed(address,address,address)",
    # Aave
    "configureReserveAsCollateral(address,uint256,uint256,uint256)",
    "setReserveFactor(address,uint256)",
    "setReserveFreeze(address,bool)",
    "setReservePause(address,bool)",
    "setReserveActive(address,bool)",
    "setReserveBorrowing(address,bool)",
    "setSupplyCap(address,uint256)",
    "setBorrowCap(address,uint256)",
    "setDebtCeiling(address,uint256)",
    "setLiquidationProtocolFee(address,uint256)",
    "setReserveInterestRateStrategyAddress(address,address)",
    "setAssetSources(address[],address[])",
    "setPoolPause(bool)",
    "execute()",
    # oracles and fees
    "setOracle(address)",
    "setPriceFeed(address,address)",
    "setFeed(address,address)",
    "setFee(uint256)",
    "setOwner(address)",
    "enableFeeAmount(uint24,int24)",
    "setFeeProtocol(uint8,uint8)",
)
_MANAGED: Final = ("schedule(address,bytes,uint48)", "execute(address,bytes)")
"""The access manager's carriers: what decides whose figures, code or money count comes in them."""
_CARRIERS: Final = (
    # target and data inside: opened again
    *_MANAGED,
    "schedule(address,uint256,bytes,bytes32,bytes32,uint256)",
    "execute(address,uint256,bytes,bytes32,bytes32)",
    "scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)",
    "executeBatch(address[],uint256[],bytes[],bytes32,bytes32)",
    "queueTransaction(address,uint256,string,bytes,uint256)",
    "executeTransaction(address,uint256,string,bytes,uint256)",
    "cancelTransaction(address,uint256,string,bytes,uint256)",
)


@cache
def known() -> Mapping[bytes, Call[Any]]:
    """By selector; our own contracts' functions come out of their artifacts."""
    ours = [
        f"{entry['name']}({','.join(_type(x) for x in entry['inputs'])})"
        for name in OWN_CONTRACTS
        for entry in artifacts.load(name).abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    ]
    calls = [Call[Any](signature, "()", lambda *_: None) for signature in (*ours, *_DECLARED, *_CARRIERS)]
    return {call.selector: call for call in calls}


def action(target: str, value_wei: int, data: bytes, *, signature: str = "", depth: int = 0) -> str:
    """One call in words.

    Args:
        signature: the function, where it is told beside the data (Compound's governors); the data then have no
        selector.
    """
    called = _called(_with_selector(signature, data), depth) if data or signature else "payment"
    if called is None:
        called = plain(signature, 80) if signature else f"0x{data[:4].hex()}({len(data)} bytes)"
    paid = f" with {value_wei / 10**18:g} ether" if value_wei else ""
    return f"{target}.{called}{paid}"


def _with_selector(signature: str, data: bytes) -> bytes:
    """A signature from strangers only picks one that we know: types of their making are never decoded."""
    if not signature:
        return data
    found = next((call for call in known().values() if call.signature == signature.replace(" ", "")), None)
    return b"" if found is None else found.selector + data


def _called(data: bytes, depth: int) -> str | None:
    """The function and its arguments; `None` where it is not known or its data are not of it."""
    call = known().get(data[:4])
    if call is None or len(data) > MOST_BYTES:
        return None
    try:
        arguments = call.arguments(data)
    except Rejected:
        return None
    if call.signature in _CARRIERS and depth < DEEPEST:
        if call.signature in _MANAGED:
            target, inside = arguments[:2]
            return f"{call.name}[{action(target, 0, inside, depth=depth + 1)}]"
        return f"{call.name}[{_carried(call.name, arguments, depth + 1)}]"
    return f"{call.name}({', '.join(shown(argument) for argument in arguments[:MOST_SHOWN])})"


def _carried(name: str, arguments: Sequence[Any], depth: int) -> str:
    if name.endswith("Batch"):
        targets, values, datas = arguments[:3]
        if not len(targets) == len(values) == len(datas):
            return "lists of different lengths"
        batch = zip(targets[:MOST_SHOWN], values, datas, strict=False)
        more = f"; and {len(targets) - MOST_SHOWN} more" if len(targets) > MOST_SHOWN else ""
        return "; ".join(action(target, value, data, depth=depth) for target, value, data in batch) + more
    if name.endswith("Transaction"):
        target, value, signature, data = arguments[:4]
        return action(target, value, data, signature=signature, depth=depth)
    target, value, data = arguments[:3]
    return action(target, value, data, depth=depth)


def shown(value: object) -> str:
    """One argument: whole if short."""
    if isinstance(value, bytes):
        return "0x" + value.hex() if len(value) <= 32 else f"0x{value[:8].hex()}… ({len(value)} bytes)"
    if isinstance(value, list | tuple):
        more = ", …" if len(value) > MOST_SHOWN else ""
        return f"[{', '.join(shown(entry) for entry in value[:MOST_SHOWN])}{more}]"
    return plain(str(value), 80)


def _type(entry: Mapping[str, Any]) -> str:
    """A parameter's canonical type: tuples spelled out."""
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in entry['components'])}){kind.removeprefix('tuple')}"
