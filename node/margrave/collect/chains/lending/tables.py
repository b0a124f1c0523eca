"""Every lending event that is read, over all protocols: for logs whose contract is not known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from margrave.collect.chains.lending import aave_v2, aave_v3, compound_v2, compound_v3, morpho
from margrave.collect.chains.lending.events import (
    BORROWING,
    LIQUIDATION,
    Borrowed,
    Changed,
    Lines,
    Liquidated,
    Said,
    say,
)
from margrave.collect.chains.lending.lender import merged
from margrave.collect.chains.logs import Log
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import NoticeReading, Refusal

EVERYTHING: Final[Lines] = merged(
    table
    for module in (aave_v3, aave_v2, compound_v2, compound_v3, morpho)
    for table in (module.POOL_LINES, module.CHANGE_LINES)
)
ALL_LINES: Final[Lines] = merged([EVERYTHING, aave_v3.RATE_LINES])
"""Live, the last table is not asked for: it speaks at every deposit."""
KNOWN: Final[Mapping[str, str]] = {
    "0x7d2768de32b0b80b7a3454c06bdac94a69ddc7a9": aave_v2.NAME,
    "0x87870bca3f3fd6335c3f4ce8392d69350b4fa4e2": aave_v3.NAME,
    "0x794a61358d6845594f94dc1db02a252b5b4814ad": aave_v3.NAME,  # Polygon, Arbitrum, Optimism, Avalanche
    "0xa238dd80c259a72e81d7e4664a9801593f98d1c5": aave_v3.NAME,  # Base
    "0x3d9819210a31b4961b30ef54be2aed79b9c9cd3b": compound_v2.NAME,
    "0xc3d688b66703497daa19211eedff47f25384cdc3": compound_v3.NAME,  # USDC
    "0xa17581a9e3356d9a858b789d68b4d866e593ae94": compound_v3.NAME,  # WETH
    "0xbbbbbbbbbb9cc5e90e3b3af64bdaf62c37eeffcb": morpho.NAME,
}
"""Deployments by address: Aave v2 and v3 share the signature of `LiquidationCall`."""


def decode_logs(logs: Iterable[Log]) -> Iterator[tuple[Log, Said | Rejected]]:
    """Each log with what it says, or why it says nothing that is read. Nothing is left out."""
    for log in logs:
        try:
            yield log, say(ALL_LINES, log)
        except Rejected as rejected:
            yield log, rejected


def reads(log: Log) -> bool:
    """Whether some protocol's event has this first topic and as many indexed arguments."""
    return bool(log.topics) and any(line.event.fits(log) for line in ALL_LINES.get(log.topics[0], ()))


def tell(log: Log, seen_ms: int) -> Item:
    """A recorded log as an item: what a log says by itself is a notice, because it has no price in it."""
    source = KNOWN.get(log.address, "lending")
    try:
        said = say(ALL_LINES, log)
    except Rejected as rejected:
        return Refusal(source=source, market="*", what="log", reason=rejected.reason, detail=rejected.problem)
    match said:
        case Liquidated():
            topic, market = LIQUIDATION, said.collateral or "0x" + said.market.hex()
        case Borrowed():
            topic, market = BORROWING, said.asset or "0x" + said.market.hex()
        case Changed():
            topic, market = said.topic, said.asset or "*"
    return NoticeReading(
        source=source,
        market=market if market != "0x" else "*",
        instrument=log.address,
        venue_time_ms=log.time_ms or seen_ms,
        seen_time_ms=seen_ms,
        topic=topic,
        text=said.text,
    )
