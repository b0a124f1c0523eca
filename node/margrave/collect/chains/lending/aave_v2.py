"""Aave v2: as v3 in most, with another `Borrow`, another reserve struct, a shorter bitmap, and a base unit of ether.

Events and structs: aave/protocol-v2, ILendingPool.sol, ILendingPoolConfigurator.sol, DataTypes.sol. On Ethereum the
oracle answers in wei, so a dollar feed of ether (Chainlink) is needed to value what it says.
"""

from __future__ import annotations

from typing import Final

from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.lending.aave_v3 import LIQUIDATION_CALL, Reserve, borrowed
from margrave.collect.chains.lending.events import Line, Lines, as_told, change, lines

NAME: Final = "aave_v2"


BORROW: Final = Event(
    "Borrow(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount, "
    "uint256 borrowRateMode, uint256 borrowRate, uint16 indexed referral)",
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
    change("BorrowingEnabledOnReserve(address indexed asset, bool stableRateEnabled)"),
    change("BorrowingDisabledOnReserve(address indexed asset)"),
    change("ReserveActivated(address indexed asset)"),
    change("ReserveDeactivated(address indexed asset)"),
    change("ReserveFrozen(address indexed asset)"),
    change("ReserveUnfrozen(address indexed asset)"),
    change("ReserveFactorChanged(address indexed asset, uint256 factor)"),
    change("ReserveInterestRateStrategyChanged(address indexed asset, address strategy)"),
    change("AssetSourceUpdated(address indexed asset, address indexed source)"),
)


def _reserve_v2(configuration: int, *rest: object) -> Reserve:
    return Reserve(configuration, str(rest[6]), int(str(rest[10])))


RESERVE_DATA: Final = Call(
    "getReserveData(address)",
    "(uint256,uint128,uint128,uint128,uint128,uint128,uint40,address,address,address,address,uint8)",
    _reserve_v2,
)
CONFIGURATOR: Final[Call[str]] = Call("getLendingPoolConfigurator()", "(address)", one)
