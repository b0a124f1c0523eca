"""What a transaction offers (EIP-1559), and what its replacement must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GWEI: Final = 10**9
REPLACEMENT_NUMERATOR: Final = 1125
"""Nodes refuse a replacement that does not raise both fields by a tenth; an eighth leaves room for rounding."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas: the most paid in all, and the tip within it."""

    max_fee: int
    tip: int

    @classmethod
    def first(cls, *, base_fee: int, suggested_tip: int, cap: int) -> Fees:
        """Twice the base fee survives six full blocks in a row (each raises it by an eighth)."""
        tip = min(max(suggested_tip, 1), cap)
        return cls(max_fee=min(2 * base_fee + tip, cap), tip=tip)

    def replacement(self, *, base_fee: int, cap: int) -> Fees | None:
        """The next offer for the same nonce, or `None` at the operator's cap: then only waiting is left."""
        tip = _raised(self.tip)
        max_fee = max(_raised(self.max_fee), 2 * base_fee + tip)
        if max_fee > cap:
            max_fee = cap
        if max_fee < _raised(self.max_fee) or tip > max_fee:
            return None
        return Fees(max_fee=max_fee, tip=tip)


def _raised(wei: int) -> int:
    return -(-wei * REPLACEMENT_NUMERATOR // 1000)
