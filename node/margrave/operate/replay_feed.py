"""`margrave replay-feed DIR`: a recording in the venues' place, for any node that is pointed at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import tomli_w
import uvicorn

from margrave.collect.recording.feed import Feed, Recording
from margrave.errors import Fatal
from margrave.ops import strict_json
from margrave.ops.clock import Clock, wall_ms

WEBSOCKETS: Final = "websockets-sansio"
"""uvicorn's implementation over the library that the node uses itself."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A recording, the clock it runs on, and where it is served."""

    recording: Recording
    clock: Clock
    here: str
    """http://HOST:PORT"""

    @classmethod
    def of(cls, folder: Path, *, start_ms: int | None, speed: float, here: str) -> Replay:
        """
        Raises:
            Fatal: no recording there, it was changed, or it holds nothing at `start_ms`.
        """
        recording = Recording(folder)
        origin_ms = recording.start_ms if start_ms is None else start_ms
        if not recording.start_ms <= origin_ms <= recording.end_ms:
            raise Fatal(
                f"the recording goes from {recording.start_ms} to {recording.end_ms} ms, not over {origin_ms}",
                advice="choose --from within it, or leave it out",
            )
        return cls(recording, Clock(origin_ms=origin_ms, wall_origin_ms=wall_ms(), speed=speed), here)

    def feed(self) -> Feed:
        return Feed(self.recording, now_ms=self.clock.now_ms, speed=self.clock.speed)

    def tables(self) -> str:
        """What to put into a node.toml in place of its [clock] and [venues]."""
        clock = {
            "origin_ms": self.clock.origin_ms,
            "wall_origin_ms": self.clock.wall_origin_ms,
            "speed": self.clock.speed,
        }
        return tomli_w.dumps({"clock": clock, "venues": self.venues()})

    def venues(self) -> dict[str, dict[str, str]]:
        """The recorded venues under this feed's address."""
        return {
            source: {key: moved(source, url, self.here) for key, url in addresses.items()}
            for source, addresses in _recorded_venues(self.recording).items()
        }


def serve(replay: Replay, host: str, port: int) -> None:
    """Until told to stop."""
    uvicorn.run(
        replay.feed().app(),
        host=host,
        port=port,
        ws=WEBSOCKETS,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


def moved(source: str, url: str, here: str) -> str:
    """A venue's address as this feed serves it, of the same kind (http or ws)."""
    parts, feed = urlsplit(url), urlsplit(here)
    scheme = "ws" if parts.scheme in ("ws", "wss") else "http"
    return f"{scheme}://{feed.netloc}/{source}/{parts.netloc}{parts.path.rstrip('/')}"


def _recorded_venues(recording: Recording) -> Mapping[str, Mapping[str, str]]:
    try:
        header = strict_json.decode(recording.header.encode(), dict[str, object])
        return msgspec.convert(header["venues"], dict[str, dict[str, str]])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError) as error:
        raise Fatal(
            "the recording does not say which venues it is of", advice="serve one that `margrave record` wrote"
        ) from error
