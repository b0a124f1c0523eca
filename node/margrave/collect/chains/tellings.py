"""What a recorded log, trace or state says of markets by itself: without prices and decimals, most of it is a
notice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from margrave.collect.chains import answers, governance, stablecoins
from margrave.collect.chains.abi import Event
from margrave.collect.chains.fees import TOPIC as FEES_TOPIC
from margrave.collect.chains.fees import fees_of
from margrave.collect.chains.logs import Log
from margrave.collect.chains.pools import swaps, uniswap_v2, uniswap_v3, uniswap_v4
from margrave.collect.chains.pools.concentrated import Concentrated, Depth
from margrave.collect.chains.pools.constant_product import ConstantProduct
from margrave.collect.chains.pools.stable_swap import StableSwap
from margrave.collect.chains.pools.states import pool_of
from margrave.collect.chains.pools.swaps import Swap, swap_of, swaps_of_traces
from margrave.collect.chains.pools.ticks import Q96
from margrave.collect.chains.said import Speaker
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.verdicts import Rejection

SOURCE: Final = "chain"
SWAP: Final = "pool.swap"
LIQUIDITY: Final = "pool.liquidity"
CREATED: Final = "pool.created"
RESERVES: Final = "pool.reserves"
PROTOCOL_FEE: Final = "pool.protocol_fee"
STATE: Final = "pool.state"
TRANSFER: Final = "token.transfer"
SUPPLY: Final = "token.supply"
ANSWER: Final = "oracle.answer"
MOST_POOLS: Final = 1_000
"""Of one document."""

Line = tuple[Event[Any], Callable[[Log], tuple[str, str]]]
"""An event, and what makes topic and text of its log."""

_STATE_MARKS: Final = frozenset(
    {"sqrt_price_x96", "sqrtPriceX96", "sqrtPrice", "reserve0", "reserves_token0", "a_coefficient", "weights", "amp"}
)


def _swap(log: Log) -> tuple[str, str]:
    swap = swap_of(log)
    if swap is None:
        raise Rejected(Rejection.UNKNOWN_SHAPE, "no swap")
    return SWAP, swap_text(swap)


def swap_text(swap: Swap) -> str:
    """Both amounts from the pool's side, and where the price is now."""
    price = f", tick {swap.tick}" if swap.tick is not None else ""
    return f"{swap.family} {swap.pool}: {swap.amount0:+d} of token 0, {swap.amount1:+d} of token 1{price}"


def _flow(log: Log) -> tuple[str, str]:
    if (transfer := stablecoins.transfer_of(log)) is not None:
        text = f"{transfer.amount} from {transfer.sender} to {transfer.receiver}"
        return (SUPPLY if transfer.minted or transfer.burned else TRANSFER), text
    flow = stablecoins.flow_of(log)
    if flow is None:
        raise Rejected(Rejection.UNKNOWN_SHAPE, "no transfer")
    return SUPPLY, f"{flow[1]} {flow[0]}"


def _decision(log: Log) -> tuple[str, str]:
    decided = governance.decision_of(log)
    if decided is None:
        raise Rejected(Rejection.UNKNOWN_SHAPE, "no decision")
    return decided


def _told(
    topic: str, event: Event[Any], text: Callable[[Any], str]
) -> tuple[Event[Any], Callable[[Log], tuple[str, str]]]:
    return event, lambda log: (topic, text(event.decode(log)))


def _answered(told: answers.Answered) -> str:
    return f"answer {told.answer} in round {told.round_id}"


def _minted(told: uniswap_v3.Minted) -> str:
    return f"{told.amount:+d} between ticks {told.lower} and {told.upper}"


_TABLE: Final[Sequence[Line]] = (
    *((event, _swap) for event, _ in swaps.EVENTS),
    (uniswap_v4.SWAP, _swap),
    *((event, _flow) for event in stablecoins.EVENTS),
    _told(LIQUIDITY, uniswap_v3.MINT, _minted),
    _told(LIQUIDITY, uniswap_v3.BURN, _minted),
    _told(LIQUIDITY, uniswap_v4.MODIFY_LIQUIDITY, lambda m: f"{m.amount:+d} between ticks {m.lower} and {m.upper}"),
    _told(CREATED, uniswap_v3.INITIALIZE, lambda told: f"at tick {told.tick}"),
    _told(CREATED, uniswap_v4.INITIALIZE, lambda told: f"0x{told.pool_id.hex()} at tick {told.tick}"),
    *(
        _told(RESERVES, event, lambda told: f"{told.reserve0} and {told.reserve1}")
        for event in (uniswap_v2.SYNC, uniswap_v2.AERODROME_SYNC)
    ),
    *(
        _told(PROTOCOL_FEE, event, lambda told: f"from {told.old0} and {told.old1} to {told.new0} and {told.new1}")
        for event in (uniswap_v3.SET_FEE_PROTOCOL, uniswap_v3.PANCAKE_SET_FEE_PROTOCOL)
    ),
    *(
        _told(ANSWER, event, _answered)
        for event in (answers.ANSWER_UPDATED, answers.NEW_TRANSMISSION, answers.NEW_TRANSMISSION_2)
    ),
    _told(
        ANSWER,
        answers.PRICE_FEED_UPDATE,
        lambda told: f"Pyth 0x{told[0].hex()}: {told[1].price}, give or take {told[1].confidence}",
    ),
    *((event, _decision) for event in governance.EVENTS),
)
_BY_TOPIC: Final[Mapping[bytes, Sequence[Line]]] = {
    event.topic: [line for line in _TABLE if line[0].topic == event.topic] for event, _ in _TABLE
}


def reads(log: Log) -> bool:
    """Whether an event of ours has this topic and as many indexed arguments."""
    return _line(log) is not None


def tell(log: Log, seen_ms: int) -> Item:
    """A recorded log as a notice; venue time is its block's where the recording says it."""
    speaker = _speaker(seen_ms if log.time_ms is None else log.time_ms, seen_ms, log.address)
    line = _line(log)
    try:
        if line is None:
            raise Rejected(Rejection.UNKNOWN_SHAPE, f"no event that is read of {log.address}")
        topic, text = line(log)
    except Rejected as rejected:
        return speaker.refusal("log", rejected)
    return speaker.notice(topic, text)


def _line(log: Log) -> Callable[[Log], tuple[str, str]] | None:
    lines = _BY_TOPIC.get(log.topics[0], ()) if log.topics else ()
    return next((line for event, line in lines if event.fits(log)), None)


def traced_swaps(body: object, seen_ms: int) -> Iterator[Item]:
    """The swaps of a block's traces."""
    for traced in swaps_of_traces(body):
        paid = f"{traced.amount_in} of {traced.token_in} for {traced.amount_out} of {traced.token_out}"
        swap = traced.swap
        yield _speaker(seen_ms, seen_ms, swap.pool).notice(
            SWAP, f"{swap.family} {swap.pool}: {paid}, block {swap.block}"
        )


def looks_like_fees(body: object) -> bool:
    told = body.get("result", body) if isinstance(body, dict) else None
    return isinstance(told, dict) and "baseFeePerGas" in told and "oldestBlock" in told


def fee_history(body: object, seen_ms: int) -> Iterator[Item]:
    """An answer to `eth_feeHistory`; it does not say when."""
    fees = fees_of(body)
    speaker = _speaker(seen_ms, seen_ms, f"block {fees.oldest_block + len(fees.full)}")
    yield speaker.scalar(Kind.BASE_FEE, fees.next_base_fee_wei)
    yield speaker.notice(FEES_TOPIC, fees.text)


def looks_like_pools(body: object) -> bool:
    """One pool's state, or a document with `pools`."""
    return isinstance(body, dict) and (_is_pool(body) or (isinstance(body.get("pools"), dict) and bool(body["pools"])))


def pool_states(body: object, seen_ms: int) -> Iterator[Item]:
    """Each pool of a document: its price as the contract keeps it and its depth, or why it is refused."""
    told = body if isinstance(body, dict) else {}
    pools: Iterable[Any] = [told] if _is_pool(told) else list(told["pools"].values())[:MOST_POOLS]
    for pool in pools:
        named = [pool[key] for key in ("pool", "address", "pool_id") if key in pool] if isinstance(pool, dict) else []
        speaker = _speaker(seen_ms, seen_ms, str(named[0])[:80] if named else "")
        try:
            state = pool_of(pool)
            price, (below, above) = _priced(state)
        except Rejected as rejected:
            yield speaker.refusal("pool", rejected)
            continue
        text = f"price {price:.6g} of token 1, {below.amount_out} of it to 1 % lower, {above.amount_in} to 1 % higher"
        yield speaker.notice(STATE, text)


def _priced(state: Concentrated | ConstantProduct | StableSwap) -> tuple[float, tuple[Depth, Depth]]:
    """Token 0 in token 1, smallest units (of Curve whole ones), and what moves that by 1 %."""
    if isinstance(state, StableSwap):
        return state.price(0, 1), state.depth_within(0, 1)
    price = state.price(0, 0) if isinstance(state, ConstantProduct) else (state.sqrt_price_x96 / Q96) ** 2
    return price, state.depth_within()


def _is_pool(body: Mapping[str, object]) -> bool:
    inner = [body.get(key) for key in ("scalars", "immutable", "slot0")]
    keys = body.keys() | {key for part in inner if isinstance(part, dict) for key in part}
    return bool(_STATE_MARKS & keys) or ("base_pool" in keys and "states" in body)


def _speaker(venue_ms: int, seen_ms: int, instrument: str) -> Speaker:
    return Speaker(SOURCE, venue_ms, seen_ms, instrument=instrument)
