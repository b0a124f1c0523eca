"""One log of a contract, whoever wrote it down: JSON-RPC, an indexer's snake case, or ethereum-etl's tables.

All of them say the same with other names: numbers as hexadecimal text or as integers, topics as a list (padded with
nulls by some) or joined by commas, `removed` and hashes missing or null. `log_of` takes any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.collect import checks
from margrave.collect.chains.abi import MAX_LOG_BYTES
from margrave.errors import Rejected
from margrave.verdicts import Rejection

MOST_TOPICS: Final = 4
MAX_UINT: Final = 1 << 256
MAX_COUNT: Final = 1 << 53
"""Of blocks, log indices, seconds: more would not survive JSON."""


@dataclass(frozen=True, slots=True)
class Log:
    """An event as the chain keeps it. Addresses and transactions are lower-case hexadecimal text."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    block_hash: bytes
    """Empty in a recording that does not say."""
    transaction: str
    index: int
    time_ms: int | None = None
    """The block's time, where the node tells it with the log."""
    removed: bool = False

    @property
    def key(self) -> tuple[bytes, int, int]:
        return (self.block_hash, self.block, self.index)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Logs of any of these addresses with any of these first topics. No address at all means nothing is wanted."""

    addresses: frozenset[str] = frozenset()
    topics: frozenset[bytes] = frozenset()

    def __or__(self, other: LogFilter) -> LogFilter:
        return LogFilter(self.addresses | other.addresses, self.topics | other.topics)

    def wants(self, log: Log) -> bool:
        return log.address in self.addresses and bool(log.topics) and log.topics[0] in self.topics

    def params(self) -> dict[str, object]:
        """As `eth_getLogs` takes it, without the blocks."""
        return {
            "address": sorted(self.addresses),
            "topics": [sorted("0x" + topic.hex() for topic in self.topics)],
        }


def log_of(body: object) -> Log:
    """One log from any of the forms.

    Raises:
        Rejected: `MALFORMED` with the field, `OUT_OF_RANGE` for a number that no chain has reached.
    """
    entry = checks.mapping(body, "log")
    stamp = first_of(entry, "blockTimestamp", "block_timestamp", "timestamp")
    return Log(
        address=address_of(first_of(entry, "address"), "log address"),
        topics=_topics(entry.get("topics")),
        data=data_of(first_of(entry, "data"), "log data", most=MAX_LOG_BYTES),
        block=count_of(first_of(entry, "blockNumber", "block_number"), "log block"),
        block_hash=data_of(first_of(entry, "blockHash", "block_hash") or "0x", "block hash", most=32),
        transaction=text_of_hash(first_of(entry, "transactionHash", "transaction_hash")),
        index=count_of(first_of(entry, "logIndex", "log_index"), "log index"),
        time_ms=None if checks.absent(stamp) else seconds_ms(stamp, "log time"),
        removed=first_of(entry, "removed") is True,
    )


def looks_like_log(body: object) -> bool:
    return isinstance(body, dict) and "topics" in body and "address" in body and "data" in body


def in_order(logs: Iterable[Log]) -> list[Log]:
    """As the chain orders them, each once."""
    return sorted({log.key: log for log in logs}.values(), key=lambda log: (log.block, log.index))


# --- numbers, hashes and data, as nodes and indexers write them -----------------------------------------------------


def first_of(entry: Mapping[str, object], *names: str) -> object:
    """The first of these that is there and not null."""
    return next((value for name in names if (value := entry.get(name)) is not None), None)


def count_of(value: object, what: str) -> int:
    """A block, an index, a number of seconds: hexadecimal text, decimal text or an integer."""
    return _bounded(value, what, MAX_COUNT)


def amount_of(value: object, what: str) -> int:
    """A 256-bit quantity: hexadecimal text, decimal text or an integer."""
    return _bounded(value, what, MAX_UINT)


def seconds_ms(value: object, what: str) -> int:
    """Unix milliseconds from a block's seconds, or from a date."""
    if isinstance(value, str) and "T" in value:
        return checks.time_ms(value, what)
    return checks.seconds_as_ms(count_of(value, what), what)


def data_of(value: object, what: str, *, most: int) -> bytes:
    """Bytes from hexadecimal text with 0x."""
    if not isinstance(value, str) or not value.startswith(("0x", "0X")):
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not hexadecimal text")
    if len(value) > 2 + 2 * most:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{what} has {len(value) // 2 - 1} bytes, {most} are allowed")
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not hexadecimal text") from None


def address_of(value: object, what: str) -> str:
    raw = data_of(value, what, most=20)
    if len(raw) != 20:
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not an address")
    return "0x" + raw.hex()


def text_of_hash(value: object) -> str:
    return "" if checks.absent(value) else "0x" + data_of(value, "transaction", most=32).hex()


def _topics(value: object) -> tuple[bytes, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part]
    given: Sequence[object] = checks.sequence(value, "log topics")
    told = [topic for topic in given if topic is not None]
    if len(told) > MOST_TOPICS:
        raise Rejected(Rejection.MALFORMED, f"a log with {len(told)} topics")
    topics = tuple(data_of(topic, "log topic", most=32) for topic in told)
    if any(len(topic) != 32 for topic in topics):
        raise Rejected(Rejection.MALFORMED, "a log topic is not 32 bytes")
    return topics


def _bounded(value: object, what: str, limit: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, str) and len(value) > 80):
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not a number")
    try:
        number = value if isinstance(value, int) else int(value, 16 if value[:2] in ("0x", "0X") else 10)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not a number") from None
    if not 0 <= number < limit:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{what} = {_shown(value)} is outside [0, 2^{limit.bit_length() - 1})")
    return number


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
