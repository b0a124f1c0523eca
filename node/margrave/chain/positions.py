"""Opens a portfolio on a deployed clearinghouse: two accounts with mock collateral, signed orders, fills.

For demonstrations and tests on a local chain; the collateral is minted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from eth_account import Account

from margrave.chain.deploy import Deployment, Sender
from margrave.errors import Fatal
from margrave.lanes import PRICE_UNIT_USD, Words
from margrave.mirror import portfolio
from margrave.mirror.clearinghouse import MICRO, Order, order_digest, series_id
from margrave.mirror.fixed_point import WAD

ORDER_LIFE_S: Final = 86_400


class OptionPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Contracts of one unit of the underlying, negative is short; the strike is in dollars."""

    market_id: int
    expiry_s: int
    strike: float
    is_call: bool
    quantity: float


def demonstration_positions(
    market_id: int, price_usd: float, expiry_s: int, notional_usd: float
) -> tuple[OptionPosition, ...]:
    """A short strangle 4 % around the price with a bought put 12 % below for half of it: short volatility, hedged."""
    quantity = round(notional_usd / price_usd, 3)

    def at(moneyness: float, is_call: bool, share: float) -> OptionPosition:
        return OptionPosition(
            market_id=market_id,
            expiry_s=expiry_s,
            strike=_round_strike(price_usd * moneyness),
            is_call=is_call,
            quantity=round(share * quantity, 6),
        )

    return (at(1.04, True, -1.0), at(0.96, False, -1.0), at(0.88, False, 0.5))


def open_portfolio(
    rpc_url: str,
    deployment: Deployment,
    *,
    account_private_key: str,
    maker_private_key: str,
    collateral_usd: float,
    positions: Sequence[OptionPosition],
) -> None:
    """Fund both accounts with mock collateral and trade the positions at the mark of the words on chain.

    The maker signs, the account fills; after it the account holds `positions` and the maker their opposite. Every
    market must have been published and be fresh or aging.

    Raises:
        Fatal: the chain refuses, or a market has no figures yet.
    """
    account, maker = Sender(rpc_url, account_private_key), Sender(rpc_url, maker_private_key)
    for each in (account, maker):
        _fund(each, deployment, round(collateral_usd * MICRO))
    signer = Account.from_key(maker_private_key)
    house = account.at("OptionsClearinghouse", deployment.clearinghouse)
    desk = account.at("OrderDesk", house.functions.desk().call())
    for salt, position in enumerate(positions):
        order = Order(
            maker=maker.address,
            series=_series(position),
            quantity=-round(position.quantity * MICRO),
            price=_premium(account, deployment, position),
            deadline=account.now_s() + ORDER_LIFE_S,
            salt=salt,
        )
        digest = order_digest(deployment.chain_id, desk.address, order)
        signature = signer.unsafe_sign_hash(digest).signature
        fields = (order.maker, order.series, order.quantity, order.price, order.deadline, order.salt)
        account.send(desk.functions.fill(fields, bytes(signature), abs(order.quantity)))


def _fund(sender: Sender, deployment: Deployment, amount: int) -> None:
    token = sender.at("MockUSD", deployment.collateral)
    clearinghouse = sender.at("OptionsClearinghouse", deployment.clearinghouse)
    sender.send(token.functions.mint(sender.address, amount))
    sender.send(token.functions.approve(clearinghouse.address, amount))
    sender.send(clearinghouse.functions.deposit(token.address, amount))


def _premium(sender: Sender, deployment: Deployment, position: OptionPosition) -> int:
    """Today's mark of one contract on the published surface, 6 decimals."""
    oracle = sender.at("RiskOracle", deployment.oracle)
    risk, market, _, status = oracle.functions.read(position.market_id).call()
    if status not in (1, 2):
        raise Fatal(f"market {position.market_id} has no usable figures on chain", advice="publish a round first")
    leg = portfolio.Leg(expiry_s=position.expiry_s, strike=_strike(position), is_call=position.is_call, quantity=MICRO)
    value = portfolio.requirement(Words(risk=risk, market=market), [leg], sender.now_s()).value
    return value // (WAD // MICRO)


def _series(position: OptionPosition) -> int:
    return series_id(position.market_id, position.expiry_s, _strike(position), is_call=position.is_call)


def _strike(position: OptionPosition) -> int:
    return round(position.strike / PRICE_UNIT_USD)


def _round_strike(price_usd: float) -> float:
    """Three significant digits, as listed strikes have."""
    return float(f"{price_usd:.3g}")
