"""Collect: ask venues and chains, each at its own pace, and keep what they said with their own time on it.

`venues/` holds one file a venue: which questions to put, and pure functions from the venue's JSON to readings or
refusals. `host` moves the bytes, `poller` decides what is due, `board` keeps the latest, `collector` is what the daemon
starts, `recorded` runs the same parsers over files.
"""
