"""Readings of a chain: the block's time for venue time, the contract for instrument, checked as venues' figures are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from margrave.collect import checks
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import EVERY_MARKET, Kind, NoticeReading, Refusal, ScalarReading

T = TypeVar("T")

MAX_BASE_FEE_WEI: Final = 1e15
"""A million gwei: a plain transfer would cost 21 ether."""
MOST_TEXT: Final = 400
"""Characters of a notice: what strangers write is cut, not trusted to be short."""

_CHECKS: Final[Mapping[Kind, Callable[[object, str], float]]] = {
    Kind.SPOT_TWAP: checks.price,
    Kind.ORACLE_PRICE: checks.price,
    Kind.REDEMPTION_VALUE: checks.price,
    Kind.PEG: lambda value, what: checks.within(value, what, 1e-3, 1e3),
    Kind.SUPPLY_CHANGE_24H: lambda value, what: checks.within(value, what, -1.0, 10.0),
    Kind.TRANSFER_VELOCITY: lambda value, what: checks.within(value, what, 0.0, 1e3),
    Kind.BASE_FEE: lambda value, what: checks.within(value, what, 0.0, MAX_BASE_FEE_WEI),
}


@dataclass(frozen=True, slots=True)
class Speaker:
    """One source at one moment. `market` and `instrument` are those of what it says next."""

    source: str
    venue_ms: int
    seen_ms: int
    market: str = EVERY_MARKET
    instrument: str = ""

    def scalar(self, kind: Kind, value: object) -> Item:
        """A checked figure, or its refusal."""
        try:
            return ScalarReading(
                source=self.source,
                market=self.market,
                instrument=self.instrument,
                venue_time_ms=self.venue_ms,
                seen_time_ms=self.seen_ms,
                kind=kind,
                value=_CHECKS[kind](value, kind.value),
            )
        except Rejected as rejected:
            return self.refusal(kind.value, rejected)

    def notice(self, topic: str, text: str) -> NoticeReading:
        return NoticeReading(
            source=self.source,
            market=self.market,
            instrument=self.instrument,
            venue_time_ms=self.venue_ms,
            seen_time_ms=self.seen_ms,
            topic=topic,
            text=plain(text),
        )

    def refusal(self, what: str, rejected: Rejected) -> Refusal:
        """Of a contract, because a chain has many of a kind."""
        named = f"{what} {self.instrument}".strip()
        return Refusal(
            source=self.source, market=self.market, what=named, reason=rejected.reason, detail=rejected.problem
        )


def plain(text: str, most: int = MOST_TEXT) -> str:
    """Strangers' text on one line of bounded length, without what a terminal or a log would obey."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * most])
    joined = " ".join(printable.split())
    return joined if len(joined) <= most else joined[: most - 1] + "…"


def given(answer: T | Rejected) -> T:
    """A value that was read, or its refusal raised."""
    if isinstance(answer, Rejected):
        raise answer
    return answer


class ReadsOnly:
    """The half of a watcher that is about logs, for those that only read state."""

    __slots__ = ()
    history_s: ClassVar[float] = 0.0

    def wanted(self) -> LogFilter:
        return LogFilter()

    def heard(self, log: Log, time_ms: int) -> Iterable[Item]:  # noqa: ARG002 none is wanted
        return ()

    def withdrawn(self, log: Log) -> None:
        """Nothing is kept of logs."""

    def forget(self) -> None:
        """Likewise."""
