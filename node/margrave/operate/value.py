"""`margrave value`: the fair value of any option with its interval, from a round of the journal or a chain file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from margrave.errors import Rejected
from margrave.messages import EXPIRES_AT_H, MarketSnapshot, OptionQuote
from margrave.operate.replay import open_journal
from margrave.score import completion, fair_value
from margrave.score.fair_value import FairValue, Option, Remark
from margrave.score.registry import open_model
from margrave.settings import REGISTRY, Settings
from margrave.store.journal import Journal
from margrave.verdicts import Rejection

PRIOR: Final = f"{completion.FAMILY}/1"
OPTION: Final = re.compile(r"(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:\.\d+)?)-([CP])")
REMARKED: Final = {
    Remark.BEYOND_STRIKES: "further out than anything quoted beside it",
    Remark.BEYOND_EXPIRIES: "beyond the quoted expiries",
    Remark.ARBITRAGE_IN_QUOTES: "the quotes contradict each other: look at the chain before you use it",
    Remark.SURFACE_ONLY: "no chain was seen, the surface alone says so",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What was valued, on what."""

    market: str
    source: str
    as_of_ms: int
    model: str
    values: tuple[FairValue, ...]

    def lines(self) -> list[str]:
        at = datetime.fromtimestamp(self.as_of_ms / 1000, UTC)
        return [f"{self.market} from {self.source}, {at:%Y-%m-%d %H:%M:%S} UTC", *map(_line, self.values)]


def option(text: str) -> Option:
    """From `27MAR26-80000-C`.

    Raises:
        Rejected: it is not written so.
    """
    match = OPTION.fullmatch(text.upper())
    with contextlib.suppress(ValueError):
        if match is not None:
            day, strike, side = match.groups()
            expiry = datetime.strptime(day.title(), "%d%b%y").replace(hour=EXPIRES_AT_H, tzinfo=UTC)
            return Option(int(expiry.timestamp() * 1000), float(strike), side == "C")
    raise Rejected(Rejection.MALFORMED, f"{text!r} is no option", advice="write it like 27MAR26-80000-C")


def from_journal(settings: Settings, market: str, options: Sequence[Option], round_: int | None = None) -> Told:
    """From the chain of a round, or from the surface that it published where it saw none.

    Raises:
        Rejected: the journal holds no such round or market, or an option cannot be valued.
    """
    with contextlib.closing(open_journal(settings)) as journal:
        return of_round(journal, settings.node.registry_dir, market, options, round_)[0]


def of_round(
    journal: Journal, registry_dir: Path, market: str, options: Sequence[Option], round_: int | None
) -> tuple[Told, MarketSnapshot]:
    """The values, and what the round saw of the market.

    Args:
        round_: `None`: the last that saw the market.

    Raises:
        Rejected: the journal holds no such round or market, or an option cannot be valued.
    """
    number, found, as_of_ms = _seen(journal, market, round_)
    if found.quotes:
        quoted_ms = as_of_ms - round(1_000 * (found.chain_age_s or 0.0))
        model = open_model(registry_dir, PRIOR)
        values = fair_value.fair_values(model, found.quotes, quoted_ms, options)
        return Told(market, f"the chain of round {number}", quoted_ms, model.name, values), found
    published = next((m for m in journal.scores(number).markets if m.market == market), None)
    if published is None:
        raise Rejected(Rejection.EMPTY, f"round {number} saw no chain of {market} and published no surface of it")
    values = fair_value.of_surface(published.surface, found.price, as_of_ms, options)
    return Told(market, f"the surface of round {number}", as_of_ms, "SSVI", values), found


def from_quotes(
    market: str, source: str, quotes: Sequence[OptionQuote], as_of_ms: int, options: Sequence[Option]
) -> Told:
    """From a chain at hand, by the prior of this project's registry.

    Raises:
        Rejected: the chain says too little, or an option cannot be valued.
    """
    model = open_model(REGISTRY, PRIOR)
    return Told(market, source, as_of_ms, model.name, fair_value.fair_values(model, quotes, as_of_ms, options))


def name(option: Option) -> str:
    """As `option` reads it."""
    expiry = datetime.fromtimestamp(option.expiry_ms / 1000, UTC)
    return f"{expiry:%d%b%y}-{option.strike:.8g}-{'C' if option.is_call else 'P'}".upper()


def _seen(journal: Journal, market: str, round_: int | None) -> tuple[int, MarketSnapshot, int]:
    """(round, what it saw of the market, when)."""
    rounds = journal.rounds() if round_ is None else [round_]
    for number in reversed(rounds):
        snapshot = journal.snapshot(number)
        for row in snapshot.markets:
            if row.market == market:
                return number, row, snapshot.as_of_ms
    where = "the journal" if round_ is None else f"round {round_}"
    raise Rejected(
        Rejection.EMPTY, f"{where} knows no market {market}", advice="margrave replay --list shows the rounds"
    )


def _line(value: FairValue) -> str:
    remarks = "; ".join(REMARKED[remark] for remark in value.remarks)
    return (
        f"{name(value.option)}  {value.price:,.2f} USD [{value.price_low:,.2f}, {value.price_high:,.2f}]"
        + f"  vol {value.vol:.2%} [{value.vol_low:.2%}, {value.vol_high:.2%}]  forward {value.forward:,.2f}"
        + (f"  ({remarks})" if remarks else "")
    )
