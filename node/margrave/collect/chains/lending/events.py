"""What lending protocols tell in their logs, in one vocabulary, and the small table that turns logs into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from margrave.collect.chains.abi import Event
from margrave.collect.chains.logs import Log
from margrave.errors import Rejected
from margrave.verdicts import Rejection

LIQUIDATION: Final = "lending.liquidation"
BORROWING: Final = "lending.borrowing"
RESERVE_CHANGED: Final = "lending.reserve.changed"
RESERVE_RATES: Final = "lending.reserve.rates"


@dataclass(frozen=True, slots=True)
class Liquidated:
    """A position closed by force. Amounts are in the tokens' smallest units."""

    borrower: str
    liquidator: str
    collateral: str
    """Token seized: an asset, a cToken (Compound v2), or empty where only the market is named (Morpho)."""
    debt: str
    """Token repaid, or empty."""
    collateral_amount: int
    debt_amount: int
    market: bytes = b""
    """Morpho's market id."""
    usd: float | None = None
    """Value of the collateral in the protocol's own unit of account, where the event states it."""

    @property
    def text(self) -> str:
        what = self.collateral or "0x" + self.market.hex()
        return f"{self.collateral_amount} of {what} seized from {self.borrower}, {self.debt_amount} of debt repaid"


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An account took on debt: it is worth watching."""

    account: str
    asset: str
    amount: int
    market: bytes = b""

    @property
    def text(self) -> str:
        return f"{self.account} borrowed {self.amount} of {self.asset or '0x' + self.market.hex()}"


@dataclass(frozen=True, slots=True)
class Changed:
    """Governance changed what a reserve is worth as collateral, or whether it may be used."""

    topic: str
    asset: str
    """Empty where the change is of the whole protocol."""
    text: str


Said = Liquidated | Borrowed | Changed


@dataclass(frozen=True)
class Line:
    """One event of a protocol and what it says."""

    event: Event[Any]
    say: Callable[[Any, Log], Said]


Lines = Mapping[bytes, Sequence[Line]]
"""By first topic. Of two events with one signature, the number of indexed arguments decides."""


def lines(*all_of_them: Line) -> Lines:
    by_topic: dict[bytes, tuple[Line, ...]] = {}
    for line in all_of_them:
        by_topic[line.event.topic] = (*by_topic.get(line.event.topic, ()), line)
    return by_topic


def change(declaration: str, topic: str = RESERVE_CHANGED) -> Line:
    """An event told in its own words: its name, then each argument by name. The first address is the asset."""
    name, _, arguments = declaration.partition("(")
    words = [argument.split() for argument in arguments.removesuffix(")").split(",") if argument]
    names = [word[-1] for word in words]
    asset_at = next((at for at, word in enumerate(words) if word[0] == "address"), None)

    def changed(*values: object) -> Changed:
        told = ", ".join(f"{key} {_shown(value)}" for key, value in zip(names, values, strict=True))
        return Changed(topic, str(values[asset_at]) if asset_at is not None else "", f"{_spaced(name)}: {told}")

    return Line(Event(declaration, changed), as_told)


def as_told(said: Said, _log: Log) -> Said:
    """Of an event that says all there is to say by itself."""
    return said


def say(known: Lines, log: Log) -> Said:
    """What one log says.

    Raises:
        Rejected: `UNKNOWN_SHAPE` for an event that is not in the table, `MALFORMED` for one that does not decode.
    """
    for line in known.get(log.topics[0], ()) if log.topics else ():
        if line.event.fits(log):
            return line.say(line.event.decode(log), log)
    first = "0x" + log.topics[0].hex() if log.topics else "no topic"
    raise Rejected(Rejection.UNKNOWN_SHAPE, f"no event that is read: {first} of {log.address}")


def _spaced(name: str) -> str:
    """«CollateralConfigurationChanged» -> «collateral configuration changed»."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)[:80]
