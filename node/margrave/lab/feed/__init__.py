"""The local venue server: the REST formats of five venues, spoken for a tape of real or generated days.

A node cannot tell it from the venues: same paths, same JSON, real sockets. A `Tape` says what the market was at a
moment; `scenario` makes one from documented waypoints, `recording` from recorded history; `server` speaks it, one port,
the venue as path prefix. `faults` lets tests break one venue at a time.
"""
