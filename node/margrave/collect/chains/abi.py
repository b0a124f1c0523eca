"""A contract's calls and events, each as one line of its source and one frozen dataclass.

``LIQUIDATION = Event("LiquidationCall(address indexed collateral, ...)", LiquidationCall)`` is all that is needed to
ask a node for it (`topic`) and to read it (`decode`). Selectors and topics are computed, never copied. A node is a
stranger: data is bounded before it is decoded, and what does not fit its types is refused with the contract's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.crypto import keccak

from margrave.errors import Rejected
from margrave.verdicts import Rejection

if TYPE_CHECKING:
    from margrave.collect.chains.logs import Log

T = TypeVar("T")

MAX_LOG_BYTES: Final = 64 * 1024
"""Of one event's data. Overlapping pointers could ask a decoder for the square of it."""
MAX_ANSWER_BYTES: Final = 256 * 1024
"""Of one call's answer."""
WORD: Final = 32

_SIGNATURE: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)")


@dataclass(frozen=True)
class Event(Generic[T]):
    """One event, from its declaration: ``Name(type [indexed] name, ...)``; names are for the reader only.

    `make` is called with the arguments in the order of the declaration: integers, lower-case addresses, bytes, text.
    """

    declaration: str
    make: Callable[..., T]
    topic: bytes = field(init=False)
    _indexed: tuple[str, ...] = field(init=False)
    _plain: tuple[str, ...] = field(init=False)
    _order: tuple[tuple[bool, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        arguments = [part.split() for part in _split(_arguments(self.declaration))]
        indexed = [words[0] for words in arguments if "indexed" in words]
        plain = [words[0] for words in arguments if "indexed" not in words]
        order, seen = [], [0, 0]
        for words in arguments:
            is_indexed = "indexed" in words
            order.append((is_indexed, seen[is_indexed]))
            seen[is_indexed] += 1
        signature = f"{self.name}({','.join(words[0] for words in arguments)})"
        object.__setattr__(self, "topic", keccak(text=signature))
        object.__setattr__(self, "_indexed", tuple(indexed))
        object.__setattr__(self, "_plain", tuple(plain))
        object.__setattr__(self, "_order", tuple(order))

    @property
    def name(self) -> str:
        return self.declaration.partition("(")[0]

    def fits(self, log: Log) -> bool:
        """Whether a log is this event. Of two events with one signature the number of indexed arguments decides."""
        return len(log.topics) == 1 + len(self._indexed) and log.topics[0] == self.topic

    def decode(self, log: Log) -> T:
        """The event of a log that `fits`.

        Raises:
            Rejected: `MALFORMED`, the data is not of the declared types, or too long.
        """
        if len(log.data) > MAX_LOG_BYTES:
            raise Rejected(Rejection.MALFORMED, f"{self.name}: {len(log.data)} bytes of data")
        try:
            topics = [_topic(kind, topic) for kind, topic in zip(self._indexed, log.topics[1:], strict=True)]
            plain = abi_decode(self._plain, log.data)
        except (DecodingError, OverflowError, UnicodeDecodeError, ValueError) as error:
            raise Rejected(Rejection.MALFORMED, f"{self.name} of {log.address}: {_short(error)}") from error
        return self.make(*(topics[at] if indexed else plain[at] for indexed, at in self._order))


@dataclass(frozen=True)
class Call(Generic[T]):
    """One view function: ``name(type,type)`` and the types of what it returns.

    `make` is called with the returned values in order. It may raise `Rejected`.
    """

    signature: str
    returns: str
    make: Callable[..., T]
    selector: bytes = field(init=False)
    _takes: tuple[str, ...] = field(init=False)
    _gives: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "selector", keccak(text=self.signature)[:4])
        object.__setattr__(self, "_takes", tuple(_split(_arguments(self.signature))))
        object.__setattr__(self, "_gives", tuple(_split(self.returns.removeprefix("(").removesuffix(")"))))

    @property
    def name(self) -> str:
        return self.signature.partition("(")[0]

    def encode(self, *arguments: object) -> bytes:
        """Calldata. `ValueError` where the arguments are not of the types: ours, not a stranger's."""
        try:
            return self.selector + abi_encode(self._takes, arguments)
        except EncodingError as error:
            raise ValueError(f"{self.signature}: {error}") from error

    def decode(self, answer: bytes) -> T:
        """What the function returned.

        Raises:
            Rejected: `EMPTY` where nothing came back (no contract, or none of that function), `MALFORMED` where it is
                not of the declared types.
        """
        if not answer:
            raise Rejected(Rejection.EMPTY, f"{self.name} returned nothing: no such function at that address")
        return self.make(*self._decoded(self._gives, answer))

    def arguments(self, calldata: bytes) -> tuple[Any, ...]:
        """The arguments of somebody's call of it, for traces; what follows the arguments is not looked at."""
        if calldata[:4] != self.selector:
            raise Rejected(Rejection.UNKNOWN_SHAPE, f"calldata is not of {self.name}")
        return self._decoded(self._takes, calldata[4:])

    def _decoded(self, kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
        if len(data) > MAX_ANSWER_BYTES:
            raise Rejected(Rejection.MALFORMED, f"{self.name}: {len(data)} bytes")
        try:
            return tuple(abi_decode(kinds, data))
        except (DecodingError, OverflowError, UnicodeDecodeError, ValueError) as error:
            raise Rejected(Rejection.MALFORMED, f"{self.name}: {_short(error)}") from error


def one(value: T) -> T:
    """`make` of a call that returns one value which needs no dataclass."""
    return value


def address(word: bytes) -> str:
    """The address in the low 20 bytes of a word, lower case.

    Raises:
        Rejected: `MALFORMED`, the high bytes are not zero.
    """
    if len(word) != WORD or any(word[:12]):
        raise Rejected(Rejection.MALFORMED, f"0x{word[:WORD].hex()} is not an address")
    return "0x" + word[12:].hex()


def _topic(kind: str, topic: bytes) -> object:
    """An indexed argument; of dynamic types the log holds the hash only, which is what is given."""
    if kind in ("string", "bytes") or "[" in kind or "(" in kind:
        return topic
    return abi_decode([kind], topic)[0]


def _arguments(declaration: str) -> str:
    found = _SIGNATURE.fullmatch(declaration.strip())
    if found is None:
        raise ValueError(f"{declaration} is not a declaration")
    return found["arguments"]


def _split(arguments: str) -> list[str]:
    """Arguments at the outermost level: a tuple's own commas part nothing."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(arguments):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
    last = arguments[start:].strip()
    return [*parts, last] if last else parts


def _short(error: Exception) -> str:
    return f"{type(error).__name__} {str(error)[:100]}"
