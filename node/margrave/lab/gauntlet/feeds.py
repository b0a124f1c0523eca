"""A stretch of a tape as what a node hears, bar by bar: the thing that attacks change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from margrave.lab.gauntlet.tape import BAR_MS, DEPTH_SHARE, HISTORY_H, STEPS, Floats, Ints, Tape, bars_of, walked
from margrave.messages import AnyReading, Bar, BarsReading, BookReading, Kind, ScalarReading
from margrave.spans import HOUR_MS, WEEK_H, YEAR_H

SPREAD = 2e-4
SEEN_AFTER_MS = 500
STAMPED_BEFORE_MS = 1_000


@dataclass(frozen=True, slots=True)
class Feeds:
    """One market over T ten-minute bars and V venues, as it is heard; prices and volumes have shape (T, V)."""

    coin: str
    venues: tuple[str, ...]
    ends_ms: Ints
    """When each bar ends, which is when its round is."""
    prices: Floats
    volumes_usd: Floats
    heard: NDArray[np.bool_]
    """Whether a venue's book answers."""
    truth: Floats
    """(T,): where the market really is; published prices are measured against it."""
    history: Mapping[str, tuple[Bar, ...]]
    depth_usd: Floats
    """(T, V)."""
    funding: Mapping[str, Floats]
    open_interest: Mapping[str, Floats]
    vol_index: Floats
    collateral_ratio: Floats
    anchors: Mapping[Kind, Floats] = field(default_factory=dict)
    """What a chain says of where the price should be."""

    @property
    def sources(self) -> tuple[str, ...]:
        """All that a market must list: venues with prices, and those with other figures only."""
        return tuple(sorted({*self.venues, *self.funding, *self.open_interest, "deribit"}))

    @property
    def leader(self) -> int:
        """The column of the venue with most volume."""
        return int(np.argmax(self.volumes_usd.sum(axis=0)))

    @property
    def by_volume(self) -> list[int]:
        """Columns, the most traded first."""
        return [int(i) for i in np.argsort(-self.volumes_usd.sum(axis=0), kind="stable")]

    def rounds(self) -> Iterator[tuple[int, list[AnyReading]]]:
        """(round's time in ms, what the board holds then), bar by bar."""
        closed = {venue: list(bars) for venue, bars in self.history.items()}
        for t, now_ms in enumerate(self.ends_ms.tolist()):
            opened = t // STEPS * STEPS
            found: list[AnyReading] = []
            for v, venue in enumerate(self.venues):
                running = self._bar(v, opened, t + 1)
                if (t + 1) % STEPS == 0:
                    closed[venue] = [*closed[venue][1:], running]
                    shown = tuple(closed[venue])
                else:
                    shown = (*closed[venue], running)
                found.append(self._bars(venue, now_ms, shown))
                if self.heard[t, v]:
                    found.append(self._book(t, v, now_ms))
            found += self._scalars(t, now_ms)
            yield now_ms, found

    def _bar(self, venue: int, first: int, end: int) -> Bar:
        prices = self.prices[first:end, venue]
        before = self.prices[first - 1, venue] if first else self.history[self.venues[venue]][-1].close
        open_ms = int(self.ends_ms[first]) - BAR_MS
        low, high = min(before, prices.min()), max(before, prices.max())
        volume = float(self.volumes_usd[first:end, venue].sum())
        return Bar(open_ms, float(before), float(high), float(low), float(prices[-1]), volume)

    def _bars(self, venue: str, now_ms: int, bars: tuple[Bar, ...]) -> BarsReading:
        return BarsReading(
            source=venue,
            market=self.coin,
            instrument=self.coin,
            venue_time_ms=now_ms - STAMPED_BEFORE_MS,
            seen_time_ms=now_ms - SEEN_AFTER_MS,
            perpetual=False,
            bars=bars,
        )

    def _book(self, t: int, v: int, now_ms: int) -> BookReading:
        price, depth = float(self.prices[t, v]), float(self.depth_usd[t, v])
        return BookReading(
            source=self.venues[v],
            market=self.coin,
            instrument=self.coin,
            venue_time_ms=now_ms - STAMPED_BEFORE_MS,
            seen_time_ms=now_ms - SEEN_AFTER_MS,
            perpetual=False,
            bid=price * (1 - SPREAD / 2),
            ask=price * (1 + SPREAD / 2),
            bid_depth_usd=depth,
            ask_depth_usd=depth,
        )

    def _scalars(self, t: int, now_ms: int) -> list[AnyReading]:
        said = [
            ("deribit", Kind.VOL_INDEX, self.vol_index[t]),
            ("chain:1", Kind.COLLATERAL_RATIO, self.collateral_ratio[t]),
        ]
        said += [(who, Kind.FUNDING_8H, rates[t]) for who, rates in self.funding.items()]
        said += [(who, Kind.OPEN_INTEREST, held[t]) for who, held in self.open_interest.items()]
        said += [("chain:1", kind, values[t]) for kind, values in self.anchors.items()]
        return [
            ScalarReading(
                source=who,
                market=self.coin,
                instrument=self.coin,
                venue_time_ms=now_ms - STAMPED_BEFORE_MS,
                seen_time_ms=now_ms - SEEN_AFTER_MS,
                kind=kind,
                value=float(value),
            )
            for who, kind, value in said
            if np.isfinite(value)
        ]


def cut(tape: Tape, start_ms: int, hours: int) -> Feeds:
    """A stretch of a tape, honest, with the venues that were there all the time."""
    first = tape.hour_of(start_ms)
    columns = tape.complete(first, hours)
    here = tape.candles[first : first + hours, columns]
    before = tape.candles[first - HISTORY_H : first, columns]
    venues = tuple(tape.venues[c] for c in columns)
    prices = walked(here)
    bars = hours * STEPS
    daily_usd = np.stack([tape.candles[first + h - 24 : first + h, columns, 4].sum(axis=0) for h in range(hours)])
    hourly = tape.candles[first - 168 : first + hours, columns, 3]
    moves = np.diff(np.log(np.median(hourly, axis=1)), prepend=np.nan)[-168 - hours :]
    vol = np.array([np.nanstd(moves[h : h + WEEK_H]) for h in range(hours)]) * np.sqrt(YEAR_H)

    def stretch(values: Floats) -> Floats:
        return np.repeat(values, STEPS, axis=0)

    return Feeds(
        coin=tape.coin,
        venues=venues,
        ends_ms=int(tape.opened_ms[first]) + BAR_MS * np.arange(1, bars + 1, dtype=np.int64),
        prices=prices,
        volumes_usd=stretch(here[:, :, 4] / STEPS),
        heard=np.ones((bars, len(venues)), dtype=np.bool_),
        truth=np.median(prices, axis=1),
        history={
            venue: bars_of(tape.opened_ms[first - HISTORY_H : first], before[:, i]) for i, venue in enumerate(venues)
        },
        depth_usd=stretch(np.maximum(daily_usd * DEPTH_SHARE, 20_000.0)),
        funding={who: stretch(rates[first : first + hours]) for who, rates in tape.funding.items()},
        open_interest={who: stretch(held[first : first + hours]) for who, held in tape.open_interest.items()},
        vol_index=stretch(np.clip(vol, 0.05, 5.0)),
        collateral_ratio=np.full(bars, 1.8),
    )


assert HOUR_MS == STEPS * BAR_MS
