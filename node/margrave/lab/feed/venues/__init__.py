"""The five dialects: each module's `answer` says what the venue would, as bytes, or raises `Says` for its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from margrave.lab.feed.dialect import Question
from margrave.lab.feed.venues import binance, bybit, deribit, kraken, okx

DIALECTS: Final[Mapping[str, Callable[[Question], object]]] = {
    "deribit": deribit.answer,
    "binance": binance.answer,
    "okx": okx.answer,
    "bybit": bybit.answer,
    "kraken": kraken.answer,
}
