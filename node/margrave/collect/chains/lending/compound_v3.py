"""Compound v3 (Comet): one base asset is borrowed, each collateral has its own factors, absorption states its value.

Contracts: compound-finance/comet, CometMainInterface.sol, CometConfiguration.sol, Configurator.sol. Prices have 8
decimals in the feeds' own unit: dollars for most, ether for the ether market, which then needs a dollar feed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.lending.events import Borrowed, Line, Lines, Liquidated, as_told, change, lines
from margrave.collect.chains.lending.health import Position, health_factor

NAME: Final = "compound_v3"
FACTOR: Final = 10**18
PRICE_UNIT: Final = 1e8


def _absorbed_collateral(absorber: str, borrower: str, asset: str, amount: int, value: int) -> Liquidated:
    return Liquidated(borrower, absorber, asset, "", amount, 0, usd=value / PRICE_UNIT)


def _absorbed_debt(absorber: str, borrower: str, paid: int, value: int) -> Liquidated:
    return Liquidated(borrower, absorber, "", "", 0, paid, usd=value / PRICE_UNIT)


def _withdrawn(account: str, _to: str, amount: int) -> Borrowed:
    return Borrowed(account, "", amount)


ABSORB_COLLATERAL: Final = Event(
    "AbsorbCollateral(address indexed absorber, address indexed borrower, address indexed asset, "
    "uint256 collateralAbsorbed, uint256 usdValue)",
    _absorbed_collateral,
)
ABSORB_DEBT: Final = Event(
    "AbsorbDebt(address indexed absorber, address indexed borrower, uint256 basePaidOut, uint256 usdValue)",
    _absorbed_debt,
)
WITHDRAW: Final = Event("Withdraw(address indexed src, address indexed to, uint256 amount)", _withdrawn)
"""Of the base asset: whoever takes out more than they have, borrows."""
POOL_LINES: Final[Lines] = lines(
    Line(ABSORB_COLLATERAL, as_told),
    Line(
        ABSORB_DEBT,
        lambda said, log: Liquidated(
            said.borrower, said.liquidator, "", log.address, 0, said.debt_amount, usd=said.usd
        ),
    ),
    Line(WITHDRAW, lambda said, log: Borrowed(said.account, log.address, said.amount)),
)
CHANGE_LINES: Final[Lines] = lines(
    change(
        "PauseAction(bool supplyPaused, bool transferPaused, bool withdrawPaused, bool absorbPaused, bool buyPaused)"
    ),
    change("CometDeployed(address indexed cometProxy, address indexed newComet)"),
    change(
        "UpdateAssetBorrowCollateralFactor(address indexed cometProxy, address indexed asset, "
        "uint64 oldBorrowCF, uint64 newBorrowCF)"
    ),
    change(
        "UpdateAssetLiquidateCollateralFactor(address indexed cometProxy, address indexed asset, "
        "uint64 oldLiquidateCF, uint64 newLiquidateCF)"
    ),
    change(
        "UpdateAssetLiquidationFactor(address indexed cometProxy, address indexed asset, "
        "uint64 oldLiquidationFactor, uint64 newLiquidationFactor)"
    ),
    change(
        "UpdateAssetSupplyCap(address indexed cometProxy, address indexed asset, "
        "uint128 oldSupplyCap, uint128 newSupplyCap)"
    ),
    change(
        "UpdateAssetPriceFeed(address indexed cometProxy, address indexed asset, "
        "address oldPriceFeed, address newPriceFeed)"
    ),
)
"""The first of the market itself, the others of the Configurator."""


@dataclass(frozen=True, slots=True)
class Asset:
    """`getAssetInfo`: one collateral. Factors are scaled by 1e18."""

    offset: int
    asset: str
    feed: str
    scale: int
    borrow_factor: int
    liquidate_factor: int
    liquidation_factor: int
    supply_cap: int


def _asset(info: tuple[int, str, str, int, int, int, int, int]) -> Asset:
    return Asset(*info)


ASSET_COUNT: Final[Call[int]] = Call("numAssets()", "(uint8)", one)
ASSET: Final = Call("getAssetInfo(uint8)", "((uint8,address,address,uint64,uint64,uint64,uint64,uint128))", _asset)
PRICE: Final[Call[int]] = Call("getPrice(address)", "(uint256)", one)
BASE_FEED: Final[Call[str]] = Call("baseTokenPriceFeed()", "(address)", one)
BASE_SCALE: Final[Call[int]] = Call("baseScale()", "(uint256)", one)
BASE_TOKEN: Final[Call[str]] = Call("baseToken()", "(address)", one)
DEBT: Final[Call[int]] = Call("borrowBalanceOf(address)", "(uint256)", one)
COLLATERAL: Final[Call[int]] = Call("collateralBalanceOf(address,address)", "(uint128)", one)


def position(
    account: str,
    debt_usd: float,
    balances: Mapping[str, int],
    assets: Mapping[str, Asset],
    prices_usd: Mapping[str, float],
    watched: frozenset[str],
) -> Position:
    """Health as `isLiquidatable` sees it: collateral at its liquidation factor against the base debt.

    Args:
        balances: by collateral asset, smallest units.
        prices_usd: of one whole token, by asset.
    """
    collateral: dict[str, float] = {}
    weighted = other = 0.0
    for token, balance in balances.items():
        value_usd = balance / assets[token].scale * prices_usd[token]
        weighted += value_usd * assets[token].liquidate_factor / FACTOR
        if token in watched:
            collateral[token] = value_usd
        else:
            other += value_usd
    return Position(account, health_factor(weighted, debt_usd), debt_usd, collateral, other)
