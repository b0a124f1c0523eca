"""What a node would carry of one market for the inputs of `beside`: a day of observations and a week of returns.

No published model reads them, so no node carries this; it stands here so that an input that is shown to help can be
served as it was measured.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from margrave.errors import Rejected
from margrave.messages import Message
from margrave.score.features import beside
from margrave.score.features.beside import LEADER
from margrave.score.features.observed import FIELDS, Observed
from margrave.score.features.vpin import Flow
from margrave.spans import DAY_H, HOUR_MS, WEEK_H
from margrave.verdicts import Rejection

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HELD_H: Final = DAY_H + 1
RETURNS_H: Final = WEEK_H + 1
_ROW: Final = struct.Struct(f"<{len(FIELDS)}d")
_NOTHING: Final = _ROW.pack(*[math.nan] * len(FIELDS))
_ABSENT: Final = struct.pack("<d", math.nan)


class Recent(Message, frozen=True, kw_only=True):
    """Series are float64, little-endian, the newest last, as bytes; NaN stands for what was not there."""

    market: str
    open_ms: int = 0
    """Of the last hour taken in; 0 before the first."""
    rows: bytes = _NOTHING * HELD_H
    """(25, fields)"""
    returns: bytes = _ABSENT * RETURNS_H
    """(169,) hourly log returns."""
    flow: Flow = Flow()

    def after(self, open_ms: int, seen: Observed) -> Recent:
        """One hour later, or some: those between are a gap.

        Raises:
            Rejected: the hour is none, or is not after the last one.
        """
        if open_ms % HOUR_MS or open_ms <= self.open_ms:
            raise Rejected(Rejection.MALFORMED, f"hour {open_ms} of {self.market} does not follow {self.open_ms}")
        missed = min((open_ms - self.open_ms) // HOUR_MS - 1, RETURNS_H)
        bought, sold = (math.nan if usd is None else usd for usd in (seen.bought_usd, seen.sold_usd))
        flow = self.flow.after(open_ms, bought, sold)
        given = msgspec.structs.replace(seen, vpin=flow.vpin)
        values = [math.nan if value is None else value for value in msgspec.structs.astuple(given)]
        moved = math.nan if seen.gap is None or seen.body is None else seen.gap + seen.body
        rows = self.rows + _NOTHING * min(missed, HELD_H) + _ROW.pack(*values)
        returns = self.returns + _ABSENT * missed + struct.pack("<d", moved)
        return Recent(
            market=self.market,
            open_ms=open_ms,
            rows=rows[-len(self.rows) :],
            returns=returns[-len(self.returns) :],
            flow=flow,
        )


@dataclass(frozen=True, slots=True)
class Carried:
    """Some markets' states as a `beside.Window`; arrays (markets,). They are of one hour."""

    states: Sequence[Recent]
    leader: Recent | None

    def now(self, name: str) -> Floats:
        return self._held(name)[:, -1]

    def before(self, name: str, hours: int) -> Floats:
        return self._held(name)[:, -1 - hours]

    def mean(self, name: str) -> Floats:
        return np.asarray(self._held(name)[:, -DAY_H:].mean(axis=1))

    def with_leader(self, lead_h: int) -> Floats:
        if self.leader is None:
            return np.full(len(self.states), np.nan)
        y = np.frombuffer(self.leader.returns, dtype="<f8")[RETURNS_H - WEEK_H - lead_h : RETURNS_H - lead_h]
        x = np.stack([np.frombuffer(state.returns, dtype="<f8")[-WEEK_H:] for state in self.states])
        pairs = (x, y + 0.0 * x, x**2, y**2 + 0.0 * x, x * y)
        found = beside.correlation(*(np.asarray(part.mean(axis=1)) for part in pairs))
        return np.where([state.market == LEADER for state in self.states], np.nan, found)

    def open_ms(self) -> Ints:
        return np.array([state.open_ms for state in self.states], dtype=np.int64)

    def _held(self, name: str) -> Floats:
        place = FIELDS.index(name)
        rows = [np.frombuffer(state.rows, dtype="<f8").reshape(HELD_H, -1)[:, place] for state in self.states]
        return np.stack(rows)


def carried(states: Sequence[Recent]) -> Floats:
    """(markets, BESIDE): each market beside the leader's state of the same hour, where there is one."""
    found = np.full((len(states), len(beside.BESIDE)), np.nan)
    hours = np.array([state.open_ms for state in states], dtype=np.int64)
    for open_ms in np.unique(hours):
        places = np.flatnonzero(hours == open_ms)
        here = [states[int(place)] for place in places]
        leader = next((state for state in here if state.market == LEADER), None)
        found[places] = np.stack(list(beside.columns_of(Carried(here, leader)).values()), axis=-1)
    return found
