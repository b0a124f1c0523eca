"""Slow figures against their own past: a volatility index, open interest or health that jumps by itself is masked.

One source often is all there is (Deribit's index, one chain's accounts), so no other can outvote it. But these figures
do not move alone: what moves them moves the price, or another source of the same kind. A figure that leaves its own
moving average further than that explains is masked, which the score treats as missing, on the safe side; it is believed
again once it has stood for `BELIEVED_AGAIN_MS`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from margrave.guard.agreement import capped_sum
from margrave.guard.memory import Level
from margrave.messages import Kind
from margrave.spans import HOUR_MS

HALF_LIFE_MS: Final = 2 * HOUR_MS
BELIEVED_AGAIN_MS: Final = 6 * HOUR_MS
LOG_ALLOWED: Final[Mapping[Kind, float]] = {
    Kind.VOL_INDEX: 0.25,  # DVOL's largest day of four years was 0.40, and the price moved with it
    Kind.OPEN_INTEREST: 0.5,  # a third closed at once, or two thirds more opened
    Kind.COLLATERAL_RATIO: 0.25,
    Kind.LENDING_DEBT: 0.5,
}
PRICE_SLOPE: Final = 2.0
"""Log move of a figure that one of the price explains."""
ABSOLUTE_ALLOWED: Final[Mapping[Kind, float]] = {
    Kind.FUNDING_8H: 0.005,
    Kind.HEALTH_AT_RISK: 0.25,
}
"""For figures that pass through zero, in their own unit."""
STANDS_MS: Final = 2 * HOUR_MS
"""How long a source that falls silent, or is not believed, still counts in a sum with what it was believed to have. A
sum that shrank with every outage would call a market safer for being seen less."""
SUMMED: Final = frozenset({Kind.OPEN_INTEREST})
ONLY_FALLS: Final = frozenset({Kind.LENDING_DEBT})
"""More debt is more risk, and what a node that begins sees of a protocol grows from reading to reading."""
IMMATERIAL: Final = 0.1
"""Share of a sum by which one of its sources may move it alone: a small one doubles on an ordinary day."""
COVERED: Final = 15.0
"""Collateral ratio from which a book withstands any move of the index. One without positions says so, or one with its
first: that is no level, and nothing is averaged with it or measured from it. The way back up is measured: a book that
is suddenly covered without limit is what a liar would show."""
SUPPORT: Final = 0.5
"""Share of a jump that another source must have made to confirm it."""


def lone_jumps(
    scalars: Mapping[Kind, Mapping[str, tuple[float, float]]],
    past: Mapping[tuple[Kind, str], Level],
    price_move: float,
    now_ms: int,
) -> Mapping[tuple[Kind, str], str]:
    """(kind, who) of the figures not believed, each with its numbers.

    Args:
        price_move: the largest log move of the price over the last hour, which explains some of it.
    """
    found: dict[tuple[Kind, str], str] = {}
    for kind in (*LOG_ALLOWED, *ABSOLUTE_ALLOWED):
        said = scalars.get(kind, {})
        moved = {who: _moved(kind, value, past.get((kind, who))) for who, (value, _) in said.items()}
        allowed = _allowed(kind, price_move)
        for who, move in moved.items():
            level = past.get((kind, who))
            if level is None or abs(move) <= allowed or now_ms - level.believed_ms >= BELIEVED_AGAIN_MS:
                continue
            total = sum(other.value for (of, _), other in past.items() if of is kind)
            if kind in SUMMED and abs(said[who][0] - level.value) <= IMMATERIAL * total:
                continue
            half = SUPPORT * abs(move)
            if not any(other != who and m * move > 0 and abs(m) >= half for other, m in moved.items()):
                change = f"{math.expm1(move):+.0%}" if kind in LOG_ALLOWED else f"{move:+.4g}"
                found[(kind, who)] = f"{change} from its average of {level.value:g}, and no other source moved"
    return found


def remembered(
    scalars: Mapping[Kind, Mapping[str, tuple[float, float]]],
    past: Mapping[tuple[Kind, str], Level],
    masked: Mapping[tuple[Kind, str], str],
    now_ms: int,
) -> tuple[Level, ...]:
    """The averages after this round. A masked figure does not move its own; what was silent too long is forgotten."""
    kept = {
        key: level for key, level in past.items() if now_ms - level.believed_ms < BELIEVED_AGAIN_MS or key in masked
    }
    for kind in (*LOG_ALLOWED, *ABSOLUTE_ALLOWED):
        for who, (value, _) in scalars.get(kind, {}).items():
            key = (kind, who)
            if key in masked or (kind in LOG_ALLOWED and value <= 0):
                continue
            if kind is Kind.COLLATERAL_RATIO and value >= COVERED:
                kept.pop(key, None)
                continue
            before = kept.get(key)
            if before is None:
                kept[key] = Level(kind, who, value, now_ms)
                continue
            weight = -math.expm1(-math.log(2) * max(now_ms - before.believed_ms, 0) / HALF_LIFE_MS)
            kept[key] = Level(kind, who, before.value + weight * (value - before.value), now_ms)
    return tuple(kept[key] for key in sorted(kept))


def summed(
    kind: Kind,
    scalars: Mapping[Kind, Mapping[str, tuple[float, float]]],
    standing: Iterable[Level],
    now_ms: int,
) -> float | None:
    """The total over the sources of a kind, each capped. Who says nothing now counts as it stood for `STANDS_MS`; then,
    until it is forgotten, nobody knows the total."""
    said = {who: value for who, (value, _) in scalars.get(kind, {}).items()}
    for level in standing:
        if level.kind is kind and level.who not in said:
            if now_ms - level.believed_ms >= STANDS_MS:
                return None
            said[level.who] = level.value
    return capped_sum([value for _, value in sorted(said.items())])


def _moved(kind: Kind, value: float, level: Level | None) -> float:
    if level is None:
        return 0.0
    if kind in LOG_ALLOWED:
        move = math.log(value / level.value) if value > 0 and level.value > 0 else -math.inf
        return min(move, 0.0) if kind in ONLY_FALLS else move
    return value - level.value


def _allowed(kind: Kind, price_move: float) -> float:
    if kind in ABSOLUTE_ALLOWED:
        return ABSOLUTE_ALLOWED[kind] * (1 + PRICE_SLOPE * abs(price_move) * 10)
    return LOG_ALLOWED[kind] + PRICE_SLOPE * abs(price_move)
