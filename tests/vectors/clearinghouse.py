"""The clearinghouse's share of the vectors: orders, series, premiums, settlements, collateral."""

from __future__ import annotations

import random
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_typing import HexAddress, HexStr
from web3.types import Nonce
from web3.utils.address import get_create_address

from margrave.mirror import clearinghouse
from margrave.mirror.clearinghouse import Settled

DEPLOYER: Final = "0x00000000000000000000000000000000000d3910"
CHAIN_ID: Final = 31_337
NOW_S: Final = 1_800_000_000
ORDERS: Final = 8
BOOKS: Final = 40
TOKENS: Final = 60


def clearinghouse_vectors() -> dict[str, Any]:
    """Columns; the same at every call."""
    rng = random.Random("clearinghouse vectors")
    return {**_orders(rng), **_books(rng), **_tokens(rng)}


def _orders(rng: random.Random) -> dict[str, Any]:
    desk = get_create_address(HexAddress(HexStr(DEPLOYER)), Nonce(0))
    orders, terms = [], []
    for row in range(ORDERS):
        key = PrivateKey((row + 1).to_bytes(32, "big"))
        market, strike, is_call = rng.randrange(1 << 16), rng.randrange(1, 1 << 63), rng.random() < 0.5
        expiry = NOW_S + rng.randrange(1, 1 << 30)
        terms.append((market, expiry, strike, int(is_call)))
        orders.append(
            clearinghouse.Order(
                maker=key.public_key.to_checksum_address(),
                series=clearinghouse.series_id(market, expiry, strike, is_call=is_call),
                quantity=rng.choice((-1, 1)) * rng.randrange(1, 1 << 50),
                price=rng.randrange(1 << 60),
                deadline=NOW_S + rng.randrange(1 << 20),
                salt=rng.randrange(1 << 256),
            )
        )
    paid = [clearinghouse.premium(abs(order.quantity), order.price) for order in orders]
    return {
        "deployer": DEPLOYER,
        "chainId": CHAIN_ID,
        "maker": [order.maker for order in orders],
        "market": [row[0] for row in terms],
        "expiry": [row[1] for row in terms],
        "strike": [hex(row[2]) for row in terms],
        "isCall": [row[3] for row in terms],
        "series": [hex(order.series) for order in orders],
        "quantity": [str(order.quantity) for order in orders],
        "price": [hex(order.price) for order in orders],
        "deadline": [order.deadline for order in orders],
        "salt": [hex(order.salt) for order in orders],
        "digest": ["0x" + clearinghouse.order_digest(CHAIN_ID, desk, order).hex() for order in orders],
        "premiumPaid": [hex(row[0]) for row in paid],
        "premiumReceived": [hex(row[1]) for row in paid],
    }


def _books(rng: random.Random) -> dict[str, Any]:
    """Accounts' positions of one expiry, three each, around a settlement price; some of it does not come in."""
    strikes, calls, quantities, prices, nets, claims, dues, paids, gots = [], [], [], [], [], [], [], [], []
    for _ in range(BOOKS):
        price = int(10 ** rng.uniform(7, 13))
        positions = [
            Settled(
                strike=int(price * rng.uniform(0.7, 1.3)),
                is_call=rng.random() < 0.5,
                quantity=rng.choice((-1, 1)) * rng.randrange(1, 10**10),
            )
            for _ in range(3)
        ]
        claim = rng.randrange(1, 10**12)
        due = claim + rng.randrange(10**12)
        paid = rng.randrange(due + 1)
        strikes += [position.strike for position in positions]
        calls += [int(position.is_call) for position in positions]
        quantities += [str(position.quantity) for position in positions]
        prices.append(price)
        nets.append(str(clearinghouse.net_payoff(positions, price)))
        claims.append(claim)
        dues.append(due)
        paids.append(paid)
        gots.append(clearinghouse.claim_paid(claim, due, paid))
    return {
        "settledStrike": strikes,
        "settledIsCall": calls,
        "settledQuantity": quantities,
        "settlementPrice": prices,
        "netPayoff": nets,
        "claim": claims,
        "due": dues,
        "paid": paids,
        "claimPaid": gots,
    }


def _tokens(rng: random.Random) -> dict[str, Any]:
    rows = [
        (
            rng.randrange(1 << 90),
            rng.randrange(19),
            rng.randrange(1, 1 << 50),
            rng.choice((0, 10**8)),
            rng.randrange(10_001),
            rng.randrange(1 << 15),
        )
        for _ in range(TOKENS)
    ]
    return {
        "amount": [hex(row[0]) for row in rows],
        "decimals": [row[1] for row in rows],
        "tokenPrice": [row[2] for row in rows],
        "peg": [row[3] for row in rows],
        "haircut": [row[4] for row in rows],
        "liquidity": [row[5] for row in rows],
        "counted": [hex(clearinghouse.collateral_value(*row)) for row in rows],
    }
