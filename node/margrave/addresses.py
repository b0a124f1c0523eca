"""Addresses that mean the same on every chain."""

from __future__ import annotations

from typing import Final

NOBODY: Final = "0x" + "00" * 20
"""The zero address: nobody's, and among tokens the chain's own coin."""
