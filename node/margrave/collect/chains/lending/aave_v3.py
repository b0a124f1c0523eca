"""Aave v3: liquidations, borrowers, health factors and reserve configuration.

Events and structs: aave-v3-origin, IPool.sol, IPoolConfigurator.sol, DataTypes.sol; the bitmap of a reserve:
ReserveConfiguration.sol. `getUserAccountData` answers in the oracle's base currency, US dollars with 8 decimals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.lending.events import (
    RESERVE_RATES,
    Borrowed,
    Line,
    Lines,
    Liquidated,
    as_told,
    change,
    lines,
)
from margrave.errors import Rejected
from margrave.verdicts import Rejection

NAME: Final = "aave_v3"
RAY: Final = 10**27
BASIS: Final = 10_000


def _liquidated(
    collateral: str,
    debt: str,
    borrower: str,
    debt_amount: int,
    collateral_amount: int,
    liquidator: str,
    _receive_a_token: bool,
) -> Liquidated:
    return Liquidated(borrower, liquidator, collateral, debt, collateral_amount, debt_amount)


def borrowed(
    reserve: str, _user: str, on_behalf_of: str, amount: int, _mode: int, _rate: int, _referral: int
) -> Borrowed:
    """Of a `Borrow`; v2 tells the same."""
    return Borrowed(on_behalf_of, reserve, amount)


LIQUIDATION_CALL: Final = Event(
    "LiquidationCall(address indexed collateralAsset, address indexed debtAsset, address indexed user, "
    "uint256 debtToCover, uint256 liquidatedCollateralAmount, address liquidator, bool receiveAToken)",
    _liquidated,
)
"""The same in v2."""
BORROW: Final = Event(
    "Borrow(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount, "
    "uint8 interestRateMode, uint256 borrowRate, uint16 indexed referralCode)",
    borrowed,
)
POOL_LINES: Final[Lines] = lines(
    Line(LIQUIDATION_CALL, as_told),
    Line(BORROW, as_told),
)
CHANGE_LINES: Final[Lines] = lines(
    change(
        "CollateralConfigurationChanged(address indexed asset, uint256 ltv, uint256 liquidationThreshold, "
        "uint256 liquidationBonus)"
    ),
    change("ReserveBorrowing(address indexed asset, bool enabled)"),
    change("ReserveFlashLoaning(address indexed asset, bool enabled)"),
    change("ReserveActive(address indexed asset, bool active)"),
    change("ReserveFrozen(address indexed asset, bool frozen)"),
    change("ReservePaused(address indexed asset, bool paused)"),
    change("ReserveDropped(address indexed asset)"),
    change("ReserveFactorChanged(address indexed asset, uint256 oldReserveFactor, uint256 newReserveFactor)"),
    change("BorrowCapChanged(address indexed asset, uint256 oldBorrowCap, uint256 newBorrowCap)"),
    change("SupplyCapChanged(address indexed asset, uint256 oldSupplyCap, uint256 newSupplyCap)"),
    change("DebtCeilingChanged(address indexed asset, uint256 oldDebtCeiling, uint256 newDebtCeiling)"),
    change("SiloedBorrowingChanged(address indexed asset, bool oldState, bool newState)"),
    change("LiquidationProtocolFeeChanged(address indexed asset, uint256 oldFee, uint256 newFee)"),
    change("BorrowableInIsolationChanged(address asset, bool borrowable)"),
    change("EModeAssetCategoryChanged(address indexed asset, uint8 oldCategoryId, uint8 newCategoryId)"),
    change("AssetCollateralInEModeChanged(address indexed asset, uint8 categoryId, bool collateral)"),
    change("AssetBorrowableInEModeChanged(address indexed asset, uint8 categoryId, bool borrowable)"),
    change(
        "EModeCategoryAdded(uint8 indexed categoryId, uint256 ltv, uint256 liquidationThreshold, "
        "uint256 liquidationBonus, address oracle, string label)"
    ),
    change(
        "ReserveInitialized(address indexed asset, address indexed aToken, address stableDebtToken, "
        "address variableDebtToken, address interestRateStrategyAddress)"
    ),
    change("ReserveInterestRateStrategyChanged(address indexed asset, address oldStrategy, address newStrategy)"),
    change("AssetSourceUpdated(address indexed asset, address indexed source)"),
)
"""Of the configurator, and the last one of the oracle."""
RATE_LINES: Final[Lines] = lines(
    change(
        "ReserveDataUpdated(address indexed reserve, uint256 liquidityRate, uint256 stableBorrowRate, "
        "uint256 variableBorrowRate, uint256 liquidityIndex, uint256 variableBorrowIndex)",
        RESERVE_RATES,
    ),
)
"""Told at every deposit and withdrawal: read in recordings, not asked for live. The same in v2."""


@dataclass(frozen=True, slots=True)
class AccountData:
    """`getUserAccountData`: totals in base currency units, thresholds in basis points."""

    collateral: int
    debt: int
    available: int
    threshold_bp: int
    ltv_bp: int
    health_wad: int
    """2^256 - 1 without debt."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One reserve's bitmap, unpacked. Shares in basis points, caps in whole tokens (0: none)."""

    ltv_bp: int
    threshold_bp: int
    bonus_bp: int
    """What a liquidator gets for a debt of 10,000: 10,500 is a bonus of 5 %."""
    decimals: int
    active: bool
    frozen: bool
    borrowing: bool
    paused: bool
    borrowable_in_isolation: bool
    siloed: bool
    flash_loans: bool
    reserve_factor_bp: int
    borrow_cap: int
    supply_cap: int
    protocol_fee_bp: int
    debt_ceiling: int
    """In units of `DEBT_CEILING_DECIMALS`, 2."""
    virtual_accounting: bool


def configuration(bitmap: int) -> Configuration:
    """ReserveConfiguration.sol's masks, v3.0 to v3.3.

    Raises:
        Rejected: `OUT_OF_RANGE` for a threshold above 100 % or more decimals than any token has.
    """

    def bits(start: int, width: int) -> int:
        return bitmap >> start & (1 << width) - 1

    unpacked = Configuration(
        ltv_bp=bits(0, 16),
        threshold_bp=bits(16, 16),
        bonus_bp=bits(32, 16),
        decimals=bits(48, 8),
        active=bool(bits(56, 1)),
        frozen=bool(bits(57, 1)),
        borrowing=bool(bits(58, 1)),
        paused=bool(bits(60, 1)),
        borrowable_in_isolation=bool(bits(61, 1)),
        siloed=bool(bits(62, 1)),
        flash_loans=bool(bits(63, 1)),
        reserve_factor_bp=bits(64, 16),
        borrow_cap=bits(80, 36),
        supply_cap=bits(116, 36),
        protocol_fee_bp=bits(152, 16),
        debt_ceiling=bits(212, 40),
        virtual_accounting=bool(bits(252, 1)),
    )
    if unpacked.threshold_bp > BASIS or unpacked.ltv_bp > BASIS or unpacked.decimals > 77:
        raise Rejected(
            Rejection.OUT_OF_RANGE,
            f"reserve with threshold {unpacked.threshold_bp} bp, {unpacked.decimals} decimals is no configuration",
        )
    return unpacked


@dataclass(frozen=True, slots=True)
class Reserve:
    """What is needed of `getReserveData`."""

    configuration: int
    a_token: str
    id: int


def _reserve_v3(configuration_: int, *rest: object) -> Reserve:
    return Reserve(configuration_, str(rest[7]), int(str(rest[6])))


ACCOUNT_DATA: Final = Call(
    "getUserAccountData(address)", "(uint256,uint256,uint256,uint256,uint256,uint256)", AccountData
)
USER_CONFIGURATION: Final[Call[int]] = Call("getUserConfiguration(address)", "(uint256)", one)
RESERVES: Final[Call[tuple[str, ...]]] = Call("getReservesList()", "(address[])", tuple)
RESERVE_DATA: Final = Call(
    "getReserveData(address)",
    "(uint256,uint128,uint128,uint128,uint128,uint128,uint40,uint16,address,address,address,address,uint128,uint128,"
    "uint128)",
    _reserve_v3,
)
PROVIDER: Final[Call[str]] = Call("ADDRESSES_PROVIDER()", "(address)", one)
ORACLE: Final[Call[str]] = Call("getPriceOracle()", "(address)", one)
CONFIGURATOR: Final[Call[str]] = Call("getPoolConfigurator()", "(address)", one)
PRICE: Final[Call[int]] = Call("getAssetPrice(address)", "(uint256)", one)
BASE_UNIT: Final[Call[int]] = Call("BASE_CURRENCY_UNIT()", "(uint256)", one)
BALANCE: Final[Call[int]] = Call("balanceOf(address)", "(uint256)", one)


def used_as_collateral(user_configuration: int, reserve_id: int) -> bool:
    """UserConfiguration.sol: two bits a reserve, borrowing below, collateral above."""
    return bool(user_configuration >> (2 * reserve_id + 1) & 1)
