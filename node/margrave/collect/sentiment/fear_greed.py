"""The Crypto Fear & Greed Index: https://api.alternative.me/fng/, one value a day at 00:00 UTC, 0 to 100.

Answer: {"data": [{"value": "25", "value_classification": "Extreme Fear", "timestamp": "1771977600" (seconds)}, …],
"metadata": {"error": null}}. alternative.me asks that it
be named where the index is shown, as https://alternative.me/crypto/fear-and-greed-index/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect import checks
from margrave.collect.source import Asked, Item
from margrave.errors import Rejected
from margrave.messages import Kind, ScalarReading
from margrave.verdicts import Rejection

SOURCE: Final = "sentiment:fear_greed"


def parse(asked: Asked, body: object) -> Iterator[Item]:
    """The newest of the answer's days.

    Raises:
        Rejected: an error of theirs, no day, or a value outside 0 to 100.
    """
    answer = checks.mapping(body, "answer")
    metadata = answer.get("metadata")
    error = metadata.get("error") if isinstance(metadata, dict) else None
    if error:
        raise Rejected(Rejection.VENUE_ERROR, f"alternative.me: {str(error)[:120]}")
    days = [checks.mapping(day, "a day") for day in checks.sequence(answer.get("data"), "data", least=1)]
    stamped = [(checks.seconds_as_ms(day.get("timestamp"), "timestamp"), day) for day in days]
    venue_ms, newest = max(stamped, key=lambda pair: pair[0])
    yield ScalarReading(
        source=asked.source,
        market=asked.market,
        instrument=asked.instrument,
        venue_time_ms=venue_ms,
        seen_time_ms=asked.seen_ms,
        kind=Kind.FEAR_GREED,
        value=checks.within(newest.get("value"), "value", 0.0, 100.0),
    )
