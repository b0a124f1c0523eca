"""Whose turn it is to propose and to send. No leader: every node computes the same order from the round."""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils.crypto import keccak


def order(round_: int, members: Sequence[str]) -> tuple[str, ...]:
    """The members in this round's order: by keccak(round, member), so that nobody can choose the round it leads."""
    salt = round_.to_bytes(32, "big")
    return tuple(sorted(members, key=lambda member: keccak(salt + bytes.fromhex(member.removeprefix("0x")))))


def wait_ms(round_: int, member: str, members: Sequence[str], stagger_ms: int) -> int:
    """How long after the quorum this member gives those before it to send."""
    return order(round_, members).index(member) * stagger_ms
