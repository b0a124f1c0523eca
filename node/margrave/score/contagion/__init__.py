"""Contagion: what stress elsewhere, in other markets and in what is held and owed between them, can cost here."""

from margrave.score.contagion.message import Contagion, HurtPath

__all__ = ["Contagion", "HurtPath"]
