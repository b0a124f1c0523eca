"""Readings in, a snapshot out: what the node vouches for, and what it refused and why.

Pure rules, `now_ms` passed in. `snapshot.take` is the whole of it; the other files are its steps, in this order:
checks (one reading alone) -> breaker (a venue against its own past) -> agreement (venues against each other)
-> bars (their common history).
"""
