"""What every lending protocol must be able to do, and the small parts that they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from margrave.collect.chains.abi import Call
from margrave.collect.chains.answers import DECIMALS
from margrave.collect.chains.lending.events import Borrowed, Lines, Liquidated
from margrave.collect.chains.lending.health import Position
from margrave.collect.chains.lending.window import Value
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import given
from margrave.errors import Rejected
from margrave.verdicts import Rejection

T = TypeVar("T")

FEED_MAX_AGE_S: Final = 90_000
"""A day, the heartbeat of Chainlink's slowest dollar feeds, and an hour for its being late."""


class Lender(Protocol):
    """One deployment. It reads only through the sweep it is given, and keeps what `prepare` read until the next."""

    name: str

    @property
    def lines(self) -> Lines:
        """Events that it wants to be told."""

    @property
    def addresses(self) -> frozenset[str]:
        """Contracts that tell them; grows with `prepare`."""

    @property
    def markets(self) -> Mapping[str, Sequence[str]]:
        """Market -> the assets (or market ids) that stand for it."""

    def key(self, borrowed: Borrowed) -> str:
        """Under what a borrower is tracked."""

    async def prepare(self, sweep: Sweep) -> None:
        """Parameters and prices at the sweep's block. Raises `Rejected` where they cannot be believed."""

    async def positions(self, sweep: Sweep, keys: Sequence[str]) -> tuple[dict[str, Position], list[Rejected]]:
        """By key, and what could not be valued and why."""

    def value(self, liquidated: Liquidated) -> Value:
        """In dollars, at the prices of the last `prepare`."""


@dataclass(frozen=True, slots=True)
class RoundData:
    """Chainlink's `latestRoundData`."""

    round: int
    answer: int
    started_s: int
    updated_s: int
    answered_in_round: int


ROUND: Final = Call("latestRoundData()", "(uint80,int256,uint256,uint256,uint80)", RoundData)


async def feed_usd(sweep: Sweep, feed: str) -> float:
    """Dollars of one unit of what the feed prices.

    Raises:
        Rejected: the feed does not answer, says nothing positive, or has not been renewed for a day.
    """
    answers: list[Any] = await sweep.ask([Question(feed, ROUND), Question(feed, DECIMALS)])
    said, decimals = given(answers[0]), given(answers[1])
    if said.answer <= 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"dollar feed {feed} says {said.answer}")
    if (age_s := sweep.block.time_ms // 1000 - said.updated_s) > FEED_MAX_AGE_S:
        raise Rejected(Rejection.STALE, f"dollar feed {feed} is {age_s} s old")
    return float(said.answer / 10**decimals)


def by_market(assets: Mapping[str, str]) -> dict[str, list[str]]:
    """Market -> assets, from asset -> market."""
    turned: dict[str, list[str]] = {}
    for asset, market in assets.items():
        turned.setdefault(market, []).append(asset)
    return turned


def merged(tables: Iterable[Lines]) -> Lines:
    """Several tables as one; a topic that is in more than one keeps all its lines."""
    together: dict[bytes, Any] = {}
    for table in tables:
        for topic, found in table.items():
            together[topic] = (*together.get(topic, ()), *found)
    return together
