"""Morpho Blue: isolated markets of one loan and one collateral token, each with its oracle and its own threshold.

Contracts: morpho-org/morpho-blue, IMorpho.sol, EventsLib.sol, SharesMathLib.sol, ConstantsLib.sol. A market's oracle
gives the price of one unit of collateral in units of the loan, scaled by 1e36.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.lending.events import Borrowed, Line, Lines, Liquidated, as_told, change, lines
from margrave.collect.chains.lending.health import Position, health_factor
from margrave.errors import Rejected
from margrave.mirror.fixed_point import WAD
from margrave.verdicts import Rejection

NAME: Final = "morpho"
ORACLE_SCALE: Final = 10**36
VIRTUAL_SHARES: Final = 10**6
VIRTUAL_ASSETS: Final = 1
"""SharesMathLib.sol: against inflation of a share's price in an empty market."""


def _liquidated(
    market: bytes,
    caller: str,
    borrower: str,
    repaid: int,
    _repaid_shares: int,
    seized: int,
    _bad_debt: int,
    _bad_debt_shares: int,
) -> Liquidated:
    return Liquidated(borrower, caller, "", "", seized, repaid, market=market)


def _borrowed(market: bytes, _caller: str, on_behalf: str, _receiver: str, assets: int, _shares: int) -> Borrowed:
    return Borrowed(on_behalf, "", assets, market=market)


LIQUIDATE: Final = Event(
    "Liquidate(bytes32 indexed id, address indexed caller, address indexed borrower, uint256 repaidAssets, "
    "uint256 repaidShares, uint256 seizedAssets, uint256 badDebtAssets, uint256 badDebtShares)",
    _liquidated,
)
BORROW: Final = Event(
    "Borrow(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver, "
    "uint256 assets, uint256 shares)",
    _borrowed,
)
POOL_LINES: Final[Lines] = lines(
    Line(LIQUIDATE, as_told),
    Line(BORROW, as_told),
)
CHANGE_LINES: Final[Lines] = lines(
    change("EnableIrm(address indexed irm)"),
    change("EnableLltv(uint256 lltv)"),
    change("SetFee(bytes32 indexed id, uint256 newFee)"),
    change("SetOwner(address indexed newOwner)"),
)


@dataclass(frozen=True, slots=True)
class Params:
    """`idToMarketParams`."""

    loan: str
    collateral: str
    oracle: str
    rate_model: str
    lltv: int
    """Liquidation loan-to-value, scaled by 1e18."""

    @property
    def id(self) -> bytes:
        """keccak of the parameters: MarketParamsLib.sol."""
        kinds = ["address", "address", "address", "address", "uint256"]
        return keccak(encode(kinds, [self.loan, self.collateral, self.oracle, self.rate_model, self.lltv]))


@dataclass(frozen=True, slots=True)
class Market:
    """`market`: totals at the last interaction; interest since then is not in them."""

    supply_assets: int
    supply_shares: int
    borrow_assets: int
    borrow_shares: int
    last_update_s: int
    fee: int


@dataclass(frozen=True, slots=True)
class Held:
    """`position`: one account in one market."""

    supply_shares: int
    borrow_shares: int
    collateral: int


PARAMS: Final = Call("idToMarketParams(bytes32)", "(address,address,address,address,uint256)", Params)
MARKET: Final = Call("market(bytes32)", "(uint128,uint128,uint128,uint128,uint128,uint128)", Market)
POSITION: Final = Call("position(bytes32,address)", "(uint256,uint128,uint128)", Held)
PRICE: Final[Call[int]] = Call("price()", "(uint256)", one)


def borrowed_assets(held: Held, market: Market) -> int:
    """`toAssetsUp`: shares to assets, rounded against the borrower."""
    assets, shares = market.borrow_assets + VIRTUAL_ASSETS, market.borrow_shares + VIRTUAL_SHARES
    return -(-held.borrow_shares * assets // shares)


def position(account: str, held: Held, market: Market, params: Params, price: int, loan_unit_usd: float) -> Position:
    """Health as `_isHealthy` sees it: collateral in the loan's units at the market's threshold over what is owed.

    Args:
        price: the oracle's, scaled by 1e36.
        loan_unit_usd: dollars of one smallest unit of the loan token.

    Raises:
        Rejected: `NOT_POSITIVE` for an oracle that says nothing.
    """
    if price <= 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"the oracle of market 0x{params.id.hex()[:12]} says {price}")
    debt = borrowed_assets(held, market)
    worth = held.collateral * price // ORACLE_SCALE
    health = health_factor(worth * params.lltv // WAD, debt)
    return Position(account, health, debt * loan_unit_usd, {params.collateral: worth * loan_unit_usd})
