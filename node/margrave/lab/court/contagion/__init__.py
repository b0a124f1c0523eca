"""Contagion before the court: graphs drawn at random and found in a folder, edges week by week, a case replayed."""
