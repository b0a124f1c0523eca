"""What Deribit's answers say: pure functions from the "result" of its public methods to readings and refusals.

Every answer is JSON-RPC, {"jsonrpc", "result" | "error", "usIn", "usOut", "usDiff", "testnet"}. Inverse options are
quoted in coins, and coins a coin are a fraction of the forward: 1 BTC of premium buys 1 BTC of payoff at
`underlying_price`, so bid and ask need no conversion. Linear options (quoted in USDC) are divided by the forward.
Implied volatilities come in percent, 0 and 999 mean none. Times: creation_timestamp of the newest row (chain),
timestamp (book, trades), usOut of the envelope (index).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item, Trouble, VenueTrouble
from margrave.collect.stream import Liquidation, Trade
from margrave.collect.venues.deribit.names import is_inverse, kind_of, no_combination, option_terms, sizes_in_usd
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, Contract, ContractKind, Kind, OptionQuote
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

NO_IV_PERCENT: Final = 999.0
KINDS: Final[Mapping[str, ContractKind]] = {
    "option": ContractKind.OPTION,
    "future": ContractKind.FUTURE,
    "spot": ContractKind.SPOT,
    "option_combo": ContractKind.COMBINATION,
    "future_combo": ContractKind.COMBINATION,
}


def _envelope(body: object) -> tuple[object, Mapping[str, object]]:
    """The result and what stands around it; recordings hold results alone too."""
    if isinstance(body, dict) and "result" in body:
        return body["result"], body
    if isinstance(body, dict | list) and "jsonrpc" not in body:
        return body, {}
    raise Rejected(Rejection.MALFORMED, "the answer has no result")


def _rows(value: object, what: str) -> Sequence[Mapping[str, object]]:
    return [checks.mapping(row, f"a row of {what}") for row in checks.sequence(value, what, least=1)]


def _answered_ms(asked: Asked, envelope: Mapping[str, object]) -> int:
    """usOut, in microseconds; recordings of other tools may lack it."""
    out = envelope.get("usOut")
    return asked.seen_ms if checks.absent(out) else checks.time_ms(checks.number(out, "usOut") / 1000, "usOut")


# --- state ----------------------------------------------------------------------------------------------------------


def parse_index_price(asked: Asked, body: object) -> Iterator[Item]:
    """get_index_price: {"index_price", "estimated_delivery_price"}."""
    result, envelope = _envelope(body)
    value = checks.mapping(result, "result").get("index_price")
    return readings.scalars(asked, _answered_ms(asked, envelope), {Kind.INDEX_PRICE: value})


def parse_order_book(asked: Asked, body: object) -> Iterator[Item]:
    """get_order_book and ticker: levels in USD, and all that a ticker says; of an option, a chain of one with
    greeks."""
    return read_ticker(asked, checks.mapping(_envelope(body)[0], "result"))


def read_ticker(asked: Asked, result: Mapping[str, object]) -> Iterator[Item]:
    """The same fields, as the answer and the ticker channel hold them."""
    checks.same_instrument(result.get("instrument_name"), asked.instrument, "instrument_name")
    name = checks.text(result.get("instrument_name", asked.instrument or None), "instrument_name")
    no_combination(name)
    if (state := result.get("state", "open")) != "open":
        raise Rejected(Rejection.VENUE_ERROR, f"{name} is {str(state)[:20]}")
    venue_ms = checks.time_ms(result.get("timestamp"), "timestamp")
    if kind_of(name) is ContractKind.OPTION:
        row = {**result, "bid_price": result.get("best_bid_price"), "ask_price": result.get("best_ask_price")}
        yield from readings.chain(replace(asked, instrument=name), venue_ms, [row], lambda r: _quote("", r, venue_ms))
        return
    perpetual = kind_of(name) is ContractKind.PERPETUAL
    asked = replace(asked, instrument=name, perpetual=perpetual)
    if "bids" in result or "asks" in result:
        try:
            bids, asks = result.get("bids"), result.get("asks")
            yield readings.book(asked, venue_ms, bids, asks, sizes_in_usd=sizes_in_usd(name))
        except Rejected as rejected:
            yield asked.refusal("book", rejected)
    yield from readings.scalars(asked, venue_ms, _figures(asked, name, result, perpetual=perpetual))


def _figures(asked: Asked, name: str, row: Mapping[str, object], *, perpetual: bool) -> Mapping[Kind, object]:
    """A perpetual's ticker; of a dated future or a spot pair only the index is a market's figure."""
    if not perpetual:
        return {Kind.INDEX_PRICE: row.get("index_price")}
    interest = row.get("open_interest")
    if not checks.absent(interest) and not is_inverse(name):
        mark = row.get("mark_price", asked.mark_price)
        coins = checks.size(interest, "open_interest")
        interest = None if checks.absent(mark) else coins * checks.price(mark, "mark_price")
    return {
        Kind.MARK_PRICE: row.get("mark_price"),
        Kind.INDEX_PRICE: row.get("index_price"),
        Kind.FUNDING_8H: row.get("funding_8h"),
        Kind.OPEN_INTEREST: interest,
    }


def parse_volatility_index(asked: Asked, body: object) -> Iterator[Item]:
    """get_volatility_index_data: {"data": [[ms, open, high, low, close]], ...} in percent; the last close counts.

    The candle's own time says when it began; it is running until the next one opens.
    """
    result, envelope = _envelope(body)
    rows = checks.sequence(checks.mapping(result, "result").get("data"), "data", least=1)
    last = max((checks.sequence(row, "a candle", least=5) for row in rows), key=lambda c: checks.number(c[0], "time"))
    began_ms = checks.time_ms(last[0], "candle time")
    venue_ms = min(_answered_ms(asked, envelope), began_ms + HOUR_MS)
    return readings.scalars(asked, venue_ms, {Kind.VOL_INDEX: checks.number(last[4], "close") / 100})


def parse_chart_data(asked: Asked, body: object) -> Iterator[Item]:
    """get_tradingview_chart_data: parallel lists ticks, open, high, low, close, volume (coins)."""
    result, envelope = _envelope(body)
    data = checks.mapping(result, "result")
    if (status := data.get("status", "ok")) != "ok":
        raise Rejected(Rejection.EMPTY, f"chart status is {str(status)[:20]}")
    columns = [checks.sequence(data.get(key), key) for key in ("ticks", "open", "high", "low", "close", "volume")]
    if len({len(column) for column in columns}) != 1:
        raise Rejected(Rejection.MALFORMED, f"chart lists have lengths {[len(column) for column in columns]}")
    rows = zip(*columns, strict=True)
    return readings.bars(asked, _answered_ms(asked, envelope), rows, _tick)


def _tick(row: tuple[object, ...]) -> Bar:
    return readings.bar(checks.time_ms(row[0], "ticks"), row[1], row[2], row[3], row[4], row[5])


# --- the option chain -----------------------------------------------------------------------------------------------


def parse_book_summary(asked: Asked, body: object) -> Iterator[Item]:
    """get_book_summary_by_currency: one row an instrument. Options are one chain, in which a row of another kind is
    refused; of an answer about futures the perpetuals are read. Combinations are refused, and break no chain."""
    rows = _rows(_envelope(body)[0], "result")
    venue_ms = max(checks.time_ms(row.get("creation_timestamp"), "creation_timestamp") for row in rows)
    perpetuals = [row for row in rows if _kind_of_row(row) is ContractKind.PERPETUAL]
    if any(_kind_of_row(row) is ContractKind.OPTION for row in rows) or not perpetuals:
        yield from readings.chain(asked, venue_ms, rows, lambda row: _quote(asked.instrument, row, venue_ms))
        return
    for row in perpetuals:
        name = checks.text(row.get("instrument_name"), "instrument_name")
        one = replace(asked, instrument=name, perpetual=True)
        yield from readings.scalars(one, venue_ms, _figures(one, name, row, perpetual=True))
    if others := len(rows) - len(perpetuals):
        problem = f"{others} rows of futures with a date and of combinations: only perpetuals are read"
        yield asked.refusal("summary", Rejected(Rejection.WRONG_INSTRUMENT, problem))


def _kind_of_row(row: Mapping[str, object]) -> ContractKind:
    name = row.get("instrument_name")
    return kind_of(name) if isinstance(name, str) else ContractKind.OTHER


def _quote(currency: str, row: Mapping[str, object], as_of_ms: int) -> OptionQuote:
    """One option; of `currency`, where that is not empty."""
    name = checks.text(row.get("instrument_name"), "instrument_name")
    no_combination(name)
    expiry_ms, strike, is_call = option_terms(name)
    base = row.get("base_currency", name.partition("-")[0])
    if currency and base != currency:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {currency}, {name} is in the answer")
    checks.to_come(expiry_ms, as_of_ms, name)
    forward = checks.price(row.get("underlying_price"), f"underlying_price of {name}")
    quoted_in = row.get("quote_currency", base if is_inverse(name) else "USD")
    unit = forward if quoted_in in ("USDC", "USDT", "USD") else 1.0
    bid, ask = _premium(row.get("bid_price"), unit, name), _premium(row.get("ask_price"), unit, name)
    checks.uncrossed(bid, ask, name)
    interest, greeks = row.get("open_interest"), row.get("greeks")
    greeks = {} if checks.absent(greeks) else checks.mapping(greeks, f"greeks of {name}")
    return OptionQuote(
        expiry_ms=expiry_ms,
        strike=strike,
        is_call=is_call,
        forward=forward,
        bid=bid,
        ask=ask,
        mark_iv=_volatility(row.get("mark_iv"), name),
        open_interest=0.0 if checks.absent(interest) else checks.size(interest, f"open_interest of {name}"),
        delta=readings.greek(greeks.get("delta"), f"delta of {name}"),
        gamma=readings.greek(greeks.get("gamma"), f"gamma of {name}"),
        vega=readings.greek(greeks.get("vega"), f"vega of {name}"),
        theta=readings.greek(greeks.get("theta"), f"theta of {name}"),
    )


def _premium(value: object, unit: float, name: str) -> float | None:
    """A price as a fraction of the forward; zero and null mean that nobody quotes."""
    if checks.absent(value) or (premium := checks.number(value, f"price of {name}")) == 0:
        return None
    if premium < 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"price of {name} = {premium:g}")
    # A put is worth at most its strike: tens of forwards for the far strikes that are listed.
    return checks.within(premium / unit, f"price of {name} over its forward", 0.0, 100.0)


def _volatility(percent: object, name: str) -> float | None:
    if checks.absent(percent):
        return None
    value = checks.number(percent, f"mark_iv of {name}")
    return value / 100 if 0 < value < NO_IV_PERCENT else None


# --- instruments, history, trades -----------------------------------------------------------------------------------


def parse_instruments(asked: Asked, body: object) -> Iterator[Item]:
    """get_instruments (a list) and get_instrument (one): what each is and how its sizes are counted."""
    result, _ = _envelope(body)
    rows = result if isinstance(result, list) else [result]
    return readings.contracts(asked, checks.sequence(rows, "result", least=1), lambda row: _contract(asked, row))


def _contract(asked: Asked, row: object) -> Contract:
    """Sizes are amounts, not contracts: `contract_size` only converts the "contracts" that are told beside them."""
    listed = checks.mapping(row, "an instrument")
    name = checks.text(listed.get("instrument_name"), "instrument_name")
    kind = KINDS.get(str(listed.get("kind")), ContractKind.OTHER)
    if kind is ContractKind.FUTURE and listed.get("settlement_period") == "perpetual":
        kind = ContractKind.PERPETUAL
    in_usd = sizes_in_usd(name) and kind in (ContractKind.FUTURE, ContractKind.PERPETUAL)
    expiry = listed.get("expiration_timestamp")
    dated = kind in (ContractKind.FUTURE, ContractKind.OPTION) and not checks.absent(expiry)
    return Contract(
        source=asked.source,
        instrument=name,
        seen_time_ms=asked.seen_ms,
        kind=kind,
        unit_coins=None if in_usd else 1.0,
        unit_usd=1.0 if in_usd else None,
        tick=checks.optional_price(listed.get("tick_size"), f"tick_size of {name}"),
        expiry_ms=checks.time_ms(expiry, f"expiration_timestamp of {name}") if dated else None,
        trading=listed.get("is_active") is not False and listed.get("state", "open") == "open",
    )


def parse_funding_history(asked: Asked, body: object) -> Iterator[Item]:
    """get_funding_rate_history: [{"timestamp", "interest_8h", "interest_1h", "index_price"}]; get_funding_chart_data
    has such rows in "data". A reading for each, ascending."""
    result, _ = _envelope(body)
    listed = result.get("data") if isinstance(result, dict) else result
    return readings.history(asked, _rows(listed, "result"), "timestamp", {Kind.FUNDING_8H: "interest_8h"})


def parse_funding_value(asked: Asked, body: object) -> Iterator[Item]:
    """get_funding_rate_value: a bare number, the rate over the span that was asked for (8 hours)."""
    result, envelope = _envelope(body)
    rate = checks.number(result, "result")
    return readings.scalars(asked, _answered_ms(asked, envelope), {Kind.FUNDING_8H: rate})


def parse_delivery_prices(asked: Asked, body: object) -> Iterator[Item]:
    """get_delivery_prices: {"data": [{"date": "2026-11-21", "delivery_price"}], "records_total"}; delivery is at 08:00
    UTC."""
    result, _ = _envelope(body)
    rows = _rows(checks.mapping(result, "result").get("data"), "data")
    dated = [{**row, "at": f"{str(row.get('date'))[:10]}T08:00:00+00:00"} for row in rows]
    return readings.history(asked, dated, "at", {Kind.DELIVERY_PRICE: "delivery_price"})


def parse_settlements(asked: Asked, body: object) -> Iterator[Item]:
    """get_last_settlements_by_currency and …_by_instrument: {"settlements": [{"type", "timestamp", "instrument_name",
    "index_price"}], "continuation"}. Deliveries are read; daily settlements of positions say nothing of a market."""
    rows = _rows(checks.mapping(_envelope(body)[0], "result").get("settlements"), "settlements")
    delivered = [row for row in rows if row.get("type") == "delivery"]
    yield from readings.history(asked, delivered, "timestamp", {Kind.DELIVERY_PRICE: "index_price"})
    if others := len(rows) - len(delivered):
        problem = f"{others} settlements of positions, not deliveries"
        yield asked.refusal("settlements", Rejected(Rejection.NOT_READ, problem))


def parse_trades(asked: Asked, body: object) -> Iterator[Item]:
    """get_last_trades_by_instrument, …_by_currency and their …_and_time: {"trades": [...], "has_more"}.

    Combinations are refused: their legs are told again as trades of the instruments. Rows with a `liquidation` are
    positions closed by force too.
    """
    result, _ = _envelope(body)
    rows = _rows(result.get("trades") if isinstance(result, dict) else result, "trades")
    yield from readings.trades(asked, rows, lambda row: trade(row, asked.instrument))
    forced = [row for row in rows if not checks.absent(row.get("liquidation", "")) and _kind_of_row(row) in LIQUIDATED]
    yield from readings.liquidations(asked, forced, lambda row: liquidations(row, asked.instrument))


LIQUIDATED: Final = (ContractKind.PERPETUAL, ContractKind.FUTURE, ContractKind.OPTION)


def trade(row: Mapping[str, object], instrument: str = "") -> Trade:
    """One row of an answer or of the trades channel. An option's price is turned into dollars at the row's index."""
    name = checks.text(row.get("instrument_name"), "instrument_name")
    if "-" in instrument:
        checks.same_instrument(name, instrument, "instrument_name")
    no_combination(name)
    price = checks.number(row.get("price"), "price")
    kind = kind_of(name)
    if kind is ContractKind.OPTION and is_inverse(name):
        price *= checks.price(row.get("index_price"), "index_price")
    price, amount = checks.price(price, "price"), checks.size(row.get("amount"), "amount")
    return Trade(
        instrument=name,
        perpetual=kind is ContractKind.PERPETUAL,
        venue_ms=checks.time_ms(row.get("timestamp"), "timestamp"),
        price=price,
        size_usd=checks.size(amount if sizes_in_usd(name) else amount * price, "amount in USD"),
        buyer_takes=_direction(row) == "buy",
        trade_id=str(row.get("trade_id", ""))[:40],
    )


def liquidations(row: Mapping[str, object], instrument: str = "") -> Iterator[Liquidation]:
    """`liquidation` of a trade: "M" the maker was liquidated, "T" the taker, "MT" both; a taker who sells was long."""
    sides, done = checks.text(row.get("liquidation"), "liquidation"), trade(row, instrument)
    if unknown := sides.strip("MT"):
        raise Rejected(Rejection.MALFORMED, f"liquidation is {unknown[:20]!r}, not M, T or MT")
    for side in sorted(set(sides)):
        long = done.buyer_takes if side == "M" else not done.buyer_takes
        yield Liquidation(
            instrument=done.instrument, venue_ms=done.venue_ms, long=long, price=done.price, size_usd=done.size_usd
        )


def _direction(row: Mapping[str, object]) -> str:
    direction = checks.text(row.get("direction"), "direction")
    if direction not in ("buy", "sell"):
        raise Rejected(Rejection.MALFORMED, f"direction is {direction[:20]!r}, not buy or sell")
    return direction


# --- complaints -----------------------------------------------------------------------------------------------------


def complaint(body: object) -> MargraveError | None:
    """JSON-RPC errors: {"error": {"code", "message", "data"?}}."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    code, message = error.get("code"), str(error.get("message"))[:120]
    if code in (10028, 10040, 10066):
        return VenueTrouble(Trouble.RATE_LIMITED, f"deribit: {code} {message}")
    if code in (11051, 13503, 13888, -32000) or message in ("system_maintenance", "temporarily_unavailable"):
        return VenueTrouble(Trouble.MAINTENANCE, f"deribit: {code} {message}")
    return Rejected(Rejection.VENUE_ERROR, f"deribit: {code} {message}")
