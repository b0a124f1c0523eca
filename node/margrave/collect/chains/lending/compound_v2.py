"""Compound v2 and its forks: liquidations, borrowers, health by account snapshot, and the Comptroller's decisions.

Contracts: compound-protocol, CTokenInterfaces.sol, ComptrollerStorage.sol. Nothing is indexed in its events. A market's
collateral factor is both how much may be borrowed and where liquidation begins. The oracle prices an underlying with
36 minus its decimals, in dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.lending.events import Borrowed, Line, Lines, Liquidated, change, lines
from margrave.collect.chains.lending.health import Position, health_factor
from margrave.errors import Rejected
from margrave.verdicts import Rejection

NAME: Final = "compound_v2"
MANTISSA: Final = 10**18


def _liquidated(liquidator: str, borrower: str, repaid: int, collateral: str, seized: int) -> Liquidated:
    return Liquidated(borrower, liquidator, collateral, "", seized, repaid)


def _borrowed(borrower: str, amount: int, _account_borrows: int, _total_borrows: int) -> Borrowed:
    return Borrowed(borrower, "", amount)


LIQUIDATE_BORROW: Final = Event(
    "LiquidateBorrow(address liquidator, address borrower, uint256 repayAmount, address cTokenCollateral, "
    "uint256 seizeTokens)",
    _liquidated,
)
BORROW: Final = Event(
    "Borrow(address borrower, uint256 borrowAmount, uint256 accountBorrows, uint256 totalBorrows)", _borrowed
)
# The cToken that speaks is the debt; its address is the log's.
POOL_LINES: Final[Lines] = lines(
    Line(
        LIQUIDATE_BORROW,
        lambda said, log: Liquidated(
            said.borrower, said.liquidator, said.collateral, log.address, said.collateral_amount, said.debt_amount
        ),
    ),
    Line(BORROW, lambda said, log: Borrowed(said.account, log.address, said.amount)),
)
CHANGE_LINES: Final[Lines] = lines(
    change("MarketListed(address cToken)"),
    change(
        "NewCollateralFactor(address cToken, uint256 oldCollateralFactorMantissa, uint256 newCollateralFactorMantissa)"
    ),
    change("NewCloseFactor(uint256 oldCloseFactorMantissa, uint256 newCloseFactorMantissa)"),
    change("NewLiquidationIncentive(uint256 oldLiquidationIncentiveMantissa, uint256 newLiquidationIncentiveMantissa)"),
    change("NewPriceOracle(address oldPriceOracle, address newPriceOracle)"),
    change("NewBorrowCap(address indexed cToken, uint256 newBorrowCap)"),
    change("ActionPaused(address cToken, string action, bool pauseState)"),
    change("ActionPaused(string action, bool pauseState)"),
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`getAccountSnapshot`: one account in one market."""

    error: int
    tokens: int
    """cTokens held."""
    debt: int
    """Underlying owed."""
    exchange_rate: int
    """Underlying a cToken, scaled by 1e18."""


@dataclass(frozen=True, slots=True)
class Liquidity:
    """`getAccountLiquidity`: dollars with 18 decimals to spare, or lacking."""

    error: int
    spare: int
    lacking: int


@dataclass(frozen=True, slots=True)
class Market:
    """One cToken as the Comptroller sees it."""

    price: int
    """Of a smallest unit of the underlying, dollars scaled by 1e36."""
    factor: int
    """Collateral factor, scaled by 1e18."""


def _factor(listed: bool, factor: int) -> int:
    if not listed:
        raise Rejected(Rejection.WRONG_INSTRUMENT, "the Comptroller does not list that cToken")
    return factor


MARKETS: Final[Call[tuple[str, ...]]] = Call("getAllMarkets()", "(address[])", tuple)
ORACLE: Final[Call[str]] = Call("oracle()", "(address)", one)
MARKET: Final[Call[int]] = Call("markets(address)", "(bool,uint256)", _factor)
PRICE: Final[Call[int]] = Call("getUnderlyingPrice(address)", "(uint256)", one)
EXCHANGE_RATE: Final[Call[int]] = Call("exchangeRateStored()", "(uint256)", one)
LIQUIDITY: Final = Call("getAccountLiquidity(address)", "(uint256,uint256,uint256)", Liquidity)
ASSETS_IN: Final[Call[tuple[str, ...]]] = Call("getAssetsIn(address)", "(address[])", tuple)
SNAPSHOT: Final = Call("getAccountSnapshot(address)", "(uint256,uint256,uint256,uint256)", Snapshot)


def position(
    account: str, snapshots: Mapping[str, Snapshot], markets: Mapping[str, Market], watched: frozenset[str]
) -> Position:
    """Health as `getHypotheticalAccountLiquidity` computes it, over the markets that the account has entered.

    Args:
        snapshots: by cToken.
        watched: cTokens told one by one; others are summed.

    Raises:
        Rejected: a snapshot says it failed, or a market has no price: then no health is a fact.
    """
    collateral: dict[str, float] = {}
    weighted = debt = other = 0.0
    for token, snapshot in snapshots.items():
        market = markets.get(token)
        if snapshot.error or market is None or market.price <= 0:
            raise Rejected(Rejection.VENUE_ERROR, f"{account} in {token} cannot be valued")
        underlying = snapshot.tokens * snapshot.exchange_rate // MANTISSA
        value_usd = underlying * market.price / 1e36
        weighted += value_usd * market.factor / MANTISSA
        debt += snapshot.debt * market.price / 1e36
        if token in watched:
            collateral[token] = value_usd
        else:
            other += value_usd
    return Position(account, health_factor(weighted, debt), debt, collateral, other)
