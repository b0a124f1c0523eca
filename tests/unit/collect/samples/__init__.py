"""One answer of each question and one frame of each channel, as the venues document them: what the tests of parsers and
the fuzzing of them begin with. Small, hand-written, and of one moment."""

from __future__ import annotations

from typing import Final

from tests.unit.collect.samples import binance, bybit, coinbase, deribit, hyperliquid, kraken, okx
from tests.unit.collect.samples.sample import Sample

_ALL: Final = (deribit, binance, okx, bybit, kraken, coinbase, hyperliquid)
ANSWERS: Final[list[Sample]] = [sample for venue in _ALL for sample in venue.ANSWERS]
FRAMES: Final[list[Sample]] = [sample for venue in _ALL for sample in venue.FRAMES]
SAMPLES: Final = ANSWERS + FRAMES
