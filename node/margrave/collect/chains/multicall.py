"""Many reads in one question: Multicall3's `aggregate3`, where each read may fail by itself.

https://github.com/mds1/multicall3: one address on every chain, `aggregate3((address target, bool allowFailure, bytes
callData)[]) returns ((bool success, bytes returnData)[])`, selector 0x82ad56cb.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from margrave.collect.chains.abi import MAX_ANSWER_BYTES, WORD, Call
from margrave.errors import Rejected
from margrave.verdicts import Rejection

T = TypeVar("T")

MULTICALL3: Final = "0xca11bde05977b3631167028862be2a173976ca11"
AGGREGATE3: Final = Call[None](
    "aggregate3((address,bool,bytes)[])", "(bool,bytes)[]", lambda *_: None
)  # encoded by eth_abi, decoded below: its decoder follows overlapping pointers and may be asked for gigabytes


@dataclass(frozen=True)
class Question(Generic[T]):
    """One view call of one contract, and what makes a value of its answer."""

    to: str
    call: Call[T]
    arguments: tuple[object, ...] = ()

    @property
    def calldata(self) -> bytes:
        return self.call.encode(*self.arguments)

    def answered(self, success: bool, data: bytes) -> T | Rejected:
        """The value, or why there is none."""
        try:
            if not success:
                raise Rejected(Rejection.VENUE_ERROR, f"{self.call.name} of {self.to} reverted: {revert_reason(data)}")
            return self.call.decode(data)
        except Rejected as rejected:
            return rejected


def calldata(questions: Sequence[Question[T]]) -> bytes:
    """Calldata that puts all of them, each allowed to fail."""
    return AGGREGATE3.encode([(question.to, True, question.calldata) for question in questions])


def results(data: bytes, count: int) -> list[tuple[bool, bytes]]:
    """(success, returned bytes) of each of `count` reads.

    Raises:
        Rejected: `EMPTY` where there is no Multicall3, `MALFORMED` where the answer is not one for so many reads; no
            answer makes us hold more bytes than it has.
    """
    if not data:
        raise Rejected(Rejection.EMPTY, f"no Multicall3 at {MULTICALL3} on this chain")
    start = _word(data, 0) + WORD
    if (said := _word(data, start - WORD)) != count:
        raise Rejected(Rejection.MALFORMED, f"aggregate3 answered {said} of {count} reads")
    read: list[tuple[bool, bytes]] = []
    held = 0
    for at in range(count):
        entry = start + _word(data, start + at * WORD)
        body = entry + _word(data, entry + WORD)
        length = _word(data, body)
        held += length
        if length > MAX_ANSWER_BYTES or held > len(data) or body + WORD + length > len(data):
            raise Rejected(Rejection.MALFORMED, f"aggregate3: answer {at} says it has {length} bytes")
        read.append((_word(data, entry) != 0, data[body + WORD : body + WORD + length]))
    return read


def revert_reason(data: bytes) -> str:
    """`Error(string)`'s text, or the first bytes of anything else."""
    if data[:4] == b"\x08\xc3\x79\xa0" and len(data) >= 68:
        length = min(int.from_bytes(data[36:68], "big"), 120)
        return data[68 : 68 + length].decode("utf-8", "replace")
    return "0x" + data[:36].hex() if data else "no reason given"


def _word(data: bytes, at: int) -> int:
    if not 0 <= at <= len(data) - WORD:
        raise Rejected(Rejection.MALFORMED, f"aggregate3: {len(data)} bytes end before word {at // WORD}")
    return int.from_bytes(data[at : at + WORD], "big")
