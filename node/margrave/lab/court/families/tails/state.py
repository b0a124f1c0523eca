"""What the pooled tail models see of an hour: `score.features.tails` says what it is."""

from __future__ import annotations

from margrave.score.features.tails import State, state_of

__all__ = ["State", "state_of"]
