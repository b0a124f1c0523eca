"""Margrave: an on-chain risk oracle node for crypto options."""

__version__ = "0.1.0"
