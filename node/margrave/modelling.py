"""The tables [models] and [widening] of policy.toml: which models speak, and how far experience moves them."""

from __future__ import annotations

from pydantic import Field

from margrave.sections import Section


class ModelPolicy(Section):
    main: str
    """Registry family that makes the ladder, as `family/version`."""
    baseline: str
    """What speaks when the main model refuses its input, or has drifted too far."""
    volatility: str
    """What makes the volatility forecast that is told beside the ladder."""
    cascade: str | None = None
    """What tells the odds of a liquidation cascade from lending protocols' health; without it, the formula."""
    contagion: str | None = None
    """What clears the exposure graph; without it the graph is cleared in full, and the lane counts as a formula's."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that are run: the model set."""
        beside = (name for name in self._learnt.values() if name is not None)
        return *self.of_the_ladder, *beside

    @property
    def of_the_ladder(self) -> tuple[str, str, str]:
        """Those that forecast each market's own moves."""
        return self.main, self.baseline, self.volatility

    @property
    def formulas(self) -> tuple[str, ...]:
        """Lanes that no model is named for."""
        return tuple(lane for lane, name in self._learnt.items() if name is None)

    @property
    def _learnt(self) -> dict[str, str | None]:
        return {"cascade": self.cascade, "contagion": self.contagion}


class WideningPolicy(Section):
    """Bounds of what a node has learnt since it began, which other members have not: the most that two of them may
    differ by for that reason."""

    least: float = Field(default=0.7, gt=0, le=1)
    """Factor on a rung: quiet times may not talk it down further."""
    most: float = Field(default=4.0, ge=1, le=4)
    """Factor on a rung, from outcomes."""
    on_haste: float = Field(default=1.6, ge=1, le=2)
    """Most of the factor on all rungs that follows the last hours' outcomes at once."""
    on_drift: float = Field(default=1.15, ge=1, le=2)
    """Factor on all rungs while drift is past flagging; on top of the others, at once."""
