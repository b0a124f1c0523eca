"""Hedging before the court: options sold on real hours, hedged by a policy and by its rivals, and what it cost."""
