"""exchangeInfo of Binance's four markets: what each instrument is, its tick, and what one unit of size is worth.

Filters are a list of objects told apart by filterType; PRICE_FILTER holds the tick. Coin-margined symbols state
contractSize in dollars, options unit in coins; elsewhere a unit of size is a coin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item
from margrave.errors import Rejected
from margrave.messages import Contract, ContractKind
from margrave.verdicts import Rejection

FUTURE_KINDS: Final[Mapping[str, ContractKind]] = {
    "PERPETUAL": ContractKind.PERPETUAL,
    "PERPETUAL_DELIVERING": ContractKind.PERPETUAL,
    "TRADIFI_PERPETUAL": ContractKind.PERPETUAL,
    "CURRENT_MONTH": ContractKind.FUTURE,
    "NEXT_MONTH": ContractKind.FUTURE,
    "CURRENT_QUARTER": ContractKind.FUTURE,
    "NEXT_QUARTER": ContractKind.FUTURE,
    "CURRENT_QUARTER DELIVERING": ContractKind.FUTURE,
    "NEXT_QUARTER DELIVERING": ContractKind.FUTURE,
}


def parse_exchange_info(asked: Asked, body: object) -> Iterator[Item]:
    """/exchangeInfo: {"symbols": [...]}, of options {"optionSymbols": [...]}; all, or the one that was asked for."""
    answer = checks.mapping(body, "exchangeInfo")
    listed = answer.get("optionSymbols", answer.get("symbols"))
    rows = checks.sequence(listed, "symbols", least=1)
    return readings.contracts(asked, rows, lambda row: _contract(asked, row), only=asked.instrument)


def _contract(asked: Asked, row: object) -> Contract:
    listed = checks.mapping(row, "a symbol")
    name = checks.text(listed.get("symbol"), "symbol")
    kind = _kind(listed)
    dollars = None if checks.absent(size := listed.get("contractSize")) else _unit(size, f"contractSize of {name}")
    coins = 1.0 if checks.absent(unit := listed.get("unit")) else _unit(unit, f"unit of {name}")
    expiry = listed.get("expiryDate", listed.get("deliveryDate"))
    dated = kind in (ContractKind.FUTURE, ContractKind.OPTION) and not checks.absent(expiry)
    state = str(listed.get("status", listed.get("contractStatus", "TRADING")))
    return Contract(
        source=asked.source,
        instrument=name,
        seen_time_ms=asked.seen_ms,
        kind=kind,
        unit_coins=coins if dollars is None else None,
        unit_usd=dollars,
        tick=_tick(listed.get("filters"), name),
        expiry_ms=checks.time_ms(expiry, f"expiry of {name}") if dated else None,
        trading=state == "TRADING",
    )


def _unit(value: object, what: str) -> float:
    if (unit := checks.size(value, what)) == 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"{what} = 0")
    return unit


def _kind(listed: Mapping[str, object]) -> ContractKind:
    if "strikePrice" in listed:
        return ContractKind.OPTION
    if "contractType" not in listed:
        return ContractKind.SPOT
    return FUTURE_KINDS.get(str(listed["contractType"]), ContractKind.OTHER)


def _tick(filters: object, name: str) -> float | None:
    for entry in checks.sequence(filters or [], f"filters of {name}"):
        if isinstance(entry, dict) and entry.get("filterType") == "PRICE_FILTER":
            return checks.optional_price(entry.get("tickSize"), f"tickSize of {name}")
    return None
