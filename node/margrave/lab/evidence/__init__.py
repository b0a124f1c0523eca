"""Evidence that the contracts do what they say, beyond their tests: coverage, mutation, proofs, static analysis."""
