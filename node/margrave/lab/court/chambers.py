"""The chambers that sit, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from margrave.lab.court.breaks import Breaks
from margrave.lab.court.cascade.chamber import CascadeChamber
from margrave.lab.court.chamber import Chamber
from margrave.lab.court.contagion.chamber import Contagion
from margrave.lab.court.correlation import Correlation
from margrave.lab.court.greeks import GreeksChamber
from margrave.lab.court.hedge.chamber import Hedging
from margrave.lab.court.models import Models
from margrave.lab.court.score.chamber import ScoreChamber
from margrave.lab.court.surface import SurfaceChamber

CHAMBERS: Final[tuple[Chamber, ...]] = (
    Breaks(),
    CascadeChamber(),
    Contagion(),
    Correlation(),
    GreeksChamber(),
    Hedging(),
    Models(),
    ScoreChamber(),
    SurfaceChamber(),
)


def called(words: Sequence[str], among: Sequence[Chamber]) -> tuple[Chamber, ...]:
    """Those that the words of `--family` name; all without words."""
    return tuple(chamber for chamber in among if not words or chamber.kind in words)
