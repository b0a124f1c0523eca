"""The generated part of docs/sources.md: what each adapter asks and hears, as the adapters themselves state it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from margrave.collect.poller import PACE_S
from margrave.collect.source import Endpoint, Pace, Request, Venue
from margrave.collect.venues import VENUES
from margrave.lab.recordings import Made, table
from margrave.settings import (
    MARKETS_FILE,
    POLICY_FILE,
    PROJECT_ROOT,
    Instruments,
    MarketSettings,
    load_markets,
    load_policy,
)

RECORDED: Final = PROJECT_ROOT / "docs" / "recordings.json"
BOOKS: Final = PROJECT_ROOT / "docs" / "books.json"
NOW_MS: Final = 1_767_225_600_000  # any moment: requests differ by it only in the times they ask about
A_FEW_BARS: Final = 2
ANY: Final = "BTC"
NOT_ASKED: Final = "not asked: read in recordings"
PACES: Final[Mapping[Pace, str]] = {
    Pace.QUOTE: "each poll",
    Pace.CHAIN: "each minute",
    Pace.BARS: "each five minutes",
    Pace.LISTING: "each hour",
}


def sources_page() -> str:
    """A table over all venues, then each venue's questions and websockets."""
    markets = load_markets(MARKETS_FILE)
    poll_s = load_policy(POLICY_FILE).round.poll_s
    parts = [_summary(markets, poll_s)]
    parts.extend(_venue(venue, markets) for venue in VENUES.values())
    parts.append(_recorded())
    parts.append(_books())
    return "\n\n".join(parts)


def _recorded() -> str:
    """What the committed run over recordings found."""
    made = msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Made])
    return "### Recorded payloads\n\n" + table(made)


def _books() -> str:
    """What the committed run of `scripts/bench books` measured."""
    rows = [
        "### Order books\n",
        "Recorded frames of Binance through decoder, parser and kept book, one core; an event is a change of one level "
        "(`scripts/bench books --json`, docs/books.json):\n",
        "| recording | depth messages | events | events a second, all | messages a second, all "
        "| events a second, decoded | measures of one book |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in json.loads(BOOKS.read_bytes())["recordings"].items():
        rows.append(
            f"| {name.removesuffix('.gz')} | {one['messages']:,} | {one['events']:,} | {one['events_s']:,} "
            f"| {one['messages_s']:,} | {one['decoded_events_s']:,} | {one['measures_us']:,} µs |"
        )
    return "\n".join(rows)


def requests_a_minute(venue: Venue, markets: Mapping[str, MarketSettings], poll_s: float) -> float:
    """What the steady state costs: history is read, everything is asked at its pace, no socket spares a poll."""
    return sum(60.0 / max(poll_s, _every_s(request.pace)) for request in _asked(venue, markets))


def _every_s(pace: Pace) -> float:
    """A pace waits a little less than its name says, so that a poll does not come a moment too early."""
    return {Pace.QUOTE: 0.0, Pace.CHAIN: 60.0, Pace.BARS: 300.0, Pace.LISTING: 3_600.0}[pace] if PACE_S[pace] else 0.0


def _asked(venue: Venue, markets: Mapping[str, MarketSettings]) -> Iterator[Request]:
    def few(market: str, *, perpetual: bool) -> int:  # noqa: ARG001
        return A_FEW_BARS

    for market, settings in markets.items():
        if names := settings.instruments.get(venue.name):
            yield from venue.requests(market, names, NOW_MS, few)


def _summary(markets: Mapping[str, MarketSettings], poll_s: float) -> str:
    rows = [
        f"With the {len(markets)} markets of config/markets.toml and a poll each {poll_s:g} s:",
        "",
        "| venue | questions | requests a minute | websockets | its budget | key |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for venue in VENUES.values():
        keys = "none" if not any(e.key_needed for e in venue.endpoints) else "for some"
        rate = requests_a_minute(venue, markets, poll_s)
        rows.append(
            f"| [{_title(venue)}](#{venue.name}) | {len(venue.endpoints)} | {rate:.0f} | {len(venue.streams)} "
            f"| {venue.budget} | {keys} |"
        )
    return "\n".join(rows)


def _venue(venue: Venue, markets: Mapping[str, MarketSettings]) -> str:
    paces = {request.endpoint.name: PACES[request.pace] for request in _asked(venue, markets)}
    wider = {name: market.model_copy(update={"instruments": _all_named(market)}) for name, market in markets.items()}
    named = {request.endpoint.name: f"{PACES[request.pace]}, where it is named" for request in _asked(venue, wider)}
    rows = [
        f"### {_title(venue)}",
        "",
        f"Documented at <{venue.site}>.",
        "",
        "| question | gives | weight | asked |",
        "| --- | --- | --- | --- |",
    ]
    asked = named | paces
    rows.extend(_endpoint(endpoint, asked.get(endpoint.name, NOT_ASKED)) for endpoint in venue.endpoints)
    if venue.streams:
        rows.extend(["", "| websocket | hears | books follow by | silent after |", "| --- | --- | --- | --- |"])
        rows.extend(
            f"| {s.name} `{s.path or '/'}` | {s.says} | {s.sequence.value} | {s.silence_s:g} s |" for s in venue.streams
        )
    return "\n".join(rows)


def _all_named(market: MarketSettings) -> dict[str, Instruments]:
    """The market as if every venue were asked for everything: its options and its index too."""
    return {
        venue: names.model_copy(update={field: ANY for field, name in names if name is None})
        for venue, names in market.instruments.items()
    }


def _endpoint(endpoint: Endpoint, asked: str) -> str:
    limit = f"{endpoint.weight:g}" + (f"; {endpoint.limit}" if endpoint.limit else "")
    path = endpoint.path.replace("|", "\\|")
    when = asked + (", with a key" if endpoint.key_needed else "")
    return f"| {endpoint.name} `{path}` | {endpoint.says} | {limit} | {when} |"


def _title(venue: Venue) -> str:
    return {"okx": "OKX"}.get(venue.name, venue.name.capitalize())


def sources_stated() -> Counter[str]:
    """Adapters by what they leave unsaid: empty where all of them state everything that this page needs."""
    unsaid: Counter[str] = Counter()
    for venue in VENUES.values():
        unsaid.update(
            f"{venue.name}: {what}" for what, said in (("site", venue.site), ("budget", venue.budget)) if not said
        )
        unsaid.update(f"{venue.name} {e.name}: says" for e in venue.endpoints if not e.says)
        unsaid.update(f"{venue.name} {s.name}: says" for s in venue.streams if not s.says)
    return unsaid
