"""Families that forecast VaR and expected shortfall of both tails, one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from margrave.lab.court.families import Role
    from margrave.lab.court.family import TailFamily

FAMILIES: tuple[tuple[TailFamily, Role], ...] = ()
