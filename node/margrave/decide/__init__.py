"""Scores and the chain's state in, a report out, or the reason why there is none. Pure rules, `now_ms` passed in."""
