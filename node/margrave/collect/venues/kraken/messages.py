"""Kraken spot answers (docs.kraken.com/api/docs/rest-api, /0/public): Depth, OHLC, Trades, Ticker, AssetPairs.

Kraken names pairs its own way in answers: XBTUSD comes back as XXBTZUSD, and is BTC/USD on the websocket (v2). A book
carries the time of each level: its own time is the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item, Trouble, VenueTrouble
from margrave.collect.stream import Trade
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, Contract, ContractKind
from margrave.verdicts import Rejection

OF_OLD: Final[Mapping[str, str]] = {"XBT": "BTC", "XDG": "DOGE"}
"""Kraken's own names of coins, and those of the websocket (v2)."""
QUOTES: Final = ("USDT", "USDC", "USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY", "XBT", "ETH", "DAI")


def plain(pair: str) -> str:
    """XXBTZUSD and XBTUSD are one pair: eight letters whose first and fifth are X or Z carry class prefixes."""
    if len(pair) == 8 and pair[0] in "XZ" and pair[4] in "XZ":
        return pair[1:4] + pair[5:]
    return pair


def symbol_of(pair: str) -> str:
    """XBTUSD as the websocket (v2) names it: BTC/USD."""
    quote = next((q for q in QUOTES if pair.endswith(q) and len(pair) > len(q)), pair[-3:])
    base = pair[: len(pair) - len(quote)]
    return f"{OF_OLD.get(base, base)}/{OF_OLD.get(quote, quote)}"


def of_websocket(wsname: str) -> str:
    """XBT/USD, as version 1 and the listing name it, is BTC/USD in version 2."""
    return "/".join(OF_OLD.get(part, part) for part in wsname.split("/"))


def parse_depth(asked: Asked, body: object) -> Iterator[Item]:
    """/0/public/Depth: result {pair: {"asks": [[price, size, seconds]], "bids"}}; its time is the newest level's."""
    entry = checks.mapping(_pair(asked, body), "pair")
    bids, asks = entry.get("bids"), entry.get("asks")
    yield readings.book(asked, newest_ms(bids, asks) or asked.seen_ms, bids, asks)


def newest_ms(*sides: object) -> int | None:
    """The newest time of levels [price, size, seconds, …]."""
    stamps = [
        checks.seconds_as_ms(level[2], "level time")
        for side in sides
        if isinstance(side, list)
        for level in side
        if isinstance(level, list) and len(level) > 2
    ]
    return max(stamps, default=None)


def parse_ohlc(asked: Asked, body: object) -> Iterator[Item]:
    """/0/public/OHLC: result {pair: [[seconds, open, high, low, close, vwap, volume, count]], "last"}, ascending."""
    rows = checks.sequence(_pair(asked, body), "candles", least=1)
    return readings.bars(asked, asked.seen_ms, rows, _ohlc)


def _ohlc(row: object) -> Bar:
    fields = checks.sequence(row, "a candle", least=7)
    return readings.bar(checks.seconds_as_ms(fields[0], "time"), fields[1], fields[2], fields[3], fields[4], fields[6])


def parse_ticker(asked: Asked, body: object) -> Iterator[Item]:
    """/0/public/Ticker: result {pair: {"a": [price, whole lots, size], "b", "c", …}}: a book of one level."""
    yield from ticker_of(asked, _pair(asked, body))


def ticker_of(asked: Asked, ticker: object) -> Iterator[Item]:
    """One pair of the answer, or a push of the websocket (v1)."""
    entry = checks.mapping(ticker, "ticker")
    ask, bid = (checks.sequence(entry.get(side), side, least=3) for side in ("a", "b"))
    yield readings.book(asked, asked.seen_ms, [[bid[0], bid[2]]], [[ask[0], ask[2]]])


def parse_trades(asked: Asked, body: object) -> Iterator[Item]:
    """/0/public/Trades: result {pair: [[price, size, seconds, "b" or "s", …, trade id]], "last"}, ascending."""
    rows = checks.sequence(_pair(asked, body), "trades", least=1)
    return readings.trades(asked, rows, lambda row: trade(row, asked.instrument))


def trade(row: object, name: str) -> Trade:
    """One trade of an answer or of a push of the websocket (v1); the side is the taker's. v1 has no numbers."""
    fields = checks.sequence(row, "a trade", least=4)
    price, size = checks.price(fields[0], "price"), checks.size(fields[1], "size")
    return Trade(
        instrument=name,
        perpetual=False,
        venue_ms=checks.seconds_as_ms(fields[2], "time"),
        price=price,
        size_usd=checks.size(price * size, "size of a trade"),
        buyer_takes=checks.is_buy(fields[3], "side"),
        trade_id=str(fields[6]) if len(fields) > 6 else "",
    )


def parse_asset_pairs(asked: Asked, body: object) -> Iterator[Item]:
    """/0/public/AssetPairs: result {pair: {"altname", "wsname"?, "pair_decimals", "lot_decimals", "tick_size", …}}.

    Contracts are named as the websocket (version 2) names the pair: it is its books that need the decimals.
    """
    result = checks.mapping(checks.mapping(body, "answer").get("result"), "result")
    for key, value in result.items():
        try:
            entry = checks.mapping(value, "a pair")
            if checks.absent(entry.get("altname")) and checks.absent(entry.get("base")):
                raise Rejected(Rejection.MALFORMED, f"{key[:40]} is not a pair: it has neither a name nor a base")
            name = plain(str(entry.get("altname") or key))
            if not asked.instrument or name == plain(asked.instrument):
                wsname = entry.get("wsname")
                symbol = symbol_of(name) if checks.absent(wsname) else of_websocket(checks.text(wsname, "wsname"))
                yield pair(asked, symbol, entry, ("tick_size", "pair_decimals", "lot_decimals"))
        except Rejected as rejected:
            yield asked.refusal("AssetPairs", rejected)


def pair(asked: Asked, name: str, entry: Mapping[str, object], keys: tuple[str, str, str]) -> Contract:
    """One pair as listed; `keys` are the names of tick, decimals of prices, decimals of sizes."""
    tick, price_digits, size_digits = (entry.get(key) for key in keys)
    return Contract(
        source=asked.source,
        instrument=name,
        seen_time_ms=asked.seen_ms,
        kind=ContractKind.SPOT,
        tick=None if checks.absent(tick) else checks.within(tick, keys[0], 1e-18, 1e9),
        price_digits=None if checks.absent(price_digits) else int(checks.within(price_digits, keys[1], 0, 18)),
        size_digits=None if checks.absent(size_digits) else int(checks.within(size_digits, keys[2], 0, 18)),
        trading=entry.get("status", "online") == "online",
    )


def _pair(asked: Asked, body: object) -> object:
    result = checks.mapping(checks.mapping(body, "answer").get("result"), "result")
    pairs = [name for name in result if name != "last"]
    if not pairs:
        raise Rejected(Rejection.EMPTY, "result names no pair")
    if asked.instrument and plain(pairs[0]) != plain(asked.instrument):
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {asked.instrument}, the answer is {pairs[0][:40]}")
    return result[pairs[0]]


def complaint(body: object) -> MargraveError | None:
    """Spot: a list of "EGeneral:..." strings; futures: {"result": "error", "error": "..."}; websockets: below."""
    if not isinstance(body, dict):
        return None
    errors = body.get("error") or body.get("errors")
    if body.get("event") in ("error", "subscriptionStatus", "subscribed_failed", "alert"):
        # v1 and futures: {"event": "subscriptionStatus", "status": "error", "errorMessage"}, {"event": "error", …}
        failed = body.get("event") != "subscriptionStatus" or body.get("status") == "error"
        errors = (body.get("errorMessage") or body.get("message") or "refused") if failed else None
    if not errors:
        return None
    said = errors[0] if isinstance(errors, list) else errors
    message = str(said.get("message", said) if isinstance(said, dict) else said)[:120]
    if "Rate limit" in message or "Too many requests" in message or message == "apiLimitExceeded":
        return VenueTrouble(Trouble.RATE_LIMITED, f"kraken: {message}")
    if message.startswith("EService") or message in ("Unavailable", "marketUnavailable"):
        return VenueTrouble(Trouble.MAINTENANCE, f"kraken: {message}")
    return Rejected(Rejection.VENUE_ERROR, f"kraken: {message}")


def about(body: object) -> tuple[str, bool]:
    result = body.get("result") if isinstance(body, dict) else None
    names = [name for name in result if name != "last"] if isinstance(result, dict) else []
    return (plain(names[0]) if len(names) == 1 else "", False)
