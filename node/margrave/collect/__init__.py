"""Collect: ask venues and chains, each at its own pace, and keep what they said with their own time on it.

`venues/` holds one folder a venue: which questions to put, which channels to hear, and pure functions from the venue's
JSON to readings, events or refusals. `host` moves the bytes of questions and `poller` decides what is due; `socket`
keeps a websocket open (`dial` opens it) and `listener` makes sense of its frames: books are kept in `books/`, trades
and liquidations summed in `flows`, the venue's clock estimated in `skew`. `board` keeps the latest of everything,
`gauges` shows it, `collector` is what the daemon starts, `recorded` runs the same parsers over files. `chains/` reads
other chains, `sentiment/` moods, and `recording/` keeps what all of them said.
"""
