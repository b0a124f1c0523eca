"""Hours in which a figure is published that all markets wait for: they move two to ten times as much as usual, and
everybody knows the date a year ahead.

Two releases have mattered to crypto since 2021: the decision of the Federal Open Market Committee (14:00 in New York,
with a press conference half an hour later) and the US consumer price index (8:30). Both reach into the hour after. How
much more such an hour moves is learnt on the way, from those that are over (`Learnt`); a node has it fixed (`USUAL`).

Dates: Board of Governors, "FOMC calendars"; Bureau of Labor Statistics, "Schedule of Releases for the Consumer Price
Index", as they stood before each release: postponements announced earlier are followed. The lists end; `ENDS_MS` says
where, and after it hours of releases are hours like others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.score.features.clock import new_york_hour_of_week
from margrave.spans import HOUR_MS, WEEK_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Release(StrEnum):
    FOMC = "fomc"
    CPI = "cpi"


DATES: Final = {
    Release.FOMC: """
        2020-07-29 2020-09-16 2020-11-05 2020-12-16
        2021-01-27 2021-03-17 2021-04-28 2021-06-16 2021-07-28 2021-09-22 2021-11-03 2021-12-15
        2022-01-26 2022-03-16 2022-05-04 2022-06-15 2022-07-27 2022-09-21 2022-11-02 2022-12-14
        2023-02-01 2023-03-22 2023-05-03 2023-06-14 2023-07-26 2023-09-20 2023-11-01 2023-12-13
        2024-01-31 2024-03-20 2024-05-01 2024-06-12 2024-07-31 2024-09-18 2024-11-07 2024-12-18
        2025-01-29 2025-03-19 2025-05-07 2025-06-18 2025-07-30 2025-09-17 2025-10-29 2025-12-10
        2026-01-28 2026-03-18 2026-04-29 2026-06-17 2026-07-29 2026-09-16 2026-10-28 2026-12-09
    """,
    Release.CPI: """
        2020-07-14 2020-08-12 2020-09-11 2020-10-13 2020-11-12 2020-12-10
        2021-01-13 2021-02-10 2021-03-10 2021-04-13 2021-05-12 2021-06-10
        2021-07-13 2021-08-11 2021-09-14 2021-10-13 2021-11-10 2021-12-10
        2022-01-12 2022-02-10 2022-03-10 2022-04-12 2022-05-11 2022-06-10
        2022-07-13 2022-08-10 2022-09-13 2022-10-13 2022-11-10 2022-12-13
        2023-01-12 2023-02-14 2023-03-14 2023-04-12 2023-05-10 2023-06-13
        2023-07-12 2023-08-10 2023-09-13 2023-10-12 2023-11-14 2023-12-12
        2024-01-11 2024-02-13 2024-03-12 2024-04-10 2024-05-15 2024-06-12
        2024-07-11 2024-08-14 2024-09-11 2024-10-10 2024-11-13 2024-12-11
        2025-01-15 2025-02-12 2025-03-12 2025-04-10 2025-05-13 2025-06-11
        2025-07-15 2025-08-12 2025-09-11 2025-10-24 2025-12-18
        2026-01-13 2026-02-13 2026-03-11 2026-04-10 2026-05-12 2026-06-10
        2026-07-14 2026-08-12 2026-09-11 2026-10-14 2026-11-10 2026-12-10
    """,
}
HOUR_OF_DAY: Final = {Release.FOMC: 14, Release.CPI: 8}
"""The hour, on the New York clock, in which it comes out."""
HOURS: Final = 2
"""That one, and the one after."""

USUAL: Final = {Release.FOMC: (2.7, 3.0), Release.CPI: (2.4, 1.9)}
"""How many usual hours each is worth, for a node; what the court has learnt by the end of the development data."""

KEEP: Final = 0.5 ** (1 / 4)
"""Weight of a release against the next of its kind: half after four."""
PLAIN: Final = 1.0
"""An ordinary hour counts for so many releases at the beginning."""
MOST: Final = 30.0
"""Usual hours that one release counts for at the most."""


def _opens_ms(release: Release) -> Ints:
    """When the hours of its release open, ascending."""
    days = np.array(DATES[release].split(), dtype="datetime64[D]")
    midnight_ms = days.astype("datetime64[ms]").astype(np.int64)
    # New York is four or five hours behind: whichever puts the release into its hour there.
    wanted = ((days.astype(np.int64) + 3) % 7) * 24 + HOUR_OF_DAY[release]
    summer = midnight_ms + (HOUR_OF_DAY[release] + 4) * HOUR_MS
    return np.asarray(np.where(new_york_hour_of_week(summer) == wanted, summer, summer + HOUR_MS), dtype=np.int64)


OPENS_MS: Final = {release: _opens_ms(release) for release in Release}
ENDS_MS: Final = min(int(opens[-1]) for opens in OPENS_MS.values())
"""The first list's last release: later ones are not known here."""


@dataclass(frozen=True, slots=True)
class Known:
    """Hours of releases, ascending, and what each is worth in usual hours of its time of the week; (releases,) each."""

    opens_ms: Ints
    worth: Floats
    keys: Ints
    """Hour of the New York week."""

    def of(self, open_ms: Ints) -> Floats:
        """Worth of each hour, one where nothing comes out; shape as the hours."""
        if not len(self.opens_ms):
            return np.ones(open_ms.shape)
        place = np.minimum(np.searchsorted(self.opens_ms, open_ms), len(self.opens_ms) - 1)
        return np.asarray(np.where(self.opens_ms[place] == open_ms, self.worth[place], 1.0))

    def within(self, open_ms: int, horizon_h: int) -> slice:
        """Those among the next hours after the one that opens at `open_ms`."""
        first, last = np.searchsorted(self.opens_ms, (open_ms + HOUR_MS, open_ms + (horizon_h + 1) * HOUR_MS))
        return slice(int(first), int(last))

    def beyond(self, tables: Floats, open_ms: int, horizon_h: int) -> Floats:
        """What the releases of the next hours add to the sum of the week's factors.

        Args:
            tables: (…, 168) factors by hour of the New York week.

        Returns:
            (…,).
        """
        some = self.within(open_ms, horizon_h)
        return np.asarray(tables[..., self.keys[some]] @ (self.worth[some] - 1.0))


def are_releases(open_ms: Ints) -> npt.NDArray[np.bool_]:
    """Whether something comes out in an hour or came out in the one before."""
    return np.isin(open_ms, _HOURS_MS)


def none() -> Known:
    return _NONE


def usual() -> Known:
    """As a node has it: every release is worth `USUAL`."""
    return _USUAL


def learnt(open_ms: Ints, surprise: Floats) -> tuple[Known, dict[Release, tuple[float, ...]]]:
    """Each release worth what those of its kind before it were, and what is learnt at the end.

    Args:
        open_ms: (hours,) consecutive.
        surprise: (hours,) how many usual hours each was worth to the market, NaN where nobody knows.
    """
    worth: dict[int, float] = {}
    last: dict[Release, tuple[float, ...]] = {}
    for release, opens in OPENS_MS.items():
        total, count = np.full(HOURS, PLAIN), np.full(HOURS, PLAIN)
        for opens_ms in opens:
            for offset in range(HOURS):
                at = int(opens_ms) + offset * HOUR_MS
                worth[at] = max(float(total[offset] / count[offset]), 1.0)
                row = (at - int(open_ms[0])) // HOUR_MS if len(open_ms) else -1
                if 0 <= row < len(open_ms) and np.isfinite(surprise[row]):
                    total[offset] = KEEP * total[offset] + min(float(surprise[row]), MOST)
                    count[offset] = KEEP * count[offset] + 1.0
        last[release] = tuple(max(float(one), 1.0) for one in total / count)
    return _known(worth), last


def _known(worth: dict[int, float]) -> Known:
    opens_ms = np.array(sorted(worth), dtype=np.int64)
    return Known(opens_ms, np.array([worth[int(at)] for at in opens_ms]), new_york_hour_of_week(opens_ms) % WEEK_H)


_HOURS_MS: Final = np.concatenate([opens + k * HOUR_MS for opens in OPENS_MS.values() for k in range(HOURS)])
_NONE: Final = _known({})
_USUAL: Final = _known(
    {
        int(at) + k * HOUR_MS: USUAL[release][k]
        for release, opens in OPENS_MS.items()
        for at in opens
        for k in range(HOURS)
    }
)
