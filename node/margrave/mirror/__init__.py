"""The contracts' rules in Python, integer for integer, so that a node knows what the chain will answer before it asks.

Each module mirrors one Solidity file; tests/vectors hold both sides to the same numbers.
"""
