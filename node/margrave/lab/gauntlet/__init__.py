"""The manipulation gauntlet: attacks that happened, at three sizes, against the guard and the rules most oracles use.

tape (what five venues really said) -> attacks (what it would have looked like) -> rules (what each would have
published) -> scoreboard. `scripts/bench gauntlet` runs it.
"""
