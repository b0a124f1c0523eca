"""What Deribit's names say: the kind of an instrument, an option's terms, and whether sizes are coins or dollars.

"Instrument naming convention" of the API documentation: BTC-PERPETUAL, BTC-25DEC26, BTC-25DEC26-58000-C, BTC_USDC,
XRP_USDC-25SEP26-0d55-C (d is the decimal point), and combinations: BTC-FS-25DEC26_PERP, BTC-CS-19MAY26-70000_75000.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from margrave.collect import checks
from margrave.errors import Rejected
from margrave.messages import EXPIRES_AT_H, ContractKind
from margrave.verdicts import Rejection

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@lru_cache(maxsize=8192)
def kind_of(name: str) -> ContractKind:
    """What an instrument is, by its name alone."""
    parts = name.split("-")
    if len(parts) == 1:
        return ContractKind.SPOT if "_" in name else ContractKind.OTHER
    if parts[1] == "PERPETUAL":
        return ContractKind.PERPETUAL
    if not parts[1][:1].isdigit():
        return ContractKind.COMBINATION
    return {2: ContractKind.FUTURE, 4: ContractKind.OPTION}.get(len(parts), ContractKind.OTHER)


def is_inverse(name: str) -> bool:
    """Margined in the coin itself (BTC-PERPETUAL), not in a stablecoin (BTC_USDC-PERPETUAL). Sizes ("amount") of
    inverse futures and perpetuals are dollars; of everything else, coins."""
    return "_" not in name.partition("-")[0]


def sizes_in_usd(name: str) -> bool:
    return is_inverse(name) and kind_of(name) in (ContractKind.PERPETUAL, ContractKind.FUTURE)


def no_combination(name: str) -> None:
    """Raise for a spread, straddle or the like: its price is a difference of prices, and passes for no market's."""
    if kind_of(name) is ContractKind.COMBINATION:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"{name[:40]} is a combination: its price is a difference")


@lru_cache(maxsize=8192)
def option_terms(name: str) -> tuple[int, float, bool]:
    """Expiry (08:00 UTC) in ms, strike and call or put of BTC-9SEP26-73000-P or XRP_USDC-9SEP26-0d55-C."""
    parts = name.split("-")
    if len(parts) != 4 or parts[3] not in ("C", "P") or not 6 <= len(parts[1]) <= 7:
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} is not an option's name")
    day, month, year = parts[1][:-5], parts[1][-5:-2], parts[1][-2:]
    if month not in MONTHS or not (day + year).isascii() or not (day + year).isdigit():
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} does not name a date")
    try:
        expiry = datetime(2000 + int(year), MONTHS.index(month) + 1, int(day), EXPIRES_AT_H, tzinfo=UTC)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} names a day that is not in the calendar") from None
    return (
        int(expiry.timestamp()) * 1000,
        checks.price(parts[2].replace("d", "."), f"strike of {name}"),
        parts[3] == "C",
    )
