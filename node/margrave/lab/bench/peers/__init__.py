"""Other oracles in the gas benchmark: real packages from npm, each at its own settings, on the same chain as ours."""
