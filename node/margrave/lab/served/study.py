"""Which hours are lived through and which are asked between, and what came of it: docs/served.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.history import Found, Stretch, read
from margrave.lab.served import between, life
from margrave.lab.served.between import Between
from margrave.lab.served.halves import half_past
from margrave.lab.served.life import Lived
from margrave.lab.served.rounds import FIRST_H, bars_of
from margrave.score.forecast import Forecaster
from margrave.settings import POLICY_FILE, REGISTRY, load_policy
from margrave.spans import DAY_MS, HOUR_MS

Floats = NDArray[np.float64]
Say = Callable[[str], None]
Span = tuple[datetime, datetime]
"""From, up to but without; UTC. Of rounds at the close of an hour, and of hours asked within."""

LIVED: Final = timedelta(days=730)
ASKED: Final = timedelta(days=184)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked at half past."""

    assets: tuple[str, ...]
    spans: tuple[Span, ...]
    """The first and the last hour of what was asked without a day's break: a folder may have holes."""
    every_h: int
    found: Between


@dataclass(frozen=True, slots=True)
class Served:
    command: str
    models: tuple[str, ...]
    """Main, baseline, volatility; hours before `trained_to` the main model was fitted on."""
    trained_to: str
    quantiles_at: tuple[float, ...]
    lived: tuple[Lived, ...]
    asked: Asked | None
    """`None`: no bars finer than an hour agree with the hourly ones."""


def study(folder: Path, asset: str, lived: Sequence[Span], asked: Span | None, command: str, say: Say) -> Served:
    """
    Args:
        asset: whose hours are lived through.
        lived: the spans; without any, the last two years that there are of the asset.
        asked: at half past, of all assets; without one, the last half year.

    Raises:
        Fatal: the folder has no bars of the asset, or none of a span.
    """
    policy = load_policy(POLICY_FILE)
    forecaster = Forecaster.of(policy.models, REGISTRY, policy.round.mpor_s)
    found = read(folder)
    lives = []
    for stretch, first, last in _spans(found, asset, lived):
        say(f"{asset}, {last - first} hours from {_time(stretch, first):%Y-%m-%d}")
        rounds = list(life.live(forecaster, policy.widening, asset, bars_of(stretch)[:last], first))
        begun, ended = _time(stretch, first), _time(stretch, last - 1)
        lives.append(life.told(asset, stretch.source, begun, ended, rounds, policy.widening.on_haste))
    halves = half_past(folder, found.stretches)
    return Served(
        command=command,
        models=tuple(model.name for model in forecaster.models),
        trained_to=forecaster.main.card.trained_to,
        quantiles_at=life.AT,
        lived=tuple(lives),
        asked=_asked(forecaster, found.stretches, halves, asked, say),
    )


def _spans(found: Found, asset: str, lived: Sequence[Span]) -> list[tuple[Stretch, int, int]]:
    """Each span in the stretch that has most of it: rows of the first round and after the last."""
    stretches = found.of(asset)
    if not stretches:
        raise Fatal(f"no bars of {asset}", advice=f"name one of {', '.join(found.assets) or 'none'} with --asset")
    if not lived:
        after = _utc(max(int(stretch.known_ms[-1]) for stretch in stretches) + HOUR_MS)
        lived = [(after - LIVED, after)]
    rows = []
    for span in lived:
        from_ms, to_ms = map(_ms, span)
        cut = [
            (stretch, max(int(first), FIRST_H - 1), int(last))
            for stretch in stretches
            for first, last in [np.searchsorted(stretch.known_ms, (from_ms, to_ms))]
        ]
        stretch, first, last = max(cut, key=lambda row: row[2] - row[1])
        if last <= first:
            raise Fatal(
                f"{asset} has no hour from {span[0]:%Y-%m-%d} to {span[1]:%Y-%m-%d} with {FIRST_H} hours before it",
                advice="name another span with --lived, or none",
            )
        rows.append((stretch, first, last))
    return rows


def _asked(
    forecaster: Forecaster, stretches: Sequence[Stretch], halves: Sequence[Floats], span: Span | None, say: Say
) -> Asked | None:
    told = [
        (stretch, half) for stretch, half in zip(stretches, halves, strict=True) if np.isfinite(half[FIRST_H:]).any()
    ]
    if not told:
        say("nothing is asked at half past: no bars finer than an hour agree with the hourly ones")
        return None
    if span is None:
        last_ms = max(int(stretch.known_ms[np.isfinite(half)].max()) for stretch, half in told)
        span = (_utc(last_ms) - ASKED, _utc(last_ms))
    from_ms, to_ms = map(_ms, span)
    say(f"{len({stretch.asset for stretch, _ in told})} assets at half past, from {span[0]:%Y-%m-%d}")
    rows = list(between.ask(forecaster, [stretch for stretch, _ in told], [half for _, half in told], from_ms, to_ms))
    return Asked(
        assets=tuple(sorted({row.market for row in rows})),
        spans=_without_break([row.open_ms for row in rows]),
        every_h=between.STRIDE_H,
        found=between.told(rows),
    )


def _without_break(open_ms: Sequence[int]) -> tuple[Span, ...]:
    hours = np.unique(np.array(open_ms, dtype=np.int64))
    runs = np.split(hours, np.flatnonzero(np.diff(hours) > DAY_MS) + 1) if len(hours) else []
    return tuple((_utc(int(run[0])), _utc(int(run[-1]))) for run in runs)


def _time(stretch: Stretch, row: int) -> datetime:
    return _utc(int(stretch.known_ms[row]))


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1_000, UTC)


def _ms(at: datetime) -> int:
    """The hour that it lies in."""
    return int(at.timestamp()) * 1_000 // HOUR_MS * HOUR_MS
