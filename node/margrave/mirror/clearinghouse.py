"""What the clearinghouse computes, in Python: order digests, series ids, and what settlements and premiums pay.

Dollars and contracts have 6 decimals, prices and strikes 8, as in contracts/src/protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from margrave.mirror.typed_data import domain_separator, hash_typed_data

CLEARINGHOUSE_NAME: Final = "Margrave Clearinghouse"
ORDER_TYPE: Final = "Order(address maker,uint256 series,int256 quantity,uint128 price,uint256 deadline,uint256 salt)"
MICRO: Final = 10**6
"""Dollars and contracts have six decimals in the clearinghouse."""
PRICE_UNIT: Final = 10**8
PAR_BP: Final = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """What a maker of the clearinghouse is willing to trade, in the contract's order of fields.

    Quantity (positive: the maker buys) and price have 6 decimals; the deadline is in Unix seconds.
    """

    maker: str
    series: int
    quantity: int
    price: int
    deadline: int
    salt: int


def order_digest(chain_id: int, desk: str, order: Order) -> bytes:
    """The 32 bytes that a maker signs; `desk` is the address of the clearinghouse's OrderDesk."""
    types = ["bytes32", "address", "uint256", "int256", "uint128", "uint256", "uint256"]
    struct = keccak(encode(types, [keccak(text=ORDER_TYPE), *astuple(order)]))
    return hash_typed_data(domain_separator(chain_id, desk, CLEARINGHOUSE_NAME), struct)


def series_id(market_id: int, expiry_s: int, strike: int, *, is_call: bool) -> int:
    """A series' id is its terms: contracts/src/protocol/Series.sol. The strike has 8 decimals."""
    return market_id | strike << 16 | expiry_s << 80 | is_call << 120


@dataclass(frozen=True, slots=True)
class Settled:
    """A position at its settlement: contracts (6 decimals, negative is short) of one strike (8 decimals)."""

    strike: int
    is_call: bool
    quantity: int


def net_payoff(positions: Sequence[Settled], price: int) -> int:
    """Dollars that an account's positions of one expiry are owed at a settlement price, rounded down."""
    return sum(_payoff(position, price) for position in positions) // PRICE_UNIT


def claim_paid(claim: int, due: int, paid: int) -> int:
    """Dollars paid on a claim when `paid` of what writers had `due` came in, rounded down."""
    return claim * paid // due


def premium(quantity: int, price: int) -> tuple[int, int]:
    """What the buyer of `quantity` contracts pays, rounded up, and the seller receives, rounded down."""
    product = quantity * price
    return -(-product // MICRO), product // MICRO


def collateral_value(amount: int, decimals: int, price: int, peg: int, haircut_bp: int, liquidity_bp: int) -> int:
    """Dollars that a token counts for: at the lesser of price and peg (none when 0), less haircut and liquidity."""
    full: int = amount * (min(price, peg) if peg else price) // 10**decimals // (PRICE_UNIT // MICRO)
    return full * max(PAR_BP - haircut_bp - liquidity_bp, 0) // PAR_BP


def _payoff(position: Settled, price: int) -> int:
    above = price - position.strike
    payoff = above if position.is_call else -above
    return position.quantity * payoff if payoff > 0 else 0
